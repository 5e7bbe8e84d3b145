"""Finding and checking the files of a data set, once."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jaxrecon.data.index_cache import IndexCache, fingerprint
from jaxrecon.data.layouts import Layout, layout
from jaxrecon.data.volume import Volume
from jaxrecon.errors import InputError

Report = Callable[[int, int], None]

_THREADS = 8


@dataclasses.dataclass(frozen=True)
class Index:
    """The usable files of a folder.

    Attributes:
        layout: name of their layout.
        root: the folder.
        check: how closely they have been looked at, "structure" or "values".
        volumes: the files, sorted by path.
        skipped: files left out, each with the reason.
    """

    layout: str
    root: str
    check: str
    volumes: tuple[Volume, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def skipped_slices(self) -> int:
        """Bad slices of the files kept."""
        return sum(len(volume.bad_slices) for volume in self.volumes)

    def with_maxima(self, report: Report | None = None) -> "Index":
        """The same index with the target's maximum filled in where a file does not say it.

        This reads the whole of those files that have a target, and remembers the result.

        Args:
            report: called after each file with the number of files done and of all files.

        Raises:
            InputError: a file cannot be read.
        """
        reader = layout(self.layout)
        cache = IndexCache(self.layout, self.root, self.check)
        volumes = list(self.volumes)
        try:
            for position, volume in enumerate(volumes):
                if volume.maximum is None and volume.has_target:
                    path = Path(volume.path)
                    found = fingerprint(path)
                    volume = dataclasses.replace(volume, maximum=reader.volume_maximum(volume))
                    cache.put(path, found, volume)
                    volumes[position] = volume
                if report is not None:
                    report(position + 1, len(volumes))
        finally:
            cache.save()
        return dataclasses.replace(self, volumes=tuple(volumes))


def index_folder(
    name: str,
    root: Path | str,
    *,
    check: str = "structure",
    on_bad_file: str = "error",
    on_bad_slice: str = "error",
    report: Report | None = None,
) -> Index:
    """Describe all files of a layout at or below a folder.

    Each file is inspected once: what was found is kept in a cache (`$JAXRECON_CACHE`, or
    `$XDG_CACHE_HOME/jaxrecon`, or `~/.cache/jaxrecon`) for as long as the file's size and time of
    change stay the same. Files that failed are looked at again.

    Args:
        name: the layout, "fastmri" or "cmrxrecon" (see `jaxrecon.data.layouts.layout`).
        root: the folder.
        check: "structure" looks at keys, shapes and types; "values" also reads every slice, finds
            those that are not finite or all zero, and fills in the maxima on the way.
        on_bad_file: "error" if a file that fails is one, "skip" to leave it out and list it.
        on_bad_slice: likewise for single slices; "skip" needs the check of values. A file without
            a good slice is left out and listed.
        report: called after each file with the number of files done and of all files.

    Raises:
        InputError: no folder, no file of the layout, no usable file, two files of one name, or a
            bad file or slice that is not to be skipped.
    """
    _require_choice("check", check, ("structure", "values"))
    _require_choice("on_bad_file", on_bad_file, ("error", "skip"))
    _require_choice("on_bad_slice", on_bad_slice, ("error", "skip"))
    if on_bad_slice == "skip" and check != "values":
        raise InputError(
            "on_bad_slice: 'skip' needs check = 'values', which finds the bad slices, "
            f"found check = {check!r}"
        )
    reader = layout(name)
    root = Path(root).expanduser().absolute()
    if not root.exists():
        raise InputError(f"{root}: expected a folder of {name} files, found nothing there")
    paths = reader.find_files(root)
    if not paths:
        raise InputError(f"{root}: expected {name} files in this folder, found none")

    cache = IndexCache(name, str(root), check)

    def examine(path: Path) -> Volume | InputError:
        found = fingerprint(path)
        volume = cache.get(path, found)
        if volume is None:
            try:
                volume = reader.inspect(path, root)
                if check == "values":
                    volume = _with_values_checked(reader, volume)
            except InputError as error:
                return error
            cache.put(path, found, volume)
        return volume

    volumes: list[Volume] = []
    skipped: list[tuple[str, str]] = []
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for path, found in zip(paths, pool.map(examine, paths), strict=True):
            if isinstance(found, InputError):
                if on_bad_file == "error":
                    raise found
                skipped.append((str(path), str(found)))
            elif found.bad_slices and on_bad_slice == "error":
                reader.read_slice(found, found.bad_slices[0])  # Raises, saying what is bad.
            elif len(found.bad_slices) == found.slices:
                skipped.append((str(path), f"{path}: expected a good slice, found none"))
            else:
                volumes.append(found)
            if report is not None:
                report(len(volumes) + len(skipped), len(paths))
    finally:
        pool.shutdown(cancel_futures=True)
        cache.save()
    if not volumes:
        raise InputError(
            f"{root}: expected usable {name} files, found {len(skipped)} bad ones; "
            f"the first: {skipped[0][1]}"
        )
    _require_unique_names(volumes)
    return Index(name, str(root), check, tuple(volumes), tuple(skipped))


def _with_values_checked(reader: Layout, volume: Volume) -> Volume:
    """The volume with its bad slices, and with its maximum over the good ones if it lacks one."""
    bad_slices, maxima = [], []
    for index in range(volume.slices):
        try:
            target = reader.read_slice(volume, index).target
        except InputError:
            bad_slices.append(index)
        else:
            maxima += [] if target is None else [float(target.max())]
    maximum = max(maxima, default=None) if volume.maximum is None else volume.maximum
    return dataclasses.replace(volume, bad_slices=tuple(bad_slices), maximum=maximum)


def _require_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{field}: expected one of {', '.join(choices)}, found {value!r}")


def _require_unique_names(volumes: list[Volume]) -> None:
    """Names seed masks and list results: two files of one name cannot be told apart."""
    paths: dict[str, str] = {}
    for volume in volumes:
        other = paths.setdefault(volume.name, volume.path)
        if other != volume.path:
            raise InputError(
                f"{volume.path}: expected a name of its own, found that of {other}: "
                "index their folders one by one"
            )
