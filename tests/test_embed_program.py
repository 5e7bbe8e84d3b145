import dataclasses
import json
import subprocess
import sys
from unittest import mock

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import flagsaver

from jaxrecon import embed
from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import MaskSpec
from jaxrecon.priors.embedder import open_embedder
from jaxrecon.priors.embeddings import (
    NEGATIVE,
    POSITIVE,
    check_embeddings,
    read_blocks,
    read_labels,
)
from jaxrecon.priors.semantic_prior import open_prior
from jaxrecon.scan_config import scan_config

# How ml_collections loads an experiment's file.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

EXPERIMENT = """
from jaxrecon.scan_config import scan_config

def get_config():
    config = scan_config()
    config.prior.encoder.architecture = "dinov2_vit_s14"
    config.prior.encoder.weights = "random"
    config.prior.image_size = 28
    config.prior.layers = (1, 2)
    config.prior.level_weights = (0.5, 1.0)
    config.auxiliary.mask.acs = 6
    config.auxiliary.mask.accelerations = (3,)
    return config
"""
MASKS = MaskSpec("gaussian", (3,), acs=6, seed=0)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    path = tmp_path_factory.mktemp("experiments") / "tiny.py"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture(scope="module")
def knees(tmp_path_factory):
    """Two files of 3 slices, 64 x 32, and one of 2 slices, 48 x 28, of oversampled readout."""
    folder = tmp_path_factory.mktemp("knees")
    for name, settings, cases in (
        ("a", PhantomSettings("knee", height=32, width=32, oversampling=2, slices=3), range(2)),
        ("b", PhantomSettings("knee", height=24, width=28, oversampling=2, slices=2), range(2, 3)),
    ):
        write_phantom_dataset(folder / name, "fastmri", settings, {"train": cases}, progress=False)
    return folder


def call(*arguments):
    """Run the program in this process."""
    command = ["embed", *map(str, arguments)]
    saved = flagsaver.save_flag_values(embed._FLAGS)
    # A configuration's overrides are looked for there, whatever the flags are parsed from.
    with mock.patch.object(sys, "argv", command):
        try:
            embed._FLAGS(command)
            return embed.main()
        finally:
            flagsaver.restore_flag_values(saved, embed._FLAGS)


def rss(kspace):
    axes = (-2, -1)
    images = np.fft.ifft2(np.fft.ifftshift(kspace, axes), norm="ortho", axes=axes)
    return np.sqrt(np.sum(np.abs(np.fft.fftshift(images, axes)) ** 2, axis=0))


def prior_settings(path=""):
    config = scan_config().prior
    config.encoder.architecture, config.encoder.weights = "dinov2_vit_s14", "random"
    config.image_size, config.layers, config.level_weights = 28, (1, 2), (0.5, 1.0)
    config.embeddings = str(path)
    return config.to_dict()


