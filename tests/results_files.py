"""Results files made by hand, as the tests of reports need them."""

import json
from pathlib import Path

import numpy as np

from jaxrecon.metrics.example_images import ExampleImages, write_example
from jaxrecon.metrics.summary import summarise_values

MEASURES = ("ssim", "psnr", "nmse")


def row(method="net", values=((0.9, 30.0, 0.02), (0.8, 28.0, 0.04)), **changes):
    """A row whose files have these values of SSIM, PSNR and NMSE."""
    files = [
        {"file": f"file{number}.h5", "slices": 2, **dict(zip(MEASURES, each, strict=True))}
        for number, each in enumerate(values)
    ]
    return {
        "method": method,
        "run": None if method == "zero_filled" else f"runs/{method}",
        "dataset": "knee",
        "anatomy": "knee",
        "mask": "equispaced",
        "acceleration": 4.0,
        "effective_acceleration": 3.2,
        "acs": 26,
        "center_fraction": 0.08,
        "protocol": "fastmri",
        "crop": [[320, 320]],
        "subset": "",
        "data": "",
        "unit": "file",
        "measures": list(MEASURES),
        "not_computed": {},
        "n_files": len(files),
        "n_slices": 2 * len(files),
        **{name: summarise_values([file[name] for file in files]) for name in MEASURES},
        "files": files,
    } | changes


def row_of_means(method, means, **changes):
    """A row with these means of SSIM, PSNR and NMSE, as a paper prints them."""
    summaries = {
        name: {"mean": mean, "std": 0.1, "ci95": [mean - 0.01, mean + 0.01]}
        for name, mean in zip(MEASURES, means, strict=True)
    }
    return row(method, **{**summaries, "files": [], **changes})


def write(folder: Path, rows, *, examples=(), **changes) -> Path:
    """A results file of `evaluate` in a folder, with its examples."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number, example in enumerate(examples):
        names.append(f"examples/{number}.npz")
        write_example(folder / names[-1], example)
    content = {
        "schema": 1,
        "provenance": {
            "date": "2025-11-24T03:00:00+00:00",
            "commit": "c84067e51b2d",
            "versions": {"jax": "0.10.2"},
            "runs": {
                "net": {
                    "config": {"name": "net", "model": {"cascades": 12}},
                    "checkpoint_step": 7,
                    "checkpoint_sha256": "ab12" * 16,
                    "encoder": "clip",
                    "encoder_sha256": "cd34" * 16,
                }
            },
        },
        "rows": rows,
        "comparisons": [],
        "examples": names,
    } | changes
    path = folder / "results.json"
    path.write_text(json.dumps(content))
    return path


def example(methods=("zero_filled", "net"), *, seed=0, shape=(24, 20), target=True, **changes):
    """A slice of noise; the later a method, the closer it is to the target."""
    generator = np.random.default_rng(seed)
    truth = generator.random(shape, np.float32)
    images = {
        method: truth + np.float32(0.3 / (place + 1)) * generator.random(shape, np.float32)
        for place, method in enumerate(methods)
    }
    about = {
        "data_set": "knee",
        "file": "file0.h5",
        "index": 3,
        "mask": "equispaced",
        "acceleration": 4.0,
        "acs": 26,
        "scores": {method: {"ssim": 0.5, "psnr": 30.0} for method in methods},
    } | changes
    return ExampleImages(target=truth if target else None, images=images, **about)
