import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scan_problems import LEVEL_WEIGHTS, RANGE, slices, small_inr, template_prior

from jaxrecon.models.siren import ImplicitImage, coordinate_grid
from jaxrecon.scan_specific.backbone import open_backbone
from jaxrecon.scan_specific.fit import Fit, Programs, reconstruct

HEIGHT, WIDTH, COILS = 23, 20, 3
TV_STEPS, STEPS, HALVE_EVERY = 4, 5, 3


def make_fit(prior=None, **fields):
    config = small_inr(**fields).to_dict()
    return Fit(config, open_backbone(config), prior)


@pytest.fixture(scope="module")
def fit():
    """Total variation first, and then the prior of two templates."""
    return make_fit(
        template_prior(HEIGHT, WIDTH),
        regulariser="semantic",
        tv_steps=TV_STEPS,
        steps=STEPS,
        halve_every=HALVE_EVERY,
        report_every=2,
        final_weight=0.0,
    )


@pytest.fixture(scope="module")
def programs(fit):
    return Programs(fit)


@pytest.fixture(scope="module")
def scan():
    return slices(HEIGHT, WIDTH, points=True)


@pytest.fixture(scope="module")
def problem(programs, scan):
    return programs.problem(*scan)


def copied(tree):
    """On the host: a state's memory is used up by the next program."""
    return jax.tree.map(np.array, tree)


@pytest.fixture(scope="module")
def path(programs, problem):
    """States and moments at the start, and after 2, 4, 6, 8 and 9 steps."""
    return [copied(pair) for pair in programs.run(problem)]


def equal(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def close(found, expected, tolerance):
    """Within a fraction of the largest value."""
    limit = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=limit)


# An optimisation of one slice written by itself: another Fourier transform, loss and Adam.


@jax.jit
def images_of(groups):
    both = ImplicitImage(3, 16, 15.0, 6).apply({"params": groups}, coordinate_grid(HEIGHT, WIDTH))
    return [RANGE * image for image in both]


def data_loss(image, kspace, mask, maps):
    axes = (-2, -1)
    made = jnp.fft.fftshift(jnp.fft.fft2(jnp.fft.ifftshift(maps * image, axes)), axes)
    difference = mask * (made - kspace * np.sqrt(HEIGHT * WIDTH))
    parts = jnp.stack([difference.real, difference.imag])
    return jnp.abs(parts).sum() / (2 * COILS * mask.sum())


def tv_loss(image):
    parts = jnp.stack([image.real, image.imag])
    vertical = jnp.abs(parts[:, 1:] - parts[:, :-1]).sum()
    horizontal = jnp.abs(parts[:, :, 1:] - parts[:, :, :-1]).sum()
    return (vertical + horizontal) / ((HEIGHT - 1) * (WIDTH - 1))


def semantic_losses(image, templates):
    return [
        1
        - jnp.abs(jnp.vdot(template, image)) ** 2
        / (jnp.vdot(template, template).real * jnp.vdot(image, image).real)
        for template in templates
    ]


def loss_with_tv(groups, *scan):
    return sum(data_loss(image, *scan) + 3 * tv_loss(image) for image in images_of(groups))


def loss_with_prior(adaptor, siren, templates, *scan):
    _, image = images_of({"siren": siren, "adaptor": adaptor})
    low, high = semantic_losses(image, templates)
    semantic = LEVEL_WEIGHTS[0] * low + LEVEL_WEIGHTS[1] * high
    return data_loss(image, *scan) + 5 * semantic


def optimised(groups, templates, *scan):
    """Parameters after each step."""
    halved = optax.exponential_decay(1.0, HALVE_EVERY, 0.5, staircase=True)
    optimisers = {
        name: optax.adam(lambda count, rate=rate: rate * halved(count))
        for name, rate in (("siren", 1e-4), ("adaptor", 1e-3))
    }
    states = {name: optimisers[name].init(groups[name]) for name in groups}
    with_tv = jax.jit(jax.grad(loss_with_tv))
    with_prior = jax.jit(jax.grad(loss_with_prior))
    for step in range(TV_STEPS + STEPS):
        if step < TV_STEPS:
            slopes = with_tv(groups, *scan)
        else:
            slopes = {"adaptor": with_prior(groups["adaptor"], groups["siren"], templates, *scan)}
        for name, slope in slopes.items():
            updates, states[name] = optimisers[name].update(slope, states[name])
            groups = {**groups, name: optax.apply_updates(groups[name], updates)}
        yield groups


def test_steps_are_those_of_adam_on_the_two_losses(fit, path, problem):
    groups = jax.tree.map(lambda leaf: leaf[0], path[0][0].groups)
    one = jax.tree.map(lambda leaf: leaf[0], problem)
    templates = fit.prior.arrays["templates"]
    found = {int(state.step): state for state, _ in path}
    steps = enumerate(optimised(groups, templates, one.kspace, one.mask, one.maps), 1)
    compared = 0
    for step, expected in steps:
        if step in found:
            state = jax.tree.map(lambda leaf: leaf[0], found[step].groups)
            # Against the way from the start: a wrong rate or moment would not be a rounding.
            moved = jax.tree.map(lambda a, b: np.asarray(a - b), state, groups)
            wanted = jax.tree.map(lambda a, b: np.asarray(a - b), expected, groups)
            jax.tree.map(functools.partial(close, tolerance=1e-2), moved, wanted)
            close(np.stack(images_of(state)), np.stack(images_of(expected)), 1e-5)
            compared += 1
    assert compared == len(path) - 1


