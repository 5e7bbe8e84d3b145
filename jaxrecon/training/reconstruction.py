"""Methods that turn undersampled k-space into images: by name, or a trained network.

A further method is one more entry of `METHODS`: a function of `Options` to a `Method`, whose
`reconstruct` maps a `Batch` to images. A `Method` made in another way, as `network_method` makes
one of a trained network, serves `reconstruct_scan` as well.
"""

import dataclasses
import functools
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Complex64, Float32, Inexact, Int32, PyTree

from jaxrecon.data.scan import Scan
from jaxrecon.data.undersampling import UndersampledScan
from jaxrecon.errors import InputError
from jaxrecon.metrics.example_images import ExampleImages
from jaxrecon.metrics.scan_scores import ScanScores
from jaxrecon.physics.cropping import center_crop
from jaxrecon.physics.espirit import SMALLEST_CALIBRATION, espirit_maps, fitting_kernel
from jaxrecon.physics.zero_filled import zero_filled
from jaxrecon.training import run_folder
from jaxrecon.training.classical_methods import SOLVERS
from jaxrecon.training.compilation import CompiledByShape
from jaxrecon.training.trained_network import TrainedNetwork, network_of_run, network_of_weights
from jaxrecon.weight_store import SPEC_FILE

# Least squares alone fill in nothing that one coil did not sample.
_NEED_SEVERAL_COILS = ("cg_sense",)

Images = Float32[np.ndarray, "slices rows columns"] | Complex64[np.ndarray, "slices rows columns"]


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """Some undersampled slices, on the device.

    Attributes:
        kspace: centred, 0 where not sampled.
        mask: centred, true where sampled; one row for masks of whole columns.
        acs: fully sampled central columns.
        calibration: rows and columns of the fully sampled centre.
        start: place of the first slice, among those to be reconstructed.
    """

    kspace: Complex[Array, "slices coils height width"]
    mask: Bool[Array, "slices rows width"]
    acs: Int32[Array, " slices"]
    calibration: tuple[int, int]
    start: int = 0

    @functools.cached_property
    def maps(self) -> Complex[Array, "slices coils height width"]:
        """ESPIRiT's sensitivity maps, computed when they are first asked for.

        Raises:
            InputError: there are fewer than 2 coils, or the fully sampled centre is too small.
        """
        coils = self.kspace.shape[1]
        if coils < 2:
            raise InputError(f"ESPIRiT: expected at least 2 coils, found {coils}")
        if min(self.calibration) < SMALLEST_CALIBRATION:
            rows, columns = self.calibration
            least = f"{SMALLEST_CALIBRATION} x {SMALLEST_CALIBRATION}"
            raise InputError(
                f"ESPIRiT: expected a fully sampled centre of at least {least} samples, found "
                f"{rows} x {columns}"
            )
        kernel = fitting_kernel(self.calibration)
        return _espirit(self.kspace, calibration=self.calibration, kernel=kernel)

    @property
    def maps_or_ones(self) -> Complex[Array, "slices coils height width"]:
        """`maps`, or 1 everywhere for a single coil, whose image needs no combination."""
        return jnp.ones_like(self.kspace) if self.kspace.shape[1] == 1 else self.maps


_espirit = jax.jit(espirit_maps, static_argnames=("calibration", "kernel"))


@dataclasses.dataclass(frozen=True, eq=False)
class Method:
    """A way to reconstruct.

    Attributes:
        name: stands in results.
        reconstruct: magnitude or complex images of a batch, (slices, height, width).
        gives_complex: whether the images are complex.
        needs_undersampling: whether it is meant for undersampled k-space only.
        settings: for the provenance of results, JSON values.
        run: folder of the network; None for a method without one.
    """

    name: str
    reconstruct: Callable[[Batch], Inexact[Array, "slices height width"]]
    gives_complex: bool = False
    needs_undersampling: bool = False
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    run: str | None = None


@dataclasses.dataclass(frozen=True)
class Options:
    """What a user may set of classical methods.

    Attributes:
        regularisation: its weight; None for the method's own.
        iterations: their number; None for the method's own.
    """

    regularisation: float | None = None
    iterations: int | None = None


def _zero_filled(options: Options) -> Method:  # noqa: ARG001
    compiled = jax.jit(zero_filled)
    return Method("zero_filled", lambda batch: compiled(batch.kspace))


def _solver(name: str, options: Options) -> Method:
    """A solver of the SENSE problem with ESPIRiT maps."""
    solve = SOLVERS[name]
    defaults = inspect.signature(solve).parameters
    settings = {
        field: defaults[field].default if value is None else value
        for field, value in dataclasses.asdict(options).items()
    }
    compiled = jax.jit(functools.partial(solve, **settings))

    def reconstruct(batch: Batch) -> Array:
        maps = batch.maps if name in _NEED_SEVERAL_COILS else batch.maps_or_ones
        return compiled(batch.kspace, batch.mask, maps)

    return Method(name, reconstruct, gives_complex=True, settings=settings)


METHODS: Mapping[str, Callable[[Options], Method]] = {
    "zero_filled": _zero_filled,
    **{name: functools.partial(_solver, name) for name in SOLVERS},
}
"""Methods that need no training, by name."""


