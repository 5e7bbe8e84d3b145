import math

import pytest

from jaxrecon.training.early_stopping import EarlyStopping


def after(patience, scores):
    stopping = EarlyStopping(patience)
    for step, score in enumerate(scores, start=1):
        stopping = stopping.after(score, step)
    return stopping


def test_the_best_step_is_the_first_of_equal_scores():
    stopping = after(3, [0.1, 0.5, 0.5, 0.4])
    assert (stopping.best, stopping.best_step, stopping.stale) == (0.5, 2, 2)
    assert not stopping.should_stop


@pytest.mark.parametrize(
    ("patience", "scores", "stops"),
    [
        (2, [], False),
        (2, [0.5, 0.4], False),
        (2, [0.5, 0.4, 0.3], True),
        (2, [0.5, 0.4, 0.6, 0.5], False),
        (1, [-0.2, -0.3], True),
        (0, [0.5] + [0.1] * 100, False),
    ],
)
def test_it_stops_when_patience_is_exhausted(patience, scores, stops):
    assert after(patience, scores).should_stop is stops


def test_a_score_that_is_not_a_number_never_improves():
    stopping = after(5, [0.3, math.nan, 0.2])
    assert (stopping.best_step, stopping.stale) == (1, 2)
    # Nor is it in the way of the numbers that follow it.
    assert after(5, [math.nan, 0.2]).best == 0.2


def test_its_fields_restore_it():
    stopping = after(4, [0.5, 0.4])
    assert EarlyStopping(**vars(stopping)) == stopping
