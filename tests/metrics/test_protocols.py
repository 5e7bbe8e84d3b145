import fastmri.evaluate
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from scipy.ndimage import sobel
from skimage.metrics import (
    normalized_root_mse,
    peak_signal_noise_ratio,
    structural_similarity,
)
from volumes import make_volume

from jaxrecon.data.volume import Volume
from jaxrecon.errors import InputError
from jaxrecon.metrics.lpips import LpipsWeights, lpips, parameter_shapes
from jaxrecon.metrics.measures import MEASURES
from jaxrecon.metrics.protocols import PROTOCOLS, Protocol, SliceScores, protocol
from jaxrecon.physics.cropping import center_pad


def series(slices: int, height: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets of different brightness and reconstructions of different quality."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    shape = np.exp(-3 * (x**2 + y**2)) * (1 + 0.3 * np.sin(20 * x) * np.cos(15 * y))
    brightness = 1e-4 * generator.uniform(0.5, 2, (slices, 1, 1))
    noise = generator.uniform(0.01, 0.1, (slices, 1, 1))
    targets = brightness * shape
    images = np.abs(targets + brightness * noise * generator.standard_normal(targets.shape))
    return images.astype(np.float32), targets.astype(np.float32)


def score_slices(
    judge: Protocol, volume: Volume, images: np.ndarray, targets: np.ndarray, data_range: float
) -> list[SliceScores]:
    count = len(images)
    scores = jax.jit(judge.device_scores)(
        jnp.asarray(images),
        jnp.asarray(targets),
        jnp.asarray([judge.region(volume)] * count, jnp.int32),
        jnp.full(count, data_range, jnp.float32),
    )
    return [
        SliceScores(volume.name, i, {name: float(values[i]) for name, values in scores.items()})
        for i in range(count)
    ]


@pytest.mark.parametrize("padded_size", [(40, 33), (64, 50), (65, 48)])
def test_fastmri_equals_the_challenges_evaluation(padded_size):
    judge, volume = protocol("fastmri"), make_volume()
    images, targets = series(5, 40, 33, seed=0)
    rows = score_slices(
        judge,
        volume,
        center_pad(images, *padded_size),
        center_pad(targets, *padded_size),
        float(targets.max()),
    )
    (found,) = judge.summarise(rows)
    assert (found.file, found.slices) == ("file1.h5", 5)
    images, targets = images.astype(np.float64), targets.astype(np.float64)
    assert found.metrics == pytest.approx(
        {
            "ssim": float(fastmri.evaluate.ssim(targets, images)[0]),
            "psnr": float(fastmri.evaluate.psnr(targets, images)),
            "nmse": float(fastmri.evaluate.nmse(targets, images)),
        },
        rel=1e-5,
    )


def test_cmrxrecon_equals_means_over_images_scaled_to_their_own_maxima():
    judge = protocol("cmrxrecon2023")
    volume = make_volume(target_height=64, target_width=50)
    assert judge.region(volume) == (21, 25)
    images, targets = series(4, 64, 50, seed=1)
    # The challenge's crop of n from N samples starts at N // 2 - n // 2.
    region = np.s_[:, 32 - 10 : 32 - 10 + 21, 25 - 12 : 25 - 12 + 25]
    expected = {"ssim": [], "psnr": [], "nmse": []}
    for image, target in zip(images[region], targets[region], strict=True):
        x = image.astype(np.float64) / image.max()
        y = target.astype(np.float64) / target.max()
        expected["ssim"].append(structural_similarity(y, x, data_range=1))
        expected["psnr"].append(peak_signal_noise_ratio(y, x, data_range=1))
        expected["nmse"].append(np.linalg.norm(y - x) ** 2 / np.linalg.norm(y) ** 2)
    # The volume's maximum plays no part.
    rows = score_slices(judge, volume, images, targets, data_range=123.0)
    (found,) = judge.summarise(rows)
    assert found.metrics == pytest.approx(
        {name: np.mean(values) for name, values in expected.items()}, rel=1e-5
    )


def test_cmrxrecon_region_survives_padding():
    judge = protocol("cmrxrecon2023")
    volume = make_volume(target_height=64, target_width=50)
    images, targets = series(2, 64, 50, seed=2)
    bare = judge.summarise(score_slices(judge, volume, images, targets, 1.0))
    padded = [center_pad(array, 80, 64) for array in (images, targets)]
    # Something bright in the padding must not become the image's maximum.
    padded[0][:, 0, 0] = 1e3
    found = judge.summarise(score_slices(judge, volume, *padded, 1.0))
    assert found[0].metrics == pytest.approx(bare[0].metrics, rel=1e-6)


@pytest.mark.parametrize("padded_size", [(40, 33), (64, 50), (65, 48)])
def test_paper_a_equals_scikit_images_means_over_images(padded_size):
    judge, volume = protocol("paper_a"), make_volume()
    images, targets = series(5, 40, 33, seed=4)
    rows = [
        row
        for image, target in zip(images, targets, strict=True)
        for row in score_slices(
            judge,
            volume,
            center_pad(image[None], *padded_size),
            center_pad(target[None], *padded_size),
            float(target.max()),
        )
    ]
    expected = {"ssim": [], "psnr": [], "nmse": []}
    for image, target in zip(images.astype(float), targets.astype(float), strict=True):
        peak = target.max()
        expected["ssim"].append(structural_similarity(target, image, data_range=peak))
        expected["psnr"].append(peak_signal_noise_ratio(target, image, data_range=peak))
        expected["nmse"].append(normalized_root_mse(target, image) ** 2)
    for place, row in enumerate(rows):
        found = judge.slice_metrics(row.scores)
        assert found == pytest.approx(
            {name: values[place] for name, values in expected.items()}, rel=1e-5
        )
    for index, row in enumerate(rows):
        rows[index] = SliceScores(row.file, index, row.scores)
    (found,) = judge.summarise(rows)
    assert found.metrics == pytest.approx(
        {name: np.mean(values) for name, values in expected.items()}, rel=1e-5
    )
    assert judge.unit == judge.data_range == "slice"


@pytest.mark.parametrize("padded_size", [(40, 33), (64, 50)])
def test_paper_b_equals_scikit_image_and_scipy_on_images_scaled_to_1(padded_size):
    judge, volume = protocol("paper_b"), make_volume()
    images, targets = series(4, 40, 33, seed=5)
    padded = [center_pad(array, *padded_size) for array in (images, targets)]
    if padded_size != (40, 33):
        padded[0][:, 0, 0] = 1e3  # Outside of the region, hence not the maximum.
    rows = score_slices(judge, volume, *padded, data_range=123.0)
    for row, image, target in zip(rows, images, targets, strict=True):
        x, y = image / image.max().astype(float), target / target.max().astype(float)
        slopes = [sobel(x, axis)[1:-1, 1:-1] for axis in (0, 1)]
        expected = {
            "psnr": peak_signal_noise_ratio(y, x, data_range=1),
            "ssim": structural_similarity(y, x, data_range=1),
            "tenengrad": np.mean(slopes[0] ** 2 + slopes[1] ** 2),
        }
        assert judge.slice_metrics(row.scores) == pytest.approx(expected, rel=1e-5)
    assert judge.unit == "slice"
    assert judge.not_computed == {"lpips": "no weights were given"}


@pytest.fixture(scope="module")
def lpips_weights():
    generator = np.random.default_rng(0)
    flat = {
        tuple(path.split("/")): jnp.asarray(0.05 * generator.normal(size=shape), jnp.float32)
        for path, shape in parameter_shapes("alexnet").items()
    }
    parameters = traverse_util.unflatten_dict(flat)
    return LpipsWeights("alexnet", parameters, "random", "0" * 64)


def test_paper_b_with_weights_measures_lpips_of_the_region(lpips_weights):
    judge, volume = protocol("paper_b", lpips_weights), make_volume()
    assert judge.measures == ("psnr", "ssim", "lpips", "tenengrad")
    assert judge.not_computed == {}
    images, targets = series(2, 40, 33, seed=6)
    scores = jax.jit(judge.device_scores)(
        center_pad(images, 64, 50),
        center_pad(targets, 64, 50),
        jnp.array([judge.region(volume)] * 2, jnp.int32),
        jnp.ones(2),
        judge.weights,
    )
    x, y = (array / array.max(axis=(1, 2), keepdims=True) for array in (images, targets))
    expected = lpips(jnp.asarray(x), jnp.asarray(y), jnp.ones(2), lpips_weights.parameters)
    np.testing.assert_allclose(scores["lpips"], expected, rtol=1e-4)
    # The protocol of that name is not changed by it.
    assert protocol("paper_b").measures == ("psnr", "ssim", "tenengrad")
    with pytest.raises(InputError, match=r"LPIPS expects a region of at least 31 x 31"):
        judge.region(make_volume(target_width=30))
    with pytest.raises(InputError, match="expected paper_b, which measures LPIPS"):
        protocol("paper_a", lpips_weights)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_measures_are_known_and_complete(name):
    judge, volume = protocol(name), make_volume(target_height=64, target_width=50)
    images, targets = series(2, 64, 50, seed=7)
    rows = score_slices(judge, volume, images, targets, float(targets.max()))
    (found,) = judge.summarise(rows)
    assert tuple(found.metrics) == judge.measures
    assert tuple(judge.slice_metrics(rows[0].scores)) == judge.measures
    assert {*judge.measures, *judge.not_computed} <= MEASURES.keys()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_scores_do_not_depend_on_the_scale(name):
    judge, volume = protocol(name), make_volume(target_height=64, target_width=50)
    images, targets = series(3, 64, 50, seed=3)
    found = [
        judge.summarise(
            score_slices(
                judge, volume, images * factor, targets * factor, float(targets.max() * factor)
            )
        )[0].metrics
        for factor in np.float32([1, 1e-6, 1e6])
    ]
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert found[2] == pytest.approx(found[0], rel=1e-5)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_empty_targets_give_no_nan(name):
    judge, volume = protocol(name), make_volume(target_height=64, target_width=50)
    empty = np.zeros((2, 64, 50), np.float32)
    (found,) = judge.summarise(score_slices(judge, volume, empty, empty, 0.0))
    perfect = {"ssim": 1, "psnr": np.inf, "nmse": 0, "tenengrad": 0}
    assert found.metrics == {name: perfect[name] for name in judge.measures}


def test_slices_are_pooled_by_file_in_any_order():
    judge, volume = protocol("fastmri"), make_volume()
    images, targets = series(6, 40, 33, seed=4)
    rows = score_slices(judge, volume, images, targets, float(targets.max()))
    mixed = [
        SliceScores("b.h5" if row.index % 3 else "a.h5", row.index, row.scores) for row in rows
    ]
    forward, backward = judge.summarise(mixed), judge.summarise(mixed[::-1])
    assert [(scores.file, scores.slices) for scores in forward] == [("a.h5", 2), ("b.h5", 4)]
    assert {scores.file: scores.metrics for scores in forward} == {
        scores.file: scores.metrics for scores in backward
    }
    expected = judge.summarise(rows[::3])
    assert forward[0].metrics == expected[0].metrics


@pytest.mark.parametrize(
    ("positions", "expected"),
    [(1, {0}), (2, {0, 1}), (3, {0, 1}), (5, {1, 2}), (10, {3, 4}), (11, {4, 5})],
)
def test_cmrxrecon_selects_the_middle_two_positions(positions, expected):
    judge = protocol("cmrxrecon2023")
    frames = 5
    cine = make_volume(contrast="cine_sax", slices=frames * positions, frames=frames)
    found = {divmod(i, positions) for i in range(cine.slices) if judge.selects(cine, i)}
    assert found == {(frame, position) for frame in range(3) for position in expected}
    for contrast in ("T1map", "T2map"):
        mapping = make_volume(contrast=contrast, slices=frames * positions, frames=frames)
        found = {divmod(i, positions) for i in range(mapping.slices) if judge.selects(mapping, i)}
        assert found == {(frame, position) for frame in range(frames) for position in expected}


def test_fastmri_selects_all_slices_over_the_targets_crop():
    judge, volume = protocol("fastmri"), make_volume()
    assert all(judge.selects(volume, index) for index in range(5))
    assert judge.region(volume) == (40, 33)


# Matrix sizes of the challenge's training set, readout x phase encodes.
@pytest.mark.parametrize(
    ("size", "region"), [((448, 132), (149, 66)), ((512, 246), (171, 123)), ((384, 116), (128, 58))]
)
def test_cmrxrecon_region(size, region):
    volume = make_volume(height=size[0], width=size[1], target_height=size[0], target_width=size[1])
    assert protocol("cmrxrecon2023").region(volume) == region


def test_a_region_smaller_than_ssims_window_is_refused():
    volume = make_volume(name="P001/cine_sax.mat", target_height=30, target_width=12)
    with pytest.raises(InputError, match=r"P001/cine_sax.mat: .*at least 7 x 7 .*found 10 x 6"):
        protocol("cmrxrecon2023").region(volume)


def test_unknown_protocols_are_refused():
    known = "one of fastmri, cmrxrecon2023, paper_a, paper_b, found 'fastMRI'"
    with pytest.raises(InputError, match=known):
        protocol("fastMRI")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_descriptions_are_one_line(name):
    assert protocol(name).name == name
    assert protocol(name).description
    assert "\n" not in protocol(name).description
