import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax import lax

from jaxrecon.models.convolution import Conv, UpConv, convolve, convolve_depthwise


def arrays(batch, height, width, inputs, outputs, kernel_size, dtype=np.float32):
    rng = np.random.default_rng(height * width + kernel_size)
    shapes = (
        (batch, height, width, inputs),
        (kernel_size, kernel_size, inputs, outputs),
        (batch, height, width, outputs),
    )
    return tuple(rng.normal(size=shape).astype(dtype) for shape in shapes)


def torch_convolution(x, kernel, cotangent):
    """Output and both gradients in float64."""
    image = torch.tensor(x, dtype=torch.float64).permute(0, 3, 1, 2).contiguous().requires_grad_()
    weight = (
        torch.tensor(kernel, dtype=torch.float64).permute(3, 2, 0, 1).contiguous().requires_grad_()
    )
    output = torch.nn.functional.conv2d(image, weight, padding=kernel.shape[0] // 2)
    output.backward(torch.tensor(cotangent, dtype=torch.float64).permute(0, 3, 1, 2))
    return (
        output.detach().permute(0, 2, 3, 1).numpy(),
        image.grad.permute(0, 2, 3, 1).numpy(),
        weight.grad.permute(2, 3, 1, 0).numpy(),
    )


def native(x, kernel):
    dimensions = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=dimensions)


def assert_close(found, expected, tolerance=1e-5):
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize(
    ("batch", "height", "width", "inputs", "outputs", "kernel_size"),
    [
        (2, 9, 11, 3, 4, 3),
        (1, 5, 4, 1, 2, 5),
        (2, 3, 7, 2, 3, 1),
        (2, 6, 1, 3, 2, 3),
        (1, 1, 6, 2, 1, 3),
        (1, 1, 1, 2, 2, 5),
        # Wide enough for several blocks of rows, the last of them not full; for blocks of one row.
        (2, 19, 1000, 2, 3, 3),
        (1, 3, 8200, 1, 2, 5),
        # Enough channels for Winograd's filtering on a CPU; even and odd sizes.
        (2, 11, 13, 200, 192, 3),
        (1, 16, 17, 40, 64, 3),
        (1, 33, 38, 192, 200, 3),
        (1, 1, 1, 192, 192, 3),
        # Enough where pixels are few, in large tiles and in small ones.
        (1, 33, 38, 64, 64, 3),
        (1, 33, 38, 32, 128, 3),
    ],
)
def test_output_and_gradients_equal_torch(batch, height, width, inputs, outputs, kernel_size):
    x, kernel, cotangent = arrays(batch, height, width, inputs, outputs, kernel_size)

    @jax.jit
    def output_and_gradients(x, kernel, cotangent):
        output, vjp = jax.vjp(convolve, x, kernel)
        return output, *vjp(cotangent)

    found = output_and_gradients(*map(jnp.asarray, (x, kernel, cotangent)))
    for ours, expected in zip(found, torch_convolution(x, kernel, cotangent), strict=True):
        assert ours.dtype == jnp.float32
        assert_close(ours, expected)


def test_gradients_inside_a_jitted_scan_equal_the_native_ones():
    x, kernel, _ = arrays(2, 8, 9, 3, 3, 3)
    kernels = jnp.stack([kernel, -kernel, 2 * kernel]) / 5

    def loss(convolution, x, kernels):
        def step(image, kernel):
            return jnp.tanh(convolution(image, kernel)), None

        return jnp.sum(lax.scan(step, x, kernels)[0] ** 2)

    gradient = jax.grad(loss, argnums=(1, 2))
    found = jax.jit(gradient, static_argnums=0)(convolve, jnp.asarray(x), kernels)
    expected = jax.jit(gradient, static_argnums=0)(native, jnp.asarray(x), kernels)
    for ours, reference in zip(found, expected, strict=True):
        assert_close(ours, reference)


def test_gradients_of_a_kernel_used_twice_under_remat_equal_the_native_ones():
    x, kernel, _ = arrays(1, 7, 6, 2, 2, 3)

    def loss(convolution, x, kernel):
        twice = jax.checkpoint(lambda x, k: convolution(jnp.tanh(convolution(x, k)), k))
        return jnp.sum(jnp.sin(twice(x, kernel)))

    arguments = (jnp.asarray(x), jnp.asarray(kernel))
    found = jax.jit(jax.grad(lambda *a: loss(convolve, *a), argnums=(0, 1)))(*arguments)
    expected = jax.jit(jax.grad(lambda *a: loss(native, *a), argnums=(0, 1)))(*arguments)
    for ours, reference in zip(found, expected, strict=True):
        assert_close(ours, reference)


def test_gradients_under_vmap_are_those_of_each_example():
    x, kernel, cotangent = arrays(3, 6, 5, 2, 3, 3)
    kernels = np.stack([kernel, 2 * kernel, kernel + 1])

    def gradients(x, kernel, cotangent):
        return jax.vjp(convolve, x[None], kernel)[1](cotangent[None])

    found = jax.jit(jax.vmap(gradients))(*map(jnp.asarray, (x, kernels, cotangent)))
    for number in range(3):
        one = slice(number, number + 1)
        _, *expected = torch_convolution(x[one], kernels[number], cotangent[one])
        for ours, reference in zip(found, expected, strict=True):
            assert_close(ours[number], reference)


