"""The sections of a page of results: tables, curves and examples."""

import math
from collections.abc import Mapping, Sequence

from jaxrecon.reporting.captions import is_simulated
from jaxrecon.reporting.curves import curve_figure, legend_swatch, panels_of
from jaxrecon.reporting.embedded_images import error_gradient, error_image, grey_image
from jaxrecon.reporting.examples import Example
from jaxrecon.reporting.figures import scale_text
from jaxrecon.reporting.inline_svg import inline_svg
from jaxrecon.reporting.notation import number, slugs
from jaxrecon.reporting.page import Section
from jaxrecon.reporting.series import Style
from jaxrecon.reporting.table_formats import as_latex, as_markdown, heading
from jaxrecon.reporting.tables import Cell, Table
from jaxrecon.reporting.zoom_box import ZoomBox


def tables_section(tables: Sequence[Table]) -> Section:
    """Sortable tables, with their Markdown and LaTeX for copying."""
    names = slugs(table.data_set for table in tables)
    shown = [
        {
            "table": table,
            "name": names[table.data_set],
            "is_simulated": any(is_simulated(found.origin) for found in table.measurements),
            "columns": [(group, measure) for group in table.groups for measure in table.measures],
            "markdown": as_markdown(table),
            "latex": as_latex(table),
        }
        for table in tables
    ]
    return Section(
        "tables",
        "Results",
        "tables.html.j2",
        {"tables": shown, "heading": heading, "number": number, "sort_value": _sort_value},
    )


def curves_section(tables: Sequence[Table], styles: Mapping[str, Style]) -> Section:
    """Every measure against the effective acceleration, a figure for each kind of centre."""
    names = slugs(table.data_set for table in tables)
    shown = []
    for table in tables:
        panels = [panel for measure in table.measures for panel in panels_of(table, measure)]
        labels = dict.fromkeys(label for panel in panels for label in panel.curves)
        groups = [
            [
                inline_svg(
                    curve_figure([panel], styles, legend=False),
                    f"curve-{names[table.data_set]}-{place}",
                    f"{panel.measure.label} against effective acceleration on {panel.data_set}, "
                    f"{panel.group}; the table above has the numbers",
                )
                for place, panel in enumerate(panels)
                if panel.group == group
            ]
            for group in table.groups
        ]
        legend = [
            (
                label,
                inline_svg(
                    legend_swatch(styles[label]),
                    f"swatch-{names[table.data_set]}-{place}",
                    "",
                ),
            )
            for place, label in enumerate(labels)
        ]
        shown.append({"data_set": table.data_set, "groups": groups, "legend": legend})
    return Section("curves", "Curves", "curves.html.j2", {"shown": shown})


def examples_section(examples: Sequence[Example]) -> Section:
    """Images with a slider between any two of them, and their error maps."""
    shown = []
    for example in examples:
        errors = example.errors
        images = [] if example.target is None else [("Target", example.target)]
        images += example.images.items()
        shown.append(
            {
                "example": example,
                "images": [
                    {
                        "label": label,
                        "address": grey_image(image, example.white),
                        "error": error_image(errors[label], example.error_limit)
                        if label in errors
                        else None,
                        "scores": example.score_texts(label),
                    }
                    for label, image in images
                ],
                "scales": scale_text(example),
                "variables": _zoom_variables(example.box, images[0][1].shape),
            }
        )
    return Section(
        "examples",
        "Examples",
        "examples.html.j2",
        {"shown": shown, "gradient": error_gradient()},
    )


def _sort_value(cell: Cell | None) -> str:
    """A number as the page's script reads it; "" for none."""
    if cell is None or math.isnan(cell.summary["mean"]):
        return ""
    mean = cell.summary["mean"]
    return str(mean).replace("inf", "Infinity")


def _zoom_variables(box: ZoomBox, shape: tuple[int, ...]) -> str:
    """Custom properties that place the box on an image and enlarge it."""
    height, width = shape
    scale = min(height, width) / box.size
    # The visible part keeps the image's proportions, so that it may be taller than the box.
    seen_height, seen_width = height / scale, width / scale
    top = min(max(box.row + (box.size - seen_height) / 2, 0), height - seen_height)
    left = min(max(box.column + (box.size - seen_width) / 2, 0), width - seen_width)
    values = {
        "ratio": f"{width} / {height}",
        "scale": f"{scale:.4f}",
        "origin-x": f"{_percent(left, width - seen_width)}",
        "origin-y": f"{_percent(top, height - seen_height)}",
        "box-left": _percent(box.column, width),
        "box-top": _percent(box.row, height),
        "box-width": _percent(box.size, width),
        "box-height": _percent(box.size, height),
    }
    return "; ".join(f"--{name}: {value}" for name, value in values.items())


def _percent(part: float | int, whole: float | int) -> str:
    return f"{100 * part / whole:.3f}%" if whole else "0%"
