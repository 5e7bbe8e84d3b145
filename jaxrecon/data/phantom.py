"""Phantoms of ellipses with exact multi-coil k-space: hearts, knees and heads.

K-space is computed from formulas, not by an FFT of an image: truncation (Gibbs ringing), coil maps,
phase and noise act as in a scanner, and the target holds what a reconstruction of fully sampled
data would show.
"""

import dataclasses
from types import ModuleType

import numpy as np
from jaxtyping import Complex64

from jaxrecon.data.anatomy import brain, cardiac, knee
from jaxrecon.data.anatomy.scene import Scene
from jaxrecon.data.coil_polynomials import CoilRing, coil_kspace, fine_transform, fit_polynomials
from jaxrecon.data.encoding import Encoding
from jaxrecon.errors import InputError

_ANATOMIES: dict[str, ModuleType] = {"cardiac": cardiac, "knee": knee, "brain": brain}
ANATOMIES = tuple(_ANATOMIES)


def contrasts(anatomy: str) -> tuple[str, ...]:
    """Names of the contrasts of an anatomy.

    Raises:
        InputError: there is no such anatomy.
    """
    if anatomy not in _ANATOMIES:
        raise InputError(f"anatomy: expected one of {', '.join(ANATOMIES)}, found {anatomy!r}")
    return tuple(_ANATOMIES[anatomy].CONTRASTS)


@dataclasses.dataclass(frozen=True)
class PhantomSettings:
    """All that a set of phantom cases depends on; case n is a pure function of it and n.

    Attributes:
        anatomy: "cardiac", "knee" or "brain".
        contrast: one of `contrasts(anatomy)`; empty for another one drawn for each case (always
            "cine_sax" for the heart).
        height: rows of the target image.
        width: columns of the target image and of k-space.
        oversampling: of the readout, factor on the rows of k-space: 1 or 2.
        field_of_view: height and width shown, in units of the anatomy's square.
        coils: receive coils.
        frames: time frames over the cardiac cycle; the other anatomies do not move.
        slices: slice positions.
        noise: standard deviation of the real and of the imaginary part of the complex white noise
            in each coil image, relative to the brightest tissue.
        seed: of everything random, at least 0.
    """

    anatomy: str = "cardiac"
    contrast: str = ""
    height: int = 128
    width: int = 128
    oversampling: int = 1
    field_of_view: tuple[float, float] = (1.0, 1.0)
    coils: int = 6
    frames: int = 1
    slices: int = 1
    noise: float = 0.004
    seed: int = 0

    def __post_init__(self) -> None:
        known = contrasts(self.anatomy)
        if self.contrast and self.contrast not in known:
            raise InputError(
                f"contrast: expected one of {', '.join(known)} for {self.anatomy}, "
                f"found {self.contrast!r}"
            )
        for name in ("coils", "frames", "slices"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, found {getattr(self, name)}")
        if not 0 <= self.noise < 1:
            raise InputError(f"noise: expected a number from 0 to below 1, found {self.noise}")
        if self.seed < 0:
            raise InputError(f"seed: expected at least 0, found {self.seed}")
        _ = self.encoding

    @property
    def encoding(self) -> Encoding:
        """The sampling grid."""
        return Encoding(self.height, self.width, self.oversampling, self.field_of_view)

    def case_contrast(self, case: int) -> str:
        """The contrast of a case."""
        if self.contrast or self.anatomy == "cardiac":
            return self.contrast or "cine_sax"
        rng = np.random.default_rng((*self._case_seed(case), 1))
        return str(rng.choice(contrasts(self.anatomy)))

    def scene(self, case: int, position: int) -> Scene:
        """One slice of a case as ellipses."""
        return _ANATOMIES[self.anatomy].draw(
            seed=(*self._case_seed(case), 2),
            contrast=self.case_contrast(case),
            position=(position + 0.5) / self.slices,
            frames=self.frames,
            reach=self.encoding.reach,
        )

    def coil_ring(self, case: int) -> CoilRing:
        """The coils and the object's phase of a case."""
        rng = np.random.default_rng((*self._case_seed(case), 3))
        a0, a1, a2, a3 = map(float, rng.uniform(-1.5, 1.5, 4))
        return CoilRing(
            coils=self.coils,
            rotation=float(rng.uniform(0, 2 * np.pi)),
            distance=float(rng.uniform(1.05, 1.25)),
            spread=float(rng.uniform(1.0, 1.4)),
            phase=(a0, a1, a2, a3),
        )

    def _case_seed(self, case: int) -> tuple[int, ...]:
        return (self.seed, ANATOMIES.index(self.anatomy), case)


def phantom_kspace(
    settings: PhantomSettings, case: int
) -> Complex64[np.ndarray, "frames slices coils height width"]:
    """Fully sampled k-space of one case.

    Args:
        settings: what all cases share.
        case: number of the case, from 0.

    Returns:
        K-space with `oversampling` times the target's rows, scaled so that the centred orthonormal
        inverse FFT shows intensities of 0 to about 1.
    """
    encoding = settings.encoding
    coefficients = fit_polynomials(settings.coil_ring(case), settings.oversampling)
    shape = (settings.frames, settings.slices, settings.coils, encoding.rows, encoding.columns)
    kspace = np.empty(shape, np.complex64)
    for position in range(settings.slices):
        scene = settings.scene(case, position)
        still = fine_transform(scene.still, encoding)
        rng = np.random.default_rng((*settings._case_seed(case), 4, position))
        for frame, moving in enumerate(scene.moving):
            whole = still + fine_transform(moving, encoding) if len(moving) else still
            samples = coil_kspace(whole, coefficients, encoding)
            noise = settings.noise * scene.brightest * rng.standard_normal((*samples.shape, 2))
            kspace[frame, position] = samples + noise.view(np.complex128)[..., 0]
    return kspace
