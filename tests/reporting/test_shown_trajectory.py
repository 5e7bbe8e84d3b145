import re

import pytest
import trajectories

from jaxrecon.errors import InputError
from jaxrecon.priors.trajectory import write_trajectory
from jaxrecon.reporting import embedding_map
from jaxrecon.reporting.shown_trajectory import load_trajectories, spreads_over_prompts
from jaxrecon.reporting.trajectory_files import trajectory_files
from jaxrecon.reporting.trajectory_section import trajectories_section


@pytest.fixture(autouse=True)
def _without_umap(monkeypatch):
    monkeypatch.setattr(embedding_map, "has_umap", lambda: False)


@pytest.fixture
def paths(tmp_path):
    """A TV run, and one scan under two prompts."""
    made = {
        "tv": trajectories.made("inr_tv", prior=False, answers=False, prompt="", slices=3),
        "first": trajectories.made(prompt="Is it sharp?", slices=3),
        "second": trajectories.made(prompt="Is it <b>clear</b>?", slices=3),
    }
    for name, trajectory in made.items():
        write_trajectory(tmp_path / name / "trajectory.h5", trajectory)
    return [tmp_path / "tv", tmp_path / "first" / "trajectory.h5", tmp_path / "second"]


def test_the_middle_slice_or_the_one_asked_for_is_shown(paths):
    shown = load_trajectories(paths)
    assert [each.place for each in shown] == [1, 1, 1]
    assert shown[0].title == "inr_tv, knee.h5, slice 1"
    assert shown[1].title == f"inr_semantic, knee.h5, slice 1 ({paths[1]})"
    assert [len(each.maps) for each in shown] == [0, 2, 2]
    assert {found.projection for each in shown for found in each.maps} == {embedding_map.PCA}
    assert load_trajectories(paths[:1], 2)[0].title == "inr_tv, knee.h5, slice 2"


def test_what_cannot_be_shown_is_refused(paths, tmp_path):
    with pytest.raises(InputError, match=r"--trajectory_slice: expected one of 0 to 2 of .*h5"):
        load_trajectories(paths, 3)
    with pytest.raises(InputError, match="expected each trajectory once, found it twice"):
        load_trajectories([paths[1], paths[1].parent])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty/trajectory\.h5: expected a complete HDF5 file"):
        load_trajectories([tmp_path / "empty"])


def test_every_part_that_there_is_becomes_a_figure(paths):
    shown = load_trajectories(paths)
    spreads = spreads_over_prompts(shown)
    (spread,) = spreads
    assert spread.prompts == ("Is it sharp?", "Is it <b>clear</b>?")
    assert spread.title == "inr_semantic, knee.h5, slice 1"
    files = trajectory_files(shown[:2], spreads, pdf=True)
    kinds = sorted(re.fullmatch(r"trajectories/(inr_[a-z]+)-.*_([a-z]+)\.png", name).groups()
                   for name in files if name.endswith(".png"))  # fmt: skip
    assert kinds == [
        ("inr_semantic", "embeddings"),
        ("inr_semantic", "losses"),
        ("inr_semantic", "pictures"),
        ("inr_semantic", "prompts"),
        ("inr_tv", "losses"),
        ("inr_tv", "pictures"),
    ]
    for name, content in files.items():
        assert content.startswith(b"%PDF" if name.endswith(".pdf") else b"\x89PNG")
    assert spreads_over_prompts(shown[:2]) == []


def test_the_section_tells_everything_in_words(paths):
    shown = load_trajectories(paths)
    content = trajectories_section(shown, spreads_over_prompts(shown)).content
    first, second, _ = content["shown"]
    assert (first["maps"], first["prompt"], first["answered"]) == ([], "", False)
    assert second["prompt"] == "Is it sharp?"
    assert second["ratio"] == "24 / 32"
    assert "nearer to that of the positives" in second["maps"][0]["alt"]
    assert "Data loss over the steps of inr_semantic, knee.h5, slice 1" in second["losses"][0]
    assert 'from 10 to 0.01"' in second["losses"][0]
    (spread,) = content["spreads"]
    assert [image["prompt"] for image in spread["images"]] == list(spread["prompts"])
