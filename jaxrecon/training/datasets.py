"""From a configuration to volumes and pipelines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxrecon.data.index import index_folder
from jaxrecon.data.pipeline import Pipeline
from jaxrecon.data.split import split_cases
from jaxrecon.data.volume import Volume
from jaxrecon.errors import InputError
from jaxrecon.metrics.protocols import Protocol
from jaxrecon.physics.sampling import MaskSpec

Volumes = tuple[Volume, ...]


class DataSets(NamedTuple):
    """The volumes of a run."""

    train: Volumes
    validation: Volumes
    test: Volumes


def load_volumes(
    folder: str | Path,
    layout: str,
    *,
    contrasts: tuple[str, ...] = (),
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
    if with_maxima:
        index = index.with_maxima()
    volumes = tuple(v for v in index.volumes if not contrasts or v.contrast in contrasts)
    if not volumes:
        found = sorted({volume.contrast for volume in index.volumes})
        raise InputError(
            f"{folder}: expected files of the contrasts {', '.join(contrasts)}, "
            f"found {', '.join(found)}"
        )
    return volumes


def load_data_sets(config: Mapping[str, Any], protocol: Protocol) -> DataSets:
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
    volumes: Volumes, masks: MaskSpec, protocol: Protocol, *, batch_size: int, coil_multiple: int
) -> Pipeline:
    """The slices that a protocol judges.

    Raises:
        InputError: it selects none of them, or a file cannot be judged.
    """
    return Pipeline(
        volumes,
        masks,
        batch_size=batch_size,
        coil_multiple=coil_multiple,
        data_range=protocol.data_range,
        selects=protocol.selects,
    )
