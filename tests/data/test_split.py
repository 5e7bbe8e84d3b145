import dataclasses
import random

import pytest

from jaxrecon.data.split import split_cases
from jaxrecon.data.volume import Volume
from jaxrecon.errors import InputError

ONE = Volume(
    path="/data/P001/cine_sax.mat",
    layout="cmrxrecon",
    name="P001/cine_sax.mat",
    case="P001",
    contrast="cine_sax",
    slices=6,
    frames=2,
    coils=4,
    height=8,
    width=8,
    target_height=8,
    target_width=8,
    padding=(0, 8),
    maximum=1.0,
    has_target=True,
    sampled=False,
)


def volumes_of(cases: int) -> list[Volume]:
    return [
        dataclasses.replace(ONE, case=f"P{case:03d}", name=f"P{case:03d}/{contrast}.mat")
        for case in range(1, cases + 1)
        for contrast in ("cine_lax", "cine_sax", "T1map", "T2map")
    ]


def cases_of(part) -> set[str]:
    return {volume.case for volume in part}


def test_120_cases_give_84_12_and_24():
    split = split_cases(volumes_of(120))
    assert [len(cases_of(part)) for part in split] == [84, 12, 24]


@pytest.mark.parametrize("seed", range(5))
def test_every_volume_is_in_one_part_and_no_case_in_two(seed):
    volumes = volumes_of(20)
    split = split_cases(volumes, seed=seed)
    together = [volume.name for part in split for volume in part]
    assert sorted(together) == sorted(volume.name for volume in volumes)
    assert not cases_of(split.train) & cases_of(split.validation)
    assert not cases_of(split.train) & cases_of(split.test)
    assert not cases_of(split.validation) & cases_of(split.test)


def test_does_not_depend_on_the_order_of_files_but_on_the_seed():
    volumes = volumes_of(30)
    shuffled = random.Random(1).sample(volumes, len(volumes))
    first, again, other = (
        [cases_of(part) for part in split_cases(order, seed=seed)]
        for order, seed in ((volumes, 0), (shuffled, 0), (volumes, 1))
    )
    assert first == again
    assert first != other


def test_three_cases_give_one_each():
    assert [len(cases_of(part)) for part in split_cases(volumes_of(3))] == [1, 1, 1]


@pytest.mark.parametrize("cases", [0, 1, 2])
def test_fewer_than_three_cases_are_refused(cases):
    with pytest.raises(InputError, match=rf"at least one case.*found {cases} cases"):
        split_cases(volumes_of(cases))


@pytest.mark.parametrize("fractions", [(0.7, 0.1, 0.1), (0.9, 0.1, 0.0), (1.2, -0.4, 0.2)])
def test_fractions_that_are_no_division_are_refused(fractions):
    with pytest.raises(InputError, match="fractions: expected three positive numbers"):
        split_cases(volumes_of(10), fractions)
