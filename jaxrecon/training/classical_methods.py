"""Classical reconstructions by name: they need sensitivity maps and no training."""

from collections.abc import Callable, Mapping

from jaxtyping import Array

from jaxrecon.physics.cg_sense import cg_sense
from jaxrecon.physics.total_variation import total_variation_sense
from jaxrecon.physics.wavelet_sense import wavelet_sense

SOLVERS: Mapping[str, Callable[..., Array]] = {
    "cg_sense": cg_sense,
    "tv": total_variation_sense,
    "wavelet": wavelet_sense,
}
"""Functions of k-space, mask and maps, with the options `regularisation` and `iterations`."""
