import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxrecon.models.build import build_model
from jaxrecon.models.sensitivity import SensitivityNet
from jaxrecon.models.varnet import VarNet

HEIGHT, WIDTH, COILS, CASCADES = 20, 26, 3, 3
CONFIG = {
    "name": "varnet",
    "cascades": CASCADES,
    "dtype": "float32",
    "refinement": {"name": "norm_unet", "channels": 3, "pools": 1},
    "sensitivity": {"channels": 2, "pools": 1},
}


def undersampled(acs, seed=0):
    """k-space of examples with so many calibration columns each, and their masks."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(*(np.arange(n) - n // 2 for n in (HEIGHT, WIDTH)), indexing="ij")
    samples = rng.normal(size=(2, len(acs), COILS, HEIGHT, WIDTH)) / (1 + 0.3 * np.hypot(y, x))
    masks = rng.random((len(acs), 1, WIDTH)) < 0.3
    for mask, count in zip(masks, acs, strict=True):
        first = (WIDTH - count + 1) // 2
        mask[:, first : first + count] = True
    kspace = (samples[0] + 1j * samples[1]) * masks[:, None]
    return jnp.asarray(kspace.astype(np.complex64)), jnp.asarray(masks), jnp.array(acs, jnp.int32)


@pytest.fixture(scope="module")
def network():
    return build_model(CONFIG)


@pytest.fixture(scope="module")
def variables(network):
    return jax.jit(network.init)(jax.random.key(1, impl="rbg"), *undersampled([6]))


@pytest.fixture(scope="module")
def apply(network, variables):
    return jax.jit(functools.partial(network.apply, variables))


def assert_close(found, expected, tolerance=1e-5):
    expected = np.asarray(expected, np.float64)
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_cascades_have_parameters_of_their_own(variables):
    assert variables.keys() == {"params"}
    kernels = variables["params"]["cascades"]["refinement"]["unet"]["down0"]["conv0"]["kernel"]
    assert kernels.shape == (CASCADES, 3, 3, 2, 3)
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01
    np.testing.assert_array_equal(variables["params"]["cascades"]["step"], np.ones(CASCADES))


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
def test_scaling_the_kspace_scales_the_image(apply, factor):
    kspace, mask, acs = undersampled([6])
    expected = np.float64(apply(kspace, mask, acs)) * factor
    # The input itself is only scaled to within float32 rounding, which the network passes on.
    assert_close(apply(kspace * factor, mask, acs), expected, 2e-5)


@pytest.mark.parametrize("exponent", [-20, 20])
def test_scaling_by_a_power_of_two_scales_the_image_exactly(apply, exponent):
    kspace, mask, acs = undersampled([6])
    factor = np.float32(2.0**exponent)
    np.testing.assert_array_equal(
        apply(kspace * factor, mask, acs), apply(kspace, mask, acs) * factor
    )


def test_coils_without_signal_change_nothing(apply):
    kspace, mask, acs = undersampled([6])
    silent = jnp.zeros_like(kspace)
    assert_close(apply(jnp.concatenate([kspace, silent], 1), mask, acs), apply(kspace, mask, acs))


def test_examples_of_a_batch_do_not_see_each_other(apply):
    kspace, mask, acs = undersampled([6, 11])
    both = apply(kspace, mask, acs)
    for number in range(2):
        one = slice(number, number + 1)
        assert_close(both[one], apply(kspace[one], mask[one], acs[one]))


def test_each_example_has_its_own_number_of_calibration_columns(apply):
    kspace, mask, acs = undersampled([6, 6])
    before, after = apply(kspace, mask, acs), apply(kspace, mask, acs.at[1].set(4))
    np.testing.assert_array_equal(before[0], after[0])
    assert np.abs(before[1] - after[1]).max() > 1e-3 * np.abs(before[1]).max()


def test_a_mask_of_single_samples_equals_the_same_mask_of_columns(apply):
    kspace, mask, acs = undersampled([6])
    whole = jnp.broadcast_to(mask, (1, HEIGHT, WIDTH))
    assert_close(apply(kspace, whole, acs), apply(kspace, mask, acs))


def test_no_signal_gives_a_zero_image_and_finite_gradients(network, variables):
    _, mask, acs = undersampled([6])
    kspace = jnp.zeros((1, COILS, HEIGHT, WIDTH), jnp.complex64)

    def total(variables, kspace):
        image = network.apply(variables, kspace, mask, acs)
        return jnp.sum(image), image

    gradient = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))
    gradients, image = gradient(variables, kspace)
    np.testing.assert_array_equal(image, 0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_mixed_precision_gives_float32_images_near_the_full_precision_ones(apply, variables):
    inputs = undersampled([6])
    low = build_model({**CONFIG, "dtype": "bfloat16"})
    found = jax.jit(low.apply)(variables, *inputs)
    assert found.dtype == jnp.float32
    expected = apply(*inputs)
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    assert 1e-5 < difference < 0.1


class Nothing(nn.Module):
    @nn.compact
    def __call__(self, image):
        return jnp.zeros_like(image)


def test_without_refinement_full_sampling_gives_the_root_sum_of_squares():
    network = VarNet(Nothing, functools.partial(SensitivityNet, 2, 0), cascades=2)
    rng = np.random.default_rng(5)
    real, imaginary = rng.normal(size=(2, 1, COILS, HEIGHT, WIDTH))
    kspace = (real + 1j * imaginary).astype(np.complex64)
    inputs = (jnp.asarray(kspace), jnp.ones((1, 1, WIDTH), bool), jnp.array([WIDTH]))
    variables = jax.jit(network.init)(jax.random.key(0, impl="rbg"), *inputs)
    axes = (-2, -1)
    shifted = np.fft.ifftshift(kspace.astype(np.complex128), axes)
    images = np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes)
    expected = np.sqrt(np.sum(np.abs(images) ** 2, axis=1))
    assert_close(jax.jit(network.apply)(variables, *inputs), expected)


class Identity(nn.Module):
    @nn.compact
    def __call__(self, image):
        return image


def test_two_cascades_follow_the_equation():
    """k <- k - step * M (k - k0) - F S R(S^H F^-1 k), written out with centred transforms."""
    network = VarNet(Identity, functools.partial(SensitivityNet, 2, 0), cascades=2)
    kspace, mask, acs = undersampled([6])
    variables = jax.jit(network.init)(jax.random.key(0, impl="rbg"), kspace, mask, acs)
    steps = np.array([0.7, 1.6], np.float32)
    variables["params"]["cascades"]["step"] = jnp.asarray(steps)
    axes = (-2, -1)

    def transform(function, array):
        return np.fft.fftshift(function(np.fft.ifftshift(array, axes), norm="ortho"), axes)

    native = jnp.asarray(np.fft.ifftshift(np.asarray(kspace), axes) * phase(HEIGHT)[:, None])
    native = native * phase(WIDTH)
    sensitivity = {"params": variables["params"]["sensitivity"]}
    maps = jax.jit(SensitivityNet(2, 0).apply)(sensitivity, native, acs)
    maps, measured = np.complex128(maps), np.complex128(kspace)
    estimate = measured
    for step in steps:
        image = np.sum(maps.conj() * transform(np.fft.ifft2, estimate), axis=1, keepdims=True)
        consistent = estimate - step * np.asarray(mask)[:, None] * (estimate - measured)
        estimate = consistent - transform(np.fft.fft2, maps * image)
    expected = np.sqrt(np.sum(np.abs(transform(np.fft.ifft2, estimate)) ** 2, axis=1))
    assert_close(jax.jit(network.apply)(variables, kspace, mask, acs), expected)


def phase(size):
    shift = np.arange(size) * (size // 2) / size
    return np.exp(-2j * np.pi * shift).astype(np.complex64)


class FrozenRefinement(nn.Module):
    """tanh of a frozen mixing of the two channels, and a trained scale."""

    @nn.compact
    def __call__(self, image):
        mixing = self.variable("frozen", "mixing", lambda: jnp.array([[0.8, -0.3], [-0.0, 0.5]]))
        scale = self.param("scale", nn.initializers.constant(0.1), ())
        channels = jnp.stack([image.real, image.imag], axis=-1)
        mixed = jnp.tanh(channels @ mixing.value)
        return scale * (mixed[..., 0] + 1j * mixed[..., 1])


def test_frozen_variables_are_stored_once_and_the_image_s_gradient_passes_through_them():
    network = VarNet(FrozenRefinement, functools.partial(SensitivityNet, 2, 0), cascades=CASCADES)
    kspace, mask, acs = undersampled([6])
    variables = jax.jit(network.init)(jax.random.key(0, impl="rbg"), kspace, mask, acs)
    frozen = variables["frozen"]
    assert [leaf.shape for leaf in jax.tree.leaves(frozen)] == [(2, 2)]
    assert variables["params"]["cascades"]["refinement"]["scale"].shape == (CASCADES,)
    weight = jnp.asarray(np.random.default_rng(2).normal(size=(1, HEIGHT, WIDTH)), jnp.float32)

    @jax.jit
    def objective(channels, frozen):
        held = {"params": variables["params"], "frozen": jax.lax.stop_gradient(frozen)}
        samples = jnp.where(mask[:, None], channels[0] + 1j * channels[1], 0)
        return jnp.sum(weight * network.apply(held, samples, mask, acs))

    channels = jnp.stack([kspace.real, kspace.imag])
    gradient = jax.jit(jax.grad(objective, argnums=(0, 1)))
    to_image, to_frozen = gradient(channels, frozen)
    assert all(not leaf.any() for leaf in jax.tree.leaves(to_frozen))
    direction = to_image / jnp.linalg.norm(to_image)
    slope = float(jnp.sum(to_image * direction))
    # Of step^2 the difference quotient is wrong by curvature, of 1e-6 / step by rounding.
    step = 1e-2
    ends = [float(objective(channels + sign * step * direction, frozen)) for sign in (1, -1)]
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=2e-4)
    # And a good part of the slope comes through the refinement.
    silent = jax.tree.map(jnp.zeros_like, frozen)
    without, _ = gradient(channels, silent)
    assert jnp.linalg.norm(without - to_image) > 0.05 * jnp.linalg.norm(to_image)
