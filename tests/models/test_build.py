import textwrap

import jax
import jax.numpy as jnp
import pytest

from jaxrecon.config import default_config
from jaxrecon.errors import InputError
from jaxrecon.models.build import build_model, model_inputs, parameter_shapes, refinement_factory
from jaxrecon.models.varnet import VarNet


def test_the_default_network_is_the_paper_s_varnet():
    network = build_model(default_config().model.to_dict())
    assert isinstance(network, VarNet)
    assert network.cascades == 12
    shapes = parameter_shapes(default_config().model.to_dict())
    assert shapes["cascades/refinement/unet/down0/conv0/kernel"] == (12, 3, 3, 2, 18)
    assert shapes["sensitivity/norm_unet/unet/down0/conv0/kernel"] == (3, 3, 2, 8)
    assert shapes["cascades/step"] == (12,)
    assert sum(jnp.prod(jnp.array(shape)).item() for shape in shapes.values()) == 29_936_966


@pytest.mark.parametrize(
    ("build", "config", "message"),
    [
        (build_model, {"name": "varnot"}, "model.name: expected one of varnet or the dotted name"),
        (build_model, {"name": "unet"}, "a module that defines build, found 'unet'"),
        (build_model, {"name": "no.such.thing"}, "found 'no.such.thing'"),
        (build_model, {"name": "json.nothing"}, "found 'json.nothing'"),
        (build_model, {"name": "json"}, "found 'json'"),
        (
            lambda config: refinement_factory(config, jnp.dtype("float32")),
            {"name": "none"},
            "norm_unet or the dotted name of a module that defines build_refinement, found 'none'",
        ),
        (
            lambda config: refinement_factory(config, jnp.dtype("float32")),
            {"name": "varnet"},
            "found 'varnet'",
        ),
    ],
)
def test_an_unknown_name_is_refused_in_one_line_with_the_known_ones(build, config, message):
    with pytest.raises(InputError) as caught:
        build(config)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def own_package(tmp_path, monkeypatch):
    """A package of somebody else's with networks in it."""
    package = tmp_path / "laboratory_of_ours"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "network.py").write_text(
        textwrap.dedent(
            """
            import functools
            from flax import linen as nn
            from jaxrecon.physics.zero_filled import zero_filled

            class Scaled(nn.Module):
                start: float

                @nn.compact
                def __call__(self, kspace, mask, acs):
                    scale = self.param("scale", nn.initializers.constant(self.start), ())
                    return scale * zero_filled(kspace)

            def build(config):
                return Scaled(config["start"])

            class Halved(nn.Module):
                @nn.compact
                def __call__(self, image):
                    return image / 2

            def build_refinement(config, dtype):
                return functools.partial(Halved)
            """
        )
    )
    (package / "broken.py").write_text("import a_library_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("own_package")
def test_a_module_outside_the_package_is_found_by_its_dotted_name():
    network = build_model({"name": "laboratory_of_ours.network", "start": 3.0})
    variables = network.init(jax.random.key(0), *model_inputs(2, 8, 8))
    assert float(variables["params"]["scale"]) == 3.0
    config = default_config().model.to_dict()
    config["refinement"]["name"] = "laboratory_of_ours.network"
    shapes = parameter_shapes(config)
    assert shapes["cascades/step"] == (12,)
    assert not any(path.startswith("cascades/refinement") for path in shapes)


@pytest.mark.usefixtures("own_package")
def test_what_a_module_itself_fails_to_import_is_not_hidden():
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_not_there"):
        build_model({"name": "laboratory_of_ours.broken"})


def test_model_inputs_have_the_shapes_and_dtypes_of_a_batch():
    kspace, mask, acs = model_inputs(3, 10, 12, batch=2)
    assert (kspace.shape, kspace.dtype) == ((2, 3, 10, 12), jnp.complex64)
    assert (mask.shape, mask.dtype) == ((2, 1, 12), jnp.bool_)
    assert (acs.shape, acs.dtype) == ((2,), jnp.int32)
