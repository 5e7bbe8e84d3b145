"""A scan to be reconstructed in words, and what its images' provenance says of it."""

from collections.abc import Sequence
from typing import Any

import h5py

from jaxrecon.data.scan import Scan
from jaxrecon.data.undersampling import UndersampledScan
from jaxrecon.training.datasets import origin_of
from jaxrecon.training.provenance import provenance
from jaxrecon.training.reconstruction import Method
from jaxrecon.weight_store import file_sha256


def describe(scan: Scan, measured: UndersampledScan) -> str:
    """What is reconstructed, and from what, in a few lines.

    Args:
        scan: the scan.
        measured: its undersampled k-space.
    """
    height, width = scan.shape
    size = (
        f"{len(scan.indices)} of {scan.slices_in_file} slices, {scan.coils} coils, "
        f"{height} x {width}, image {scan.image_shape[0]} x {scan.image_shape[1]}"
    )
    first = f"{scan.path}: {'; '.join([size, *scan.remarks])}"
    return "\n".join([first, f"sampling: {measured.description}", *measured.remarks])


def scan_provenance(
    scan: Scan, measured: UndersampledScan, methods: Sequence[Method]
) -> dict[str, Any]:
    """What it takes to make the images again, as JSON values.

    Args:
        scan: the scan.
        measured: its undersampled k-space.
        methods: that reconstruct it.
    """
    return {
        **provenance(),
        "scan": scan.name,
        "data": origin_of(scan.volume) if h5py.is_hdf5(scan.path) else "",
        "scan_sha256": file_sha256(scan.path),
        "slices": list(scan.indices),
        "crop": list(scan.image_shape),
        "sampling": measured.settings,
        "runs": {method.name: dict(method.settings) for method in methods},
    }
