import dataclasses
import io

import numpy as np
import pytest
import trajectories
from matplotlib.patches import Rectangle
from PIL import Image

from jaxrecon.reporting.embedded_images import figure_image
from jaxrecon.reporting.embedding_figure import PATH_COLOURS, describe, embedding_figure
from jaxrecon.reporting.figure_files import png_of

SHOWN = trajectories.shown(trajectories.made(slices=3))


def _figure(maps=SHOWN.maps):
    return embedding_figure(maps, SHOWN.trajectory.steps, SHOWN.title)


def test_every_level_has_a_column_and_the_legend_counts():
    figure = _figure()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:4] == [
        "layer1 (principal components)",
        "layer7 (principal components)",
        "One path",
        "One path",
    ]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "positives (25)",
        "negatives (25)",
        "last reconstructions (3)",
        "path's start",
        "path's end",
    ]
    thinned = dataclasses.replace(SHOWN.maps[0], counts=(4000, 25))
    (legend,) = _figure([thinned]).legends
    assert legend.get_texts()[0].get_text() == "positives (25 of 4000)"


def test_all_points_are_within_their_frames():
    found = SHOWN.maps[0]
    above, below = _figure([found]).axes[:2]
    for axes, points in ((above, [*found.positives, *found.finals]), (below, found.path)):
        inside = axes.viewLim.get_points()
        assert (np.asarray(points) >= inside[0]).all()
        assert (np.asarray(points) <= inside[1]).all()


def test_a_short_path_is_enlarged_and_a_box_says_where():
    found = dataclasses.replace(
        SHOWN.maps[0],
        path=SHOWN.maps[0].path[-1] + 0.1 * (SHOWN.maps[0].path - SHOWN.maps[0].path[-1]),
    )
    above, below = _figure([found]).axes[:2]
    (box,) = [patch for patch in above.patches if isinstance(patch, Rectangle)]
    assert below.get_title() == "One path, within the box above"
    assert below.get_xlim() == pytest.approx((box.get_x(), box.get_x() + box.get_width()))
    assert below.get_ylim() == pytest.approx((box.get_y(), box.get_y() + box.get_height()))
    assert not _figure([SHOWN.maps[0]]).axes[0].patches


def test_a_path_darkens_from_blue_to_red():
    colours = PATH_COLOURS(np.linspace(0, 1, 16))[:, :3]
    assert colours[0].argmax() == 2
    assert colours[-1].argmax() == 0
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]  # WCAG 2.2
    assert (np.diff(luminance) < 0).all()


def test_a_map_in_words():
    found = SHOWN.maps[0]
    assert describe(found) == (
        "principal components of layer1: the path begins nearer to the centre of the negatives "
        "and ends nearer to that of the positives."
    )
    back = dataclasses.replace(found, path=found.path[::-1])
    assert "begins nearer to the centre of the positives and ends" in describe(back)
    none = dataclasses.replace(found, positives=np.zeros((0, 2)), counts=(0, 25))
    assert describe(none).endswith("the path of the embedding from the first step to the last.")
    (legend,) = _figure([none]).legends
    assert legend.get_texts()[0].get_text() == "negatives (25)"


def test_figures_are_drawn_at_their_size_and_always_the_same():
    content = png_of(_figure())
    assert content == png_of(_figure())
    with Image.open(io.BytesIO(content)) as image:
        inches = [pixels / 300 for pixels in image.size]
        pixels = np.asarray(image.convert("RGB"))
    assert inches == pytest.approx([2 * 3.2 + 0.7, 2 * 3.2 + 1.2], abs=0.01)
    assert np.ptp(pixels) > 200
    # Colours of both ends of the path are there.
    for end in (0.0, 1.0):
        colour = np.round(np.asarray(PATH_COLOURS(end)[:3]) * 255)
        assert (np.abs(pixels - colour).max(axis=-1) <= 2).sum() > 50
    assert figure_image(_figure()).startswith("data:image/webp;base64,")
