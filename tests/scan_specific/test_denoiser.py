import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from operator_checks import random_complex
from scan_problems import small_unet, small_unrolled, write_warm_start

from jaxrecon.errors import InputError
from jaxrecon.models.scan_unet import ScanUNet
from jaxrecon.scan_specific import unet, unrolled
from jaxrecon.scan_specific.denoiser import open_denoiser, read_warm_start, smallest_image

NETWORK = ScanUNet((4, 6))
BACKBONES = [(small_unet, unet.build_backbone), (small_unrolled, unrolled.build_backbone)]


def shapes_of(network):
    tree = jax.eval_shape(network.init, jax.random.key(0), smallest_image(network))["params"]
    return {path: leaf.shape for path, leaf in traverse_util.flatten_dict(tree, sep="/").items()}


@pytest.mark.parametrize("halves", [False, True])
def test_the_fields_describe_the_network(halves):
    config = small_unet()
    config.backbone.features, config.backbone.dtype = (3, 5, 7), "bfloat16"
    config.backbone.halves_before_upsampling = halves
    denoiser = open_denoiser(config.backbone.to_dict())
    assert denoiser.network == ScanUNet((3, 5, 7), halves, jnp.dtype("bfloat16"))
    assert (denoiser.warm, denoiser.group) == (None, "weights")
    assert denoiser.description == "U-Net 3 5 7"


def test_parameters_do_not_depend_on_the_size_of_the_image():
    image = random_complex((1, 37, 30), 0)
    tree = jax.eval_shape(NETWORK.init, jax.random.key(0), image)["params"]
    found = {path: leaf.shape for path, leaf in traverse_util.flatten_dict(tree, sep="/").items()}
    assert found == shapes_of(NETWORK)


def test_a_warm_start_is_read_as_it_was_written(tmp_path):
    written = write_warm_start(tmp_path, shapes_of(NETWORK))
    found = traverse_util.flatten_dict(read_warm_start(tmp_path, NETWORK), sep="/")
    assert found.keys() == written.keys()
    for path, leaf in written.items():
        np.testing.assert_array_equal(found[path], leaf)


@pytest.mark.parametrize(("make_config", "build"), BACKBONES)
def test_a_missing_warm_start_names_the_program_that_makes_one(make_config, build, tmp_path):
    config = make_config()
    config.backbone.warm_start = str(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"python -m jaxrecon\.warm_start") as caught:
        build(config.to_dict())
    assert str(caught.value).startswith("backbone.warm_start: expected weights of a U-Net in")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("make_config", "build"), BACKBONES)
@pytest.mark.parametrize("other", [(4, 8), (4, 6, 8), (6,)])
def test_a_warm_start_of_other_widths_is_an_error(make_config, build, other, tmp_path):
    write_warm_start(tmp_path, shapes_of(ScanUNet(other)))
    config = make_config()
    config.backbone.warm_start = str(tmp_path)
    expected = re.escape(f"{tmp_path}: expected weights of a U-Net of (4, 6), found unet/")
    with pytest.raises(InputError, match=f"^{expected}[^\n]*$"):
        build(config.to_dict())


@pytest.mark.parametrize(("make_config", "build"), BACKBONES)
def test_a_rank_of_0_is_an_error(make_config, build, tmp_path):
    write_warm_start(tmp_path, shapes_of(NETWORK))
    config = make_config()
    config.backbone.warm_start, config.backbone.lora_rank = str(tmp_path), 0
    with pytest.raises(InputError, match=r"^backbone\.lora_rank: expected [^\n]*, found 0$"):
        build(config.to_dict())


@pytest.mark.parametrize(("make_config", "build"), BACKBONES)
@pytest.mark.parametrize("features", [(), (4, 0), (4, -6)])
def test_features_that_make_no_network_are_an_error(make_config, build, features):
    config = make_config()
    config.backbone.features = features
    with pytest.raises(InputError, match=r"^backbone\.features: expected [^\n]*$"):
        build(config.to_dict())
