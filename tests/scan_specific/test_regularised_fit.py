"""What regularises a fit, its last least-squares step, and what a fit refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from operator_checks import random_complex
from scan_problems import slices, small_inr, template_prior

from jaxrecon.errors import DivergenceError, InputError
from jaxrecon.scan_specific.backbone import open_backbone
from jaxrecon.scan_specific.fit import Fit, Programs

HEIGHT, WIDTH = 20, 17


def make_fit(prior=None, **fields):
    config = small_inr(**fields).to_dict()
    return Fit(config, open_backbone(config), prior)


def run(fit, count=1):
    """Steps done and moments of a fit to some slices."""
    programs = Programs(fit)
    problem = programs.problem(*slices(HEIGHT, WIDTH, count))
    return [(int(state.step), moment) for state, moment in programs.run(problem)]


@pytest.fixture(scope="module")
def seeds():
    """Those that references were drawn with anew."""
    return []


@pytest.fixture(scope="module")
def guided(seeds):
    """The path of a fit that the prior guides after 10 steps without."""

    def redraw(seed):
        seeds.append(seed)
        return template_prior(HEIGHT, WIDTH).arrays

    config = small_inr(regulariser="semantic", seed=3, tv_steps=10, steps=30)
    config.weights.semantic, config.backbone.adaptor_learning_rate = 50.0, 3e-3
    config = config.to_dict()
    return run(Fit(config, open_backbone(config), template_prior(HEIGHT, WIDTH, redraw)))


def test_the_prior_s_loss_falls_once_it_guides(guided):
    assert [step for step, _ in guided] == [0, 10, 20, 30, 40]
    losses = [float(moment.losses["semantic"][0]) for _, moment in guided]
    # Ten steps with total variation come first.
    assert losses[1] > 0.95 * losses[0]
    assert losses[4] < 0.8 * losses[1]
    assert losses[1] > losses[2] > losses[3] > losses[4]


def test_references_are_drawn_anew_for_each_program_by_seed_and_step(guided, seeds):
    assert seeds == [3, 13, 23, 33]


def test_without_a_regulariser_the_last_steps_are_of_the_data_alone():
    problem, ends = None, []
    for regulariser, weight in (("none", 3.0), ("tv", 0.0), ("tv", 3.0)):
        fit = make_fit(regulariser=regulariser, weights={"tv": weight, "semantic": 1.0})
        problem = problem or fit.problem(*slices(HEIGHT, WIDTH, 1))
        advance = jax.jit(fit.advance, static_argnames="guided")
        count = jnp.asarray(3, jnp.int32)
        state = fit.start(1, (HEIGHT, WIDTH))
        state = advance(state, fit.constants, problem, count, guided=True)
        ends.append(state.groups["adaptor"]["conv2"]["kernel"])
    np.testing.assert_allclose(ends[0], ends[1], rtol=0, atol=1e-6)
    assert jnp.abs(ends[0] - ends[2]).max() > 1e-4


def dense_system(mask, maps):
    """A^H A of a slice as a matrix, by Fourier matrices, in double precision."""

    def fourier(size):
        places = np.arange(size) - size // 2
        return np.exp(-2j * np.pi * np.outer(places, places) / size) / np.sqrt(size)

    transform = np.kron(fourier(HEIGHT), fourier(WIDTH))
    sampled = np.broadcast_to(mask, (HEIGHT, WIDTH)).ravel()
    rows = [transform[sampled] * one.ravel() for one in np.asarray(maps, np.complex128)]
    operator = np.concatenate(rows)
    return operator, sampled


def test_the_last_step_solves_its_least_squares_problem():
    weight = 0.5
    kspace, mask, maps = slices(HEIGHT, WIDTH, 1, points=True)
    kspace = 1e-3 * kspace + 1e-5 * mask * random_complex(kspace.shape, 0)
    network, solved = (make_fit(final_weight=value) for value in (0.0, weight))
    state = network.start(1, (HEIGHT, WIDTH))
    images = [
        jax.jit(fit.look)(state, fit.constants, fit.problem(kspace, mask, maps)).images
        for fit in (network, solved)
    ]
    operator, sampled = dense_system(np.asarray(mask[0]), maps[0])
    samples = np.asarray(kspace[0], np.complex128).reshape(len(maps[0]), -1)[:, sampled].ravel()
    system = operator.conj().T @ operator + weight * np.eye(HEIGHT * WIDTH)
    right = operator.conj().T @ samples + weight * np.asarray(images[0][0], np.complex128).ravel()
    expected = np.linalg.solve(system, right).reshape(HEIGHT, WIDTH)
    limit = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(images[1][0], expected, rtol=0, atol=limit)


def test_a_semantic_fit_without_a_prior_is_an_error():
    with pytest.raises(InputError, match=r"^prior\.embeddings: expected [^\n]*jaxrecon\.embed"):
        make_fit(regulariser="semantic")


def test_an_unknown_regulariser_is_an_error():
    expected = r"^regulariser: expected one of semantic, tv, none, found 'wavelet'$"
    with pytest.raises(InputError, match=expected):
        make_fit(regulariser="wavelet")


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", 0), ("report_every", 0), ("tv_steps", -1), ("halve_every", -1)],
)
def test_numbers_of_steps_that_make_no_fit_are_errors(field, value):
    with pytest.raises(InputError, match=rf"^{field}: expected at least \d, found {value}$"):
        make_fit(**{field: value})


def test_a_fit_that_diverges_ends_in_one_line():
    fit = make_fit(learning_rate=1e25, tv_steps=20, steps=1)
    with pytest.raises(DivergenceError) as caught:
        run(fit)
    expected = "expected a finite loss, found another one at step 10: try a lower learning_rate"
    assert str(caught.value) == f"small: {expected}"
