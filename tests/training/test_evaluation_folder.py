import pytest

from jaxrecon.errors import InputError
from jaxrecon.training.evaluation_folder import claim, slug

SETTINGS = {"batch_size": 1, "data": {"knee": {"protocol": "fastmri", "accelerations": (4, 8)}}}


def test_a_new_folder_is_claimed_and_the_same_settings_go_on(tmp_path):
    folder = tmp_path / "new" / "results"
    assert not claim(folder, SETTINGS, overwrite=False)
    (folder / "partial").mkdir()
    assert not claim(folder, SETTINGS, overwrite=False)
    (folder / "results.json").write_text("{}")
    assert claim(folder, SETTINGS, overwrite=False)


def test_other_settings_are_refused_and_named(tmp_path):
    claim(tmp_path, SETTINGS, overwrite=False)
    other = {"batch_size": 2, "data": {"knee": {"protocol": "paper_a", "accelerations": (4, 8)}}}
    # Nothing was found yet: nothing is lost.
    claim(tmp_path, other, overwrite=False)
    (tmp_path / "partial").mkdir()
    with pytest.raises(InputError) as caught:
        claim(tmp_path, SETTINGS, overwrite=False)
    assert str(caught.value) == (
        f"{tmp_path}: expected a new folder or an earlier attempt at this evaluation, found one "
        "with another batch_size, data.knee.protocol (batch_size = 2, not 1): name another "
        "--output, or --overwrite to start anew"
    )


def test_overwriting_removes_what_an_evaluation_wrote_and_nothing_else(tmp_path):
    claim(tmp_path, SETTINGS, overwrite=False)
    for name in ("partial", "examples", "reconstructions", "figures", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("a")
    for name in ("results.json", "slices.csv", "notes.txt"):
        (tmp_path / name).write_text("a")
    assert not claim(tmp_path, {"batch_size": 2}, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"evaluation.json", "mine", "notes.txt"}


def test_results_of_something_else_are_never_removed(tmp_path):
    (tmp_path / "results.json").write_text("{}")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"found results.json of something else"):
            claim(tmp_path, SETTINGS, overwrite=overwrite)


def test_damaged_settings_and_files_in_the_way_are_named(tmp_path):
    claim(tmp_path, SETTINGS, overwrite=False)
    (tmp_path / "partial").mkdir()
    (tmp_path / "evaluation.json").write_text("{")
    with pytest.raises(InputError, match=r"evaluation.json: expected the settings of an eval"):
        claim(tmp_path, SETTINGS, overwrite=False)
    with pytest.raises(InputError, match="expected a folder to write to, found a file"):
        claim(tmp_path / "evaluation.json", SETTINGS, overwrite=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("equispaced R=4 cf=0.08", "equispaced_R=4_cf=0.08"),
        ("CMR-CLIP (random encoder)", "CMR-CLIP_random_encoder"),
        ("P001/cine_sax.mat 3", "P001_cine_sax.mat_3"),
        ("../..", "_"),
        ("tv:0.01", "tv_0.01"),
    ],
)
def test_slugs_are_plain_file_names(text, expected):
    assert slug(text) == expected
