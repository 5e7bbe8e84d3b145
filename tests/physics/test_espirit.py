import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sigpy.mri.app
from operator_checks import random_complex
from parallel_imaging import columns_mask, phantom, points_mask, relative_error, scan

from jaxrecon.errors import InputError
from jaxrecon.physics.espirit import check_calibration, eigenvalue_maps, espirit_maps

STATIC = ("calibration", "kernel", "iterations")
maps_of = jax.jit(espirit_maps, static_argnames=STATIC)
eigenvalues_of = jax.jit(eigenvalue_maps, static_argnames=STATIC)


def projection_error(found, reference) -> np.ndarray:
    """Length of what a unit vector over the coils has outside of the line of another, by pixel."""
    found, reference = np.asarray(found, np.complex128), np.asarray(reference, np.complex128)
    along = np.sum(reference.conj() * found, axis=0)
    return np.sqrt(np.sum(np.abs(found - reference * along) ** 2, axis=0))


def by_definition(kspace, calibration, kernel, threshold):
    """Largest eigenvalues and their vectors, from kernels at the image's size, in float64."""
    coils, height, width = kspace.shape
    top, left = (height - calibration[0] + 1) // 2, (width - calibration[1] + 1) // 2
    region = np.asarray(kspace, np.complex128)[
        :, top : top + calibration[0], left : left + calibration[1]
    ]
    windows = np.lib.stride_tricks.sliding_window_view(region, (kernel, kernel), axis=(1, 2))
    matrix = windows.transpose(1, 2, 0, 3, 4).reshape(-1, coils * kernel**2)
    _, values, rows = np.linalg.svd(matrix, full_matrices=False)
    kernels = rows[values > threshold * values[0]].reshape(-1, coils, kernel, kernel)
    images = np.fft.fftshift(np.fft.ifft2(kernels, s=(height, width)), axes=(-2, -1))
    images *= height * width
    gram = np.einsum("jcyx,jdyx->yxcd", images, images.conj()) / kernel**2
    eigenvalues, vectors = np.linalg.eigh(gram)
    return eigenvalues[..., -1], np.moveaxis(vectors[..., -1], -1, 0)


@pytest.mark.parametrize(
    ("size", "coils", "calibration", "kernel"),
    [((24, 20), 4, (16, 16), 5), ((21, 19), 3, (15, 12), 4), ((16, 17), 18, (14, 15), 3)],
)
def test_equals_its_definition(size, coils, calibration, kernel):
    kspace, _ = scan(*size, coils, noise=0.01)
    settings = {"calibration": calibration, "kernel": kernel}
    found, eigenvalues = eigenvalues_of(kspace, threshold=0.05, iterations=1000, **settings)
    expected, vectors = by_definition(kspace, calibration, kernel, 0.05)
    np.testing.assert_allclose(eigenvalues, expected, rtol=0, atol=1e-5)
    # Where two eigenvalues are close, the power iterations end anywhere between their vectors.
    is_signal = expected > 0.98
    assert is_signal.mean() > 0.2
    assert np.max(projection_error(found, vectors)[is_signal]) < 1e-3
    assert np.median(projection_error(found, vectors)[is_signal]) < 1e-5


@pytest.mark.parametrize("size", [(40, 48), (41, 45)])
def test_agrees_with_sigpy(size):
    kspace, _ = scan(*size, 5, noise=0.01)
    maps, eigenvalues = eigenvalues_of(kspace, iterations=300)
    # sigpy takes the sample before the centre of an odd size less than a mask does. Circular shifts
    # of k-space are phases of the image, which no eigenvalue and no projection sees.
    shifts = tuple(-(length % 2) for length in size)
    expected, reference = sigpy.mri.app.EspiritCalib(
        np.roll(np.asarray(kspace), shifts, (-2, -1)),
        crop=0,
        max_iter=300,
        output_eigenvalue=True,
        show_pbar=False,
    ).run()
    is_signal = reference[0] > 0.95
    assert is_signal.mean() > 0.5
    np.testing.assert_allclose(eigenvalues[is_signal], reference[0][is_signal], rtol=0, atol=1e-5)
    assert np.quantile(projection_error(maps, expected)[is_signal], 0.99) < 1e-5
    assert np.max(projection_error(maps, expected)[is_signal]) < 1e-3


def test_agrees_with_sigpy_on_a_real_brain(real_data):
    kspace = np.load(real_data / "data" / "brain_8coil_poisson_kspace.npz")["kspace"]
    check_calibration(np.any(kspace != 0, axis=0), kspace.shape[1])
    expected = sigpy.mri.app.EspiritCalib(kspace, show_pbar=False).run()
    found = np.asarray(maps_of(jnp.asarray(kspace)))
    is_signal = np.any(found != 0, axis=0)
    np.testing.assert_array_equal(is_signal, np.any(expected != 0, axis=0))
    error = projection_error(found, expected)[is_signal]
    assert np.quantile(error, 0.99) < 1e-5
    assert np.max(error) < 1e-3


def test_finds_the_maps_of_a_simulation():
    kspace, maps = scan(48, 48, 6, noise=0.0005)
    found = maps_of(kspace, kernel=7)
    inside = phantom(48, 48) > 0
    # The outermost pixels of the object share their window with what lies outside.
    assert np.quantile(projection_error(found, maps)[inside], 0.9) < 0.02


