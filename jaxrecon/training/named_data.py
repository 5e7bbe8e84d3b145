"""Data sets by name, with what is customary for each, and how the command line names them."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from jaxrecon.data.index_cache import fingerprint
from jaxrecon.errors import InputError
from jaxrecon.metrics.protocol import Protocol
from jaxrecon.training.datasets import TestSet, load_volumes
from jaxrecon.training.subset import Subset, choose

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class Customs:
    """What is customary for a data set.

    Attributes:
        layout: module of `jaxrecon.data` that reads it.
        anatomy: what it shows.
        mask: family of its masks.
        protocol: its judge.
    """

    layout: str = "fastmri"
    anatomy: str = ""
    mask: str = "equispaced"
    protocol: str = "fastmri"


NAMED_DATA = {
    "fastmri_knee": Customs(anatomy="knee"),
    "fastmri_brain": Customs(anatomy="brain"),
    "cmrxrecon": Customs("cmrxrecon", "cardiac", "cmrxrecon_uniform", "cmrxrecon2023"),
}


@dataclasses.dataclass(frozen=True)
class DataSource:
    """A data set as the command line names it.

    Attributes:
        name: stands in results.
        folder: of its files.
        customs: defaults of what the command line does not say.
    """

    name: str
    folder: Path
    customs: Customs


def parse_data(text: str) -> DataSource:
    """Read NAME=FOLDER, or FOLDER alone, whose own name then stands in results.

    A name in `NAMED_DATA` brings that data set's customs along.

    Args:
        text: as given on the command line.

    Raises:
        InputError: no folder is named.
    """
    name, separator, folder = text.partition("=")
    if not separator or Path(text).exists():
        name, folder = Path(text).absolute().name, text
    if not name or not folder:
        raise InputError(f"--data: expected FOLDER or NAME=FOLDER, found {text!r}")
    return DataSource(name, Path(folder), NAMED_DATA.get(name, Customs()))


def for_each(
    flag: str,
    values: Sequence[str],
    sources: Sequence[DataSource],
    default: Callable[[DataSource], Value],
    convert: Callable[[str], Value],
) -> list[Value]:
    """A flag's value for each data set.

    Args:
        flag: its name.
        values: as given: none, one for all data sets, or one for each.
        sources: the data sets.
        default: the value of a data set where none is given.
        convert: makes a value of what is given.

    Raises:
        InputError: there are more or fewer values.
    """
    if not values:
        return [default(source) for source in sources]
    if len(values) not in (1, len(sources)):
        raise InputError(
            f"--{flag}: expected one value for all or one for each of the {len(sources)} data "
            f"sets, found {len(values)}"
        )
    return [convert(value) for value in values] * (len(sources) // len(values))


def open_data(
    source: DataSource,
    mask: Mapping[str, Any],
    protocol: Protocol,
    subset: Subset,
    *,
    contrasts: Sequence[str],
    skip_bad: bool,
) -> TestSet:
    """Find the files of a data set and choose those that are judged.

    Args:
        source: the data set.
        mask: fields of `config.mask`.
        protocol: the judge.
        subset: which part of the data to judge.
        contrasts: keep only files of these; empty for all.
        skip_bad: leave out and count files and slices that cannot be used, instead of stopping.

    Raises:
        InputError: the folder or a file is bad, or nothing is left.
    """
    on_bad = "skip" if skip_bad else "error"
    volumes = load_volumes(
        source.folder,
        source.customs.layout,
        contrasts=tuple(contrasts),
        with_maxima=protocol.data_range == "volume",
        check="values" if skip_bad else "structure",
        on_bad_file=on_bad,
        on_bad_slice=on_bad,
    )
    chosen = choose(volumes, subset, protocol.selects)
    said = [f"contrast {' or '.join(contrasts)}"] if contrasts else []
    return TestSet(
        source.name,
        source.customs.anatomy,
        chosen.volumes,
        mask,
        protocol,
        slices=chosen.slices,
        subset="; ".join([*said, *filter(None, [chosen.description])]),
    )


def describe(test_set: TestSet) -> dict[str, Any]:
    """What determines the results on a data set, as JSON values."""
    files = [
        [
            volume.name,
            fingerprint(Path(volume.path)),
            None if test_set.slices is None else sorted(test_set.slices[volume.name]),
            volume.bad_slices,
        ]
        for volume in test_set.volumes
    ]
    return {
        "anatomy": test_set.anatomy,
        "mask": dict(test_set.mask),
        "protocol": test_set.protocol.name,
        "subset": test_set.subset,
        "files": len(files),
        # Over names, sizes, times of change and judged slices.
        "files_sha256": hashlib.sha256(json.dumps(files).encode()).hexdigest(),
    }
