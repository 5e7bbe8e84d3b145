import numpy as np
import pytest
from ellipse_reference import intensity

from jaxrecon.data.anatomy.canvas import Canvas
from jaxrecon.data.ellipses import Ellipses


def point(canvas: Canvas, row: float, column: float) -> float:
    return float(intensity(canvas.ellipses(), np.array(row), np.array(column)))


@pytest.fixture
def canvas() -> Canvas:
    return Canvas(np.random.default_rng(0))


def test_innermost_region_decides_the_level(canvas):
    outer = canvas.draw(canvas.background, 0.8, (0.0, 0.0), (0.4, 0.3))
    inner = canvas.draw(outer, 0.1, (0.05, 0.1), (0.1, 0.05), 0.5)
    canvas.draw(inner, 0.6, (0.05, 0.1), (0.02, 0.02))
    assert point(canvas, 0.0, 0.0) == pytest.approx(0.8)
    assert point(canvas, 0.05, 0.15) == pytest.approx(0.1)
    assert point(canvas, 0.05, 0.1) == pytest.approx(0.6)
    assert point(canvas, 0.45, 0.0) == 0


def test_an_ellipse_is_shrunk_into_its_parent(canvas):
    outer = canvas.draw(canvas.background, 1.0, (0.0, 0.0), (0.3, 0.3))
    inner = canvas.draw(outer, 0.5, (0.0, 0.2), (0.15, 0.15))
    along = canvas.ellipses().semi_axes[1, 0]
    assert 0.05 < along < 0.1
    assert along == pytest.approx(inner.fitted * 0.15)


def test_what_cannot_fit_is_left_out_with_all_that_is_drawn_in_it(canvas):
    outer = canvas.draw(canvas.background, 1.0, (0.0, 0.0), (0.1, 0.1))
    nowhere = canvas.draw(outer, 5.0, (0.3, 0.3), (0.1, 0.1))
    canvas.draw(nowhere, 9.0, (0.3, 0.3), (0.01, 0.01))
    canvas.draw_lined(nowhere, (7.0, 9.0), (0.3, 0.3), (0.02, 0.02), 0.004)
    canvas.scatter(nowhere, (1.0, 2.0), 5, (0.01, 0.02))
    assert nowhere.fitted == 0
    assert len(canvas) == 1


@pytest.mark.parametrize("slimness", [(0.02, 0.05), (0.3, 1.0)])
def test_siblings_never_overlap(canvas, slimness):
    """Slim ellipses hold no centre of a cell of the canvas and are kept apart all the same."""
    outer = canvas.draw(canvas.background, 0.5, (0.0, 0.0), (0.3, 0.3))
    canvas.scatter(outer, (0.0, 2.0), 400, (0.003, 0.05), slimness=slimness)
    drawn = canvas.ellipses(1)
    count = len(drawn)
    assert count > 50
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    border = drawn.semi_axes[:, :1] * np.cos(turn) + 1j * drawn.semi_axes[:, 1:] * np.sin(turn)
    border = border * np.exp(1j * drawn.angle[:, None])
    y, x = border.imag + drawn.centre[:, :1], border.real + drawn.centre[:, 1:]
    assert np.hypot(y, x).max() < 0.3
    # Just inside its own border, each ellipse is alone.
    y += 1e-6 * (drawn.centre[:, :1] - y)
    x += 1e-6 * (drawn.centre[:, 1:] - x)
    alone = Ellipses(np.ones(count), drawn.centre, drawn.semi_axes, drawn.angle)
    np.testing.assert_array_equal(intensity(alone, y, x), 1)


def test_levels_are_never_negative(canvas):
    outer = canvas.draw(canvas.background, 0.1, (0.0, 0.0), (0.3, 0.3))
    assert canvas.draw(outer, -3.0, (0.0, 0.0), (0.1, 0.1)).level == 0
    assert point(canvas, 0.0, 0.0) == pytest.approx(0)


def test_lining_encloses_its_filling(canvas):
    outer = canvas.draw(canvas.background, 0.5, (0.0, 0.0), (0.3, 0.3))
    canvas.draw_lined(outer, (0.1, 0.9), (0.0, 0.1), (0.1, 0.05), 0.01, 0.0)
    assert point(canvas, 0.0, 0.1) == pytest.approx(0.9)
    assert point(canvas, 0.0, 0.195) == pytest.approx(0.1)
    assert point(canvas, 0.045, 0.1) == pytest.approx(0.1)
    assert point(canvas, 0.0, 0.21) == pytest.approx(0.5)


def test_pose_moves_turns_and_scales_the_drawing(canvas):
    canvas.origin, canvas.tilt, canvas.size = (0.1, -0.05), np.pi / 2, 0.5
    canvas.draw(canvas.background, 1.0, (0.0, 0.2), (0.2, 0.1))
    drawn = canvas.ellipses()
    # A quarter turn takes the column axis to the row axis.
    np.testing.assert_allclose(drawn.centre[0], (0.1 + 0.1, -0.05), atol=1e-15)
    np.testing.assert_allclose(drawn.semi_axes[0], (0.1, 0.05))
    assert drawn.angle[0] == pytest.approx(np.pi / 2)


def test_copies_go_their_own_ways(canvas):
    outer = canvas.draw(canvas.background, 1.0, (0.0, 0.0), (0.3, 0.3))
    twin = canvas.copy(np.random.default_rng(2))
    twin.draw(outer, 0.2, (0.0, 0.0), (0.1, 0.1))
    assert len(canvas) == 1
    assert len(twin) == 2
    assert len(twin.ellipses(1)) == 1
