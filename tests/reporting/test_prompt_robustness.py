import dataclasses

import numpy as np
import pytest
import trajectories

from jaxrecon.reporting.prompt_robustness import (
    prompt_of,
    prompt_spread,
    robustness_figure,
    same_scan,
)


def _made(prompt, **given):
    return trajectories.made(prompt=prompt, noise=0.02, kept=2, **given)


PROMPTS = [f"Is this image of high or of low quality, asked for time {n}?" for n in range(6)]
GROUP = [_made(prompt, seed=place) for place, prompt in enumerate(PROMPTS)]


def test_the_deviation_is_that_over_all_prompts():
    spread = prompt_spread(GROUP, 1)
    images = np.stack([each.images[-1, 1] for each in GROUP]).astype(np.float64)
    mean = images.sum(axis=0) / len(GROUP)
    expected = np.sqrt(((images - mean) ** 2).sum(axis=0) / len(GROUP))
    np.testing.assert_allclose(spread.deviation, expected, rtol=1e-5, atol=1e-7)
    assert spread.representatives == [0, 2, 3, 5]
    assert f"over 6 prompts: mean {expected.mean():.2g}, largest {expected.max():.2g}" in (
        spread.summary
    )


def test_the_scale_of_the_scan_does_not_matter():
    larger = [
        dataclasses.replace(each, images=1000 * each.images, target=1000 * each.target)
        for each in GROUP
    ]
    np.testing.assert_allclose(
        prompt_spread(larger, 0).deviation, prompt_spread(GROUP, 0).deviation, rtol=1e-5
    )
    blind = [dataclasses.replace(each, target=None) for each in larger]
    assert prompt_spread(blind, 0).white == pytest.approx(
        np.mean([each.images[-1, 0] for each in larger], axis=0).max()
    )


def test_only_one_scan_and_method_with_several_prompts_is_a_group():
    other_scan = _made("another?", shape=(40, 24))
    other_samples = dataclasses.replace(_made("another?"), zero_filled=2 * GROUP[0].zero_filled)
    other_method = _made("another?", method="blurred_aliased")
    image_only = _made("")
    bare = dataclasses.replace(GROUP[0], provenance={})
    twice = dataclasses.replace(GROUP[0])
    rest = [other_scan, other_samples, other_method, image_only, bare]
    assert prompt_of(bare) == prompt_of(image_only) == ""
    assert same_scan([*rest, *GROUP, twice]) == [GROUP]
    assert same_scan([*rest, GROUP[0], twice]) == []


def test_the_figure_shows_four_images_and_the_deviation():
    spread = prompt_spread(GROUP, 0)
    figure = robustness_figure(spread)
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in drawn[:5]] == [
        "Prompt 1", "Prompt 3", "Prompt 4", "Prompt 6", "Deviation over 6"
    ]  # fmt: skip
    np.testing.assert_array_equal(drawn[1].images[0].get_array(), spread.images[2])
    np.testing.assert_array_equal(drawn[4].images[0].get_array(), spread.deviation)
    assert drawn[0].get_xlabel().replace("\n", " ") == PROMPTS[0]
