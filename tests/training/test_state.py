import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from skimage.metrics import structural_similarity

from jaxrecon.models.sensitivity import SensitivityNet
from jaxrecon.models.varnet import VarNet
from jaxrecon.training.optimizer import make_optimizer
from jaxrecon.training.state import initial_state, make_train_step, ssim_loss

HEIGHT, WIDTH = 14, 16
ADAM = {"learning_rate": 1e-2, "decay_epochs": (), "decay_factor": 1.0, "gradient_clip": 0.0}


class FrozenRefinement(nn.Module):
    """A frozen mixing of real and imaginary part between two trained scales."""

    @nn.compact
    def __call__(self, image):
        entries = jnp.array([[0.8, -0.3], [-0.0, 0.5]])
        mixing = self.variable("frozen", "mixing", lambda: entries)
        before = self.param("before", nn.initializers.constant(0.5), ())
        after = self.param("after", nn.initializers.constant(0.1), ())
        channels = jnp.stack([image.real, image.imag], axis=-1)
        mixed = jnp.tanh(before * channels @ mixing.value)
        return after * (mixed[..., 0] + 1j * mixed[..., 1])


@pytest.fixture(scope="module")
def network():
    return VarNet(FrozenRefinement, functools.partial(SensitivityNet, 2, 0), cascades=2)


def make_batch(size=2):
    rng = np.random.default_rng(0)
    real, imaginary = rng.normal(size=(2, size, 3, HEIGHT, WIDTH))
    mask = np.zeros((size, 1, WIDTH), bool)
    mask[..., 5:11] = mask[..., ::3] = True
    batch = {
        "kspace": ((real + 1j * imaginary) * mask[:, None]).astype(np.complex64),
        "mask": mask,
        "acs": np.full(size, 6, np.int32),
        "target": rng.uniform(0, 2, (size, HEIGHT, WIDTH)).astype(np.float32),
        "data_range": np.full(size, 2, np.float32),
        "crop": np.full((size, 2), (HEIGHT, WIDTH), np.int32),
        "weight": np.ones(size, np.float32),
    }
    return {name: jnp.asarray(value) for name, value in batch.items()}


def bits(array):
    return np.asarray(array).view(np.uint32)


def test_a_frozen_collection_has_no_optimizer_state_and_never_moves(network):
    optimizer = make_optimizer(ADAM, steps_per_epoch=1)
    state = initial_state(network, optimizer, seed=0)
    trainable = sum(leaf.size for leaf in jax.tree.leaves(state.variables["params"]))
    # Two moments of every trainable value, and Adam's and the schedule's counters.
    held = sum(leaf.size for leaf in jax.tree.leaves(state.optimizer_state))
    assert held == 2 * trainable + 2
    (frozen,) = jax.tree.leaves(state.variables["frozen"])
    assert frozen.shape == (2, 2)
    before = bits(frozen)
    assert before[1, 0] == 0x80000000
    step = jax.jit(make_train_step(network, optimizer))
    first = jax.tree.map(np.asarray, state.variables["params"])
    for number in range(3):
        state, scalars = step(state, make_batch())
        assert int(state.step) == number + 1
        assert np.isfinite(list(scalars.values())).all()
    np.testing.assert_array_equal(bits(*jax.tree.leaves(state.variables["frozen"])), before)
    last = state.variables["params"]
    # The first cascade's estimate is the measurement: its step size has nothing to act on.
    first["cascades"]["step"], last["cascades"]["step"] = (
        tree["cascades"]["step"][1:] for tree in (first, last)
    )
    moved = jax.tree.map(lambda a, b: bool((a != b).all()), first, last)
    assert all(jax.tree.leaves(moved)), moved


def test_one_step_is_that_of_the_plain_loss_differentiated_by_the_trainable_parameters(network):
    """Nothing is stopped on the way through the frozen weights to what lies before them."""
    state = initial_state(network, optax.sgd(1.0), seed=1)
    batch, rest = make_batch(), {"frozen": state.variables["frozen"]}

    def loss(params):
        image = network.apply(
            {"params": params, **rest}, batch["kspace"], batch["mask"], batch["acs"]
        )
        return ssim_loss(image, batch)

    expected_loss, gradient = jax.jit(jax.value_and_grad(loss))(state.variables["params"])
    assert np.abs(gradient["cascades"]["refinement"]["before"]).max() > 1e-3
    new, scalars = jax.jit(make_train_step(network, optax.sgd(1.0)))(state, batch)
    assert scalars["loss"] == pytest.approx(float(expected_loss), rel=1e-6)
    norm = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(gradient)))
    assert scalars["gradient_norm"] == pytest.approx(norm, rel=1e-5)
    moved = jax.tree.map(np.subtract, state.variables["params"], new.variables["params"])
    # Parameters of up to 1 round the step to within 1e-7.
    close = jax.tree.map(lambda a, b: bool(np.abs(a - b).max() <= 2e-7), moved, gradient)
    assert all(jax.tree.leaves(close)), close


def test_the_seed_decides_the_initial_parameters(network):
    optimizer = make_optimizer(ADAM, steps_per_epoch=1)
    kernels = [
        initial_state(network, optimizer, seed).variables["params"]["sensitivity"]
        for seed in (0, 0, 1)
    ]
    same, other = (
        jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), kernels[0], kernels[n]))
        for n in (1, 2)
    )
    assert all(same)
    assert not any(other)


def test_the_loss_is_one_minus_ssim_averaged_by_weight():
    batch = make_batch(3)
    batch["weight"] = jnp.array([1.0, 1.0, 0.0])
    image = batch["target"] + 0.1 * batch["kspace"][:, 0].real
    expected = [
        1 - structural_similarity(*map(np.asarray, pair), win_size=7, data_range=2)
        for pair in zip(image[:2], batch["target"][:2], strict=True)
    ]
    loss, gradient = jax.jit(jax.value_and_grad(ssim_loss))(image, batch)
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)
    # An example of weight 0 has no gradient either.
    assert not gradient[2].any()
    assert gradient[:2].any()
