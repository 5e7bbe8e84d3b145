"""The fits of `jaxrecon.scan_specific` in torch, written from the formulas of arXiv:2511.19641.

A reference for values and speed: plain eager torch, as one would write it there (batch
normalisation, bilinear interpolation, complex transforms and automatic differentiation are torch's
own). One slice; parameters are those of jaxrecon, converted.
"""

import itertools

import jax
import numpy as np
import torch
from torch.nn import functional

_AXES = (-2, -1)


def as_torch(tree, name: str = ""):
    """A tree of jaxrecon's parameters with torch's axes: outputs first, spatial axes last.

    Parameters of stages, which jaxrecon stacks, become a tree for each stage.
    """
    if name == "stages":
        count = len(tree["weight"])
        return {str(stage): as_torch(_stage(tree, stage)) for stage in range(count)}
    if isinstance(tree, dict):
        return {key: as_torch(leaf, key) for key, leaf in tree.items()}
    array = np.asarray(tree)
    if name == "kernel":
        array = np.moveaxis(array, (-1, -2), (0, 1))
    return torch.from_numpy(np.array(array, order="C", copy=True)).requires_grad_()


def _stage(stacked: dict, stage: int) -> dict:
    return jax.tree.map(lambda leaf: leaf[stage], stacked)


def leaves(tree) -> list[torch.Tensor]:
    """The tensors of a tree."""
    if isinstance(tree, dict):
        return list(itertools.chain.from_iterable(map(leaves, tree.values())))
    return [tree]


class Scan:
    """A slice: `jaxrecon.scan_specific.problem.Problem` of one, as tensors."""

    def __init__(self, problem):
        tensors = (torch.from_numpy(np.array(leaf[0])) for leaf in problem)
        self.kspace, self.mask, self.loss_mask, self.consistency_mask, *rest = tensors
        self.maps, self.zero_filled, _ = rest

    def transform(self, image: torch.Tensor) -> torch.Tensor:
        """Centred orthonormal k-space of every coil."""
        coils = torch.fft.ifftshift(self.maps * image, dim=_AXES)
        return torch.fft.fftshift(torch.fft.fft2(coils, norm="ortho"), dim=_AXES)

    def adjoint(self, kspace: torch.Tensor) -> torch.Tensor:
        """Coil-combined image."""
        coils = torch.fft.ifft2(torch.fft.ifftshift(kspace, dim=_AXES), norm="ortho")
        return (self.maps.conj() * torch.fft.fftshift(coils, dim=_AXES)).sum(0)


def data_term(scan: Scan, image: torch.Tensor, over: str) -> torch.Tensor:
    """L1 distance to the samples, in units of a transform that is not normalised."""
    height, width = image.shape
    difference = (scan.transform(image) - scan.kspace) * scan.loss_mask
    total = torch.view_as_real(difference).abs().sum() * (height * width) ** 0.5
    sampled = scan.loss_mask.sum() * (height // scan.loss_mask.shape[0])
    count = height * width if over == "all" else sampled
    return total / (2 * len(scan.maps) * count)


def total_variation(image: torch.Tensor) -> torch.Tensor:
    """Absolute differences of neighbours, of both parts."""
    height, width = image.shape
    parts = torch.view_as_real(image)
    total = parts.diff(dim=0).abs().sum() + parts.diff(dim=1).abs().sum()
    return total / ((height - 1) * (width - 1))


def siren(parameters: dict, height: int, width: int, frequency: float) -> torch.Tensor:
    """Channels (1, 2, height, width) of the coordinates."""
    axes = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    x = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    for layer in range(len(parameters)):
        dense = parameters[f"dense{layer}"]
        x = functional.linear(x, dense["kernel"], dense["bias"])
        if layer < len(parameters) - 1:
            x = torch.sin(frequency * x)
    return x.T.reshape(1, 2, height, width)


def adaptor(parameters: dict, x: torch.Tensor) -> torch.Tensor:
    """Three convolutions; ReLU, ReLU, tanh."""
    for layer in range(3):
        conv = parameters[f"conv{layer}"]
        x = functional.conv2d(x, conv["kernel"], conv["bias"], padding=1)
        x = torch.tanh(x) if layer == 2 else functional.relu(x)
    return x


def to_complex(channels: torch.Tensor) -> torch.Tensor:
    """Image of channels (1, 2, height, width)."""
    return torch.complex(channels[0, 0], channels[0, 1])


def inr_loss(parameters: dict, scan: Scan, config: dict, values: torch.Tensor | None = None):
    """Loss of the INR with total variation: of both images, or of the adapted one alone.

    Args:
        parameters: "siren" and "adaptor".
        scan: the slice.
        config: the experiment.
        values: the SIREN's channels where it is not trained any more.
    """
    if values is None:
        values = siren(
            parameters["siren"], *scan.zero_filled.shape, config["backbone"]["frequency"]
        )
        images = [to_complex(values), to_complex(adaptor(parameters["adaptor"], values))]
    else:
        images = [to_complex(adaptor(parameters["adaptor"], values))]
    weight = config["weights"]["tv"]
    images = [config["backbone"]["range"] * image for image in images]
    terms = [data_term(scan, x, "sampled") + weight * total_variation(x) for x in images]
    return sum(terms)


def _block(parameters: dict, x: torch.Tensor) -> torch.Tensor:
    for layer in range(2):
        x = functional.conv2d(x, parameters[f"conv{layer}"]["kernel"], padding=1)
        norm = parameters[f"norm{layer}"]
        x = functional.batch_norm(x, None, None, norm["scale"], norm["bias"], training=True)
        x = functional.relu(x)
    return x


def unet(parameters: dict, image: torch.Tensor, depth: int) -> torch.Tensor:
    """Residual U-Net of a complex image of any scale; `depth` counts the poolings."""
    channels = torch.view_as_real(image).permute(2, 0, 1)[None]
    scale = channels.square().mean().sqrt()
    parameters, y = parameters["unet"], channels / scale
    skips = []
    for level in range(depth):
        y = _block(parameters[f"down{level}"], y)
        skips.append(y)
        y = functional.max_pool2d(y, 2)
    y = _block(parameters["bottom"], y)
    for level in reversed(range(depth)):
        y = functional.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True)
        rows, columns = (skips[level].shape[axis] - y.shape[axis] for axis in (2, 3))
        margins = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        y = torch.cat([skips[level], functional.pad(y, margins)], 1)
        y = _block(parameters[f"up{level}"], y)
    head = parameters["head"]
    residual = functional.conv2d(y, head["kernel"], head["bias"], padding=1)
    return to_complex(channels + residual * scale)


