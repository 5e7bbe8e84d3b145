import fastmri
import numpy as np
import pytest
import torch
from kspace_files import random_kspace, rss

from jaxrecon.data.target import rss_target


@pytest.mark.parametrize("size", [(12, 10), (11, 8), (9, 13)])
def test_equals_the_definition_and_fastmri(size):
    kspace = random_kspace(2, 3, *size)
    images = fastmri.ifft2c(torch.view_as_real(torch.from_numpy(kspace)))
    reference = fastmri.rss_complex(images, dim=1).numpy()
    before = kspace.copy()

    target = rss_target(kspace)

    np.testing.assert_allclose(target, reference, rtol=1e-5)
    np.testing.assert_allclose(target, rss(kspace), rtol=1e-5)
    np.testing.assert_array_equal(kspace, before)
