"""Total variation against the semantic prior, backbone by backbone, with measures as lines.

The shape of Table 1 of arXiv:2511.19641. Pairs are found by the names of methods: `NAME_tv` and
`NAME_semantic`, each perhaps followed by words in brackets such as "(random encoder)".
"""

import csv
import dataclasses
import io
import re
from collections.abc import Mapping, Sequence

from jaxrecon.metrics.measures import MEASURES, Measure
from jaxrecon.metrics.summary import Summary
from jaxrecon.reporting.captions import block_setting, table_caption
from jaxrecon.reporting.comparability import first_mismatch, judged_as
from jaxrecon.reporting.measurements import Measurement
from jaxrecon.reporting.notation import DASH, number
from jaxrecon.reporting.ranking import ranks
from jaxrecon.reporting.table_formats import heading, latex_text, markdown_text, spread

PRIORS = {"tv": "TV", "semantic": "Semantic"}

_LINES = ("psnr", "ssim", "lpips", "tenengrad")
_METHOD = re.compile(rf"(?P<name>.+)_(?P<prior>{'|'.join(PRIORS)})(?P<rest>( \(.+\))?)")
_BACKBONES = {"unet": "U-Net", "unrolled": "Unrolled", "inr": "INR"}


@dataclasses.dataclass(frozen=True)
class PairCell:
    """A measure of one method of a pair.

    Attributes:
        summary: of the measure over files or slices.
        is_best: it is printed as the better one of its pair.
    """

    summary: Summary
    is_best: bool


@dataclasses.dataclass(frozen=True)
class PairLine:
    """A measure's line: for every backbone the cells of both priors; None without a result."""

    measure: Measure
    cells: tuple[PairCell | None, ...]


@dataclasses.dataclass(frozen=True)
class PairBlock:
    """The lines of one acceleration.

    Attributes:
        acceleration: nominal.
        setting: how it was sampled and judged, in words.
        lines: one a measure.
    """

    acceleration: float
    setting: str
    lines: tuple[PairLine, ...]


@dataclasses.dataclass(frozen=True)
class PairTable:
    """All pairs of one data set.

    Attributes:
        data_set: its name.
        caption: what the numbers are, in sentences.
        backbones: headings of the pairs of columns.
        blocks: by rising acceleration.
    """

    data_set: str
    caption: str
    backbones: tuple[str, ...]
    blocks: tuple[PairBlock, ...]


def make_pair_tables(measurements: Sequence[Measurement]) -> list[PairTable]:
    """One table for every data set with a backbone that has results with both priors.

    Numbers form a pair only where they were judged in the same way. A semantic prior with words in
    brackets is held against the method with total variation and the same words, or without any. A
    method that has several results under one setting, of several runs, is left out.

    Args:
        measurements: of `comparable_measurements`.
    """
    by_data_set: dict[str, list[Measurement]] = {}
    for found in measurements:
        by_data_set.setdefault(found.data_set, []).append(found)
    tables = [_table(found) for found in by_data_set.values()]
    return [table for table in tables if table is not None]


def block_title(table: PairTable, block: PairBlock) -> str:
    """What a block of a table is headed with."""
    return f"{table.data_set} (R = {block.acceleration:g})"


def pair_table_markdown(table: PairTable) -> str:
    """A table in GitHub's Markdown; the better number of each pair is bold."""
    headings = [f"{backbone}: {prior}" for backbone in table.backbones for prior in PRIORS.values()]
    rows = [["Measure", *headings], ["---", *["---:"] * len(headings)]]
    for block in table.blocks:
        blank = [""] * (len(headings) - 1)
        rows.append([f"**{block_title(table, block)}**", f"*{block.setting}*", *blank])
        for line in block.lines:
            cells = [_cell_text(cell, line.measure, "**{}**") for cell in line.cells]
            rows.append([heading(line.measure), *cells])
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    text = "\n".join(f"| {' | '.join(row)} |" for row in escaped)
    return f"{text}\n\n{markdown_text(table.caption)}\n"


