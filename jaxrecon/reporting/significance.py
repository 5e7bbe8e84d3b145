"""Which methods of a column differ: paired tests over files, corrected for their number.

The tests are those of `jaxrecon.metrics.significance`, so that a report agrees with the comparisons
in results files; they are made here because methods of one column may come from several files.
"""

from collections.abc import Sequence

from jaxrecon.metrics.significance import TEST, signed_rank_p
from jaxrecon.reporting.measurements import Measurement

LEVEL = 0.05
DESCRIPTION = (
    f"{TEST.capitalize()} test over files, with Holm's correction over the methods of a column"
)


def p_value(first: Measurement, second: Measurement, measure: str) -> float | None:
    """The two-sided p value of the difference of two methods.

    Args:
        first: of one method.
        second: of another one.
        measure: name of the measure.

    Returns:
        The p value; None where the two were not judged on the same files, where the results do not
        hold the files' measures, or where too few files differ.
    """
    if first.judged_files != second.judged_files:
        return None
    values = {file.file: file.metrics.get(measure) for file in first.files}
    others = {file.file: file.metrics.get(measure) for file in second.files}
    pairs = [
        (value, other)
        for name, value in values.items()
        if value is not None and (other := others[name]) is not None
    ]
    if not pairs or len(pairs) < len(values):
        return None
    return signed_rank_p(*zip(*pairs, strict=True))


def differ(
    reference: Measurement, methods: Sequence[Measurement], measure: str
) -> list[bool | None]:
    """Which methods differ from a reference.

    Args:
        reference: that all are held against.
        methods: of one column; the reference may be among them.
        measure: name of the measure.

    Returns:
        For each method whether its difference is significant at `LEVEL` after Holm's correction
        for their number; None where there was no test.
    """
    found = [None if m is reference else p_value(reference, m, measure) for m in methods]
    tested = [p for p in found if p is not None]
    adjusted = dict(zip(tested, holm(tested), strict=True))
    return [None if p is None else adjusted[p] < LEVEL for p in found]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for their number by Holm's step-down method.

    Args:
        p_values: of a family of tests.

    Returns:
        Adjusted p values in the order given, each at most 1.

    References:
        Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted
