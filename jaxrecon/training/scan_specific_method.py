"""Scan-specific fits as methods of `reconstruct` and of `evaluate`."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, PyTree

from jaxrecon.atomic_file import write_json
from jaxrecon.data.scan import Scan
from jaxrecon.data.undersampling import UndersampledScan
from jaxrecon.errors import InputError
from jaxrecon.metrics.scoring import Batch as JudgedBatch
from jaxrecon.physics.cropping import center_crop
from jaxrecon.priors.trajectory import Trajectory, write_trajectory
from jaxrecon.scan_specific.experiment_file import method_name
from jaxrecon.scan_specific.fit import Fit, Programs, reconstruct
from jaxrecon.scan_specific.fit_folder import FitFolder, join_trajectory
from jaxrecon.training import run_folder
from jaxrecon.training.evaluation import JudgedMethod
from jaxrecon.training.reconstruction import Batch, Method

TRAJECTORY_FILE = "trajectory.h5"
_FIT_FILE = "fit.json"


class StoppedEarlyError(Exception):
    """A fit was asked to stop; it goes on from its folder."""


@dataclasses.dataclass(frozen=True, eq=False)
class ScanSpecific:
    """A fit with the folder it is kept in.

    Attributes:
        fit: the experiment.
        folder: of the fit.
        should_stop: asked after each compiled program.
        progress: told the steps done and the loss's terms after each compiled program.
    """

    fit: Fit
    folder: Path
    should_stop: Callable[[], bool] = lambda: False
    progress: Callable[[int, Mapping[str, float]], None] = lambda _steps, _losses: None

    @property
    def name(self) -> str:
        """Stands in results."""
        return method_name(self.fit)

    def for_images(self, image_shape: tuple[int, int]) -> "ScanSpecific":
        """The same fit, its prior looking at images of this many rows and columns."""
        return dataclasses.replace(self, fit=dataclasses.replace(self.fit, image_shape=image_shape))

    def claim(self, identity: Mapping[str, Any]) -> bool:
        """Take the folder for this fit of this scan.

        Args:
            identity: all that determines the result beside the experiment, JSON values.

        Returns:
            Whether an earlier attempt goes on.

        Raises:
            InputError: the folder holds another fit; the message names what differs.
        """
        path = self.folder / _FIT_FILE
        config = json.loads(json.dumps(dict(self.fit.config), default=list))
        content = {"config": config, "prior": self._prior, **identity}
        if path.exists():
            try:
                found = json.loads(path.read_text())
            except ValueError as error:
                raise InputError(f"{path}: expected a fit's settings, found {error}") from None
            if differing := run_folder.differences(found, content):
                raise InputError(
                    f"{self.folder}: expected a new folder or an earlier attempt at this fit, "
                    f"found one with another {differing}: name another --workdir"
                )
            return True
        write_json(path, content)
        return False

    @property
    def _prior(self) -> Any:
        prior = self.fit.prior
        return None if prior is None else json.loads(json.dumps(dict(prior.provenance)))

    def method(self) -> Method:
        """The fit as a method of `reconstruct_scan`, which goes on where it was stopped."""
        programs = Programs(self.fit)

        def reconstruct_batch(batch: Batch) -> Array:
            problem = programs.problem(batch.kspace, batch.mask, batch.maps_or_ones)
            slices, *shape = problem.zero_filled.shape
            folder = self._part(batch.start)
            state = folder.read_state(lambda: self.fit.start(slices, (shape[0], shape[1])))
            if state is not None and int(state.step) >= self.fit.total_steps:
                return jnp.asarray(folder.last_images(state))
            images = None
            for found, moment in programs.run(problem, state):
                answers = programs.answers(moment)
                folder.add(found, moment, answers)
                images = moment.images
                losses = {name: float(value.mean()) for name, value in moment.losses.items()}
                self.progress(int(found.step), losses)
                if self.should_stop() and int(found.step) < self.fit.total_steps:
                    raise StoppedEarlyError
            assert images is not None
            return images

        return Method(
            self.name,
            reconstruct_batch,
            gives_complex=True,
            needs_undersampling=True,
            settings={"config": dict(self.fit.config), "prior": self._prior},
        )

    def write_trajectory(
        self,
        scan: Scan,
        measured: UndersampledScan,
        zero_filled: Float32[np.ndarray, "slices rows columns"],
        batch_size: int,
        about: Mapping[str, Any],
    ) -> Path:
        """Join what the fits of all slices left into one file.

        Args:
            scan: the scan.
            measured: its undersampled k-space.
            zero_filled: magnitudes.
            batch_size: slices that were fitted at a time.
            about: what it takes to repeat it, JSON values.

        Returns:
            The file.
        """
        count = len(measured.kspace)
        starts = range(0, count, batch_size)
        prior = self.fit.prior
        trajectory: Trajectory = join_trajectory(
            [self._part(start).moments(self.fit.total_steps) for start in starts],
            [min(batch_size, count - start) for start in starts],
            method=self.name,
            titles=[f"{scan.name}, slice {index}" for index in scan.indices],
            crop=lambda images: center_crop(images, *scan.image_shape),
            references={} if prior is None else prior.references,
            zero_filled=np.asarray(zero_filled, np.float32),
            target=measured.target,
            provenance={**about, "prior": self._prior or {}},
        )
        path = self.folder / TRAJECTORY_FILE
        write_trajectory(path, trajectory)
        return path

    def _part(self, start: int) -> FitFolder:
        return FitFolder(self.folder / f"slices_{start:04d}")


def judged_fit(fit: Fit) -> JudgedMethod:
    """A fit as a method of an evaluation: one program from k-space to the image.

    Args:
        fit: the experiment.
    """

    def magnitudes(constants: PyTree, batch: JudgedBatch) -> Array:
        return jnp.abs(reconstruct(fit, constants, batch["kspace"], batch["mask"], batch["maps"]))

    return JudgedMethod(
        method_name(fit),
        magnitudes,
        jax.tree.map(jnp.asarray, fit.constants),
        kind=json.dumps(dict(fit.config), default=list, sort_keys=True),
        needs_maps=True,
    )
