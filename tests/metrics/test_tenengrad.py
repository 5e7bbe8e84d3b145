import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrecon.errors import InputError
from jaxrecon.metrics import tenengrad as module
from jaxrecon.physics.cropping import center_crop, center_pad

tenengrad = jax.jit(module.tenengrad)


def scipy_tenengrad(image: np.ndarray) -> float:
    image = image.astype(np.float64)
    square = scipy.ndimage.sobel(image, 0) ** 2 + scipy.ndimage.sobel(image, 1) ** 2
    return float(square[1:-1, 1:-1].mean())


def images(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).random((3, height, width)).astype(np.float32)


def test_equals_scipys_sobel_over_each_images_region():
    image, data_range = images(40, 37), np.float32([1, 0.7, 3])
    crop = np.array([[40, 37], [12, 31], [3, 5]], np.int32)
    start = np.array([[0, 0], [5, 6], [30, 2]], np.int32)
    found = tenengrad(jnp.asarray(image), jnp.asarray(data_range), crop, start)
    centred = tenengrad(jnp.asarray(image), jnp.asarray(data_range), crop)
    for i, (size, first) in enumerate(zip(crop.tolist(), start.tolist(), strict=True)):
        part = image[i, first[0] :, first[1] :][: size[0], : size[1]] / data_range[i]
        assert float(found[i]) == pytest.approx(scipy_tenengrad(part), rel=1e-5)
        part = center_crop(image[i], *size) / data_range[i]
        assert float(centred[i]) == pytest.approx(scipy_tenengrad(part), rel=1e-5)


@settings(deadline=None, max_examples=20)
@given(
    height=st.integers(3, 20),
    width=st.integers(3, 20),
    exponent=st.integers(-9, 6),
    fill=st.sampled_from([0, 1e30, np.nan, np.inf]),
)
def test_padding_and_scale_change_nothing(height, width, exponent, fill):
    image = images(height, width)
    scale = np.float32(10.0**exponent)
    inside = center_pad(np.ones((height, width), bool), 22, 24)
    padded = np.where(inside, center_pad(image * scale, 22, 24), np.float32(fill))
    crop = jnp.asarray([[height, width]] * 3, jnp.int32)
    arguments = (jnp.asarray(padded), jnp.full(3, scale), crop)
    expected = [scipy_tenengrad(one) for one in image]
    np.testing.assert_allclose(tenengrad(*arguments), expected, rtol=1e-5)
    gradient = jax.grad(lambda x: jnp.sum(module.tenengrad(x, *arguments[1:])))(arguments[0])
    assert np.isfinite(gradient).all()
    assert (np.asarray(gradient)[:, ~inside] == 0).all()


def test_a_real_image_loses_sharpness_when_it_is_blurred(real_data):
    image = np.load(real_data / "data" / "cardiac_sax.npz")["images"][[10, 50, 90]]
    blurred = scipy.ndimage.gaussian_filter(image, (0, 1, 1))
    data_range = jnp.asarray(image.max((1, 2)))
    sharp = tenengrad(jnp.asarray(image), data_range)
    soft = tenengrad(jnp.asarray(blurred), data_range)
    assert (sharp > 1.5 * soft).all()


def test_limits():
    flat = jnp.ones((1, 5, 5), jnp.float32)
    assert float(tenengrad(flat, jnp.float32([1]))[0]) == 0
    ramp = jnp.broadcast_to(jnp.arange(5, dtype=jnp.float32), (1, 5, 5))
    assert float(tenengrad(ramp, jnp.float32([0]))[0]) == 64  # 8 per pixel of slope
    assert float(tenengrad(ramp, jnp.float32([1]), jnp.int32([[2, 5]]))[0]) == 0
    with pytest.raises(InputError, match="at least 3 x 3 pixels, found 2 x 9"):
        module.tenengrad(jnp.zeros((1, 2, 9), jnp.float32), jnp.float32([1]))
