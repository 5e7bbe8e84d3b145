"""The command line that all converters share: --source and --output."""

from collections.abc import Callable
from pathlib import Path

from absl import flags

from jaxrecon import command_line


def run(convert: Callable[[str, Path], None]) -> None:
    """Define the flags, parse them and convert; see `jaxrecon.command_line.run`.

    Flags are defined here and not where converters are imported, so that one can be used as a
    library beside other programs' flags.

    Args:
        convert: called with the source and the output folder.
    """
    source = flags.DEFINE_string("source", None, "Checkpoint to convert.", required=True)
    output = flags.DEFINE_string("output", None, "Folder to write: weights/NAME.", required=True)
    command_line.run(lambda: convert(source.value, Path(output.value)))
