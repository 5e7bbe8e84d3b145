"""Cardiac cine in short-axis view: a chest with a beating heart."""

import numpy as np

from jaxrecon.data.anatomy.canvas import Canvas, Region
from jaxrecon.data.anatomy.scene import Scene, jittered

# Relative signal of the tissues. In balanced steady-state cine, blood and fat are bright; after a
# double inversion (black blood), flowing blood is dark.
CONTRASTS = {
    "cine_sax": {
        "blood": 0.95, "fat": 0.80, "muscle": 0.26, "myocardium": 0.33, "lung": 0.05,
        "liver": 0.42, "spleen": 0.50, "stomach": 0.24, "marrow": 0.42, "cortex": 0.08,
        "fluid": 1.00,
    },
    "black_blood": {
        "blood": 0.07, "fat": 0.95, "muscle": 0.36, "myocardium": 0.52, "lung": 0.04,
        "liver": 0.40, "spleen": 0.58, "stomach": 0.34, "marrow": 0.55, "cortex": 0.06,
        "fluid": 0.45,
    },
}  # fmt: skip


def contraction(phase: float) -> float:
    """How far the ventricles are contracted, 0 to 1, at a phase of the cardiac cycle in [0, 1).

    They contract for the first third of the cycle, relax until about 0.75 and then rest.
    """
    if phase < 0.35:
        return float(np.sin(np.pi / 2 * phase / 0.35) ** 2)
    if phase < 0.75:
        return float(np.cos(np.pi / 2 * (phase - 0.35) / 0.40) ** 2)
    return 0.0


def draw(seed: tuple[int, ...], contrast: str, position: float, frames: int, reach: float) -> Scene:
    """One slice of one case, over the cardiac cycle.

    Args:
        seed: of the case; all its slices share it.
        contrast: key of `CONTRASTS`.
        position: of the slice, from 0 (base) to 1 (apex).
        frames: images over one cycle.
        reach: the canvas' rows go from -reach to reach.

    Returns:
        The chest, which stands still, and the heart in each frame.
    """
    body = np.random.default_rng((*seed, 1))
    levels = jittered(body, CONTRASTS[contrast], 0.08)
    heart = {
        "radius": body.uniform(0.098, 0.122),
        "cavity": body.uniform(0.60, 0.69),
        "ejection": body.uniform(0.30, 0.42),
        "thickness": body.uniform(0.55, 0.95),
        "septum": np.pi + body.uniform(0.1, 0.9),
        "roundness": body.uniform(0.94, 1.0),
        "papillary": body.uniform(0.13, 0.18),
    }
    # Towards the apex the heart narrows like an ellipsoid cut across.
    heart["radius"] *= float(np.sqrt(1 - (0.86 * position) ** 2))
    heart["thickness"] *= 1 - 0.75 * position
    centre = (body.uniform(-0.15, -0.12), body.uniform(0.05, 0.11))
    canvas = Canvas(body, reach)
    canvas.origin = (body.uniform(-0.015, 0.015), body.uniform(-0.02, 0.02))
    canvas.tilt = body.uniform(-0.25, 0.25)
    canvas.size = body.uniform(0.95, 1.06)
    sac = _chest(canvas, levels, position, centre, heart)
    still = canvas.ellipses()
    moving = []
    for frame in range(frames):
        # The same draws in every frame: the fine structure moves with the wall.
        beating = canvas.copy(np.random.default_rng((*seed, 2, round(1000 * position))))
        _heart(beating, sac, levels, centre, heart, contraction(frame / frames), position)
        moving.append(beating.ellipses(len(canvas)))
    return Scene(still, tuple(moving), max(levels.values()))


