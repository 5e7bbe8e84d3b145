import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from fastmri.models.varnet import NormUnet as ReferenceNormUnet
from torch_unet import unet_parameters

from jaxrecon.models.complex_normalisation import channels_to_complex, complex_to_channels
from jaxrecon.models.norm_unet import NormUNet, build_refinement

CHANNELS, POOLS = 4, 2


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(2)
    return ReferenceNormUnet(CHANNELS, POOLS)


@pytest.fixture(scope="module")
def variables(reference):
    return {"params": {"unet": unet_parameters(reference.unet)}}


@pytest.fixture(scope="module")
def network():
    return NormUNet(CHANNELS, POOLS)


@pytest.fixture(scope="module")
def apply(network, variables):
    return jax.jit(functools.partial(network.apply, variables))


@pytest.fixture(scope="module")
def input_gradient(apply):
    return jax.jit(jax.grad(lambda image: jnp.sum(complex_to_channels(apply(image)))))


def complex_images(batch, height, width):
    rng = np.random.default_rng(height * width)
    real, imaginary = rng.normal(size=(2, batch, height, width))
    return (0.3 + 2 * real + 1j * (imaginary - 1)).astype(np.complex64)


def apply_reference(reference, image):
    with torch.no_grad():
        found = reference(torch.view_as_real(torch.from_numpy(image))[:, None])
    return torch.view_as_complex(found)[:, 0].numpy()


@pytest.mark.parametrize(("height", "width"), [(16, 32), (23, 38), (33, 17), (12, 15)])
def test_output_equals_the_reference(apply, reference, height, width):
    image = complex_images(2, height, width)
    expected = apply_reference(reference, image)
    found = apply(image)
    assert found.dtype == jnp.complex64
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_gradient_equals_the_reference(network, variables, reference):
    image, weight = complex_images(1, 18, 21), complex_images(1, 21, 18).reshape(1, 18, 21)
    held = torch.view_as_real(torch.from_numpy(image))[:, None].requires_grad_()
    (reference(held)[:, 0] * torch.view_as_real(torch.from_numpy(weight))).sum().backward()
    expected = torch.view_as_complex(held.grad)[:, 0].numpy()

    @jax.jit
    @jax.grad
    def gradient(channels):
        found = network.apply(variables, channels_to_complex(channels))
        return jnp.sum(complex_to_channels(found) * complex_to_channels(jnp.asarray(weight)))

    found = channels_to_complex(gradient(complex_to_channels(jnp.asarray(image))))
    assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("exponent", [-40, -20, 20, 40])
def test_scaling_by_a_power_of_two_scales_the_output_exactly(apply, exponent):
    image = complex_images(2, 23, 20)
    factor = np.float32(2.0**exponent)
    np.testing.assert_array_equal(apply(image * factor), apply(image) * factor)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e6])
def test_scaling_the_input_scales_the_output(apply, factor):
    image = complex_images(2, 23, 20)
    expected = np.complex128(apply(image)) * factor
    found = apply((image * factor).astype(np.complex64))
    # The input itself is only scaled to within float32 rounding, which the network passes on.
    assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("value", [0, 1.5 - 2j, 0.1 + 0.7j, 1e-6j, 3e5])
def test_constant_images_stay_and_have_finite_gradients(apply, input_gradient, value):
    image = jnp.full((1, 23, 20), value, jnp.complex64)
    found = apply(image)
    assert np.abs(found - value).max() <= 1e-5 * abs(value)
    assert np.isfinite(input_gradient(image)).all()


def test_gradients_of_the_parameters_are_finite_for_a_zero_image(network, variables):
    image = jnp.zeros((1, 16, 16), jnp.complex64)
    gradient = jax.grad(lambda v: jnp.sum(complex_to_channels(network.apply(v, image))))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.jit(gradient)(variables)))


def test_a_zero_image_in_a_batch_leaves_the_others_alone(apply):
    image = complex_images(2, 16, 16)
    alone = apply(image)
    image[1] = 0
    both = apply(image)
    np.testing.assert_array_equal(both[1], np.zeros((16, 16)))
    assert np.abs(both[0] - alone[0]).max() <= 1e-6 * np.abs(alone[0]).max()


def test_build_refinement_makes_the_configured_network():
    make = build_refinement({"channels": 3, "pools": 1}, jnp.dtype("bfloat16"))
    assert make(name="own") == NormUNet(3, 1, jnp.dtype("bfloat16"), name="own")
