"""Make k-space to train and test on: `python -m jaxrecon.simulate`.

Phantoms with analytic k-space:

    python -m jaxrecon.simulate --anatomy=cardiac --output=data/heart --cases=10 --frames=6

Or simulated k-space of finished images:

    python -m jaxrecon.simulate --images=heart.npz --output=data/heart --matrix=128x128 \
        --parts=train=0-79,validation=80-89,test=90-99

Both in the layout of CMRxRecon 2023 or of fastMRI, for `jaxrecon.train` and `jaxrecon.evaluate`.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags
from jaxtyping import Float32
from PIL import Image

from jaxrecon import command_line
from jaxrecon.atomic_file import unfinished
from jaxrecon.data import simulated_dataset
from jaxrecon.data.images import load_images
from jaxrecon.data.layouts import layout
from jaxrecon.data.phantom import ANATOMIES, PhantomSettings
from jaxrecon.data.simulated_dataset import Written
from jaxrecon.data.simulation import ImageSettings
from jaxrecon.errors import InputError

# The program's own, so that it can be imported beside other programs.
_FLAGS = flags.FlagValues()
_ANATOMY = flags.DEFINE_enum("anatomy", None, ANATOMIES, "What phantoms show.", flag_values=_FLAGS)
_IMAGES = flags.DEFINE_string(
    "images",
    None,
    "Images to simulate k-space of: .npz, .npy, .png, .jpg, .nii, .nii.gz, .dcm or a folder.",
    flag_values=_FLAGS,
)
_KEY = flags.DEFINE_string(
    "key",
    "",
    "Array of an .npz file; 'kspace' is single-coil k-space whose phase is kept.",
    flag_values=_FLAGS,
)
_TRANSPOSE = flags.DEFINE_bool(
    "transpose",
    False,
    "Swap rows and columns of --images, so that phase encoding is horizontal.",
    flag_values=_FLAGS,
)
_LAYOUT = flags.DEFINE_enum(
    "layout", "cmrxrecon", simulated_dataset.LAYOUTS, "Layout of the files.", flag_values=_FLAGS
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder to write to.", required=True, flag_values=_FLAGS
)
_CASES = flags.DEFINE_integer(
    "cases",
    10,
    "Phantom cases, all for training, where --parts does not divide them.",
    1,
    flag_values=_FLAGS,
)
_PARTS = flags.DEFINE_string(
    "parts",
    "",
    "Phantom cases or images of each part, counted from 0: train=0-79,validation=80-89,test=90-99. "
    "By default all are for training.",
    flag_values=_FLAGS,
)
_FRAMES = flags.DEFINE_integer(
    "frames", 1, "Time frames of a phantom over its cycle.", 1, flag_values=_FLAGS
)
_SLICES = flags.DEFINE_integer(
    "slices",
    None,
    "Slice positions of a phantom (default 1), or images in a file (default 10).",
    1,
    flag_values=_FLAGS,
)
_MATRIX = flags.DEFINE_string(
    "matrix",
    "",
    "Rows x columns of the image; default 128x128, or that of --images.",
    flag_values=_FLAGS,
)
_FIELD_OF_VIEW = flags.DEFINE_string(
    "field_of_view",
    "1x1",
    "Height x width that phantoms are seen in; 1 holds the anatomy.",
    flag_values=_FLAGS,
)
_OVERSAMPLING = flags.DEFINE_integer(
    "oversampling",
    None,
    "Factor on the rows of k-space; default 2 for fastmri knees and brains, else 1.",
    1,
    2,
    flag_values=_FLAGS,
)
_COILS = flags.DEFINE_integer("coils", 6, "Receive coils.", 1, flag_values=_FLAGS)
_NOISE = flags.DEFINE_float(
    "noise",
    0.004,
    "Noise of a coil image, per real and imaginary part; the brightest is 1.",
    0.0,
    flag_values=_FLAGS,
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.", 0, flag_values=_FLAGS)
_CONTRAST = flags.DEFINE_string(
    "contrast",
    "",
    "Contrast of phantoms (drawn for each case by default); name for images.",
    flag_values=_FLAGS,
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Replace files made with other settings.", flag_values=_FLAGS
)
_PREVIEW = flags.DEFINE_string(
    "preview", "", "Picture to write (.png): targets side by side.", flag_values=_FLAGS
)

_MOST_PREVIEWS = 24
_PREVIEW_COLUMNS = 6


def parse_size(name: str, text: str) -> tuple[float, float]:
    """Two positive numbers from "128x96".

    Raises:
        InputError: the text is not of this form.
    """
    match = re.fullmatch(r"(\d+\.?\d*)x(\d+\.?\d*)", text.strip())
    if match is None:
        raise InputError(f"--{name}: expected two numbers such as 128x96, found {text!r}")
    return float(match[1]), float(match[2])


def parse_parts(text: str) -> dict[str, range]:
    """Ranges of numbers from "train=0-79,validation=80-89,test=90".

    Raises:
        InputError: the text is not of this form, or names a part twice.
    """
    parts: dict[str, range] = {}
    for item in text.split(","):
        match = re.fullmatch(r"\s*(\w+)\s*=\s*(\d+)(?:\s*-\s*(\d+))?\s*", item)
        if match is None or int(match[3] or match[2]) < int(match[2]):
            raise InputError(
                f"--parts: expected items such as train=0-79 with a rising range, found {item!r}"
            )
        if match[1] in parts:
            raise InputError(f"--parts: expected each part once, found {match[1]!r} twice")
        parts[match[1]] = range(int(match[2]), int(match[3] or match[2]) + 1)
    return parts


def contact_sheet(
    targets: Sequence[Float32[np.ndarray, "_ _"]], columns: int = _PREVIEW_COLUMNS
) -> Image.Image:
    """A picture of images side by side, each from black to its own brightest pixel."""
    rows = max(target.shape[0] for target in targets)
    width = max(target.shape[1] for target in targets)
    lines = -(-len(targets) // columns)
    sheet = np.zeros((lines * rows, min(columns, len(targets)) * width), np.uint8)
    for number, target in enumerate(targets):
        top, left = number // columns * rows, number % columns * width
        grey = np.round(255 * target / max(float(target.max()), 1e-30))
        sheet[top : top + target.shape[0], left : left + target.shape[1]] = grey
    return Image.fromarray(sheet)


def _phantoms(output: Path, parts: dict[str, range]) -> Written:
    height, width = parse_size("matrix", _MATRIX.value or "128x128")
    default_oversampling = 2 if _LAYOUT.value == "fastmri" and _ANATOMY.value != "cardiac" else 1
    settings = PhantomSettings(
        anatomy=_ANATOMY.value,
        contrast=_CONTRAST.value,
        height=int(height),
        width=int(width),
        oversampling=_OVERSAMPLING.value or default_oversampling,
        field_of_view=parse_size("field_of_view", _FIELD_OF_VIEW.value),
        coils=_COILS.value,
        frames=_FRAMES.value,
        slices=_SLICES.value or 1,
        noise=_NOISE.value,
        seed=_SEED.value,
    )
    return simulated_dataset.write_phantom_dataset(
        output,
        _LAYOUT.value,
        settings,
        parts or {"train": range(_CASES.value)},
        overwrite=_OVERWRITE.value,
    )


def _from_images(output: Path, parts: dict[str, range]) -> Written:
    path = Path(_IMAGES.value)
    images = load_images(path, _KEY.value, transpose=_TRANSPOSE.value)
    height, width = parse_size("matrix", _MATRIX.value) if _MATRIX.value else (0, 0)
    settings = ImageSettings(
        coils=_COILS.value,
        height=int(height),
        width=int(width),
        oversampling=_OVERSAMPLING.value or 1,
        noise=_NOISE.value,
        seed=_SEED.value,
    )
    return simulated_dataset.write_images_dataset(
        output,
        _LAYOUT.value,
        images,
        settings,
        parts or {"train": range(len(images))},
        source=path.name,
        images_per_case=_SLICES.value or 10,
        contrast=_CONTRAST.value or "cine_sax",
        overwrite=_OVERWRITE.value,
    )


def _write_preview(path: Path, files: Sequence[Path]) -> None:
    reader = layout(_LAYOUT.value)
    volumes = [reader.inspect(file, file.parent) for file in files[:_MOST_PREVIEWS]]
    each = max(1, _PREVIEW_COLUMNS // len(volumes))
    targets = []
    for volume in volumes:
        for index in np.linspace(0, volume.slices - 1, min(each, volume.slices)).round():
            target = reader.read_slice(volume, int(index)).target
            if target is not None:
                targets.append(target)
    with unfinished(path) as temporary:
        contact_sheet(targets).save(temporary, format="PNG")


def main() -> None:
    """Write the data set that the flags describe."""
    if (_ANATOMY.value is None) == (_IMAGES.value is None):
        raise InputError("expected either --anatomy or --images, found both or neither")
    source, foreign = (
        ("--anatomy", ("key", "transpose"))
        if _IMAGES.value is None
        else ("--images", ("cases", "frames", "field_of_view"))
    )
    for name in foreign:
        if _FLAGS[name].present:
            raise InputError(f"--{name}: expected not to be given with {source}")
    output = Path(_OUTPUT.value)
    parts = parse_parts(_PARTS.value) if _PARTS.value else {}
    result = (_phantoms if _IMAGES.value is None else _from_images)(output, parts)
    if _PREVIEW.value:
        _write_preview(Path(_PREVIEW.value), result.files)
    kept = f", kept {len(result.kept)} that were there" if result.kept else ""
    print(f"{output}: wrote {len(result.written)} files in the layout of {_LAYOUT.value}{kept}")


if __name__ == "__main__":
    command_line.run(main, _FLAGS)
