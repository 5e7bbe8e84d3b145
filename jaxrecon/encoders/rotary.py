"""Rotary position embeddings (Su et al. 2021, "RoFormer", arXiv:2104.09864).

In the convention of transformers' Llama: channel i of a head turns with channel i + half of it.
"""

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int


def positions_of(mask: Bool[Array, "batch tokens"]) -> Int[Array, "batch tokens"]:
    """Positions of the tokens of sequences padded on the left: 0 for the first real one.

    Args:
        mask: False for padding, whose position is 0.
    """
    return jnp.maximum(jnp.cumsum(mask, axis=1, dtype=jnp.int32) - 1, 0)


def rotary_angles(
    positions: Int[Array, "batch tokens"], head_width: int, theta: float, dtype: DTypeLike
) -> tuple[Float[Array, "batch tokens 1 half"], Float[Array, "batch tokens 1 half"]]:
    """Cosines and sines of position / theta^(2i / head_width), for i below half the head's width.

    Args:
        positions: of the tokens.
        head_width: channels of a head, even.
        theta: base of the wavelengths.
        dtype: of the angles and the result, float32 or float64.
    """
    exponents = jnp.arange(0, head_width, 2, dtype=dtype) / head_width
    angles = positions[..., None].astype(dtype) * (1.0 / theta**exponents)
    return jnp.cos(angles)[:, :, None], jnp.sin(angles)[:, :, None]


def rotate(
    x: Float[Array, "batch tokens heads width"],
    cosines: Float[Array, "batch tokens 1 half"],
    sines: Float[Array, "batch tokens 1 half"],
) -> Float[Array, "batch tokens heads width"]:
    """Turn every pair of channels by its token's angle, in the precision of the angles.

    Args:
        x: queries or keys.
        cosines: see `rotary_angles`.
        sines: likewise.
    """
    first, second = jnp.split(x.astype(cosines.dtype), 2, axis=-1)
    turned = [first * cosines - second * sines, second * cosines + first * sines]
    return jnp.concatenate(turned, axis=-1)
