import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxrecon.encoders.spec import ViTSpec
from jaxrecon.encoders.store import place_encoder
from jaxrecon.errors import InputError
from jaxrecon.models.build import build_model, model_inputs, open_frozen
from jaxrecon.models.foundation_denoiser import FoundationDenoiser, LayerFusion, resize_map
from jaxrecon.training.optimizer import make_optimizer
from jaxrecon.training.parameter_table import count_parameters
from jaxrecon.training.state import initial_state, make_train_step

OPTIMIZER = {
    "learning_rate": 1e-3,
    "decay_epochs": (),
    "decay_factor": 0.1,
    "gradient_clip": 0.0,
}
SPEC = ViTSpec(
    width=12,
    depth=8,
    heads=2,
    mlp_width=24,
    patch=8,
    image_size=32,
    class_token=True,
    embedding_norm=False,
    layer_scale=False,
    patch_bias=True,
    activation="gelu",
    epsilon=1e-6,
)


def denoiser(**changes):
    return FoundationDenoiser(SPEC, widths=(8, 6, 5, 4), image_size=32, **changes)


def variables_of(network, image, seed=0):
    """Random parameters, and random encoder weights in place of its NaN."""
    rng = np.random.default_rng(seed)
    variables = network.init(jax.random.key(seed), image)

    def draw(leaf):
        return jnp.asarray(0.2 * rng.standard_normal(leaf.shape), leaf.dtype)

    return {**variables, "frozen": jax.tree.map(draw, variables["frozen"])}


def complex_image(height, width, seed=0):
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(2, 1, height, width))
    return jnp.asarray(parts[0] + 1j * parts[1], jnp.complex64)


def model_config(architecture="clip_vit_b16", cascades=12, **changes):
    refinement = {
        "name": "foundation_denoiser",
        "encoder": {
            "architecture": architecture,
            "weights": "random",
            "statistics": "imagenet",
            "seed": 0,
        },
        "layers": (1, 2, 3, 4, 5, 6),
        "skips": (5, 4, 3),
        "widths": (384, 192, 128, 64),
        "image_size": 224,
        "output_size": 0,
        "percentiles": (1.0, 99.0),
    }
    return {
        "name": "varnet",
        "cascades": cascades,
        "dtype": "float32",
        "sensitivity": {"channels": 8, "pools": 4},
        "refinement": refinement | changes,
    }


@pytest.mark.parametrize("architecture", ["clip_vit_b16", "dinov2_vit_b14", "biomedclip_vit_b16"])
def test_paper_a_has_56_million_trainable_parameters_and_six_shared_layers(architecture):
    model = build_model(model_config(architecture))
    shapes = jax.eval_shape(model.init, jax.random.key(0), *model_inputs())
    assert count_parameters(shapes["params"]) == 56_333_198
    encoder = shapes["frozen"]["cascades"]["refinement"]["encoder"]
    blocks = [name for name in encoder if name.startswith("block")]
    assert sorted(blocks) == [f"block{layer}" for layer in range(6)]
    assert encoder["block0"]["query"]["kernel"].shape == (768, 768)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (45, 38), (24, 64)])
@pytest.mark.parametrize("output_size", [0, 32])
def test_any_image_size_goes_in_and_comes_out(height, width, output_size):
    image = complex_image(height, width)
    network = denoiser(output_size=output_size)
    found = network.apply(variables_of(network, image), image)
    assert found.shape == image.shape
    assert found.dtype == jnp.complex64
    assert np.isfinite(found).all()


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
def test_the_result_has_the_scale_of_the_image(factor):
    image = complex_image(40, 36)
    network = denoiser()
    variables = variables_of(network, image)
    expected = factor * np.asarray(network.apply(variables, image))
    found = network.apply(variables, factor * image)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_constant_and_empty_images_give_finite_results_and_gradients():
    network = denoiser()
    variables = variables_of(network, complex_image(32, 32))

    def total(variables, image):
        return jnp.sum(jnp.square(jnp.abs(network.apply(variables, image) + 1)))

    for image in (jnp.zeros((1, 32, 32), jnp.complex64), jnp.full((1, 32, 32), 1 + 2j)):
        value, gradient = jax.value_and_grad(total)(variables, image.astype(jnp.complex64))
        assert np.isfinite(value)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient["params"]))


