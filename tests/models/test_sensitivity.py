import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrecon.models.sensitivity import SensitivityNet, acs_columns
from jaxrecon.physics.fourier import to_native_order

HEIGHT, WIDTH, COILS, ACS = 20, 27, 3, 8


@pytest.mark.parametrize("width", [1, 2, 9, 12, 131, 132])
def test_acs_columns_are_the_centred_ones_in_native_order(width):
    counts = sorted({0, 1, 2, width // 3, width - 1, width})
    expected = []
    for count in counts:
        centred = np.zeros(width, bool)
        first = (width - count + 1) // 2
        centred[first : first + count] = True
        expected.append(np.fft.ifftshift(centred))
    found = acs_columns(jnp.array(counts, jnp.int32), width)
    assert found.shape == (len(counts), 1, 1, width)
    np.testing.assert_array_equal(found[:, 0, 0], expected)


def random_kspace(batch=1, seed=0):
    rng = np.random.default_rng(seed)
    real, imaginary = rng.normal(size=(2, batch, COILS, HEIGHT, WIDTH))
    return to_native_order(jnp.asarray((real + 1j * imaginary).astype(np.complex64)))


@pytest.fixture(scope="module")
def network():
    return SensitivityNet(channels=2, pools=1)


@pytest.fixture(scope="module")
def variables(network):
    return jax.jit(network.init)(jax.random.key(3, impl="rbg"), random_kspace(), jnp.array([ACS]))


@pytest.fixture(scope="module")
def apply(network, variables):
    return jax.jit(functools.partial(network.apply, variables))


def root_sum_of_squares(maps):
    return np.sqrt(np.sum(np.abs(np.complex128(maps)) ** 2, axis=1))


def test_the_maps_have_a_root_sum_of_squares_of_one(apply):
    maps = apply(random_kspace(2), jnp.array([ACS, ACS]))
    assert maps.shape == (2, COILS, HEIGHT, WIDTH)
    np.testing.assert_allclose(root_sum_of_squares(maps), 1, rtol=1e-6)


def test_only_the_calibration_columns_of_each_example_count(apply):
    kspace = random_kspace(2)
    acs = jnp.array([ACS, 5])
    maps = apply(kspace, acs)
    outside = ~acs_columns(acs, WIDTH)
    np.testing.assert_array_equal(apply(jnp.where(outside, 7.0, kspace), acs), maps)
    assert np.abs(apply(kspace, jnp.array([ACS, 6]))[1] - maps[1]).max() > 1e-3
    alone = apply(kspace[1:], acs[1:])
    assert np.abs(alone[0] - maps[1]).max() <= 1e-5


def test_coils_without_signal_have_zero_maps_and_change_nothing(apply):
    kspace, acs = random_kspace(), jnp.array([ACS])
    silent = jnp.zeros_like(kspace[:, :1])
    more = apply(jnp.concatenate([kspace[:, :2], silent, kspace[:, 2:], silent], axis=1), acs)
    np.testing.assert_array_equal(more[:, [2, 4]], 0)
    np.testing.assert_allclose(more[:, [0, 1, 3]], apply(kspace, acs), atol=1e-5)


def test_no_signal_at_all_gives_zero_maps_and_finite_gradients(apply):
    kspace, acs = jnp.zeros((1, COILS, HEIGHT, WIDTH), jnp.complex64), jnp.array([ACS])
    np.testing.assert_array_equal(apply(kspace, acs), 0)

    gradient = jax.jit(jax.grad(lambda kspace: jnp.sum(apply(kspace, acs).real)))
    assert np.isfinite(gradient(kspace)).all()


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_scale_of_the_signal_does_not_matter(apply, factor):
    kspace, acs = random_kspace(), jnp.array([ACS])
    np.testing.assert_allclose(apply(kspace * factor, acs), apply(kspace, acs), atol=2e-5)
