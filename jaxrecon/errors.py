"""Errors that a program ends in with one line and no traceback."""


class OneLineError(Exception):
    """A reason to stop that a user can act on; programs print it to stderr and exit with 1."""


class InputError(OneLineError):
    """Something a user handed over (a file, a folder, a configuration field) is not usable.

    The message is one line that names the file or field, what was expected and what was found.
    """


class DivergenceError(OneLineError):
    """Training produced a value that is not finite; the message names the step."""
