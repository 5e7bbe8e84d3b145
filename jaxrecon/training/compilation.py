"""Compiled programs by shape, what they cost, and the cache that keeps them between runs."""

import os
import time
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import PyTree

from jaxrecon.data.index_cache import cache_folder


def use_compilation_cache() -> None:
    """Keep compiled programs in the cache folder, unless the environment names another place."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "programs"))


class CompiledByShape:
    """A jitted function that compiles ahead of time for every new shape of its last argument.

    Attributes:
        programs: number of compiled programs.
        seconds: time spent on compiling.
        temporary_bytes: the largest program's memory beside its arguments, per device.
    """

    def __init__(
        self,
        function: Callable[..., PyTree],
        *,
        donate: tuple[int, ...] = (),
        out_shardings: Any = None,
    ):
        """Wrap a function of trees of arrays.

        Args:
            function: pure function; not compiled before it is needed.
            donate: positions of arguments whose memory it may reuse.
            out_shardings: of its results; None to let the compiler choose.
        """
        self._jitted = jax.jit(function, donate_argnums=donate, out_shardings=out_shardings)
        self._compiled: dict[tuple[tuple[int, ...], ...], Any] = {}
        self.seconds = 0.0
        self.temporary_bytes = 0

    @property
    def programs(self) -> int:
        """Number of compiled programs."""
        return len(self._compiled)

    def compile(self, *arguments: PyTree) -> Any:
        """The program for the shapes of these arguments, compiled now if it is missing."""
        shapes = tuple(leaf.shape for leaf in jax.tree.leaves(arguments[-1]))
        if shapes not in self._compiled:
            start = time.perf_counter()
            program = self._jitted.lower(*arguments).compile()
            self.seconds += time.perf_counter() - start
            analysis = program.memory_analysis()
            if analysis is not None:  # Not every backend tells.
                self.temporary_bytes = max(self.temporary_bytes, analysis.temp_size_in_bytes)
            self._compiled[shapes] = program
        return self._compiled[shapes]

    def __call__(self, *arguments: PyTree) -> PyTree:
        """Run the program for these arguments' shapes, compiling it first where it is missing."""
        return self.compile(*arguments)(*arguments)