def test_the_whole_network_has_the_scale_of_the_kspace():
    config = model_config("dinov2_vit_s14", 2, widths=(8, 8, 8, 8), image_size=28)
    config["sensitivity"] = {"channels": 2, "pools": 1}
    model = build_model(config)
    rng = np.random.default_rng(0)
    kspace, _, acs = model_inputs(2, 32, 32)
    samples = rng.normal(size=(2, *kspace.shape))
    columns = np.arange(32)
    mask = jnp.asarray((columns % 4 == 0) | (np.abs(columns - 16) < 4))[None, None]
    kspace = jnp.asarray((samples[0] + 1j * samples[1]) * mask[:, None], jnp.complex64)
    variables = model.init(jax.random.key(0), kspace, mask, acs + 7)
    variables = place_encoder(variables, open_frozen(config))
    apply = jax.jit(model.apply)
    image = np.float64(apply(variables, kspace, mask, acs + 7))
    silent = jax.tree.map(jnp.zeros_like, variables["frozen"])
    blind = apply({**variables, "frozen": silent}, kspace, mask, acs + 7)
    assert np.abs(image - blind).max() > 1e-3 * image.max()  # The encoder has a say.
    for factor in (1e-6, 1e-3, 1e3, 1e6):
        found = apply(variables, kspace * factor, mask, acs + 7)
        assert np.abs(found - factor * image).max() <= 1e-4 * factor * image.max(), factor


def _attention(query, key, value):
    scores = jnp.einsum("bqhc,bkhc->bhqk", query, key) / np.sqrt(query.shape[-1])
    return jnp.einsum("bhqk,bkhc->bqhc", jax.nn.softmax(scores), value)


def test_the_gradient_passes_through_the_encoder_to_the_image(monkeypatch):
    """With the decoder's other inputs cut off, what is left is the encoder's path."""
    # jax's own attention takes the softmax in float32 whatever it is given.
    monkeypatch.setattr(jax.nn, "dot_product_attention", _attention)
    with jax.enable_x64(True):
        image, direction = (complex_image(32, 32, seed).astype(jnp.complex128) for seed in (0, 1))
        network = denoiser(dtype=jnp.float64)
        variables = variables_of(network, image)
        silent = jax.tree.map(jnp.zeros_like, variables["params"]["input_skip"])
        cut = {**variables, "params": {**variables["params"], "input_skip": silent}}
        encoderless = {**cut, "frozen": jax.tree.map(jnp.zeros_like, variables["frozen"])}

        @jax.jit
        def along(t, variables):
            moved = network.apply(variables, image + t * direction)
            return jnp.sum(jnp.square(jnp.abs(moved)))

        gradient, without = (jax.grad(along)(0.0, given) for given in (cut, encoderless))
        assert abs(gradient - without) > 0.1 * abs(gradient)
        # ReLUs and the clipping at the percentiles make the path a broken line: a small step.
        step = 3e-7
        difference = (along(step, cut) - along(-step, cut)) / (2 * step)
        np.testing.assert_allclose(gradient, difference, rtol=1e-6)


