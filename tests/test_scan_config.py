from pathlib import Path

import pytest

from jaxrecon.errors import InputError
from jaxrecon.scan_config import inr_config, scan_config, unet_config, unrolled_config
from jaxrecon.scan_specific.backbone import open_backbone
from jaxrecon.scan_specific.experiment_file import read_experiment

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
CONFIGS = {"inr": inr_config, "unet": unet_config, "unrolled": unrolled_config}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_builds_its_backbone(name):
    config = CONFIGS[name]()
    assert config.backbone.name == name
    backbone = open_backbone(config.to_dict())
    assert set(backbone.guided_groups) <= set(backbone.rates)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("kind", ["semantic", "tv"])
def test_an_experiment_and_its_twin_differ_in_name_regulariser_and_prior(name, kind):
    config = read_experiment(str(EXPERIMENTS / f"{kind}_{name}.py"))
    assert (config.backbone.name, config.regulariser) == (name, kind)
    assert open_backbone(config.to_dict()).description
    expected = CONFIGS[name]().to_dict()
    changed = {field for field, value in config.to_dict().items() if value != expected[field]}
    assert changed == ({"name", "prior"} if kind == "semantic" else {"name", "regulariser"})


OTHERS = ["image_language", "blurred_aliased", "prompt_robustness", "semantic_janus"]


@pytest.mark.parametrize("name", OTHERS)
def test_other_experiments_build_their_backbones(name):
    config = read_experiment(str(EXPERIMENTS / f"{name}.py"))
    assert config.name
    assert config.prior.embeddings
    assert open_backbone(config.to_dict()).description


@pytest.mark.parametrize("make", [scan_config, *CONFIGS.values()])
@pytest.mark.parametrize("path", ["", "weights", "prior", "prior.encoder", "auxiliary.mask"])
def test_unknown_fields_are_errors(make, path):
    config = make()
    for name in filter(None, path.split(".")):
        config = config[name]
    with pytest.raises(AttributeError, match="stpes"):
        config.stpes = 3


@pytest.mark.parametrize("name", CONFIGS)
def test_unknown_fields_of_a_backbone_are_errors(name):
    config = CONFIGS[name]()
    with pytest.raises(AttributeError, match="widths"):
        config.backbone.widths = (4, 6)
    if name != "inr":
        with pytest.raises(AttributeError, match="stpes"):
            config.backbone.warm_up.stpes = 3


def test_a_backbone_of_one_s_own_has_fields_of_its_own():
    config = scan_config()
    config.backbone.name = "my_package.my_network"
    config.backbone.width = 3
    assert config.backbone.to_dict() == {"name": "my_package.my_network", "width": 3}


def test_an_unknown_backbone_is_named_beside_the_known_ones():
    config = scan_config()
    config.backbone.name = "transformer"
    with pytest.raises(InputError, match=r"backbone\.name: expected one of inr, unet, unrolled"):
        open_backbone(config.to_dict())


def test_the_inr_is_the_paper_s_with_the_released_code_s_steps():
    config = inr_config()
    backbone = config.backbone
    assert (backbone.layers, backbone.features, backbone.frequency) == (8, 256, 15)
    assert backbone.adaptor_features == 256
    assert (config.learning_rate, backbone.adaptor_learning_rate) == (1e-4, 1e-3)
    assert (config.tv_steps, config.steps, config.halve_every) == (1600, 1600, 1000)
    assert (config.weights.tv, config.weights.semantic) == (3, 5)
    assert config.final_weight == 0.05


def test_the_unet_is_the_paper_s_with_the_released_code_s_steps():
    config = unet_config()
    assert config.backbone.features == (64, 128, 256, 512, 1024)
    assert (config.learning_rate, config.tv_steps, config.steps) == (1e-3, 0, 1500)
    assert (config.weights.semantic, config.final_weight) == (0.1, 0.5)


def test_the_unrolled_network_is_the_paper_s():
    config = unrolled_config()
    backbone = config.backbone
    assert backbone.features == (64, 128, 256, 512, 1024)
    assert (backbone.stages, backbone.iterations, backbone.initial_weight) == (4, 20, 0.01)
    assert (backbone.holdout, backbone.holdout_sigma) == (0.4, 0.5)
    assert config.weights.semantic == 1


def test_the_prior_is_the_paper_s():
    prior = scan_config().prior
    assert prior.encoder.architecture == "siglip_vit_l16"
    assert (prior.temperature, prior.level_weights) == (0.07, (0.005, 0.5, 1))
    assert (prior.perturbations, prior.perturbation_std) == (100, 0.03)
    assert prior.reduction == "token"
    assert prior.components == ()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_experiments_have_the_released_code_s_input_of_the_prior(name):
    prior = read_experiment(str(EXPERIMENTS / f"semantic_{name}.py")).prior
    assert prior.level_weights == (0.01, 0.5, 1)
    assert prior.components == (64, 128, 512 if name == "unrolled" else 256)
    assert (prior.reduction, prior.temperature) == ("image", 0.07)


@pytest.mark.parametrize("rate", [0.0, -1e-3, float("nan")])
def test_a_learning_rate_that_is_not_positive_is_an_error(rate):
    config = inr_config()
    config.learning_rate = rate
    with pytest.raises(InputError, match=r"^learning_rate: expected a number above 0, found"):
        open_backbone(config.to_dict())