def test_losses_along_the_path_are_their_definitions(fit, path, problem):
    for state, moment in (path[0], path[-1]):
        for index in range(2):
            own = jax.tree.map(lambda leaf, i=index: leaf[i], (state.groups, problem))
            _, image = images_of(own[0])
            one = own[1]
            low, high = semantic_losses(image, fit.prior.arrays["templates"])
            expected = {
                "data": data_loss(image, one.kspace, one.mask, one.maps),
                "tv": tv_loss(image),
                "semantic": LEVEL_WEIGHTS[0] * low + LEVEL_WEIGHTS[1] * high,
                "semantic/low": low,
                "semantic/high": high,
            }
            assert moment.losses.keys() == expected.keys()
            for name, value in expected.items():
                assert moment.losses[name][index] == pytest.approx(float(value), rel=1e-5), name
            # Without a last least-squares step the image is the network's, in the scan's scale.
            close(moment.images[index], one.peak * image, 1e-5)
            for level, template in zip(("low", "high"), fit.prior.arrays["templates"], strict=True):
                product = jnp.vdot(template, image)
                found = moment.embeddings[level][index]
                close(found, np.array([product.real, product.imag]), 1e-4)


def test_what_the_prior_does_not_train_stays_to_the_bit(path):
    assert [int(state.step) for state, _ in path] == [0, 2, 4, 6, 8, 9]
    start, middle, end = (path[place][0] for place in (0, 2, 5))
    equal(end.groups["siren"], middle.groups["siren"])
    equal(end.adam["siren"], middle.adam["siren"])
    for name in ("siren", "adaptor"):
        for before, after in zip(
            jax.tree.leaves(start.groups[name]), jax.tree.leaves(middle.groups[name]), strict=True
        ):
            assert (before != after).any()
    assert (
        end.groups["adaptor"]["conv0"]["bias"] != middle.groups["adaptor"]["conv0"]["bias"]
    ).any()


def test_slices_start_alike(path):
    start = path[0][0]
    equal(
        jax.tree.map(lambda leaf: leaf[1], start.groups),
        jax.tree.map(lambda leaf: leaf[0], start.groups),
    )


def test_the_length_of_a_program_does_not_matter(fit, programs, problem, path, monkeypatch):
    monkeypatch.setitem(fit.config, "report_every", 1000)
    found = [copied(pair) for pair in programs.run(problem)]
    assert [int(state.step) for state, _ in found] == [0, TV_STEPS, TV_STEPS + STEPS]
    equal(found[-1], path[-1])


@pytest.mark.parametrize("place", [1, 2, 3, 5])
def test_an_interrupted_fit_goes_on_to_the_same_end(programs, problem, path, place):
    state = jax.tree.map(jnp.array, path[place][0])
    found = [copied(pair) for pair in programs.run(problem, state)]
    assert len(found) == len(path) - 1 - place
    for pair, expected in zip(found, path[place + 1 :], strict=True):
        equal(pair, expected)


def test_the_pure_function_of_a_slice_alone_ends_where_the_programs_of_all_do(fit, scan, path):
    function = jax.jit(functools.partial(reconstruct, fit))
    for index in range(2):
        found = function(fit.constants, *[leaf[index : index + 1] for leaf in scan])
        close(found[0], path[-1][1].images[index], 1e-5)


def test_a_slice_s_result_does_not_depend_on_the_others(programs, scan, path):
    kspace, mask, maps = scan
    other = kspace.at[1].set(50 * kspace[1, ::-1]), mask.at[1].set(mask[1, ::-1]), maps
    *_, (_, moment) = programs.run(programs.problem(*other))
    equal(np.array(moment.images[0]), path[-1][1].images[0])
    assert (moment.images[1] != path[-1][1].images[1]).any()


@pytest.mark.parametrize("scale", [1e-6, 2.0**-20, 2.0**20, 1e6])
def test_the_result_goes_with_the_scale_of_k_space(programs, scan, path, scale):
    kspace, mask, maps = scan
    *_, (_, moment) = programs.run(programs.problem(scale * kspace, mask, maps))
    expected = path[-1][1]
    close(moment.images / np.float32(scale), expected.images, 1e-5)
    if scale in (2.0**-20, 2.0**20):
        equal(moment.losses, expected.losses)


def test_what_was_not_sampled_is_ignored(programs, scan, path):
    kspace, mask, maps = scan
    filled = jnp.where(mask[:, None], kspace, jnp.nan)
    *_, (_, moment) = programs.run(programs.problem(filled, mask, maps))
    equal(copied(moment), path[-1][1])


def test_empty_k_space_is_fitted_without_a_value_that_is_not_finite(programs, scan):
    kspace, mask, maps = scan
    for _, moment in programs.run(programs.problem(0 * kspace, mask, maps)):
        assert np.isfinite(moment.images).all()


def test_the_seed_is_of_the_first_weights(fit, path):
    start = path[0][0].groups
    equal(copied(fit.start(2, (HEIGHT, WIDTH)).groups), start)
    other = Fit({**fit.config, "seed": 1}, fit.backbone, fit.prior).start(2, (HEIGHT, WIDTH)).groups
    kernel = start["siren"]["dense0"]["kernel"]
    assert (other["siren"]["dense0"]["kernel"] != kernel).any()
