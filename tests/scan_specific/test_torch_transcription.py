"""Fits against the same optimisation in torch: the loss at the start, and after some steps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch_scan_fit import (
    Scan,
    as_torch,
    inr_loss,
    optimiser,
    siren,
    step,
    unet_loss,
    unrolled_loss,
)

from jaxrecon import scan_config
from jaxrecon.physics.coils import normalise_maps
from jaxrecon.scan_specific.backbone import open_backbone
from jaxrecon.scan_specific.fit import Fit

COILS, HEIGHT, WIDTH, STEPS = 3, 20, 22, 3


def small_fit(name, learning_rate):
    config = getattr(scan_config, f"{name}_config")()
    config.regulariser = "tv"
    config.learning_rate = learning_rate
    fields = config.backbone
    if name == "inr":
        fields.layers, fields.features, fields.adaptor_features = 4, 16, 12
    else:
        fields.features = (4, 6, 8)
    if name == "unrolled":
        fields.stages, fields.iterations = 3, 8
    config = config.to_dict()
    return Fit(config, open_backbone(config), None)


def problem_of(fit):
    generator = np.random.default_rng(0)
    draw = lambda *shape: generator.normal(size=(*shape, 2)) @ [1, 1j]  # noqa: E731
    maps = normalise_maps(jnp.asarray(draw(1, COILS, HEIGHT, WIDTH), jnp.complex64))
    radius = np.hypot(*np.meshgrid(np.arange(HEIGHT) - 10, np.arange(WIDTH) - 11, indexing="ij"))
    kspace = jnp.asarray(draw(1, COILS, HEIGHT, WIDTH) / (1 + radius), jnp.complex64)
    mask = jnp.asarray(generator.random((1, 1, WIDTH)) < 0.6)
    return fit.problem(kspace, mask, maps)


def losses_of_ours(fit, problem, state, guided, counts):
    """The loss after so many steps."""
    advance = jax.jit(functools.partial(fit.advance, guided=guided))
    look, constants = jax.jit(fit.look), fit.constants
    for count in counts:
        there = advance(state, constants, problem, jnp.asarray(count, jnp.int32))
        losses = look(there, constants, problem).losses
        yield float(losses["data"][0] + fit.config["weights"]["tv"] * losses["tv"][0])


def converted(state):
    return {name: as_torch(jax.tree.map(lambda x: x[0], t)) for name, t in state.groups.items()}


@pytest.mark.parametrize(("name", "loss_of"), [("unet", unet_loss), ("unrolled", unrolled_loss)])
def test_losses_are_those_of_torch(name, loss_of):
    fit = small_fit(name, 1e-3)
    problem = problem_of(fit)
    state = fit.start(1, (HEIGHT, WIDTH))
    parameters, scan = converted(state), Scan(problem)
    adam = optimiser(parameters, 1e-3, fit.backbone.rates)
    expected = [step(adam, lambda: loss_of(parameters, scan, fit.config)) for _ in range(STEPS + 1)]
    found = list(losses_of_ours(fit, problem, state, True, range(STEPS + 1)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_losses_of_the_adaptor_are_those_of_torch():
    fit = small_fit("inr", 1e-4)
    problem = problem_of(fit)
    state = fit.start(1, (HEIGHT, WIDTH))
    parameters, scan = converted(state), Scan(problem)
    with torch.no_grad():
        values = siren(parameters["siren"], HEIGHT, WIDTH, fit.config["backbone"]["frequency"])
    adam = optimiser({"adaptor": parameters["adaptor"]}, 1e-4, fit.backbone.rates)
    expected = [
        step(adam, lambda: inr_loss(parameters, scan, fit.config, values)) for _ in range(STEPS + 1)
    ]
    found = list(losses_of_ours(fit, problem, state, True, range(STEPS + 1)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_steps_with_total_variation_train_the_whole_inr_as_torch_does():
    fit = small_fit("inr", 1e-4)
    problem = problem_of(fit)
    state = fit.start(1, (HEIGHT, WIDTH))
    parameters, scan = converted(state), Scan(problem)
    adam = optimiser(parameters, 1e-4, fit.backbone.rates)
    for _ in range(STEPS):
        step(adam, lambda: inr_loss(parameters, scan, fit.config))
    with torch.no_grad():
        values = siren(parameters["siren"], HEIGHT, WIDTH, fit.config["backbone"]["frequency"])
        expected = inr_loss(parameters, scan, fit.config, values).item()
    (found,) = losses_of_ours(fit, problem, state, False, [STEPS])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
