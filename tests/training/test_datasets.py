import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from jaxrecon import config as fields_of
from jaxrecon.config import default_config
from jaxrecon.errors import InputError
from jaxrecon.metrics.protocols import protocol
from jaxrecon.training import datasets

PHANTOMS = {
    "heart": {
        "layout": "cmrxrecon", "anatomy": "cardiac", "cases": 5, "frames": 2,
        "height": 16, "width": 16, "coils": 2,
    }
}  # fmt: skip


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    datasets.folder_of("phantom:heart", PHANTOMS, folder)
    return folder


def data(**fields):
    return {**default_config().data.to_dict(), **fields}


def test_a_folder_is_itself(tmp_path):
    assert datasets.folder_of("/somewhere/data", {}, tmp_path) == "/somewhere/data"
    assert list(tmp_path.iterdir()) == []


def test_phantoms_are_written_once(generated, capsys):
    folder = datasets.folder_of("phantom:heart", PHANTOMS, generated)
    assert folder == str(generated / "heart")
    assert "wrote" not in capsys.readouterr().out
    assert len(list(Path(folder).rglob("*.mat"))) == 5


@pytest.mark.parametrize(
    ("root", "phantoms", "message"),
    [
        ("phantom:liver", PHANTOMS, "phantoms: expected one of heart, found 'liver'"),
        ("phantom:liver", {}, "phantoms: expected one of none, found 'liver'"),
        (
            "phantom:heart",
            {"heart": {**PHANTOMS["heart"], "coil": 3}},
            "phantoms.heart: .*unexpected keyword argument 'coil'",
        ),
        (
            "phantom:heart",
            {"heart": {**PHANTOMS["heart"], "anatomy": "liver"}},
            "anatomy: expected one of cardiac, knee, brain, found 'liver'",
        ),
        (
            "phantom:heart",
            {"heart": {**PHANTOMS["heart"], "layout": "dicom"}},
            "layout: expected one of cmrxrecon, fastmri, found 'dicom'",
        ),
    ],
)
def test_phantoms_that_cannot_be_are_named(tmp_path, root, phantoms, message):
    with pytest.raises(InputError, match=message) as caught:
        datasets.folder_of(root, phantoms, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["layout", "cases"])
def test_a_missing_phantom_field_is_named(tmp_path, missing):
    fields = {name: value for name, value in PHANTOMS["heart"].items() if name != missing}
    with pytest.raises(
        InputError, match=f"phantoms.heart: expected the field '{missing}', found none"
    ):
        datasets.folder_of("phantom:heart", {"heart": fields}, tmp_path)


def test_every_folder_field_is_resolved_and_the_configuration_kept(generated):
    config = default_config().data
    config.train = "phantom:heart"
    config.validation = "/elsewhere"
    resolved = datasets.with_folders(config, PHANTOMS, generated)
    assert resolved.train == str(generated / "heart")
    assert (resolved.root, resolved.validation) == ("", "/elsewhere")
    assert config.train == "phantom:heart"


def test_one_root_is_split_by_case(generated):
    sets = datasets.load_data_sets(data(root=str(generated / "heart")), protocol("fastmri"))
    assert [len(part) for part in sets] == [3, 1, 1]
    cases = [{volume.case for volume in part} for part in sets]
    assert len(set.union(*cases)) == 5
    # The protocol asks for the volumes' maxima.
    assert all(volume.maximum > 0 for part in sets for volume in part)


def test_maxima_are_not_read_where_nobody_asks_for_them(generated, tmp_path):
    # A copy: once read, maxima are remembered with the folder.
    root = str(shutil.copytree(generated / "heart", tmp_path / "copy"))
    sets = datasets.load_data_sets(data(root=root), protocol("cmrxrecon2023"))
    assert {volume.maximum for part in sets for volume in part} == {None}
    asked = data(root=root, data_range="volume")
    sets = datasets.load_data_sets(asked, protocol("cmrxrecon2023"))
    assert all(volume.maximum > 0 for part in sets for volume in part)


