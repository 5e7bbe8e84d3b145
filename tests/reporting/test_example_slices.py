import numpy as np
import pytest
import results_files

from jaxrecon.errors import InputError
from jaxrecon.reporting.comparability import comparable_measurements
from jaxrecon.reporting.examples import load_examples, take_turns
from jaxrecon.reporting.measurements import load_results
from jaxrecon.reporting.zoom_box import ZoomBox


def _load(tmp_path, *examples_of_files, methods=("zero_filled", "net"), **options):
    paths = [
        results_files.write(
            tmp_path / str(number),
            [results_files.row(method) for method in methods],
            examples=examples,
        )
        for number, examples in enumerate(examples_of_files)
    ]
    files = load_results(paths)
    return load_examples(files, comparable_measurements(files), **options)


def test_images_of_one_slice_come_together(tmp_path):
    first = results_files.example(("zero_filled", "net"))
    second = results_files.example(("zero_filled", "other"))
    (found,) = _load(tmp_path, [first], [second], methods=("zero_filled", "net", "other"))
    assert list(found.images) == ["Zero-filled", "net", "other"]
    np.testing.assert_array_equal(found.images["net"], first.images["net"])
    np.testing.assert_array_equal(found.images["other"], second.images["other"])
    assert found.score_texts("other") == ["SSIM 0.5000", "PSNR 30.00 dB"]
    assert found.score_texts("nothing") == []


def test_slices_with_other_targets_stay_apart(tmp_path):
    # Of another crop, or another file of the same name.
    examples = [
        results_files.example(),
        results_files.example(shape=(20, 20)),
        results_files.example(seed=1),
        results_files.example(index=4),
        results_files.example(target=False),
    ]
    assert len(_load(tmp_path, examples)) == 5


def test_errors_share_one_scale_that_the_worst_does_not_set(tmp_path):
    (found,) = _load(tmp_path, [results_files.example()])
    assert found.white == found.target.max()
    expected = np.abs(found.images["net"] - found.target) / found.target.max()
    np.testing.assert_allclose(found.errors["net"], expected, rtol=1e-6)
    quantile = np.quantile(expected, 0.999)
    assert quantile <= found.error_limit <= 1.1 * quantile
    assert found.error_limit < found.errors["Zero-filled"].max()


def test_without_a_target_there_are_images_but_no_errors(tmp_path):
    (found,) = _load(tmp_path, [results_files.example(target=False)])
    assert found.errors == {}
    largest = max(np.quantile(image, 0.999) for image in found.images.values())
    assert found.white == pytest.approx(largest)


def test_perfect_images_have_a_scale_of_errors(tmp_path):
    example = results_files.example()
    example.images["net"][:] = example.target
    example.images["zero_filled"][:] = example.target
    (found,) = _load(tmp_path, [example])
    assert found.error_limit == 1.0


def test_settings_take_turns_until_there_are_enough(tmp_path):
    examples = [
        results_files.example(seed=index, index=index, acceleration=acceleration)
        for acceleration in (8.0, 4.0)
        for index in range(3)
    ]
    found = take_turns(_load(tmp_path, examples), 3)
    assert [(each.acceleration, each.index) for each in found] == [(4, 0), (4, 1), (8, 0)]
    assert take_turns(found, 0) == []
    assert take_turns(found, 9) == found


def test_a_box_can_be_chosen(tmp_path):
    box = ZoomBox(2, 3, 8)
    assert _load(tmp_path, [results_files.example()], zoom=box)[0].box == box
    with pytest.raises(InputError, match=r"--zoom: expected a box within 24 x 20 pixels of file0"):
        _load(tmp_path, [results_files.example()], zoom=ZoomBox(20, 0, 8))


def test_a_missing_file_is_named(tmp_path):
    path = results_files.write(tmp_path, [results_files.row()], examples=[results_files.example()])
    (tmp_path / "examples" / "0.npz").unlink()
    files = load_results([path])
    with pytest.raises(InputError, match=r"examples/0\.npz: expected images of a slice"):
        load_examples(files, comparable_measurements(files))


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path, kept):
    path = results_files.write(tmp_path, [results_files.row()], examples=[results_files.example()])
    damaged = tmp_path / "examples" / "0.npz"
    content = damaged.read_bytes()
    damaged.write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])
    files = load_results([path])
    with pytest.raises(InputError, match=r"examples/0\.npz: expected images of a slice"):
        load_examples(files, comparable_measurements(files))


def test_images_of_several_sizes_or_with_nan_are_refused(tmp_path):
    example = results_files.example()
    example.images["net"][0, 0] = np.nan
    with pytest.raises(InputError, match="expected finite images, found others in net"):
        _load(tmp_path, [example])
    example = results_files.example()
    example.images["net"] = np.zeros((3, 3), np.float32)
    with pytest.raises(InputError, match=r"expected images of one size, found \[\(3, 3\), "):
        _load(tmp_path, [example])
