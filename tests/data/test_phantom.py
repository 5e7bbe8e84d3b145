import dataclasses

import numpy as np
import pytest
from ellipse_reference import intensity
from kspace_files import rss

from jaxrecon.data.coil_polynomials import fit_polynomials, map_values
from jaxrecon.data.phantom import ANATOMIES, PhantomSettings, contrasts, phantom_kspace
from jaxrecon.errors import InputError

SMALL = {"height": 48, "width": 40, "coils": 3}


@pytest.mark.parametrize("anatomy", ANATOMIES)
def test_case_is_a_function_of_settings_and_number(anatomy):
    settings = PhantomSettings(anatomy, frames=2, slices=2, **SMALL)
    first, again = phantom_kspace(settings, 3), phantom_kspace(settings, 3)
    assert first.shape == (2, 2, 3, 48, 40)
    assert first.dtype == np.complex64
    np.testing.assert_array_equal(first, again)
    other = dataclasses.replace(settings, seed=1)
    for different in (phantom_kspace(settings, 4), phantom_kspace(other, 3)):
        change = np.linalg.norm(different - first) / np.linalg.norm(first)
        assert change > 0.1
    assert np.linalg.norm(first[:, 0] - first[:, 1]) / np.linalg.norm(first) > 0.02


def test_oversampled_readout_doubles_the_rows():
    settings = PhantomSettings("knee", oversampling=2, **SMALL)
    assert phantom_kspace(settings, 0).shape == (1, 1, 3, 96, 40)


@pytest.mark.parametrize("anatomy", ANATOMIES)
def test_image_shows_the_anatomy(anatomy):
    """Against the mean intensity of each pixel: only truncation and coil fit make a difference."""
    size = 96
    settings = PhantomSettings(anatomy, height=size, width=size, coils=4, noise=0.0)
    image = rss(phantom_kspace(settings, 2)[0, 0])
    scene = settings.scene(2, 0)
    steps = 5
    fine = ((np.arange(size * steps) + 0.5) / steps - 0.5 - size // 2) / size
    y, x = fine[:, None], fine[None, :]
    expected = intensity(scene.still, y, x) + intensity(scene.moving[0], y, x)
    maps = map_values(fit_polynomials(settings.coil_ring(2), 1), fine, fine)
    expected *= np.linalg.norm(maps, axis=0)
    expected = expected.reshape(size, steps, size, steps).mean(axis=(1, 3))
    error = np.linalg.norm(image - expected) / np.linalg.norm(expected)
    assert error < 0.12
    # A shift by half a pixel would show far more than that.
    shifted = np.linalg.norm(image - np.roll(expected, 1, axis=1)) / np.linalg.norm(expected)
    assert shifted > 2 * error


def test_noise_is_white_and_of_the_level_asked_for():
    quiet = PhantomSettings("brain", height=96, width=96, coils=4, noise=0.0)
    loud = dataclasses.replace(quiet, noise=0.05)
    noise = phantom_kspace(loud, 1) - phantom_kspace(quiet, 1)
    expected = 0.05 * quiet.scene(1, 0).brightest
    parts = np.stack([noise.real, noise.imag])
    # 73,728 samples: the standard deviation is known to 0.3 % at one sigma.
    assert parts.std() == pytest.approx(expected, rel=0.015)
    centre, edge = parts[..., 40:56, 40:56], parts[..., :16, :16]
    assert centre.std() == pytest.approx(edge.std(), rel=0.15)
    assert abs(np.mean(noise.real * noise.imag)) < 0.02 * expected**2


def test_only_the_heart_moves():
    settings = PhantomSettings("cardiac", height=64, width=64, coils=2, frames=3, noise=0.0)
    image = rss(phantom_kspace(settings, 0)[:, 0])
    change = np.abs(image[1] - image[0])
    assert change.max() > 0.3
    body = settings.scene(0, 0).moving[0]
    rows = np.abs(np.arange(64) / 64 - 0.5 - body.centre[0, 0]) > 0.25
    assert change[rows].max() < 0.05
    still = dataclasses.replace(settings, anatomy="brain")
    frames = phantom_kspace(still, 0)
    np.testing.assert_array_equal(frames[0], frames[1])


def test_contrasts_are_drawn_for_each_case_unless_chosen():
    drawn = {PhantomSettings("brain").case_contrast(case) for case in range(30)}
    assert drawn == set(contrasts("brain"))
    assert PhantomSettings("brain", "AXT2").case_contrast(7) == "AXT2"
    assert {PhantomSettings("cardiac").case_contrast(case) for case in range(9)} == {"cine_sax"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"anatomy": "liver"}, "anatomy: expected one of cardiac, knee, brain, found 'liver'"),
        ({"anatomy": "knee", "contrast": "AXT1"}, "CORPD_FBK, CORPDFS_FBK for knee, found 'AXT1'"),
        ({"coils": 0}, "coils: expected at least 1, found 0"),
        ({"frames": 0}, "frames: expected at least 1, found 0"),
        ({"noise": -0.1}, "noise: expected a number from 0 to below 1, found -0.1"),
        ({"noise": float("nan")}, "noise"),
        ({"seed": -1}, "seed: expected at least 0, found -1"),
        ({"height": 2}, "matrix: expected at least 8 x 8, found 2 x 128"),
        ({"oversampling": 4}, "oversampling: expected 1 or 2, found 4"),
    ],
)
def test_impossible_settings_are_refused(arguments, message):
    with pytest.raises(InputError) as caught:
        PhantomSettings(**arguments)
    assert message in str(caught.value)
