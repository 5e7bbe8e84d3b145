import json
from pathlib import Path

import pytest

from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from jaxrecon.errors import InputError
from jaxrecon.metrics.protocols import protocol
from jaxrecon.training.named_data import (
    NAMED_DATA,
    Customs,
    describe,
    for_each,
    open_data,
    parse_data,
)
from jaxrecon.training.subset import Subset


def test_a_folder_stands_under_its_own_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = parse_data("data/multicoil_val")
    assert (found.name, found.folder) == ("multicoil_val", Path("data/multicoil_val"))
    assert found.customs == Customs()
    assert parse_data(".").name == tmp_path.name


@pytest.mark.parametrize("name", NAMED_DATA)
def test_known_names_bring_their_customs(name):
    found = parse_data(f"{name}=/data/a=b")
    assert (found.name, found.folder) == (name, Path("/data/a=b"))
    assert found.customs == NAMED_DATA[name]
    assert protocol(found.customs.protocol)


def test_a_folder_with_an_equals_sign_is_taken_as_it_is(tmp_path):
    folder = tmp_path / "set=1"
    folder.mkdir()
    assert parse_data(str(folder)).folder == folder
    assert parse_data(str(folder)).name == "set=1"


@pytest.mark.parametrize("text", ["=/data", "knee=", "="])
def test_data_without_a_name_or_folder_are_refused(text):
    with pytest.raises(InputError, match="--data: expected FOLDER or NAME=FOLDER"):
        parse_data(text)


def test_values_for_all_or_for_each():
    sources = [parse_data("a=/a"), parse_data("cmrxrecon=/b")]
    layouts = for_each("layout", [], sources, lambda source: source.customs.layout, str)
    assert layouts == ["fastmri", "cmrxrecon"]
    assert for_each("anatomy", ["knee"], sources, lambda source: "", str) == ["knee", "knee"]
    assert for_each("n", ["1", "2"], sources, lambda source: 0, int) == [1, 2]
    with pytest.raises(InputError, match=r"--n: expected one value for all .* of the 2"):
        for_each("n", ["1", "2", "3"], sources, lambda source: 0, int)


@pytest.fixture(scope="module")
def brains(tmp_path_factory):
    folder = tmp_path_factory.mktemp("brains")
    settings = PhantomSettings("brain", height=16, width=16, oversampling=1, coils=2)
    write_phantom_dataset(folder, "fastmri", settings, {"train": range(4)}, progress=False)
    return folder


def open_brains(brains, subset, contrasts=()):
    return open_data(
        parse_data(f"fastmri_brain={brains}"), {"family": "equispaced"}, protocol("fastmri"),
        subset, contrasts=contrasts, skip_bad=False,
    )  # fmt: skip


def test_a_data_set_is_opened_with_what_was_chosen(brains):
    whole = open_brains(brains, Subset())
    assert (whole.name, whole.anatomy, whole.subset) == ("fastmri_brain", "brain", "")
    assert len(whole.volumes) == 4
    assert whole.origin == "simulated: phantom of ellipses with analytic k-space, brain"
    contrast = whole.volumes[0].contrast
    part = open_brains(brains, Subset(slices=1), [contrast])
    assert {volume.contrast for volume in part.volumes} == {contrast}
    assert part.subset.startswith(f"contrast {contrast}; 1 slices of 1 of ")
    assert sum(part.selects(volume, 0) for volume in part.volumes) == 1


def test_a_description_tells_data_sets_apart(brains):
    whole, again = open_brains(brains, Subset()), open_brains(brains, Subset())
    assert describe(whole) == describe(again)
    assert json.loads(json.dumps(describe(whole))) == describe(whole)
    part = describe(open_brains(brains, Subset(count=3)))
    assert part["files_sha256"] != describe(whole)["files_sha256"]
    Path(whole.volumes[0].path).touch()
    changed = describe(open_brains(brains, Subset()))
    assert {name for name, value in changed.items() if value != describe(whole)[name]} <= {
        "files_sha256"
    }