def pair_table_latex(table: PairTable) -> str:
    r"""A table environment that needs `\usepackage{booktabs}` and nothing else."""
    columns = 2 * len(table.backbones)
    names = " & ".join(rf"\multicolumn{{2}}{{c}}{{{latex_text(n)}}}" for n in table.backbones)
    rules = " ".join(rf"\cmidrule(lr){{{first}-{first + 1}}}" for first in range(2, columns + 2, 2))
    priors = " & ".join(list(PRIORS.values()) * len(table.backbones))
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(table.caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * columns}}}",
        r"\toprule",
        rf" & {names} \\",
        rules,
        rf" & {priors} \\",
    ]
    for block in table.blocks:
        title = latex_text(f"{block_title(table, block)}, {block.setting}")
        lines += [r"\midrule", rf"\multicolumn{{{columns + 1}}}{{c}}{{{title}}} \\", r"\midrule"]
        for line in block.lines:
            cells = [latex_text(_cell_text(cell, line.measure, "{}")) for cell in line.cells]
            marked = [
                rf"\textbf{{{text}}}" if cell and cell.is_best else text
                for text, cell in zip(cells, line.cells, strict=True)
            ]
            lines.append(" & ".join([latex_text(heading(line.measure)), *marked]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def pair_table_csv(table: PairTable) -> str:
    """A line for every cell, at full precision."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(
        [
            "dataset", "acceleration", "setting", "measure", "backbone", "prior", "mean", "std",
            "ci95_low", "ci95_high", "is_best",
        ]
    )  # fmt: skip
    columns = [(backbone, prior) for backbone in table.backbones for prior in PRIORS]
    for block in table.blocks:
        for line in block.lines:
            for (backbone, prior), cell in zip(columns, line.cells, strict=True):
                if cell is None:
                    continue
                summary = cell.summary
                writer.writerow(
                    [
                        table.data_set, f"{block.acceleration:g}", block.setting,
                        line.measure.name, backbone, prior, summary["mean"], summary["std"],
                        *summary["ci95"], int(cell.is_best),
                    ]
                )  # fmt: skip
    return output.getvalue()


def _table(measurements: Sequence[Measurement]) -> PairTable | None:
    settings: dict[tuple[object, ...], list[Measurement]] = {}
    for found in measurements:
        settings.setdefault(judged_as(found), []).append(found)
    pairs = {setting: _pairs(found) for setting, found in settings.items()}
    pairs = {setting: found for setting, found in pairs.items() if found}
    if not pairs:
        return None
    backbones = tuple(dict.fromkeys(name for found in pairs.values() for name in found))
    shown = [found for each in pairs.values() for pair in each.values() for found in pair.values()]
    is_mixed = first_mismatch(shown) is not None
    blocks = [_block(found, backbones, is_mixed=is_mixed) for found in pairs.values()]
    caption = table_caption(shown, is_mixed=False, is_tested=False, baseline=None, is_marked=False)
    return PairTable(
        shown[0].data_set,
        f"{caption} The better one of each pair bold.",
        backbones,
        tuple(sorted(blocks, key=lambda block: block.acceleration)),
    )


def _pairs(measurements: Sequence[Measurement]) -> dict[str, dict[str, Measurement]]:
    """The two measurements of each backbone, by the keys of `PRIORS`."""
    methods: dict[str, list[Measurement]] = {}
    for found in measurements:
        methods.setdefault(found.method, []).append(found)
    single = {name: found[0] for name, found in methods.items() if len(found) == 1}
    pairs = {}
    for method, semantic in single.items():
        parts = _METHOD.fullmatch(method)
        if parts is None or parts["prior"] != "semantic":
            continue
        name, rest = parts["name"], parts["rest"]
        baseline = single.get(f"{name}_tv{rest}", single.get(f"{name}_tv"))
        if baseline is not None:
            pairs[_BACKBONES.get(name, name) + rest] = {"tv": baseline, "semantic": semantic}
    return pairs


def _block(
    pairs: Mapping[str, Mapping[str, Measurement]], backbones: Sequence[str], *, is_mixed: bool
) -> PairBlock:
    shown = [found for pair in pairs.values() for found in pair.values()]
    first = shown[0]
    setting = f"{first.calibration}, {block_setting(shown)}"
    if is_mixed:
        setting += f", protocol {first.protocol}, {first.mask}, crop {first.crop_text}"
    return PairBlock(
        first.acceleration,
        setting,
        tuple(
            PairLine(
                MEASURES[name],
                tuple(
                    cell for each in backbones for cell in _cells(pairs.get(each), MEASURES[name])
                ),
            )
            for name in _LINES
            if any(name in found.measures for found in shown)
        ),
    )


def _cells(pair: Mapping[str, Measurement] | None, measure: Measure) -> list[PairCell | None]:
    if pair is None:
        return [None] * len(PRIORS)
    summaries = [pair[prior].measures.get(measure.name) for prior in PRIORS]
    known = [summary for summary in summaries if summary is not None]
    if len(known) < len(PRIORS):
        return [None if summary is None else PairCell(summary, False) for summary in summaries]
    places = ranks([summary["mean"] for summary in known], measure)
    return [PairCell(*each) for each in zip(known, (p == 1 for p in places), strict=True)]


def _cell_text(cell: PairCell | None, measure: Measure, best: str) -> str:
    if cell is None:
        return DASH
    text = number(measure, cell.summary["mean"]) + spread(cell.summary, measure)
    return best.format(text) if cell.is_best else text
