"""Choosing the part of a data set that is judged, the same part every time.

Nothing is drawn: files are ordered by the SHA-256 of their names, so that a choice depends on the
names alone, not on folders, seeds or what else is evaluated, and a smaller choice is part of a
larger one.
"""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jaxrecon.atomic_file import unfinished
from jaxrecon.data.plan import list_slices
from jaxrecon.data.volume import Volume
from jaxrecon.errors import InputError

NAMED_SUBSETS = {"paper_a_knee": 1767, "paper_a_brain": 3168}
"""Slices of the fastMRI sets that arXiv:2604.22557 was tested on.

The paper gives their numbers and does not list its files: these are choices of the same size, made
as this module makes every choice, not the paper's own.
"""

_SLICES = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


@dataclasses.dataclass(frozen=True)
class Subset:
    """Which part of a data set to judge; conditions add up in this order.

    Attributes:
        acquisition: keep files whose contrast (fastMRI's attribute `acquisition`, CMRxRecon's file
            name) contains one of these, in upper or lower case; empty for all.
        file_list: text file with a file's name per line, as results list them, optionally followed
            by a tab and slices such as 0-12,15; "#" starts a comment.
        count: keep this many files.
        fraction: keep this fraction of the files.
        slices: keep this many slices, of whole files but for the last.
        name: one of `NAMED_SUBSETS`, which sets `slices`.
    """

    acquisition: tuple[str, ...] = ()
    file_list: Path | None = None
    count: int | None = None
    fraction: float | None = None
    slices: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if self.name and self.name not in NAMED_SUBSETS:
            raise InputError(
                f"subset: expected one of {', '.join(NAMED_SUBSETS)}, found {self.name!r}"
            )
        sizes = [self.count, self.fraction, self.slices, NAMED_SUBSETS.get(self.name)]
        if sum(size is not None for size in sizes) > 1:
            raise InputError(
                "subset: expected one of a count, a fraction, a number of slices and a named "
                "subset, found several"
            )
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise InputError(
                f"subset fraction: expected more than 0, up to 1, found {self.fraction}"
            )
        for field in ("count", "slices"):
            size = getattr(self, field)
            if size is not None and size < 1:
                raise InputError(f"subset {field}: expected at least 1, found {size}")


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The part of a data set that is judged.

    Attributes:
        volumes: its files, in their old order.
        slices: the only slices of each file that are judged, by the file's name; None for all.
        description: one line; empty for everything.
    """

    volumes: tuple[Volume, ...]
    slices: Mapping[str, frozenset[int]] | None
    description: str


def choose(
    volumes: Sequence[Volume], subset: Subset, selects: Callable[[Volume, int], bool]
) -> Chosen:
    """Take a subset of a data set.

    Args:
        volumes: the files, of unique names.
        subset: which to take.
        selects: whether the protocol judges slice `index` of a volume; others do not count.

    Raises:
        InputError: nothing is left, the data hold fewer than was asked for, or the file list cannot
            be read or names what is not there.
    """
    kept, said = list(volumes), []
    slices: dict[str, frozenset[int]] | None = None
    if subset.acquisition:
        kept = _of_acquisition(kept, subset.acquisition)
        said.append(f"acquisition {' or '.join(subset.acquisition)}")
    if subset.file_list is not None:
        listed = read_file_list(subset.file_list)
        kept = _of_list(kept, listed, subset.file_list)
        slices = {
            volume.name: listed[volume.name] or frozenset(range(volume.slices)) for volume in kept
        }
        said.append(f"files of {subset.file_list.name}")

    def judged(volume: Volume) -> list[int]:
        return [
            reference.index
            for reference in list_slices([volume], selects)
            if slices is None or reference.index in slices[volume.name]
        ]

    ordered, total = sorted(kept, key=_place), len(kept)
    limit = NAMED_SUBSETS.get(subset.name, subset.slices)
    if subset.count is not None or subset.fraction is not None:
        wanted = subset.count or max(1, round((subset.fraction or 0) * total))
        if wanted > total:
            raise InputError(f"subset count: expected {wanted} files, found {total}")
        ordered = ordered[:wanted]
        said.append(f"{wanted} of {total} files, first by the SHA-256 of their names")
    elif limit is not None:
        slices = _first_slices({volume.name: judged(volume) for volume in ordered}, limit, subset)
        ordered = [volume for volume in ordered if volume.name in slices]
        label = f"{subset.name}: " if subset.name else ""
        said.append(
            f"{label}{limit} slices of {len(ordered)} of {total} files, first by the SHA-256 of "
            "their names" + ("; the paper does not list its own" if subset.name else "")
        )
    names = {volume.name for volume in ordered}
    return Chosen(
        tuple(volume for volume in volumes if volume.name in names), slices, "; ".join(said)
    )


def _place(volume: Volume) -> str:
    return hashlib.sha256(volume.name.encode()).hexdigest()


def _of_acquisition(volumes: list[Volume], wanted: Sequence[str]) -> list[Volume]:
    parts = [part.lower() for part in wanted]
    kept = [v for v in volumes if any(part in v.contrast.lower() for part in parts)]
    if not kept:
        found = ", ".join(sorted({volume.contrast for volume in volumes}))
        raise InputError(
            f"subset acquisition: expected files of {' or '.join(wanted)}, found only {found}"
        )
    return kept


def _of_list(
    volumes: list[Volume], listed: Mapping[str, frozenset[int]], path: Path
) -> list[Volume]:
    by_name = {volume.name: volume for volume in volumes}
    missing = [name for name in listed if name not in by_name]
    if missing:
        raise InputError(
            f"{path}: expected names of files of the data set, found {missing[0]!r}"
            + (f" and {len(missing) - 1} more that are not there" if missing[1:] else "")
        )
    for name, indices in listed.items():
        if indices and max(indices) >= by_name[name].slices:
            raise InputError(
                f"{path}: expected slices from 0 to {by_name[name].slices - 1} of {name}, "
                f"found {max(indices)}"
            )
    return [volume for volume in volumes if volume.name in listed]


def _first_slices(
    judged: Mapping[str, Sequence[int]], limit: int, subset: Subset
) -> dict[str, frozenset[int]]:
    available = sum(map(len, judged.values()))
    if available < limit:
        raise InputError(
            f"subset {subset.name or 'slices'}: expected at least {limit} slices to judge, "
            f"found {available}"
        )
    taken, left = {}, limit
    for name, indices in judged.items():
        if indices[:left]:
            taken[name] = frozenset(indices[:left])
        left -= len(indices[:left])
    return taken


def read_file_list(path: Path) -> dict[str, frozenset[int]]:
    """Slices by file name, as `write_file_list` writes them; an empty set means all of a file.

    Raises:
        InputError: the list cannot be read, is empty, names a file twice or slices that are no
            numbers.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a list of files, found {error}") from None
    listed: dict[str, frozenset[int]] = {}
    for line in lines:
        name, _, text = line.split("#")[0].strip().partition("\t")
        name, text = name.strip(), text.strip()
        if not name:
            continue
        if name in listed:
            raise InputError(f"{path}: expected each file once, found {name!r} again")
        if text and not _SLICES.fullmatch(text):
            raise InputError(f"{path}: expected slices such as 0-12,15 of {name}, found {text!r}")
        indices: set[int] = set()
        for part in text.split(",") if text else ():
            first, _, last = part.partition("-")
            indices.update(range(int(first), int(last or first) + 1))
        listed[name] = frozenset(indices)
    if not listed:
        raise InputError(f"{path}: expected names of files, found none")
    return listed


def write_file_list(path: Path, slices: Mapping[str, Sequence[int]], comment: str) -> None:
    """Write down which slices were judged, to be read by `read_file_list`.

    Args:
        path: the text file; it is never seen half-written.
        slices: indices by file name.
        comment: stands in the first line.
    """
    lines = [f"# {comment}"]
    for name, indices in slices.items():
        ordered = sorted(indices)
        is_run = ordered == list(range(ordered[0], ordered[-1] + 1))
        text = f"{ordered[0]}-{ordered[-1]}" if is_run else ",".join(map(str, ordered))
        lines.append(f"{name}\t{text}")
    with unfinished(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