def unet_loss(parameters: dict, scan: Scan, config: dict) -> torch.Tensor:
    """Loss of the end-to-end U-Net with total variation."""
    depth = len(config["backbone"]["features"]) - 1
    image = unet(parameters["weights"], scan.zero_filled, depth)
    return data_term(scan, image, "all") + config["weights"]["tv"] * total_variation(image)


def conjugate_gradient(
    scan: Scan, weight: torch.Tensor, prior: torch.Tensor, iterations: int
) -> torch.Tensor:
    """Least |A x - k|^2 + weight |x - prior|^2, from the prior on."""
    mask = scan.consistency_mask

    def operator(image):
        return scan.adjoint(scan.transform(image) * mask) + weight * image

    x = prior
    target = scan.adjoint(scan.kspace * mask) + weight * prior
    residual = target - operator(x)
    direction, energy = residual, torch.view_as_real(residual).square().sum()
    for _ in range(iterations):
        image = operator(direction)
        step = energy / torch.sum(torch.view_as_real(direction) * torch.view_as_real(image))
        x = x + step * direction
        residual = residual - step * image
        new_energy = torch.view_as_real(residual).square().sum()
        direction, energy = residual + new_energy / energy * direction, new_energy
    return x


def unrolled_loss(parameters: dict, scan: Scan, config: dict) -> torch.Tensor:
    """Loss of the unrolled network with total variation: every stage's images, before and after
    its least-squares step, are judged; the last denoised one is regularised.
    """
    fields = config["backbone"]
    depth = len(fields["features"]) - 1
    stages = parameters["weights"]["stages"]
    image, loss = scan.zero_filled, 0.0
    for stage in range(fields["stages"]):
        parameters = stages[str(stage)]
        refined = unet(parameters["denoiser"], image, depth)
        weight = parameters["weight"].abs()
        image = conjugate_gradient(scan, weight, refined, fields["iterations"])
        loss = loss + data_term(scan, refined, "all") + data_term(scan, image, "all")
    return loss + config["weights"]["tv"] * total_variation(refined)


def optimiser(parameters: dict, learning_rate: float, rates: dict) -> torch.optim.Adam:
    """Adam of groups of parameters with their relative learning rates.

    Args:
        parameters: what is trained, by group.
        learning_rate: of the experiment.
        rates: `jaxrecon.scan_specific.backbone.Backbone.rates`.
    """
    groups = [
        {"params": leaves(tree), "lr": learning_rate * rates[name]}
        for name, tree in parameters.items()
    ]
    return torch.optim.Adam(groups)


def step(adam: torch.optim.Adam, loss_of) -> float:
    """One step; the loss before it."""
    adam.zero_grad()
    loss = loss_of()
    loss.backward()
    adam.step()
    return loss.item()
