"""Reading one scan, whatever its format."""

from pathlib import Path

from jaxrecon.data import hdf5, scan_arrays, scan_bart, scan_ismrmrd, scan_layouts
from jaxrecon.data.scan import Scan
from jaxrecon.errors import InputError

FORMATS = "fastMRI .h5, CMRxRecon .mat, ISMRMRD .h5 or .mrd, .npy, .npz, or BART .cfl with its .hdr"


def read_scan(
    path: Path, *, slices: str = "", axes: str = "", key: str = "", mask_key: str = ""
) -> Scan:
    """Read a scan's k-space with all that its file says of it.

    The suffix tells the format; of HDF5 files it is the content. All chosen slices are held in
    memory.

    Args:
        path: the file; a BART scan also by the common name of its two files.
        slices: those to read, "10-14,20"; see `jaxrecon.data.scan.choose_slices`.
        axes: order of the axes of `.npy` and `.npz`; see `jaxrecon.data.scan_arrays.read`.
        key: array of k-space in an `.npz` file.
        mask_key: array of the mask in an `.npz` file.

    Raises:
        InputError: the file is missing, damaged or of another kind; a slice is missing, not finite
            or all zero; or an argument does not go with the format.
    """
    if scan_bart.is_bart(path):
        form = "bart"
    elif not path.is_file():
        raise InputError(f"{path}: expected a scan ({FORMATS}), found no such file")
    else:
        form = _format(path)
    if form != "arrays":
        for name, value in (("axes", axes), ("key", key), ("mask_key", mask_key)):
            if value:
                raise InputError(f"--{name}: expected only with .npy and .npz, found {path.name}")
    if form == "arrays":
        return scan_arrays.read(path, slices, axes, key, mask_key)
    if form == "bart":
        return scan_bart.read(path, slices)
    if form == "ismrmrd":
        return scan_ismrmrd.read(path, slices)
    return scan_layouts.read(path, form, slices)


def _format(path: Path) -> str:
    """The name of a file's format: "arrays", "ismrmrd", or that of a layout."""
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        return "arrays"
    if suffix not in (".h5", ".hdf5", ".mrd", ".mat"):
        raise InputError(f"{path}: expected {FORMATS}, found the suffix {suffix or 'none'}")
    with hdf5.open_file(path) as file:
        if scan_ismrmrd.is_ismrmrd(file) is not None:
            return "ismrmrd"
        if any(key.startswith(("kspace_full", "kspace_sub")) for key in file):
            return "cmrxrecon"
        if "kspace" in file or suffix != ".mat":
            return "fastmri"
    return "cmrxrecon"
