"""Tables as Markdown, as LaTeX for the booktabs package, and as CSV."""

import csv
import io
import math
import re
from collections.abc import Sequence

from jaxrecon.metrics.measures import Measure
from jaxrecon.metrics.summary import Summary
from jaxrecon.reporting.measurements import ResultsFile
from jaxrecon.reporting.notation import DASH, MINUS, TIMES, arrow, number
from jaxrecon.reporting.tables import Block, Cell, Line, Table

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", TIMES: r"$\times$", DASH: "--",
    MINUS: "$-$", "∞": r"$\infty$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
}  # fmt: skip


def as_markdown(table: Table) -> str:
    """A table in GitHub's Markdown: the group stands in every heading, a block starts with a line.

    The best numbers are bold, the second best underlined with `<u>`.
    """
    headings = [f"{group}: {heading(m)}" for group in table.groups for m in table.measures]
    lines = [["Method", *(["Judged as"] if table.is_mixed else []), *headings]]
    for block in table.blocks:
        lines.append(_markdown_setting(table, block))
        for line in block.lines:
            cells = [_markdown_cell(cell, m) for cell, m in _with_measures(table, line)]
            labels = [line.label, *([line.judged] if table.is_mixed else [])]
            lines.append([*map(markdown_text, labels), *cells])
    escaped = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    rule = ["---"] * (2 if table.is_mixed else 1) + ["---:"] * len(headings)
    rows = [escaped[0], rule, *escaped[1:]]
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{text}\n\n{markdown_text(table.caption)}\n"


def as_latex(table: Table) -> str:
    r"""A table environment that needs `\usepackage{booktabs}` and nothing else."""
    leading = 2 if table.is_mixed else 1
    width = len(table.measures)
    total = leading + width * len(table.groups)
    blank = " & " * (leading - 1)
    groups = " & ".join(
        rf"\multicolumn{{{width}}}{{c}}{{{latex_text(group)}}}" for group in table.groups
    )
    rules = " ".join(
        rf"\cmidrule(lr){{{first}-{first + width - 1}}}"
        for first in range(leading + 1, total + 1, width)
    )
    names = " & ".join(latex_text(heading(m)) for _ in table.groups for m in table.measures)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(table.caption)}}}",
        rf"\begin{{tabular}}{{{'l' * leading}{'r' * (total - leading)}}}",
        r"\toprule",
        rf"{blank} & {groups} \\",
        rules,
        rf"Method{' & Judged as' if table.is_mixed else ''} & {names} \\",
    ]
    for block in table.blocks:
        settings = " & ".join(
            rf"\multicolumn{{{width}}}{{c}}{{\small {latex_text(setting)}}}"
            for setting in block.settings
        )
        lines += [r"\midrule", rf"$\times${block.acceleration:g}{blank} & {settings} \\"]
        for line in block.lines:
            labels = [line.label, *([line.judged] if table.is_mixed else [])]
            cells = [_latex_cell(cell, m) for cell, m in _with_measures(table, line)]
            lines.append(" & ".join([*map(latex_text, labels), *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def as_csv(table: Table, files: Sequence[ResultsFile]) -> str:
    """A table with one line for every method and setting, at full precision.

    Args:
        table: the table.
        files: the results files, for the path that stands in every line.
    """
    paths = {file.number: str(file.path) for file in files}
    statistics = ("mean", "std", "ci95_low", "ci95_high")
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(
        [
            "dataset", "anatomy", "mask", "acceleration", "effective_acceleration", "acs",
            "center_fraction", "protocol", "crop", "subset", "method", "run", "n_files",
            "n_slices", "unit",
            *(f"{measure.name}_{name}" for measure in table.measures for name in statistics),
            "results",
        ]
    )  # fmt: skip
    for found in table.measurements:
        numbers: list[float | str] = []
        for measure in table.measures:
            summary = found.measures.get(measure.name)
            numbers += [summary["mean"], summary["std"], *summary["ci95"]] if summary else [""] * 4
        writer.writerow(
            [
                found.data_set, found.anatomy, found.mask, f"{found.acceleration:g}",
                found.effective_acceleration, " ".join(map(str, found.acs)),
                "" if found.center_fraction is None else found.center_fraction, found.protocol,
                " ".join(f"{height}x{width}" for height, width in found.crop), found.subset,
                found.label, found.run or "", found.n_files, found.n_slices, found.unit,
                *numbers, paths[found.source],
            ]
        )  # fmt: skip
    return output.getvalue()


def heading(measure: Measure) -> str:
    """A measure's heading: its name, its unit and the direction in which it gets better."""
    unit = f" [{measure.unit}]" if measure.unit else ""
    return f"{measure.label}{unit} {arrow(measure)}"


def latex_text(text: str) -> str:
    """Plain text with everything escaped that LaTeX would read as its own."""
    return re.sub("|".join(map(re.escape, _LATEX)), lambda found: _LATEX[found[0]], text)


def markdown_text(text: str) -> str:
    """Plain text with everything escaped that Markdown would read as emphasis or as HTML."""
    return re.sub(r"([*_<>])", r"\\\1", text)


def spread(summary: Summary, measure: Measure) -> str:
    """A standard deviation, to be put behind the mean; "" where there is none."""
    deviation = summary["std"]
    return f" ± {number(measure, deviation)}" if math.isfinite(deviation) else ""


def _with_measures(table: Table, line: Line) -> list[tuple[Cell | None, Measure]]:
    return list(zip(line.cells, table.measures * len(table.groups), strict=True))


def _markdown_setting(table: Table, block: Block) -> list[str]:
    blank = [""] * (len(table.measures) - 1)
    cells = [f"**{TIMES}{block.acceleration:g}**", *([""] if table.is_mixed else [])]
    for setting in block.settings:
        cells += [f"*{setting}*" if setting else "", *blank]
    return cells


def _markdown_cell(cell: Cell | None, measure: Measure) -> str:
    if cell is None:
        return DASH
    mean = number(measure, cell.summary["mean"])
    marked = {0: mean, 1: f"**{mean}**", 2: f"<u>{mean}</u>"}[cell.rank]
    return marked + spread(cell.summary, measure) + (r"\*" if cell.is_significant else "")


def _latex_cell(cell: Cell | None, measure: Measure) -> str:
    if cell is None:
        return "--"
    mean = latex_text(number(measure, cell.summary["mean"]))
    marked = {0: mean, 1: rf"\textbf{{{mean}}}", 2: rf"\underline{{{mean}}}"}[cell.rank]
    star = "$^{*}$" if cell.is_significant else ""
    return marked + latex_text(spread(cell.summary, measure)) + star
