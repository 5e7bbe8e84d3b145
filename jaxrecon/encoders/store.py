"""Encoder weights: converted ones from `weights/<name>/`, or random ones to compare with."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jax.typing import DTypeLike
from jaxtyping import PyTree
from safetensors import SafetensorError, safe_open

from jaxrecon.encoders.resampling import resample_positions
from jaxrecon.encoders.spec import PixelStatistics, PublishedEncoder, ViTSpec
from jaxrecon.encoders.vit import FROZEN, frozen_shapes
from jaxrecon.errors import InputError
from jaxrecon.weight_store import SPEC_FILE, WEIGHTS_FILE, file_sha256, read_spec

RANDOM = "random"


@dataclasses.dataclass(frozen=True, eq=False)
class Encoder:
    """An encoder's weights and where they come from.

    Attributes:
        spec: architecture.
        statistics: pixel statistics it was trained with.
        parameters: what `VisionTransformer` keeps in the collection "frozen", nested arrays on the
            host, for the layers and image size asked for.
        description: for logs and results, such as "weights/clip (openai/clip-vit-base-patch16)" or
            "random encoder (seed 0)".
        sha256: of the converted weights' file; None for random ones.
    """

    spec: ViTSpec
    statistics: PixelStatistics
    parameters: dict[str, Any]
    description: str
    sha256: str | None


def encoder_spec_json(spec: ViTSpec, statistics: PixelStatistics) -> dict[str, Any]:
    """The encoder's part of a `spec.json`; `read_encoder_spec` reads it."""
    return {"architecture": spec.to_json(), "preprocessing": dataclasses.asdict(statistics)}


def read_encoder_spec(folder: Path) -> tuple[ViTSpec, PixelStatistics, dict[str, Any]]:
    """What a folder of converted weights holds, without reading them.

    Args:
        folder: as a converter wrote it.

    Returns:
        Architecture, pixel statistics and the whole `spec.json`.

    Raises:
        InputError: it is missing, or not that of an encoder.
    """
    content = read_spec(folder)
    name = str(folder / SPEC_FILE)
    architecture = content.get("architecture")
    if not isinstance(architecture, dict):
        raise InputError(f"{name}: expected the architecture of an encoder, found none")
    spec = ViTSpec.from_json(architecture, name)
    try:
        preprocessing = content["preprocessing"]
        mean, std = (tuple(map(float, preprocessing[field])) for field in ("mean", "std"))
        (m0, m1, m2), (s0, s1, s2) = mean, std
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{name}: expected preprocessing with mean and std of three channels, "
            f"found {content.get('preprocessing')}"
        ) from None
    return spec, PixelStatistics((m0, m1, m2), (s0, s1, s2)), content


def open_encoder(
    weights: str,
    published: PublishedEncoder,
    layers: tuple[int, ...],
    image_size: int = 224,
    dtype: DTypeLike = jnp.float32,
    seed: int = 0,
) -> Encoder:
    """The weights of an experiment's encoder.

    Args:
        weights: folder of converted weights, or "random".
        published: the encoder the experiment means.
        layers: hidden states asked for.
        image_size: side of the images it will see, pixels.
        dtype: of the matrix products.
        seed: of random weights.

    Raises:
        InputError: there is no such folder (the message holds the command that makes it), or it
            holds another encoder or a damaged one.
    """
    if weights == RANDOM:
        return random_encoder(published.spec, published.statistics, layers, image_size, dtype, seed)
    folder = Path(weights)
    if not (folder / SPEC_FILE).is_file():
        raise InputError(
            f"encoder.weights: expected converted weights in {folder}, found none; make them with: "
            f"{published.conversion_command(folder)} (or take random ones: "
            f"encoder.weights={RANDOM})"
        )
    encoder = load_encoder(folder, layers, image_size, dtype)
    if encoder.spec != published.spec:
        found, expected = encoder.spec.to_json(), published.spec.to_json()
        differences = ", ".join(
            f"{field} {found[field]} instead of {expected[field]}"
            for field in found
            if found[field] != expected[field]
        )
        raise InputError(
            f"{folder}: expected the architecture of {published.source}, found {differences}"
        )
    return encoder


