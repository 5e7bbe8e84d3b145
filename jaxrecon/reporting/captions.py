"""What stands above and below numbers: how they were made, in sentences."""

from collections.abc import Sequence

from jaxrecon.metrics.measures import MEASURES
from jaxrecon.metrics.protocols import PROTOCOLS
from jaxrecon.reporting.measurements import Measurement
from jaxrecon.reporting.notation import joined, span, span_of_accelerations
from jaxrecon.reporting.significance import DESCRIPTION, LEVEL


def protocol_description(name: str) -> str:
    """What a protocol compares; "" for one that this version does not know."""
    return PROTOCOLS[name].description if name in PROTOCOLS else ""


def is_simulated(origin: str) -> bool:
    """Whether a data set's files say that they were simulated."""
    return origin.lower().startswith("simulated")


def block_setting(measurements: Sequence[Measurement]) -> str:
    """What the methods of one acceleration and one group of columns really got.

    Args:
        measurements: of them; may be empty.

    Returns:
        The effective acceleration, the ACS columns and the number of slices; "" for none.
    """
    if not measurements:
        return ""
    accelerations = [found.effective_acceleration for found in measurements]
    acs = [columns for found in measurements for columns in found.acs]
    slices = [found.n_slices for found in measurements]
    unit = "slice" if max(slices) == 1 else "slices"
    effective = span_of_accelerations(accelerations)
    return f"effective {effective}, ACS {span(acs)}, {span(slices)} {unit}"


def table_caption(
    measurements: Sequence[Measurement],
    *,
    is_mixed: bool,
    is_tested: bool,
    baseline: str | None,
    is_marked: bool = True,
) -> str:
    """What the numbers of a table are.

    Args:
        measurements: of the table.
        is_mixed: whether lines were judged in several ways.
        is_tested: whether methods were tested against each other.
        baseline: the method that others are tested against; None where the best are tested.
        is_marked: whether the best of each column are.
    """
    first = measurements[0]
    title = f"Results on {first.data_set}"
    if first.anatomy and first.anatomy != first.data_set:
        title += f" ({first.anatomy})"
    units = joined(f"{found.unit}s" for found in measurements)
    sentences = [title, f"Mean ± standard deviation over {units}"]
    for protocol in dict.fromkeys(found.protocol for found in measurements):
        description = protocol_description(protocol)
        sentences.append(f"Protocol {protocol}" + (f": {description}" if description else ""))
    sentences.append(f"Masks: {joined(found.mask for found in measurements)}")
    sentences += [
        f"Subset: {subset}" for subset in dict.fromkeys(m.subset for m in measurements) if subset
    ]
    sentences += [
        _origin_text(origin) for origin in dict.fromkeys(m.origin for m in measurements) if origin
    ]
    reasons = {name: why for found in measurements for name, why in found.missing.items()}
    sentences += [
        f"Not computed: {MEASURES[name].label if name in MEASURES else name} ({why})"
        for name, why in sorted(reasons.items())
    ]
    methods = len({found.label for found in measurements})
    if is_marked and methods > 1:
        marks = "Best bold" if methods == 2 else "Best bold, second underlined"
        sentences.append(marks + (", among lines judged in the same way" if is_mixed else ""))
    if is_tested:
        meaning = f"differs from {baseline}" if baseline else "differs from every other method"
        sentences.append(f"* {meaning}, p < {LEVEL:g} ({DESCRIPTION})")
    return ". ".join(sentences) + "."


def _origin_text(origin: str) -> str:
    return origin[0].upper() + origin[1:] if is_simulated(origin) else f"Data: {origin}"
