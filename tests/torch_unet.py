"""Weights of the reference U-Net (PyPI `fastmri`) in the layout of `jaxrecon.models.unet.UNet`."""

import numpy as np
import torch


def kernel(weight: torch.Tensor) -> np.ndarray:
    """Convolution weight (outputs, inputs, height, width) as (height, width, inputs, outputs)."""
    return np.ascontiguousarray(weight.detach().numpy().transpose(2, 3, 1, 0))


def transposed_kernel(weight: torch.Tensor) -> np.ndarray:
    """Transposed convolution weight (inputs, outputs, height, width), likewise."""
    return np.ascontiguousarray(weight.detach().numpy().transpose(2, 3, 0, 1))


def _block(block: torch.nn.Module) -> dict:
    return {
        "conv0": {"kernel": kernel(block.layers[0].weight)},
        "conv1": {"kernel": kernel(block.layers[4].weight)},
    }


def unet_parameters(unet: torch.nn.Module) -> dict:
    """Parameters of a `fastmri.models.unet.Unet`; levels count from the input down."""
    pools = len(unet.down_sample_layers)
    parameters = {"bottom": _block(unet.conv)}
    for level in range(pools):
        step = pools - 1 - level
        up = unet.up_conv[step]
        expand = unet.up_transpose_conv[step].layers[0]
        parameters[f"down{level}"] = _block(unet.down_sample_layers[level])
        parameters[f"expand{level}"] = {"kernel": transposed_kernel(expand.weight)}
        parameters[f"up{level}"] = _block(up[0] if level == 0 else up)
    head = unet.up_conv[-1][1]
    parameters["head"] = {"kernel": kernel(head.weight), "bias": head.bias.detach().numpy().copy()}
    return parameters
