"""What an evaluation has found so far, on disk, so that it goes on after it was killed."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrecon.errors import InputError
from jaxrecon.metrics.protocol import SliceScores


class PartialResults:
    """Scores of the slices of one setting, one line of JSON per batch.

    A batch is there whole or not at all: a line that a kill cut off is dropped. Numbers are written
    with all their digits, so that results do not depend on interruptions.

    Attributes:
        scores: of the slices that are done, by method.
        done: file and index of these slices.
    """

    def __init__(self, path: Path):
        """Read what is there already; the file is made with the first batch.

        Raises:
            InputError: the file holds something else.
        """
        self._path = path
        self.scores: dict[str, list[SliceScores]] = {}
        self.done: set[tuple[str, int]] = set()
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        for line in whole.splitlines():
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(f"{path}: expected partial results, found {error}") from None

    def add(self, scores: Mapping[str, Sequence[SliceScores]]) -> None:
        """Add a batch. When this returns, a kill of the process no longer loses it.

        Args:
            scores: of the same slices in the same order, by method.
        """
        slices = next(iter(scores.values()))
        record = {
            "slices": [[found.file, found.index] for found in slices],
            "scores": {
                method: [dict(found.scores) for found in rows] for method, rows in scores.items()
            },
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(json.dumps(record).encode() + b"\n")
        self._take(record)

    def _take(self, record: Mapping[str, Any]) -> None:
        slices = {(file, index) for file, index in record["slices"]}
        if slices & self.done:
            file, index = min(slices & self.done)
            raise InputError(
                f"{self._path}: expected each slice once, found slice {index} of {file} again: did "
                "two evaluations write here at a time?"
            )
        self.done |= slices
        for method, rows in record["scores"].items():
            self.scores.setdefault(method, []).extend(
                SliceScores(file, index, numbers)
                for (file, index), numbers in zip(record["slices"], rows, strict=True)
            )
