import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxrecon.models.lora import init_lora, merge
from jaxrecon.models.modl import MoDL, stage_parameters
from jaxrecon.models.scan_unet import ScanUNet
from jaxrecon.physics.cg_sense import cg_sense
from jaxrecon.physics.coils import normalise_maps
from jaxrecon.physics.sense import adjoint_operator, forward_operator

BATCH, COILS, HEIGHT, WIDTH = 2, 3, 12, 10


class Blend(nn.Module):
    """A denoiser that can be written down: a learned multiple of the image, and a constant."""

    @nn.compact
    def __call__(self, image):
        return image * self.param("factor", nn.initializers.normal(), (), jnp.float32)


def problem(seed=0):
    generator = np.random.default_rng(seed)

    def draw(*shape):
        parts = generator.normal(size=(2, *shape))
        return jnp.asarray(parts[0] + 1j * parts[1], jnp.complex64)

    maps = normalise_maps(draw(BATCH, COILS, HEIGHT, WIDTH))
    mask = jnp.asarray(generator.random((BATCH, 1, WIDTH)) < 0.6)
    kspace = forward_operator(draw(BATCH, HEIGHT, WIDTH), maps, mask)
    return kspace, mask, maps


KSPACE, MASK, MAPS = problem()
NETWORK = MoDL(functools.partial(ScanUNet, features=(4, 6)), stages=3, iterations=20)
VARIABLES = jax.jit(NETWORK.init)(jax.random.key(0), KSPACE, MASK, MAPS)
apply = jax.jit(NETWORK.apply)


def dense_normal(maps, mask):
    """A^H A of one slice as a matrix."""
    basis = jnp.eye(HEIGHT * WIDTH, dtype=jnp.complex64).reshape(-1, HEIGHT, WIDTH)
    columns = adjoint_operator(forward_operator(basis, maps, mask), maps, mask)
    return np.asarray(columns, np.complex128).reshape(len(basis), -1).T


def test_each_stage_solves_its_least_squares_problem():
    network = MoDL(Blend, stages=2, iterations=60, initial_weight=0.3)
    variables = network.init(jax.random.key(0), KSPACE, MASK, MAPS)
    assert variables["params"]["stages"]["weight"].shape == (2,)
    weights, factors = np.array([0.3, 0.8]), np.array([0.5, -1.5])
    params = {"weight": jnp.float32(weights), "denoiser": {"factor": jnp.float32(factors)}}
    found = jax.jit(network.apply)({"params": {"stages": params}}, KSPACE, MASK, MAPS)
    assert found.images.shape == (2, BATCH, HEIGHT, WIDTH)
    target = np.asarray(adjoint_operator(KSPACE, MAPS, MASK), np.complex128)
    for i in range(BATCH):
        matrix, image = dense_normal(MAPS[i], MASK[i]), target[i]
        for stage in range(2):
            refined = factors[stage] * image
            right = target[i] + weights[stage] * refined
            system = matrix + weights[stage] * np.eye(len(matrix))
            image = np.linalg.solve(system, right.ravel()).reshape(HEIGHT, WIDTH)
            tolerance = 1e-5 * np.abs(image).max()
            np.testing.assert_allclose(found.refined[stage, i], refined, atol=tolerance)
            np.testing.assert_allclose(found.images[stage, i], image, atol=tolerance)


def test_a_stage_is_cg_sense_around_the_denoiser_s_image():
    found = apply(VARIABLES, KSPACE, MASK, MAPS)
    weights = VARIABLES["params"]["stages"]["weight"]
    np.testing.assert_allclose(weights, 0.01)
    for stage in range(3):
        expected = cg_sense(
            KSPACE, MASK, MAPS, regularisation=0.01, iterations=20, prior=found.refined[stage]
        )
        tolerance = 1e-5 * float(jnp.abs(expected).max())
        np.testing.assert_allclose(found.images[stage], expected, atol=tolerance)


