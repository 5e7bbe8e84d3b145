import numpy as np
import pytest

from jaxrecon.training.panel import draw_panel


def targets(count=2, height=24, width=20):
    rng = np.random.default_rng(0)
    return [rng.uniform(0, 3, (height, width)).astype(np.float32) for _ in range(count)]


def test_the_panel_is_an_rgb_image_that_grows_with_the_rows():
    images = targets(3)
    titles = ["one", "two", "three"]
    one = draw_panel(images[:1], images[:1], images[:1], titles[:1])
    three = draw_panel(images, images, images, titles)
    assert one.dtype == three.dtype == np.uint8
    assert one.shape[1:] == three.shape[1:]
    assert one.shape[2] == 3
    assert three.shape[0] > 2 * one.shape[0]


def error_map(panel):
    """The third of four columns, without headings."""
    height, width = panel.shape[:2]
    return panel[height // 4 :, width // 2 : 3 * width // 4]


def test_a_perfect_reconstruction_has_a_dark_error_map():
    images = targets(1)
    perfect = error_map(draw_panel(images, images, images, ["a"]))
    wrong = [np.flipud(images[0]).copy()]
    bad = error_map(draw_panel(images, wrong, images, ["a"]))
    # Black but for the margin of the page, which both share.
    dark, bright = ((part.max(-1) < 10).mean() for part in (perfect, bad))
    assert dark > 0.5
    assert bright < 0.2


def test_an_error_that_is_half_the_maximum_reads_so_in_the_same_place():
    target = np.zeros((20, 20), np.float32)
    target[:, 10:] = 1
    reconstruction = target.copy()
    reconstruction[:, :10] = 0.5
    panel = draw_panel([target], [reconstruction], [target], ["a"])
    shown = error_map(panel).astype(int).sum(-1)
    columns = shown[shown.shape[0] // 2]
    inside = np.flatnonzero(columns < 700)
    left, right = np.array_split(columns[inside[0] : inside[-1] + 1], 2)
    assert np.median(left) > np.median(right) + 200


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_images_are_drawn(value):
    images = [np.full((8, 8), value, np.float32)]
    assert draw_panel(images, images, images, ["a"]).size


def test_slices_of_different_sizes_share_a_panel():
    images = [*targets(1, 24, 20), *targets(1, 10, 31)]
    assert draw_panel(images, images, images, ["a", "b"]).ndim == 3
