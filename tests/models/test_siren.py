import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from jaxrecon.models.siren import Adaptor, ImplicitImage, Siren, coordinate_grid


def torch_siren(parameters, frequency):
    layers = []
    for name in sorted(parameters, key=lambda name: int(name.removeprefix("dense"))):
        kernel, bias = (np.array(parameters[name][leaf]) for leaf in ("kernel", "bias"))
        linear = torch.nn.Linear(*kernel.shape).double()
        linear.weight.data, linear.bias.data = torch.from_numpy(kernel.T), torch.from_numpy(bias)
        layers.append(linear.double())

    def forward(x):
        for layer in layers[:-1]:
            x = torch.sin(frequency * layer(x))
        return layers[-1](x)

    return forward, layers


def torch_adaptor(parameters):
    layers = []
    for position in range(3):
        kernel, bias = (
            np.array(parameters[f"conv{position}"][leaf]) for leaf in ("kernel", "bias")
        )
        layer = torch.nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
        layer.weight.data = torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
        layer.bias.data = torch.from_numpy(bias)
        layers.append(layer.double())

    def forward(x):
        x = torch.relu(layers[1](torch.relu(layers[0](x))))
        return torch.tanh(layers[2](x))

    return forward, layers


def drawn(network, x, seed=0):
    return jax.jit(network.init)(jax.random.key(seed), x)


def close(found, expected, tolerance):
    return np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_coordinates_run_from_minus_1_to_1_rows_first():
    grid = coordinate_grid(5, 3)
    np.testing.assert_allclose(grid[:, 1, 0], [-1, -0.5, 0, 0.5, 1])
    np.testing.assert_allclose(grid[2, :, 1], [-1, 0, 1])


def test_image_and_gradients_equal_torch():
    network = ImplicitImage(layers=5, features=24, frequency=15.0, adaptor_features=10)
    grid = coordinate_grid(12, 9)
    parameters = drawn(network, grid)["params"]
    weight = np.random.default_rng(0).normal(size=(2, 12, 9, 2))

    forward, linears = torch_siren(parameters["siren"], 15.0)
    adapt, convolutions = torch_adaptor(parameters["adaptor"])
    raw = forward(torch.from_numpy(np.array(grid, np.float64)))
    adapted = adapt(raw.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    (raw * torch.from_numpy(weight[0]) + adapted * torch.from_numpy(weight[1])).sum().backward()

    def parts(images):
        return jnp.stack([jnp.stack([x.real, x.imag], axis=-1) for x in images])

    def total(parameters):
        return jnp.sum(parts(network.apply({"params": parameters}, grid)) * weight)

    found = parts(jax.jit(network.apply)({"params": parameters}, grid))
    expected = torch.stack([raw, adapted]).detach().numpy()
    assert close(found, expected, 1e-5)
    gradient = jax.jit(jax.grad(total))(parameters)
    for position, layer in enumerate(linears):
        ours = gradient["siren"][f"dense{position}"]
        assert close(ours["kernel"], layer.weight.grad.numpy().T, 2e-5)
        assert close(ours["bias"], layer.bias.grad.numpy(), 2e-5)
    for position, layer in enumerate(convolutions):
        ours = gradient["adaptor"][f"conv{position}"]
        assert close(ours["kernel"], layer.weight.grad.numpy().transpose(2, 3, 1, 0), 2e-5)
        assert close(ours["bias"], layer.bias.grad.numpy(), 2e-5)


def test_weights_start_within_the_published_bounds():
    parameters = drawn(Siren(), jnp.zeros((1, 2)))["params"]
    assert len(parameters) == 8
    assert parameters["dense7"]["kernel"].shape == (256, 2)
    for position in range(8):
        kernel, bias = (parameters[f"dense{position}"][leaf] for leaf in ("kernel", "bias"))
        inputs = kernel.shape[0]
        bound = 0.5 if position == 0 else np.sqrt(6 / 256) / 15
        assert 0.9 * bound < np.abs(kernel).max() <= bound
        assert np.abs(bias).max() <= inputs**-0.5
        if position < 7:
            assert float(jnp.std(kernel)) == pytest.approx(bound / np.sqrt(3), rel=0.06)


def test_hidden_activations_keep_their_spread_at_any_depth():
    grid = coordinate_grid(32, 32)
    spreads = []
    for layers in (2, 4, 8):
        network = Siren(layers, 256, outputs=64)
        values = jax.jit(network.apply)(drawn(network, grid), grid)
        spreads.append(float(jnp.std(values)))
    assert max(spreads) < 2 * min(spreads)


def test_slices_are_sets_of_parameters_and_do_not_mix():
    network = ImplicitImage(layers=3, features=8, adaptor_features=4)
    grid = coordinate_grid(8, 6)
    parameters = [drawn(network, grid, seed) for seed in (0, 1)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *parameters)
    _, together = jax.jit(jax.vmap(network.apply, in_axes=(0, None)))(stacked, grid)
    apply = jax.jit(network.apply)
    for position, own in enumerate(parameters):
        np.testing.assert_allclose(together[position], apply(own, grid)[1], atol=1e-6)


def test_an_adaptor_stays_within_its_range():
    x = 100 * jax.random.normal(jax.random.key(0), (1, 8, 8, 2))
    network = Adaptor(16)
    found = jax.jit(network.apply)(drawn(network, x), x)
    assert found.shape == x.shape
    assert (jnp.abs(found) <= 1).all()


def test_an_image_is_learnt():
    rows, columns = np.meshgrid(*[np.linspace(-1, 1, 16)] * 2, indexing="ij")
    target = 0.5 * np.exp(1j * 2 * columns) * (rows**2 + columns**2 < 0.6)
    network = ImplicitImage(layers=3, features=32, adaptor_features=8)
    grid = coordinate_grid(16, 16)
    optimiser = optax.adam(3e-3)
    parameters = drawn(network, grid)

    @jax.jit
    def step(parameters, state):
        def loss(parameters):
            return sum(jnp.mean(jnp.abs(x - target) ** 2) for x in network.apply(parameters, grid))

        value, gradient = jax.value_and_grad(loss)(parameters)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(parameters, updates), state, value

    state, values = optimiser.init(parameters), []
    for _ in range(150):
        parameters, state, value = step(parameters, state)
        values.append(float(value))
    assert values[-1] < 0.05 * values[0]
