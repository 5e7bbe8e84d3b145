"""Warm start: a U-Net trained on auxiliary images before it is fitted to a scan.

Feng et al. 2025 (arXiv:2511.19641) start both networks with U-Nets from one that maps zero-filled
images to fully sampled ones; it gives no recipe. Here: Adam on the mean absolute difference.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Complex, Complex64, PyTree

from jaxrecon.errors import DivergenceError
from jaxrecon.models.scan_unet import ScanUNet
from jaxrecon.physics.espirit import espirit_maps, fitting_kernel
from jaxrecon.physics.normal_equations import normal_equations
from jaxrecon.physics.sense import adjoint_operator
from jaxrecon.scan_specific.denoiser import smallest_image

_REPORTS = 20


class Pair(NamedTuple):
    """An auxiliary slice, in units of the peak of its zero-filled image.

    Attributes:
        zero_filled: coil-combined image of the samples that a mask keeps.
        full: coil-combined image of all samples.
    """

    zero_filled: Complex64[np.ndarray, "height width"]
    full: Complex64[np.ndarray, "height width"]


class Report(NamedTuple):
    """How far a warm start is.

    Attributes:
        step: steps done.
        loss: mean absolute difference to the fully sampled images, over the steps since the last
            report.
        zero_filled: the same of the zero-filled images themselves.
        params: the weights.
    """

    step: int
    loss: float
    zero_filled: float
    params: PyTree


@functools.partial(jax.jit, static_argnames="calibration")
def make_pair(
    kspace: Complex[Array, "coils height width"],
    mask: Bool[Array, "rows width"],
    calibration: tuple[int, int],
) -> tuple[Complex[Array, "height width"], Complex[Array, "height width"]]:
    """Both images of a fully sampled slice, see `Pair`.

    Args:
        kspace: centred and fully sampled; one coil needs no maps.
        mask: centred, true where it is to be sampled.
        calibration: rows and columns of the centre that sensitivity maps are taken from.
    """
    if kspace.shape[0] == 1:
        maps = jnp.ones_like(kspace)
    else:
        maps = espirit_maps(kspace, calibration, kernel=fitting_kernel(calibration))
    equations = normal_equations(kspace, mask, maps)
    full = adjoint_operator(kspace, maps, jnp.ones_like(mask))
    return equations.target, full / equations.peak.astype(full.dtype)


def train_unet(
    network: ScanUNet, pairs: Sequence[Pair], warm_up: Mapping[str, Any], seed: int
) -> Iterator[Report]:
    """Train on pairs, drawn anew for each batch; all pairs of a batch have one size.

    Args:
        network: the U-Net.
        pairs: auxiliary slices.
        warm_up: `config.backbone.warm_up`.
        seed: of the initial weights and the draws.

    Yields:
        About 20 reports, the last one with the final weights.

    Raises:
        DivergenceError: the loss is not finite any more.
    """
    sizes: dict[tuple[int, ...], list[int]] = {}
    for place, pair in enumerate(pairs):
        sizes.setdefault(pair.full.shape, []).append(place)
    groups = list(sizes.values())
    shares = np.array([len(group) for group in groups]) / len(pairs)
    generator = np.random.default_rng(seed)
    optimizer = optax.adam(warm_up["learning_rate"])
    params = jax.jit(network.init)(jax.random.key(seed), smallest_image(network))["params"]
    adam = optimizer.init(params)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params: PyTree, adam: PyTree, inputs: Array, labels: Array) -> tuple[Any, ...]:
        def difference(params: PyTree) -> Array:
            return jnp.mean(jnp.abs(network.apply({"params": params}, inputs) - labels))

        loss, slopes = jax.value_and_grad(difference)(params)
        updates, adam = optimizer.update(slopes, adam)
        before = jnp.mean(jnp.abs(inputs - labels))
        return optax.apply_updates(params, updates), adam, jnp.stack([loss, before])

    every = max(1, warm_up["steps"] // _REPORTS)
    found = []
    for number in range(1, warm_up["steps"] + 1):
        group = groups[generator.choice(len(groups), p=shares)]
        chosen = generator.choice(group, warm_up["batch_size"])
        inputs = np.stack([pairs[place].zero_filled for place in chosen])
        labels = np.stack([pairs[place].full for place in chosen])
        params, adam, losses = step(params, adam, inputs, labels)
        found.append(losses)
        if number % every == 0 or number == warm_up["steps"]:
            loss, before = np.mean(jax.device_get(found), axis=0)
            if not np.isfinite(loss):
                raise DivergenceError(
                    f"backbone.warm_up: expected a finite loss, found {loss} at step {number}: "
                    "try a lower learning_rate"
                )
            yield Report(number, float(loss), float(before), params)
            found = []
