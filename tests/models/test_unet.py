import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from fastmri.models.unet import Unet as ReferenceUnet
from torch_unet import unet_parameters

from jaxrecon.models.unet import UNet, instance_norm


def pair(inputs, outputs, channels, pools, **options):
    torch.manual_seed(1)
    reference = ReferenceUnet(inputs, outputs, chans=channels, num_pool_layers=pools)
    return reference, UNet(channels, pools, outputs, **options)


def images(batch, height, width, channels):
    rng = np.random.default_rng(height * width)
    return rng.normal(size=(batch, height, width, channels)).astype(np.float32)


def to_torch(x):
    return torch.from_numpy(x).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("pools", "height", "width"),
    [
        pytest.param(2, 16, 24, id="even"),
        pytest.param(3, 33, 47, id="odd-at-every-level"),
        pytest.param(2, 18, 23, id="reflected-on-both-sides"),
        pytest.param(1, 5, 4, id="one-pool"),
    ],
)
def test_output_equals_the_reference(pools, height, width):
    reference, network = pair(2, 3, 4, pools)
    x = images(2, height, width, 2)
    with torch.no_grad():
        expected = reference(to_torch(x)).permute(0, 2, 3, 1).numpy()
    found = jax.jit(network.apply)({"params": unet_parameters(reference)}, x)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_gradients_equal_the_reference():
    reference, network = pair(2, 2, 3, 2)
    reference = reference.double()  # its own float32 gradients are no closer than ours
    x, weight = images(1, 19, 22, 2), images(1, 19, 22, 2)
    image = to_torch(x).double().requires_grad_()
    (reference(image) * to_torch(weight)).sum().backward()
    for parameter in reference.parameters():
        parameter.data = parameter.grad
    expected = unet_parameters(reference)
    reference, _ = pair(2, 2, 3, 2)

    @jax.jit
    @functools.partial(jax.grad, argnums=(0, 1))
    def gradient(parameters, x):
        return jnp.sum(network.apply({"params": parameters}, x) * weight)

    found, x_gradient = gradient(unet_parameters(reference), x)
    close = jax.tree.map(
        lambda a, b: bool(np.abs(a - b).max() <= 2e-5 * np.abs(b).max()), found, expected
    )
    assert all(jax.tree.leaves(close)), close
    expected_x = image.grad.permute(0, 2, 3, 1).numpy()
    assert np.abs(x_gradient - expected_x).max() <= 2e-5 * np.abs(expected_x).max()


def test_bfloat16_stays_near_float32_and_keeps_float32_parameters():
    reference, network = pair(2, 2, 4, 2)
    x = jnp.asarray(images(1, 16, 16, 2))
    variables = {"params": unet_parameters(reference)}
    low = UNet(4, 2, 2, dtype=jnp.bfloat16)
    found = jax.jit(low.apply)(variables, x)
    assert found.dtype == jnp.bfloat16
    expected = jax.jit(network.apply)(variables, x)
    # 8 bits of mantissa through 11 convolutions: a few percent, and not exactly equal.
    difference = np.abs(found.astype(np.float32) - expected).max() / np.abs(expected).max()
    assert 1e-4 < difference < 0.1
    drawn = jax.eval_shape(low.init, jax.random.key(0), x)
    assert {leaf.dtype for leaf in jax.tree.leaves(drawn)} == {jnp.dtype(jnp.float32)}


def test_instance_norm_equals_torch_for_small_and_offset_channels():
    x = images(2, 9, 7, 3) * np.float32([1e-2, 1, 10]) + np.float32([0, 3, -20])
    expected = torch.nn.functional.instance_norm(to_torch(x).double()).permute(0, 2, 3, 1)
    np.testing.assert_allclose(instance_norm(jnp.asarray(x)), expected, atol=1e-5)
