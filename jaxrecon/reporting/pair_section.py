"""The section of a page that holds total variation against the semantic prior."""

from collections.abc import Sequence

from jaxrecon.reporting.notation import number, slugs
from jaxrecon.reporting.page import Section
from jaxrecon.reporting.pair_table import (
    PRIORS,
    PairTable,
    block_title,
    pair_table_latex,
    pair_table_markdown,
)
from jaxrecon.reporting.table_formats import heading, spread


def pair_section(tables: Sequence[PairTable]) -> Section:
    """Tables with their Markdown and LaTeX for copying.

    Args:
        tables: of `make_pair_tables`; at least one.
    """
    names = slugs(table.data_set for table in tables)
    shown = [
        {
            "table": table,
            "name": names[table.data_set],
            "blocks": [(block_title(table, block), block) for block in table.blocks],
            "markdown": pair_table_markdown(table),
            "latex": pair_table_latex(table),
        }
        for table in tables
    ]
    content = {
        "tables": shown, "priors": list(PRIORS.values()), "heading": heading, "number": number,
        "spread": spread,
    }  # fmt: skip
    return Section("pairs", "TV and semantic prior", "pairs.html.j2", content)
