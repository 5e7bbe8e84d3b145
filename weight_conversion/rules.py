"""Conversion tables: which entry of a state dict becomes which parameter, and how."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxrecon.errors import InputError


def as_is(array: np.ndarray) -> np.ndarray:
    """The array itself."""
    return array


def scalar(array: np.ndarray) -> np.ndarray:
    """An array of one element as a scalar."""
    return array.reshape(())


def conv_kernel(array: np.ndarray) -> np.ndarray:
    """The torch layout (outputs, inputs, height, width) as (height, width, inputs, outputs)."""
    return array.transpose(2, 3, 1, 0)


def transposed_conv_kernel(array: np.ndarray) -> np.ndarray:
    """The torch layout (inputs, outputs, height, width) as (height, width, inputs, outputs)."""
    return array.transpose(2, 3, 0, 1)


@dataclasses.dataclass(frozen=True)
class Rule:
    r"""One line of a conversion table.

    Attributes:
        pattern: regular expression that matches the whole source key. A group named `stack` gives
            the position along a new leading axis on which several entries are stacked.
        target: "/"-joined parameter path, with group references such as `\1`; None
            drops the entry.
        transform: applied to the source array.
    """

    pattern: str
    target: str | None
    transform: Callable[[np.ndarray], np.ndarray] = as_is


def convert(
    source: Mapping[str, np.ndarray],
    rules: Sequence[Rule],
    shapes: Mapping[str, tuple[int, ...]],
    *,
    name: str,
) -> dict[str, np.ndarray]:
    """Apply a conversion table to a state dict.

    Args:
        source: arrays by key.
        rules: every key must match exactly one.
        shapes: shape of every parameter by "/"-joined path; each must be filled exactly once.
        name: the source, for messages.

    Returns:
        Contiguous arrays by parameter path.

    Raises:
        InputError: naming all keys without a rule, parameters without a source and shapes that
            differ, in one line.
        ValueError: two rules match one key: the table itself is wrong.
    """
    problems: list[str] = []
    pieces: dict[str, dict[int, np.ndarray]] = {}
    for key, array in source.items():
        matches = [(rule, match) for rule in rules if (match := re.fullmatch(rule.pattern, key))]
        if len(matches) > 1:
            raise ValueError(f"{key} matches {[rule.pattern for rule, _ in matches]}")
        if not matches:
            problems.append(f"unexpected {key} {_shape(array)}")
            continue
        rule, match = matches[0]
        if rule.target is None:
            continue
        path = match.expand(rule.target)
        stack = match.groupdict().get("stack")
        position = -1 if stack is None else int(stack)
        if path in pieces and position in pieces[path]:
            problems.append(f"a second source {key} for {path}")
        try:
            pieces.setdefault(path, {})[position] = rule.transform(array)
        except ValueError:
            problems.append(f"{key} has shape {_shape(array)}")
    converted = {}
    for path, parts in pieces.items():
        if path not in shapes:
            problems.append(f"no parameter {path} in the model")
        elif -1 not in parts and sorted(parts) != list(range(len(parts))):
            problems.append(f"positions {sorted(parts)} for {path} are not 0 to {len(parts) - 1}")
        elif len({part.shape for part in parts.values()}) > 1:
            problems.append(f"entries of different shapes for {path}")
        else:
            array = parts[-1] if -1 in parts else np.stack([parts[i] for i in sorted(parts)])
            if array.shape != shapes[path]:
                problems.append(f"{path} is {_shape(array)}, not {shapes[path]}")
            converted[path] = np.asarray(array, order="C")
    problems += [f"nothing for {path}" for path in shapes if path not in pieces]
    if problems:
        shown = "; ".join(problems[:8])
        more = f"; and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise InputError(f"{name}: {len(problems)} entries do not fit: {shown}{more}")
    return converted


def _shape(array: np.ndarray) -> str:
    return f"({', '.join(map(str, array.shape))})"
