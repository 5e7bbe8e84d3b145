"""The foundation-model denoiser: a frozen vision transformer and a light UNETR-style decoder.

Hashmi et al. 2026 (arXiv:2604.22557), section 3.1, figure 1(a). The encoder sees the magnitude of
the image at its own input size; the decoder's last stage works at the image's size, so that no
detail is lost to the encoder's.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Complex, Float

from jaxrecon.encoders.preprocess import encoder_input
from jaxrecon.encoders.resampling import bilinear_matrix
from jaxrecon.encoders.spec import IMAGENET, PixelStatistics, ViTSpec, published_encoder
from jaxrecon.encoders.store import RANDOM, Encoder, open_encoder, read_encoder_spec
from jaxrecon.encoders.vit import VisionTransformer, patch_map
from jaxrecon.errors import InputError
from jaxrecon.models.complex_normalisation import normalise_parts, restore_parts
from jaxrecon.models.convolution import Conv, DepthwiseConv
from jaxrecon.models.unet import NORM_EPSILON, instance_norm


def _states_in_use(layers: Iterable[int], skips: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted({*layers, *skips}))


def resize_map(
    features: Float[Array, "batch rows columns channels"], height: int, width: int
) -> Float[Array, "batch height width channels"]:
    """Bilinear resampling of feature maps, with the pixel grid of torch's `interpolate`."""
    _, rows, columns, _ = features.shape
    if (rows, columns) == (height, width):
        return features
    vertical = jnp.asarray(bilinear_matrix(rows, height), features.dtype)
    horizontal = jnp.asarray(bilinear_matrix(columns, width), features.dtype)
    return jnp.einsum("ar,bc,nrcf->nabf", vertical, horizontal, features, optimize=True)


def _norm_relu(x: Array) -> Array:
    return nn.relu(instance_norm(x))


class LayerFusion(nn.Module):
    """Hidden states of several layers, each with a LayerNorm, in one weighted mean.

    The weights are a softmax of learned numbers that start equal.
    """

    @nn.compact
    def __call__(
        self, hidden: tuple[Float[Array, "batch grid grid width"], ...]
    ) -> Float[Array, "batch grid grid width"]:
        """Fuse feature maps of one shape."""
        logits = self.param("logits", nn.initializers.zeros, (len(hidden),))
        weights = jax.nn.softmax(jnp.asarray(logits))
        aligned = [
            nn.LayerNorm(epsilon=NORM_EPSILON, name=f"norm{position}")(state)
            for position, state in enumerate(hidden)
        ]
        return sum((w * x for w, x in zip(weights[1:], aligned[1:], strict=True)),
                   start=weights[0] * aligned[0])  # fmt: skip


class DecoderStage(nn.Module):
    """Upsampling, a depthwise separable convolution, a skip connection and a 3 x 3 convolution.

    Attributes:
        features: channels of the result.
        dtype: dtype of the convolutions.
    """

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch rows columns inputs"],
        skip: Float[Array, "batch height width features"],
    ) -> Float[Array, "batch height width features"]:
        """Bring `x` to the size of `skip` and refine the two together."""
        x = resize_map(x, *skip.shape[1:3])
        x = DepthwiseConv(dtype=self.dtype, name="depthwise")(x)
        x = Conv(self.features, (1, 1), dtype=self.dtype, name="pointwise")(x)
        x = jnp.concatenate([_norm_relu(x), skip.astype(x.dtype)], axis=-1)
        return _norm_relu(Conv(self.features, dtype=self.dtype, name="refine")(x))


