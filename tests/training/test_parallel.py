import jax
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxrecon.data.plan import Bucket
from jaxrecon.errors import InputError
from jaxrecon.models.build import build_model
from jaxrecon.training.parallel import abstract_batch, make_mesh, replicate, shard_batch
from jaxrecon.training.state import initial_state, make_train_step

MODEL = {
    "name": "varnet",
    "cascades": 2,
    "dtype": "float32",
    "refinement": {"name": "norm_unet", "channels": 2, "pools": 0},
    "sensitivity": {"channels": 2, "pools": 0},
}
BUCKET = Bucket(2, 16, 14)


def make_batch(size):
    rng = np.random.default_rng(size)
    real, imaginary = rng.normal(size=(2, size, *BUCKET))
    image = (BUCKET.height, BUCKET.width)
    mask = np.zeros((size, 1, BUCKET.width), bool)
    mask[..., 4:10] = mask[..., ::3] = True
    return {
        "kspace": ((real + 1j * imaginary) * mask[:, None]).astype(np.complex64),
        "mask": mask,
        "acs": np.full(size, 6, np.int32),
        "target": rng.uniform(0, 2, (size, *image)).astype(np.float32),
        "crop": np.full((size, 2), image, np.int32),
        "data_range": np.full(size, 2, np.float32),
        "slice_id": np.arange(size, dtype=np.int32),
        "weight": np.ones(size, np.float32),
    }


@pytest.mark.parametrize(("batch_size", "devices"), [(1, 1), (2, 2), (3, 1), (4, 2), (6, 2)])
def test_the_mesh_takes_as_many_devices_as_divide_the_batch(batch_size, devices):
    assert jax.device_count() == 2
    mesh = make_mesh(batch_size)
    assert mesh.size == devices
    assert mesh.axis_names == ("data",)


def test_several_processes_must_share_the_batch_evenly(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(InputError, match=r"training\.batch_size: expected a multiple of the 2"):
        make_mesh(3)


def test_a_batch_is_split_and_a_tree_repeated():
    mesh = make_mesh(4)
    batch = make_batch(4)
    sharded = shard_batch(batch, mesh)
    for name, value in sharded.items():
        np.testing.assert_array_equal(value, batch[name])
        parts = {shard.device: np.asarray(shard.data) for shard in value.addressable_shards}
        assert len(parts) == 2
        for device, part in parts.items():
            first = 2 * jax.devices().index(device)
            np.testing.assert_array_equal(part, batch[name][first : first + 2])
    tree = replicate({"a": np.arange(3.0), "b": np.float32(1)}, mesh)
    for leaf in jax.tree.leaves(tree):
        assert leaf.sharding == NamedSharding(mesh, PartitionSpec())
        assert len(leaf.addressable_shards) == 2


def test_the_abstract_batch_is_that_of_a_real_one():
    mesh = make_mesh(2)
    real = shard_batch(make_batch(2), mesh)
    abstract = abstract_batch(BUCKET, 2, mesh)
    assert {name: (leaf.shape, leaf.dtype, leaf.sharding) for name, leaf in abstract.items()} == {
        name: (leaf.shape, leaf.dtype, leaf.sharding) for name, leaf in real.items()
    }


def test_a_step_on_two_devices_is_the_step_on_one():
    # Not Adam: its first step is the gradient's sign, which blows up the rounding of small ones.
    network, optimizer = build_model(MODEL), optax.sgd(1.0)
    start = initial_state(network, optimizer, seed=0)
    step = jax.jit(make_train_step(network, optimizer))
    found = {}
    for mesh in (make_mesh(1), make_mesh(2)):
        state = replicate(start, mesh)
        new, scalars = step(state, shard_batch(make_batch(2), mesh))
        moved = jax.tree.map(np.subtract, new.variables["params"], start.variables["params"])
        found[mesh.size] = (moved, scalars)
        assert {leaf.sharding.num_devices for leaf in jax.tree.leaves(new)} == {mesh.size}
    (one, scalars), (two, sharded_scalars) = found[1], found[2]
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(one))
    assert largest > 1e-3
    differences = jax.tree.map(lambda a, b: np.abs(a - b).max(), one, two)
    assert max(jax.tree.leaves(differences)) <= 1e-5 * largest
    for name, value in scalars.items():
        assert float(sharded_scalars[name]) == pytest.approx(float(value), rel=1e-5)
