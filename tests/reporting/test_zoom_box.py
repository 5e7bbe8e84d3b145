import numpy as np
import pytest
from scipy import ndimage

from jaxrecon.errors import InputError
from jaxrecon.reporting.zoom_box import ZoomBox, busiest_box, check_fits, parse_zoom


def test_a_box_is_read():
    assert parse_zoom("10,20,64") == ZoomBox(10, 20, 64)


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "1,2,x", "-1,2,3", "1,2,1"])
def test_what_is_no_box_is_refused(text):
    with pytest.raises(InputError, match="--zoom: expected"):
        parse_zoom(text)


def test_a_box_must_lie_in_the_image():
    box = ZoomBox(10, 20, 10)
    assert check_fits(box, (20, 30), "a.h5") is box
    for shape in ((19, 30), (20, 29)):
        with pytest.raises(
            InputError, match=r"expected a box within .* of a\.h5, found rows 10-19"
        ):
            check_fits(box, shape, "a.h5")


@pytest.mark.parametrize("shape", [(40, 40), (32, 52)])
def test_the_box_has_the_most_gradient_energy(shape):
    image = np.random.default_rng(1).random(shape, np.float32)
    image[5:15, 20:30] *= 3
    box = busiest_box(image)
    assert box.size == min(shape) // 4
    energy = sum(each**2 for each in np.gradient(image.astype(np.float64)))
    # scipy's windows are centred, ours start at their corner.
    sums = ndimage.uniform_filter(energy, box.size, mode="constant", origin=-(box.size // 2))
    inside = sums[: shape[0] - box.size + 1, : shape[1] - box.size + 1]
    assert (box.row, box.column) == np.unravel_index(inside.argmax(), inside.shape)


def test_an_image_without_contrast_has_a_box():
    assert busiest_box(np.ones((16, 16), np.float32)).size == 4
