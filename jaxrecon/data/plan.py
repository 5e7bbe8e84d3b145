"""Which slices make up which batch, as a pure function of seed and epoch."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32

from jaxrecon.data.volume import Volume


@dataclasses.dataclass(frozen=True)
class SliceReference:
    """One slice of one volume."""

    volume: Volume
    index: int


class Bucket(NamedTuple):
    """The k-space shape that the slices of a batch share, `coils` after filling up."""

    coils: int
    height: int
    width: int


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """One pass over the data.

    Attributes:
        slice_ids: positions in the list of slices. Every slice occurs once with the weight 1.
        weights: 1, or 0 for the repeats that fill the last batch of a bucket.
    """

    slice_ids: Int32[np.ndarray, "batches batch_size"]
    weights: Float32[np.ndarray, "batches batch_size"]


def list_slices(
    volumes: Sequence[Volume], selects: Callable[[Volume, int], bool] | None = None
) -> tuple[SliceReference, ...]:
    """The slices of the volumes that are not known to be bad, in order.

    Args:
        volumes: the files.
        selects: whether slice `index` of a volume is wanted; None for all.
    """
    return tuple(
        SliceReference(volume, index)
        for volume in volumes
        for index in sorted(set(range(volume.slices)) - set(volume.bad_slices))
        if selects is None or selects(volume, index)
    )


def padded_coils(volume: Volume, coil_multiple: int) -> int:
    """Coils of a volume, filled up to a multiple of `coil_multiple`."""
    return -(-volume.coils // coil_multiple) * coil_multiple


def group_slices(
    slices: Sequence[SliceReference], coil_multiple: int
) -> dict[Bucket, Int32[np.ndarray, "_"]]:
    """Positions of the slices of each bucket, in the order of the buckets' shapes."""
    members: dict[Bucket, list[int]] = {}
    for slice_id, reference in enumerate(slices):
        volume = reference.volume
        bucket = Bucket(padded_coils(volume, coil_multiple), volume.height, volume.width)
        members.setdefault(bucket, []).append(slice_id)
    return {bucket: np.array(members[bucket], np.int32) for bucket in sorted(members)}


def make_plan(
    groups: Sequence[Int32[np.ndarray, "_"]],
    batch_size: int,
    shuffle_seed: tuple[int, int] | None,
) -> Plan:
    """Cut groups of slices into batches that do not mix groups.

    Args:
        groups: positions of the slices of each group.
        batch_size: slices in a batch. The last batch of a group is filled with repeats.
        shuffle_seed: seed and epoch, each in [0, 2**32), by which slices are shuffled within
            their group and batches among each other; None to keep the order.

    Returns:
        The batches, ceil(slices / batch_size) of each group.
    """
    generator = None if shuffle_seed is None else np.random.RandomState(shuffle_seed)
    slice_ids, weights = [], []
    for group in groups:
        ids = group if generator is None else generator.permutation(group)
        count = -(-len(ids) // batch_size) * batch_size
        slice_ids.append(np.resize(ids, count).reshape(-1, batch_size))
        weights.append((np.arange(count) < len(ids)).reshape(-1, batch_size))
    plan = Plan(np.concatenate(slice_ids), np.concatenate(weights).astype(np.float32))
    if generator is None:
        return plan
    order = generator.permutation(len(plan.slice_ids))
    return Plan(plan.slice_ids[order], plan.weights[order])
