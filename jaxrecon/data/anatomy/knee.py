"""Coronal knee: femur, tibia and fibula with cartilage, menisci and ligaments, in a leg."""

import numpy as np

from jaxrecon.data.anatomy.canvas import Canvas, Region
from jaxrecon.data.anatomy.scene import Scene, jittered

# Relative signal of the tissues in fastMRI's proton density, without and with fat suppression.
CONTRASTS = {
    "CORPD_FBK": {
        "skin": 0.45, "fat": 0.90, "muscle": 0.38, "marrow": 0.76, "cortex": 0.07,
        "cartilage": 0.58, "fluid": 0.70, "meniscus": 0.10, "ligament": 0.14, "vessel": 0.20,
        "notch": 0.66,
    },
    "CORPDFS_FBK": {
        "skin": 0.40, "fat": 0.22, "muscle": 0.42, "marrow": 0.17, "cortex": 0.05,
        "cartilage": 0.70, "fluid": 1.00, "meniscus": 0.12, "ligament": 0.12, "vessel": 0.80,
        "notch": 0.50,
    },
}  # fmt: skip


def draw(seed: tuple[int, ...], contrast: str, position: float, frames: int, reach: float) -> Scene:
    """One slice of one case; nothing moves.

    Args:
        seed: of the case; all its slices share it.
        contrast: key of `CONTRASTS`.
        position: of the slice, from 0 (front) to 1 (back).
        frames: images of the slice, all alike.
        reach: the canvas' rows go from -reach to reach; the leg fills them up to 0.95.

    Returns:
        The leg.
    """
    rng = np.random.default_rng((*seed, 1))
    levels = jittered(rng, CONTRASTS[contrast], 0.1)
    side = float(rng.choice((-1.0, 1.0)))
    canvas = Canvas(rng, reach)
    canvas.origin = (rng.uniform(-0.02, 0.02), rng.uniform(-0.02, 0.02))
    canvas.tilt = rng.uniform(-0.05, 0.05)
    # Where the readout is not oversampled, the leg must be smaller to end inside the canvas.
    canvas.size = rng.uniform(0.94, 1.04) * min(1.0, (reach - 0.03) / 0.72)
    length = min(0.95, (reach - 0.03) / canvas.size)
    # Widest in the middle of the joint, front to back.
    width = 0.33 * float(np.sqrt(1 - (0.9 * (position - 0.45)) ** 2)) * rng.uniform(0.97, 1.03)
    canvas.rng = np.random.default_rng((*seed, 2, round(1000 * position)))
    fat = rng.uniform(0.03, 0.065)
    lined = (levels["skin"], levels["fat"])
    outline = (width + fat + 0.012, length)
    under = canvas.draw_lined(canvas.background, lined, (0.0, 0.0), outline, 0.008)
    # One ellipse of marrow stands for all bones; the joint and the muscles beside the shafts are
    # drawn into it, and what they leave has the shape of femur and tibia.
    lined = (levels["ligament"], levels["muscle"])
    flesh = canvas.draw_lined(under, lined, (0.0, 0.0), (width, length - 0.03), 0.004)
    width *= 0.8
    length -= 0.055
    lined = (levels["cortex"], levels["marrow"])
    bones = canvas.draw_lined(flesh, lined, (0.0, 0.0), (width, length), 0.005)
    _joint(canvas, bones, levels, width, position)
    _flanks(canvas, flesh, bones, levels, width, length, side)
    _texture(canvas, (flesh, bones, under), levels)
    still = canvas.ellipses()
    nothing = canvas.ellipses(len(canvas))
    return Scene(still, (nothing,) * frames, max(levels.values()))


def _joint(
    canvas: Canvas, bones: Region, levels: dict[str, float], width: float, position: float
) -> None:
    """The joint is cut into the bone: two compartments and the notch between them."""
    rng = canvas.rng
    line = rng.uniform(0.0, 0.03)
    notch_height = 0.05 + 0.035 * position
    notch_place = (line - 0.024 - notch_height, rng.uniform(-0.008, 0.008))
    lined = (levels["cortex"], levels["notch"])
    tilt = rng.uniform(-0.1, 0.1)
    notch = canvas.draw_lined(bones, lined, notch_place, (0.047, notch_height), 0.005, tilt)
    for lean, offset, length in ((0.55, 0.010, 0.8), (-0.45, -0.014, 0.6)):
        place = (notch_place[0], notch_place[1] + offset)
        axes = (length * notch_height, 0.011)
        canvas.draw(notch, levels["ligament"] * 1.3, place, axes, np.pi / 2 + lean)
    canvas.scatter(notch, (0.4, 1.5), 14, (0.003, 0.01))
    half = 0.5 * (width - 0.014 - 0.014)
    for side in (-1.0, 1.0):
        middle = (line + rng.uniform(-0.006, 0.006), side * (0.014 + half))
        tilt = side * rng.uniform(0.0, 0.06)
        lined = (levels["cortex"], levels["cartilage"])
        cartilage = canvas.draw_lined(bones, lined, middle, (half, 0.026), 0.004, tilt)
        fluid = (middle[0], middle[1] + side * 0.05 * half)
        canvas.draw(cartilage, levels["fluid"], fluid, (0.16 * half, 0.003), tilt)
        for end, reach in ((0.62, 0.25), (-0.60, 0.18)):
            place = (middle[0] + end * half * tilt, middle[1] + side * end * half)
            body = canvas.draw(cartilage, levels["meniscus"], place, (reach * half, 0.0125), tilt)
            if rng.random() < 0.3:
                canvas.draw(body, levels["fluid"], place, (0.12 * half, 0.0018), tilt + 0.3)
        canvas.scatter(cartilage, (0.8, 1.25), 12, (0.003, 0.008), slimness=(0.3, 0.6))
    for row, level in ((line - 0.19, 0.6), (line + 0.15, 0.5)):
        scar = 0.62 * width
        shade = (1 - level) * levels["marrow"] + level * levels["cortex"]
        for side in (-1.0, 1.0):
            place = (row - 0.004, side * 0.52 * scar)
            canvas.draw(bones, shade, place, (0.45 * scar, 0.003), side * rng.uniform(0.02, 0.15))


