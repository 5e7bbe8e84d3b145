import numpy as np
import pytest
import torch
from PIL import Image

from jaxrecon.encoders.resampling import bicubic_matrix, bilinear_matrix, resample_positions

SIZES = [(512, 224), (246, 224), (224, 224), (128, 224), (33, 16), (7, 50), (1, 4), (5, 1)]


@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_bilinear_is_torch_s_with_antialiasing(inputs, outputs):
    rows = torch.from_numpy(np.random.default_rng(0).random((3, inputs)))
    expected = torch.nn.functional.interpolate(
        rows[None, None], (3, outputs), mode="bilinear", antialias=True, align_corners=False
    )[0, 0]
    found = rows.numpy() @ bilinear_matrix(inputs, outputs).T
    np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_bilinear_is_pil_s(inputs, outputs):
    rows = np.random.default_rng(0).random((3, inputs)).astype(np.float32)
    expected = Image.fromarray(rows).resize((outputs, 3), Image.Resampling.BILINEAR)
    found = rows @ bilinear_matrix(inputs, outputs).T
    np.testing.assert_allclose(found, np.asarray(expected), atol=1e-6)


@pytest.mark.parametrize(("inputs", "outputs"), [*SIZES, (37, 16), (16, 37)])
def test_bicubic_is_torch_s_without_antialiasing(inputs, outputs):
    rows = torch.from_numpy(np.random.default_rng(0).random((3, inputs)))
    expected = torch.nn.functional.interpolate(
        rows[None, None], (3, outputs), mode="bicubic", align_corners=False
    )[0, 0]
    found = rows.numpy() @ bicubic_matrix(inputs, outputs).T
    np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize("class_token", [True, False])
@pytest.mark.parametrize(("side", "grid"), [(37, 16), (14, 20)])
def test_positions_are_resampled_in_two_dimensions(class_token, side, grid):
    rng = np.random.default_rng(0)
    positions = rng.normal(size=(side * side + class_token, 6)).astype(np.float32)
    patches = torch.from_numpy(positions[int(class_token) :].astype(np.float64))
    expected = torch.nn.functional.interpolate(
        patches.T.reshape(1, 6, side, side), (grid, grid), mode="bicubic", align_corners=False
    )
    found = resample_positions(positions, grid, class_token=class_token)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[: int(class_token)], positions[: int(class_token)])
    np.testing.assert_allclose(
        found[int(class_token) :], expected.reshape(6, grid * grid).T, atol=1e-6
    )


def test_positions_of_the_same_grid_stay_as_they_are():
    positions = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    np.testing.assert_array_equal(resample_positions(positions, 3, class_token=True), positions)
