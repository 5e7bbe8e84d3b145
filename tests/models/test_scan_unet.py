import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from jaxrecon.errors import InputError
from jaxrecon.models.scan_unet import PAPER_FEATURES, ResidualUNet, ScanUNet


class Pair(nn.Sequential):
    def __init__(self, inputs, middle, outputs):
        layers = []
        for a, b in ((inputs, middle), (middle, outputs)):
            layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        super().__init__(*layers)


class Reference(nn.Module):
    """The network in torch, from the paper's description; batch norms stay in training mode."""

    def __init__(self, features, halves):
        super().__init__()
        part = 2 if halves else 1
        channels = [2, *features[:-1]]
        self.down = nn.ModuleList(Pair(a, b, b) for a, b in itertools.pairwise(channels))
        below = features[-1] // part
        self.bottom = Pair(features[-2], below, below)
        self.up = nn.ModuleList()
        for level in reversed(range(len(features) - 1)):
            outputs = features[level] // part if level else features[level]
            self.up.append(Pair(features[level] + below, features[level], outputs))
            below = outputs
        self.head = nn.Conv2d(features[0], 2, 3, padding=1)

    def forward(self, x):
        y, skips = x, []
        for block in self.down:
            skips.append(block(y))
            y = nn.functional.max_pool2d(skips[-1], 2)
        y = self.bottom(y)
        for block, skip in zip(self.up, reversed(skips), strict=True):
            y = nn.functional.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True)
            rows, columns = skip.shape[2] - y.shape[2], skip.shape[3] - y.shape[3]
            margins = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
            y = block(torch.cat([skip, nn.functional.pad(y, margins)], dim=1))
        return x + self.head(y)


def reference(features, halves):
    torch.manual_seed(0)
    network = Reference(features, halves).double().train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return network


def kernel(weight):
    return np.float32(weight.detach().numpy().transpose(2, 3, 1, 0))


def _pair(pair):
    found = {}
    for layer in range(2):
        convolution, norm = pair[3 * layer], pair[3 * layer + 1]
        found[f"conv{layer}"] = {"kernel": kernel(convolution.weight)}
        scale, bias = (np.float32(p.detach().numpy()) for p in (norm.weight, norm.bias))
        found[f"norm{layer}"] = {"scale": scale, "bias": bias}
    return found


def parameters(network):
    found = {f"down{level}": _pair(block) for level, block in enumerate(network.down)}
    found["bottom"] = _pair(network.bottom)
    for step, block in enumerate(network.up):
        found[f"up{len(network.up) - 1 - step}"] = _pair(block)
    bias = np.float32(network.head.bias.detach().numpy())
    return {**found, "head": {"kernel": kernel(network.head.weight), "bias": bias}}


def channels(height, width, batch=1):
    return np.random.default_rng(height).normal(size=(batch, height, width, 2)).astype(np.float32)


def to_torch(x):
    return torch.from_numpy(x).permute(0, 3, 1, 2).double()


@pytest.mark.parametrize(
    ("features", "halves", "height", "width"),
    [
        pytest.param((4, 8, 12), False, 16, 24, id="paper"),
        pytest.param((4, 8, 12), True, 17, 23, id="code-odd"),
        pytest.param((3, 4, 6, 8), False, 19, 31, id="paper-odd"),
    ],
)
def test_output_and_gradients_equal_torch(features, halves, height, width):
    peer = reference(features, halves)
    network = ResidualUNet(features, halves)
    x, weight = channels(height, width), channels(height + 50, width + 50)[:, :height, :width]
    image = to_torch(x).requires_grad_()
    expected = peer(image)
    params = parameters(peer)
    found = jax.jit(network.apply)({"params": params}, x)
    expected_output = expected.detach().permute(0, 2, 3, 1).numpy()
    assert np.abs(found - expected_output).max() <= 1e-5 * np.abs(expected_output).max()

    (expected * to_torch(weight)).sum().backward()
    for parameter in peer.parameters():
        parameter.data = parameter.grad

    @jax.jit
    def gradient(params, x):
        def total(params, x):
            return jnp.sum(network.apply({"params": params}, x) * weight)

        return jax.grad(total, argnums=(0, 1))(params, x)

    found, x_gradient = gradient(params, x)
    wrong = jax.tree.map(
        lambda a, b: float(np.abs(a - b).max() / np.abs(b).max()), found, parameters(peer)
    )
    assert max(jax.tree.leaves(wrong)) <= 5e-5, wrong
    expected_x = image.grad.permute(0, 2, 3, 1).numpy()
    assert np.abs(x_gradient - expected_x).max() <= 2e-5 * np.abs(expected_x).max()


def shapes(network, size=32):
    image = jax.ShapeDtypeStruct((1, size, size), jnp.complex64)
    return jax.eval_shape(network.init, jax.random.key(0), image)["params"]["unet"]


def size_of(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_the_paper_s_network_and_the_code_s_have_their_sizes():
    paper, code = shapes(ScanUNet()), shapes(ScanUNet(halves_before_upsampling=True))
    assert PAPER_FEATURES == (64, 128, 256, 512, 1024)
    assert paper["bottom"]["conv1"]["kernel"].shape == (3, 3, 1024, 1024)
    assert paper["up3"]["conv0"]["kernel"].shape == (3, 3, 1536, 512)
    peer = Reference(PAPER_FEATURES, halves=True)
    assert size_of(code) == sum(p.numel() for p in peer.parameters()) == 17_263_490
    assert size_of(paper) == sum(p.numel() for p in Reference(PAPER_FEATURES, False).parameters())


NETWORK = ScanUNet((4, 6, 8))
IMAGE = jax.random.normal(jax.random.key(1), (2, 20, 17), jnp.complex64)
VARIABLES = jax.jit(NETWORK.init)(jax.random.key(0), IMAGE)
apply = jax.jit(NETWORK.apply)


def test_the_result_goes_with_the_image_s_scale():
    expected = apply(VARIABLES, IMAGE)
    for scale in (1e-6, 1e6):
        found = apply(VARIABLES, IMAGE * scale)
        assert jnp.abs(found - scale * expected).max() <= 1e-5 * scale * jnp.abs(expected).max()


def test_a_slice_does_not_depend_on_the_others():
    together = apply(VARIABLES, IMAGE)
    alone = apply(VARIABLES, IMAGE[1:])
    np.testing.assert_allclose(together[1], alone[0], atol=1e-5)


def test_empty_images_stay_empty_and_their_gradients_finite():
    @jax.jit
    @jax.grad
    def gradient(variables, image):
        return jnp.sum(jnp.abs(NETWORK.apply(variables, image) - 1) ** 2)

    empty = jnp.zeros_like(IMAGE)
    np.testing.assert_array_equal(apply(VARIABLES, empty), 0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient(VARIABLES, empty)))


def test_an_image_too_small_for_the_poolings_is_named():
    with pytest.raises(InputError, match="at least 32 x 32 pixels for 4 poolings, found 31 x 64"):
        jax.eval_shape(
            ScanUNet().init, jax.random.key(0), jax.ShapeDtypeStruct((1, 31, 64), jnp.complex64)
        )
