import json

import pytest

from jaxrecon.config import default_config
from jaxrecon.errors import InputError
from jaxrecon.training.run_folder import as_json, claim, flatten, read_config


def leave_a_checkpoint(folder):
    (folder / "checkpoints" / "last" / "20").mkdir(parents=True)


def test_a_new_folder_gets_the_configuration(tmp_path):
    config = default_config()
    folder = tmp_path / "a" / "b"
    assert claim(folder, config) is False
    assert read_config(folder) == as_json(config)
    assert [path.name for path in folder.iterdir()] == ["config.json"]


def test_the_same_run_may_go_on(tmp_path):
    claim(tmp_path, default_config())
    leave_a_checkpoint(tmp_path)
    assert claim(tmp_path, default_config()) is True


def test_another_run_is_refused_and_its_fields_named(tmp_path):
    claim(tmp_path, default_config())
    leave_a_checkpoint(tmp_path)
    other = default_config()
    other.mask.acs = 16
    other.model.refinement.channels = 4
    with pytest.raises(InputError) as caught:
        claim(tmp_path, other)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: expected a new folder")
    assert "another mask.acs, model.refinement.channels (mask.acs = 24, not 16)" in message
    assert "\n" not in message
    assert read_config(tmp_path)["mask"]["acs"] == 24


def test_a_field_that_one_of_them_lacks_counts_as_differing(tmp_path):
    claim(tmp_path, default_config())
    leave_a_checkpoint(tmp_path)
    other = default_config()
    other.test_sets.knee = default_config().mask
    with pytest.raises(InputError, match="another test_sets"):
        claim(tmp_path, other)


def test_a_run_without_a_checkpoint_gives_its_folder_up(tmp_path):
    claim(tmp_path, default_config())
    other = default_config()
    other.data.root = "the right folder this time"
    assert claim(tmp_path, other) is False
    assert read_config(tmp_path) == as_json(other)


def test_what_only_changes_the_speed_is_free(tmp_path):
    claim(tmp_path, default_config())
    leave_a_checkpoint(tmp_path)
    other = default_config()
    other.data.threads, other.data.workers = 7, 3
    assert claim(tmp_path, other) is True


@pytest.mark.parametrize("content", ["", '{"seed": 0'])
def test_a_damaged_configuration_is_named(tmp_path, content):
    leave_a_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json: expected the configuration of a run"):
        claim(tmp_path, default_config())


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(InputError, match=r"config\.json: expected .* No such file"):
        read_config(tmp_path)


def test_flatten_joins_names_by_dots():
    assert flatten({"a": 1, "b": {"c": [2, 3], "d": {"e": None}}}) == {
        "a": 1,
        "b.c": [2, 3],
        "b.d.e": None,
    }


def test_as_json_survives_json():
    content = as_json(default_config())
    assert json.loads(json.dumps(content)) == content
    assert content["mask"]["accelerations"] == [4]
