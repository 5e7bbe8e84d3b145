import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import traverse_util

from jaxrecon.errors import InputError
from jaxrecon.models.convolution import Conv
from jaxrecon.models.lora import Factors, count, init_lora, is_kernel, merge


class Network(nn.Module):
    """A convolution, a normalisation's scale, and a dense layer."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(Conv(5, use_bias=True, name="conv")(x))
        x = x * self.param("scale", nn.initializers.ones, (5,))
        return nn.Dense(3, name="dense")(x)


class Stage(nn.Module):
    """A convolution and a dense layer, as a step of a scan."""

    @nn.compact
    def __call__(self, x, _):
        return nn.Dense(4, name="dense")(Conv(4, name="conv")(x)), None


class Stack(nn.Module):
    """Two such stages after one another, their parameters stacked."""

    @nn.compact
    def __call__(self, x):
        axes = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}}
        return nn.scan(Stage, length=2, **axes)(name="stages")(x, None)[0]


X = jax.random.normal(jax.random.key(7), (2, 8, 6, 4))
NETWORK = Network()
PARAMS = NETWORK.init(jax.random.key(0), X)["params"]


@jax.jit
def forward(params):
    return NETWORK.apply({"params": params}, X)


def random_lora(params, rank=2, **options):
    lora = init_lora(jax.random.key(1), params, rank, **options)
    leaves, structure = jax.tree.flatten(lora)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    drawn = [jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)


def test_at_first_nothing_changes():
    lora = init_lora(jax.random.key(1), PARAMS, 2)
    assert set(traverse_util.flatten_dict(lora)) == {("conv", "kernel"), ("dense", "kernel")}
    merged = merge(PARAMS, lora)
    jax.tree.map(np.testing.assert_array_equal, merged, dict(PARAMS))
    np.testing.assert_array_equal(forward(merged), forward(PARAMS))
    for factors in traverse_util.flatten_dict(lora).values():
        bound = factors.a.shape[0] ** -0.5
        assert 0.3 * bound < float(jnp.std(factors.a)) < bound
        assert jnp.abs(factors.a).max() <= bound


def test_a_merged_network_is_the_frozen_one_and_a_narrow_path_beside_it():
    lora = random_lora(PARAMS)
    found = forward(merge(PARAMS, lora, alpha=3.0))

    conv, dense = lora["conv"]["kernel"], lora["dense"]["kernel"]
    assert conv.a.shape == (3 * 3 * 4, 2)
    assert conv.b.shape == (2, 5)
    # A convolution whose kernel is A, then B on every pixel.
    narrow = Conv(2).apply({"params": {"kernel": conv.a.reshape(3, 3, 4, 2)}}, X)
    hidden = Conv(5, use_bias=True).apply({"params": PARAMS["conv"]}, X) + 1.5 * narrow @ conv.b
    hidden = nn.relu(hidden) * PARAMS["scale"]
    expected = nn.Dense(3).apply({"params": PARAMS["dense"]}, hidden)
    expected += 1.5 * (hidden @ dense.a) @ dense.b
    np.testing.assert_allclose(found, expected, atol=1e-5 * float(jnp.abs(expected).max()))


def test_only_the_factors_move_and_the_optimiser_keeps_nothing_for_the_rest():
    lora = init_lora(jax.random.key(1), PARAMS, 2)
    tree = {"base": PARAMS, "lora": lora}
    labels = {key: jax.tree.map(lambda _, label=key: label, part) for key, part in tree.items()}
    transforms = {"lora": optax.adam(1e-2), "base": optax.set_to_zero()}
    optimiser = optax.partition(transforms, labels)
    state = optimiser.init(tree)
    kept = sum(leaf.size for leaf in jax.tree.leaves(state) if leaf.ndim)
    assert kept == 2 * count(lora)  # Adam's two moments

    @jax.jit
    def step(tree, state):
        def loss(tree):
            base = jax.lax.stop_gradient(tree["base"])
            return jnp.mean(jnp.square(forward(merge(base, tree["lora"])) - 1))

        value, gradient = jax.value_and_grad(loss)(tree)
        updates, state = optimiser.update(gradient, state, tree)
        return optax.apply_updates(tree, updates), state, value, gradient

    values = []
    for _ in range(50):
        tree, state, value, gradient = step(tree, state)
        values.append(float(value))
    jax.tree.map(np.testing.assert_array_equal, tree["base"], PARAMS)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient["base"]))
    assert values[-1] < 0.7 * values[0]
    assert all(
        (a != b).any() for a, b in zip(*map(jax.tree.leaves, (tree["lora"], lora)), strict=True)
    )


def test_gradients_of_the_factors_are_the_kernels_through_the_product():
    lora = random_lora(PARAMS)
    gradient = jax.grad(lambda lora: jnp.sum(jnp.sin(forward(merge(PARAMS, lora)))))(lora)
    merged = merge(PARAMS, lora)
    full = jax.grad(lambda params: jnp.sum(jnp.sin(forward(params))))(merged)
    for name in ("conv", "dense"):
        kernel = full[name]["kernel"].reshape(-1, full[name]["kernel"].shape[-1])
        factors, found = lora[name]["kernel"], gradient[name]["kernel"]
        np.testing.assert_allclose(found.a, kernel @ factors.b.T / 2, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.b, factors.a.T @ kernel / 2, rtol=1e-5, atol=1e-5)


def test_stacked_kernels_have_a_difference_each():
    network = Stack()
    params = network.init(jax.random.key(0), X)["params"]
    lora = random_lora(params)
    conv = lora["stages"]["conv"]["kernel"]
    assert conv.a.shape == (2, 36, 2)
    assert conv.b.shape == (2, 2, 4)
    assert lora["stages"]["dense"]["kernel"].a.shape == (2, 4, 2)
    merged = merge(params, lora)
    for step in range(2):
        one = jax.tree.map(lambda leaf, i=step: leaf[i], (params["stages"], lora["stages"]))
        expected = merge(*one)
        jax.tree.map(
            lambda a, b, i=step: np.testing.assert_allclose(a[i], b, atol=1e-6),
            merged["stages"],
            expected,
        )


def test_a_rule_says_what_is_adapted():
    lora = init_lora(
        jax.random.key(0), PARAMS, 4, lambda path, leaf: is_kernel(path, leaf) and "conv" in path
    )
    assert list(lora) == ["conv"]
    assert count(lora) == 4 * (36 + 5)
    shapes = jax.eval_shape(lambda: PARAMS)
    same = init_lora(
        jax.random.key(0), shapes, 4, lambda path, leaf: is_kernel(path, leaf) and "conv" in path
    )
    jax.tree.map(np.testing.assert_array_equal, same, lora)


def test_a_rank_is_never_more_than_the_kernel_s():
    lora = init_lora(jax.random.key(0), PARAMS, 100)
    assert lora["conv"]["kernel"].a.shape == (36, 5)
    assert lora["dense"]["kernel"].a.shape == (5, 3)


def test_unusable_settings_are_named():
    with pytest.raises(InputError, match=r"lora.rank: expected 1 or more, found 0"):
        init_lora(jax.random.key(0), PARAMS, 0)
    with pytest.raises(InputError, match="expected kernels to adapt among the parameters"):
        init_lora(jax.random.key(0), PARAMS, select=lambda path, leaf: False)
    with pytest.raises(ValueError, match=r"scale: no kernel, but an array of shape \(5,\)"):
        init_lora(jax.random.key(0), PARAMS, select=lambda path, leaf: path == ("scale",))
    with pytest.raises(ValueError, match="other/kernel: no such parameter"):
        merge(PARAMS, {"other": {"kernel": Factors(jnp.zeros((2, 1)), jnp.zeros((1, 2)))}})
