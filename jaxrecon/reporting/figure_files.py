"""Figures as the bytes of files; the same figure always gives the same bytes."""

import io

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

_DPI = 300


def png_of(figure: Figure) -> bytes:
    """A figure as PNG at the resolution of print."""
    output = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(output, dpi=_DPI, format="png", facecolor="white")
    return output.getvalue()


def pdf_of(figure: Figure) -> bytes:
    """A figure as PDF; images keep their own pixels."""
    output = io.BytesIO()
    FigureCanvasPdf(figure).print_figure(
        output, dpi=_DPI, format="pdf", metadata={"CreationDate": None}
    )
    return output.getvalue()


def svg_of(figure: Figure, *, background: str = "white") -> str:
    """A figure as SVG, text drawn as paths.

    Args:
        figure: the figure.
        background: its colour; "none" for a transparent one.
    """
    output = io.StringIO()
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": "jaxrecon"}):
        FigureCanvasSVG(figure).print_figure(
            output,
            format="svg",
            facecolor=background,
            metadata={"Date": None, "Creator": None},
        )
    return output.getvalue()
