"""Fitting a network to slices, each by itself: compiled programs of many steps of Adam.

The loss of equation (7) of arXiv:2511.19641, summed over the images a backbone names: an L1 data
term, and a regulariser, total variation or the contrastive loss of a semantic prior.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Complex, Float, Int32, PyTree

from jaxrecon.errors import DivergenceError, InputError
from jaxrecon.physics.cg_sense import least_squares
from jaxrecon.physics.cropping import center_crop
from jaxrecon.physics.normal_equations import normal_equations
from jaxrecon.priors.semantic_prior import PriorLoss, SemanticPrior
from jaxrecon.scan_config import REGULARISERS
from jaxrecon.scan_specific.backbone import Backbone, Groups, Made
from jaxrecon.scan_specific.problem import Problem, draw_holdout, make_problem
from jaxrecon.scan_specific.terms import data_term, total_variation

_ADAM = optax.scale_by_adam()
_FINAL_ITERATIONS = 20


class State(NamedTuple):
    """Where the fits of some slices stand; leaves of `groups` and `adam` have a slice axis.

    Attributes:
        groups: what is trained.
        adam: Adam's moments of each group.
        step: steps done.
    """

    groups: Groups
    adam: Groups
    step: Int32[Array, ""]


class Moment(NamedTuple):
    """What is kept along the path of a reconstruction.

    Attributes:
        images: the reconstruction, in the scale of the scan.
        losses: "data", "tv", "semantic" and each of its levels, unweighted.
        embeddings: of the network's images, by level of the prior.
    """

    images: Complex[Array, "slices height width"]
    losses: dict[str, Float[Array, " slices"]]
    embeddings: dict[str, Float[Array, "slices width"]]


class Constants(NamedTuple):
    """Arrays that all slices share; arguments of compiled programs.

    Attributes:
        frozen: see `Backbone`.
        prior: see `SemanticPrior.arrays`; None without a prior.
    """

    frozen: PyTree
    prior: PyTree


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """An experiment, ready to be fitted to slices.

    Attributes:
        config: the experiment.
        backbone: the network.
        prior: guides the fit, or is only looked at where the regulariser is another; None: neither.
        image_shape: rows and columns of the image's centre that the prior looks at, those of the
            images it was made of; None for all of it.
    """

    config: Mapping[str, Any]
    backbone: Backbone
    prior: SemanticPrior | None
    image_shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        config = self.config
        if config["regulariser"] not in REGULARISERS:
            raise InputError(
                f"regulariser: expected one of {', '.join(REGULARISERS)}, "
                f"found {config['regulariser']!r}"
            )
        if config["regulariser"] == "semantic" and self.prior is None:
            raise InputError(
                "prior.embeddings: expected a file of `jaxrecon.embed` for the regulariser "
                "'semantic', found none"
            )
        for field, least in (
            ("steps", 1),
            ("report_every", 1),
            ("tv_steps", 0),
            ("halve_every", 0),
        ):
            if config[field] < least:
                raise InputError(f"{field}: expected at least {least}, found {config[field]}")

    @property
    def total_steps(self) -> int:
        """Steps of Adam from the start to the end."""
        return self.config["tv_steps"] + self.config["steps"]

    @property
    def constants(self) -> Constants:
        """Arrays that all slices share."""
        return Constants(self.backbone.frozen, None if self.prior is None else self.prior.arrays)

    def problem(
        self,
        kspace: Complex[Array, "slices coils height width"],
        mask: Bool[Array, "slices rows width"],
        maps: Complex[Array, "slices coils height width"],
    ) -> Problem:
        """The slices' problems; the same seed divides the same mask alike."""
        holdout = self.backbone.holdout
        if holdout is None:
            return make_problem(kspace, mask, maps)
        key = jax.random.fold_in(jax.random.key(self.config["seed"]), 1)
        fraction, sigma = holdout
        draw = functools.partial(
            draw_holdout, key, height=kspace.shape[-2], fraction=fraction, sigma=sigma
        )
        return make_problem(kspace, mask, maps, jax.vmap(draw)(mask))

    def start(self, slices: int, shape: tuple[int, int]) -> State:
        """Initial parameters, the same for every slice.

        Args:
            slices: how many.
            shape: rows and columns of their images.
        """
        key = jax.random.key(self.config["seed"])
        one = self.backbone.init(key, shape)
        groups = jax.tree.map(lambda leaf: jnp.repeat(jnp.asarray(leaf)[None], slices, 0), one)
        adam = {name: jax.vmap(_ADAM.init)(leaves) for name, leaves in groups.items()}
        return State(groups, adam, jnp.zeros((), jnp.int32))

    def advance(
        self, state: State, constants: Constants, problem: Problem, count: Int32[Array, ""], *,
        guided: bool,
    ) -> State:  # fmt: skip
        """Take some steps of Adam; one compiled program, whatever their number.

        Args:
            state: where the fits stand.
            constants: see `constants`.
            problem: the slices.
            count: steps to take.
            guided: with the experiment's regulariser; else with total variation, all groups
                trained.
        """
        names = self.backbone.guided_groups if guided else tuple(state.groups)
        trained = {name: state.groups[name] for name in names}
        rest = {name: leaves for name, leaves in state.groups.items() if name not in names}
        context = _over_slices(
            lambda groups, problem: self.backbone.prepare(groups, constants.frozen, problem, names),
            (0, 0),
        )(state.groups, problem)
        gradient = _over_slices(
            jax.grad(functools.partial(self._loss, guided=guided)), (0, 0, None, 0)
        )

        def step(_: Array, carry: tuple[Groups, Groups, Array]) -> tuple[Groups, Groups, Array]:
            groups, adam, done = carry
            slopes = gradient(groups, context, constants, problem)
            changed = {
                name: self._updated(name, slopes[name], adam[name], groups[name], done)
                for name in names
            }
            return (
                {name: pair[0] for name, pair in changed.items()},
                {name: pair[1] for name, pair in changed.items()},
                done + 1,
            )

        adam = {name: state.adam[name] for name in names}
        groups, adam, done = jax.lax.fori_loop(0, count, step, (trained, adam, state.step))
        return State({**rest, **groups}, {**state.adam, **adam}, done)

    def cropped(
        self, images: Complex[Array, "images height width"]
    ) -> Complex[Array, "images rows columns"]:
        """What the prior looks at."""
        return images if self.image_shape is None else center_crop(images, *self.image_shape)

    def look(self, state: State, constants: Constants, problem: Problem) -> Moment:
        """The reconstruction as the fits stand, and the terms of the loss.

        Args:
            state: where the fits stand.
            constants: see `constants`.
            problem: the slices.
        """
        result = _over_slices(self.backbone.result, (0, None, 0))
        network = result(state.groups, constants.frozen, problem)
        parts, seen = _over_slices(self._parts, (0, None, 0))(state.groups, constants, problem)
        images = self._final(network, problem) * problem.peak[:, None, None].astype(network.dtype)
        return Moment(images, parts, seen)

    def _final(self, network: Array, problem: Problem) -> Array:
        weight = self.config["final_weight"]
        if not weight:
            return network
        equations = normal_equations(problem.kspace, problem.mask, problem.maps)
        # The problem's k-space has a zero-filled image of peak 1 already, or is empty.
        return least_squares(
            equations, jnp.asarray(weight, network.dtype), network, iterations=_FINAL_ITERATIONS
        )

    def _updated(
        self, name: str, slopes: PyTree, adam: PyTree, leaves: PyTree, done: Array
    ) -> tuple[PyTree, PyTree]:
        direction, adam = jax.vmap(_ADAM.update)(slopes, adam)
        rate = self.config["learning_rate"] * self.backbone.rates[name]
        if self.config["halve_every"]:
            rate = rate * 0.5 ** (done // self.config["halve_every"]).astype(jnp.float32)
        return jax.tree.map(lambda x, d: x - (rate * d).astype(x.dtype), leaves, direction), adam

    def _loss(
        self, groups: Groups, context: PyTree, constants: Constants, problem: Problem, *,
        guided: bool,
    ) -> Array:  # fmt: skip
        made = self.backbone.make(groups, context, constants.frozen, problem)
        loss = jnp.sum(self._data(made, problem))
        weights = self.config["weights"]
        regulariser = self.config["regulariser"] if guided else "tv"
        if regulariser == "tv":
            loss += weights["tv"] * jnp.sum(total_variation(made.regularised))
        if regulariser == "semantic":
            loss += weights["semantic"] * jnp.mean(self._semantic(made, constants).total)
        return loss

    def _data(self, made: Made, problem: Problem) -> Array:
        return data_term(
            made.judged, problem.kspace, problem.loss_mask, problem.maps, over=self.backbone.over
        )

    def _semantic(self, made: Made, constants: Constants) -> PriorLoss:
        assert self.prior is not None
        return self.prior.loss(constants.prior, self.cropped(made.guided))

    def _parts(
        self, groups: Groups, constants: Constants, problem: Problem
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        context = self.backbone.prepare(
            groups, constants.frozen, problem, self.backbone.guided_groups
        )
        made = self.backbone.make(groups, context, constants.frozen, problem)
        parts = {
            "data": jnp.sum(self._data(made, problem)),
            "tv": jnp.sum(total_variation(made.regularised)),
        }
        if self.prior is None:
            return parts, {}
        found = self._semantic(made, constants)
        parts["semantic"] = jnp.mean(found.total)
        for place, level in enumerate(self.prior.levels):
            parts[f"semantic/{level}"] = jnp.mean(found.levels[:, place])
        return parts, {level: vectors[-1] for level, vectors in found.embeddings.items()}


def _over_slices(function: Callable[..., Any], axes: tuple[int | None, ...]) -> Callable[..., Any]:
    """`jax.vmap`, but plain for one slice, whose convolutions and products then take half the time.

    Args:
        function: of one slice.
        axes: 0 for arguments with a slice axis, None for others.
    """

    def mapped(*arguments: Any) -> Any:
        sliced = [a for a, axis in zip(arguments, axes, strict=True) if axis == 0]
        if jax.tree.leaves(sliced)[0].shape[0] > 1:
            return jax.vmap(function, axes)(*arguments)
        one = [
            argument if axis is None else jax.tree.map(lambda leaf: leaf[0], argument)
            for argument, axis in zip(arguments, axes, strict=True)
        ]
        return jax.tree.map(lambda leaf: leaf[None], function(*one))

    return mapped


def reconstruct(
    fit: Fit,
    constants: Constants,
    kspace: Complex[Array, "slices coils height width"],
    mask: Bool[Array, "slices rows width"],
    maps: Complex[Array, "slices coils height width"],
) -> Complex[Array, "slices height width"]:
    """The whole fit as one pure function.

    Args:
        fit: the experiment.
        constants: `fit.constants`, on the device.
        kspace: centred k-space.
        mask: centred, true where sampled; one row for masks of whole columns.
        maps: sensitivity maps.

    Returns:
        Images in the scale of the scan.
    """
    slices, _, height, width = kspace.shape
    problem = fit.problem(kspace, mask, maps)
    state = fit.start(slices, (height, width))
    config = fit.config
    if config["tv_steps"]:
        count = jnp.asarray(config["tv_steps"], jnp.int32)
        state = fit.advance(state, constants, problem, count, guided=False)
    count = jnp.asarray(config["steps"], jnp.int32)
    state = fit.advance(state, constants, problem, count, guided=True)
    return fit.look(state, constants, problem).images


class Programs:
    """The compiled programs of a fit."""

    def __init__(self, fit: Fit):
        """Compile nothing before it is needed.

        Args:
            fit: the experiment.
        """
        self.fit = fit
        self._advance = {
            guided: jax.jit(functools.partial(fit.advance, guided=guided), donate_argnums=0)
            for guided in (False, True)
        }
        self._look = jax.jit(fit.look)
        self._constants = jax.tree.map(jnp.asarray, fit.constants)
        self.problem: Callable[..., Problem] = jax.jit(fit.problem)

    def run(self, problem: Problem, state: State | None = None) -> Iterator[tuple[State, Moment]]:
        """Fit, a compiled program of `report_every` steps at a time.

        Args:
            problem: the slices.
            state: where an interrupted fit stood; None to begin. Its memory is used up.

        Yields:
            The state and what is seen there: at the start, and after each program. A state is
            usable until the next one is asked for.

        Raises:
            DivergenceError: the loss is not finite any more.
        """
        config = self.fit.config
        if state is None:
            slices, height, width = problem.zero_filled.shape
            state = self.fit.start(slices, (height, width))
            yield state, self._look(state, self._constants, problem)
        done = int(state.step)
        while done < self.fit.total_steps:
            guided = done >= config["tv_steps"]
            end = self.fit.total_steps if guided else config["tv_steps"]
            count = min(config["report_every"], end - done)
            constants = self._redrawn(done)
            steps = jnp.asarray(count, jnp.int32)
            state = self._advance[guided](state, constants, problem, steps)
            done += count
            moment = self._look(state, constants, problem)
            if not all(bool(jnp.isfinite(values).all()) for values in moment.losses.values()):
                raise DivergenceError(
                    f"{config['name']}: expected a finite loss, found another one at step {done}: "
                    "try a lower learning_rate"
                )
            yield state, moment

    def answers(self, moment: Moment) -> Sequence[str]:
        """What the prior's language model says of each image; empty without one."""
        prior = self.fit.prior
        if prior is None or prior.answers is None:
            return ()
        return prior.answers(self._constants.prior, self.fit.cropped(moment.images))

    def _redrawn(self, done: int) -> Constants:
        prior = self.fit.prior
        if prior is None or prior.redraw is None:
            return self._constants
        seed = self.fit.config["seed"] + done
        self._constants = self._constants._replace(
            prior=jax.tree.map(jnp.asarray, prior.redraw(seed))
        )
        return self._constants