def test_stages_have_denoisers_of_their_own():
    kernels = VARIABLES["params"]["stages"]["denoiser"]["unet"]["down0"]["conv0"]["kernel"]
    assert kernels.shape == (3, 3, 3, 2, 4)
    assert (kernels[0] != kernels[1]).any()


def test_another_start_goes_through_the_first_denoiser():
    start = adjoint_operator(KSPACE, MAPS, MASK)
    default = apply(VARIABLES, KSPACE, MASK, MAPS)
    same = apply(VARIABLES, KSPACE, MASK, MAPS, start)
    np.testing.assert_allclose(same.images, default.images, rtol=1e-5, atol=1e-5)
    other = apply(VARIABLES, KSPACE, MASK, MAPS, 1j * start)
    assert jnp.abs(other.refined[0] - default.refined[0]).max() > 0.1


def test_the_result_goes_with_the_scale_of_k_space():
    expected = apply(VARIABLES, KSPACE, MASK, MAPS).images[-1]
    for scale in (1e-6, 1e6):
        found = apply(VARIABLES, KSPACE * scale, MASK, MAPS).images[-1]
        assert jnp.abs(found - scale * expected).max() <= 1e-4 * scale * jnp.abs(expected).max()


def test_what_was_not_sampled_is_not_looked_at_and_slices_do_not_mix():
    filled = jnp.where(MASK[:, None], KSPACE, jnp.nan)
    expected = apply(VARIABLES, KSPACE, MASK, MAPS).images[-1]
    np.testing.assert_array_equal(apply(VARIABLES, filled, MASK, MAPS).images[-1], expected)
    alone = apply(VARIABLES, KSPACE[1:], MASK[1:], MAPS[1:]).images[-1]
    np.testing.assert_allclose(alone[0], expected[1], atol=1e-5)


@jax.jit
@jax.value_and_grad
def objective(params, kspace):
    made = NETWORK.apply({"params": params}, kspace, MASK, MAPS)
    return sum(jnp.mean(jnp.abs(x) ** 2) for x in (*made.images, *made.refined))


def test_gradients_are_those_of_finite_differences_and_reach_every_parameter():
    params = VARIABLES["params"]
    _, gradient = objective(params, KSPACE)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all(), path
        assert (np.abs(leaf).reshape(3, -1).max(1) > 0).all(), path

    norm = float(jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradient))))
    ahead, behind = (
        objective(jax.tree.map(lambda p, g, s=step: p + s / norm * g, params, gradient), KSPACE)[0]
        for step in (1e-3, -1e-3)
    )
    assert float(ahead - behind) / 2e-3 == pytest.approx(norm, rel=2e-3)


def test_empty_k_space_gives_an_empty_image_and_finite_gradients():
    value, gradient = objective(VARIABLES["params"], jnp.zeros_like(KSPACE))
    assert value == 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_a_negative_weight_counts_as_its_magnitude():
    params = jax.tree.map(lambda leaf: leaf, VARIABLES["params"])
    params["stages"]["weight"] = -params["stages"]["weight"]
    found = apply({"params": params}, KSPACE, MASK, MAPS).images
    np.testing.assert_array_equal(found, apply(VARIABLES, KSPACE, MASK, MAPS).images)


def test_stages_start_from_one_trained_denoiser_and_are_adapted_apart():
    unet = ScanUNet((4, 6))
    image = adjoint_operator(KSPACE, MAPS, MASK)
    trained = jax.jit(unet.init)(jax.random.key(3), image)["params"]
    params = stage_parameters(trained, 3)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, dict(VARIABLES["params"]))
    found = apply({"params": params}, KSPACE, MASK, MAPS)
    expected = jax.jit(unet.apply)({"params": trained}, image)
    np.testing.assert_allclose(found.refined[0], expected, atol=1e-5)

    lora = init_lora(jax.random.key(4), params, rank=2)
    merged = apply({"params": merge(params, lora)}, KSPACE, MASK, MAPS)
    np.testing.assert_array_equal(merged.images, found.images)
    factors = lora["stages"]["denoiser"]["unet"]["bottom"]["conv1"]["kernel"]
    assert factors.a.shape == (3, 3 * 3 * 6, 2)
