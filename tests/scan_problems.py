"""Small slices, experiments and a prior of one formula, for tests of fits to one scan."""

import functools

import jax.numpy as jnp
import numpy as np
from parallel_imaging import columns_mask, points_mask, scan

from jaxrecon.priors.semantic_prior import PriorLoss, References, SemanticPrior
from jaxrecon.scan_config import inr_config, unet_config, unrolled_config
from jaxrecon.weight_store import write_weights

LEVEL_WEIGHTS = (0.25, 1.0)
RANGE = 2.5  # of the small INR


@functools.cache
def slices(height=24, width=20, count=2, points=False, coils=3):
    """Undersampled k-space, masks and maps of some slices of a phantom, each with its own noise."""
    kspace, maps = scan(height, width, coils, count)
    mask = points_mask(height, width, 6) if points else columns_mask(width, 6)
    mask = jnp.repeat(mask[None], count, 0)
    return kspace * mask[:, None], mask, jnp.repeat(maps[None], count, 0)


def _short(config, fields):
    config.name, config.regulariser = "small", "tv"
    config.steps, config.report_every = 3, 10
    config.update(fields)
    return config


def small_inr(**fields):
    """An experiment with a small INR; `fields` are set in it."""
    config = inr_config()
    config.tv_steps = 2
    config.backbone.layers, config.backbone.features = 3, 16
    config.backbone.adaptor_features, config.backbone.range = 6, RANGE
    return _short(config, fields)


def small_unet(**fields):
    """An experiment with a small U-Net; `fields` are set in it."""
    config = unet_config()
    config.backbone.features = (4, 6)
    return _short(config, fields)


def small_unrolled(**fields):
    """An experiment with a small unrolled network; `fields` are set in it."""
    config = unrolled_config()
    config.backbone.features = (4, 6)
    config.backbone.stages, config.backbone.iterations = 2, 6
    return _short(config, fields)


def write_warm_start(folder, shapes, seed=0):
    """Random weights of a U-Net, by the "/"-joined paths of their shapes."""
    generator = np.random.default_rng(seed)
    flat = {path: generator.normal(0, 0.3, s).astype(np.float32) for path, s in shapes.items()}
    write_weights(folder, flat, {"architecture": "scan_unet"})
    return flat


def template_prior(height, width, redraw=None):
    """A prior of two levels: 1 less the squared cosine between an image and a template each."""
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    phases = [(1 + tilt) * x - tilt * y for tilt in (0.0, 1.0)]
    templates = np.exp(-2 * (x**2 + y**2) + 1j * np.array(phases))
    arrays = {"templates": templates.astype(np.complex64)}

    def loss(arrays, images):
        products = jnp.einsum("lhw,bhw->bl", jnp.conj(arrays["templates"]), images)
        power = jnp.sum(jnp.square(images.real) + jnp.square(images.imag), (1, 2))
        fixed = jnp.sum(jnp.abs(arrays["templates"]) ** 2, (1, 2))
        levels = 1 - jnp.abs(products) ** 2 / (power[:, None] * fixed)
        embeddings = {
            name: jnp.stack([products[:, i].real, products[:, i].imag], -1)
            for i, name in enumerate(("low", "high"))
        }
        return PriorLoss(levels @ jnp.array(LEVEL_WEIGHTS), levels, embeddings)

    one = np.zeros((1, 2), np.float32)
    return SemanticPrior(
        name="templates",
        is_random=False,
        levels=("low", "high"),
        arrays=arrays,
        loss=loss,
        references={name: References(one, one) for name in ("low", "high")},
        provenance={},
        redraw=redraw,
    )
