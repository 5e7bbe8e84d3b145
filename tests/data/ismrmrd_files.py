"""ISMRMRD files written by the ismrmrd package itself."""

import ismrmrd
import numpy as np
from ismrmrd import xsd


def header(matrix, recon=None, fov=None, recon_fov=None, centers=None, **changes):
    """A header of one Cartesian encoding; sizes along x, y, z."""
    recon = recon or matrix
    fov = fov or tuple(float(size) for size in matrix)
    recon_fov = recon_fov or fov

    def space(sizes, lengths):
        return xsd.encodingSpaceType(
            matrixSize=xsd.matrixSizeType(**dict(zip("xyz", sizes, strict=True))),
            fieldOfView_mm=xsd.fieldOfViewMm(**dict(zip("xyz", lengths, strict=True))),
        )

    centers = centers or (matrix[1] // 2, matrix[2] // 2)
    limits = [
        xsd.limitType(minimum=0, maximum=size - 1, center=center)
        for size, center in zip(matrix[1:], centers, strict=True)
    ]
    encoding = {
        "encodedSpace": space(matrix, fov),
        "reconSpace": space(recon, recon_fov),
        "encodingLimits": xsd.encodingLimitsType(
            kspace_encoding_step_1=limits[0], kspace_encoding_step_2=limits[1]
        ),
        "trajectory": xsd.trajectoryType.CARTESIAN,
        **changes,
    }
    return xsd.ismrmrdHeader(
        experimentalConditions=xsd.experimentalConditionsType(H1resonanceFrequency_Hz=63500000),
        encoding=[xsd.encodingType(**encoding)],
    )


def readout(samples, column=0, plane=0, flags=(), center=None, counters=None, **fields):
    """One readout, (coils, samples)."""
    acquisition = ismrmrd.Acquisition.from_array(samples.astype(np.complex64))
    acquisition.center_sample = samples.shape[1] // 2 if center is None else center
    acquisition.idx.kspace_encode_step_1 = column
    acquisition.idx.kspace_encode_step_2 = plane
    for name, value in (counters or {}).items():
        setattr(acquisition.idx, name, value)
    for flag in flags:
        acquisition.set_flag(flag)
    for name, value in fields.items():
        if isinstance(value, tuple):
            getattr(acquisition, name)[:] = value
        else:
            setattr(acquisition, name, value)
    return acquisition


def write(path, xml, readouts, group="dataset"):
    with ismrmrd.Dataset(str(path), group, mode="w") as dataset:
        dataset.write_xml_header(xml if isinstance(xml, bytes) else xsd.ToXML(xml))
        for acquisition in readouts:
            dataset.append_acquisition(acquisition)
    return path


def slice_readouts(kspace, **fields):
    """Every column of (coils, height, width) as a readout."""
    return [readout(kspace[:, :, column], column, **fields) for column in range(kspace.shape[2])]
