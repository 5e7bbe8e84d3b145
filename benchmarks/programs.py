"""Running the project's programs from a benchmark, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

from jaxrecon.errors import InputError


def call(workdir: Path, module: str, *arguments: str) -> None:
    """Run a program in a folder.

    Raises:
        InputError: it failed.
    """
    finished = subprocess.run([sys.executable, "-m", module, *arguments], cwd=workdir, check=False)
    if finished.returncode:
        raise InputError(f"{module}: expected exit code 0, found {finished.returncode}")
