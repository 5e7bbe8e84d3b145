"""The section that says where every number of a page comes from."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxrecon.reporting.captions import protocol_description
from jaxrecon.reporting.comparability import labels_of
from jaxrecon.reporting.measurements import Measurement, ResultsFile
from jaxrecon.reporting.notation import count, span
from jaxrecon.reporting.page import Section

# Of a training run's own results, what belongs to the run and not to the program that wrote it.
_OF_A_RUN = (
    "config", "weights", "checkpoint_step", "checkpoint_sha256", "encoder", "encoder_sha256",
)  # fmt: skip

Fields = list[tuple[str, str]]


def provenance_section(
    files: Sequence[ResultsFile], measurements: Sequence[Measurement]
) -> Section:
    """For every results file the program's state, the settings and the runs.

    Args:
        files: the results files.
        measurements: of `comparable_measurements`, for the labels of methods.
    """
    labels = labels_of(measurements)

    def named(number: int, method: str) -> str:
        label = labels.get((number, method), method)
        return method if label == method else f"{label} ({method})"

    shown = [
        {
            "number": file.number,
            "path": str(file.path),
            "summary": _summary(file.provenance),
            "fields": _fields(_without(file.provenance, ("runs", *_OF_A_RUN))),
            "blocks": _blocks(_without(file.provenance, ("runs", *_OF_A_RUN))),
            "settings": [_setting(group, named) for group in _by_setting(file.measurements)],
            "runs": [
                {
                    "name": named(file.number, name),
                    "fields": _fields(run),
                    "blocks": _blocks(run),
                }
                for name, run in _runs(file).items()
            ],
        }
        for file in files
    ]
    return Section("provenance", "Provenance", "provenance.html.j2", {"files": shown})


def _runs(file: ResultsFile) -> Mapping[str, Mapping[str, Any]]:
    runs = file.provenance.get("runs")
    if isinstance(runs, dict):
        return {name: run for name, run in runs.items() if isinstance(run, dict)}
    own = {name: file.provenance[name] for name in _OF_A_RUN if name in file.provenance}
    if not own:
        return {}
    config = own.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return {str(name or "network"): own}


def _without(values: Mapping[str, Any], left_out: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in left_out}


def _summary(provenance: Mapping[str, Any]) -> str:
    date, commit = provenance.get("date"), provenance.get("commit")
    parts = [str(date)[:10] if date else "", f"code {str(commit)[:12]}" if commit else ""]
    return ", ".join(part for part in parts if part)


def _is_block(value: Any) -> bool:
    """Whether a value is too deep for one line."""
    parts = value.values() if isinstance(value, dict) else ()
    return any(isinstance(part, dict | list) for part in parts)


def _fields(values: Mapping[str, Any]) -> Fields:
    return [(_words(name), _text(value)) for name, value in values.items() if not _is_block(value)]


def _blocks(values: Mapping[str, Any]) -> Fields:
    return [
        (_words(name), json.dumps(value, indent=2))
        for name, value in values.items()
        if _is_block(value)
    ]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return str(value)


def _by_setting(measurements: Sequence[Measurement]) -> list[list[Measurement]]:
    groups: dict[tuple[object, ...], list[Measurement]] = {}
    for found in measurements:
        key = (found.data_set, found.mask, found.acceleration, found.calibration, found.protocol)
        groups.setdefault(key, []).append(found)
    return list(groups.values())


def _setting(
    measurements: Sequence[Measurement], named: Callable[[int, str], str]
) -> dict[str, Any]:
    first = measurements[0]
    description = protocol_description(first.protocol)
    fields = {
        "methods": ", ".join(named(found.source, found.method) for found in measurements),
        "protocol": first.protocol + (f": {description}" if description else ""),
        "masks": first.mask,
        "nominal acceleration": f"{first.acceleration:g}",
        "effective acceleration": f"{first.effective_acceleration:.4g}, mean over slices",
        "calibration": f"{first.calibration}, ACS {span(first.acs)}"
        if first.center_fraction is not None
        else first.calibration,
        "crop": first.crop_text,
        "subset": first.subset or "everything",
        "data": first.origin or "the files do not say where they come from",
        "judged": f"{count(first.n_slices, 'slice')} of {count(first.n_files, 'file')}; "
        f"means over {first.unit}s",
    }
    return {
        "title": f"{first.data_set}, {first.mask} R = {first.acceleration:g}, {first.calibration}",
        "fields": list(fields.items()),
        "files": [f"{file.file} ({count(file.slices, 'slice')})" for file in first.files],
    }
