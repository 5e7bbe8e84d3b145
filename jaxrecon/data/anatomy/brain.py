"""Axial brain: scalp, skull, folded cortex, white matter, ventricles and deep nuclei."""

import numpy as np

from jaxrecon.data.anatomy.canvas import Canvas, Region
from jaxrecon.data.anatomy.scene import Scene, jittered

# Relative signal of the tissues in the contrasts of fastMRI's brain scans.
CONTRASTS = {
    "AXT1": {
        "scalp": 0.98, "skull": 0.07, "diploe": 0.55, "fluid": 0.16, "grey": 0.46, "white": 0.70,
        "nucleus": 0.53, "vessel": 0.25, "lesion": 0.50, "muscle": 0.40,
    },
    "AXT2": {
        "scalp": 0.55, "skull": 0.05, "diploe": 0.35, "fluid": 1.00, "grey": 0.58, "white": 0.37,
        "nucleus": 0.47, "vessel": 0.08, "lesion": 0.75, "muscle": 0.22,
    },
    "AXFLAIR": {
        "scalp": 0.62, "skull": 0.05, "diploe": 0.35, "fluid": 0.10, "grey": 0.66, "white": 0.47,
        "nucleus": 0.56, "vessel": 0.12, "lesion": 0.98, "muscle": 0.28,
    },
}  # fmt: skip


def draw(seed: tuple[int, ...], contrast: str, position: float, frames: int, reach: float) -> Scene:
    """One slice of one case; nothing moves.

    Args:
        seed: of the case; all its slices share it.
        contrast: key of `CONTRASTS`.
        position: of the slice, from 0 (through the basal ganglia) to 1 (near the vertex).
        frames: images of the slice, all alike.
        reach: the canvas' rows go from -reach to reach.

    Returns:
        The head.
    """
    rng = np.random.default_rng((*seed, 1))
    levels = jittered(rng, CONTRASTS[contrast], 0.06)
    canvas = Canvas(rng, reach)
    canvas.origin = (rng.uniform(-0.015, 0.015), rng.uniform(-0.015, 0.015))
    canvas.tilt = rng.uniform(-0.12, 0.12)
    canvas.size = rng.uniform(0.94, 1.0)
    smaller = float(np.sqrt(1 - (0.72 * position) ** 2))
    length = rng.uniform(0.445, 0.465) * smaller
    width = rng.uniform(0.355, 0.385) * smaller
    scalp = rng.uniform(0.018, 0.03)
    atrophy = rng.uniform(0.6, 1.6)
    canvas.rng = np.random.default_rng((*seed, 2, round(1000 * position)))

    def shell(parent: Region, tissue: str, depth: float) -> Region:
        return canvas.draw(parent, levels[tissue], (0.0, 0.0), (width - depth, length - depth))

    head = shell(canvas.background, "muscle", 0.0)
    fat = shell(head, "scalp", 0.006)
    outer_table = shell(fat, "skull", scalp)
    diploe = shell(outer_table, "diploe", scalp + 0.009)
    inner_table = shell(diploe, "skull", scalp + 0.018)
    depth = scalp + 0.027
    subarachnoid = shell(inner_table, "fluid", depth)
    depth += 0.006 + 0.004 * atrophy
    cortex = shell(subarachnoid, "grey", depth)
    ribbon = 0.02
    white = shell(cortex, "white", depth + ribbon)
    brain = (width - depth, length - depth)
    canvas.draw(inner_table, levels["vessel"], (length - scalp - 0.0225, 0.0), (0.007, 0.003))
    _fissures(canvas, white, levels, brain, ribbon)
    if position < 0.55:
        _deep_structures(canvas, white, levels, position, atrophy)
    else:
        _high_ventricles(canvas, white, levels, position, atrophy)
    _folds(canvas, cortex, white, levels, brain, ribbon, atrophy)
    _texture(canvas, white, cortex, fat, diploe, levels, contrast)
    still = canvas.ellipses()
    nothing = canvas.ellipses(len(canvas))
    # Not every case has lesions.
    brightest = max(level for tissue, level in levels.items() if tissue != "lesion")
    return Scene(still, (nothing,) * frames, brightest)


def _fissures(
    canvas: Canvas,
    white: Region,
    levels: dict[str, float],
    brain: tuple[float, float],
    ribbon: float,
) -> None:
    """The cleft between the hemispheres, in front and behind, lined with cortex."""
    end = brain[1] - ribbon
    for sign, half in ((-1, 0.085), (1, 0.075)):
        place = (sign * (end - half - 0.006), 0.0)
        lining = canvas.draw(white, levels["grey"], place, (half, 0.019), np.pi / 2)
        cleft = canvas.draw(lining, levels["fluid"], place, (half - 0.003, 0.0055), np.pi / 2)
        canvas.draw(cleft, 0.5 * levels["vessel"], place, (half - 0.012, 0.001), np.pi / 2)


