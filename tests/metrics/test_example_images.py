import numpy as np
import pytest

from jaxrecon.errors import InputError
from jaxrecon.metrics.example_images import ExampleImages, read_example, write_example


@pytest.mark.parametrize("with_target", [True, False])
def test_what_is_written_is_read_again(tmp_path, with_target):
    generator = np.random.default_rng(0)
    target, first, second = generator.random((3, 5, 7), np.float32)
    images = {"zero_filled": first, "a / b (random encoder)": second}
    scores = {"zero_filled": {"ssim": 0.5}, "a / b (random encoder)": {"ssim": 0.75}}
    example = ExampleImages(
        "knee",
        "file1.h5",
        3,
        "equispaced",
        4.0,
        13,
        target if with_target else None,
        images,
        scores,
    )
    write_example(tmp_path / "new" / "example.npz", example)
    found = read_example(tmp_path / "new" / "example.npz")
    assert list(found.images) == list(images)
    for method, image in images.items():
        np.testing.assert_array_equal(found.images[method], image)
    assert (found.target is None) != with_target
    assert (found.file, found.index, found.acs, found.scores) == ("file1.h5", 3, 13, scores)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["example.npz"]


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "example.npz"
    path.write_bytes(b"PK nothing")
    with pytest.raises(InputError, match=r"example\.npz: expected images of a slice"):
        read_example(path)
