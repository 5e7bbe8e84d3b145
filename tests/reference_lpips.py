"""The reference implementation of LPIPS (PyPI `lpips` on torchvision) with random weights."""

import contextlib
import warnings

import numpy as np
import torch

with contextlib.suppress(RuntimeError):
    # A torchvision built for another torch fails at import, on operators that LPIPS does not use:
    # declare them.
    _operators = torch.library.Library("torchvision", "FRAGMENT")
    for _name in ("nms", "qnms"):
        _operators.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import lpips

THEIR_NAME = {"alexnet": "alex", "vgg16": "vgg"}


def reference_lpips(network: str) -> lpips.LPIPS:
    """LPIPS with its own heads and a network whose features neither vanish nor grow."""
    generator = torch.Generator().manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses deprecated arguments of torchvision
        model = lpips.LPIPS(net=THEIR_NAME[network], pnet_rand=True, verbose=False)
    for parameter in model.net.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        fan_in = parameter[0].numel()
        parameter.data = noise * (2 / fan_in) ** 0.5 if parameter.ndim > 1 else 0.1 * noise
    return model


def torchvision_state(model: lpips.LPIPS) -> dict[str, torch.Tensor]:
    """The network's tensors as torchvision publishes them, with a small classifier."""
    state = {}
    for key, value in model.net.state_dict().items():
        _, place, kind = key.split(".")
        state[f"features.{place}.{kind}"] = value
    return {**state, "classifier.1.weight": torch.zeros(3, 2), "classifier.1.bias": torch.zeros(3)}


def load_state(model: lpips.LPIPS, parameters: dict) -> None:
    """Give the reference the parameters of `jaxrecon.metrics.lpips`."""
    convolutions = [m for m in model.net.modules() if isinstance(m, torch.nn.Conv2d)]
    for position, convolution in enumerate(convolutions):
        ours = parameters[f"conv{position}"]
        kernel = np.ascontiguousarray(np.asarray(ours["kernel"]).transpose(3, 2, 0, 1))
        convolution.weight.data = torch.from_numpy(kernel)
        convolution.bias.data = torch.from_numpy(np.array(ours["bias"]))
    for position, head in enumerate(model.lins):
        weights = torch.from_numpy(np.array(parameters[f"head{position}"]))
        head.model[1].weight.data = weights.reshape(1, -1, 1, 1)


def distances(model: lpips.LPIPS, image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Distances of magnitude images in 0..1, computed in float64."""

    def channels(images: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(images.astype(np.float64))[:, None].repeat(1, 3, 1, 1)

    with torch.no_grad():
        found = model.double()(channels(image), channels(target), normalize=True)
    return found.numpy().ravel()
