"""Images as data addresses, so that a page needs no other file and no network."""

import base64
import io

import numpy as np
from jaxtyping import Float32, UInt8
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as PillowImage

from jaxrecon.reporting.figures import ERROR_MAP

Image = Float32[np.ndarray, "height width"]

# Steps of the error maps' colours: more are not told apart and take twice the room.
_ERROR_LEVELS = 64
_FIGURE_DPI = 192


def grey_image(image: Image, white: float) -> str:
    """An image as 8-bit grey, without loss beyond the rounding.

    Args:
        image: magnitude image.
        white: value drawn white; 0 is black.

    Returns:
        A `data:` address of a WebP image.
    """
    return _address(_levels(image, white, 256))


def error_image(error: Image, limit: float) -> str:
    """An error map in the colours of figures.

    Args:
        error: absolute error.
        limit: error at the upper end of the scale.

    Returns:
        A `data:` address of a WebP image.
    """
    return _address(_error_colours()[_levels(error, limit, _ERROR_LEVELS)])


def error_gradient() -> str:
    """The colours of error maps from 0 to the limit, as colours of a CSS gradient."""
    return ", ".join("#" + bytes(colour).hex() for colour in _error_colours()[::7])


def figure_image(figure: Figure) -> str:
    """A figure on white, at twice the pixels that a page gives it.

    Returns:
        A `data:` address of a WebP image.
    """
    figure.set_dpi(_FIGURE_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return _address(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def _error_colours() -> UInt8[np.ndarray, "levels 3"]:
    colours = colormaps[ERROR_MAP](np.linspace(0, 1, _ERROR_LEVELS))[:, :3]
    return np.round(colours * 255).astype(np.uint8)


def _levels(image: Image, limit: float, levels: int) -> UInt8[np.ndarray, "height width"]:
    scaled = np.clip(image / np.float32(limit), 0, 1) * (levels - 1)
    return np.round(scaled).astype(np.uint8)


def _address(pixels: UInt8[np.ndarray, "height width *channels"]) -> str:
    output = io.BytesIO()
    PillowImage.fromarray(pixels).save(output, format="WEBP", lossless=True, method=6)
    return "data:image/webp;base64," + base64.b64encode(output.getvalue()).decode()
