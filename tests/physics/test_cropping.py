import fastmri.data.transforms
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jaxrecon.errors import InputError
from jaxrecon.physics.cropping import center_crop, center_pad


@pytest.mark.parametrize("size", [(11, 8), (10, 9)])
@pytest.mark.parametrize("crop", [(4, 4), (5, 3), (10, 8)])
def test_crop_equals_fastmri(size, crop):
    array = np.arange(2 * size[0] * size[1]).reshape(2, *size)
    expected = fastmri.data.transforms.center_crop(torch.from_numpy(array), crop).numpy()
    np.testing.assert_array_equal(center_crop(array, *crop), expected)
    np.testing.assert_array_equal(center_crop(jnp.asarray(array), *crop), expected)


@given(height=st.integers(1, 9), width=st.integers(1, 9), more=st.tuples(*[st.integers(0, 6)] * 2))
def test_crop_undoes_pad(height, width, more):
    array = np.random.default_rng(0).random((2, height, width)) + 1
    padded = center_pad(array, height + more[0], width + more[1])
    assert padded.shape == (2, height + more[0], width + more[1])
    np.testing.assert_array_equal(center_crop(padded, height, width), array)
    assert np.count_nonzero(padded) == array.size


def test_kind_and_dtype_are_kept():
    array = np.ones((3, 4), np.float32)
    assert isinstance(center_pad(center_crop(array, 1, 2), 5, 5), np.ndarray)
    found = jax.jit(lambda x: center_pad(center_crop(x, 1, 2), 5, 5))(jnp.asarray(array))
    assert isinstance(found, jax.Array)
    np.testing.assert_array_equal(found, center_pad(center_crop(array, 1, 2), 5, 5))
    assert found.dtype == np.float32


@pytest.mark.parametrize("size", [(0, 2), (4, 2), (2, 5)])
def test_impossible_crops_are_refused(size):
    with pytest.raises(InputError, match=f"1 x 1 to 3 x 4, found {size[0]} x {size[1]}"):
        center_crop(np.zeros((3, 4)), *size)


def test_pad_to_less_is_refused():
    with pytest.raises(InputError, match="at least 3 x 4, found 3 x 3"):
        center_pad(np.zeros((3, 4)), 3, 3)
