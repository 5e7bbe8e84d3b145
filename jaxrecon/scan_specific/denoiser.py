"""The U-Net of two backbones: from random weights, or warm-started ones under LoRA."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array, PyTree

from jaxrecon.errors import InputError
from jaxrecon.models import lora
from jaxrecon.models.scan_unet import ScanUNet
from jaxrecon.scan_specific.backbone import require_positive
from jaxrecon.weight_store import SPEC_FILE, read_weights

LORA, WEIGHTS = "lora", "weights"
"""Names of the group that is trained: low-rank differences, or the weights themselves."""


@dataclasses.dataclass(frozen=True, eq=False)
class Denoiser:
    """A U-Net and how its weights are trained.

    Attributes:
        network: the U-Net.
        warm: weights of the warm start; None without one.
        rank: of LoRA's differences.
        alpha: how much of them counts.
    """

    network: ScanUNet
    warm: dict[str, Any] | None
    rank: int
    alpha: float

    @property
    def group(self) -> str:
        """Name of the group that is trained."""
        return WEIGHTS if self.warm is None else LORA

    @property
    def description(self) -> str:
        """For logs."""
        features = " ".join(map(str, self.network.features))
        how = "" if self.warm is None else f", warm start, LoRA of rank {self.rank}"
        return f"U-Net {features}{how}"

    def init(
        self,
        key: Array,
        shape: tuple[int, int],
        arrange: Callable[[Array, dict[str, Any] | None], dict[str, Any]],
    ) -> PyTree:
        """What is trained at first.

        Args:
            key: random key.
            shape: rows and columns of the image.
            arrange: from a key and the denoiser's weights (None for random ones) to the parameters
                of the whole network.

        Raises:
            InputError: the image is too small for the U-Net.
        """
        # The network itself says whether it can work on such an image.
        jax.eval_shape(self.network.init, key, jnp.zeros((1, *shape), jnp.complex64))
        if self.warm is None:
            return arrange(key, None)
        return lora.init_lora(key, arrange(key, self.warm), self.rank)

    def parameters(self, trained: PyTree, frozen: PyTree) -> PyTree:
        """Parameters of the whole network.

        Args:
            trained: as `init` made it.
            frozen: what `arrange` made of the warm start; unused without one.
        """
        return trained if self.warm is None else lora.merge(frozen, trained, self.alpha)


def open_denoiser(fields: Mapping[str, Any]) -> Denoiser:
    """The U-Net of a backbone.

    Args:
        fields: `config.backbone`.

    Raises:
        InputError: a field is not usable; the warm start is not there, or of another U-Net.
    """
    require_positive(fields, ("lora_rank",))
    network = scan_unet(fields)
    warm = read_warm_start(Path(fields["warm_start"]), network) if fields["warm_start"] else None
    return Denoiser(network, warm, fields["lora_rank"], fields["lora_alpha"])


def scan_unet(fields: Mapping[str, Any]) -> ScanUNet:
    """The U-Net that `config.backbone` describes.

    Raises:
        InputError: its levels are not usable.
    """
    if not fields["features"] or min(fields["features"]) < 1:
        raise InputError(
            "backbone.features: expected the channels of at least one level, each above 0, found "
            f"{tuple(fields['features'])}"
        )
    return ScanUNet(
        tuple(fields["features"]),
        fields["halves_before_upsampling"],
        jnp.dtype(fields["dtype"]),
    )


def smallest_image(network: ScanUNet) -> Array:
    """An empty image, large enough for the poolings: parameters do not depend on its size."""
    side = 2 ** len(network.features)
    return jnp.zeros((1, side, side), jnp.complex64)


def read_warm_start(folder: Path, network: ScanUNet) -> dict[str, Any]:
    """Weights that `jaxrecon.warm_start` wrote.

    Raises:
        InputError: there are none, or they are of another U-Net; the message names the program.
    """
    if not (folder / SPEC_FILE).is_file():
        raise InputError(
            f"backbone.warm_start: expected weights of a U-Net in {folder}, found none; make them "
            f"with: python -m jaxrecon.warm_start --config EXPERIMENT --output {folder} (or leave "
            "it empty to train from random weights)"
        )
    weights, _ = read_weights(folder)
    shapes = jax.eval_shape(network.init, jax.random.key(0), smallest_image(network))["params"]
    expected, found = (
        {path: leaf.shape for path, leaf in traverse_util.flatten_dict(tree, sep="/").items()}
        for tree in (shapes, weights)
    )
    wrong = sorted(
        path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path)
    )
    if wrong:
        raise InputError(
            f"{folder}: expected weights of a U-Net of {network.features}, found {wrong[0]} of "
            f"shape {found.get(wrong[0])} instead of {expected.get(wrong[0])}"
        )
    return weights
