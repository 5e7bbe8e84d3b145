"""Settings of the whole test run: fake CPU devices, run-time shape checks, where real data lie."""

import os
import sys
from pathlib import Path

# Before jax is imported: two CPU devices, so that sharding is tested on any machine.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jaxtyping
import pytest

sys.path.insert(0, str(Path(__file__).parent))

# Every jaxtyping annotation of the package is enforced while the tests run.
_hook = jaxtyping.install_import_hook(["jaxrecon", "weight_conversion"], "beartype.beartype")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real images, k-space and weights; the test is skipped without it."""
    folder = os.environ.get("JAXRECON_REAL_DATA", "")
    if not folder or not Path(folder, "data").is_dir():
        pytest.skip("JAXRECON_REAL_DATA does not name a folder with data/ and weights/")
    return Path(folder)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    """Keep the tests' index caches out of the user's home."""
    os.environ["JAXRECON_CACHE"] = str(tmp_path_factory.mktemp("cache"))
