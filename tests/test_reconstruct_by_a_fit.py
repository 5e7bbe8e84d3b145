import json
import signal

import h5py
import numpy as np
import pytest
from scan_experiments import call_program, write_experiment

from jaxrecon import embed, reconstruct
from jaxrecon.command_line import DONE, STOPPED_EARLY
from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from jaxrecon.errors import InputError
from jaxrecon.metrics.results import read_results
from jaxrecon.priors.trajectory import read_trajectory
from jaxrecon.scan_specific.fit_folder import FitFolder

# How ml_collections loads an experiment's file.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

MASK = ("--mask=gaussian", "--acceleration=2", "--acs=12")


@pytest.fixture(scope="module")
def knee(tmp_path_factory):
    """Three slices, k-space of 64 x 32, images of 32 x 32."""
    folder = tmp_path_factory.mktemp("knee")
    settings = PhantomSettings("knee", height=32, width=32, oversampling=2, coils=3, slices=3)
    write_phantom_dataset(folder, "fastmri", settings, {"train": range(1)}, progress=False)
    return next(folder.rglob("*.h5"))


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return write_experiment(tmp_path_factory.mktemp("experiments"), "inr")


@pytest.fixture(scope="module")
def prior(tmp_path_factory, knee, experiment):
    """Embeddings by a random encoder."""
    path = tmp_path_factory.mktemp("priors") / "knee.h5"
    root = f"--config.auxiliary.root={knee.parent}"
    call_program(embed, f"--config={experiment}", root, f"--output={path}")
    return path


def fit(knee, experiment, folder, *extra):
    return call_program(
        reconstruct,
        f"--input={knee}",
        f"--config={experiment}",
        "--slices=0,2",
        f"--workdir={folder}",
        f"--output={folder}.npy",
        *MASK,
        *extra,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory, knee, experiment, prior):
    """A fit with the semantic prior, never interrupted."""
    folder = tmp_path_factory.mktemp("fits") / "whole"
    semantic = (f"--config.prior.embeddings={prior}", "--config.regulariser=semantic")
    assert fit(knee, experiment, folder, *semantic) == DONE
    return folder, semantic


def test_a_fit_leaves_images_results_and_its_path(finished, knee, prior):
    folder, _ = finished
    images = np.load(f"{folder}.npy")
    path = read_trajectory(folder / "trajectory.h5")
    assert path.method == "inr_tv (random encoder)"
    assert path.titles == (f"{knee.name}, slice 0", f"{knee.name}, slice 2")
    # Three steps under total variation, reported every two; then four with the prior.
    assert path.steps.tolist() == [0, 2, 3, 5, 7]
    assert path.images.shape == (5, 2, 32, 32)
    np.testing.assert_allclose(path.images[-1], images, rtol=1e-6)
    with h5py.File(knee) as file:
        np.testing.assert_allclose(path.target, file["reconstruction_rss"][[0, 2]], rtol=1e-6)
    assert set(path.losses) == {"data", "tv", "semantic", "semantic/layer1", "semantic/layer2"}
    np.testing.assert_allclose(
        path.losses["semantic"],
        0.5 * path.losses["semantic/layer1"] + path.losses["semantic/layer2"],
        rtol=1e-5,
    )
    assert path.references["layer2"].positives.shape == (3, 384)
    assert path.embeddings["layer2"].shape == (5, 2, 384)
    assert list(path.embeddings) == ["layer1", "layer2"]
    assert path.provenance["prior"]["embeddings"] == str(prior)
    rows = read_results(folder)["rows"]
    assert [row["method"] for row in rows] == ["zero_filled", "inr_tv (random encoder)"]


def test_a_fit_that_was_stopped_ends_in_the_same_image(tmp_path, finished, knee, experiment):
    whole, semantic = finished
    folder = tmp_path / "stopped"
    with pytest.MonkeyPatch.context() as patch:
        add = FitFolder.add

        def add_and_stop(self, state, *rest):
            add(self, state, *rest)
            if int(state.step) == 5:
                signal.raise_signal(signal.SIGTERM)

        patch.setattr(FitFolder, "add", add_and_stop)
        assert fit(knee, experiment, folder, *semantic) == STOPPED_EARLY
    assert not folder.with_suffix(".npy").exists()
    assert fit(knee, experiment, folder, *semantic) == DONE
    np.testing.assert_array_equal(np.load(f"{folder}.npy"), np.load(f"{whole}.npy"))
    paths = [read_trajectory(each / "trajectory.h5") for each in (folder, whole)]
    np.testing.assert_array_equal(paths[0].steps, paths[1].steps)
    np.testing.assert_array_equal(paths[0].images, paths[1].images)


def test_a_folder_belongs_to_one_fit(finished, knee, experiment):
    folder, semantic = finished
    with pytest.raises(InputError, match=r"another config.seed \(config.seed = 0, not 1\)"):
        fit(knee, experiment, folder, *semantic, "--config.seed=1")
    with pytest.raises(InputError, match=r"another sampling.acs"):
        fit(knee, experiment, folder, *semantic, "--acs=10")
    state = folder / "slices_0000" / "state.npz"
    content = state.read_bytes()
    state.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"state.npz: expected a part of a fit, found"):
        fit(knee, experiment, folder, *semantic)
    state.write_bytes(content)


def test_the_prior_sees_the_image_that_the_layout_keeps(finished, knee):
    """Not the oversampled field of view: its embeddings are those of the cropped image."""
    folder, _ = finished
    content = json.loads((folder / "fit.json").read_text())
    assert content["crop"] == [32, 32]


def test_bad_input_ends_in_one_line(tmp_path, knee, experiment, prior):
    with pytest.raises(InputError, match=r"^prior.embeddings: expected a file"):
        fit(knee, experiment, tmp_path / "a", "--config.regulariser=semantic")
    other = (f"--config.prior.embeddings={prior}", "--config.prior.encoder.seed=1")
    with pytest.raises(InputError, match=r"expected embeddings of random encoder \(seed 1\)"):
        fit(knee, experiment, tmp_path / "a", *other)
    with pytest.raises(InputError, match="regulariser: expected one of semantic, tv, none"):
        fit(knee, experiment, tmp_path / "a", "--config.regulariser=wavelet")
    with pytest.raises(InputError, match="ESPIRiT: expected a fully sampled centre"):
        fit(knee, experiment, tmp_path / "a", "--acs=2")
    with pytest.raises(InputError, match=r"expected one of --run, .* found --method and --config"):
        fit(knee, experiment, tmp_path / "a", "--method=tv")
    with pytest.raises(InputError, match="--workdir: expected only with --config"):
        call_program(
            reconstruct, f"--input={knee}", "--method=tv", "--workdir=x", "--output=a.npy", *MASK
        )
    trained = tmp_path / "trained.py"
    trained.write_text("from jaxrecon.config import default_config as get_config\n")
    with pytest.raises(InputError, match="--config: expected an experiment on one scan"):
        fit(knee, trained, tmp_path / "a")
