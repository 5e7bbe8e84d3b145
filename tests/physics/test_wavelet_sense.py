from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import pywt
import sigpy
import sigpy.mri
from parallel_imaging import columns_mask, points_mask, relative_error, scan

from jaxrecon.physics.sense import adjoint_operator
from jaxrecon.physics.wavelet import is_detail
from jaxrecon.physics.wavelet_sense import wavelet_sense

COILS = 3
STATIC = ("iterations", "levels", "vanishing_moments", "cycle_spinning")
MASKS = {"columns": lambda h, w: columns_mask(w, 6), "points": lambda h, w: points_mask(h, w, 6)}
# Enough for small images, and faster to compile than the defaults.
db2 = partial(wavelet_sense, levels=2, vanishing_moments=2)
reconstruct = jax.jit(db2, static_argnames=STATIC)


class PeriodicWavelet(sigpy.linop.Linop):
    """PyWavelets' orthonormal db2 transform of two levels."""

    def __init__(self, shape, inverse=False):
        self.inverse = inverse
        _, self.slices = pywt.coeffs_to_array(self._split(np.zeros(shape)))
        super().__init__(shape, shape)

    def _split(self, image):
        return pywt.wavedec2(image, "db2", mode="periodization", level=2)

    def _apply(self, values):
        if not self.inverse:
            return pywt.coeffs_to_array(self._split(values))[0]
        parts = pywt.array_to_coeffs(values, self.slices, output_format="wavedec2")
        return pywt.waverec2(parts, "db2", mode="periodization")

    def _adjoint_linop(self):
        return PeriodicWavelet(self.ishape, not self.inverse)


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize(("size", "padded"), [((24, 20), (24, 20)), ((18, 22), (20, 24))])
def test_converges_to_the_image_of_sigpy(size, padded, kind):
    kspace, maps = scan(*size, COILS)
    mask = MASKS[kind](*size)
    weight = 0.01 * float(jnp.max(jnp.abs(adjoint_operator(kspace, maps, mask))))
    weights = np.broadcast_to(np.asarray(mask, float), size)
    wavelet = PeriodicWavelet(padded)
    sense = sigpy.mri.linop.Sense(np.asarray(maps, np.complex128), weights=weights)
    shrink = sigpy.prox.L1Reg(padded, weight * is_detail(*padded, 2))
    expected = sigpy.app.LinearLeastSquares(
        sense * sigpy.linop.Resize(size, padded),
        np.asarray(jnp.where(mask, kspace, 0), np.complex128),
        proxg=sigpy.prox.UnitaryTransform(shrink, wavelet),
        alpha=1,
        max_iter=1000,
        show_pbar=False,
    ).run()
    expected = sigpy.resize(expected, size)
    settings = {"regularisation": 0.01}
    found = reconstruct(kspace, mask, maps, iterations=1000, cycle_spinning=False, **settings)
    assert found.dtype == jnp.complex64
    assert relative_error(found, expected) < 1e-4
    # The default number of iterations comes close.
    close = reconstruct(kspace, mask, maps, cycle_spinning=False, **settings)
    assert relative_error(close, expected) < 0.02


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


def test_cycle_spinning_is_the_same_every_time_and_better():
    full, maps = scan(48, 44, COILS, noise=0.01)
    mask = points_mask(48, 44, 12)
    truth = adjoint_operator(scan(48, 44, COILS, noise=0.0)[0], maps, jnp.ones((1, 44), bool))
    found = reconstruct(full, mask, maps)
    again = jax.jit(db2)(full, mask, maps)
    np.testing.assert_array_equal(found, again)
    still = reconstruct(full, mask, maps, cycle_spinning=False)
    assert relative_error(found, truth) < relative_error(still, truth)


def test_gradients_are_finite():
    kspace, maps = scan(12, 14, COILS)
    mask = columns_mask(14, 4)

    def loss(kspace, maps, regularisation):
        settings = {"regularisation": regularisation, "iterations": 5, "levels": 1}
        image = reconstruct(kspace, mask, maps, **settings)
        return jnp.sum(jnp.square(image.real) + jnp.square(image.imag))

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))
    for values in (kspace, jnp.zeros_like(kspace)):
        for found in gradient(values, maps, 0.002):
            assert np.all(np.isfinite(found))


def test_is_closer_to_the_truth_than_the_zero_filled_image():
    full, maps = scan(48, 44, COILS)
    truth = adjoint_operator(full, maps, jnp.ones((1, 44), bool))
    mask = points_mask(48, 44, 12, 0.25)
    zero_filled = adjoint_operator(full, maps, mask)
    found = reconstruct(full, mask, maps)
    assert relative_error(found, truth) < 0.5 * relative_error(zero_filled, truth)
