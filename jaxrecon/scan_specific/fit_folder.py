"""The folder of a fit: what it takes to go on after a kill, and the moments of its path."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Complex64, Float32

from jaxrecon.atomic_file import unfinished
from jaxrecon.errors import InputError
from jaxrecon.priors.semantic_prior import References
from jaxrecon.priors.trajectory import Trajectory
from jaxrecon.scan_specific.fit import Moment, State

_STATE = "state.npz"


class FitFolder:
    """Moments and the last state of the fits of some slices that are fitted together."""

    def __init__(self, path: Path):
        """Touch nothing yet.

        Args:
            path: the folder.
        """
        self._path = path

    def add(self, state: State, moment: Moment, answers: Sequence[str] = ()) -> None:
        """Keep a moment, then the state: a kill in between repeats the steps before the moment.

        Args:
            state: where the fits stand.
            moment: what is seen there.
            answers: what a language model says of each image; empty without one.
        """
        arrays: dict[str, np.ndarray] = {"images": np.asarray(moment.images)}
        for kind, values in (("loss", moment.losses), ("embedding", moment.embeddings)):
            arrays |= {f"{kind}:{name}": np.asarray(value) for name, value in values.items()}
        if answers:
            arrays["answers"] = np.asarray(answers, np.str_)
        _write(self._moment(int(state.step)), arrays)
        leaves = jax.tree.leaves(state)
        _write(self._path / _STATE, {f"{i:05d}": np.asarray(x) for i, x in enumerate(leaves)})

    def read_state(self, template: Callable[[], State]) -> State | None:
        """The last state.

        Args:
            template: makes a state of the same fits; only its shapes count.

        Returns:
            None where the fits have not begun.

        Raises:
            InputError: it is damaged, or of another fit.
        """
        path = self._path / _STATE
        if not path.exists():
            return None
        arrays = _read(path)
        expected, structure = jax.tree.flatten(jax.eval_shape(template))
        leaves = [arrays[name] for name in sorted(arrays)]
        if [leaf.shape for leaf in leaves] != [leaf.shape for leaf in expected]:
            raise InputError(
                f"{path}: expected the state of this fit, found that of another: remove the folder"
            )
        return jax.tree.unflatten(structure, [jax.numpy.asarray(leaf) for leaf in leaves])

    def last_images(self, state: State) -> Complex64[np.ndarray, "slices height width"]:
        """The reconstruction at a state that was added.

        Raises:
            InputError: its moment is missing or damaged.
        """
        return _read(self._moment(int(state.step)))["images"]

    def moments(self, last: int) -> dict[int, dict[str, np.ndarray]]:
        """All moments by step, rising.

        Args:
            last: step of the last one; those of a fit that went further before are left out.

        Raises:
            InputError: one is damaged.
        """
        paths = sorted(self._path.glob("step_*.npz"))
        steps = [int(path.stem.split("_")[1]) for path in paths]
        return {step: _read(path) for step, path in zip(steps, paths, strict=True) if step <= last}

    def _moment(self, step: int) -> Path:
        return self._path / f"step_{step:07d}.npz"


def join_trajectory(
    parts: Sequence[dict[int, dict[str, np.ndarray]]],
    counts: Sequence[int],
    *,
    method: str,
    titles: Sequence[str],
    crop: Callable[[np.ndarray], np.ndarray],
    references: Mapping[str, References],
    zero_filled: Float32[np.ndarray, "slices rows columns"],
    target: Float32[np.ndarray, "slices rows columns"] | None,
    provenance: Mapping[str, Any],
) -> Trajectory:
    """One trajectory of slices that were fitted in several turns.

    Args:
        parts: `FitFolder.moments` of each turn.
        counts: slices of each turn; what a turn holds beyond them filled its batch.
        method: see `Trajectory`.
        titles: of all slices.
        crop: brings images of the size of k-space to the size of `zero_filled`.
        references: see `Trajectory`.
        zero_filled: see `Trajectory`.
        target: see `Trajectory`.
        provenance: see `Trajectory`.
    """
    steps = list(parts[0])

    def joined(name: str, prepare: Callable[[np.ndarray], np.ndarray] = np.asarray) -> np.ndarray:
        """Of all slices, (kept, slices, ...)."""
        turns = [
            np.stack([prepare(part[step][name][:count]) for step in steps])
            for part, count in zip(parts, counts, strict=True)
        ]
        return np.concatenate(turns, axis=1)

    def named(kind: str) -> dict[str, np.ndarray]:
        first = parts[0][steps[0]]
        return {
            name.removeprefix(f"{kind}:"): joined(name).astype(np.float32)
            for name in first
            if name.startswith(f"{kind}:")
        }

    # Compiled programs sort what they return by name: levels stand low to high again.
    embeddings = named("embedding")
    ordered = {level: embeddings[level] for level in references if level in embeddings}
    answers: tuple[tuple[str, ...], ...] = ()
    if "answers" in parts[0][steps[0]]:
        answers = tuple(tuple(map(str, row)) for row in joined("answers"))
    return Trajectory(
        method=method,
        titles=tuple(titles),
        steps=np.asarray(steps),
        images=joined("images", lambda images: crop(np.abs(images))).astype(np.float32),
        losses=named("loss"),
        embeddings=ordered,
        references=references,
        answers=answers,
        zero_filled=zero_filled,
        target=target,
        provenance=provenance,
    )


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with unfinished(path, ".npz") as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            return dict(file)
    except Exception as error:  # zip, NumPy and the file system each raise their own
        raise InputError(f"{path}: expected a part of a fit, found {error}") from None
