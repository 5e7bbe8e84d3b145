"""Descriptions of k-space files that do not exist."""

from jaxrecon.data.volume import Volume


def make_volume(**changes) -> Volume:
    fields = {
        "path": "/data/file1.h5",
        "layout": "fastmri",
        "name": "file1.h5",
        "case": "patient1",
        "contrast": "CORPD_FBK",
        "slices": 5,
        "frames": 1,
        "coils": 4,
        "height": 64,
        "width": 50,
        "target_height": 40,
        "target_width": 33,
        "padding": (0, 50),
        "maximum": None,
        "has_target": True,
        "sampled": False,
    }
    return Volume(**(fields | changes))
