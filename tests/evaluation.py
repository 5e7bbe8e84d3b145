"""Running `jaxrecon.evaluate` in this process or in one of its own."""

import subprocess
import sys

from jaxrecon import evaluate


def judge(*arguments) -> int:
    """Run the program in this process, which keeps what JAX has compiled."""
    evaluate._FLAGS.unparse_flags()
    evaluate._FLAGS(["evaluate", *map(str, arguments)])
    return evaluate.main()


def run_program(*arguments) -> subprocess.CompletedProcess:
    """Run Python with these arguments."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False
    )