def test_three_folders_are_taken_as_they_are(generated):
    folder = str(generated / "heart")
    config = data(train=folder, validation=folder, test=folder)
    sets = datasets.load_data_sets(config, protocol("cmrxrecon2023"))
    assert [len(part) for part in sets] == [5, 5, 5]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "found no train, validation, test$"),
        ({"train": "a", "test": "b"}, "found no validation$"),
        ({"root": "a", "test": "b"}, "either root or train, .*found root = 'a' and test$"),
        ({"root": "/no/such/folder"}, "/no/such/folder"),
        ({"root": "HEART", "contrasts": ("T1map",)}, "of the contrasts T1map.*found.* cine_sax$"),
        ({"root": "HEART", "layout": "nifti"}, "layout: expected one of .*found 'nifti'"),
        ({"root": "HEART", "split": (0.5, 0.5, 0.5)}, "three positive numbers"),
        ({"root": "HEART", "check": "thoroughly"}, "check"),
    ],
)
def test_folders_that_cannot_be_used_are_named(generated, fields, message):
    fields = {
        name: str(generated / "heart") if value == "HEART" else value
        for name, value in fields.items()
    }
    with pytest.raises(InputError, match=message) as caught:
        datasets.load_data_sets(data(**fields), protocol("cmrxrecon2023"))
    assert "\n" not in str(caught.value)


def test_bad_files_are_counted_where_they_are_skipped(tmp_path, capsys):
    with h5py.File(tmp_path / "good.h5", "w") as file:
        file["kspace"] = np.ones((2, 2, 8, 8), np.complex64)
    (tmp_path / "bad.h5").write_bytes(b"not HDF5")
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "bad.h5"))):
        datasets.load_volumes(tmp_path, "fastmri", with_maxima=False)
    volumes = datasets.load_volumes(tmp_path, "fastmri", with_maxima=False, on_bad_file="skip")
    assert [volume.name for volume in volumes] == ["good.h5"]
    printed = capsys.readouterr().out
    assert "skipped 1 files and 0 slices" in printed
    assert str(tmp_path / "bad.h5") in printed


def mask(**fields):
    return {**default_config().mask.to_dict(), **fields}


def test_training_masks_differ_between_slices_and_epochs():
    spec = datasets.training_masks(mask(family="gaussian", acs=4, training_seed=3))
    drawn = [spec.draw(64, "a.h5", *where).pattern for where in ((0, 0), (1, 0), (0, 1))]
    assert not any((drawn[0] == other).all() for other in drawn[1:])


def test_evaluation_masks_depend_on_the_file_alone_one_acceleration_at_a_time():
    config = mask(family="random", accelerations=(4, 8), center_fractions=(0.08, 0.04))
    specs = datasets.evaluation_masks(config)
    assert [(spec.accelerations, spec.center_fractions) for spec in specs] == [
        ((4,), (0.08,)),
        ((8,), (0.04,)),
    ]
    for spec in specs:
        first, again, other = (
            spec.draw(64, name, index, epoch).pattern
            for name, index, epoch in (("a.h5", 0, 0), ("a.h5", 3, 2), ("b.h5", 0, 0))
        )
        assert (first == again).all()
        assert (first != other).any()


def test_evaluation_masks_without_fractions_keep_the_calibration_columns():
    specs = datasets.evaluation_masks(mask(accelerations=(4, 10), acs=6))
    assert [spec.draw(40, "a", 0).acs for spec in specs] == [6, 6]


def test_masks_whose_settings_do_not_pair_up_are_refused():
    config = mask(family="random", accelerations=(4, 8), center_fractions=(0.08,))
    with pytest.raises(InputError, match="one for each of the 2 accelerations, found 1"):
        datasets.evaluation_masks(config)


def test_a_test_set_has_its_own_folder_masks_and_protocol(generated):
    config = fields_of.test_set_config().to_dict() | {
        "root": "phantom:heart",
        "layout": "cmrxrecon",
        "anatomy": "cardiac",
    }
    test_set = datasets.load_test_set("hearts", config, PHANTOMS, generated)
    assert (test_set.name, test_set.anatomy) == ("hearts", "cardiac")
    assert test_set.protocol is protocol("fastmri")
    assert len(test_set.volumes) == 5
    assert all(volume.maximum > 0 for volume in test_set.volumes)
    config["protocol"] = "mine"
    with pytest.raises(InputError, match="protocol: expected one of"):
        datasets.load_test_set("hearts", config, PHANTOMS, generated)


def test_an_evaluation_pipeline_holds_what_the_protocol_selects(generated):
    sets = datasets.load_data_sets(data(root=str(generated / "heart")), protocol("fastmri"))
    spec = datasets.evaluation_masks(mask(acs=4))[0]
    pipeline = datasets.evaluation_pipeline(
        sets.train, spec, protocol("fastmri"), batch_size=2, coil_multiple=4
    )
    assert len(pipeline.slices) == 6
    assert pipeline.buckets == ((4, 16, 16),)
    batch = pipeline.evaluation_batch(0)
    assert batch["data_range"][0] == pytest.approx(pipeline.slices[0].volume.maximum)