def _ventricles(
    centre: tuple[float, float], heart: dict[str, float], squeeze: float
) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Centre, semi-axes and outer radius of the left ventricle of the ellipse around both cavities.

    Its end touches the left ventricle with the ventricle's own curvature (across^2 / along =
    radius), so that the right cavity becomes a crescent that wraps round the septum.
    """
    radius = heart["radius"] * (1 - 0.07 * squeeze)
    across = radius * (1.04 + 0.22 * heart["thickness"] * (1 - 0.25 * squeeze))
    along = across * across / (1.004 * radius)
    shift = along - 1.012 * radius
    direction = heart["septum"]
    middle = (centre[0] + shift * np.sin(direction), centre[1] + shift * np.cos(direction))
    return middle, (along, across), radius


def _chest(
    canvas: Canvas,
    levels: dict[str, float],
    position: float,
    centre: tuple[float, float],
    heart: dict[str, float],
) -> Region:
    """All that stands still; returns the fat of the pericardium, in which the heart is drawn."""
    rng = canvas.rng
    fat = rng.uniform(0.02, 0.05)
    body = canvas.draw(canvas.background, levels["fat"], (0.0, 0.0), (0.455, 0.425))
    wall = canvas.draw(body, levels["muscle"], (0.2 * fat - 0.006, 0.0), (0.45 - fat, 0.425 - fat))
    cavity_axes = (0.385 - fat, 0.325 - 0.6 * fat)
    cavity = canvas.draw(wall, levels["lung"], (-0.055, 0.0), cavity_axes)
    middle, (along, across), _ = _ventricles(centre, heart, 0.0)
    sac = canvas.draw(
        cavity, levels["fat"] * 0.8, middle, (along + 0.026, across + 0.024), heart["septum"]
    )
    _abdomen(canvas, cavity, levels, position, (cavity_axes[1] - 0.055, cavity_axes))
    _spine_and_ribs(canvas, wall, levels)
    aorta_place = (0.6 * cavity_axes[1] - 0.055, 0.62 * cavity_axes[0])
    lined = (levels["muscle"], levels["blood"])
    canvas.draw_lined(cavity, lined, aorta_place, (0.027, 0.026), 0.005)

    if position < 0.35:
        beyond = along + 0.085
        place = (
            middle[0] + beyond * np.sin(heart["septum"]),
            middle[1] + beyond * np.cos(heart["septum"]),
        )
        lined = (levels["myocardium"], 0.9 * levels["blood"])
        atrium = canvas.draw_lined(cavity, lined, place, (0.065, 0.05), 0.005, 1.2)
        canvas.scatter(atrium, (0.6, 1.0), 8, (0.004, 0.012))

    def along_wall(row: float, column: float) -> float:
        return float(np.arctan2(row, column) + np.pi / 2)

    canvas.scatter(cavity, (6.0, 14.0), 9, (0.01, 0.02), slimness=(0.5, 0.9))
    canvas.scatter(cavity, (3.0, 9.0), 60, (0.003, 0.016), slimness=(0.2, 0.6))
    canvas.scatter(wall, (1.8, 3.0), 16, (0.03, 0.07), slimness=(0.05, 0.1), direction=along_wall)
    canvas.scatter(wall, (0.6, 2.4), 50, (0.006, 0.03), slimness=(0.1, 0.3), direction=along_wall)
    canvas.scatter(body, (0.35, 0.8), 40, (0.006, 0.03), slimness=(0.1, 0.3), direction=along_wall)
    return sac


def _abdomen(
    canvas: Canvas,
    cavity: Region,
    levels: dict[str, float],
    position: float,
    floor: tuple[float, tuple[float, float]],
) -> None:
    """Below the diaphragm: liver, stomach and spleen in fat; more of them towards the apex.

    `floor` is the lowest row of the cavity and the cavity's semi-axes, whose curvature there
    bounds that of what lies on it.
    """
    rng = canvas.rng
    lowest, (wide, high) = floor
    height = rng.uniform(0.105, 0.12) + 0.015 * position
    width = 0.97 * float(np.sqrt(height / high)) * wide
    base = (lowest - height - 0.006, 0.0)
    belly = canvas.draw(cavity, levels["fat"] * 0.75, base, (width, height))
    liver_place = (base[0] + 0.05 * height, -0.48 * width)
    liver_axes = (0.40 * width, 0.66 * height)
    liver = canvas.draw(belly, levels["liver"], liver_place, liver_axes, rng.uniform(-0.1, 0.2))
    canvas.scatter(liver, (1.3, 2.2), 16, (0.004, 0.016), slimness=(0.25, 0.8))
    canvas.scatter(liver, (0.75, 1.2), 12, (0.008, 0.02))
    stomach_place = (base[0] - rng.uniform(0.0, 0.2) * height, 0.17 * width)
    stomach_axes = (0.22 * width, 0.55 * height)
    turn = rng.uniform(-0.4, 0.4)
    stomach = canvas.draw(belly, levels["stomach"], stomach_place, stomach_axes, turn)
    filling = (0.16 * width, 0.38 * height)
    content = canvas.draw(stomach, rng.uniform(1.5, 3) * levels["stomach"], stomach_place, filling)
    canvas.scatter(content, (0.6, 1.3), 8, (0.004, 0.012))
    spleen_place = (base[0] + 0.05 * height, 0.65 * width)
    spleen_axes = (0.45 * height, 0.2 * width)
    turn = rng.uniform(1.2, 1.7)
    spleen = canvas.draw(belly, levels["spleen"], spleen_place, spleen_axes, turn)
    canvas.scatter(spleen, (0.8, 1.2), 6, (0.006, 0.012))
    canvas.scatter(belly, (0.3, 1.3), 50, (0.005, 0.02), slimness=(0.2, 0.8))


def _spine_and_ribs(canvas: Canvas, wall: Region, levels: dict[str, float]) -> None:
    rng = canvas.rng
    bone = (levels["cortex"], levels["marrow"])
    marrow = canvas.draw_lined(wall, bone, (0.318, 0.0), (0.052, 0.037), 0.006)
    canvas.scatter(marrow, (0.75, 1.3), 14, (0.004, 0.012))
    lined = (levels["cortex"], levels["fluid"])
    canal = canvas.draw_lined(wall, lined, (0.368, 0.0), (0.022, 0.013), 0.004)
    canvas.draw(canal, 0.6 * levels["fluid"], (0.368, 0.0), (0.009, 0.005))
    for angle in np.linspace(0, 2 * np.pi, 17)[:-1] + rng.uniform(-0.2, 0.2):
        if abs(angle - np.pi / 2) < 0.45:
            continue
        place = (-0.025 + 0.348 * np.sin(angle), 0.381 * np.cos(angle))
        tangent = np.arctan2(0.348 * np.cos(angle), -0.381 * np.sin(angle))
        canvas.draw_lined(wall, bone, place, (rng.uniform(0.018, 0.034), 0.0095), 0.004, tangent)


def _heart(
    canvas: Canvas,
    sac: Region,
    levels: dict[str, float],
    centre: tuple[float, float],
    heart: dict[str, float],
    squeeze: float,
    position: float,
) -> None:
    """Both ventricles at one moment of the cycle."""
    rng = canvas.rng
    middle, (along, across), radius = _ventricles(centre, heart, squeeze)
    direction = heart["septum"]
    muscle = canvas.draw(
        sac, levels["myocardium"], middle, (along + 0.009, across + 0.009), direction
    )
    # Both shapes touch the one around them at a point, inside it by construction.
    right = canvas.draw(muscle, levels["blood"], middle, (along, across), direction, margin=0.0)
    round_to = (radius, radius * heart["roundness"])
    left = canvas.draw(right, levels["myocardium"], centre, round_to, direction, margin=0.0)
    cavity = radius * heart["cavity"] * (1 - heart["ejection"] * squeeze)
    pool = canvas.draw(
        left, levels["blood"], centre, (cavity, cavity * heart["roundness"]), direction
    )

    def around(angle: float, distance: float) -> tuple[float, float]:
        return centre[0] + distance * np.sin(angle), centre[1] + distance * np.cos(angle)

    thickness = heart["papillary"] * radius * (1 - 0.5 * position)
    for side in (-1.0, 1.0):
        angle = direction + np.pi + side * rng.uniform(0.7, 1.1)
        place = around(angle, 0.66 * cavity)
        canvas.draw(pool, levels["myocardium"], place, (1.2 * thickness, 0.9 * thickness), angle)
    for angle in rng.uniform(0, 2 * np.pi, 16):
        size = rng.uniform(0.02, 0.06) * radius
        place = around(angle, cavity * rng.uniform(0.84, 0.93))
        canvas.draw(pool, rng.uniform(0.5, 0.75) * levels["blood"], place, (2 * size, size), angle)
    for angle in rng.uniform(0, 2 * np.pi, 14):
        depth = cavity + (radius - cavity) * rng.uniform(0.2, 0.8)
        shade = levels["myocardium"] * rng.uniform(0.72, 1.3)
        long = rng.uniform(0.05, 0.14) * radius
        canvas.draw(left, shade, around(angle, depth), (long, 0.3 * long), angle + np.pi / 2)
    for turn, distance, size in rng.uniform((-1.1, 1.08, 0.04), (1.1, 1.5, 0.1), (14, 3)):
        shade = levels["blood"] * rng.uniform(0.35, 0.7)
        spread = 1 + (distance - 1) * heart["thickness"] * (1 - 0.25 * squeeze)
        place = around(direction + turn, radius * spread)
        canvas.draw(right, shade, place, (size * radius, 0.4 * size * radius), rng.uniform(0, 3.1))
    for turn in (-1.7, 1.7, rng.uniform(2.4, 3.8)):
        groove = around(direction + turn, 1.1 * radius + 0.012)
        canvas.draw(sac, 0.25 * levels["fat"], groove, (0.006, 0.005))
