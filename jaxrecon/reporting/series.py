"""How the curve of a method looks: colour, marker and dashes, each enough to tell it by."""

import dataclasses
from collections.abc import Iterable, Mapping

# After Okabe and Ito's colour-blind-safe set, darkened to a contrast of at least 3 on white; the
# second column is for dark pages.
COLOURS: tuple[tuple[str, str], ...] = (
    ("#6b6f76", "#a6abb3"),
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#ff8f4a"),
    ("#00805f", "#2fc99b"),
    ("#b0508a", "#e69ac6"),
    ("#8a6d00", "#e6c229"),
    ("#2b2f36", "#e8eaed"),
    ("#4d8fb8", "#9fd3ee"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (5.0, 2.0),
    (1.5, 1.5),
    (6.0, 2.0, 1.5, 2.0),
    (3.0, 1.5),
)


@dataclasses.dataclass(frozen=True)
class Style:
    """The look of a curve.

    Attributes:
        colour: on white.
        marker: matplotlib's name of it.
        dashes: lengths of dashes and gaps in points; none for a whole line.
    """

    colour: str
    marker: str
    dashes: tuple[float, ...]


def styles_of(labels: Iterable[str]) -> Mapping[str, Style]:
    """A style for every curve; marker and dashes together are unique up to 35 curves."""
    return {
        label: Style(
            COLOURS[place % len(COLOURS)][0],
            MARKERS[place % len(MARKERS)],
            DASHES[place % len(DASHES)],
        )
        for place, label in enumerate(dict.fromkeys(labels))
    }
