import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxrecon.errors import InputError
from jaxrecon.training.checkpoint import Checkpoints
from jaxrecon.training.optimizer import make_optimizer
from jaxrecon.training.parallel import make_mesh, replicate
from jaxrecon.training.state import TrainState, initial_state

ADAM = {"learning_rate": 1e-2, "decay_epochs": (), "decay_factor": 1.0, "gradient_clip": 0.0}


class Network(nn.Module):
    """Something with trainable and frozen weights of the given widths."""

    width: int = 5
    frozen: int = 0

    @nn.compact
    def __call__(self, kspace, mask, acs):
        kernel = self.param("kernel", nn.initializers.normal(), (3, self.width))
        scale = self.param("scale", nn.initializers.ones, ())
        if self.frozen:
            noise = jax.random.key(7)
            self.variable("frozen", "encoder", jax.random.normal, noise, (self.frozen,))
        return jnp.abs(kspace[:, 0]) * jnp.sum(kernel) * scale


def trained_state(network, steps=3, seed=0) -> TrainState:
    optimizer = make_optimizer(ADAM, steps_per_epoch=1)
    state = replicate(initial_state(network, optimizer, seed), make_mesh(2))
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        gradient = jax.tree.map(
            lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), state.variables
        )
        updates, optimizer_state = optimizer.update(
            gradient, state.optimizer_state, state.variables
        )
        variables = jax.tree.map(jnp.add, state.variables, updates)
        state = TrainState(state.step + 1, variables, optimizer_state)
    return state


@pytest.fixture
def checkpoints(tmp_path):
    opened = Checkpoints(tmp_path / "checkpoints")
    yield opened
    opened.close()


def assert_bit_equal(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()


def test_the_last_state_comes_back_bit_for_bit_in_another_process_s_place(tmp_path, checkpoints):
    state = trained_state(Network(frozen=4))
    progress = {"stopping": {"patience": 3, "best": 0.1 + 0.2, "best_step": 2, "stale": 1}}
    checkpoints.save_last(state, progress)
    fresh = trained_state(Network(frozen=4), steps=0, seed=9)
    again = Checkpoints(tmp_path / "checkpoints")
    restored, found = again.restore_last(fresh)
    again.close()
    assert found == progress
    assert int(restored.step) == 3
    assert_bit_equal(restored.variables["params"], state.variables["params"])
    assert_bit_equal(restored.optimizer_state, state.optimizer_state)
    assert_bit_equal(restored.variables["frozen"], fresh.variables["frozen"])
    for leaf, expected in zip(jax.tree.leaves(restored), jax.tree.leaves(fresh), strict=True):
        assert leaf.sharding == expected.sharding


def test_nothing_saved_is_nothing_restored(checkpoints):
    state = trained_state(Network(), steps=0)
    assert checkpoints.restore_last(state) is None
    assert checkpoints.best_step() is None
    with pytest.raises(InputError, match="expected a checkpoint of a run, found none"):
        checkpoints.restore_best(state.variables["params"])


def test_the_best_parameters_outlive_later_states(checkpoints):
    best, last = trained_state(Network(), 2), trained_state(Network(), 5)
    checkpoints.save_best(best)
    for steps in (2, 5):
        checkpoints.save_last(trained_state(Network(), steps), {})
    assert checkpoints.best_step() == 2
    found = checkpoints.restore_best(last.variables["params"])
    assert_bit_equal(found, best.variables["params"])
    restored, _ = checkpoints.restore_last(trained_state(Network(), 0))
    assert int(restored.step) == 5
    assert_bit_equal(restored.variables["params"], last.variables["params"])
    checkpoints.save_best(last)
    assert checkpoints.best_step() == 5


def test_saving_a_step_again_is_allowed(checkpoints):
    state = trained_state(Network())
    for _ in range(2):
        checkpoints.save_last(state, {})
        checkpoints.save_best(state)
    assert checkpoints.best_step() == 3


REFUSED = """
import sys
from pathlib import Path
import jax.numpy as jnp
from test_checkpoint import Network, trained_state
from jaxrecon.errors import InputError
from jaxrecon.training.checkpoint import Checkpoints

checkpoints = Checkpoints(Path(sys.argv[1]))
for other in (trained_state(Network(4), 0), trained_state(Network(6), 0)):
    for restore in (
        lambda: checkpoints.restore_last(other),
        lambda: checkpoints.restore_best(other.variables["params"]),
        lambda: checkpoints.restore_best({"another": {"name": jnp.ones(3)}}),
    ):
        try:
            restore()
        except InputError as error:
            print(error)
"""


def test_another_network_s_checkpoint_is_refused_in_one_line(checkpoints, tmp_path):
    checkpoints.save_last(trained_state(Network()), {})
    checkpoints.save_best(trained_state(Network()))
    # In a process of its own: Orbax drops the reads in flight when the first of them fails, and
    # Python warns of them at any later time.
    finished = subprocess.run(
        [sys.executable, "-c", REFUSED, str(tmp_path / "checkpoints")],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert len(lines) == 6
    for line in lines:
        assert line.startswith(str(tmp_path / "checkpoints"))
        assert "expected a checkpoint of this network, found another: " in line


def test_frozen_weights_are_not_in_the_files(checkpoints, tmp_path):
    state = trained_state(Network(frozen=100_000))
    checkpoints.save_last(state, {})
    checkpoints.save_best(state)
    files = [path for path in (tmp_path / "checkpoints").rglob("*") if path.is_file()]
    assert files
    # Random numbers do not compress: 400 kB of them would show.
    assert sum(path.stat().st_size for path in files) < 100_000
