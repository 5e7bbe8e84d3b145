"""The program around a converter of vision encoders: flags, what is up to date, what is written."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from jaxrecon.encoders.spec import ViTSpec
from jaxrecon.encoders.store import encoder_spec_json, load_encoder, read_encoder_spec
from jaxrecon.errors import InputError
from jaxrecon.weight_store import SPEC_FILE, WEIGHTS_FILE
from weight_conversion import output_folder, program
from weight_conversion.sources import find_checkpoint
from weight_conversion.vision_encoder import Conversion

ConvertSource = Callable[[Mapping[str, np.ndarray], Mapping[str, Any], str], Conversion]

_LARGEST_WIDTH, _LARGEST_DEPTH = 768, 12  # ViT-B


def run(convert_source: ConvertSource, converter: str) -> None:
    """The program of a converter.

    Args:
        convert_source: see `convert_checkpoint`.
        converter: see `convert_checkpoint`.
    """
    allow_larger = flags.DEFINE_bool(
        "allow_larger", False, "Convert an encoder larger than a ViT-B."
    )

    def convert(source: str, output: Path) -> None:
        message = convert_checkpoint(
            convert_source, converter, source, output, allow_larger=allow_larger.value
        )
        print(message)

    program.run(convert)


def convert_checkpoint(
    convert_source: ConvertSource,
    converter: str,
    source: str,
    output: Path,
    *,
    allow_larger: bool = False,
) -> str:
    """Convert a checkpoint, unless that is already done.

    Args:
        convert_source: conversion of arrays by key, `config.json` and the source's name.
        converter: name and version, for `spec.json`: a new version makes old conversions out of
            date.
        source: see `find_checkpoint`.
        output: folder to write.
        allow_larger: convert an encoder larger than a ViT-B.

    Returns:
        What was done.

    Raises:
        InputError: the source cannot be converted, or the output not be written.
    """
    output_folder.require_folder(output)
    checkpoint = find_checkpoint(source)
    sha256 = checkpoint.sha256()
    origin = {
        "converter": converter,
        "source_sha256": sha256,
        "source_config_sha256": checkpoint.config_sha256(),
    }
    if output_folder.is_up_to_date(output, origin, _load):
        return f"{output} is up to date with {source} (sha256 {sha256[:12]})"
    conversion = convert_source(checkpoint.read(), checkpoint.config, source)
    if not allow_larger:
        _refuse_larger(conversion.spec, source)
    content = encoder_spec_json(conversion.spec, conversion.statistics) | origin
    content["source"] = source
    output_folder.write(output, conversion.parameters, content)
    return f"wrote {output}: {_summary(conversion)}; from {source} (sha256 {sha256[:12]})"


def _refuse_larger(spec: ViTSpec, name: str) -> None:
    if spec.width > _LARGEST_WIDTH or spec.depth > _LARGEST_DEPTH:
        raise InputError(
            f"{name}: expected at most a ViT-B, {_LARGEST_WIDTH} wide with {_LARGEST_DEPTH} "
            f"layers, found {spec.label}, {spec.width} wide with {spec.depth} layers "
            "(--allow_larger converts it)"
        )


def _load(output: Path) -> None:
    architecture, *_ = read_encoder_spec(output)
    load_encoder(output, (architecture.depth,), architecture.image_size)


def _summary(conversion: Conversion) -> str:
    spec, parameters = conversion.spec, conversion.parameters
    count = sum(array.size for array in parameters.values())
    groups = [re.sub(r"\.\d+\..*", ".*", key) for key in conversion.dropped]
    left_out = f", without {', '.join(dict.fromkeys(groups))}" if groups else ""
    return (
        f"{WEIGHTS_FILE} ({spec.label}, {spec.depth} layers, {count:,} parameters, "
        f"{count * 4 / 1e6:,.0f} MB{left_out}) and {SPEC_FILE}"
    )
