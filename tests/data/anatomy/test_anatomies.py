import numpy as np
import pytest
from ellipse_reference import intensity

from jaxrecon.data.anatomy import brain, cardiac, knee
from jaxrecon.data.anatomy.scene import Scene
from jaxrecon.data.ellipses import Ellipses, transform

CASES = [
    pytest.param(module, contrast, reach, id=f"{contrast}-{reach}")
    for module, reach in ((cardiac, 0.5), (knee, 1.0), (knee, 0.5), (brain, 0.5))
    for contrast in module.CONTRASTS
]


def levels(scene: Scene, frame: int, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return intensity(scene.still, y, x) + intensity(scene.moving[frame], y, x)


def total_signal(ellipses: Ellipses) -> float:
    return float(transform(ellipses, np.zeros(1), np.zeros(1))[0, 0].real)


@pytest.mark.parametrize(("module", "contrast", "reach"), CASES)
@pytest.mark.parametrize("case", [0, 1])
def test_intensity_is_nowhere_negative_and_inside_the_field_of_view(module, contrast, reach, case):
    scene = module.draw((case, 5), contrast, position=0.2 + 0.5 * case, frames=3, reach=reach)
    rng = np.random.default_rng(case)
    grid = np.linspace(-0.5, 0.5, 512)
    for frame in (0, 1) if module is cardiac else (0,):
        y, x = rng.uniform(-reach, reach, 40_000), rng.uniform(-0.5, 0.5, 40_000)
        shown = levels(scene, frame, y, x)
        assert shown.min() > -1e-12
        assert 0.8 * scene.brightest < shown.max() < 1.8 * scene.brightest
        for edge in (-0.5, 0.5):
            assert not levels(scene, frame, reach * 2 * grid, np.array(edge)).any()
            assert not levels(scene, frame, np.array(2 * reach * edge), grid).any()


@pytest.mark.parametrize(("module", "contrast", "reach"), CASES)
def test_fine_structure_abounds_and_points_everywhere(module, contrast, reach):
    scene = module.draw((3,), contrast, position=0.4, frames=1, reach=reach)
    small = scene.still.semi_axes.min(axis=1) < 0.01
    assert small.sum() > 60
    turn = np.mod(scene.still.angle[small], np.pi)
    assert (np.histogram(turn, 4, (0, np.pi))[0] > 5).all()


@pytest.mark.parametrize("module", [cardiac, knee, brain])
def test_a_scene_is_a_function_of_its_seed_and_position(module):
    contrast = next(iter(module.CONTRASTS))
    first, again, other, beside = (
        module.draw(seed, contrast, position=position, frames=2, reach=0.5)
        for seed, position in (((1,), 0.5), ((1,), 0.5), ((2,), 0.5), ((1,), 0.7))
    )
    np.testing.assert_array_equal(first.still.semi_axes, again.still.semi_axes)
    np.testing.assert_array_equal(first.still.intensity, again.still.intensity)
    np.testing.assert_array_equal(first.moving[1].centre, again.moving[1].centre)
    outline = [scene.still.semi_axes[0] for scene in (first, other)]
    assert np.abs(outline[0] - outline[1]).max() > 1e-4
    assert abs(first.still.intensity[0] - other.still.intensity[0]) > 1e-4
    assert len(beside.still) != len(first.still) or (
        np.abs(beside.still.centre - first.still.centre).max() > 1e-3
    )


def test_heart_contracts_and_relaxes():
    phases = np.linspace(0, 1, 50, endpoint=False)
    contraction = np.array([cardiac.contraction(float(phase)) for phase in phases])
    assert contraction[0] == 0
    assert contraction[-1] == 0
    assert contraction.min() >= 0
    assert contraction.max() == pytest.approx(1, abs=0.01)
    assert phases[contraction.argmax()] == pytest.approx(0.35, abs=0.02)
    assert np.abs(np.diff(contraction)).max() < 0.12
    # Blood is bright in cine: a contracted heart holds less of it.
    scene = cardiac.draw((4,), "cine_sax", position=0.3, frames=20, reach=0.5)
    signal = [total_signal(moving) for moving in scene.moving]
    assert np.argmin(signal) == 7
    assert signal[7] < 0.8 * signal[0]


def test_left_ventricle_narrows_towards_the_apex():
    radii = []
    for position in (0.1, 0.5, 0.9):
        scene = cardiac.draw((4,), "cine_sax", position=position, frames=1, reach=0.5)
        radii.append(scene.moving[0].semi_axes[2, 0])  # After both ventricles and the blood pool.
    assert radii[0] > radii[1] > radii[2] > 0.02


def test_contrasts_differ_in_what_is_bright():
    at_centre = {}
    for contrast in brain.CONTRASTS:
        scene = brain.draw((6,), contrast, position=0.2, frames=1, reach=0.5)
        at_centre[contrast] = brain.CONTRASTS[contrast]["fluid"] / scene.brightest
    assert at_centre["AXT2"] > 0.9
    assert at_centre["AXT1"] < 0.2
    assert at_centre["AXFLAIR"] < 0.2
