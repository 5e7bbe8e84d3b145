import numpy as np
import pytest

from jaxrecon.data.plan import make_plan

GROUPS = [np.arange(0, 7, dtype=np.int32), np.arange(7, 20, dtype=np.int32)]


@pytest.mark.parametrize("shuffle_seed", [None, (0, 0), (3, 1)])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 16])
def test_every_slice_once_and_groups_apart(batch_size, shuffle_seed):
    plan = make_plan(GROUPS, batch_size, shuffle_seed)
    assert plan.slice_ids.shape == plan.weights.shape
    assert len(plan.slice_ids) == -(-7 // batch_size) + -(-13 // batch_size)
    assert sorted(plan.slice_ids[plan.weights == 1]) == list(range(20))
    assert set(np.unique(plan.weights)) <= {0, 1}
    for ids in plan.slice_ids:
        assert len(set((ids >= 7).tolist())) == 1


def test_a_group_smaller_than_a_batch_is_repeated():
    plan = make_plan([np.array([4, 5], np.int32)], 5, None)
    assert plan.slice_ids.tolist() == [[4, 5, 4, 5, 4]]
    assert plan.weights.tolist() == [[1, 1, 0, 0, 0]]


def test_order_is_kept_without_a_seed():
    plan = make_plan(GROUPS, 4, None)
    assert plan.slice_ids[plan.weights == 1].tolist() == list(range(20))


def test_shuffling_depends_on_seed_and_epoch_alone():
    first, again, next_epoch, other_seed = (
        make_plan(GROUPS, 4, seed).slice_ids.tolist() for seed in ((0, 0), (0, 0), (0, 1), (1, 0))
    )
    assert first == again
    assert first != next_epoch
    assert first != other_seed
    assert next_epoch != other_seed


def test_shuffling_mixes_slices_and_batches():
    plan = make_plan(GROUPS, 4, (0, 0))
    of_second_group = (plan.slice_ids >= 7).all(axis=1)
    assert sorted(of_second_group.tolist()) != of_second_group.tolist()
    assert {tuple(sorted(ids)) for ids in plan.slice_ids.tolist()} != {
        tuple(sorted(ids)) for ids in make_plan(GROUPS, 4, None).slice_ids.tolist()
    }