def _deep_structures(
    canvas: Canvas, white: Region, levels: dict[str, float], position: float, atrophy: float
) -> None:
    """Ventricles with caudate, thalamus, putamen and insula on either side."""
    rng = canvas.rng
    swelling = 0.75 + 0.25 * atrophy
    third = (0.055 - 0.01 * position, 0.004 * swelling)
    canvas.draw(white, levels["fluid"], (0.045, 0.0), third, np.pi / 2)
    for side in (-1.0, 1.0):
        lean = np.pi / 2 + side * rng.uniform(0.28, 0.42)
        horn = (-0.085, side * 0.036)
        axes = (0.05 * swelling + 0.02 * position, 0.013 * swelling)
        canvas.draw(white, levels["fluid"], horn, axes, lean)
        caudate = (-0.078, side * 0.070)
        canvas.draw(white, levels["nucleus"], caudate, (0.045, 0.015), lean)
        thalamus = canvas.draw(
            white, levels["nucleus"], (0.042, side * 0.046), (0.05, 0.033), lean - side * 0.75
        )
        canvas.scatter(thalamus, (0.88, 1.12), 6, (0.005, 0.012))
        trigone = (0.155, side * 0.098)
        back = (0.06 * swelling, 0.016 * swelling)
        chamber = canvas.draw(white, levels["fluid"], trigone, back, np.pi / 2 - side * 0.45)
        plexus = 0.7 * levels["grey"] + 0.3 * levels["fluid"]
        canvas.draw(chamber, plexus, (0.14, side * 0.092), (0.014, 0.006), np.pi / 2 - side * 0.5)
        putamen = (-0.015, side * rng.uniform(0.121, 0.127))
        upright = np.pi / 2 + side * rng.uniform(0.1, 0.2)
        body = canvas.draw(white, levels["nucleus"], putamen, (0.062, 0.018), upright)
        canvas.scatter(body, (0.9, 1.15), 5, (0.004, 0.008))
        pallidum = (0.0, side * 0.097)
        shade = 0.5 * (levels["nucleus"] + levels["white"])
        canvas.draw(white, shade, pallidum, (0.032, 0.007), upright)
        insula = (-0.01, side * 0.183)
        lining = canvas.draw(white, levels["grey"], insula, (0.085, 0.022), upright)
        cleft = (0.075 * lining.fitted, 0.006 * swelling)
        canvas.draw(lining, levels["fluid"], insula, cleft, upright)
        opening = (0.02, side * 0.232)
        lining = canvas.draw(white, levels["grey"], opening, (0.028, 0.016), side * 0.25)
        canvas.draw(lining, levels["fluid"], opening, (0.024, 0.004 * swelling), side * 0.25)


def _high_ventricles(
    canvas: Canvas, white: Region, levels: dict[str, float], position: float, atrophy: float
) -> None:
    """The bodies of the side ventricles, long and narrow, gone towards the vertex."""
    if position > 0.85:
        return
    swelling = 0.75 + 0.25 * atrophy
    length = 0.13 - 0.1 * (position - 0.55)
    for side in (-1.0, 1.0):
        place = (0.01, side * 0.033)
        axes = (length, 0.015 * swelling)
        canvas.draw(white, levels["fluid"], place, axes, np.pi / 2 - side * 0.12)


def _folds(
    canvas: Canvas,
    cortex: Region,
    white: Region,
    levels: dict[str, float],
    brain: tuple[float, float],
    ribbon: float,
    atrophy: float,
) -> None:
    """Sulci: fluid-filled clefts lined with cortex, from the surface into white matter."""
    rng = canvas.rng
    count = int(rng.integers(46, 54))
    turns = (np.arange(count) + rng.uniform(-0.3, 0.3, count)) * 2 * np.pi / count
    for number, turn in enumerate(turns):
        normal = np.arctan2(np.sin(turn) / brain[1], np.cos(turn) / brain[0])
        surface = np.array([brain[1] * np.sin(turn), brain[0] * np.cos(turn)])
        inward = -np.array([np.sin(normal), np.cos(normal)])
        angle = float(normal + rng.uniform(-0.2, 0.2))
        cleft = rng.uniform(0.0018, 0.0034) * atrophy
        at_surface = surface + inward * ribbon / 2
        canvas.draw(
            cortex, levels["fluid"], (at_surface[0], at_surface[1]), (ribbon / 2 - 0.003, cleft),
            float(normal),
        )  # fmt: skip
        half = rng.uniform(0.035, 0.055) if number % 2 else rng.uniform(0.018, 0.03)
        middle = surface + inward * (ribbon + half + 0.0045)
        place = (float(middle[0]), float(middle[1]))
        lining = canvas.draw(
            white, levels["grey"], place, (half, rng.uniform(0.0105, 0.014)), angle
        )
        canvas.draw(lining, levels["fluid"], place, (half - 0.004, cleft), angle)
        if number % 2:
            side = float(rng.choice((-1.0, 1.0)))
            tip = middle + inward * (half + 0.018)
            deep = (float(tip[0]), float(tip[1]))
            canvas.draw(white, levels["grey"], deep, (0.02, 0.009), angle + side * 0.9)


def _texture(
    canvas: Canvas,
    white: Region,
    cortex: Region,
    fat: Region,
    diploe: Region,
    levels: dict[str, float],
    contrast: str,
) -> None:
    rng = canvas.rng
    canvas.scatter(white, (0.9, 1.1), 60, (0.006, 0.025), slimness=(0.2, 0.7))
    canvas.scatter(white, (0.75, 1.3), 25, (0.0025, 0.008), slimness=(0.2, 0.5))
    canvas.scatter(cortex, (0.85, 1.15), 30, (0.003, 0.008))
    canvas.scatter(diploe, (0.5, 1.3), 20, (0.003, 0.01), slimness=(0.2, 0.5))
    canvas.scatter(fat, (0.3, 0.8), 24, (0.004, 0.02), slimness=(0.15, 0.4))
    lesion = levels["lesion"] / levels["white"]
    if contrast != "AXT1" or rng.random() < 0.5:
        canvas.scatter(white, (0.85 * lesion, lesion), int(rng.integers(0, 7)), (0.004, 0.012))
