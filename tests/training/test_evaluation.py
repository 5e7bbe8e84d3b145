import jax.numpy as jnp
import numpy as np
import pytest

from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from jaxrecon.errors import InputError
from jaxrecon.metrics.protocols import protocol
from jaxrecon.physics.zero_filled import zero_filled
from jaxrecon.training import datasets
from jaxrecon.training.evaluation import Evaluator, JudgedMethod, slice_title
from jaxrecon.training.parallel import make_mesh
from jaxrecon.training.setting_scores import example_slices
from jaxrecon.training.settings import settings_of

MASK = {
    "family": "equispaced", "accelerations": (4,), "center_fractions": (0.1,), "acs": 0,
    "training_seed": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def knees(tmp_path_factory):
    folder = tmp_path_factory.mktemp("knees")
    settings = PhantomSettings("knee", height=24, width=24, oversampling=2, coils=2, slices=3)
    write_phantom_dataset(folder, "fastmri", settings, {"train": range(2)}, progress=False)
    volumes = datasets.load_volumes(folder, "fastmri", with_maxima=True)
    return datasets.TestSet("knees", "knee", volumes, MASK, protocol("fastmri"))


def amplified(name, gain, kind="amplifier"):
    def reconstruct(variables, batch):
        return variables["gain"] * zero_filled(batch["kspace"])

    return JudgedMethod(
        name, reconstruct, {"gain": jnp.float32(gain)}, kind=kind, run=f"runs/{name}"
    )


def pipeline_of(test_set, batch_size):
    return settings_of(test_set)[0].pipeline(batch_size=batch_size, coil_multiple=1)


def test_methods_keep_their_order_and_share_a_program(knees):
    evaluator = Evaluator(make_mesh(1))
    methods = [amplified("z", 1.0), amplified("a", 0.5)]
    rows = evaluator.test(methods, knees, batch_size=1)
    assert [(row["method"], row["run"]) for row in rows] == [
        ("zero_filled", None), ("z", "runs/z"), ("a", "runs/a"),
    ]  # fmt: skip
    assert rows[0]["files"] == rows[1]["files"]
    assert rows[2]["ssim"]["mean"] < rows[1]["ssim"]["mean"]
    # Other variables, the same program.
    again = evaluator.test([amplified("z", 0.5), amplified("a", 1.0)], knees, batch_size=1)
    assert again[1]["files"] == rows[2]["files"]
    assert evaluator.programs == 1
    evaluator.test([amplified("z", 1.0, kind="another")], knees, batch_size=1)
    assert evaluator.programs == 2


def test_devices_that_share_a_batch_change_no_figure(knees):
    method = [amplified("net", 0.9)]
    one = Evaluator(make_mesh(1)).test(method, knees, batch_size=1)
    mesh = make_mesh(4)
    assert mesh.size == 2
    both = Evaluator(mesh).test(method, knees, batch_size=4)
    for row, other in zip(one, both, strict=True):
        for metric in ("ssim", "psnr", "nmse"):
            np.testing.assert_allclose(other[metric]["mean"], row[metric]["mean"], rtol=1e-6)


def test_a_batch_brings_its_images_and_targets(knees):
    pipeline = pipeline_of(knees, 4)
    evaluator = Evaluator(make_mesh(4))
    batches = list(evaluator.batches([amplified("net", 2.0)], pipeline, knees.protocol))
    # The repeats that fill the second batch do not count.
    assert [len(batch.slices) for batch in batches] == [4, 2]
    for batch in batches:
        for number, reference in enumerate(batch.slices):
            images = batch.images(number)
            assert list(images) == ["zero_filled", "net"]
            np.testing.assert_allclose(images["net"], 2 * images["zero_filled"], rtol=1e-6)
            assert images["net"].shape == batch.target(number).shape == (24, 24)
            assert batch.acs(number) == 2
            found = batch.scores["net"][number]
            assert (found.file, found.index) == (reference.volume.name, reference.index)
    targets = [batch.target(number) for batch in batches for number in range(len(batch.slices))]
    maxima = {volume.name: volume.maximum for volume in knees.volumes}
    assert max(map(np.max, targets[:3])) == pytest.approx(maxima["file1000001.h5"])


def test_a_reconstruction_that_is_not_a_number_is_named(knees):
    with pytest.raises(
        InputError,
        match=r"file1000001.h5: expected a finite reconstruction of slice 0 by net, found NaN in",
    ):
        Evaluator(make_mesh(1)).test([amplified("net", np.nan)], knees, batch_size=1)


def test_pictures_come_from_the_programs_that_score(knees):
    evaluator = Evaluator(make_mesh(1))
    methods = [amplified("net", 1.0)]
    evaluator.test(methods, knees, batch_size=1)
    picture = evaluator.test_panel(methods, knees, 2, batch_size=1)
    assert picture.ndim == 3
    assert evaluator.programs == 1


def test_examples_are_middle_slices_of_files_spread_evenly(knees):
    slices = pipeline_of(knees, 1).slices

    def titles(count):
        found = example_slices(slices, count)
        return [slice_title(reference.volume.name, reference.index) for reference in found]

    assert titles(5) == ["file1000001.h5\nslice 1", "file1000002.h5\nslice 1"]
    assert titles(1) == ["file1000002.h5\nslice 1"]
    assert titles(0) == []
