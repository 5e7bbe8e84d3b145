import dataclasses
import io

import numpy as np
import pytest
import trajectories
from PIL import Image

from jaxrecon.reporting.figure_files import png_of
from jaxrecon.reporting.trajectory_figures import (
    chosen_moments,
    loss_figure,
    loss_kinds,
    pictures,
    scale_words,
    strip_figure,
    white_of,
)


@pytest.mark.parametrize(
    ("steps", "limit", "expected"),
    [
        ([0], 8, [0]),
        ([0, 100], 8, [0, 100]),
        (range(0, 1700, 100), 5, [0, 400, 800, 1200, 1600]),
        (range(17), 8, [0, 2, 5, 7, 9, 11, 14, 16]),
        # Kept more often in the beginning: it is the steps that are evenly spread.
        ([0, 1, 2, 3, 4, 50, 100], 3, [0, 50, 100]),
    ],
)
def test_moments_are_evenly_spread_over_the_steps(steps, limit, expected):
    steps = np.asarray(steps)
    trajectory = dataclasses.replace(trajectories.made(kept=len(steps)), steps=steps)
    assert steps[chosen_moments(trajectory, limit)].tolist() == expected


def test_pictures_run_from_the_zero_filled_image_to_the_target():
    trajectory = trajectories.made(kept=4)
    shown = pictures(trajectory, 1)
    assert [label for label, _, _ in shown] == [
        "Zero-filled", "Step 0", "Step 100", "Step 200", "Step 300", "Target"
    ]  # fmt: skip
    assert [answer for _, _, answer in shown] == [
        "", "Low-quality", "Low-quality", "High-quality", "High-quality", ""
    ]  # fmt: skip
    np.testing.assert_array_equal(shown[0][1], trajectory.zero_filled[1])
    np.testing.assert_array_equal(shown[3][1], trajectory.images[2, 1])
    np.testing.assert_array_equal(shown[-1][1], trajectory.target[1])
    assert [each[0] for each in pictures(trajectories.made(kept=1, target=False), 0)] == [
        "Zero-filled", "Step 0"
    ]  # fmt: skip


def test_white_is_the_target_s_maximum_or_the_last_image_s_quantile():
    trajectory = trajectories.made()
    trajectory = dataclasses.replace(trajectory, target=3 * trajectory.target)
    assert white_of(trajectory, 0) == 3
    assert scale_words(trajectory, 0) == "Images: 0 to 3, the target's maximum."
    blind = dataclasses.replace(trajectory, target=None)
    assert white_of(blind, 0) == pytest.approx(np.quantile(blind.images[-1, 0], 0.999))
    assert "99.9 % quantile of the last" in scale_words(blind, 0)


def test_the_strip_shows_the_images_and_what_was_said():
    trajectory = trajectories.made(kept=12)
    figure = strip_figure(trajectory, 1, "A title")
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in drawn] == [each[0] for each in pictures(trajectory, 1)]
    assert drawn[1].get_xlabel() == "Low-quality"
    assert drawn[-2].get_xlabel() == "High-quality"
    assert {axes.images[0].get_clim() for axes in drawn} == {(0.0, 1.0)}
    np.testing.assert_array_equal(drawn[-1].images[0].get_array(), trajectory.target[1])
    with Image.open(io.BytesIO(png_of(figure))) as image:
        assert image.width == pytest.approx(5 * 1.45 * 300, abs=2)
        assert np.ptp(np.asarray(image.convert("L"))) == 255


def test_a_long_answer_is_wrapped_and_cut():
    trajectory = trajectories.made(kept=2)
    said = (("word " * 40, "word"),) * 2
    figure = strip_figure(dataclasses.replace(trajectory, answers=said), 0, "")
    text = figure.axes[1].get_xlabel()
    assert text.count("\n") == 3
    assert text.endswith("…")


def test_losses_of_levels_share_a_panel():
    trajectory = trajectories.made()
    kinds = loss_kinds(trajectory)
    assert {kind: list(curves) for kind, curves in kinds.items()} == {
        "data": ["data"],
        "tv": ["tv"],
        "semantic": ["semantic", "semantic/layer1", "semantic/layer7"],
    }
    figure = loss_figure(trajectory)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Data loss",
        "Total-variation loss",
        "Contrastive loss",
    ]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear", "linear"]
    for axes, curves in zip(figure.axes, kinds.values(), strict=True):
        for line, values in zip(axes.lines, curves.values(), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), trajectory.steps)
            np.testing.assert_allclose(line.get_ydata(), values.mean(axis=1))
    assert len(loss_figure(trajectory, ["tv"]).axes) == 1
    assert png_of(figure) == png_of(loss_figure(trajectory))
