"""From a configuration to volumes and pipelines."""

import dataclasses
import functools
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxrecon.data import hdf5
from jaxrecon.data.index import index_folder
from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.pipeline import Pipeline
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from jaxrecon.data.split import split_cases
from jaxrecon.data.volume import Volume
from jaxrecon.errors import InputError
from jaxrecon.metrics.protocols import Protocol
from jaxrecon.metrics.protocols import protocol as protocol_named
from jaxrecon.physics.sampling import MaskSpec

Volumes = tuple[Volume, ...]

_PHANTOM = "phantom:"


class DataSets(NamedTuple):
    """The volumes of a run."""

    train: Volumes
    validation: Volumes
    test: Volumes


@dataclasses.dataclass(frozen=True)
class TestSet:
    """One data set to judge on.

    Attributes:
        name: stands in results.
        anatomy: what it shows.
        volumes: its files.
        mask: fields of `config.mask`.
        protocol: the judge.
        slices: the only slices of each file that are judged, by the file's name; None for all that
            the protocol selects.
        subset: which part of the data it is, in one line; empty for all.
    """

    name: str
    anatomy: str
    volumes: Volumes
    mask: Mapping[str, Any]
    protocol: Protocol
    slices: Mapping[str, Collection[int]] | None = None
    subset: str = ""

    @functools.cached_property
    def origin(self) -> str:
        """What its first file says of where the data come from; empty if nothing.

        Raises:
            InputError: the file cannot be read.
        """
        return origin_of(self.volumes[0])

    def selects(self, volume: Volume, index: int) -> bool:
        """Whether slice `index` of the volume is judged."""
        chosen = self.slices is None or index in self.slices[volume.name]
        return chosen and self.protocol.selects(volume, index)


def folder_of(root: str, phantoms: Mapping[str, Any], generated: Path) -> str:
    """The folder that a configuration's folder field means.

    Args:
        root: a folder, or "phantom:NAME" for phantoms, which are written where they are missing.
        phantoms: `config.phantoms`.
        generated: where phantoms are written, a folder each.

    Raises:
        InputError: unknown phantoms, or settings they do not have.
    """
    if not root.startswith(_PHANTOM):
        return root
    name = root.removeprefix(_PHANTOM)
    if name not in phantoms:
        known = ", ".join(phantoms) or "none"
        raise InputError(f"phantoms: expected one of {known}, found {name!r}")
    fields = dict(phantoms[name])
    try:
        layout, cases = fields.pop("layout"), fields.pop("cases")
        settings = PhantomSettings(**fields)
    except KeyError as error:
        raise InputError(f"phantoms.{name}: expected the field {error}, found none") from None
    except TypeError as error:
        raise InputError(f"phantoms.{name}: {error}") from None
    folder = generated / name
    written = write_phantom_dataset(folder, layout, settings, {"train": range(cases)})
    if written.written:
        print(f"phantoms: wrote {len(written.written)} {settings.anatomy} files to {folder}")
    return str(folder)


def with_folders(config: ConfigDict, phantoms: Mapping[str, Any], generated: Path) -> ConfigDict:
    """`config.data` with phantoms in place and every folder field a folder; see `folder_of`."""
    resolved = config.copy_and_resolve_references()
    for field in ("root", *DataSets._fields):
        resolved[field] = folder_of(config[field], phantoms, generated)
    return resolved


def load_test_set(
    name: str, config: Mapping[str, Any], phantoms: Mapping[str, Any], generated: Path
) -> TestSet:
    """One of `config.test_sets`.

    Args:
        name: stands in results.
        config: its fields, see `jaxrecon.config.test_set_config`.
        phantoms: `config.phantoms`.
        generated: where phantoms are written.

    Raises:
        InputError: the folder is missing or bad.
    """
    protocol = protocol_named(config["protocol"])
    volumes = load_volumes(
        folder_of(config["root"], phantoms, generated),
        config["layout"],
        contrasts=tuple(config["contrasts"]),
        with_maxima=protocol.data_range == "volume",
    )
    return TestSet(name, config["anatomy"], volumes, config["mask"], protocol)


def origin_of(volume: Volume) -> str:
    """What a file's attribute `comment` says of where its data come from; empty without one.

    Of files that `jaxrecon.simulate` wrote, "simulated: " and from what; of others the comment's
    first line.

    Raises:
        InputError: the file cannot be read.
    """
    with hdf5.open_file(Path(volume.path)) as file:
        comment = str(file.attrs.get("comment", ""))
    try:
        return "simulated: " + json.loads(comment)["source"].rsplit(", case", 1)[0]
    except (ValueError, KeyError, TypeError, AttributeError):
        return (comment.strip().splitlines() or [""])[0]


