"""Low-rank adaptation: a frozen network's kernels with a small trained difference.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models" (arXiv:2106.09685). A kernel W,
seen as a matrix from inputs to outputs, becomes W + (alpha / rank) A B. A is random and B zero at
first, so that the network starts as the frozen one.

The factors are a tree of their own beside the parameters: any network can be adapted, its code
knows nothing of it, and an optimiser is given the factors alone, or both under labels.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, PyTree

from jaxrecon.errors import InputError

Path = tuple[str, ...]
Leaf = Array | np.ndarray | jax.ShapeDtypeStruct

# Subtrees whose leaves are stacked along a first axis, one entry for each step of a scan.
STACKED = ("cascades", "stages")

_DENSE_AXES, _CONVOLUTION_AXES = 2, 4


class Factors(NamedTuple):
    """A kernel's difference, A B; a first axis counts the kernels where they are stacked.

    Attributes:
        a: random at first. Inputs are those of a dense kernel, or the pixels and input channels of
            a convolution's.
        b: 0 at first.
    """

    a: Float[Array, "*stack inputs rank"]
    b: Float[Array, "*stack rank outputs"]


def is_kernel(path: Path, leaf: Leaf) -> bool:
    """Whether a parameter is the kernel of a dense layer or a convolution, stacked or not.

    Args:
        path: names from the root of the parameters.
        leaf: the parameter.
    """
    return path[-1] == "kernel" and _matrix_axes(path, leaf) in (_DENSE_AXES, _CONVOLUTION_AXES)


def init_lora(
    key: Array,
    params: Mapping[str, Any],
    rank: int = 4,
    select: Callable[[Path, Leaf], bool] = is_kernel,
) -> dict[str, Any]:
    """Factors that change nothing yet.

    Args:
        key: random key.
        params: the network's parameters, nested dictionaries; shapes suffice.
        rank: of each difference; no more than the kernel's own rank is taken.
        select: which parameters to adapt, by path and array.

    Returns:
        `Factors` in nested dictionaries, at the paths of the kernels they adapt. A is uniform
        within 1 / sqrt(inputs), as a dense layer's weights.

    Raises:
        InputError: the rank is not positive, or nothing is selected.
        ValueError: something else than a kernel is selected.
    """
    if rank < 1:
        raise InputError(f"lora.rank: expected 1 or more, found {rank}")
    flat = traverse_util.flatten_dict(params)
    selected = sorted(path for path, leaf in flat.items() if select(path, leaf))
    if not selected:
        raise InputError("lora: expected kernels to adapt among the parameters, found none")
    factors = {}
    for path, one in zip(selected, jax.random.split(key, len(selected)), strict=True):
        leaf = flat[path]
        if not is_kernel(path, leaf):
            raise ValueError(f"{'/'.join(path)}: no kernel, but an array of shape {leaf.shape}")
        stack, inputs, outputs = _matrix_shape(path, leaf)
        width = min(rank, inputs, outputs)
        bound = inputs**-0.5
        a = jax.random.uniform(one, (*stack, inputs, width), jnp.float32, -bound, bound)
        factors[path] = Factors(a, jnp.zeros((*stack, width, outputs), jnp.float32))
    return traverse_util.unflatten_dict(factors)


def merge(params: Mapping[str, Any], lora: Mapping[str, Any], alpha: float = 1.0) -> dict[str, Any]:
    """The adapted parameters W + (alpha / rank) A B.

    Differentiate a loss of `merge(params, lora)` with respect to `lora`: `params` are constants
    then, and no gradient of theirs is kept.

    Args:
        params: the frozen network's parameters.
        lora: as `init_lora` made it.
        alpha: how much of the difference counts.

    Returns:
        Parameters of the same structure, shapes and dtypes; what is not adapted is shared.

    Raises:
        ValueError: a factor has no kernel.
    """
    flat = traverse_util.flatten_dict(params)
    for path, factors in traverse_util.flatten_dict(lora).items():
        if path not in flat:
            raise ValueError(f"{'/'.join(path)}: no such parameter")
        kernel = flat[path]
        product = jnp.matmul(factors.a, factors.b, precision=jax.lax.Precision.HIGHEST)
        difference = (alpha / factors.a.shape[-1]) * product
        flat[path] = kernel + difference.reshape(kernel.shape).astype(kernel.dtype)
    return traverse_util.unflatten_dict(flat)


def count(lora: PyTree) -> int:
    """Number of trained values in the factors."""
    return sum(leaf.size for leaf in jax.tree.leaves(lora))


def _matrix_axes(path: Path, leaf: Leaf) -> int:
    return leaf.ndim - any(name in STACKED for name in path)


def _matrix_shape(path: Path, leaf: Leaf) -> tuple[tuple[int, ...], int, int]:
    """Leading axes, inputs and outputs of a kernel as a matrix."""
    first = leaf.ndim - _matrix_axes(path, leaf)
    inputs = 1
    for size in leaf.shape[first:-1]:
        inputs *= size
    return leaf.shape[:first], inputs, leaf.shape[-1]