def load_encoder(
    folder: Path,
    layers: tuple[int, ...],
    image_size: int = 224,
    dtype: DTypeLike = jnp.float32,
) -> Encoder:
    """Load converted weights; those of blocks beyond the last layer asked for are not read.

    Args:
        folder: as a converter wrote it.
        layers: hidden states asked for.
        image_size: side of the images, pixels: position embeddings are brought to its grid.
        dtype: of the matrix products.

    Raises:
        InputError: a file is missing, damaged, or does not hold what `spec.json` says.
    """
    spec, statistics, content = read_encoder_spec(folder)
    path = folder / WEIGHTS_FILE
    native = frozen_shapes(spec, layers, spec.image_size - spec.image_size % spec.patch)
    needed = frozen_shapes(spec, layers, image_size)
    flat = {}
    try:
        with safe_open(path, framework="numpy") as file:
            missing = sorted(set(native) - set(file.keys()))
            if missing:
                raise InputError(
                    f"{path}: expected {len(native)} arrays for {spec.label}, found none for "
                    f"{', '.join(missing[:3])}{' and others' if len(missing) > 3 else ''}"
                )
            for name in native:
                flat[name] = file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: expected a safetensors file, found {error}") from None
    for name, shape in native.items():
        if flat[name].shape != shape:
            raise InputError(f"{path}: expected {name} of shape {shape}, found {flat[name].shape}")
    if flat["positions"].shape != needed["positions"]:
        flat["positions"] = resample_positions(
            flat["positions"], image_size // spec.patch, class_token=spec.class_token
        )
    return Encoder(
        spec,
        statistics,
        _nested(flat, dtype),
        f"{folder} ({content.get('source', 'unknown source')})",
        file_sha256(path),
    )


def random_encoder(
    spec: ViTSpec,
    statistics: PixelStatistics,
    layers: tuple[int, ...],
    image_size: int = 224,
    dtype: DTypeLike = jnp.float32,
    seed: int = 0,
) -> Encoder:
    """An untrained encoder, the control of every claim about a pretrained one.

    Kernels and embeddings are normal with standard deviation 0.02, as vision transformers are
    initialised for training; biases are 0 and scales 1.

    Args:
        spec: architecture.
        statistics: pixel statistics to give it.
        layers: hidden states asked for.
        image_size: side of the images, pixels.
        dtype: of the matrix products.
        seed: of the weights.
    """
    rng = np.random.default_rng(seed)
    flat = {}
    for name, shape in sorted(frozen_shapes(spec, layers, image_size).items()):
        leaf = name.rsplit("/", 1)[-1]
        if leaf == "bias":
            flat[name] = np.zeros(shape, np.float32)
        elif leaf.startswith("scale"):
            flat[name] = np.ones(shape, np.float32)
        else:
            flat[name] = np.float32(0.02) * rng.standard_normal(shape, np.float32)
    return Encoder(
        spec, statistics, _nested(flat, dtype), f"random encoder (seed {seed})", sha256=None
    )


def place_encoder(variables: PyTree, encoder: Encoder) -> PyTree:
    """Put an encoder's weights in the place of a network's frozen variables.

    Args:
        variables: of a network that holds one `VisionTransformer`, wherever it stands.
        encoder: made for the same layers, image size and dtype.

    Returns:
        The same variables with the encoder's arrays under "frozen"; everything else is shared.

    Raises:
        InputError: the network's frozen variables are not this encoder's.
    """
    weights = traverse_util.flatten_dict(encoder.parameters)
    frozen = traverse_util.flatten_dict(variables.get(FROZEN, {}))
    roots = [path[:-1] for path in frozen if path[-1] == "positions"]
    root = roots[0] if len(roots) == 1 else ()
    placed = {(*root, *name): jnp.asarray(value) for name, value in weights.items()}
    wrong = [
        "/".join(path)
        for path in sorted(placed.keys() | frozen.keys())
        if path not in placed
        or path not in frozen
        or (placed[path].shape, placed[path].dtype) != (frozen[path].shape, frozen[path].dtype)
    ]
    if wrong:
        raise InputError(
            f"{encoder.description}: expected the weights of the network's encoder, found "
            f"{len(wrong)} that differ in place, shape or dtype, such as {wrong[0]}"
        )
    return {**variables, FROZEN: traverse_util.unflatten_dict(placed)}


def _nested(flat: Mapping[str, np.ndarray], dtype: DTypeLike) -> dict[str, Any]:
    """A nested dictionary, with the weights of matrix products in `dtype`."""
    cast = {
        name: array.astype(dtype) if name.endswith("/kernel") else array
        for name, array in flat.items()
    }
    return traverse_util.unflatten_dict(cast, sep="/")
