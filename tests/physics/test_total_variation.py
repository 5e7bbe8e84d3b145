import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sigpy
import sigpy.mri
from operator_checks import assert_adjoint, assert_linear, random_complex
from parallel_imaging import columns_mask, points_mask, relative_error, scan

from jaxrecon.physics.sense import adjoint_operator, forward_operator
from jaxrecon.physics.total_variation import divergence, image_gradient, total_variation_sense

COILS = 3
MASKS = {"columns": lambda h, w: columns_mask(w, 6), "points": lambda h, w: points_mask(h, w, 6)}
reconstruct = jax.jit(total_variation_sense, static_argnames=("iterations", "isotropic"))


@pytest.mark.parametrize("size", [(8, 10), (7, 9)])
def test_divergence_is_the_negative_adjoint_of_the_gradient(size):
    shape, field = (2, *size), (2, 2, *size)
    assert_linear(image_gradient, shape)
    assert_adjoint(image_gradient, lambda field: -divergence(field), shape, field)


def test_gradient_equals_sigpy_up_to_its_direction():
    """sigpy takes x[i] - x[i - 1], here it is x[i + 1] - x[i]."""
    image = random_complex((7, 9), 0)
    backward = sigpy.linop.FiniteDifference((7, 9))(np.asarray(image))
    expected = [np.roll(backward[axis], -1, axis) for axis in range(2)]
    np.testing.assert_allclose(image_gradient(image), expected, rtol=0, atol=1e-6)


class JointL1(sigpy.prox.Prox):
    """Proximal operator of the summed lengths of the vectors along the first axis."""

    def __init__(self, shape, weight):
        self.weight = weight
        super().__init__(shape)

    def _prox(self, alpha, values):
        length = np.linalg.norm(values, axis=0)
        return values * np.maximum(1 - alpha * self.weight / np.maximum(length, 1e-30), 0)


@pytest.mark.parametrize("isotropic", [True, False])
@pytest.mark.parametrize(("kind", "size"), [("columns", (16, 18)), ("points", (15, 17))])
def test_converges_to_the_image_of_sigpy(size, kind, isotropic):
    kspace, maps = scan(*size, COILS)
    mask = MASKS[kind](*size)
    weight = 0.01 * float(jnp.max(jnp.abs(adjoint_operator(kspace, maps, mask))))
    sampled = np.asarray(jnp.where(mask, kspace, 0), np.complex128)
    weights = np.broadcast_to(np.asarray(mask, float), size)
    sense = sigpy.mri.linop.Sense(np.asarray(maps, np.complex128), weights=weights)
    difference = sigpy.linop.FiniteDifference(size)
    prox = JointL1 if isotropic else sigpy.prox.L1Reg
    if isotropic:
        # Vectors of differences to the next pixel, not to the one before.
        forward = [sigpy.linop.Circshift(size, [-1], axes=[axis]) for axis in range(2)]
        forward = sigpy.linop.Diag(
            [
                sigpy.linop.Reshape((1, *size), size)
                * shift
                * sigpy.linop.Reshape(size, (1, *size))
                for shift in forward
            ],
            iaxis=0,
            oaxis=0,
        )
        difference = forward * difference
    expected = sigpy.app.LinearLeastSquares(
        sense,
        sampled,
        proxg=prox(difference.oshape, weight),
        G=difference,
        max_iter=2000,
        show_pbar=False,
    ).run()
    settings = {"regularisation": 0.01, "isotropic": isotropic}
    found = reconstruct(kspace, mask, maps, iterations=4000, **settings)
    assert found.dtype == jnp.complex64
    assert relative_error(found, expected) < 1e-3

    def objective(image):
        image = np.asarray(image, np.complex128)
        steps = np.abs([np.roll(image, -1, axis) - image for axis in range(2)])
        variation = np.linalg.norm(steps, axis=0) if isotropic else steps
        return np.linalg.norm(sense(image) - sampled) ** 2 / 2 + weight * np.sum(variation)

    assert objective(found) == pytest.approx(objective(expected), rel=1e-5)
    # The default number of iterations comes close.
    close = reconstruct(kspace, mask, maps, **settings)
    assert objective(close) == pytest.approx(objective(expected), rel=0.02)


def test_no_regularisation_solves_the_least_squares():
    kspace, maps = scan(16, 18, COILS, noise=0.0)
    mask = jnp.ones((1, 18), bool)
    found = reconstruct(kspace, mask, maps, regularisation=0.0, iterations=50)
    assert relative_error(forward_operator(found, maps, mask), kspace) < 1e-5


def test_much_regularisation_leaves_one_value():
    kspace, maps = scan(16, 18, COILS)
    image = reconstruct(kspace, columns_mask(18, 6), maps, regularisation=10.0, iterations=3000)
    assert float(jnp.max(jnp.abs(image - jnp.mean(image)))) < 1e-3 * float(jnp.max(jnp.abs(image)))


@pytest.mark.parametrize("factor", [1e-6, 0.03, 1e6])
def test_scales_with_the_kspace(factor):
    kspace, maps = scan(17, 20, COILS)
    mask = columns_mask(20, 6)
    expected = factor * reconstruct(kspace, mask, maps)
    assert relative_error(reconstruct(factor * kspace, mask, maps), expected) < 1e-5


def test_slices_of_a_batch_are_solved_alone():
    kspace, maps = scan(12, 14, COILS, slices=3)
    kspace = kspace * jnp.asarray([1, 1e-4, 0]).reshape(3, 1, 1, 1)
    mask = jnp.stack([columns_mask(14, acs) for acs in (4, 6, 4)])
    together = reconstruct(kspace, mask, maps)
    for index in range(2):
        alone = reconstruct(kspace[index], mask[index], maps)
        assert relative_error(together[index], alone) < 1e-5
    np.testing.assert_array_equal(together[2], 0)


def test_gradients_are_finite():
    kspace, maps = scan(12, 14, COILS)
    mask = columns_mask(14, 4)

    def loss(kspace, maps, regularisation):
        image = reconstruct(kspace, mask, maps, regularisation=regularisation, iterations=10)
        return jnp.sum(jnp.square(image.real) + jnp.square(image.imag))

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))
    for values in (kspace, jnp.zeros_like(kspace)):
        for found in gradient(values, maps, 0.002):
            assert np.all(np.isfinite(found))


def test_is_closer_to_the_truth_than_the_zero_filled_image():
    full, maps = scan(48, 48, 4)
    everything = jnp.ones((1, 48), bool)
    truth = adjoint_operator(full, maps, everything)
    for mask in (columns_mask(48, 12), points_mask(48, 48, 12, 0.25)):
        zero_filled = adjoint_operator(full, maps, mask)
        found = reconstruct(full, mask, maps)
        assert relative_error(found, truth) < 0.5 * relative_error(zero_filled, truth)
