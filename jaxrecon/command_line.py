"""How every program starts and ends: flags, one-line errors and exit codes.

Exit codes: 0 done, 1 bad input or configuration (one line on stderr), 2 wrong flags, 75 stopped
early but resumable by the same command.
"""

import sys
from collections.abc import Callable

from absl import flags, logging
from ml_collections import ConfigDict

from jaxrecon.errors import InputError, OneLineError

DONE = 0
BAD_INPUT = 1
WRONG_FLAGS = 2
STOPPED_EARLY = 75


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def configuration(holder: flags.FlagHolder[ConfigDict]) -> ConfigDict:
    """The configuration that a `--config` flag names.

    Raises:
        InputError: its file is not there or cannot be read.
    """
    config = holder.value
    try:
        config.keys()  # A file that could not be loaded says so only when it is used.
    except OSError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"--config: expected an experiment's file, found {reason}") from None
    return config


def _innermost(error: Exception) -> object:
    """The text of an error that may wrap another one, as ml_collections' do."""
    while error.args and isinstance(error.args[0], Exception):
        error = error.args[0]
    if isinstance(error, KeyError) and error.args:
        return f"unknown field {error.args[0]}"
    return error


def _help(flag_values: flags.FlagValues) -> str:
    """The flags of the program, without those of the libraries it uses."""
    ours = [
        name
        for name in flag_values.flags_by_module_dict()
        if name == sys.argv[0] or name.split(".")[0] in ("jaxrecon", "weight_conversion")
    ]
    return "\n".join(flag_values.module_help(name) for name in ours)


def run(main: Callable[[], int | None], flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Parse the flags, run `main` and exit with its code.

    Args:
        main: the program; returns an exit code, or None for 0. Flags are parsed before it is
            called. A `OneLineError` it raises is printed as one line and exits with 1.
        flag_values: the program's flags.
    """
    if any(argument in ("--help", "-h") for argument in sys.argv[1:]):
        print((sys.modules["__main__"].__doc__ or "").strip())
        print(_help(flag_values))
        sys.exit(DONE)
    try:
        rest = flag_values(sys.argv)
        if len(rest) > 1:
            raise flags.Error(f"unexpected argument {rest[1]!r}: every option starts with --")
    except flags.Error as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        sys.exit(WRONG_FLAGS)
    except (AttributeError, KeyError) as error:
        # What reading a configuration file and its overrides raises.
        print(f"error: configuration: {_one_line(_innermost(error))}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    logging.set_verbosity(logging.WARNING)
    try:
        sys.exit(main() or DONE)
    except OneLineError as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        sys.exit(BAD_INPUT)
