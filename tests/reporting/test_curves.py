import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import results_files
from matplotlib.colors import to_rgb
from PIL import Image

from jaxrecon.metrics.measures import MEASURES
from jaxrecon.reporting import series
from jaxrecon.reporting.comparability import comparable_measurements
from jaxrecon.reporting.curves import curve_figure, panels_of
from jaxrecon.reporting.figure_files import pdf_of, png_of, svg_of
from jaxrecon.reporting.inline_svg import inline_svg
from jaxrecon.reporting.measurements import load_results
from jaxrecon.reporting.tables import make_tables


def _table(tmp_path, **changes):
    rows = [
        results_files.row(
            method,
            acceleration=acceleration,
            effective_acceleration=effective,
            center_fraction=fraction,
            acs=round(320 * fraction),
            **changes,
        )
        for fraction, settings in ((0.08, {8.0: 5.1, 4.0: 3.2}), (0.04, {4.0: 3.6}))
        for acceleration, effective in settings.items()
        for method in ("zero_filled", "net")
    ]
    files = load_results([results_files.write(tmp_path, rows)])
    return make_tables(comparable_measurements(files))[0]


def test_curves_run_over_the_effective_acceleration(tmp_path):
    table = _table(tmp_path)
    first, second = panels_of(table, MEASURES["psnr"])
    assert (first.group, second.group) == ("centre fraction 0.08", "centre fraction 0.04")
    assert list(first.curves) == ["Zero-filled", "net"]
    points = first.curves["net"]
    assert [point.effective for point in points] == [3.2, 5.1]
    assert [point.acceleration for point in points] == [4, 8]
    summary = table.measurements[0].measures["psnr"]
    assert (points[0].mean, [points[0].low, points[0].high]) == (summary["mean"], summary["ci95"])
    assert first.limits == second.limits
    assert first.limits[0] < points[0].low


def test_infinite_values_are_left_out(tmp_path):
    infinite = {"mean": math.inf, "std": math.inf, "ci95": [math.inf, math.inf]}
    assert panels_of(_table(tmp_path, psnr=infinite), MEASURES["psnr"]) == []


def test_drawn_lines_hold_the_points(tmp_path):
    panels = panels_of(_table(tmp_path), MEASURES["ssim"])
    figure = curve_figure(panels, series.styles_of(["Zero-filled", "net"]), legend=True)
    left, right = figure.axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in left.lines}
    assert drawn["net"] == [[point.effective, point.mean] for point in panels[0].curves["net"]]
    assert left.get_ylim() == right.get_ylim() == panels[0].limits
    assert left.get_ylabel() == "SSIM, higher is better"
    assert [text.get_text() for text in left.get_xticklabels()] == [
        "3.20\n(R = 4)",
        "5.10\n(R = 8)",
    ]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Zero-filled", "net"]


def test_figures_are_files_of_their_kinds_and_always_the_same(tmp_path):
    panels = panels_of(_table(tmp_path), MEASURES["ssim"])
    styles = series.styles_of(["Zero-filled", "net"])

    def figure():
        return curve_figure(panels, styles, legend=True)

    for make in (png_of, pdf_of, svg_of):
        assert make(figure()) == make(figure())
    assert pdf_of(figure()).startswith(b"%PDF")
    (tmp_path / "curve.png").write_bytes(png_of(figure()))
    with Image.open(tmp_path / "curve.png") as image:
        assert image.info["dpi"][0] == pytest.approx(300, abs=0.1)
        assert np.ptp(np.asarray(image.convert("L"))) == 255


def test_svg_within_a_page_takes_the_page_s_colours(tmp_path):
    panels = panels_of(_table(tmp_path), MEASURES["ssim"])
    styles = series.styles_of(["Zero-filled", "net"])
    text = inline_svg(curve_figure(panels[:1], styles, legend=False), "one", 'a "curve" <b>')
    root = ET.fromstring(text)
    assert root.attrib["aria-label"] == 'a "curve" <b>'
    assert root.attrib["role"] == "img"
    assert not re.search(r"#[0-9a-f]{6}\b", text), "a colour that does not follow the page"
    assert "var(--series-0)" in text
    assert "var(--ink)" in text
    identities = re.findall(r'\bid="([^"]*)"', text)
    assert len(set(identities)) == len(identities)
    assert all(identity.startswith("one-") for identity in identities)
    references = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', text)
    assert {first or second for first, second in references} <= set(identities)
    assert "<style" not in text


def _luminance(colour):
    # WCAG 2.2, relative luminance.
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


def _contrast(first, second):
    dark, light = sorted((_luminance(first), _luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("place", range(len(series.COLOURS)))
def test_curves_stand_out_on_light_and_dark_pages(place):
    light, dark = series.COLOURS[place]
    assert _contrast(light, "#ffffff") >= 3
    assert _contrast(dark, "#14171b") >= 3


def test_many_curves_differ_without_colour():
    styles = series.styles_of(str(number) for number in range(35)).values()
    assert len({(style.marker, style.dashes) for style in styles}) == 35
