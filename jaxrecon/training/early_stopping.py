"""Stopping when validation no longer improves."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    """The best validation so far and how long ago it was.

    Attributes:
        patience: validations without improvement before stopping; 0 never stops.
        best: highest score so far; None before the first.
        best_step: step at which it was reached.
        stale: validations since.
    """

    patience: int
    best: float | None = None
    best_step: int = 0
    stale: int = 0

    def after(self, score: float, step: int) -> "EarlyStopping":
        """The state after one more validation.

        Args:
            score: higher is better; a score that is not a number never improves.
            step: at which it was reached.
        """
        if score > (-math.inf if self.best is None else self.best):
            return dataclasses.replace(self, best=score, best_step=step, stale=0)
        return dataclasses.replace(self, stale=self.stale + 1)

    @property
    def should_stop(self) -> bool:
        """Whether patience is exhausted."""
        return bool(self.patience) and self.stale >= self.patience
