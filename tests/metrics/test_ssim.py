import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from fastmri.losses import SSIMLoss
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from jaxrecon.errors import InputError
from jaxrecon.metrics.ssim import ssim
from jaxrecon.physics.cropping import center_crop, center_pad

compiled = jax.jit(ssim)


def pair(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A smooth non-negative target with structure and a noisy version of it, about 0 to 1.3."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    target = np.exp(-3 * (x**2 + y**2)) * (1 + 0.3 * np.sin(20 * x) * np.cos(15 * y))
    image = np.abs(target + 0.03 * generator.standard_normal(target.shape))
    return image.astype(np.float32), target.astype(np.float32)


def reference(image: np.ndarray, target: np.ndarray, data_range: float) -> float:
    return structural_similarity(
        target.astype(np.float64), image.astype(np.float64), data_range=data_range
    )


def score(image, target, data_range, crop=None) -> float:
    return float(
        compiled(
            jnp.asarray(image)[None],
            jnp.asarray(target)[None],
            jnp.asarray([data_range], jnp.float32),
            None if crop is None else jnp.asarray([crop], jnp.int32),
        )[0]
    )


@pytest.mark.parametrize("size", [(7, 7), (7, 40), (64, 49), (201, 96)])
def test_equals_skimage_in_double_precision(size):
    image, target = pair(*size)
    data_range = float(target.max())
    expected = reference(image, target, data_range)
    assert 0.1 < expected < 0.995
    assert score(image, target, data_range) == pytest.approx(expected, rel=1e-5)


# factor, offset, data range: any scale; a large offset over the structure's own range; images far
# brighter than their structure.
@pytest.mark.parametrize(
    ("factor", "offset", "data_range"),
    [
        (1e-9, 0, 1e-9),
        (1e6, 0, 1.3e6),
        (1, 1000, 1),
        (1, 1000, 1001),
        (1e-9, 1e-6, 1e-9),
        (1, -50, 1),
        (0.02, 0.98, 1),
    ],
)
def test_equals_skimage_at_any_scale_and_offset(factor, offset, data_range):
    image, target = (
        (factor * array.astype(np.float64) + offset).astype(np.float32) for array in pair(120, 90)
    )
    expected = reference(image, target, data_range)
    assert score(image, target, data_range) == pytest.approx(expected, rel=1e-5)


def test_equals_fastmris_loss_over_a_batch():
    pairs = [pair(60, 48, seed) for seed in range(3)]
    images, targets = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    targets *= np.float32([1, 3, 0.5])[:, None, None]
    images *= np.float32([1, 2.5, 0.6])[:, None, None]
    data_range = np.float32([1.3, 4, 1])
    found = compiled(*map(jnp.asarray, (images, targets, data_range)))
    loss = SSIMLoss().double()
    unreduced = loss(
        *(torch.from_numpy(array).double()[:, None] for array in (images, targets)),
        torch.from_numpy(data_range).double(),
        reduced=False,
    )
    np.testing.assert_allclose(found, 1 - unreduced.mean((1, 2, 3)).numpy(), rtol=1e-5)


def test_gradient_equals_that_of_fastmris_loss():
    image, target = pair(40, 33)
    tensor = torch.from_numpy(image).double()[None, None].requires_grad_()
    loss = SSIMLoss().double()(
        tensor, torch.from_numpy(target).double()[None, None], torch.tensor([1.2]).double()
    )
    loss.backward()
    expected = tensor.grad.numpy()[0, 0]
    arguments = (jnp.asarray(image)[None], jnp.asarray(target)[None], jnp.float32([1.2]))
    found = jax.grad(lambda *a: 1 - compiled(*a)[0])(*arguments)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("size", [(33, 40), (32, 17), (48, 48), (7, 9)])
def test_only_windows_inside_the_region_count(size):
    image, target = pair(48, 48)
    expected = reference(center_crop(image, *size), center_crop(target, *size), 1.1)
    assert score(image, target, 1.1, size) == pytest.approx(expected, rel=1e-5)
    # Whatever surrounds the region, it changes neither the value nor the gradient.
    inside = center_pad(np.ones(size, bool), 48, 48)
    spoiled = np.where(inside, image, np.nan).astype(np.float32)
    assert score(spoiled, target, 1.1, size) == score(image, target, 1.1, size)

    def loss(image):
        arguments = jnp.asarray(target)[None], jnp.float32([1.1]), jnp.asarray([size], jnp.int32)
        return compiled(image[None], *arguments)[0]

    gradient = np.asarray(jax.grad(loss)(jnp.asarray(spoiled)))
    assert np.isfinite(gradient).all()
    assert not gradient[~inside].any()
    assert gradient[inside].any()


def test_a_region_may_start_anywhere():
    image, target = pair(40, 30)
    found = compiled(
        *(jnp.asarray(array)[None] for array in (image, target)),
        jnp.float32([1.1]),
        jnp.asarray([[20, 11]], jnp.int32),
        jnp.asarray([[3, 19]], jnp.int32),
    )
    region = np.s_[3:23, 19:30]
    expected = reference(image[region], target[region], 1.1)
    assert float(found[0]) == pytest.approx(expected, rel=1e-5)


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(7, 30),
    width=st.integers(7, 30),
    seed=st.integers(0, 100),
    exponent=st.integers(-6, 6),
)
def test_padding_and_scale_change_nothing(height, width, seed, exponent):
    image, target = pair(height, width, seed)
    image, target = (array * np.float32(10.0**exponent) for array in (image, target))
    data_range = float(target.max())
    expected = reference(image, target, data_range)
    found = score(
        center_pad(image, 31, 34), center_pad(target, 31, 34), data_range, (height, width)
    )
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.7])
@pytest.mark.parametrize("data_range", [0.0, 1.0])
def test_flat_images_have_the_analytic_value_and_a_finite_gradient(value, data_range):
    image = jnp.full((1, 12, 12), value, jnp.float32)
    target = jnp.full((1, 12, 12), 0.5, jnp.float32)
    c1 = 1e-4

    def value_of(x, y):
        return compiled(x, y, jnp.float32([data_range]))[0]

    expected = (2 * value * 0.5 + c1) / (value**2 + 0.25 + c1)
    assert float(value_of(image, target)) == pytest.approx(expected, abs=1e-6)
    assert float(value_of(image, image)) == 1
    for gradient in jax.grad(value_of, (0, 1))(image, target):
        assert np.isfinite(np.asarray(gradient)).all()


def test_images_of_one_batch_do_not_mix():
    image, target = (jnp.asarray(array) for array in pair(32, 32))
    batch = jnp.stack([image, jnp.full_like(image, jnp.nan)]), jnp.stack([target, target])
    crop = jnp.asarray([[20, 20], [32, 32]], jnp.int32)
    found = compiled(*batch, jnp.float32([1, 1]), crop)
    assert float(found[0]) == score(image, target, 1, (20, 20))
    assert np.isnan(found[1])


def test_images_smaller_than_a_window_are_refused():
    small = jnp.zeros((1, 6, 9), jnp.float32)
    with pytest.raises(InputError, match="at least 7 x 7 pixels, found 6 x 9"):
        ssim(small, small, jnp.float32([1]))


def test_a_region_without_a_window_scores_0():
    image, target = pair(20, 20)
    assert score(image, target, 1, (6, 20)) == 0


def test_passes_under_strict_promotion():
    image, target = (jnp.asarray(array)[None] for array in pair(16, 16))
    with jax.numpy_dtype_promotion("strict"):
        found = jax.jit(ssim)(image, target, jnp.float32([1]), jnp.asarray([[9, 9]], jnp.int32))
    assert found.dtype == jnp.float32
