import shutil

import pytest
import torch
from fastmri.models import VarNet as ReferenceVarNet

from jaxrecon.data.phantom import PhantomSettings
from jaxrecon.data.simulated_dataset import write_phantom_dataset
from weight_conversion.fastmri_varnet import convert_file


@pytest.fixture(scope="session")
def knees(tmp_path_factory):
    """Three phantom volumes of two shapes in the fastMRI layout."""
    folder = tmp_path_factory.mktemp("knees")
    square = PhantomSettings("knee", height=32, width=32, oversampling=2, coils=3, slices=2)
    wide = PhantomSettings("knee", height=32, width=40, oversampling=2, coils=2, seed=1)
    write_phantom_dataset(folder, "fastmri", square, {"train": range(2)}, progress=False)
    write_phantom_dataset(folder, "fastmri", wide, {"train": range(2, 3)}, progress=False)
    return folder


@pytest.fixture(scope="session")
def squares(knees, tmp_path_factory):
    """The volumes of one shape, all in one folder."""
    folder = tmp_path_factory.mktemp("squares")
    for path in sorted(knees.rglob("*.h5"))[:2]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="session")
def reference():
    """A small network of fastMRI's own."""
    torch.manual_seed(0)
    return ReferenceVarNet(num_cascades=2, chans=3, pools=1, sens_chans=2, sens_pools=1)


def _converted(network, folder):
    folder.mkdir(parents=True)
    torch.save(network.state_dict(), folder / "model.pt")
    convert_file(str(folder / "model.pt"), folder)
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory, reference):
    """The reference network, converted."""
    return _converted(reference, tmp_path_factory.mktemp("weights") / "w")


@pytest.fixture(scope="session")
def other_weights(tmp_path_factory):
    """The same architecture with other weights."""
    torch.manual_seed(1)
    network = ReferenceVarNet(num_cascades=2, chans=3, pools=1, sens_chans=2, sens_pools=1)
    return _converted(network, tmp_path_factory.mktemp("weights") / "other")
