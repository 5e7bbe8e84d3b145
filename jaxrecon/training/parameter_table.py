"""What a network holds: a table printed before the first step."""

import jax
from jaxtyping import PyTree


def count_parameters(tree: PyTree) -> int:
    """Number of values in all arrays of a tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def megabytes(tree: PyTree) -> float:
    """Size of all arrays of a tree, in 10^6 bytes."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree)) / 1e6


def parameter_table(variables: PyTree) -> str:
    """Parameters and megabytes per module, two levels deep, trainable and frozen.

    Args:
        variables: `{"params": ..., "frozen": ...}`.
    """
    rows = [("module", "parameters", "MB", "")]
    for collection, tree in variables.items():
        kind = "trainable" if collection == "params" else "frozen"
        for name, module in tree.items():
            parts = module.items() if isinstance(module, dict) else [("", module)]
            rows += [_row(f"{name}/{part}".rstrip("/"), leaf, kind) for part, leaf in parts]
        rows.append(_row("all", tree, kind))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{name:<{widths[0]}}  {count:>{widths[1]}}  {size:>{widths[2]}}  {kind}".rstrip()
        for name, count, size, kind in rows
    )


def _row(name: str, tree: PyTree, kind: str) -> tuple[str, str, str, str]:
    return name, f"{count_parameters(tree):,}", f"{megabytes(tree):.1f}", kind
