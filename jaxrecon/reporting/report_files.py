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
from jaxrecon.reporting.provenance_section import provenance_section
from jaxrecon.reporting.sections import curves_section, examples_section, tables_section
from jaxrecon.reporting.series import Style, styles_of
from jaxrecon.reporting.table_formats import as_csv, as_latex, as_markdown
from jaxrecon.reporting.tables import Table


def report_files(
    title: str,
    results: Sequence[ResultsFile],
    tables: Sequence[Table],
    examples: Sequence[Example],
    *,
    pdf: bool = False,
) -> dict[str, bytes]:
    """The contents of a report's files, by their path in the report's folder.

    Args:
        title: of the page.
        results: the results files that the rest was made of.
        tables: of `make_tables`.
        examples: of `load_examples`; may be empty.
        pdf: whether to make figures as PDF, too.

    Returns:
        `index.html`, and files in `tables/`, `curves/` and `figures/`. The same input gives the
        same bytes.
    """
    styles = styles_of(_curve_labels(tables))
    sections = [tables_section(tables), curves_section(tables, styles)]
    if examples:
        sections.append(examples_section(examples))
    measurements = [found for table in tables for found in table.measurements]
    sections.append(provenance_section(results, measurements))
    page = render_page(title, _summary(results, tables), sections)
    return {
        **_table_files(results, tables),
        **_curve_files(tables, styles, pdf=pdf),
        **_figure_files(examples, pdf=pdf),
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


def _summary(results: Sequence[ResultsFile], tables: Sequence[Table]) -> list[str]:
    measurements = [found for table in tables for found in table.measurements]
    return [
        count(len({found.label for found in measurements}), "method"),
        count(len(tables), "data set"),
        count(len({(m.data_set, m.acceleration, m.calibration) for m in measurements}), "setting"),
        count(len(results), "results file"),
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