def test_bfloat16_sums_the_kernel_gradient_in_float32():
    # Summed in bfloat16 the 40 images' corners of 63 * 63 would count as 64 * 64 before long.
    x = jnp.ones((40, 64, 64, 1), jnp.bfloat16)
    kernel = jnp.ones((3, 3, 1, 1), jnp.bfloat16)
    output, vjp = jax.vjp(convolve, x, kernel)
    x_gradient, kernel_gradient = vjp(jnp.ones_like(output))
    assert output.dtype == x_gradient.dtype == kernel_gradient.dtype == jnp.bfloat16
    corner, edge, centre = 40 * 63 * 63, 40 * 63 * 64, 40 * 64 * 64
    expected = [[corner, edge, corner], [edge, centre, edge], [corner, edge, corner]]
    assert_close(kernel_gradient[..., 0, 0], expected, 2**-8)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_conv_layer_equals_torch(kernel_size):
    x, kernel, _ = arrays(2, 6, 7, 3, 4, kernel_size)
    bias = np.arange(4, dtype=np.float32)
    reference = torch.nn.functional.conv2d(
        torch.from_numpy(x).permute(0, 3, 1, 2),
        torch.from_numpy(kernel).permute(3, 2, 0, 1),
        torch.from_numpy(bias),
        padding=kernel_size // 2,
    )
    layer = Conv(4, (kernel_size, kernel_size), use_bias=True)
    found = layer.apply({"params": {"kernel": kernel, "bias": bias}}, jnp.asarray(x))
    assert_close(found, reference.permute(0, 2, 3, 1))


def test_transposed_convolution_and_its_gradients_equal_torch():
    rng = np.random.default_rng(0)
    layer = torch.nn.ConvTranspose2d(3, 5, 2, stride=2, bias=False)
    x = rng.normal(size=(2, 4, 3, 3)).astype(np.float32)
    cotangent = rng.normal(size=(2, 8, 6, 5)).astype(np.float32)
    image = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous().requires_grad_()
    expected = layer(image)
    expected.backward(torch.from_numpy(cotangent).permute(0, 3, 1, 2))
    kernel = layer.weight.detach().numpy().transpose(2, 3, 0, 1)
    output, vjp = jax.vjp(
        lambda x, k: UpConv(5).apply({"params": {"kernel": k}}, x),
        jnp.asarray(x),
        jnp.asarray(kernel),
    )
    x_gradient, kernel_gradient = vjp(jnp.asarray(cotangent))
    assert_close(output, expected.detach().permute(0, 2, 3, 1))
    assert_close(x_gradient, image.grad.permute(0, 2, 3, 1))
    assert_close(kernel_gradient, layer.weight.grad.permute(2, 3, 0, 1))


@pytest.mark.parametrize(
    ("layer", "reference"),
    [
        (Conv(96, use_bias=True), torch.nn.Conv2d(48, 96, 3)),
        (Conv(512, (1, 1), use_bias=True), torch.nn.Conv2d(48, 512, 1)),
        (UpConv(96), torch.nn.ConvTranspose2d(48, 96, 2, stride=2, bias=False)),
    ],
    ids=["3x3", "1x1", "transposed"],
)
def test_initial_parameters_are_drawn_as_in_torch(layer, reference):
    parameters = jax.jit(layer.init)(jax.random.key(0), jnp.zeros((1, 4, 4, 48)))["params"]
    torch.manual_seed(0)
    reference.reset_parameters()
    pairs = [(parameters["kernel"], reference.weight)]
    if reference.bias is not None:
        pairs.append((parameters["bias"], reference.bias))
    for ours, theirs in pairs:
        ours, theirs = np.asarray(ours).ravel(), theirs.detach().numpy().ravel()
        assert ours.size == theirs.size
        # The extremes of n uniform draws lie within about 1 / n of the bounds, their root mean
        # square within 0.45 / sqrt(n) of bound / sqrt(3).
        bound = np.abs(theirs).max()
        near = 10 / ours.size
        assert np.abs(ours).max() == pytest.approx(bound, rel=near)
        assert ours.max() > 0 > ours.min()
        deviation = np.sqrt(np.mean(np.square(ours)))
        assert deviation == pytest.approx(bound / np.sqrt(3), rel=near + 2 / np.sqrt(ours.size))


@pytest.mark.parametrize(
    ("batch", "height", "width", "channels"),
    [(2, 9, 11, 3), (1, 1, 6, 4), (2, 5, 1, 2), (1, 1, 1, 1)],
)
@pytest.mark.parametrize("in_scan", [False, True])
def test_depthwise_output_and_gradients_equal_torch(batch, height, width, channels, in_scan):
    rng = np.random.default_rng(0)
    x, cotangent = rng.normal(size=(2, batch, height, width, channels)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, channels)).astype(np.float32)
    image, weight, seen = (
        torch.tensor(array, dtype=torch.float64) for array in (x, kernel, cotangent)
    )
    image = image.permute(0, 3, 1, 2).contiguous().requires_grad_()
    weight = weight.permute(2, 0, 1)[:, None].contiguous().requires_grad_()
    output = torch.nn.functional.conv2d(image, weight, padding=1, groups=channels)
    output.backward(seen.permute(0, 3, 1, 2))
    expected = (
        output.detach().permute(0, 2, 3, 1).numpy(),
        image.grad.permute(0, 2, 3, 1).numpy(),
        weight.grad[:, 0].permute(1, 2, 0).numpy(),
    )

    @jax.jit
    def output_and_gradients(x, kernel, cotangent):
        output, vjp = jax.vjp(convolve_depthwise, x, kernel)
        return output, *vjp(cotangent)

    found = output_and_gradients(x, kernel, cotangent)
    if in_scan:
        _, stacked = lax.scan(
            lambda _, c: (None, output_and_gradients(x, kernel, c)),
            None,
            jnp.stack([cotangent] * 2),
        )
        found = jax.tree.map(lambda array: array[1], stacked)
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours, theirs)
