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


def linear_kernel(array: np.ndarray) -> np.ndarray:
    """The torch layout (outputs, inputs) as (inputs, outputs)."""
    return array.T


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


@dataclasses.dataclass(frozen=True)
class Piece:
    """A source entry that becomes a parameter, or one position of it.

    Attributes:
        key: of the entry.
        transform: applied to the entry's array.
        position: along the parameter's leading axis; None where the entry is all of it.
    """

    key: str
    transform: Callable[[np.ndarray], np.ndarray]
    position: int | None


def assign(
    source: Mapping[str, tuple[int, ...]],
    rules: Sequence[Rule],
    shapes: Mapping[str, tuple[int, ...]],
    *,
    name: str,
) -> dict[str, tuple[Piece, ...]]:
    """Find the place of every entry of a state dict by a conversion table; no array is needed.

    Args:
        source: shapes by key.
        rules: every key must match exactly one.
        shapes: shape of every parameter by "/"-joined path; each must be filled exactly once.
        name: the source, for messages.

    Returns:
        What each parameter is made of, in the order of the positions.

    Raises:
        InputError: naming all keys without a rule, parameters without a source and shapes that
            differ, in one line.
        ValueError: two rules match one key: the table itself is wrong.
    """
    problems: list[str] = []
    found: dict[str, dict[int | None, Piece]] = {}
    results: dict[str, list[tuple[int, ...]]] = {}
    for key, shape in source.items():
        matches = [(rule, match) for rule in rules if (match := re.fullmatch(rule.pattern, key))]
        if len(matches) > 1:
            raise ValueError(f"{key} matches {[rule.pattern for rule, _ in matches]}")
        if not matches:
            problems.append(f"unexpected {key} {_text(shape)}")
            continue
        rule, match = matches[0]
        if rule.target is None:
            continue
        path = match.expand(rule.target)
        stack = match.groupdict().get("stack")
        position = None if stack is None else int(stack)
        if position in found.setdefault(path, {}):
            problems.append(f"a second source {key} for {path}")
        found[path][position] = Piece(key, rule.transform, position)
        try:
            result = rule.transform(np.broadcast_to(np.float32(0), shape)).shape
        except ValueError:
            problems.append(f"{key} has shape {_text(shape)}")
        else:
            results.setdefault(path, []).append(result)
    for path, pieces in found.items():
        made = results.get(path, [])
        positions = sorted(position for position in pieces if position is not None)
        if path not in shapes:
            problems.append(f"no parameter {path} in the model")
        elif None not in pieces and positions != list(range(len(pieces))):
            problems.append(f"positions {positions} for {path} are not 0 to {len(pieces) - 1}")
        elif len(set(made)) > 1:
            problems.append(f"entries of different shapes for {path}")
        elif made:
            shape = made[0] if None in pieces else (len(pieces), *made[0])
            if shape != shapes[path]:
                problems.append(f"{path} is {_text(shape)}, not {shapes[path]}")
    problems += [f"nothing for {path}" for path in shapes if path not in found]
    if problems:
        shown = "; ".join(problems[:8])
        more = f"; and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise InputError(f"{name}: {len(problems)} entries do not fit: {shown}{more}")
    return {
        path: tuple(sorted(pieces.values(), key=lambda piece: piece.position or 0))
        for path, pieces in found.items()
    }


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
        InputError: see `assign`.
        ValueError: see `assign`.
    """
    source_shapes = {key: array.shape for key, array in source.items()}
    converted = {}
    for path, pieces in assign(source_shapes, rules, shapes, name=name).items():
        arrays = [piece.transform(source[piece.key]) for piece in pieces]
        array = arrays[0] if pieces[0].position is None else np.stack(arrays)
        converted[path] = np.asarray(array, order="C")
    return converted


def _text(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
