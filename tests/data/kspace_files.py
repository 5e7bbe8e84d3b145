"""Small k-space files built from the published layouts with h5py alone, and counters of access."""

import io
from pathlib import Path

import h5py
import numpy as np

HEADER = """<?xml version="1.0" encoding="utf-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
  <encoding>
    <encodedSpace><matrixSize><x>{rows}</x><y>{columns}</y><z>1</z></matrixSize></encodedSpace>
    <reconSpace><matrixSize><x>{crop}</x><y>{crop}</y><z>1</z></matrixSize></reconSpace>
    <encodingLimits><kspace_encoding_step_1>
      <minimum>0</minimum><maximum>{maximum}</maximum><center>{center}</center>
    </kspace_encoding_step_1></encodingLimits>
  </encoding>
</ismrmrdHeader>"""


def random_kspace(*shape: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    samples = generator.normal(size=(2, *shape))
    return (samples[0] + 1j * samples[1]).astype(np.complex64)


def centred_ifft(kspace: np.ndarray) -> np.ndarray:
    """By the definition, as a product with matrices."""
    image = kspace
    for axis in (-2, -1):
        size = kspace.shape[axis]
        position = np.arange(size) - size // 2
        matrix = np.exp(2j * np.pi * np.outer(position, position) / size) / np.sqrt(size)
        image = np.moveaxis(np.moveaxis(image, axis, -1) @ matrix.T, -1, axis)
    return image


def rss(kspace: np.ndarray) -> np.ndarray:
    return np.sqrt((np.abs(centred_ifft(kspace)) ** 2).sum(-3))


def fastmri_file(path: Path, arrays: dict, attributes: dict | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key] = array
        file.attrs.update(attributes or {})
    return path


def cmrxrecon_file(path: Path, kspace: np.ndarray, key="kspace_full", precision="f4") -> Path:
    """`kspace` is (frames, positions, coils, height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    reversed_axes = kspace.swapaxes(-2, -1)
    stored = np.empty(reversed_axes.shape, [("real", precision), ("imag", precision)])
    stored["real"], stored["imag"] = reversed_axes.real, reversed_axes.imag
    with h5py.File(path, "w") as file:
        file.create_dataset(key, data=stored, chunks=(1, 1, *stored.shape[2:]))
    return path


def count_opened_files(monkeypatch) -> list[str]:
    """The names of all files that h5py opens from now on."""
    opened = []
    original = h5py.File

    class CountingFile(original):
        def __init__(self, name, *arguments, **keywords):
            opened.append(str(name))
            super().__init__(name, *arguments, **keywords)

    monkeypatch.setattr(h5py, "File", CountingFile)
    return opened


class CountingReader(io.FileIO):
    """A file that counts the bytes read from it."""

    bytes_read = 0

    def readinto(self, buffer):
        count = super().readinto(buffer)
        CountingReader.bytes_read += count
        return count


def count_bytes_read(monkeypatch) -> type[CountingReader]:
    """From now on h5py reads through Python, and the class counts what it reads."""
    original = h5py.File

    class FileThroughPython(original):
        def __init__(self, name, mode="r"):
            self._reader = CountingReader(name)
            super().__init__(self._reader, mode)

        def close(self):
            super().close()
            self._reader.close()

    monkeypatch.setattr(h5py, "File", FileThroughPython)
    CountingReader.bytes_read = 0
    return CountingReader
