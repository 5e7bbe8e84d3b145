"""How a phantom's k-space is sampled: matrix, field of view, readout oversampling."""

import dataclasses

from jaxrecon.errors import InputError


@dataclasses.dataclass(frozen=True)
class Encoding:
    """The sampling grid of k-space.

    Sample (m, n) of k-space measures the frequencies (m - rows // 2) / (oversampling *
    field_of_view[0]) and (n - columns // 2) / field_of_view[1]; pixel n of N columns lies at
    (n - N // 2) / N of the field of view from its centre, rows likewise.

    Attributes:
        height: rows of the target image.
        width: columns of the target image and of k-space, the phase encodes.
        oversampling: of the readout, 1 or 2: factor on the rows of k-space and on the height it
            covers, as scanners do; the target keeps the central part.
        field_of_view: height and width that the target image shows, in the phantom's unit: its
            anatomy lies in a square of 1 by 1. What lies outside folds over, as in a scanner.
    """

    height: int
    width: int
    oversampling: int = 1
    field_of_view: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if self.height < 8 or self.width < 8:
            raise InputError(f"matrix: expected at least 8 x 8, found {self.height} x {self.width}")
        if self.oversampling not in (1, 2):
            raise InputError(f"oversampling: expected 1 or 2, found {self.oversampling}")
        if min(self.field_of_view) <= 0:
            raise InputError(
                f"field of view: expected two positive lengths, found {self.field_of_view}"
            )

    @property
    def rows(self) -> int:
        """Rows of k-space."""
        return self.height * self.oversampling

    @property
    def columns(self) -> int:
        """Columns of k-space."""
        return self.width

    @property
    def reach(self) -> float:
        """Rows of the anatomy that k-space covers without folding go from -reach to reach."""
        return 0.5 * self.oversampling
