"""Which numbers of a column are the best and the second best."""

from collections.abc import Sequence

from jaxrecon.metrics.measures import Measure

# Of two methods the second best is the worse one and needs no mark.
_ENOUGH_FOR_A_SECOND = 3


def ranks(values: Sequence[float], measure: Measure) -> list[int]:
    """Rank 1 for the best, 2 for the second best, 0 for the others.

    Values count as they are printed: two that look equal share their rank. A value alone in its
    column has no rank, nor has the second of two.

    Args:
        values: means; none may be NaN.
        measure: that they are of.
    """
    printed = [round(value, measure.digits) for value in values]
    order = sorted(set(printed), reverse=measure.higher_is_better)
    marked = order[: 2 if len(values) >= _ENOUGH_FOR_A_SECOND else 1]
    if len(order) < 2:
        return [0] * len(values)
    return [marked.index(value) + 1 if value in marked else 0 for value in printed]
