import numpy as np
import pytest

from jaxrecon.metrics.example_images import ExampleImages
from jaxrecon.reporting import gallery
from jaxrecon.reporting.gallery import draw_gallery


def example(index=0, shape=(30, 24), target=True, methods=("zero_filled", "net")):
    generator = np.random.default_rng(index)
    images = {name: generator.random(shape, np.float32) for name in methods}
    truth = generator.random(shape, np.float32) if target else None
    scores = {name: {"ssim": 0.5, "psnr": 30.0, "nmse": 0.01} for name in methods}
    return ExampleImages(
        "knee", "a.h5", index, "equispaced", 4.0, 13, truth, images, scores if target else {}
    )


def drawn_axes(monkeypatch, examples):
    """Everything that is drawn: images with their scale, and texts."""
    shown, texts = [], []
    original = gallery.Figure

    class Recorded(original):
        def subplots(self, *arguments, **keywords):
            axes = super().subplots(*arguments, **keywords)
            for axis in axes.ravel():
                draw = axis.imshow

                def record(image, draw=draw, **options):
                    shown.append((image, options["vmin"], options["vmax"], options["cmap"]))
                    return draw(image, **options)

                axis.imshow = record
            texts.append(axes)
            return axes

    monkeypatch.setattr(gallery, "Figure", Recorded)
    picture = draw_gallery(examples, "heading")
    labels = [axis.get_title() or axis.get_xlabel() for axis in texts[0].ravel()]
    return picture, shown, labels


def test_all_methods_and_errors_share_a_scale_each(monkeypatch):
    picture, shown, labels = drawn_axes(monkeypatch, [example(0), example(1)])
    assert picture.ndim == 3
    grey = [entry for entry in shown if entry[3] == "gray"]
    errors = [entry for entry in shown if entry[3] != "gray"]
    assert (len(grey), len(errors)) == (6, 4)
    for first in (0, 3):
        limits = {(low, high) for _, low, high, _ in grey[first : first + 3]}
        assert limits == {(0, float(grey[first][0].max()))}
    assert len({(low, high) for _, low, high, _ in errors}) == 1
    np.testing.assert_allclose(
        errors[0][0], np.abs(grey[1][0] - grey[0][0]) / grey[0][0].max(), rtol=1e-6
    )
    assert labels[:3] == ["target", "zero_filled", "net"]


def test_without_a_target_there_are_no_errors(monkeypatch):
    _, shown, labels = drawn_axes(monkeypatch, [example(target=False)])
    assert [cmap for *_, cmap in shown] == ["gray", "gray"]
    limit = max(np.quantile(image, 0.999) for image, *_ in shown)
    assert all(high == pytest.approx(limit) for _, _, high, _ in shown)
    assert labels == ["zero_filled", "net"]


def test_figures_stand_below_their_image():
    text = gallery._caption({"ssim": 0.51234, "psnr": 30.0, "nmse": 0.01, "unknown": 1.0})
    assert text == "SSIM 0.5123  PSNR 30.00 dB  NMSE 0.0100"


def test_pictures_grow_with_the_number_of_pixels():
    small = draw_gallery([example(shape=(30, 24))], "heading")
    large = draw_gallery([example(shape=(400, 600))], "heading")
    assert large.shape[1] >= 3 * 600
    assert small.shape[1] < large.shape[1]


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_flat_images_can_be_drawn(value):
    flat = np.full((8, 8), value, np.float32)
    example = ExampleImages("d", "f", 0, "m", 4.0, 1, flat, {"a": flat}, {"a": {"ssim": 1.0}})
    assert draw_gallery([example], "heading").dtype == np.uint8
