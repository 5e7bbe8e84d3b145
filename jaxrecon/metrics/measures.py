"""The measures that results report: how each is written and which way is better."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Measure:
    """One measure of image quality.

    Attributes:
        name: its key in rows of results and its column in score tables.
        label: its heading in tables and figures.
        unit: of its values; empty where it has none.
        digits: decimals that tables print.
        higher_is_better: which way is better.
    """

    name: str
    label: str
    unit: str
    digits: int
    higher_is_better: bool


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("ssim", "SSIM", "", 4, higher_is_better=True),
        Measure("psnr", "PSNR", "dB", 2, higher_is_better=True),
        Measure("nmse", "NMSE", "", 4, higher_is_better=False),
        Measure("lpips", "LPIPS", "", 4, higher_is_better=False),
        Measure("tenengrad", "Tenengrad", "", 4, higher_is_better=True),
    )
}
"""All measures by name, in the order that tables show them."""
