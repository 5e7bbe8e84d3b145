import base64
import io

import numpy as np
import pytest
import results_files
from matplotlib import colormaps
from PIL import Image

from jaxrecon.reporting.comparability import comparable_measurements
from jaxrecon.reporting.embedded_images import error_gradient, error_image, grey_image
from jaxrecon.reporting.examples import load_examples
from jaxrecon.reporting.figure_files import png_of
from jaxrecon.reporting.figures import example_figure, scale_text
from jaxrecon.reporting.measurements import load_results


@pytest.fixture
def load(tmp_path):
    def load(**changes):
        rows = [results_files.row("zero_filled"), results_files.row("net")]
        path = results_files.write(tmp_path, rows, examples=[results_files.example(**changes)])
        files = load_results([path])
        (found,) = load_examples(files, comparable_measurements(files))
        return found

    return load


def _images(figure):
    return [axes.images[0] for axes in figure.axes if axes.images]


def test_all_images_have_one_scale_and_all_errors_another(load):
    example = load()
    figure = example_figure(example)
    scales = {}
    for image in _images(figure):
        scales.setdefault(image.get_cmap().name, set()).add(image.get_clim())
    assert scales == {
        "gray": {(0, example.white)},
        "inferno": {(0, example.error_limit)},
    }
    text = scale_text(example)
    assert figure.get_supxlabel() == text
    assert f"{example.white:.3g}" in text
    assert f"{example.error_limit:g}" in text


def test_a_column_shows_the_image_its_box_and_its_error(load):
    example = load()
    figure = example_figure(example)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["Target", "Zero-filled", "net"]
    shown = [np.asarray(image.get_array()) for image in _images(figure)]
    assert len(shown) == 3 + 3 + 2
    box = example.box
    part = example.images["net"][box.row : box.row + box.size, box.column : box.column + box.size]
    np.testing.assert_array_equal(shown[2], example.images["net"])
    np.testing.assert_array_equal(shown[5], part)
    np.testing.assert_array_equal(shown[7], example.errors["net"])


def test_without_a_target_there_are_no_error_maps(load):
    figure = example_figure(load(target=False))
    assert {image.get_cmap().name for image in _images(figure)} == {"gray"}
    assert len(_images(figure)) == 4


def test_a_figure_has_the_resolution_of_print(load):
    with Image.open(io.BytesIO(png_of(example_figure(load())))) as image:
        assert image.info["dpi"][0] == pytest.approx(300, abs=0.1)
        assert min(image.size) > 900


def _decoded(address):
    kind, content = address.split(",")
    assert kind == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        return np.asarray(image.convert("RGB"))


def test_embedded_images_lose_nothing_but_the_rounding():
    image = np.random.default_rng(0).random((17, 23), np.float32) * 2
    found = _decoded(grey_image(image, 1.5))
    expected = np.clip(image / 1.5, 0, 1) * 255
    assert (found[..., 0] == found[..., 1]).all()
    assert (found[..., 0] == found[..., 2]).all()
    assert np.abs(found[..., 0] - expected).max() <= 0.501


def test_embedded_errors_have_the_colours_of_the_figures():
    error = np.linspace(0, 0.2, 64, dtype=np.float32)[None]
    found = _decoded(error_image(error, 0.1))
    expected = colormaps["inferno"](np.clip(error / 0.1, 0, 1))[..., :3] * 255
    # 64 steps of colour: half a step off at most.
    steps = np.abs(np.diff(colormaps["inferno"](np.linspace(0, 1, 64))[:, :3] * 255, axis=0)).max()
    assert np.abs(found - expected).max() <= steps
    assert (found[0, -1] == found[0, -30]).all()


def test_the_gradient_runs_from_one_end_of_the_scale_to_the_other():
    first, *_, last = error_gradient().split(", ")
    assert first == "#000004"
    assert last == "#fcffa4"