def _flanks(
    canvas: Canvas,
    flesh: Region,
    bones: Region,
    levels: dict[str, float],
    width: float,
    length: float,
    side: float,
) -> None:
    """Fat and ligaments beside the joint, muscles beside the shafts, and the fibula.

    `side` is the leg's outer side.
    """
    rng = canvas.rng
    half = 0.5 * (0.86 * length - 0.12)
    middle = 0.12 + half
    edge = width * float(np.sqrt(1 - (middle / length) ** 2))

    def muscle(row: float, flank: float, axes: tuple[float, float], angle: float) -> None:
        place = (row, flank * (edge - axes[1] - 0.004))
        sheath = (levels["cortex"], levels["muscle"])
        belly = canvas.draw_lined(bones, sheath, place, axes, 0.005, angle)
        grain = angle + canvas.tilt
        canvas.scatter(
            belly, (1.25, 2.0), 30, (0.015, 0.07), slimness=(0.04, 0.1),
            direction=lambda *_: grain,
        )  # fmt: skip
        canvas.scatter(belly, (0.7, 0.9), 16, (0.01, 0.03), slimness=(0.1, 0.3))

    for flank in (-1.0, 1.0):
        lean = flank * rng.uniform(0.03, 0.08)
        pad = (rng.uniform(-0.02, 0.02), flank * 1.115 * width)
        fat = canvas.draw(flesh, 0.9 * levels["fat"], pad, (0.2, 0.08 * width), np.pi / 2)
        canvas.draw(fat, levels["ligament"], pad, (0.13, 0.007), np.pi / 2)
        muscle(-middle, flank, (half, rng.uniform(0.37, 0.41) * edge), np.pi / 2 - lean)
        if flank != side:
            muscle(middle, flank, (half, rng.uniform(0.36, 0.40) * edge), np.pi / 2 + lean)
            continue
        upper = (0.11 + 0.35 * half, flank * 0.76 * width)
        shell = (levels["cortex"], levels["marrow"])
        axes = (0.35 * half, 0.036)
        marrow = canvas.draw_lined(bones, shell, upper, axes, 0.007, np.pi / 2 + lean)
        canvas.scatter(marrow, (0.75, 1.15), 8, (0.004, 0.012))
        muscle(0.12 + 1.36 * half, flank, (0.62 * half, 0.33 * edge), np.pi / 2 + 2 * lean)


def _texture(
    canvas: Canvas, regions: tuple[Region, Region, Region], levels: dict[str, float]
) -> None:
    rng = canvas.rng
    flesh, bones, under = regions
    fat = levels["fat"] / levels["muscle"]

    def upright(*_: float) -> float:
        return np.pi / 2 + canvas.tilt

    canvas.scatter(
        flesh, (0.7 * fat, 0.9 * fat), 26, (0.03, 0.1), slimness=(0.03, 0.08), direction=upright
    )
    canvas.scatter(flesh, (0.7, 1.5), 50, (0.006, 0.03), slimness=(0.1, 0.3), direction=upright)
    canvas.scatter(bones, (0.72, 0.95), 80, (0.006, 0.028), slimness=(0.12, 0.4))
    canvas.scatter(bones, (1.05, 1.25), 50, (0.004, 0.016), slimness=(0.2, 0.6))
    canvas.scatter(bones, (0.4, 0.6), 12, (0.003, 0.007))
    vessel = levels["vessel"] / levels["fat"]
    canvas.scatter(
        under, (0.8 * vessel, 1.2 * vessel), 20, (0.004, 0.03), slimness=(0.15, 0.5),
        direction=upright,
    )  # fmt: skip
    canvas.scatter(under, (0.6, 0.9), 50, (0.01, 0.04), slimness=(0.06, 0.15))
    if rng.random() < 0.5:
        place = (rng.uniform(-0.12, -0.06), rng.choice((-1.0, 1.0)) * rng.uniform(0.1, 0.17))
        bruise = canvas.draw(bones, 0.5 * levels["fluid"], place, (0.02, 0.014), rng.uniform(0, 3))
        canvas.draw(bruise, 0.8 * levels["fluid"], place, (0.012, 0.008))
