"""Example images of several results files, brought together slice by slice."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxrecon.errors import InputError
from jaxrecon.metrics.example_images import QUANTILE, ExampleImages, Image, read_example
from jaxrecon.reporting.comparability import labels_of
from jaxrecon.reporting.measurements import Measurement, ResultsFile
from jaxrecon.reporting.notation import in_table_order, number
from jaxrecon.reporting.zoom_box import ZoomBox, busiest_box, check_fits


@dataclasses.dataclass(frozen=True, eq=False)
class Example(ExampleImages):
    """One slice as every method of the report shows it; methods go by their labels.

    Attributes:
        box: the part to enlarge.
    """

    box: ZoomBox

    @property
    def title(self) -> str:
        """Data set, file, slice and mask, in one line."""
        return (
            f"{self.data_set}, {self.file}, slice {self.index}, {self.mask} "
            f"R = {self.acceleration:g}, {self.acs} ACS columns"
        )

    @property
    def error_limit(self) -> float:
        """The error, over `white`, at the upper end of the scale that all methods share.

        The 99.9 % quantile of the worst method's errors, rounded up to two digits. The method with
        the largest errors, usually the zero-filled image, does not count beside others: its errors
        would hide theirs.
        """
        quantiles = sorted(float(np.quantile(error, QUANTILE)) for error in self.errors.values())
        if not quantiles:
            return 1.0
        largest = quantiles[-2] if len(quantiles) > 1 else quantiles[0]
        if largest <= 0:
            return 1.0
        step = 10.0 ** (np.floor(np.log10(largest)) - 1)
        return float(f"{np.ceil(largest / step - 1e-6) * step:.2g}")

    def score_texts(self, label: str) -> list[str]:
        """The measures of a method on this slice, as far as there are any."""
        scores = self.scores.get(label, {})
        texts = [
            (measure.label, number(measure, float(scores[measure.name])), measure.unit)
            for measure in in_table_order(scores)
        ]
        return [" ".join(text).rstrip() for text in texts]


def load_examples(
    files: Sequence[ResultsFile],
    measurements: Sequence[Measurement],
    *,
    zoom: ZoomBox | None = None,
) -> list[Example]:
    """Read the example images of results files and put those of one slice together.

    Args:
        files: the results files.
        measurements: of `comparable_measurements`, for the labels of methods.
        zoom: the part to enlarge; by default the busiest of each target.

    Returns:
        Examples by data set, acceleration and falling number of ACS columns.

    Raises:
        InputError: a file is missing or damaged, or the box is not within the images.
    """
    labels = labels_of(measurements)
    slices: dict[tuple[object, ...], list[ExampleImages]] = {}
    for file in files:
        for path in file.examples:
            found = _read(path)
            images = {
                labels.get((file.number, method), method): image
                for method, image in found.images.items()
            }
            scores = {
                labels.get((file.number, method), method): values
                for method, values in found.scores.items()
            }
            found = dataclasses.replace(found, images=images, scores=scores)
            _add(slices.setdefault(_slice_of(found), []), found)
    data_sets = list(dict.fromkeys(found.data_set for found in measurements))
    order = list(dict.fromkeys(found.label for found in measurements))
    examples = [_example(found, order, zoom) for group in slices.values() for found in group]
    examples.sort(key=lambda example: _place(example, data_sets))
    return examples


def take_turns(examples: Sequence[Example], limit: int) -> list[Example]:
    """The first example of every setting, then the second ones, until there are enough.

    Args:
        examples: of any number of settings.
        limit: how many are enough.

    Returns:
        At most `limit` examples, in the order given.
    """
    rounds: dict[tuple[object, ...], int] = {}
    turns = []
    for example in examples:
        setting = (example.data_set, example.mask, example.acceleration, example.acs)
        turns.append(rounds.get(setting, 0))
        rounds[setting] = turns[-1] + 1
    chosen = sorted(range(len(examples)), key=lambda place: turns[place])[:limit]
    return [examples[place] for place in sorted(chosen)]


def _read(path: Path) -> ExampleImages:
    found = read_example(path)
    shapes = {image.shape for image in found.images.values()}
    if found.target is not None:
        shapes.add(found.target.shape)
    if len(shapes) != 1 or any(len(shape) != 2 for shape in shapes):
        raise InputError(f"{path}: expected images of one size, found {sorted(shapes)}")
    for method, image in found.images.items():
        if not np.isfinite(image).all():
            raise InputError(f"{path}: expected finite images, found others in {method}")
    return found


def _slice_of(found: ExampleImages) -> tuple[object, ...]:
    return (
        found.data_set, found.file, found.index, found.mask, found.acceleration, found.acs
    )  # fmt: skip


def _add(group: list[ExampleImages], found: ExampleImages) -> None:
    """Join images of one slice; those with another target, of another crop say, stay apart."""
    for place, known in enumerate(group):
        if _equal(known.target, found.target):
            group[place] = dataclasses.replace(
                known,
                images={**found.images, **known.images},
                scores={**found.scores, **known.scores},
            )
            return
    group.append(found)


def _equal(first: Image | None, second: Image | None) -> bool:
    if first is None or second is None:
        return first is second
    tolerance = 1e-4 * float(first.max())
    return first.shape == second.shape and np.allclose(first, second, rtol=0, atol=tolerance)


def _example(found: ExampleImages, order: Sequence[str], zoom: ZoomBox | None) -> Example:
    labels = sorted(
        found.images,
        key=lambda label: order.index(label) if label in order else len(order),
    )
    image = found.images[labels[-1]] if found.target is None else found.target
    box = busiest_box(image) if zoom is None else check_fits(zoom, image.shape, found.file)
    shown = {label: found.images[label] for label in labels}
    return Example(**{**vars(found), "images": shown}, box=box)


def _place(example: Example, data_sets: Sequence[str]) -> tuple[object, ...]:
    known = example.data_set in data_sets
    place = data_sets.index(example.data_set) if known else len(data_sets)
    return (place, example.acceleration, -example.acs)
