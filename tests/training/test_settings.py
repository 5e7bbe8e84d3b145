import numpy as np
import pytest
from volumes import make_volume

from jaxrecon.errors import InputError
from jaxrecon.metrics.protocols import protocol
from jaxrecon.training import datasets
from jaxrecon.training.settings import combine, file_masks, settings_of


def make_test_set(**mask):
    fields = {
        "family": "equispaced", "accelerations": (4, 8), "center_fractions": (0.08, 0.04),
        "acs": 24, "training_seed": 0,
    }  # fmt: skip
    files = tuple(
        make_volume(name=f"file{i}.h5", path=f"/data/file{i}.h5", width=width, maximum=1.0,
                    padding=(0, width))
        for i, width in enumerate((100, 100, 120))
    )  # fmt: skip
    return datasets.TestSet("knees", "knee", files, fields | mask, protocol("fastmri"))


def test_one_fraction_serves_all_accelerations_or_each_has_its_own():
    assert combine((4, 8, 10), (0.08,), "paired") == ((4, 8, 10), (0.08, 0.08, 0.08))
    assert combine((4, 8), (0.08, 0.04), "paired") == ((4, 8), (0.08, 0.04))


def test_every_combination_of_the_papers_settings():
    assert combine((4, 8, 10), (0.08, 0.04), "cross") == (
        (4, 4, 8, 8, 10, 10),
        (0.08, 0.04, 0.08, 0.04, 0.08, 0.04),
    )


def test_settings_that_cannot_be_are_all_named():
    with pytest.raises(InputError, match=r"one for each of the 3 .*found 2: --settings"):
        combine((4, 8, 10), (0.08, 0.04), "paired")
    with pytest.raises(InputError, match=r"found R=8 with 0.125, R=16 with 0.125, R=16 with 0.08$"):
        combine((4, 8, 16), (0.125, 0.08), "cross")
    with pytest.raises(InputError, match="found repeats"):
        combine((4, 4), (0.08,), "paired")


def test_settings_have_names_that_differ():
    first, second = settings_of(make_test_set())
    assert (first.name, second.name) == ("equispaced R=4 cf=0.08", "equispaced R=8 cf=0.04")
    assert (first.acceleration, second.center_fraction) == (4, 0.04)
    (uniform,) = settings_of(
        make_test_set(family="cmrxrecon_uniform", accelerations=(10,), center_fractions=())
    )
    assert (uniform.name, uniform.center_fraction) == ("cmrxrecon_uniform R=10", None)


def test_masks_are_those_that_the_slices_get():
    for setting in settings_of(make_test_set(family="random")):
        pipeline = setting.pipeline(batch_size=2, coil_multiple=1)
        masks = file_masks(pipeline)
        assert list(masks) == ["file0.h5", "file1.h5", "file2.h5"]
        for slice_id, reference in enumerate(pipeline.slices):
            drawn = pipeline.mask_of(slice_id)
            np.testing.assert_array_equal(drawn.pattern, masks[reference.volume.name].pattern)


def test_a_mask_that_cannot_be_drawn_names_the_file():
    # 0.06 of 120 columns round to 7 of the 7.5 that R = 16 keeps; 0.06 of 100 to 6 of 6.25.
    test_set = make_test_set(accelerations=(15,), center_fractions=(0.066,))
    (setting,) = settings_of(test_set)
    with pytest.raises(InputError, match=r"^/data/file0.h5: mask center_fraction: expected less"):
        file_masks(setting.pipeline(batch_size=1, coil_multiple=1))


def test_only_the_chosen_slices_are_judged():
    test_set = make_test_set()
    chosen = datasets.TestSet(
        "knees", "knee", test_set.volumes[:2], test_set.mask, test_set.protocol,
        slices={"file0.h5": {1, 3}, "file1.h5": {4}},
    )  # fmt: skip
    pipeline = settings_of(chosen)[0].pipeline(batch_size=1, coil_multiple=1)
    found = [(reference.volume.name, reference.index) for reference in pipeline.slices]
    assert found == [("file0.h5", 1), ("file0.h5", 3), ("file1.h5", 4)]
