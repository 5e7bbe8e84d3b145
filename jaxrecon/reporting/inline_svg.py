"""Figures as SVG within a page: they take the page's colours, light or dark."""

import re

from markupsafe import Markup
from matplotlib.figure import Figure

from jaxrecon.reporting.curves import INK, RULE
from jaxrecon.reporting.figure_files import svg_of
from jaxrecon.reporting.series import COLOURS


def inline_svg(figure: Figure, identity: str, description: str) -> Markup:
    """A figure as an `<svg>` element that scales with its container.

    Args:
        figure: drawn in the colours of `jaxrecon.reporting.series` and `jaxrecon.reporting.curves`.
        identity: begins all identifiers in the element; unique in the page.
        description: of the figure, for readers who do not see it; "" for a mere ornament.

    Returns:
        The element; its colours are the page's custom properties `--ink`, `--rule` and
        `--series-0` and on.
    """
    text = svg_of(figure, background="none")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' width="[^"]*pt" height="[^"]*pt"', "", text, count=1)
    text = re.sub(r"\s*\n\s*", " ", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{identity}-", text)
    properties = {INK: "ink", RULE: "rule"}
    properties |= {light: f"series-{place}" for place, (light, _) in enumerate(COLOURS)}
    for colour, name in properties.items():
        text = text.replace(colour, f"var(--{name})")
    # Everything above comes from our own figure; only the description is text of others.
    told = Markup('role="img" aria-label="{}"').format(description)
    opening = Markup("<svg ") + (told if description else Markup('aria-hidden="true"'))
    return opening + Markup(text.removeprefix("<svg"))
