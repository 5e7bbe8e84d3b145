"""Trajectories made by hand: two clusters of references and a path from one to the other."""

from pathlib import Path

import numpy as np

from jaxrecon.priors.semantic_prior import References
from jaxrecon.priors.trajectory import Trajectory
from jaxrecon.reporting.embedding_map import PCA, embedding_map
from jaxrecon.reporting.shown_trajectory import ShownTrajectory

LEVELS = {"layer1": 12, "layer7": 16}


def clusters(count, width, *, seed=0):
    """Directions about two orthogonal axes: positives about the first, negatives the second."""
    generator = np.random.default_rng(seed)
    centres = np.eye(width)[:2]
    return References(
        *(
            (centre + 0.05 * generator.normal(size=(count, width))).astype(np.float32)
            for centre in centres
        )
    )


def path(kept, slices, width, *, seed=0):
    """From the negatives' centre to the positives', a little noise on it."""
    generator = np.random.default_rng(seed)
    positive, negative = np.eye(width)[:2]
    place = np.linspace(0, 1, kept)[:, None, None]
    noise = 0.01 * generator.normal(size=(kept, slices, width))
    return (positive * place + negative * (1 - place) + noise).astype(np.float32)


def made(
    method="inr_semantic", *, kept=6, slices=2, shape=(32, 24), prior=True, answers=True, seed=0,
    target=True, prompt="Is this image high-quality or low-quality?", noise=0.0, references=25,
):  # fmt: skip
    """A disc that becomes sharper from step to step."""
    generator = np.random.default_rng(seed)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    radius = np.hypot(rows - shape[0] / 2, columns - shape[1] / 2)
    truth = np.stack([(radius < 4 + 3 * i).astype(np.float32) for i in range(1, slices + 1)])
    aliased = (0.5 * truth + 0.5 * np.roll(truth, shape[1] // 3, 2)).astype(np.float32)
    blend = np.linspace(0, 1, kept, dtype=np.float32)[:, None, None, None]
    images = aliased * (1 - blend) + truth * blend
    images = np.abs(images + noise * generator.normal(size=images.shape)).astype(np.float32)
    falling = np.linspace(1, 0.1, kept, dtype=np.float32)[:, None] * np.ones(slices, np.float32)
    losses = {"data": 10 * falling**3, "tv": 3 * falling}
    levels = LEVELS if prior else {}
    if prior:
        losses |= {
            "semantic": falling,
            **{f"semantic/{level}": falling * (1 + place) for place, level in enumerate(levels)},
        }
    words = ("Low-quality", "High-quality")
    return Trajectory(
        method=method,
        titles=tuple(f"knee.h5, slice {i}" for i in range(slices)),
        steps=100 * np.arange(kept),
        images=images,
        losses=losses,
        embeddings={level: path(kept, slices, width) for level, width in levels.items()},
        references={level: clusters(references, width) for level, width in levels.items()},
        answers=tuple((words[2 * k >= kept],) * slices for k in range(kept)) if answers else (),
        zero_filled=aliased,
        target=truth if target else None,
        provenance={"prior": {"name": "random encoder (seed 0)", "prompt": prompt}},
    )


def shown(trajectory, place=0):
    """As a report shows it, its maps by principal components."""
    maps = tuple(
        embedding_map(trajectory, level, place, projection=PCA) for level in trajectory.embeddings
    )
    title = f"{trajectory.method}, {trajectory.titles[place]}"
    return ShownTrajectory(Path("scan/trajectory.h5"), trajectory, place, title, maps)