def test_a_training_step_leaves_every_bit_of_the_encoder_and_learns():
    config = model_config("dinov2_vit_s14", 2, widths=(8, 8, 8, 8), image_size=28)
    config["sensitivity"] = {"channels": 2, "pools": 1}
    model = build_model(config)
    optimizer = make_optimizer(OPTIMIZER, 1)
    state = initial_state(model, optimizer, 0)
    state = state.replace(variables=place_encoder(state.variables, open_frozen(config)))
    rng = np.random.default_rng(0)
    kspace, mask, acs = model_inputs(2, 32, 32)
    samples = rng.normal(size=(2, *kspace.shape))
    batch = {
        "kspace": jnp.asarray(samples[0] + 1j * samples[1], jnp.complex64),
        "mask": ~mask,
        "acs": acs + 8,
        "target": jnp.asarray(rng.random((1, 32, 32)), jnp.float32),
        "data_range": jnp.ones(1),
        "crop": jnp.array([[32, 32]]),
        "weight": jnp.ones(1),
    }
    step = jax.jit(make_train_step(model, optimizer))
    after, scalars = step(state, batch)
    assert np.isfinite(scalars["loss"])
    frozen = zip(
        jax.tree.leaves(state.variables["frozen"]),
        jax.tree.leaves(after.variables["frozen"]),
        strict=True,
    )
    for before, now in frozen:
        assert np.asarray(before).tobytes() == np.asarray(now).tobytes()
    moved = jax.tree.map(
        lambda a, b: bool((a != b).any()), state.variables["params"], after.variables["params"]
    )
    assert moved["cascades"]["refinement"]["fusion"]["logits"]
    assert moved["cascades"]["refinement"]["stage0"]["refine"]["kernel"]
    # Adam's two moments of the trainable parameters, and counters.
    floats = [
        leaf
        for leaf in jax.tree.leaves(after.optimizer_state)
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    ]
    assert sum(leaf.size for leaf in floats) == 2 * count_parameters(state.variables["params"])


def test_fusion_is_a_softmax_weighted_mean_of_layer_norms():
    rng = np.random.default_rng(0)
    hidden = [rng.normal(3, 2, size=(1, 4, 4, 10)).astype(np.float32) for _ in range(3)]
    logits = np.array([0.3, -1.0, 0.8], np.float32)
    variables = LayerFusion().init(jax.random.key(0), tuple(map(jnp.asarray, hidden)))
    variables["params"]["logits"] = jnp.asarray(logits)
    found = LayerFusion().apply(variables, tuple(map(jnp.asarray, hidden)))
    normed = [torch.nn.functional.layer_norm(torch.from_numpy(x), (10,)) for x in hidden]
    weights = torch.softmax(torch.from_numpy(logits), 0)
    expected = sum(w * x for w, x in zip(weights, normed, strict=True)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(14, 14), (28, 28), (33, 50), (128, 90)])
def test_resizing_equals_torch(height, width):
    x = np.random.default_rng(0).normal(size=(2, 14, 14, 3))
    # In float64: torch places the pixels of float32 images with float32 accuracy.
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(x).permute(0, 3, 1, 2), (height, width), mode="bilinear"
    )
    found = resize_map(jnp.asarray(x, jnp.float32), height, width)
    expected = expected.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": (8, 8)}, "refinement.widths: expected one more than the 3 skips, found 2"),
        ({"layers": (1, 13)}, "13"),
        ({"image_size": 100}, "100"),
        ({"percentiles": (99.0, 1.0)}, "percentiles"),
    ],
)
def test_bad_settings_are_named(change, message):
    with pytest.raises(InputError, match=message) as caught:
        jax.eval_shape(build_model(model_config(**change)).init, jax.random.key(0), *model_inputs())
    assert "\n" not in str(caught.value)


def test_missing_weights_name_the_command_that_makes_them(tmp_path):
    config = model_config()
    config["refinement"]["encoder"]["weights"] = str(tmp_path / "clip")
    with pytest.raises(InputError, match=r"python -m weight_conversion\.clip --source openai/clip"):
        open_frozen(config)


def test_a_network_without_an_encoder_has_none_to_open():
    config = model_config()
    config["refinement"] = {"name": "norm_unet", "channels": 2, "pools": 1}
    assert open_frozen(config) is None