def test_maps_have_unit_length_or_none_and_the_reference_has_no_phase():
    kspace, _ = scan(32, 36, 4)
    maps = np.asarray(maps_of(kspace, crop=0.9))
    length = np.linalg.norm(maps, axis=0)
    is_signal = length > 0.5
    assert 0.3 < is_signal.mean() < 1
    np.testing.assert_allclose(length[is_signal], 1, rtol=1e-5)
    np.testing.assert_array_equal(maps[:, ~is_signal], 0)
    _, eigenvalues = eigenvalues_of(kspace)
    np.testing.assert_array_equal(is_signal, np.asarray(eigenvalues) > 0.9)

    region = np.asarray(kspace)[:, 4:28, 6:30].reshape(4, -1)
    component = np.linalg.svd(region, full_matrices=False)[0][:, 0]
    strongest = np.argmax(np.abs(component))
    component = component * np.abs(component[strongest]) / component[strongest]
    seen = np.einsum("c,chw->hw", component.conj(), maps)[is_signal]
    assert np.max(np.abs(np.angle(seen[np.abs(seen) > 0.05]))) < 1e-3


@pytest.mark.parametrize("factor", [1e-6, 0.03, 1e6])
def test_do_not_depend_on_the_scale_of_kspace(factor):
    kspace, _ = scan(32, 36, 4)
    expected, reference = eigenvalues_of(kspace)
    found, eigenvalues = eigenvalues_of(factor * kspace)
    np.testing.assert_allclose(eigenvalues, reference, rtol=0, atol=1e-5)
    is_signal = reference > 0.95
    assert relative_error(found[:, is_signal], expected[:, is_signal]) < 1e-5


def test_do_not_depend_on_the_order_of_the_coils():
    kspace, _ = scan(32, 36, 4)
    order = np.array([2, 0, 3, 1])
    expected, reference = eigenvalues_of(kspace)
    found, _ = eigenvalues_of(kspace[order])
    is_signal = reference > 0.95
    assert relative_error(found[:, is_signal], expected[order][:, is_signal]) < 1e-5


def test_only_the_calibration_region_counts():
    kspace, _ = scan(32, 36, 4)
    spoiled = jnp.full_like(kspace, jnp.nan).at[:, 4:28, 6:30].set(kspace[:, 4:28, 6:30])
    np.testing.assert_array_equal(maps_of(spoiled), maps_of(kspace))


def test_slices_of_a_batch_are_calibrated_alone():
    kspace, _ = scan(28, 30, 3, slices=4, noise=0.01)
    kspace = (kspace * jnp.asarray([1, 1e-4, 3, 0]).reshape(4, 1, 1, 1)).reshape(2, 2, 3, 28, 30)
    maps, eigenvalues = eigenvalues_of(kspace)
    for index in np.ndindex(2, 2):
        alone, reference = eigenvalues_of(kspace[index])
        np.testing.assert_allclose(eigenvalues[index], reference, rtol=0, atol=1e-6)
        is_signal = reference > 0.95
        np.testing.assert_allclose(
            maps[index][:, is_signal], alone[:, is_signal], rtol=0, atol=1e-5
        )
    np.testing.assert_array_equal(maps[1, 1], 0)
    np.testing.assert_array_equal(eigenvalues[1, 1], 0)


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((1, 32, 32), {}, "k-space for ESPIRiT: expected at least 2 coils, found 1"),
        ((4, 32, 20), {}, "calibration region: .* 1 x 1 to 32 x 20, .* found 24 x 24"),
        ((4, 32, 32), {"calibration": (0, 8)}, "calibration region: .* found 0 x 8"),
        (
            (4, 32, 32),
            {"calibration": (24, 5)},
            "ESPIRiT kernel: expected 1 to 5 points .* found 6",
        ),
        ((4, 32, 32), {"kernel": 0}, "ESPIRiT kernel: expected 1 to 24 points .* found 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(shape, settings, message):
    with pytest.raises(InputError, match=message):
        espirit_maps(random_complex(shape, 0), **settings)


def test_a_mask_with_its_centre_passes():
    for height, width, acs in ((32, 40, 24), (33, 41, 24), (32, 40, 13), (33, 41, 13)):
        check_calibration(np.asarray(columns_mask(width, acs)), height, (24, acs))
        check_calibration(np.asarray(points_mask(height, width, acs)), height, (acs, acs))
    check_calibration(np.ones((3, 1, 40), bool), 32)


def test_a_mask_without_its_centre_is_refused():
    mask = np.asarray(columns_mask(40, 12))
    message = r"fully sampled centre of 24 x 24 for ESPIRiT, found \d+ of 576 samples missing"
    with pytest.raises(InputError, match=message):
        check_calibration(mask, 32)
    hole = np.ones((32, 40), bool)
    hole[16, 20] = False
    with pytest.raises(InputError, match="found 1 of 576 samples missing"):
        check_calibration(hole, 32)
    # One slice of several is enough.
    with pytest.raises(InputError, match="found 1 of 1152 samples missing"):
        check_calibration(np.stack([np.ones_like(hole), hole]), 32)
    with pytest.raises(InputError, match="expected a size from 1 x 1 to 20 x 40"):
        check_calibration(mask, 20)
