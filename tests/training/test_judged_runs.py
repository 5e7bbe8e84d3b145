from pathlib import Path

import jax.numpy as jnp
import pytest
from flax import linen as nn

from jaxrecon.errors import InputError
from jaxrecon.training.judged_runs import load_run, parse_run, require_distinct, require_judged
from jaxrecon.training.trained_network import TrainedNetwork


class Gain(nn.Module):
    """The first coil's magnitude, amplified."""

    @nn.compact
    def __call__(self, kspace, mask, acs):
        gain = self.param("gain", nn.initializers.ones, ())
        return gain * jnp.abs(kspace[:, 0])


def load(folder):
    """A network that says which folder it is from; folder "deep" holds another architecture."""
    encoders = {"random": "random encoder (seed 0)", "pretrained": "weights/clip"}
    return TrainedNetwork(
        Gain(),
        {"params": {"gain": jnp.asarray(float(len(folder.name)))}},
        "varnet",
        {
            "config": {"model": {"cascades": 12 if folder.name == "deep" else 4}},
            "encoder": encoders.get(folder.name),
            "encoder_sha256": "0" * 64 if folder.name == "pretrained" else None,
        },
    )


@pytest.mark.parametrize(
    ("text", "name", "folder", "accelerations"),
    [
        ("runs/a", "", "runs/a", ()),
        ("net=runs/a", "net", "runs/a", ()),
        ("net=runs/a@4", "net", "runs/a", (4,)),
        ("CMR-CLIP=runs/a@4+8+10", "CMR-CLIP", "runs/a", (4, 8, 10)),
        ("runs/a@2.5", "", "runs/a", (2.5,)),
        ("runs/me@home", "", "runs/me@home", ()),
    ],
)
def test_runs_are_named_on_the_command_line(text, name, folder, accelerations):
    found = parse_run(text)
    assert (found.name, found.folder, found.accelerations) == (name, Path(folder), accelerations)


def test_folders_that_exist_are_taken_as_they_are(tmp_path):
    for name in ("lr=1e-3", "run@4"):
        (tmp_path / name).mkdir()
        found = parse_run(str(tmp_path / name))
        assert (found.name, found.folder, found.accelerations) == ("", tmp_path / name, ())
    found = parse_run(f"net={tmp_path / 'run@4'}@8")
    assert (found.folder, found.accelerations) == (tmp_path / "run@4", (8,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("net=", r"expected \[NAME=\]FOLDER\[@R\], found 'net='"),
        ("net=@4", r"expected \[NAME=\]FOLDER\[@R\], found 'net=@4'"),
        ("net=runs/a@1.2.3", "expected numbers after '@', found '1.2.3'"),
        ("net=runs/a@4+", r"expected numbers after '@', found '4\+'"),
    ],
)
def test_runs_that_cannot_be_read_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_run(text)


def test_runs_of_one_architecture_are_of_one_kind():
    shallow, other, deep = (load_run(f"{name}=x/{name}", load) for name in ("a", "bb", "deep"))
    assert shallow.method.kind == other.method.kind != deep.method.kind
    assert (shallow.method.name, shallow.method.run) == ("a", "x/a")
    assert load_run("x/a", load).method.name == "varnet"
    batch = {"kspace": jnp.full((1, 2, 3, 3), -2j), "mask": None, "acs": None}
    for run, gain in ((shallow, 1), (other, 2)):
        images = run.method.reconstruct(run.method.variables, batch)
        assert images.tolist() == [[[2 * gain] * 3] * 3]


def test_no_name_hides_that_an_encoder_is_random():
    names = [load_run(f"net=x/{name}", load).method.name for name in ("random", "pretrained", "a")]
    assert names == ["net (random encoder)", "net", "net"]


def test_placing_a_run_moves_its_variables_alone():
    run = load_run("a=x/a", load)
    placed = run.placed(lambda variables: {"params": {"gain": 7}})
    assert placed.method.variables == {"params": {"gain": 7}}
    assert placed.method.reconstruct is run.method.reconstruct
    assert (placed.label, placed.provenance) == (run.label, run.provenance)


def test_runs_of_one_name_need_accelerations_of_their_own():
    at_4, at_8, at_both, anywhere = (
        load_run(f"net=x/a{at}", load) for at in ("@4", "@8", "@4+8", "")
    )
    assert (at_4.label, at_both.label, anywhere.label) == ("net @4", "net @4+8", "net")
    assert at_4.is_judged_at(4.0)
    assert not at_4.is_judged_at(8.0)
    assert anywhere.is_judged_at(8.0)
    require_distinct([at_4, at_8], ["zero_filled"])
    for first, second in ((at_4, at_both), (at_4, anywhere), (anywhere, anywhere)):
        with pytest.raises(InputError, match="--run: expected names that differ, found 'net' for"):
            require_distinct([first, second], [])
    with pytest.raises(InputError, match="expected names that no other method has, found 'net'"):
        require_distinct([at_4], ["net"])


def test_names_that_would_share_a_folder_are_refused():
    runs = [load_run(f"{name}=x/a", load) for name in ("my net", "my_net")]
    with pytest.raises(InputError, match="expected names that differ"):
        require_distinct(runs, [])


def test_a_run_that_nothing_is_judged_with_is_named():
    runs = [load_run("net=x/a@4", load), load_run("other=x/a@10", load)]
    require_judged(runs, [4.0, 10.0])
    with pytest.raises(
        InputError, match="expected other @10 to be judged at one of the accelerations 4, 8, found"
    ):
        require_judged(runs, [4.0, 8.0, 4.0])
