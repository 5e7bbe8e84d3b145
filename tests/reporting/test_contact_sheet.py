import numpy as np
import pytest

from jaxrecon.reporting.contact_sheet import draw_contact_sheet


def sheet(count, rows=20, columns=16, heading="heading"):
    images = np.linspace(0.1, 1, count, dtype=np.float32)[:, None, None] * np.ones(
        (count, rows, columns), np.float32
    )
    return draw_contact_sheet(images, [f"slice {n}" for n in range(count)], heading)


@pytest.mark.parametrize("count", [2, 7, 40])
def test_every_slice_is_drawn_on_one_scale(count):
    picture = sheet(count)
    assert picture.dtype == np.uint8
    flat = picture.reshape(-1, 3)
    levels, sizes = np.unique(flat[(flat == flat[:, :1]).all(1)][:, 0], return_counts=True)
    large = set(levels[sizes > 100].tolist())
    # Each slice is a patch of its own grey, to within the steps of the colour map.
    for value in 255 * np.linspace(0.1, 1, count):
        assert min(abs(level - value) for level in large) <= 2


def test_no_pixel_of_an_image_is_lost():
    assert sheet(1, 640, 700).shape[1] >= 700
    assert sheet(4, 320, 320).shape[1] >= 640


def test_long_headings_take_more_lines():
    assert sheet(1, heading="word " * 60).shape[0] > sheet(1).shape[0] + 40


def test_images_of_zeros_can_be_drawn():
    assert draw_contact_sheet(np.zeros((2, 8, 8), np.float32), ["a", "b"], "heading").any()
