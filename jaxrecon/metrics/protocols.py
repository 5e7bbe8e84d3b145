"""Named evaluation protocols, by which configurations and results files know them.

A further protocol is one more class, see `jaxrecon.metrics.protocol`, listed in `PROTOCOLS`.
"""

from jaxrecon.errors import InputError
from jaxrecon.metrics.challenge_protocols import CMRxRecon2023, FastMRI
from jaxrecon.metrics.lpips import LpipsWeights
from jaxrecon.metrics.paper_protocols import PaperA, PaperB
from jaxrecon.metrics.protocol import FileScores, Protocol, SliceScores

__all__ = ["PROTOCOLS", "FileScores", "Protocol", "SliceScores", "protocol"]

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol for protocol in (FastMRI(), CMRxRecon2023(), PaperA(), PaperB())
}


def protocol(name: str, lpips: LpipsWeights | None = None) -> Protocol:
    """The protocol of that name.

    Args:
        name: a key of `PROTOCOLS`.
        lpips: the weights of LPIPS, for protocols that measure it.

    Returns:
        The protocol.

    Raises:
        InputError: unknown name, the message lists the known ones; or weights that the protocol
            has no use for.
    """
    if name not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise InputError(f"protocol: expected one of {known}, found {name!r}")
    if lpips is None:
        return PROTOCOLS[name]
    if name != PaperB.name:
        raise InputError(
            f"protocol: expected {PaperB.name}, which measures LPIPS, with LPIPS's weights, "
            f"found {name}"
        )
    return PaperB(lpips)
