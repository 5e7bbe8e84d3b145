"""From auxiliary images and a question to a reconstruction, its answers and a report of them."""

import dataclasses

import numpy as np
import pytest
import reference_janus as reference
from scan_experiments import call_program

from jaxrecon import embed, reconstruct, report
from jaxrecon.command_line import DONE
from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from jaxrecon.encoders.janus_spec import JanusSpec
from jaxrecon.priors import janus_weights
from jaxrecon.priors.embeddings import NEGATIVE, POSITIVE, check_embeddings
from jaxrecon.priors.prompts import QUALITY_PROMPTS
from jaxrecon.priors.trajectory import read_trajectory, write_trajectory

# How ml_collections loads an experiment's file.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

TINY = JanusSpec(
    reference.SMALL.vision,
    dataclasses.replace(reference.SMALL.language, depth=2, vocabulary=300),
)
EXPERIMENT = """
from jaxrecon.priors.prompts import QUALITY_PROMPTS
from jaxrecon.scan_config import language_config

def get_config():
    config = language_config()
    config.name = "quality"
    config.steps, config.report_every = 4, 2
    config.backbone.features = (4, 8)
    config.backbone.stages, config.backbone.iterations = 2, 2
    config.prior.encoder.architecture, config.prior.encoder.weights = "tiny", "random"
    config.prior.encoder.dtype = "float32"
    config.prior.prompt = QUALITY_PROMPTS[0]
    config.prior.perturbations, config.prior.perturbation_std = 2, 0.002
    config.prior.answer_tokens = 2
    config.auxiliary.mask.acs, config.auxiliary.mask.accelerations = 12, (2,)
    return config
"""


@pytest.fixture(scope="module")
def knee(tmp_path_factory):
    """Three slices, k-space of 64 x 32, images of 32 x 32."""
    folder = tmp_path_factory.mktemp("knee")
    settings = PhantomSettings("knee", height=32, width=32, oversampling=2, coils=3, slices=3)
    write_phantom_dataset(folder, "fastmri", settings, {"train": range(1)}, progress=False)
    return next(folder.rglob("*.h5"))


def run(folder, experiment, knee):
    """Both programs; the file of embeddings and the folder of the fit."""
    config = f"--config={experiment}"
    references, workdir = folder / "references.h5", folder / "fit"
    call_program(embed, config, f"--output={references}", f"--config.auxiliary.root={knee.parent}")
    done = call_program(
        reconstruct,
        config,
        f"--config.prior.embeddings={references}",
        f"--input={knee}",
        "--slices=1",
        "--mask=gaussian",
        "--acceleration=2",
        "--acs=12",
        f"--workdir={workdir}",
        f"--output={workdir}.npy",
    )
    assert done == DONE
    return references, workdir


def test_a_question_leads_a_reconstruction(tmp_path, knee, monkeypatch, capsys):
    monkeypatch.setitem(janus_weights.ARCHITECTURES, "tiny", TINY)
    experiment = tmp_path / "quality.py"
    experiment.write_text(EXPERIMENT)
    references, workdir = run(tmp_path, experiment, knee)
    printed = capsys.readouterr().out
    assert printed.count("memory: about 0.") == 2
    assert "answers to positives: " in printed
    file = check_embeddings(references)
    assert file.images == {POSITIVE: 6, NEGATIVE: 6}
    details = file.provenance.details
    assert sum(details["answers"][POSITIVE].values()) == 3
    assert sum(details["perturbations"].values()) == 12

    path = read_trajectory(workdir / "trajectory.h5")
    assert path.method == "quality (random encoder)"
    assert path.steps.tolist() == [0, 2, 4]
    assert path.embeddings["language"].shape == (3, 1, 32)
    assert path.references["language"].positives.shape == (6, 32)
    assert np.shape(path.answers) == (3, 1)
    assert path.provenance["prior"]["prompt"].startswith("Determine whether this image is high")
    assert set(path.losses) == {"data", "tv", "semantic", "semantic/language"}

    # As if the other prompt had led to a darker image.
    other = tmp_path / "other.h5"
    prompt = {"prior": {**path.provenance["prior"], "prompt": QUALITY_PROMPTS[6]}}
    darker = dataclasses.replace(
        path, images=0.9 * path.images, provenance={**path.provenance, **prompt}
    )
    write_trajectory(other, darker)
    output = tmp_path / "report"
    call_program(report, f"--trajectories={workdir},{other}", f"--output={output}")
    page = (output / "index.html").read_text()
    assert "standard deviation over 2 prompts" in page
