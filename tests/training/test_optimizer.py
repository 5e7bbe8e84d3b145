import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from jaxrecon.errors import InputError
from jaxrecon.training.optimizer import learning_rate_schedule, make_optimizer

CONFIG = {"learning_rate": 1e-2, "decay_epochs": (), "decay_factor": 0.1, "gradient_clip": 0.0}


def test_the_learning_rate_decays_after_each_of_the_epochs():
    config = {**CONFIG, "decay_epochs": (2, 3.5), "decay_factor": 0.25}
    schedule = learning_rate_schedule(config, steps_per_epoch=10)
    steps = [0, 19, 20, 21, 34, 35, 36, 1000]
    # The 20 steps of two epochs are those numbered 0 to 19.
    expected = [1e-2, 1e-2, 2.5e-3, 2.5e-3, 2.5e-3, 6.25e-4, 6.25e-4, 6.25e-4]
    np.testing.assert_allclose([schedule(step) for step in steps], expected, rtol=1e-6)


def test_without_decay_the_learning_rate_is_constant():
    schedule = learning_rate_schedule(CONFIG, steps_per_epoch=1)
    assert [float(schedule(step)) for step in (0, 10**6)] == pytest.approx([1e-2, 1e-2])


def test_steps_equal_torch_s_adam_with_decay():
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(3, 2)), rng.normal(size=(6, 3, 2))
    parameter = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    reference = torch.optim.Adam([parameter], lr=1e-2)
    schedule = torch.optim.lr_scheduler.MultiStepLR(reference, [4], gamma=0.1)
    optimizer = make_optimizer({**CONFIG, "decay_epochs": (2,)}, steps_per_epoch=2)
    variables = {"params": {"w": jnp.asarray(start, jnp.float32)}}
    state = optimizer.init(variables)
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient)
        reference.step()
        schedule.step()
        tree = {"params": {"w": jnp.asarray(gradient, jnp.float32)}}
        updates, state = optimizer.update(tree, state, variables)
        variables = optax.apply_updates(variables, updates)
    np.testing.assert_allclose(variables["params"]["w"], parameter.detach(), rtol=1e-5)


def test_only_the_trainable_collection_has_updates_and_state():
    variables = {
        "params": {"a": jnp.ones((3,)), "b": {"c": jnp.ones((2, 2))}},
        "frozen": {"encoder": jnp.ones((1000,))},
    }
    optimizer = make_optimizer({**CONFIG, "gradient_clip": 1.0}, steps_per_epoch=1)
    state = optimizer.init(variables)
    moments = [leaf.shape for leaf in jax.tree.leaves(state) if leaf.ndim]
    assert sorted(moments) == [(2, 2), (2, 2), (3,), (3,)]
    gradient = jax.tree.map(jnp.ones_like, variables)
    updates, _ = optimizer.update(gradient, state, variables)
    np.testing.assert_array_equal(updates["frozen"]["encoder"], np.zeros(1000))
    assert all((leaf != 0).all() for leaf in jax.tree.leaves(updates["params"]))


def test_clipping_bounds_the_norm_of_the_trainable_gradient():
    """Adam's first moment after one step is a tenth of the gradient it was given."""
    variables = {"params": {"a": jnp.zeros(2)}, "frozen": {"b": jnp.zeros(2)}}
    gradient = {"params": {"a": jnp.array([30.0, 40.0])}, "frozen": {"b": jnp.array([1e6, 0.0])}}
    moments = {}
    for clip in (0.0, 5.0, 100.0):
        optimizer = make_optimizer({**CONFIG, "gradient_clip": clip}, steps_per_epoch=1)
        _, state = optimizer.update(gradient, optimizer.init(variables), variables)
        moments[clip] = optax.tree.get(state, "mu")["params"]["a"]
    np.testing.assert_allclose(moments[0.0], [3.0, 4.0], rtol=1e-6)
    np.testing.assert_allclose(moments[5.0], [0.3, 0.4], rtol=1e-6)
    np.testing.assert_allclose(moments[100.0], [3.0, 4.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("field", "value"),
    [("learning_rate", 0.0), ("learning_rate", float("nan")), ("gradient_clip", -1.0)],
)
def test_settings_out_of_range_are_named(field, value):
    with pytest.raises(InputError, match=rf"^optimizer\.{field}: expected .*found {value}$"):
        make_optimizer({**CONFIG, field: value}, steps_per_epoch=1)