def network_method(network: TrainedNetwork, folder: Path) -> Method:
    """Reconstruction by a trained network.

    Args:
        network: the network.
        folder: it was taken from.
    """

    def apply(variables: PyTree, arrays: tuple[Array, Array, Array]) -> Array:
        return network.model.apply(variables, *arrays)

    compiled = CompiledByShape(apply)

    def reconstruct(batch: Batch) -> Array:
        if not batch.acs.all():
            raise InputError(
                f"{network.name}: expected fully sampled central columns to tell the coils' "
                "sensitivities by, found none: set --acs, or take a method that needs none"
            )
        return compiled(network.variables, (batch.kspace, batch.mask, batch.acs))

    return Method(
        network.name,
        reconstruct,
        needs_undersampling=True,
        settings=network.source,
        run=str(folder),
    )


def method_named(text: str, options: Options) -> Method:
    """A method by its name, or the network of a folder.

    Args:
        text: a key of `METHODS`; "NAME:WEIGHT" sets the weight of its regularisation, and stands in
            results. Or the folder of a training run, or one of converted weights.
        options: of classical methods.

    Raises:
        InputError: it is none of them, or the network cannot be loaded.
    """
    name, _, weight = text.partition(":")
    if name in METHODS:
        if weight:
            options = dataclasses.replace(options, regularisation=_number(text, weight))
        return dataclasses.replace(METHODS[name](options), name=text)
    folder = Path(text)
    if (folder / run_folder.CONFIG_FILE).is_file():
        return network_method(network_of_run(folder), folder)
    if (folder / SPEC_FILE).is_file():
        return network_method(network_of_weights(folder), folder)
    raise InputError(
        f"method: expected one of {', '.join(METHODS)}, or the folder of a run or of converted "
        f"weights, found {text!r}"
    )


def _number(text: str, weight: str) -> float:
    try:
        return float(weight)
    except ValueError:
        raise InputError(f"method: expected a number after ':', found {text!r}") from None


@dataclasses.dataclass(frozen=True, eq=False)
class Reconstruction:
    """What a method made of a scan.

    Attributes:
        images: magnitudes or complex images, the centre of the field of view, in the unit of the
            k-space.
        seconds: it took, compilation included.
    """

    images: Images
    seconds: float


def reconstruct_scan(
    methods: Sequence[Method],
    measured: UndersampledScan,
    image_shape: tuple[int, int],
    *,
    batch_size: int = 1,
    report: Callable[[int], None] | None = None,
) -> list[Reconstruction]:
    """Reconstruct all slices by every method, sharing sensitivity maps among the methods.

    Args:
        methods: to reconstruct by.
        measured: the undersampled k-space.
        image_shape: rows and columns of the image's centre to keep.
        batch_size: slices at a time.
        report: called after each batch with the number of slices done.

    Returns:
        One for each method. The time for sensitivity maps counts for the first that uses them.

    Raises:
        InputError: a method cannot work on this scan, or its images are not finite.
    """
    if not measured.is_undersampled:
        for method in methods:
            if method.needs_undersampling:
                raise InputError(
                    f"{method.name}: expected undersampled k-space or a mask to undersample it "
                    "with (--mask, --mask_file), found all samples and no mask"
                )
    images: list[list[np.ndarray]] = [[] for _ in methods]
    seconds = [0.0] * len(methods)
    count = len(measured.kspace)
    for start in range(0, count, batch_size):
        batch = _batch(measured, start, batch_size)
        kept = min(batch_size, count - start)
        for place, method in enumerate(methods):
            begin = time.perf_counter()
            found = jax.device_get(method.reconstruct(batch))[:kept]
            seconds[place] += time.perf_counter() - begin
            if not np.isfinite(found).all():
                raise InputError(
                    f"{method.name}: expected finite images, found NaN or infinity in slices "
                    f"{start} to {start + kept - 1} of those chosen"
                )
            images[place].append(center_crop(found, *image_shape))
        if report is not None:
            report(start + kept)
    return [
        Reconstruction(np.concatenate(found), duration)
        for found, duration in zip(images, seconds, strict=True)
    ]


def _batch(measured: UndersampledScan, start: int, size: int) -> Batch:
    """`size` slices from `start` on; the last one stands in for those beyond the end."""
    count, width = len(measured.kspace), measured.kspace.shape[-1]
    chosen = [min(start + offset, count - 1) for offset in range(min(size, count))]
    rows = max(mask.pattern.shape[0] for mask in measured.masks)
    patterns = [np.broadcast_to(measured.masks[index].pattern, (rows, width)) for index in chosen]
    return Batch(
        kspace=jnp.asarray(measured.kspace[chosen]),
        mask=jnp.asarray(np.stack(patterns)),
        acs=jnp.array([measured.masks[index].acs for index in chosen], jnp.int32),
        calibration=measured.calibration,
        start=start,
    )


def example_of(
    scan: Scan,
    measured: UndersampledScan,
    images: Mapping[str, Float32[np.ndarray, "slices rows columns"]],
    scores: Mapping[str, ScanScores],
    place: int,
) -> ExampleImages:
    """One slice by several methods, as reports take it.

    Args:
        scan: the scan.
        measured: its undersampled k-space.
        images: magnitudes by method.
        scores: of the methods; empty without a target.
        place: of the slice, among those chosen.
    """
    mask = measured.masks[place]
    return ExampleImages(
        data_set=scan.data_set,
        file=scan.name,
        index=scan.indices[place],
        mask=mask.family,
        acceleration=float(mask.acceleration),
        acs=mask.acs,
        target=None if measured.target is None else measured.target[place],
        images={name: found[place] for name, found in images.items()},
        scores={name: scores[name].slices[place] for name in images if name in scores},
    )
