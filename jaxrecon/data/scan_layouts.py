"""A scan from one file of a data set: fastMRI's `.h5`, CMRxRecon's `.mat`."""

from pathlib import Path
from xml.etree import ElementTree as ET

import h5py
import numpy as np

from jaxrecon.data import hdf5
from jaxrecon.data.layouts import layout
from jaxrecon.data.scan import Geometry, Scan, choose_slices

_NAMESPACE = "{http://www.ismrm.org/ISMRMRD}"


def read(path: Path, layout_name: str, slices: str) -> Scan:
    """Read a file of a layout, undersampled with its own mask or fully sampled with its target.

    Args:
        path: the file.
        layout_name: of `jaxrecon.data.layouts.layout`.
        slices: see `jaxrecon.data.scan.choose_slices`.

    Raises:
        InputError: the file cannot be read, is not as the layout says, or lacks a slice.
    """
    reader = layout(layout_name)
    volume = reader.inspect(path, path.parent)
    indices = choose_slices(slices, volume.slices, path)
    raw = [reader.read_slice(volume, index) for index in indices]
    masks = tuple(each.mask for each in raw if each.mask is not None)
    if masks and volume.padding != (0, volume.width):
        masks = tuple(mask.within(*volume.padding) for mask in masks)
    targets = [each.target for each in raw if each.target is not None]
    return Scan(
        path=path,
        name=volume.name,
        kspace=np.stack([each.kspace for each in raw]),
        masks=masks or None,
        columns=volume.padding,
        image_shape=(
            min(volume.target_height, volume.height),
            min(volume.target_width, volume.width),
        ),
        indices=indices,
        slices_in_file=volume.slices,
        frames=volume.frames,
        target=np.stack(targets) if targets else None,
        maximum=volume.maximum,
        geometry=_geometry(path),
        remarks=(f"layout: {layout_name}",),
    )


def _geometry(path: Path) -> Geometry | None:
    """Pixel size from the ISMRMRD header of a fastMRI file; such files do not say the position."""
    with hdf5.open_file(path) as file:
        stored = file.get("ismrmrd_header")
        xml = stored[()] if isinstance(stored, h5py.Dataset) else None
    if xml is None:
        return None
    encoding = ET.fromstring(xml).find(f"{_NAMESPACE}encoding")
    sizes = []
    for space, axis in (("encodedSpace", "x"), ("encodedSpace", "y"), ("reconSpace", "z")):
        length, samples = (
            _number(encoding, space, group, axis) for group in ("fieldOfView_mm", "matrixSize")
        )
        if not (length > 0 and samples > 0):
            return None
        sizes.append(length / samples)
    return Geometry((sizes[0], sizes[1], sizes[2]))


def _number(encoding: ET.Element | None, *tags: str) -> float:
    found = None
    if encoding is not None:
        found = encoding.findtext("/".join(_NAMESPACE + tag for tag in tags))
    try:
        return float(found or 0)
    except ValueError:
        return 0.0
