"""Tables of results as papers print them: a block of methods for every acceleration.

One table shows one data set. Columns are grouped by what fills the centre of k-space, and every
block says for each group the effective acceleration, which is what the methods really got.
"""

import dataclasses
from collections.abc import Sequence

from jaxrecon.errors import InputError
from jaxrecon.metrics.measures import Measure
from jaxrecon.metrics.summary import Summary
from jaxrecon.reporting.captions import block_setting, table_caption
from jaxrecon.reporting.comparability import first_mismatch, judged_as, ways_of_judging
from jaxrecon.reporting.measurements import Measurement
from jaxrecon.reporting.notation import in_table_order
from jaxrecon.reporting.ranking import ranks
from jaxrecon.reporting.significance import differ


@dataclasses.dataclass(frozen=True)
class Cell:
    """A number of a table.

    Attributes:
        summary: of the measure over files or slices.
        rank: 1 for the best of its column and block, 2 for the second best, 0 for others.
        is_significant: where there is a baseline, whether a paired test tells the method from it;
            without one, at the best of the column, whether tests tell it from every other method.
            None where nothing was tested.
    """

    summary: Summary
    rank: int
    is_significant: bool | None


@dataclasses.dataclass(frozen=True)
class Line:
    """A method's line in a block.

    Attributes:
        label: the method's name.
        judged: how it was judged, in tables that mix; "" in others.
        sources: numbers of the results files that its numbers come from.
        cells: one for each group and measure, in this order; None where there is no result.
    """

    label: str
    judged: str
    sources: tuple[int, ...]
    cells: tuple[Cell | None, ...]


@dataclasses.dataclass(frozen=True)
class Block:
    """The lines of one acceleration.

    Attributes:
        acceleration: nominal.
        settings: for each group of columns the effective acceleration, the ACS columns and the
            number of slices, in words; "" where there is no result.
        lines: one a method.
    """

    acceleration: float
    settings: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """All results on one data set.

    Attributes:
        data_set: its name.
        caption: what the numbers are, in sentences.
        is_mixed: whether lines were judged in several ways.
        groups: headings of the groups of columns.
        measures: the columns of every group.
        blocks: by rising acceleration.
        measurements: that the table shows.
        judged: how each measurement was judged, in tables that mix; "" in others.
    """

    data_set: str
    caption: str
    is_mixed: bool
    groups: tuple[str, ...]
    measures: tuple[Measure, ...]
    blocks: tuple[Block, ...]
    measurements: tuple[Measurement, ...]
    judged: tuple[str, ...]


def make_tables(measurements: Sequence[Measurement], *, baseline: str | None = None) -> list[Table]:
    """One table for every data set.

    Args:
        measurements: of `comparable_measurements`.
        baseline: label of the method that others are tested against; by default the best of each
            column is tested against all others.

    Returns:
        Tables in the order in which data sets appear.

    Raises:
        InputError: no measurement has the baseline's label.
    """
    labels = list(dict.fromkeys(found.label for found in measurements))
    if baseline is not None and baseline not in labels:
        raise InputError(f"--baseline: expected one of {', '.join(labels)}, found {baseline!r}")
    by_data_set: dict[str, list[Measurement]] = {}
    for found in measurements:
        by_data_set.setdefault(found.data_set, []).append(found)
    return [_table(found, baseline) for found in by_data_set.values()]


def _table(measurements: Sequence[Measurement], baseline: str | None) -> Table:
    groups = tuple(dict.fromkeys(m.calibration for m in sorted(measurements, key=_group_order)))
    measures = tuple(in_table_order(name for found in measurements for name in found.measures))
    is_mixed = first_mismatch(measurements) is not None
    judged = ways_of_judging(measurements) if is_mixed else [""] * len(measurements)
    blocks = []
    for acceleration in sorted({found.acceleration for found in measurements}):
        here = [
            (found, way)
            for found, way in zip(measurements, judged, strict=True)
            if found.acceleration == acceleration
        ]
        blocks.append(_block(acceleration, here, groups, measures, baseline))
    cells = [cell for block in blocks for line in block.lines for cell in line.cells if cell]
    is_tested = any(cell.is_significant is not None for cell in cells)
    return Table(
        measurements[0].data_set,
        table_caption(
            measurements,
            is_mixed=is_mixed,
            is_tested=is_tested,
            baseline=baseline,
        ),
        is_mixed,
        groups,
        measures,
        tuple(blocks),
        tuple(measurements),
        tuple(judged),
    )


def _group_order(found: Measurement) -> tuple[float, int]:
    # As in papers: the larger centre, which is the easier setting, first.
    return (-(found.center_fraction or 0), -max(found.acs))


def _block(
    acceleration: float,
    judged: Sequence[tuple[Measurement, str]],
    groups: Sequence[str],
    measures: Sequence[Measure],
    baseline: str | None,
) -> Block:
    lines: dict[tuple[str, str], dict[str, Measurement]] = {}
    for found, way in judged:
        lines.setdefault((found.label, way), {})[found.calibration] = found
    columns: dict[tuple[object, ...], list[Measurement]] = {}
    for found, _ in judged:
        columns.setdefault(judged_as(found), []).append(found)
    cells = {
        (id(found), measure.name): cell
        for column in columns.values()
        for measure in measures
        for found, cell in _column(column, measure, baseline)
    }
    return Block(
        acceleration,
        tuple(
            block_setting([found for found, _ in judged if found.calibration == group])
            for group in groups
        ),
        tuple(
            Line(
                label,
                way,
                tuple(sorted({source for found in line.values() for source in found.sources})),
                tuple(
                    cells.get((id(line.get(group)), measure.name))
                    for group in groups
                    for measure in measures
                ),
            )
            for (label, way), line in lines.items()
        ),
    )


def _column(
    column: Sequence[Measurement], measure: Measure, baseline: str | None
) -> list[tuple[Measurement, Cell]]:
    """The cells of one measure for the methods that were judged in the same way."""
    methods = [found for found in column if measure.name in found.measures]
    if not methods:
        return []
    means = [found.measures[measure.name]["mean"] for found in methods]
    rank = ranks(means, measure)
    if baseline is None:
        significant = _significantly_best(methods, rank, measure.name)
    else:
        reference = [found for found in methods if found.label == baseline]
        significant = [None] * len(methods)
        if reference:
            significant = differ(reference[0], methods, measure.name)
    return [
        (found, Cell(found.measures[measure.name], place, mark))
        for found, place, mark in zip(methods, rank, significant, strict=True)
    ]


def _significantly_best(
    methods: Sequence[Measurement], rank: Sequence[int], measure: str
) -> list[bool | None]:
    if 1 not in rank:
        return [None] * len(methods)
    best = methods[rank.index(1)]
    others = differ(best, [found for found in methods if found is not best], measure)
    tested = [each for each in others if each is not None]
    verdict = all(each is True for each in others) if tested else None
    return [verdict if found is best else None for found in methods]
