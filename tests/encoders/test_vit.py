import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util

from jaxrecon.encoders.spec import IMAGENET, PUBLISHED, ViTSpec
from jaxrecon.encoders.store import Encoder, place_encoder, random_encoder
from jaxrecon.encoders.vit import VisionTransformer, frozen_shapes, patch_map
from jaxrecon.errors import InputError

SMALL = ViTSpec(
    width=48,
    depth=4,
    heads=3,
    mlp_width=96,
    patch=8,
    image_size=32,
    class_token=True,
    embedding_norm=False,
    layer_scale=True,
    patch_bias=True,
    activation="gelu",
    epsilon=1e-6,
)


def lively(spec, layers, image_size, seed=0) -> Encoder:
    """Random weights large enough for every part to count, as in a trained encoder."""
    encoder = random_encoder(spec, IMAGENET, layers, image_size, seed=seed)
    flat = traverse_util.flatten_dict(encoder.parameters)
    rng = np.random.default_rng(seed)
    for path, value in flat.items():
        scale = len(value) ** -0.5 if path[-1] == "kernel" else 0.1
        noise = scale * rng.normal(size=value.shape)
        flat[path] = (value + noise if "scale" in path[-1] else noise).astype(np.float32)
    return dataclasses.replace(encoder, parameters=traverse_util.unflatten_dict(flat))


def pixels(batch=2, size=32):
    return jnp.asarray(np.random.default_rng(1).normal(size=(batch, size, size, 3)), jnp.float32)


def test_only_the_layers_asked_for_exist():
    shapes = frozen_shapes(PUBLISHED["clip_vit_b16"].spec, (1, 2, 3, 4, 5, 6), 224)
    blocks = {path.split("/")[0] for path in shapes if path.startswith("block")}
    assert blocks == {f"block{i}" for i in range(6)}
    assert shapes["positions"] == (197, 768)
    assert sum(np.prod(shape) for shape in shapes.values()) == (
        16 * 16 * 3 * 768 + 198 * 768 + 2 * 768 + 6 * (12 * 768**2 + 13 * 768)
    )


def test_only_the_layers_asked_for_are_computed():
    def flops(spec, layers):
        network = VisionTransformer(spec, layers, 32)
        parameters = random_encoder(spec, IMAGENET, layers, 32).parameters
        compiled = jax.jit(network.apply).lower({"frozen": parameters}, pixels()).compile()
        return compiled.cost_analysis()["flops"]

    shallow = dataclasses.replace(SMALL, depth=2)
    assert flops(SMALL, (1, 2)) == flops(shallow, (1, 2))
    assert flops(SMALL, (4,)) > 1.8 * flops(SMALL, (2,))


def test_hidden_states_do_not_depend_on_which_others_are_asked_for():
    encoder = lively(SMALL, (4,), 32)
    apply = {"frozen": encoder.parameters}
    every = VisionTransformer(SMALL, (0, 1, 2, 3, 4), 32).apply(apply, pixels())
    some = VisionTransformer(SMALL, (4, 1), 32).apply(apply, pixels())
    np.testing.assert_array_equal(some[0], every[4])
    np.testing.assert_array_equal(some[1], every[1])
    assert not np.allclose(every[1], every[2], atol=0.1)


@pytest.mark.parametrize("class_token", [True, False])
def test_patches_keep_their_place_in_the_map(class_token):
    spec = dataclasses.replace(SMALL, class_token=class_token)
    encoder = lively(spec, (0,), 32)
    network = VisionTransformer(spec, (0,), 32)
    images = pixels(1)
    changed = images.at[:, 8:16, 24:32].add(1.0)  # the patch in row 1, column 3
    before, after = (
        patch_map(network.apply({"frozen": encoder.parameters}, x)[0], spec)
        for x in (images, changed)
    )
    assert before.shape == (1, 4, 4, 48)
    differs = np.any(np.asarray(before != after), axis=-1)[0]
    np.testing.assert_array_equal(np.argwhere(differs), [[1, 3]])


