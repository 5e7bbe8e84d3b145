"""Tables and the figure of the sweep."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Label, colour and marker of each method, in the order of the tables.
METHODS = {
    "zero_filled": ("zero-filled", "#7f7f7f", "x"),
    "e2e_varnet": ("E2E-VarNet", "#0072b2", "s"),
    "cmr_vit_s14 (random encoder)": ("random frozen encoder", "#e69f00", "^"),
    "cmr_dinov2_derived": ("pretrained frozen encoder (DINOv2-derived)", "#009e73", "o"),
}
# What the data sets' names in the results stand for.
DATA_SETS = {
    "test": "cardiac test block",
    "knee": "real knee",
    "head": "real head",
    "cardiac_phantom": "cardiac phantoms",
    "knee_phantom": "knee phantoms",
    "brain_phantom": "brain phantoms",
}
METRICS = {"ssim": ("SSIM", 4), "psnr": ("PSNR, dB", 2), "nmse": ("NMSE", 4)}


def collect(finished: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Seeds side by side: one entry per data set, acceleration and method."""
    entries: dict[tuple[str, float, str], dict[str, Any]] = {}
    for results in finished.values():
        for row in results["rows"]:
            method = row["method"]
            key = (row["dataset"], row["acceleration"], method)
            entry = entries.setdefault(
                key,
                {
                    "dataset": DATA_SETS[row["dataset"]],
                    "acceleration": row["acceleration"],
                    "effective_acceleration": row["effective_acceleration"],
                    "method": method,
                    "n_slices": row["n_slices"],
                    "seeds": [],
                    **{metric: [] for metric in METRICS},
                },
            )
            seed = results["provenance"]["config"]["seed"]
            if seed in entry["seeds"]:  # The zero-filled image is the same in every run.
                continue
            entry["seeds"].append(seed)
            for metric in METRICS:
                entry[metric].append(row[metric]["mean"])
    return sorted(
        entries.values(),
        key=lambda e: (
            list(DATA_SETS.values()).index(e["dataset"]),
            e["acceleration"],
            list(METHODS).index(e["method"]),
        ),
    )


def _cell(values: list[float], digits: int) -> str:
    text = f"{np.mean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ({min(values):.{digits}f} to {max(values):.{digits}f})"
    return text


def tables(entries: list[dict[str, Any]]) -> str:
    """Markdown: one table per data set; means over the seeds, and their range."""
    lines = []
    for data_set in dict.fromkeys(entry["dataset"] for entry in entries):
        of_set = [entry for entry in entries if entry["dataset"] == data_set]
        lines += [f"### {data_set} ({of_set[0]['n_slices']} slices)", ""]
        lines += ["| R (effective) | method | seeds | SSIM | PSNR | NMSE |", "|---|" + "---|" * 5]
        lines += [
            f"| {e['acceleration']:g} ({e['effective_acceleration']:.2f}) "
            f"| {METHODS[e['method']][0]} | {len(e['seeds'])} | "
            + " | ".join(_cell(e[metric], digits) for metric, (_, digits) in METRICS.items())
            + " |"
            for e in of_set
        ]
        lines.append("")
    return "\n".join(lines)


def draw(entries: list[dict[str, Any]], path: Path) -> None:
    """SSIM against the effective acceleration: a point per seed, a line through the means."""
    data_sets = list(dict.fromkeys(entry["dataset"] for entry in entries))
    figure = Figure(figsize=(3.1 * 3, 3.0 * -(-len(data_sets) // 3) + 0.6), layout="constrained")
    axes = figure.subplots(-(-len(data_sets) // 3), 3, squeeze=False).ravel()
    for axis, data_set in zip(axes, data_sets, strict=False):
        for method, (label, colour, marker) in METHODS.items():
            of_method = [e for e in entries if (e["dataset"], e["method"]) == (data_set, method)]
            places = [e["effective_acceleration"] for e in of_method]
            means = [np.mean(e["ssim"]) for e in of_method]
            axis.plot(places, means, color=colour, marker=marker, label=label)
            for place, entry in zip(places, of_method, strict=True):
                seeds = entry["ssim"]
                axis.plot([place] * len(seeds), seeds, "_", color=colour, markersize=10)
        axis.set_title(data_set, fontsize=10)
        axis.set_xlabel("effective acceleration")
        axis.set_ylabel("SSIM")
        axis.grid(alpha=0.3)
    for axis in axes[len(data_sets) :]:
        axis.set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


def write_summary(folder: Path, finished: Mapping[str, Mapping[str, Any]]) -> None:
    """Write `results.json`, `tables.md` and `ssim.png`, and print the tables.

    Args:
        folder: where to.
        finished: results files by the name of the run.
    """
    entries = collect(finished)
    folder.mkdir(parents=True, exist_ok=True)
    provenance = {
        name: {
            field: results["provenance"].get(field)
            for field in ("commit", "date", "encoder", "checkpoint_step", "checkpoint_sha256")
        }
        for name, results in finished.items()
    }
    content = {"runs": provenance, "rows": entries}
    (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / "tables.md").write_text(tables(entries))
    draw(entries, folder / "ssim.png")
    print(tables(entries))
