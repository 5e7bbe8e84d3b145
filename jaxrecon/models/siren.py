"""An image as a function of its coordinates: SIREN, and the CNN adaptor of paper B after it.

Sitzmann et al. 2020, "Implicit Neural Representations with Periodic Activation Functions"
(arXiv:2006.09661); Feng et al. 2025, arXiv:2511.19641, and the authors' released code.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Complex, Float

from jaxrecon.models.complex_normalisation import channels_to_complex
from jaxrecon.models.convolution import Conv, symmetric_uniform
from jaxrecon.models.sine import sine


def coordinate_grid(height: int, width: int) -> Float[Array, "height width 2"]:
    """Row and column of every pixel, from -1 at the first to 1 at the last.

    Args:
        height: rows.
        width: columns.
    """
    rows, columns = jnp.linspace(-1, 1, height), jnp.linspace(-1, 1, width)
    return jnp.stack(jnp.meshgrid(rows, columns, indexing="ij"), axis=-1)


class Siren(nn.Module):
    """Fully connected network with sines for activations.

    Each layer but the last is sin(frequency (W x + b)). Weights start uniform within 1 / inputs in
    the first layer and sqrt(6 / inputs) / frequency in the others; biases within 1 / sqrt(inputs).

    Attributes:
        layers: fully connected layers, the last one included.
        features: hidden channels.
        outputs: channels of the result.
        frequency: w0, the factor inside the sines.
    """

    layers: int = 8
    features: int = 256
    outputs: int = 2
    frequency: float = 15.0

    @nn.compact
    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
        """Values at coordinates."""
        batch = x.shape[:-1]
        x = x.reshape(-1, x.shape[-1]).T
        for layer in range(self.layers):
            inputs, is_last = x.shape[0], layer == self.layers - 1
            bound = 1 / inputs if layer == 0 else (6 / inputs) ** 0.5 / self.frequency
            outputs = self.outputs if is_last else self.features
            x = _PointwiseDense(outputs, bound, name=f"dense{layer}")(x)
            if not is_last:
                x = sine(self.frequency * x)
        return x.T.reshape(*batch, self.outputs)


class _PointwiseDense(nn.Module):
    """Fully connected layer on points that lie along the last axis; parameters of `nn.Dense`."""

    features: int
    kernel_bound: float

    @nn.compact
    def __call__(self, x: Float[Array, "inputs points"]) -> Float[Array, "features points"]:
        inputs = x.shape[0]
        kernel = self.param("kernel", symmetric_uniform(self.kernel_bound), (inputs, self.features))
        bias = self.param("bias", symmetric_uniform(inputs**-0.5), (self.features,))
        return _project(x, kernel) + bias[:, None]


@jax.custom_vjp
def _project(
    x: Float[Array, "inputs points"], kernel: Float[Array, "inputs outputs"]
) -> Float[Array, "outputs points"]:
    """Kernel^T x, such that no product here or in its gradient transposes a left factor.

    XLA:CPU has kernels for AVX-512 for those alone, and takes half as long again for the others;
    of the kernel a transposed copy is made, which is small beside the points.
    """
    return lax.optimization_barrier(kernel.T) @ x


def _project_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _project(x, kernel), (x, kernel)


def _project_backward(residuals: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, kernel = residuals
    return kernel @ cotangent, x @ cotangent.T


_project.defvjp(_project_forward, _project_backward)


class Adaptor(nn.Module):
    """Three 3 x 3 convolutions that refine the image of a `Siren`; the result lies in -1..1.

    ReLU after the first and the second, tanh after the third; nothing is added back.

    Attributes:
        features: hidden channels.
    """

    features: int = 256

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Apply the convolutions."""
        channels = x.shape[-1]
        for layer, outputs in enumerate((self.features, self.features, channels)):
            x = Conv(outputs, use_bias=True, name=f"conv{layer}")(x)
            x = jnp.tanh(x) if layer == 2 else nn.relu(x)
        return x


class ImplicitImage(nn.Module):
    """Paper B's INR: one complex image as a `Siren` of its coordinates, and an `Adaptor` after it.

    The parameters are {"siren": ..., "adaptor": ...}; the authors train both, then the adaptor.
    Several slices are several sets of parameters: `jax.vmap` over `apply`. Images are to be of
    about unit scale, their parts within the adaptor's -1..1.

    Attributes:
        layers: see `Siren`.
        features: see `Siren`.
        frequency: see `Siren`.
        adaptor_features: see `Adaptor`.
    """

    layers: int = 8
    features: int = 256
    frequency: float = 15.0
    adaptor_features: int = 256

    @nn.compact
    def __call__(
        self, coordinates: Float[Array, "height width 2"]
    ) -> tuple[Complex[Array, "height width"], Complex[Array, "height width"]]:
        """The image.

        Args:
            coordinates: see `coordinate_grid`.

        Returns:
            The network's image, and the adapted one.
        """
        siren = Siren(self.layers, self.features, frequency=self.frequency, name="siren")
        channels = siren(coordinates)[None]
        adapted = Adaptor(self.adaptor_features, name="adaptor")(channels)
        return channels_to_complex(channels)[0], channels_to_complex(adapted)[0]