def test_the_gradient_of_the_input_matches_finite_differences():
    with jax.enable_x64(True):
        encoder = lively(SMALL, (1, 3), 32)
        network = VisionTransformer(SMALL, (1, 3), 32, jnp.float64)
        images, step = np.random.default_rng(0).normal(size=(2, 1, 32, 32, 3))
        weights = jnp.asarray(np.random.default_rng(1).normal(size=(2, 1, 17, 48)))

        @jax.jit
        def score(images):
            return jnp.sum(
                weights * jnp.stack(network.apply({"frozen": encoder.parameters}, images))
            )

        gradient = jax.grad(score)(jnp.asarray(images))
        analytic = np.sum(gradient * step)
        assert abs(analytic) > 0.01 * np.linalg.norm(gradient)
        # The softmax is float32 whatever the dtype, hence no smaller step.
        numeric = (score(images + 1e-3 * step) - score(images - 1e-3 * step)) / 2e-3
        np.testing.assert_allclose(analytic, numeric, rtol=1e-3)


class Step(nn.Module):
    """A stand-in for a cascade whose refinement looks through the encoder."""

    @nn.compact
    def __call__(self, image, _):
        states = VisionTransformer(SMALL, (1, 2), 32, name="encoder")(image)
        weight = self.param("weight", nn.initializers.normal(), (48, 192))
        change = patch_map(states[1], SMALL) @ weight
        change = change.reshape(-1, 4, 4, 8, 8, 3).swapaxes(2, 3).reshape(image.shape)
        return image + change, None


class Unrolled(nn.Module):
    length: int

    @nn.compact
    def __call__(self, image):
        scanned = nn.scan(
            nn.remat(Step, prevent_cse=False),
            variable_axes={"params": 0},
            variable_broadcast="frozen",
            split_rngs={"params": True},
            length=self.length,
        )
        return scanned(name="steps")(image, None)[0]


def test_steps_of_a_scan_share_the_encoder_and_pass_its_gradient_on():
    encoder = lively(SMALL, (1, 2), 32)
    network = Unrolled(3)
    variables = jax.jit(network.init)(jax.random.key(0), pixels())
    assert variables["params"]["steps"]["weight"].shape == (3, 48, 192)
    scanned = jax.jit(network.apply)
    assert np.isnan(scanned(variables, pixels())).all()  # nothing was loaded yet
    variables = place_encoder(variables, encoder)
    found = traverse_util.flatten_dict(variables["frozen"]["steps"]["encoder"], sep="/")
    for path, value in traverse_util.flatten_dict(encoder.parameters, sep="/").items():
        np.testing.assert_array_equal(found[path], value)

    def one_by_one(image):
        for i in range(3):
            weight = variables["params"]["steps"]["weight"][i]
            step = {"params": {"weight": weight}, "frozen": variables["frozen"]["steps"]}
            image = Step().apply(step, image, None)[0]
        return image

    found, expected = scanned(variables, pixels()), jax.jit(one_by_one)(pixels())
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)

    def gradient(unroll):
        return jax.jit(jax.grad(lambda image: jnp.sum(unroll(image) ** 2)))(pixels())

    found = gradient(lambda image: network.apply(variables, image))
    expected = gradient(one_by_one)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_bfloat16_comes_close_with_half_the_memory():
    encoder = lively(SMALL, (2, 4), 32)
    expected = VisionTransformer(SMALL, (2, 4), 32).apply({"frozen": encoder.parameters}, pixels())
    network = VisionTransformer(SMALL, (2, 4), 32, jnp.bfloat16)
    variables = jax.eval_shape(network.init, jax.random.key(0), pixels())
    halves = random_encoder(SMALL, IMAGENET, (2, 4), 32, jnp.bfloat16)
    kernels = {
        path: leaf.dtype
        for path, leaf in traverse_util.flatten_dict(variables["frozen"], sep="/").items()
        if path.endswith("kernel")
    }
    assert set(kernels.values()) == {jnp.dtype(jnp.bfloat16)}
    place_encoder(variables, halves)  # of the same dtypes
    found = network.apply({"frozen": encoder.parameters}, pixels())
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == jnp.float32
        assert 1e-5 < np.abs(ours - theirs).max() / np.abs(theirs).max() < 2e-2


@pytest.mark.parametrize(
    ("layers", "size", "message"),
    [
        ((), 32, r"expected layers from 0 to 4 of ViT-48/8, found \(\)"),
        ((1, 5), 32, r"expected layers from 0 to 4 of ViT-48/8, found \(1, 5\)"),
        ((-1,), 32, r"found \(-1,\)"),
        ((1,), 36, "a multiple of the patch of ViT-48/8, 8 pixels, found 36"),
    ],
)
def test_impossible_requests_are_named(layers, size, message):
    with pytest.raises(InputError, match=message):
        frozen_shapes(SMALL, layers, size)
