"""One HTML page that holds everything: styles, script, figures and images.

A page is a list of sections; a section is a template and what fills it, so that another kind of
result needs a function that makes its section and a template beside the others.
"""

import base64
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from jaxrecon.reporting.series import COLOURS

_TEMPLATES = Path(__file__).parent / "templates"


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        anchor: its address within the page; letters, digits and hyphens.
        title: its heading.
        template: file in `jaxrecon/reporting/templates`.
        content: what the template is filled with. Text is escaped, `Markup` is not.
    """

    anchor: str
    title: str
    template: str
    content: Mapping[str, Any]


def render_page(title: str, summary: Sequence[str], sections: Sequence[Section]) -> str:
    """A self-contained page.

    The page forbids itself, by its content security policy, to load anything or to run any script
    but its own.

    Args:
        title: of the page.
        summary: a few words each, below the title.
        sections: in order.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_TEMPLATES / "page.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = [
        (section, Markup(environment.get_template(section.template).render(**section.content)))
        for section in sections
    ]
    return environment.get_template("page.html.j2").render(
        title=title,
        summary=summary,
        sections=parts,
        colours=COLOURS,
        style=Markup((_TEMPLATES / "page.css").read_text()),
        script=Markup(script),
        script_digest=digest,
    )
