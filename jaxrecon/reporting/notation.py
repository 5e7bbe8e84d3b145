"""How numbers and settings are written in tables, figures and pages."""

import math
import re
from collections.abc import Iterable, Sequence

from jaxrecon.metrics.measures import MEASURES, Measure

# Named, as they look like other characters.
DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"


def number(measure: Measure, value: float) -> str:
    """A value of a measure, rounded; an infinity sign or a dash where it is not finite."""
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    return f"{value:.{measure.digits}f}"


def arrow(measure: Measure) -> str:
    """The direction in which a measure gets better."""
    return "↑" if measure.higher_is_better else "↓"


def in_table_order(names: Iterable[str]) -> list[Measure]:
    """The measures of these names, each once, in the order of tables."""
    given = set(names)
    return [measure for name, measure in MEASURES.items() if name in given]


def span(values: Sequence[int]) -> str:
    """One whole number, or the smallest and the largest of several."""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}{DASH}{high}"


def span_of_accelerations(values: Sequence[float]) -> str:
    """Effective accelerations with two digits, from the smallest to the largest."""
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low}{DASH}{high}"


def count(how_many: int, what: str) -> str:
    """A number of things, in the singular for one."""
    return f"{how_many:,} {what}" + ("" if how_many == 1 else "s")


def joined(parts: Iterable[str], conjunction: str = "and") -> str:
    """Each different part once, as a list in a sentence."""
    *first, last = dict.fromkeys(parts)
    return f"{', '.join(first)} {conjunction} {last}" if first else last


def slugs(names: Iterable[str]) -> dict[str, str]:
    """Short names for files and links, different for different names.

    Args:
        names: any text.

    Returns:
        For each name lower-case letters, digits, dots, underscores and hyphens.
    """
    chosen: dict[str, str] = {}
    for name in dict.fromkeys(names):
        plain = re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-._") or "unnamed"
        taken = set(chosen.values())
        numbered = (f"{plain}-{number}" for number in range(2, len(taken) + 3))
        chosen[name] = plain if plain not in taken else next(n for n in numbered if n not in taken)
    return chosen
