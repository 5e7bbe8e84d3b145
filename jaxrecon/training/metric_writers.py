"""Metrics of a run, as JSON lines and for TensorBoard."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tensorboardX import SummaryWriter


class MetricWriters:
    """Writes `metrics.jsonl` and TensorBoard event files into a run's folder."""

    def __init__(self, folder: Path, first_step: int):
        """Open both for writing.

        Args:
            folder: the run's.
            first_step: what earlier attempts wrote from this step on is taken back, so that a
                resumed run writes every step once.
        """
        self._path = folder / "metrics.jsonl"
        self._forget(first_step)
        self._file = self._path.open("a")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)

    def _forget(self, first_step: int) -> None:
        if not self._path.exists():
            return
        kept = []
        for line in self._path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # The line being written when the run was killed.
                continue
            if entry["step"] < first_step:
                kept.append(line + "\n")
        unfinished = self._path.with_suffix(".unfinished")
        unfinished.write_text("".join(kept))
        unfinished.replace(self._path)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write scalars.

        Args:
            step: steps taken.
            values: by name, such as "train/loss".
        """
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def write_image(self, step: int, name: str, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Show an RGB image in TensorBoard."""
        self._board.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        """Flush and close."""
        self._file.close()
        self._board.close()