class FoundationDenoiser(nn.Module):
    """Frozen encoder, fusion of its layers, and decoder; a refinement of `varnet.Cascade`.

    f(c x) = c f(x) for any c > 0: the encoder's input does not depend on the image's scale, the
    image itself enters normalised, and the result is given the image's scale back.

    Attributes:
        spec: the encoder's architecture.
        statistics: standardises its input.
        layers: hidden states that are fused.
        skips: hidden states that join the decoder, one for each stage but the last.
        widths: channels of the decoder's stages; one more than `skips`.
        image_size: side of the square that the encoder sees, pixels.
        output_size: side of the square on which the last stage works; 0 for the image's own size.
        percentiles: of the magnitude, become 0 and 1 in the encoder's input.
        dtype: dtype of the convolutions and of the encoder's matrix products.
    """

    spec: ViTSpec
    statistics: PixelStatistics = IMAGENET
    layers: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    skips: tuple[int, ...] = (5, 4, 3)
    widths: tuple[int, ...] = (384, 192, 128, 64)
    image_size: int = 224
    output_size: int = 0
    percentiles: tuple[float, float] = (1.0, 99.0)
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, image: Complex[Array, "batch height width"]
    ) -> Complex[Array, "batch height width"]:
        """Map complex images to complex images of the same size."""
        _, height, width = image.shape
        wanted = _states_in_use(self.layers, self.skips)
        pixels = encoder_input(image, self.statistics, self.image_size, self.percentiles)
        encoder = VisionTransformer(
            self.spec, wanted, self.image_size, dtype=self.dtype, name="encoder"
        )
        states = dict(zip(wanted, encoder(pixels), strict=True))
        maps = {layer: patch_map(state, self.spec) for layer, state in states.items()}

        x = LayerFusion(name="fusion")(tuple(maps[layer] for layer in self.layers))
        for stage, layer in enumerate(self.skips):
            features, side = self.widths[stage], x.shape[1] * 2
            # Projected before it is enlarged: the two commute, and this order is the cheap one.
            skip = Conv(features, (1, 1), use_bias=True, dtype=self.dtype, name=f"skip{stage}")(
                maps[layer]
            )
            x = DecoderStage(features, dtype=self.dtype, name=f"stage{stage}")(
                x, resize_map(skip, side, side)
            )
        channels, normalisation = normalise_parts(image)
        last = self.widths[-1]
        if self.output_size:
            channels = resize_map(channels, self.output_size, self.output_size)
        skip = Conv(last, use_bias=True, dtype=self.dtype, name="input_skip")(channels)
        x = DecoderStage(last, dtype=self.dtype, name=f"stage{len(self.skips)}")(x, skip)
        x = Conv(2, use_bias=True, dtype=self.dtype, name="head")(x)
        return restore_parts(resize_map(x, height, width), normalisation)


def _encoder_settings(config: Mapping[str, Any]) -> tuple[ViTSpec, PixelStatistics]:
    """Architecture and pixel statistics of `config.encoder`, without its weights."""
    settings = config["encoder"]
    published = published_encoder(settings["architecture"])
    if settings["statistics"] not in ("imagenet", "own"):
        raise InputError(
            f"encoder.statistics: expected 'imagenet' or 'own', found {settings['statistics']!r}"
        )
    if settings["statistics"] == "imagenet":
        return published.spec, IMAGENET
    if settings["weights"] == RANDOM:
        return published.spec, published.statistics
    _, statistics, _ = read_encoder_spec(Path(settings["weights"]))
    return published.spec, statistics


def build_refinement(config: Mapping[str, Any], dtype: DTypeLike) -> Callable[..., nn.Module]:
    """What makes the denoiser of a cascade.

    Args:
        config: `encoder` (`architecture`, `weights`, `statistics`, `seed`), `layers`, `skips`,
            `widths`, `image_size`, `output_size` and `percentiles`, see `FoundationDenoiser`.
        dtype: dtype of the convolutions and of the encoder's matrix products.

    Raises:
        InputError: a field's value is not usable.
    """
    if len(config["widths"]) != len(config["skips"]) + 1:
        raise InputError(
            f"refinement.widths: expected one more than the {len(config['skips'])} skips, "
            f"found {len(config['widths'])}"
        )
    spec, statistics = _encoder_settings(config)
    fields = ("layers", "skips", "widths", "percentiles")
    return functools.partial(
        FoundationDenoiser,
        spec=spec,
        statistics=statistics,
        **{field: tuple(config[field]) for field in fields},
        image_size=config["image_size"],
        output_size=config["output_size"],
        dtype=dtype,
    )


def open_frozen(config: Mapping[str, Any], dtype: DTypeLike) -> Encoder:
    """The weights of a configuration's encoder.

    Args:
        config: as for `build_refinement`.
        dtype: as for `build_refinement`.

    Raises:
        InputError: they are missing (the message holds the command that makes them) or another
            encoder's.
    """
    return open_encoder(
        config["encoder"]["weights"],
        published_encoder(config["encoder"]["architecture"]),
        _states_in_use(config["layers"], config["skips"]),
        config["image_size"],
        np.dtype(dtype),
        config["encoder"]["seed"],
    )
