import dataclasses

import numpy as np
import pytest
from kspace_files import random_kspace, rss

from jaxrecon.data.examples import make_example
from jaxrecon.data.volume import RawSlice, Volume
from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import SamplingMask, sampling_mask

COILS, HEIGHT, WIDTH = 3, 10, 32
KSPACE = random_kspace(COILS, HEIGHT, WIDTH)
TARGET = rss(KSPACE).astype(np.float32)
RAW = RawSlice(KSPACE, TARGET, None)
MASK = sampling_mask("equispaced", WIDTH, 4.0, center_fraction=0.1, seed=2)
VOLUME = Volume(
    path="/data/file1.h5",
    layout="fastmri",
    name="file1.h5",
    case="file1",
    contrast="",
    slices=2,
    frames=1,
    coils=COILS,
    height=HEIGHT,
    width=WIDTH,
    target_height=HEIGHT,
    target_width=WIDTH,
    padding=(0, WIDTH),
    maximum=7.5,
    has_target=True,
    sampled=False,
)


def test_types_and_values():
    example = make_example(VOLUME, RAW, MASK, slice_id=4)
    assert {key: (value.dtype, value.shape) for key, value in example.items()} == {
        "kspace": (np.complex64, (COILS, HEIGHT, WIDTH)),
        "mask": (bool, (1, WIDTH)),
        "acs": (np.int32, ()),
        "target": (np.float32, (HEIGHT, WIDTH)),
        "crop": (np.int32, (2,)),
        "data_range": (np.float32, ()),
        "slice_id": (np.int32, ()),
        "weight": (np.float32, ()),
    }
    sampled = MASK.pattern[0]
    np.testing.assert_array_equal(example["kspace"][..., sampled], KSPACE[..., sampled])
    assert not example["kspace"][..., ~sampled].any()
    np.testing.assert_array_equal(example["mask"], MASK.pattern)
    np.testing.assert_array_equal(example["target"], TARGET)
    assert example["crop"].tolist() == [HEIGHT, WIDTH]
    assert (example["acs"], example["slice_id"], example["weight"]) == (MASK.acs, 4, 1)


def test_data_range_of_volume_and_slice():
    assert make_example(VOLUME, RAW, MASK)["data_range"] == 7.5
    assert make_example(VOLUME, RAW, MASK, data_range="slice")["data_range"] == TARGET.max()


def test_unknown_data_range():
    with pytest.raises(InputError, match="data_range: expected 'volume' or 'slice', found 'file'"):
        make_example(VOLUME, RAW, MASK, data_range="file")


def test_fills_up_with_zero_coils():
    kspace = make_example(VOLUME, RAW, MASK, coils=5)["kspace"]
    assert kspace.shape == (5, HEIGHT, WIDTH)
    np.testing.assert_array_equal(kspace[:3], make_example(VOLUME, RAW, MASK)["kspace"])
    assert not kspace[3:].any()


@pytest.mark.parametrize(
    ("shape", "crop", "rows", "columns"),
    [
        ((4, 8), (4, 8), (3, 7), (12, 20)),
        ((5, 7), (5, 7), (2, 7), (12, 19)),
        ((8, 40), (8, 32), (1, 9), (0, 32)),
        ((13, 41), (10, 32), (0, 10), (0, 32)),
    ],
)
def test_target_lies_in_the_centre(shape, crop, rows, columns):
    image = np.random.default_rng(0).random(shape, np.float32) + 1
    example = make_example(VOLUME, RawSlice(KSPACE, image, None), MASK)
    target = example["target"]
    assert target.shape == (HEIGHT, WIDTH)
    assert tuple(example["crop"]) == crop
    top, left = (shape[0] - crop[0]) // 2, (shape[1] - crop[1]) // 2
    region = (slice(*rows), slice(*columns))
    np.testing.assert_array_equal(target[region], image[top:, left:][: crop[0], : crop[1]])
    assert np.count_nonzero(target) == crop[0] * crop[1]


def test_columns_never_acquired_are_not_sampled():
    volume = dataclasses.replace(VOLUME, padding=(5, 30))
    mask = make_example(volume, RAW, MASK)["mask"][0]
    np.testing.assert_array_equal(mask[5:30], MASK.pattern[0, 5:30])
    assert not mask[:5].any()
    assert not mask[30:].any()


def test_a_file_with_a_mask_keeps_it():
    own = SamplingMask(np.arange(WIDTH)[None] % 2 == 0, 1, "acquired", 2.0)
    volume = dataclasses.replace(VOLUME, sampled=True)
    example = make_example(volume, RawSlice(KSPACE, TARGET, own), MASK)
    np.testing.assert_array_equal(example["mask"], own.pattern)
    assert example["acs"] == 1


@pytest.mark.parametrize(
    ("volume", "raw", "mask", "options", "message"),
    [
        (VOLUME, dataclasses.replace(RAW, target=None), MASK, {}, "expected a target"),
        (VOLUME, RAW, None, {}, "expected a mask"),
        (
            VOLUME,
            RAW,
            sampling_mask("equispaced", WIDTH + 1, 4.0, center_fraction=0.1, seed=2),
            {},
            "expected a mask for k-space of 10 x 32, found one of 1 x 33",
        ),
        (dataclasses.replace(VOLUME, maximum=None), RAW, MASK, {}, "positive maximum"),
        (
            VOLUME,
            dataclasses.replace(RAW, target=0 * TARGET),
            MASK,
            {"data_range": "slice"},
            "expected a positive maximum of the slice's target, found 0",
        ),
        (VOLUME, RAW, MASK, {"coils": 2}, "expected at most 2 coils, found 3"),
    ],
)
def test_what_cannot_be_used_names_the_file(volume, raw, mask, options, message):
    with pytest.raises(InputError, match=message) as caught:
        make_example(volume, raw, mask, **options)
    assert "/data/file1.h5" in str(caught.value)
