import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sigpy.mri.app
from operator_checks import random_complex
from parallel_imaging import columns_mask, points_mask, relative_error, scan

from jaxrecon.physics import sense
from jaxrecon.physics.cg_sense import cg_sense
from jaxrecon.physics.espirit import espirit_maps

COILS = 3
reconstruct = jax.jit(cg_sense, static_argnames="iterations")
MASKS = {"columns": lambda h, w: columns_mask(w, 3), "points": lambda h, w: points_mask(h, w, 3)}


def dense_solution(kspace, mask, maps, weight, prior=None) -> np.ndarray:
    """(A^H A + weight)^-1 (A^H k + weight * prior) with A as a matrix, in double precision."""
    height, width = kspace.shape[-2:]
    basis = jnp.eye(height * width, dtype=jnp.complex64).reshape(-1, height, width)
    columns = jax.vmap(lambda image: sense.forward_operator(image, maps, mask))(basis)
    matrix = np.asarray(columns, np.complex128).reshape(height * width, -1).T
    sampled = np.where(np.broadcast_to(mask, (height, width)), kspace, 0)
    right = matrix.conj().T @ sampled.reshape(-1).astype(np.complex128)
    if prior is not None:
        right += weight * np.asarray(prior).reshape(-1)
    left = matrix.conj().T @ matrix + weight * np.eye(height * width)
    return np.linalg.solve(left, right).reshape(height, width)


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("size", [(8, 10), (9, 7)])
@pytest.mark.parametrize("with_prior", [False, True])
def test_equals_a_dense_solve(size, kind, with_prior):
    kspace, maps = scan(*size, COILS)
    mask = MASKS[kind](*size)
    prior = random_complex(size, 1) if with_prior else None
    found = reconstruct(kspace, mask, maps, regularisation=0.05, iterations=60, prior=prior)
    assert found.dtype == jnp.complex64
    assert relative_error(found, dense_solution(kspace, mask, maps, 0.05, prior)) < 1e-5


@pytest.mark.parametrize("kind", MASKS)
def test_equals_sigpy(kind):
    kspace, maps = scan(24, 30, 4)
    mask = MASKS[kind](24, 30)
    expected = sigpy.mri.app.SenseRecon(
        np.asarray(jnp.where(mask, kspace, 0), np.complex128),
        np.asarray(maps, np.complex128),
        lamda=0.02,
        weights=np.broadcast_to(np.asarray(mask, float), (24, 30)),
        max_iter=100,
        show_pbar=False,
    ).run()
    found = reconstruct(kspace, mask, maps, regularisation=0.02, iterations=50)
    assert relative_error(found, expected) < 1e-5


@pytest.mark.parametrize("factor", [1e-6, 0.03, 1e6])
def test_scales_with_the_kspace(factor):
    kspace, maps = scan(17, 20, 4)
    mask = columns_mask(20, 6)
    prior = random_complex((17, 20), 1)
    for settings, scaled in (({}, {}), ({"prior": prior}, {"prior": factor * prior})):
        expected = factor * reconstruct(kspace, mask, maps, **settings)
        found = reconstruct(factor * kspace, mask, maps, **scaled)
        assert relative_error(found, expected) < 1e-5


def test_slices_of_a_batch_are_solved_alone():
    kspace, maps = scan(12, 14, COILS, slices=3)
    kspace = kspace * jnp.asarray([1, 1e-4, 0]).reshape(3, 1, 1, 1)
    mask = jnp.stack([columns_mask(14, acs) for acs in (4, 6, 4)])
    together = reconstruct(kspace, mask, maps)
    for index in range(2):
        alone = reconstruct(kspace[index], mask[index], maps)
        assert relative_error(together[index], alone) < 1e-5
    np.testing.assert_array_equal(together[2], 0)


def test_nothing_outside_the_mask_matters():
    kspace, maps = scan(12, 14, COILS)
    mask = columns_mask(14, 4)
    spoiled = jnp.where(mask, kspace, jnp.nan)
    np.testing.assert_array_equal(reconstruct(spoiled, mask, maps), reconstruct(kspace, mask, maps))


def test_is_differentiable_in_its_regularisation():
    kspace, maps = scan(8, 10, COILS)
    mask, weight = columns_mask(10, 3), random_complex((8, 10), 1)

    def loss(regularisation):
        image = reconstruct(kspace, mask, maps, regularisation=regularisation, iterations=60)
        return jnp.vdot(weight, image).real

    found = jax.jit(jax.grad(loss))(jnp.float32(0.05))
    # d/ds (N + s)^-1 b = -(N + s)^-1 x: the dense problem once more, with right-hand side x.
    solution = dense_solution(kspace, mask, maps, 0.05)
    empty = jnp.zeros_like(kspace)
    slope = -dense_solution(empty, mask, maps, 0.05, prior=solution / 0.05)
    assert float(found) == pytest.approx(np.vdot(weight, slope).real, rel=1e-4)


def test_gradients_of_an_empty_kspace_are_finite():
    kspace, maps = scan(8, 10, COILS)
    mask = columns_mask(10, 3)

    def loss(kspace, maps):
        return jnp.sum(jnp.square(cg_sense(kspace, mask, maps).real))

    for gradient in jax.jit(jax.grad(loss, argnums=(0, 1)))(jnp.zeros_like(kspace), maps):
        assert np.all(np.isfinite(gradient))


def test_equals_sigpy_on_a_real_brain(real_data):
    kspace = np.load(real_data / "data" / "brain_8coil_poisson_kspace.npz")["kspace"]
    mask = np.any(kspace != 0, axis=0)
    maps = espirit_maps(jnp.asarray(kspace))
    app = sigpy.mri.app.SenseRecon(
        kspace, np.asarray(maps), lamda=0.01, weights=mask * 1.0, max_iter=20, show_pbar=False
    )
    found = reconstruct(jnp.asarray(kspace), jnp.asarray(mask), maps, iterations=20)
    assert relative_error(found, app.run()) < 1e-5
