import numpy as np
import pytest
from kspace_files import centred_ifft

from jaxrecon.data.simulation import ImageSettings, image_kspace, resize, simulate_coils
from jaxrecon.errors import InputError


def waves(rows: int, columns: int) -> np.ndarray:
    """A band-limited image: the same continuous function at any size."""
    y = (np.arange(rows) - rows // 2)[:, None] / rows
    x = (np.arange(columns) - columns // 2)[None, :] / columns
    return 0.5 + 0.2 * np.cos(2 * np.pi * (3 * y + 2 * x)) + 0.1 * np.sin(2 * np.pi * 4 * x)


def test_coils_follow_their_formula():
    maps = simulate_coils(5, 9, 13)
    assert maps.shape == (5, 9, 13)
    assert maps.dtype == np.complex64
    np.testing.assert_allclose(np.linalg.norm(maps, axis=0), 1, rtol=1e-6)
    # Row 2 of 9 is y = -0.5, column 9 of 13 is x = 0.5.
    unscaled = []
    for coil in range(5):
        t = 2 * np.pi * coil / 5
        size = np.exp(-((0.5 - 1.1 * np.cos(t)) ** 2 + (-0.5 - 1.1 * np.sin(t)) ** 2) / 1.2)
        unscaled.append(size * np.exp(1j * (t + 0.5 * np.cos(t) - 0.5 * np.sin(t))))
    expected = np.array(unscaled) / np.linalg.norm(unscaled)
    np.testing.assert_allclose(maps[:, 2, 9], expected, rtol=1e-5)


@pytest.mark.parametrize("size", [(32, 24), (33, 25), (80, 60), (24, 70)])
def test_resize_samples_the_same_function(size):
    resized = resize(waves(48, 40).astype(np.float32), *size)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, waves(*size), atol=2e-6)


def test_resize_keeps_the_phase_of_complex_images():
    image = (waves(48, 40) * np.exp(0.7j)).astype(np.complex64)
    resized = resize(image, 32, 20)
    assert resized.dtype == np.complex64
    np.testing.assert_allclose(resized, waves(32, 20) * np.exp(0.7j), atol=2e-6)


@pytest.mark.parametrize("oversampling", [1, 2])
def test_kspace_of_a_complex_image_is_that_of_map_times_image(oversampling):
    image = (waves(20, 16) * np.exp(1j * waves(20, 16))).astype(np.complex64)
    settings = ImageSettings(coils=4, oversampling=oversampling, noise=0.0)
    kspace = image_kspace(image, settings, 0)
    assert kspace.shape == (4, 20 * oversampling, 16)
    assert kspace.dtype == np.complex64
    seen = centred_ifft(kspace)
    margin = 10 * (oversampling - 1)
    expected = simulate_coils(4, 20, 16) * image
    np.testing.assert_allclose(seen[:, margin : margin + 20], expected, atol=1e-6)
    assert np.abs(np.delete(seen, range(margin, margin + 20), axis=1)).max(initial=0) < 1e-6


def test_magnitude_images_get_a_bilinear_phase():
    image = np.ones((21, 17), np.float32)
    settings = ImageSettings(coils=3, noise=0.0, seed=4)
    maps = simulate_coils(3, 21, 17)
    slopes = []
    for index in range(40):
        combined = (maps.conj() * centred_ifft(image_kspace(image, settings, index))).sum(axis=0)
        np.testing.assert_allclose(np.abs(combined), 1, rtol=1e-5)
        phase = np.unwrap(np.unwrap(np.angle(combined), axis=0), axis=1)
        curvature = [np.diff(phase, 2, axis=axis) for axis in (0, 1)]
        assert max(np.abs(curvature[0]).max(), np.abs(curvature[1]).max()) < 1e-5
        # Over the image, x and y run over 2: differences along the centre lines are 2 a1, 2 a2.
        slopes.append([phase[10, -1] - phase[10, 0], phase[-1, 8] - phase[0, 8]])
    slopes = np.array(slopes) / 2
    assert np.abs(slopes).max() <= 1.5 + 1e-5
    assert (np.abs(slopes).max(axis=0) > 1.2).all()


def test_noise_has_the_level_asked_for_and_differs_between_images():
    image = np.ones((64, 64), np.complex64)
    clean = image_kspace(image, ImageSettings(coils=4, noise=0.0), 0)
    noisy = [image_kspace(image, ImageSettings(coils=4, noise=0.01), n) - clean for n in (0, 1)]
    # 32,768 numbers: known to 0.4 % at one sigma.
    for noise in noisy:
        assert np.stack([noise.real, noise.imag]).std() == pytest.approx(0.01, rel=0.02)
    assert np.abs(noisy[0] - noisy[1]).max() > 0.01
    again = image_kspace(image, ImageSettings(coils=4, noise=0.01), 1) - clean
    np.testing.assert_array_equal(again, noisy[1])


@pytest.mark.parametrize(
    "arguments",
    [
        {"coils": 0},
        {"height": 64, "width": 0},
        {"oversampling": 3},
        {"noise": 1.5},
        {"seed": -2},
    ],
)
def test_impossible_image_settings_are_refused(arguments):
    with pytest.raises(InputError, match="expected"):
        ImageSettings(**arguments)