def load_volumes(
    folder: str | Path,
    layout: str,
    *,
    contrasts: tuple[str, ...] = (),
    contains: str = "",
    with_maxima: bool,
    check: str = "structure",
    on_bad_file: str = "error",
    on_bad_slice: str = "error",
) -> Volumes:
    """The volumes of a folder.

    Args:
        folder: searched with all below it.
        layout: module of `jaxrecon.data` that reads them.
        contrasts: keep only these; empty for all.
        contains: keep only files with this in their path.
        with_maxima: fill in the targets' maxima, reading whole files where they do not say it.
        check: see `index_folder`.
        on_bad_file: see `index_folder`.
        on_bad_slice: see `index_folder`.

    Raises:
        InputError: a file is bad, or none is left.
    """
    index = index_folder(
        layout, folder, check=check, on_bad_file=on_bad_file, on_bad_slice=on_bad_slice
    )
    if index.skipped or index.skipped_slices:
        print(f"{folder}: skipped {len(index.skipped)} files and {index.skipped_slices} slices")
        for path, reason in index.skipped[:5]:
            print(f"  {path}: {reason}")
    kept = tuple(
        volume
        for volume in index.volumes
        if contains in volume.path and (not contrasts or volume.contrast in contrasts)
    )
    if not kept:
        found = sorted({volume.contrast for volume in index.volumes})
        raise InputError(
            f"{folder}: expected files of the contrasts {', '.join(contrasts) or 'any'} with "
            f"{contains!r} in their path, found only {', '.join(found)}"
        )
    index = dataclasses.replace(index, volumes=kept)
    return (index.with_maxima() if with_maxima else index).volumes


def load_data_sets(config: Mapping[str, Any] | ConfigDict, protocol: Protocol) -> DataSets:
    """Training, validation and test volumes.

    Args:
        config: `config.data`, its folders resolved.
        protocol: judges validation and test.

    Raises:
        InputError: a folder is missing or bad, or a patient would be in two parts.
    """
    volume_range = "volume" in (config["data_range"], protocol.data_range)

    def load(folder: str) -> Volumes:
        return load_volumes(
            folder,
            config["layout"],
            contrasts=tuple(config["contrasts"]),
            contains=config["contains"],
            with_maxima=volume_range,
            check=config["check"],
            on_bad_file=config["on_bad_file"],
            on_bad_slice=config["on_bad_slice"],
        )

    parts = {name: config[name] for name in DataSets._fields}
    if config["root"] and any(parts.values()):
        raise InputError(
            "data: expected either root or train, validation and test, found root = "
            f"{config['root']!r} and {', '.join(name for name, value in parts.items() if value)}"
        )
    if config["root"]:
        return DataSets(
            *split_cases(load(config["root"]), tuple(config["split"]), seed=config["split_seed"])
        )
    missing = [name for name, folder in parts.items() if not folder]
    if missing:
        raise InputError(
            f"data: expected the folder of a data set in data.root, or data.train, data.validation "
            f"and data.test, found no {', '.join(missing)}"
        )
    return DataSets(*(load(folder) for folder in parts.values()))


def training_masks(config: Mapping[str, Any]) -> MaskSpec:
    """Masks that differ between slices and epochs.

    Args:
        config: `config.mask`.
    """
    return MaskSpec(
        config["family"],
        tuple(config["accelerations"]),
        tuple(config["center_fractions"]),
        config["acs"],
        config["training_seed"],
    )


def evaluation_masks(config: Mapping[str, Any]) -> list[MaskSpec]:
    """Masks that depend on the file's name alone, one specification for each acceleration.

    Args:
        config: `config.mask`.
    """
    whole = training_masks(config)  # Checks that the settings pair up.
    fractions = whole.center_fractions or (None,) * len(whole.accelerations)
    return [
        MaskSpec(whole.family, (acceleration,), () if f is None else (f,), whole.acs)
        for acceleration, f in zip(whole.accelerations, fractions, strict=True)
    ]


def evaluation_pipeline(
    volumes: Volumes,
    masks: MaskSpec | None,
    protocol: Protocol,
    *,
    batch_size: int,
    coil_multiple: int,
    selects: Callable[[Volume, int], bool] | None = None,
) -> Pipeline:
    """The slices that a protocol judges.

    Args:
        volumes: the files.
        masks: of the undersampling; None where all files are undersampled already.
        protocol: the judge.
        batch_size: slices in a batch, over all devices and processes.
        coil_multiple: see `Pipeline`.
        selects: whether slice `index` of a volume is judged; as the protocol says by default.

    Raises:
        InputError: it selects none of them, or a file cannot be judged.
    """
    return Pipeline(
        volumes,
        masks,
        batch_size=batch_size,
        coil_multiple=coil_multiple,
        data_range=protocol.data_range,
        selects=selects or protocol.selects,
    )
