"""A canvas on which anatomy is drawn as ellipses inside ellipses."""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from jaxrecon.data.ellipses import Ellipses

CELLS_PER_UNIT = 512
_SHRINK = 0.94
_MOST_SHRINKING = 12
# In cells. The four cell centres around a point are within sqrt(2) of it: where all of them lie in
# a convex region, so does the point. The nearest one is within sqrt(1/2).
_INSIDE_PARENT = 1.4143
_AWAY_FROM_SIBLINGS = 0.7072
_BORDER = -1


@dataclasses.dataclass(frozen=True)
class Region:
    """A part of the canvas of one intensity.

    Attributes:
        number: its label on the canvas.
        level: its intensity.
        fitted: factor by which its ellipse was shrunk to fit; 0 where it was left out.
    """

    number: int
    level: float
    fitted: float


class Canvas:
    """Draws ellipses that each lie wholly inside one region of constant intensity.

    Every ellipse becomes a region of its own, in which smaller ones may be drawn. As regions nest
    and never cross, the sum of the ellipses equals, at each point, the level of the innermost
    region: what is drawn is what the phantom shows, and no intensity is negative.

    Lengths are in units of the field of view, positions (row, column) from its centre.

    Attributes:
        rng: source of what is drawn at random.
        background: the empty canvas, level 0.
        origin: (row, column) where the drawing's position (0, 0) lies.
        tilt: radians by which the drawing is turned about `origin`.
        size: factor on the drawing's lengths.
    """

    def __init__(self, rng: np.random.Generator, reach: float = 0.5) -> None:
        """Args: rng: see above. reach: rows from -reach to reach; columns from -0.5 to 0.5."""
        self.rng = rng
        self.origin = (0.0, 0.0)
        self.tilt = 0.0
        self.size = 1.0
        self.background = Region(0, 0.0, 1.0)
        self._reach = reach
        shape = (round(2 * reach * CELLS_PER_UNIT), CELLS_PER_UNIT)
        self._labels = np.zeros(shape, np.int32)
        self._rows = (np.arange(shape[0]) + 0.5) / CELLS_PER_UNIT - reach
        self._columns = (np.arange(shape[1]) + 0.5) / CELLS_PER_UNIT - 0.5
        self._count = 1
        self._drawn: list[tuple[float, tuple[float, float], tuple[float, float], float]] = []

    def copy(self, rng: np.random.Generator) -> "Canvas":
        """The same drawing, to be continued in its own way with `rng`."""
        twin = Canvas(rng, self._reach)
        twin.origin, twin.tilt, twin.size = self.origin, self.tilt, self.size
        twin._labels = self._labels.copy()
        twin._count = self._count
        twin._drawn = list(self._drawn)
        return twin

    def __len__(self) -> int:
        return len(self._drawn)

    def ellipses(self, first: int = 0) -> Ellipses:
        """What has been drawn, from the ellipse of index `first` on."""
        return Ellipses.from_rows(self._drawn[first:])

    def draw(
        self,
        parent: Region,
        level: float,
        centre: tuple[float, float],
        semi_axes: tuple[float, float],
        angle: float = 0.0,
        *,
        margin: float = _INSIDE_PARENT,
    ) -> Region:
        """Draw one ellipse inside `parent`, shrunk until it fits, or left out if it never does.

        Args:
            parent: the region that must hold the whole ellipse.
            level: intensity inside it.
            centre: (row, column).
            semi_axes: along `angle` and across it.
            angle: radians from the column axis towards the row axis.
            margin: distance kept from the parent's border, in cells of the canvas. The default
                makes sure that the ellipse lies inside; 0 is for shapes known to fit.

        Returns:
            The new region; where nothing fitted, a region that holds no point.
        """
        cosine, sine = np.cos(self.tilt), np.sin(self.tilt)
        row = self.origin[0] + self.size * (cosine * centre[0] + sine * centre[1])
        column = self.origin[1] + self.size * (cosine * centre[1] - sine * centre[0])
        along, across = self.size * semi_axes[0], self.size * semi_axes[1]
        return self._place(parent, level, (row, column), (along, across), angle + self.tilt, margin)

    def draw_lined(
        self,
        parent: Region,
        levels: tuple[float, float],
        centre: tuple[float, float],
        semi_axes: tuple[float, float],
        lining: float,
        angle: float = 0.0,
    ) -> Region:
        """Draw an ellipse with a lining, such as bone marrow in its cortex.

        Args:
            parent: the region that must hold both.
            levels: of the lining, then of what it encloses.
            centre: (row, column).
            semi_axes: of the lining's outer border, along `angle` and across it.
            lining: its thickness.
            angle: radians from the column axis towards the row axis.

        Returns:
            The region inside the lining.
        """
        outer = self.draw(parent, levels[0], centre, semi_axes, angle)
        inner = (outer.fitted * semi_axes[0] - lining, outer.fitted * semi_axes[1] - lining)
        if min(inner) <= 0:
            return self._new_region(levels[1], 0.0)
        return self.draw(outer, levels[1], centre, inner, angle, margin=_AWAY_FROM_SIBLINGS)

    def scatter(
        self,
        parent: Region,
        levels: tuple[float, float],
        count: int,
        lengths: tuple[float, float],
        *,
        slimness: tuple[float, float] = (0.25, 0.9),
        direction: Callable[[float, float], float] | None = None,
    ) -> None:
        """Draw fine structure: small ellipses at random places of a region.

        Args:
            parent: the region.
            levels: range of their levels, as factors on the level of `parent`.
            count: how many are tried; those that do not fit are left out.
            lengths: range of the longer semi-axis.
            slimness: range of the shorter semi-axis as part of the longer.
            direction: angle of the longer axis at (row, column); by default any.
        """
        places = np.argwhere(self._labels == parent.number)
        for _ in range(count if len(places) else 0):
            y, x = places[self.rng.integers(len(places))]
            row, column = float(self._rows[y]), float(self._columns[x])
            long = self.size * self.rng.uniform(*lengths)
            short = long * self.rng.uniform(*slimness)
            angle = self.rng.uniform(0, np.pi)
            if direction is not None:
                angle = direction(row, column) + 0.3 * (angle - np.pi / 2)
            level = parent.level * self.rng.uniform(*levels)
            self._place(parent, level, (row, column), (long, short), angle, _INSIDE_PARENT)

    def _place(
        self,
        parent: Region,
        level: float,
        centre: tuple[float, float],
        semi_axes: tuple[float, float],
        angle: float,
        margin: float,
    ) -> Region:
        level = float(max(level, 0.0))
        fitted = 1.0
        for _ in range(_MOST_SHRINKING):
            axes = (fitted * semi_axes[0], fitted * semi_axes[1])
            box, distance = self._distances(centre, axes, angle)
            labels = self._labels[box]
            if distance.size and (labels[distance <= margin] == parent.number).all():
                region = self._new_region(level, fitted)
                labels[distance <= _AWAY_FROM_SIBLINGS] = _BORDER
                labels[distance <= 0] = region.number
                self._drawn.append((level - parent.level, centre, axes, float(angle)))
                return region
            fitted *= _SHRINK
        return self._new_region(level, 0.0)

    def _new_region(self, level: float, fitted: float) -> Region:
        region = Region(self._count, level, fitted)
        self._count += 1
        return region

    def _distances(
        self, centre: tuple[float, float], semi_axes: tuple[float, float], angle: float
    ) -> tuple[tuple[slice, slice], Float64[np.ndarray, "rows columns"]]:
        """Signed distance in cells, to first order, of cell centres from an ellipse's border.

        Returns:
            The box of cells that holds the ellipse and its surroundings, and the distance of
            each, negative inside the ellipse; an empty box where it would leave the canvas.
        """
        along, across = semi_axes
        cosine, sine = np.cos(angle), np.sin(angle)
        around = 2.0 / CELLS_PER_UNIT
        half_rows = np.hypot(along * sine, across * cosine) + around
        half_columns = np.hypot(along * cosine, across * sine) + around
        top, bottom = np.searchsorted(self._rows, (centre[0] - half_rows, centre[0] + half_rows))
        left, right = np.searchsorted(
            self._columns, (centre[1] - half_columns, centre[1] + half_columns)
        )
        if abs(centre[0]) + half_rows > self._reach or abs(centre[1]) + half_columns > 0.5:
            bottom, right = top, left
        y = self._rows[top:bottom, None] - centre[0]
        x = self._columns[None, left:right] - centre[1]
        u, v = (x * cosine + y * sine) / along, (y * cosine - x * sine) / across
        radius = np.sqrt(u * u + v * v)
        # (radius - 1) over the length of its gradient; the gradient is 0 / 0 only at the centre.
        steepness = np.hypot(u / along, v / across) + 1e-12
        distance = (radius - 1) * radius / steepness * CELLS_PER_UNIT
        return (slice(int(top), int(bottom)), slice(int(left), int(right))), distance