def test_both_images_of_every_slice_are_embedded(tmp_path, experiment, knees):
    output = tmp_path / "new" / "knee.h5"
    command = [
        sys.executable, "-m", "jaxrecon.embed", "--config", experiment, "--output", output,
        f"--config.auxiliary.root={knees}", "--batch_size=4",
    ]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("images: 8 slices of 3 of 3 files, undersampled by gaussian masks")
    assert lines[0].endswith("; positives target")
    assert "gaussian masks, effective R = 3.1" in lines[0]
    assert lines[1] == "encoder: random encoder (seed 0)"
    assert "8 positive and 8 negative embeddings at 2 levels" in lines[2]
    assert lines[3].startswith("  layer1: 4 tokens of 384; mean cosine of positives 0.")
    assert "held-out loss of positives" in lines[4]

    file = check_embeddings(output)
    sources, masks = read_labels(file, NEGATIVE)
    assert sorted(sources) == sorted(
        f"{path.name}, slice {index}"
        for path, count in zip(sorted(knees.rglob("*.h5")), (3, 3, 2), strict=True)
        for index in range(count)
    )
    assert all(mask.startswith("gaussian, R = 3, effective 3.") for mask in masks)
    assert read_labels(file, POSITIVE) == (sources, [""] * 8)
    details = file.provenance.details
    assert details["auxiliary"]["root"] == str(knees)
    assert details["prior"]["encoder"]["architecture"] == "dinov2_vit_s14"
    assert len(details["files"]) == 3
    assert details["origin"].startswith("simulated: ")
    assert {"commit", "versions", "date"} <= details.keys()

    # The embeddings are those of images made by NumPy.
    embedder = open_embedder(prior_settings())
    compute = jax.jit(embedder.embed)
    found = {
        kind: [
            np.concatenate(list(read_blocks(file, kind, level))) for level in ("layer1", "layer2")
        ]
        for kind in (POSITIVE, NEGATIVE)
    }
    paths = {path.name: path for path in knees.rglob("*.h5")}
    for row in (0, 2, 7):
        name, index = sources[row].split(", slice ")
        with h5py.File(paths[name]) as opened:
            kspace = opened["kspace"][int(index)].astype(np.complex128)
        _, height, width = kspace.shape
        mask = MASKS.draw(width, name, int(index)).pattern
        for kind, samples in ((POSITIVE, kspace), (NEGATIVE, kspace * mask)):
            image = rss(samples)[height // 4 : height - height // 4]
            expected = compute(
                embedder.arrays, jnp.asarray(image[None], jnp.complex64), jnp.arange(1)
            )
            for ours, theirs in zip(found[kind], expected, strict=True):
                scale = float(jnp.abs(theirs).max())
                np.testing.assert_allclose(ours[row], theirs[0], atol=1e-5 * scale)

    prior = open_prior(prior_settings(output))
    assert prior.references["layer2"].negatives.shape == (8, 384)
    assert json.dumps(prior.provenance)


def test_files_and_slices_are_chosen_and_positives_may_be_tv(tmp_path, experiment, knees, capsys):
    output = tmp_path / "knee.h5"
    arguments = (
        f"--config={experiment}", f"--output={output}", f"--config.auxiliary.root={knees}",
        "--config.auxiliary.slices=1", "--config.auxiliary.positive=tv",
        "--config.auxiliary.contains=/a/", "--batch_size=3",
    )  # fmt: skip
    call(*arguments)
    printed = capsys.readouterr().out
    assert "images: 2 slices of 2 of 2 files, undersampled" in printed
    assert "; positives tv" in printed
    file = check_embeddings(output)
    sources, masks = read_labels(file, POSITIVE)
    assert sources == ["file1000001.h5, slice 1", "file1000002.h5, slice 1"]
    assert masks == read_labels(file, NEGATIVE)[1]
    assert masks[0].startswith("gaussian, R = 3")
    before = output.read_bytes()
    with pytest.raises(InputError, match=r"expected a new file, found .*; --overwrite replaces it"):
        call(*arguments)
    assert output.read_bytes() == before
    call(*arguments, "--overwrite", "--config.auxiliary.files=1")
    assert check_embeddings(output).images == {POSITIVE: 1, NEGATIVE: 1}


def test_an_image_may_have_several_embeddings_by_its_own_seed(
    tmp_path, experiment, knees, monkeypatch
):
    plain = open_embedder(prior_settings())

    def perturbed(arrays, images, seeds):
        """Three embeddings of an image: its sum, its seed and the place among the three."""
        rows = [
            jnp.stack(
                [jnp.abs(images).sum((1, 2)), seeds / 2.0**31, jnp.full(len(images), place)], 1
            )
            for place in range(3)
        ]
        return (jnp.stack(rows, 1).reshape(-1, 1, 3),)

    embedder = dataclasses.replace(
        plain,
        provenance=dataclasses.replace(plain.provenance, levels=("answer",)),
        embed=perturbed,
        rows_per_image=3,
    )
    monkeypatch.setattr(embed, "open_embedder", lambda config: embedder)
    arguments = (f"--config={experiment}", f"--config.auxiliary.root={knees}")
    found = []
    for batch_size in (3, 8):
        output = tmp_path / f"{batch_size}.h5"
        call(*arguments, f"--output={output}", f"--batch_size={batch_size}")
        file = check_embeddings(output)
        assert file.images == {POSITIVE: 24, NEGATIVE: 24}
        sources, masks = read_labels(file, NEGATIVE)
        assert sources[0] == sources[2] != sources[3]
        assert masks[0] == masks[2]
        found.append(
            [np.concatenate(list(read_blocks(file, kind, "answer"))) for kind in file.images]
        )
    positive, negative = (rows.reshape(8, 3, 3) for rows in found[0])
    for rows in (positive, negative):
        np.testing.assert_array_equal(rows[:, :, 2], np.tile([0, 1, 2], (8, 1)))
        assert (rows[:, :, :2] == rows[:, :1, :2]).all()
    assert len(set(np.concatenate([positive[:, 0, 1], negative[:, 0, 1]]))) == 16
    # The same seeds and images, however many are embedded at a time.
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_bad_input_ends_in_one_line_and_leaves_no_file(tmp_path, experiment, knees):
    output = tmp_path / "out" / "knee.h5"

    def refused(message, *arguments, config=experiment):
        with pytest.raises(InputError, match=message):
            call(f"--config={config}", f"--output={output}", *arguments)
        assert not output.exists()

    root = f"--config.auxiliary.root={knees}"
    refused("auxiliary.root: expected a folder of fully sampled scans, found none")
    refused("expected a folder of fastmri files, found", f"--config.auxiliary.root={tmp_path}/no")
    refused("with 'nowhere' in their path", root, "--config.auxiliary.contains=nowhere")
    refused("mask acs: gaussian expects at most", root, "--config.auxiliary.mask.acs=24")
    refused("expected one of target, tv", root, "--config.auxiliary.positive=other")
    refused("prior.name: expected one of image", root, "--config.prior.name=no")
    refused("converted weights in no, found none", root, "--config.prior.encoder.weights=no")
    other = tmp_path / "other.py"
    other.write_text("from jaxrecon.config import default_config as get_config\n")
    refused("--config: expected an experiment on one scan", config=other)


def test_an_unreadable_file_is_named(tmp_path, experiment):
    settings = PhantomSettings("knee", height=32, width=32, oversampling=1, slices=2)
    write_phantom_dataset(tmp_path, "fastmri", settings, {"train": range(3)}, progress=False)
    paths = sorted(tmp_path.rglob("*.h5"))
    output = tmp_path / "out.hdf5"
    arguments = (f"--config={experiment}", f"--output={output}", "--batch_size=2")
    root = f"--config.auxiliary.root={tmp_path}"
    with h5py.File(paths[1], "r+") as file:
        file["kspace"][1, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"file1000002.h5: expected finite samples in slice 1"):
        call(*arguments, root)
    paths[1].write_bytes(paths[1].read_bytes()[:500])
    with pytest.raises(InputError, match=r"file1000002.h5: expected a complete HDF5 file"):
        call(*arguments, root)
    assert not list(tmp_path.glob("*out.hdf5*"))
