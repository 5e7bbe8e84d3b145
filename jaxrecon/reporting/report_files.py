"""All files of a report: made in memory, then written."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxrecon.atomic_file import unfinished
from jaxrecon.errors import InputError
from jaxrecon.reporting.curves import curve_figure, panels_of
from jaxrecon.reporting.examples import Example
from jaxrecon.reporting.figure_files import pdf_of, png_of, svg_of
from jaxrecon.reporting.figures import example_figure
from jaxrecon.reporting.measurements import ResultsFile
from jaxrecon.reporting.notation import count, slugs
from jaxrecon.reporting.page import render_page
from jaxrecon.reporting.pair_section import pair_section
from jaxrecon.reporting.pair_table import (
    PairTable,
    pair_table_csv,
    pair_table_latex,
    pair_table_markdown,
)
from jaxrecon.reporting.provenance_section import provenance_section
from jaxrecon.reporting.sections import curves_section, examples_section, tables_section
from jaxrecon.reporting.series import Style, styles_of
from jaxrecon.reporting.shown_trajectory import ShownTrajectory, spreads_over_prompts
from jaxrecon.reporting.table_formats import as_csv, as_latex, as_markdown
from jaxrecon.reporting.tables import Table
from jaxrecon.reporting.trajectory_files import trajectory_files
from jaxrecon.reporting.trajectory_section import trajectories_section


def report_files(
    title: str,
    results: Sequence[ResultsFile],
    tables: Sequence[Table],
    examples: Sequence[Example],
    *,
    pair_tables: Sequence[PairTable] = (),
    trajectories: Sequence[ShownTrajectory] = (),
    pdf: bool = False,
) -> dict[str, bytes]:
    """The contents of a report's files, by their path in the report's folder.

    Args:
        title: of the page.
        results: the results files that the rest was made of.
        tables: of `make_tables`; may be empty, as all that follow.
        examples: of `load_examples`.
        pair_tables: of `make_pair_tables`.
        trajectories: of `load_trajectories`.
        pdf: whether to make figures as PDF, too.

    Returns:
        `index.html`, and files in `tables/`, `curves/`, `figures/` and `trajectories/`. The same
        input gives the same bytes.
    """
    styles = styles_of(_curve_labels(tables))
    spreads = spreads_over_prompts(trajectories)
    sections = []
    if tables:
        sections.append(tables_section(tables))
    if pair_tables:
        sections.append(pair_section(pair_tables))
    if tables:
        sections.append(curves_section(tables, styles))
    if examples:
        sections.append(examples_section(examples))
    if trajectories:
        sections.append(trajectories_section(trajectories, spreads))
    if results:
        measurements = [found for table in tables for found in table.measurements]
        sections.append(provenance_section(results, measurements))
    page = render_page(title, _summary(results, tables, trajectories), sections)
    return {
        **_table_files(results, tables),
        **_pair_table_files(pair_tables),
        **_curve_files(tables, styles, pdf=pdf),
        **_figure_files(examples, pdf=pdf),
        **trajectory_files(trajectories, spreads, pdf=pdf),
        # The last to be written: where there is a page, the rest is there, too.
        "index.html": page.encode(),
    }


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files into a folder; none is ever seen half-written.

    Args:
        folder: made if it is not there; other files in it are left alone.
        contents: by path in the folder, in the order in which they are written.

    Raises:
        InputError: the folder cannot be written to.
    """
    try:
        for name, content in contents.items():
            with unfinished(folder / name) as temporary:
                temporary.write_bytes(content)
    except OSError as error:
        raise InputError(f"{folder}: expected a folder to write to, found {error}") from None


def _curve_labels(tables: Sequence[Table]) -> list[str]:
    return [
        label
        for table in tables
        for measure in table.measures
        for panel in panels_of(table, measure)
        for label in panel.curves
    ]


def _summary(
    results: Sequence[ResultsFile],
    tables: Sequence[Table],
    trajectories: Sequence[ShownTrajectory],
) -> list[str]:
    measurements = [found for table in tables for found in table.measurements]
    settings = {(m.data_set, m.acceleration, m.calibration) for m in measurements}
    parts = [
        count(len({found.label for found in measurements}), "method"),
        count(len(tables), "data set"),
        count(len(settings), "setting"),
        count(len(results), "results file"),
    ]
    followed = len(trajectories)
    return [
        *(parts if results else []),
        *([f"{followed} {'trajectory' if followed == 1 else 'trajectories'}"] if followed else []),
    ]


def _table_files(results: Sequence[ResultsFile], tables: Sequence[Table]) -> dict[str, bytes]:
    names = slugs(table.data_set for table in tables)
    files = {}
    for table in tables:
        name = f"tables/{names[table.data_set]}"
        files[f"{name}.md"] = as_markdown(table).encode()
        files[f"{name}.tex"] = as_latex(table).encode()
        files[f"{name}.csv"] = as_csv(table, results).encode()
    return files


def _pair_table_files(tables: Sequence[PairTable]) -> dict[str, bytes]:
    names = slugs(table.data_set for table in tables)
    files = {}
    for table in tables:
        name = f"tables/{names[table.data_set]}_tv_and_semantic"
        files[f"{name}.md"] = pair_table_markdown(table).encode()
        files[f"{name}.tex"] = pair_table_latex(table).encode()
        files[f"{name}.csv"] = pair_table_csv(table).encode()
    return files


def _curve_files(
    tables: Sequence[Table], styles: Mapping[str, Style], *, pdf: bool
) -> dict[str, bytes]:
    names = slugs(table.data_set for table in tables)
    files = {}
    for table in tables:
        for measure in table.measures:
            panels = panels_of(table, measure)
            if not panels:
                continue
            figure = curve_figure(panels, styles, legend=True)
            name = f"curves/{names[table.data_set]}_{measure.name}"
            files[f"{name}.png"] = png_of(figure)
            files[f"{name}.svg"] = svg_of(figure).encode()
            if pdf:
                files[f"{name}.pdf"] = pdf_of(figure)
    return files


def _figure_files(examples: Sequence[Example], *, pdf: bool) -> dict[str, bytes]:
    names = slugs(example.title for example in examples)
    files = {}
    for example in examples:
        figure = example_figure(example)
        name = f"figures/{names[example.title]}"
        files[f"{name}.png"] = png_of(figure)
        if pdf:
            files[f"{name}.pdf"] = pdf_of(figure)
    return files
