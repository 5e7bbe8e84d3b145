import subprocess
import sys
import textwrap

import pytest

PROGRAM = '''
"""Does as it is told."""

from absl import flags, logging

from jaxrecon import command_line
from jaxrecon.errors import DivergenceError, InputError

_ACTION = flags.DEFINE_string("action", "nothing", "What to do.")
_COUNT = flags.DEFINE_integer("count", 1, "How often.", lower_bound=1)


def main():
    if _ACTION.value == "bad input":
        raise InputError(f"file.h5: expected one\\n  two,\\n found {_COUNT.value}")
    if _ACTION.value == "diverge":
        raise DivergenceError("step 3: expected finite numbers")
    if _ACTION.value == "stop":
        return command_line.STOPPED_EARLY
    if _ACTION.value == "bug":
        raise RuntimeError("a bug")
    logging.info("not shown")
    print("done", _COUNT.value)


if __name__ == "__main__":
    command_line.run(main)
'''


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))

    def start(*arguments):
        return subprocess.run(
            [sys.executable, str(path), *arguments], capture_output=True, text=True, check=False
        )

    return start


def test_a_program_that_ends_well_exits_with_0(run):
    finished = run("--count=2")
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "done 2\n", "")


def test_stopping_early_exits_with_75(run):
    assert run("--action=stop").returncode == 75


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("bad input", "error: file.h5: expected one two, found 1\n"),
        ("diverge", "error: step 3: expected finite numbers\n"),
    ],
)
def test_a_known_error_is_one_line_and_exits_with_1(run, action, message):
    finished = run(f"--action={action}")
    assert (finished.returncode, finished.stderr) == (1, message)


def test_a_bug_shows_its_traceback(run):
    finished = run("--action=bug")
    assert finished.returncode == 1
    assert "Traceback" in finished.stderr
    assert finished.stderr.endswith("RuntimeError: a bug\n")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--cuont=2", "Unknown command line flag 'cuont'. Did you mean: count"),
        ("--count=0", "count"),
        ("--count=many", "count"),
        ("count=2", "unexpected argument 'count=2': every option starts with --"),
    ],
)
def test_wrong_flags_are_one_line_and_exit_with_2(run, argument, message):
    finished = run(argument)
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert finished.stderr.startswith("error: ")
    assert finished.stderr.count("\n") == 1
    assert message in finished.stderr


@pytest.mark.parametrize("argument", ["--help", "-h"])
def test_help_tells_what_the_program_does_and_its_flags(run, argument):
    finished = run("--count=0", argument)
    assert finished.returncode == 0
    assert finished.stdout.startswith("Does as it is told.\n")
    assert "--count" in finished.stdout
    assert "How often." in finished.stdout
    assert "logtostderr" not in finished.stdout
