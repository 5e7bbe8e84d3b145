"""The part of an ISMRMRD header that fastMRI's files are read by.

References:
    Inati et al., ISMRM Raw Data Format, Magn. Reson. Med. 77(1), 2017, doi:10.1002/mrm.26089
"""

import dataclasses
from pathlib import Path
from xml.etree import ElementTree as ET

from jaxrecon.errors import InputError

_NAMESPACE = "http://www.ismrm.org/ISMRMRD"


@dataclasses.dataclass(frozen=True)
class Header:
    """Sizes read from a header.

    Attributes:
        padding: first acquired column and last acquired column + 1.
        recon_rows: rows of the reconstructed image.
        recon_columns: columns of the reconstructed image.
    """

    padding: tuple[int, int]
    recon_rows: int
    recon_columns: int


def read(path: Path, xml: bytes | str, width: int) -> Header:
    """Read a header.

    The first acquired column is encoded columns // 2 - centre of the encoding limits; the last is
    maximum of the limits further on.

    Args:
        path: the file the header stands in, named in errors.
        xml: the header.
        width: columns of the k-space.

    Raises:
        InputError: it is not XML, lacks a size, or leaves no column acquired.
    """
    try:
        encoding = ET.fromstring(xml).find(f"{{{_NAMESPACE}}}encoding")
    except ET.ParseError as error:
        message = f"{path}: expected XML in 'ismrmrd_header', found text that is not: {error}"
        raise InputError(message) from error

    def number(*tags: str) -> int:
        step = "/".join(f"{{{_NAMESPACE}}}{tag}" for tag in tags)
        found = None if encoding is None else encoding.findtext(step)
        try:
            return int(found or "")
        except ValueError:
            raise InputError(
                f"{path}: expected an integer encoding/{'/'.join(tags)} in 'ismrmrd_header', "
                f"found {found!r}"
            ) from None

    limits = ("encodingLimits", "kspace_encoding_step_1")
    first = number("encodedSpace", "matrixSize", "y") // 2 - number(*limits, "center")
    last = first + number(*limits, "maximum") + 1
    padding = (max(first, 0), min(last, width))
    if padding[0] >= padding[1]:
        raise InputError(
            f"{path}: expected acquired columns between 0 and {width} in 'ismrmrd_header', "
            f"found {first} to {last}"
        )
    rows = number("reconSpace", "matrixSize", "x")
    columns = number("reconSpace", "matrixSize", "y")
    return Header(padding, rows, columns)


def write(encoded: tuple[int, int], recon: tuple[int, int], padding: tuple[int, int]) -> str:
    """Write a header.

    Args:
        encoded: rows and columns of the k-space.
        recon: rows and columns of the image.
        padding: first acquired column and last acquired column + 1.

    Returns:
        The XML, such that `read` and fastMRI's reader find these sizes in it.
    """
    root = ET.Element("ismrmrdHeader", xmlns=_NAMESPACE)

    def add(parent: ET.Element, tag: str, text: object = "") -> ET.Element:
        child = ET.SubElement(parent, tag)
        child.text = str(text) or None
        return child

    # 1.5 T; the schema asks for a resonance frequency, and no reader here uses it.
    add(add(root, "experimentalConditions"), "H1resonanceFrequency_Hz", 63_866_217)
    encoding = add(root, "encoding")
    for space, (rows, columns) in (("encodedSpace", encoded), ("reconSpace", recon)):
        parent = add(encoding, space)
        for tag, sizes in (
            ("matrixSize", (rows, columns, 1)),
            ("fieldOfView_mm", (rows, columns, 1)),
        ):
            size = add(parent, tag)
            for axis, value in zip("xyz", sizes, strict=True):
                add(size, axis, value)
    limits = add(add(encoding, "encodingLimits"), "kspace_encoding_step_1")
    first, last = padding
    add(limits, "minimum", 0)
    add(limits, "maximum", last - first - 1)
    add(limits, "center", encoded[1] // 2 - first)
    add(encoding, "trajectory", "cartesian")
    return ET.tostring(root, encoding="unicode")
