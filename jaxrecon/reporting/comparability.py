"""Which measurements may stand in one table, and under which names.

Numbers of two protocols, crops or sets of files look alike and mean different things. They are
kept apart unless the reader asks to see them together, and then every row says what it is.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jaxrecon.errors import InputError
from jaxrecon.reporting.measurements import Measurement, ResultsFile
from jaxrecon.reporting.notation import span

# Baselines that need no training have the same name everywhere.
_DISPLAY_NAMES = {
    "zero_filled": "Zero-filled",
    "cg_sense": "CG-SENSE",
    "tv": "TV",
    "wavelet": "Wavelet",
}
# Two evaluations of the same images differ by rounding only.
_ROUNDING = 1e-4

Paths = Mapping[int, Path]

# What measurements of a data set (1), at an acceleration (2), in a column of a table (3) share.
_SHARED: tuple[tuple[str, int, Callable[[Measurement], str]], ...] = (
    ("protocol", 1, lambda found: found.protocol),
    ("masks", 2, lambda found: found.mask),
    ("crop", 2, lambda found: found.crop_text),
    ("ACS columns", 3, lambda found: span(found.acs)),
    ("number of judged slices", 3, lambda found: str(found.n_slices)),
    ("subset", 3, lambda found: found.subset or "of everything"),
)


def comparable_measurements(
    files: Sequence[ResultsFile],
    *,
    mix_protocols: bool = False,
    names: Mapping[str, str] | None = None,
) -> list[Measurement]:
    """The measurements of several results files, each once, labelled for one report.

    A result found twice, as the zero-filled image is in every file, is kept once. A method's name
    that stands for different results under one setting is followed by the name of the run.

    Args:
        files: the results files.
        mix_protocols: allow several protocols, crops, mask families and sets of files.
        names: what to call methods, by their name in the results files.

    Returns:
        Measurements in the order given.

    Raises:
        InputError: measurements that would share a table were not made in the same way, or two
            that should be the same differ.
    """
    measurements = [measurement for file in files for measurement in file.measurements]
    paths = {file.number: file.path for file in files}
    names = names or {}
    known = sorted({measurement.method for measurement in measurements})
    for name in names:
        if name not in known:
            raise InputError(f"--names: expected methods of {', '.join(known)}, found {name!r}")
    mismatch = None if mix_protocols else first_mismatch(measurements)
    if mismatch:
        what, expected, value = mismatch.what
        first, found = mismatch.first, mismatch.found
        raise InputError(
            f"{paths[found.source]}: expected {what} {expected} for data set {found.data_set}, "
            f"R = {found.acceleration:g}, {found.calibration}, as in {paths[first.source]}, found "
            f"{value}: give --mix_protocols to show both in one table"
        )
    return _labelled(_each_once(measurements, paths), paths, {**_DISPLAY_NAMES, **names})


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """Two measurements that would share a table but were not made in the same way.

    Attributes:
        first: the measurement that others are held against.
        found: the one that differs.
        what: the property they differ in, of the first and as found, in words.
    """

    first: Measurement
    found: Measurement
    what: tuple[str, str, str]


def first_mismatch(measurements: Sequence[Measurement]) -> Mismatch | None:
    """The first pair of measurements that may not share a table; None if all may."""
    firsts: dict[tuple[object, ...], Measurement] = {}
    for found in measurements:
        scope = (found.data_set, found.acceleration, found.calibration)
        for what, depth, value in _SHARED:
            first = firsts.setdefault(scope[:depth], found)
            if value(first) != value(found):
                return Mismatch(first, found, (what, value(first), value(found)))
        first = firsts[scope]
        others = sorted(first.judged_files ^ found.judged_files)
        if first.files and found.files and others:
            return Mismatch(first, found, ("judged files", "the same", f"other: {others[0][0]}"))
    return None


def judged_as(found: Measurement) -> tuple[object, ...]:
    """All that must be equal for two numbers of one data set to be held against each other."""
    place = (found.data_set, found.acceleration, found.calibration)
    return (*place, *(value(found) for _, _, value in _SHARED), found.judged_files)


def ways_of_judging(measurements: Sequence[Measurement]) -> list[str]:
    """How each measurement of a data set was judged, as far as it differs between them.

    Args:
        measurements: of one data set.

    Returns:
        A text for each, with the protocol first. Texts of one method differ wherever the method
        was judged in several ways.
    """
    differing = {"protocol"}
    firsts: dict[tuple[object, ...], str] = {}
    for found in measurements:
        scope = (found.data_set, found.acceleration, found.calibration)
        for what, depth, value in _SHARED:
            if firsts.setdefault((what, *scope[:depth]), value(found)) != value(found):
                differing.add(what)
    texts = [
        "; ".join(
            value(found) if what == "protocol" else f"{what} {value(found)}"
            for what, _, value in _SHARED
            if what in differing
        )
        for found in measurements
    ]
    places = [
        (found.label, found.acceleration, found.calibration, text)
        for found, text in zip(measurements, texts, strict=True)
    ]
    return [
        f"{text}; results [{found.source}]" if places.count(place) > 1 else text
        for found, text, place in zip(measurements, texts, places, strict=True)
    ]


def _each_once(measurements: Sequence[Measurement], paths: Paths) -> list[Measurement]:
    kept: dict[tuple[object, ...], list[Measurement]] = {}
    for found in measurements:
        rivals = kept.setdefault((found.method, *judged_as(found)), [])
        same = [
            place
            for place, rival in enumerate(rivals)
            if found.run == rival.run and not _differing(found, rival)
        ]
        if same:
            first = rivals[same[0]]
            sources = (*first.sources, found.source)
            rivals[same[0]] = dataclasses.replace(first, sources=sources)
            continue
        if rivals and found.run is None and rivals[0].run is None:
            name = _differing(rivals[0], found)[0]
            expected, value = (m.measures[name]["mean"] for m in (rivals[0], found))
            raise InputError(
                f"{paths[found.source]}: expected {name} of {found.method} for data set "
                f"{found.data_set}, R = {found.acceleration:g}, to be {expected:.6g}, as in "
                f"{paths[rivals[0].source]}, found {value:.6g}, and no run that tells them apart"
            )
        rivals.append(found)
    return [measurement for rivals in kept.values() for measurement in rivals]


def labels_of(measurements: Sequence[Measurement]) -> dict[tuple[int, str], str]:
    """The labels of methods by the number of the results file and their name in it."""
    return {
        (source, found.method): found.label for found in measurements for source in found.sources
    }


def _differing(first: Measurement, second: Measurement) -> list[str]:
    """The measures that both have and that differ by more than rounding."""
    return [
        name
        for name in first.measures.keys() & second.measures.keys()
        if not math.isclose(
            first.measures[name]["mean"], second.measures[name]["mean"], rel_tol=_ROUNDING
        )
    ]


def _labelled(
    measurements: Sequence[Measurement], paths: Paths, names: Mapping[str, str]
) -> list[Measurement]:
    groups: dict[tuple[object, ...], list[Measurement]] = {}
    for found in measurements:
        groups.setdefault((found.method, *judged_as(found)), []).append(found)
    rivals: dict[str, list[list[Measurement]]] = {}
    for group in groups.values():
        if len(group) > 1:
            rivals.setdefault(group[0].method, []).append(group)
    origins = {method: _telling_apart(found, paths) for method, found in rivals.items()}
    labelled = []
    for found in measurements:
        label = names.get(found.method, found.method)
        if found.method in origins:
            label += f" ({origins[found.method](found)})"
        labelled.append(dataclasses.replace(found, label=label))
    return labelled


def _telling_apart(
    groups: Sequence[Sequence[Measurement]], paths: Paths
) -> Callable[[Measurement], str]:
    """The shortest origin that differs between the results of one name in every group."""
    candidates: tuple[Callable[[Measurement], str], ...] = (
        lambda found: Path(found.run or "no run").name,
        lambda found: found.run or "no run",
        lambda found: str(paths[found.source]),
    )
    for candidate in candidates:
        if all(len({candidate(found) for found in group}) == len(group) for group in groups):
            return candidate
    first = groups[0][0]
    raise InputError(
        f"{paths[first.source]}: expected one result of {first.method} for data set "
        f"{first.data_set}, R = {first.acceleration:g}, found several of one run"
    )
