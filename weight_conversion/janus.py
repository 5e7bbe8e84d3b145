r"""Convert the parts of Janus that understand images: vision tower, aligner, language model.

    python -m weight_conversion.janus --source deepseek-community/Janus-Pro-1B \
        --output weights/janus --dtype bfloat16

reads a checkpoint of transformers' `JanusForConditionalGeneration`, or one in the layout of
deepseek-ai's own repositories such as deepseek-ai/Janus-Pro-1B, and writes `weights.safetensors`,
`spec.json` and, under `tokenizer/`, copies of the files of tokenizer and processor that lie beside
the checkpoint. What generates images is left out. Tensors are read and written one at a time.
Running it again does nothing while source and output are unchanged.
"""

import functools
import math
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from absl import flags
from safetensors import SafetensorError, safe_open

from jaxrecon.encoders.janus_spec import JanusSpec, janus_shapes
from jaxrecon.errors import InputError
from jaxrecon.weight_store import SPEC_FILE, WEIGHTS_FILE, file_sha256, read_spec
from weight_conversion import output_folder, program
from weight_conversion.janus_config import read_architecture, read_preprocessing
from weight_conversion.janus_layouts import rules, split_fused, tie_head
from weight_conversion.rules import assign
from weight_conversion.sources import Checkpoint, find_checkpoint
from weight_conversion.stored_tensors import stored_tensors
from weight_conversion.streaming import DTYPES, SAFETENSORS_NAMES, write_safetensors

CONVERTER = "janus 1"

TOKENIZER_FOLDER = "tokenizer"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "processor_config.json",
    "preprocessor_config.json",
    "chat_template.json",
    "chat_template.jinja",
    "config.json",
)


def convert_checkpoint(source: str, output: Path, dtype: str = "float32") -> str:
    """Convert a checkpoint, unless that is already done.

    Args:
        source: see `find_checkpoint`.
        output: folder to write.
        dtype: of the parameters written, a key of `streaming.DTYPES`.

    Returns:
        What was done.

    Raises:
        InputError: the source cannot be converted, or the output not be written.
    """
    output_folder.require_folder(output)
    checkpoint = find_checkpoint(source, beside=TOKENIZER_FILES)
    architecture = read_architecture(checkpoint.config, source)
    layout, spec = architecture.layout, architecture.spec
    tokenizer = _tokenizer_files(checkpoint)
    sha256 = checkpoint.sha256()
    origin = {
        "converter": CONVERTER,
        "source_sha256": sha256,
        "source_config_sha256": checkpoint.config_sha256(),
        "tokenizer_sha256": {name: file_sha256(path) for name, path in tokenizer.items()},
        "dtype": dtype,
    }
    if output_folder.is_up_to_date(output, origin, _check_complete):
        return f"{output} is up to date with {source} (sha256 {sha256[:12]})"
    preprocessing = read_preprocessing(tokenizer, spec)
    tensors = split_fused(stored_tensors(checkpoint), layout)
    if architecture.tied_head:
        tensors = tie_head(tensors, layout)
    shapes = janus_shapes(spec)
    source_shapes = {key: tensor.shape for key, tensor in tensors.items()}
    assignment = assign(source_shapes, rules(layout, spec.aligner_depth), shapes, name=source)
    files: dict[str, Callable[[Path], object]] = {
        f"{TOKENIZER_FOLDER}/{name}": functools.partial(shutil.copyfile, path)
        for name, path in tokenizer.items()
    }
    files[WEIGHTS_FILE] = functools.partial(
        write_safetensors, shapes=shapes, assignment=assignment, source=tensors, dtype=dtype
    )
    content = {
        "janus": spec.to_json(),
        "preprocessing": preprocessing,
        "source": source,
        **origin,
    }
    stale = {f"{TOKENIZER_FOLDER}/{name}" for name in TOKENIZER_FILES} - files.keys()
    output_folder.write_files(output, files, content, stale)
    used = {piece.key for pieces in assignment.values() for piece in pieces}
    summary = _summary(spec, shapes, dtype, [key for key in tensors if key not in used])
    return (
        f"wrote {output}: {summary}, {len(tokenizer)} files of tokenizer and processor and "
        f"{SPEC_FILE}; from {source} (sha256 {sha256[:12]})"
    )


def _tokenizer_files(checkpoint: Checkpoint) -> dict[str, Path]:
    folder = checkpoint.files[0].parent
    return {name: folder / name for name in TOKENIZER_FILES if (folder / name).is_file()}


def _check_complete(output: Path) -> None:
    """See that a conversion's files are all there, without reading the weights.

    Raises:
        InputError: one is missing or damaged.
    """
    content = read_spec(output)
    spec = JanusSpec.from_json(content.get("janus", {}), str(output / SPEC_FILE))
    path = output / WEIGHTS_FILE
    dtype = SAFETENSORS_NAMES[content["dtype"]]
    expected = {key: (list(shape), dtype) for key, shape in janus_shapes(spec).items()}
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
            found = {key: (part.get_shape(), part.get_dtype()) for key, part in slices.items()}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: expected a safetensors file, found {error}") from None
    if found != expected:
        raise InputError(f"{path}: expected the arrays of its {SPEC_FILE}, found other ones")
    for name, sha256 in content["tokenizer_sha256"].items():
        copy = output / TOKENIZER_FOLDER / name
        if not copy.is_file() or file_sha256(copy) != sha256:
            raise InputError(f"{copy}: expected the file it was copied from, found another or none")


def _summary(
    spec: JanusSpec, shapes: Mapping[str, tuple[int, ...]], dtype: str, left_out: list[str]
) -> str:
    count = sum(math.prod(shape) for shape in shapes.values())
    groups = {re.sub(r"^((model\.)?\w+)\..*", r"\1.*", key) for key in left_out}
    without = f", without {', '.join(sorted(groups))}" if groups else ""
    return (
        f"{WEIGHTS_FILE} ({spec.vision.label} with {spec.vision.depth} layers, language model with "
        f"{spec.language.depth} layers of width {spec.language.width}, {count:,} parameters in "
        f"{dtype}, {count * DTYPES[dtype].itemsize / 1e6:,.0f} MB{without})"
    )


def main() -> None:
    """Define the flags, parse them and convert."""
    dtype = flags.DEFINE_enum("dtype", "float32", list(DTYPES), "Precision to write.")
    program.run(lambda source, output: print(convert_checkpoint(source, output, dtype.value)))


if __name__ == "__main__":
    main()
