"""Janus's weights: converted ones from `weights/<name>/`, or random ones for trying out."""

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jax.typing import DTypeLike
from safetensors import SafetensorError, safe_open

from jaxrecon.encoders.janus_spec import JANUS_PIXELS, JANUS_PRO_1B, JanusSpec, janus_shapes
from jaxrecon.encoders.spec import PixelStatistics
from jaxrecon.encoders.store import RANDOM, Encoder
from jaxrecon.errors import InputError
from jaxrecon.weight_store import SPEC_FILE, WEIGHTS_FILE, file_sha256, read_spec

SOURCE = "deepseek-community/Janus-Pro-1B"


@dataclasses.dataclass(frozen=True, eq=False)
class JanusWeights:
    """Janus's weights and where they come from.

    Attributes:
        spec: architecture.
        statistics: pixel statistics it was trained with.
        parameters: what `Janus` keeps in the collection "frozen", nested arrays on the host.
        description: for logs and results, such as "weights/janus (deepseek-community/...)" or
            "random Janus (seed 0)".
        sha256: of the converted weights' file; None for random ones.
        folder: of the converted weights, where the tokenizer lies; None for random ones.
    """

    spec: JanusSpec
    statistics: PixelStatistics
    parameters: dict[str, Any]
    description: str
    sha256: str | None
    folder: Path | None

    def tower(self) -> Encoder:
        """The vision tower as an encoder of its own, for priors from images alone.

        Its blocks' outputs are those of Janus; the final LayerNorm is not part of it. The arrays
        are shared.
        """
        return Encoder(
            self.spec.vision,
            self.statistics,
            self.parameters["vision"],
            f"vision tower of {self.description}",
            self.sha256,
        )


def conversion_command(output: object) -> str:
    """The command that writes the published weights to the folder `output`."""
    return f"python -m weight_conversion.janus --source {SOURCE} --output {output}"


def open_janus(
    weights: str,
    dtype: DTypeLike = jnp.float32,
    seed: int = 0,
    spec: JanusSpec = JANUS_PRO_1B,
) -> JanusWeights:
    """The weights an experiment names.

    Args:
        weights: folder of converted weights, of any architecture, or "random".
        dtype: of the matrix products.
        seed: of random weights.
        spec: architecture of random weights.

    Raises:
        InputError: there is no such folder (the message holds the command that makes it), or it
            holds something else or is damaged.
    """
    if weights == RANDOM:
        return random_janus(spec, dtype, seed)
    folder = Path(weights)
    if not (folder / SPEC_FILE).is_file():
        raise InputError(
            f"janus.weights: expected converted weights in {folder}, found none; make them with: "
            f"{conversion_command(folder)} (or take random ones: janus.weights={RANDOM})"
        )
    spec, statistics, content = read_janus_spec(folder)
    return JanusWeights(
        spec,
        statistics,
        _read(folder / WEIGHTS_FILE, spec, dtype),
        f"{folder} ({content.get('source', 'unknown source')})",
        file_sha256(folder / WEIGHTS_FILE),
        folder,
    )


def read_janus_spec(folder: Path) -> tuple[JanusSpec, PixelStatistics, dict[str, Any]]:
    """What a folder of converted weights holds, without reading them.

    Args:
        folder: as `weight_conversion.janus` wrote it.

    Returns:
        Architecture, pixel statistics and the whole `spec.json`.

    Raises:
        InputError: it is missing, or not that of a Janus.
    """
    content = read_spec(folder)
    name = str(folder / SPEC_FILE)
    fields = content.get("janus")
    if not isinstance(fields, dict):
        raise InputError(f"{name}: expected the architecture of a Janus, found none")
    spec = JanusSpec.from_json(fields, f"{name}: janus")
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


def random_janus(spec: JanusSpec, dtype: DTypeLike = jnp.float32, seed: int = 0) -> JanusWeights:
    """An untrained Janus, to try programs with: what it says has no meaning.

    Kernels and embeddings are normal with standard deviation 0.02; biases are 0 and scales 1.

    Args:
        spec: architecture.
        dtype: of the matrix products.
        seed: of the weights.
    """
    rng = np.random.default_rng(seed)
    flat = {}
    for name, shape in sorted(janus_shapes(spec).items()):
        leaf = name.rsplit("/", 1)[-1]
        if leaf in ("bias", "scale"):
            flat[name] = np.full(shape, leaf == "scale", np.float32)
            continue
        array = flat[name] = np.empty(shape, _stored_dtype(name, dtype))
        # Row by row: in float32 all of a stacked kernel would take twice its bfloat16 memory.
        rows = array.reshape(-1, *shape[-2:]) if len(shape) > 2 else array[None]
        for row in rows:
            row[...] = np.float32(0.02) * rng.standard_normal(row.shape, np.float32)
    return JanusWeights(
        spec,
        JANUS_PIXELS,
        traverse_util.unflatten_dict(flat, sep="/"),
        f"random Janus (seed {seed})",
        sha256=None,
        folder=None,
    )


def _stored_dtype(name: str, dtype: DTypeLike) -> np.dtype:
    """Weights of matrix products and the table of embeddings are in `dtype`."""
    in_dtype = name.endswith(("/kernel", "/embedding"))
    return np.dtype(dtype) if in_dtype else np.dtype(np.float32)


def _read(path: Path, spec: JanusSpec, dtype: DTypeLike) -> dict[str, Any]:
    """Arrays of a weights file, one at a time, nested."""
    shapes, flat = janus_shapes(spec), {}
    try:
        with safe_open(path, framework="numpy") as file:
            missing = sorted(set(shapes) - set(file.keys()))
            if missing:
                raise InputError(
                    f"{path}: expected {len(shapes)} arrays for Janus, found none for "
                    f"{', '.join(missing[:3])}{' and others' if len(missing) > 3 else ''}"
                )
            for name, shape in shapes.items():
                array = file.get_tensor(name)
                if array.shape != shape:
                    raise InputError(
                        f"{path}: expected {name} of shape {shape}, found {array.shape}"
                    )
                flat[name] = array.astype(_stored_dtype(name, dtype), copy=False)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: expected a safetensors file, found {error}") from None
    return traverse_util.unflatten_dict(flat, sep="/")
