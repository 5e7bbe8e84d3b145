"""Checkpoints: the last state, to go on from, and the best parameters, to be judged.

The only file that knows Orbax. A checkpoint holds the trainable parameters, never a frozen
encoder's; it appears under its final name only when it is complete.
"""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from jaxrecon.errors import InputError
from jaxrecon.training.state import TrainState


def _manager(folder: Path) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False)
    return ocp.CheckpointManager(folder.absolute(), options=options)


def _like(tree: PyTree) -> PyTree:
    """Shapes, dtypes and placement of a tree, which is what restoring needs of it."""
    return jax.tree.map(ocp.utils.to_shape_dtype_struct, tree)


def _save(manager: ocp.CheckpointManager, step: int, items: dict[str, Any]) -> None:
    # Deterministic runs pass the same step again after a restart, with the same state.
    if step not in manager.all_steps():
        manager.save(step, args=ocp.args.Composite(**items))
        manager.wait_until_finished()


class Checkpoints:
    """The folder `checkpoints/` of a run."""

    def __init__(self, folder: Path):
        """Open the folder, or make it.

        Args:
            folder: holds `last/` and `best/`.
        """
        self._last = _manager(folder / "last")
        self._best = _manager(folder / "best")

    def save_last(self, state: TrainState, progress: dict[str, Any]) -> None:
        """Save everything a run needs to go on.

        Args:
            state: its trainable parameters, optimiser state and step are saved.
            progress: JSON values of the loop, restored as they are.
        """
        items = {
            "params": ocp.args.StandardSave(state.variables["params"]),
            "optimizer": ocp.args.StandardSave(state.optimizer_state),
            "progress": ocp.args.JsonSave(progress),
        }
        _save(self._last, int(state.step), items)

    def save_best(self, state: TrainState) -> None:
        """Save the parameters in place of the best ones so far."""
        _save(
            self._best,
            int(state.step),
            {"params": ocp.args.StandardSave(state.variables["params"])},
        )

    def restore_last(self, state: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """The last checkpoint.

        Args:
            state: of the same run; gives shapes, placement and the frozen weights.

        Returns:
            The state and the loop's progress; None where nothing was saved yet.

        Raises:
            InputError: the checkpoint is of another network.
        """
        step = self._last.latest_step()
        if step is None:
            return None
        params = state.variables["params"]
        restored = self._restore(
            self._last,
            step,
            {
                "params": ocp.args.StandardRestore(_like(params)),
                "optimizer": ocp.args.StandardRestore(_like(state.optimizer_state)),
                "progress": ocp.args.JsonRestore(),
            },
        )
        variables = {**state.variables, "params": restored["params"]}
        number = jax.device_put(jax.numpy.asarray(step, state.step.dtype), state.step.sharding)
        return TrainState(number, variables, restored["optimizer"]), restored["progress"]

    def best_step(self) -> int | None:
        """The step of the best parameters; None where nothing was saved yet."""
        return self._best.latest_step()

    def restore_best(self, params: PyTree) -> PyTree:
        """The best parameters.

        Args:
            params: gives shapes and placement.

        Raises:
            InputError: nothing was saved, or for another network.
        """
        step = self._best.latest_step()
        if step is None:
            raise InputError(f"{self._best.directory}: expected a checkpoint of a run, found none")
        items = {"params": ocp.args.StandardRestore(_like(params))}
        return self._restore(self._best, step, items)["params"]

    def close(self) -> None:
        """End Orbax's threads."""
        self._last.close()
        self._best.close()

    @staticmethod
    def _restore(manager: ocp.CheckpointManager, step: int, items: dict[str, Any]) -> Any:
        try:
            return manager.restore(step, args=ocp.args.Composite(**items))
        except (ValueError, KeyError, TypeError) as error:
            reason = str(error).split("\n", 1)[0]
            raise InputError(
                f"{manager.directory}/{step}: expected a checkpoint of this network, "
                f"found another: {reason}"
            ) from None
