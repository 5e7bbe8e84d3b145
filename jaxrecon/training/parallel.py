"""Data parallelism: batches split over a mesh of all devices, everything else replicated."""

from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from jaxrecon.data.plan import Bucket
from jaxrecon.errors import InputError

DATA_AXIS = "data"


def make_mesh(batch_size: int) -> Mesh:
    """A mesh of all devices of all processes along the axis "data".

    A batch smaller than the number of devices, or one that they do not divide, uses as many of a
    single process's devices as divide it.

    Args:
        batch_size: slices in a batch, over all processes.

    Raises:
        InputError: several processes whose devices do not divide the batch.
    """
    devices = jax.devices()
    if batch_size % len(devices):
        if jax.process_count() > 1:
            raise InputError(
                f"training.batch_size: expected a multiple of the {len(devices)} devices, "
                f"found {batch_size}"
            )
        count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
        devices = devices[:count]
    # Explicit axes, make_mesh's default, would ask every operation for its sharding.
    return jax.make_mesh((len(devices),), (DATA_AXIS,), (AxisType.Auto,), devices=devices)


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """Put a copy of every array on every device of the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def shard_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Split a batch over the mesh along its first axis.

    Args:
        batch: this process's share of the batch.
        mesh: as `make_mesh` made it.
    """
    sharding = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    return {
        key: jax.make_array_from_process_local_data(sharding, value) for key, value in batch.items()
    }


def abstract_batch(bucket: Bucket, batch_size: int, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """What a batch of a bucket looks like to the compiler, masks being of whole columns.

    Args:
        bucket: shape of its k-space.
        batch_size: slices, over all processes.
        mesh: as `make_mesh` made it.
    """
    sharding = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    image = (bucket.height, bucket.width)
    fields: dict[str, tuple[tuple[int, ...], type]] = {
        "kspace": ((bucket.coils, *image), np.complex64),
        "mask": ((1, bucket.width), np.bool_),
        "acs": ((), np.int32),
        "target": (image, np.float32),
        "crop": ((2,), np.int32),
        "data_range": ((), np.float32),
        "slice_id": ((), np.int32),
        "weight": ((), np.float32),
    }
    return {
        name: jax.ShapeDtypeStruct((batch_size, *shape), dtype, sharding=sharding)
        for name, (shape, dtype) in fields.items()
    }
