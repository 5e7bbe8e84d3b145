import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrecon.training.compilation import CompiledByShape, use_compilation_cache


def test_one_program_for_each_shape_of_the_last_argument():
    traced = []

    def scaled(factor, batch):
        traced.append(batch["x"].shape)
        return {"y": factor * batch["x"]}

    step = CompiledByShape(scaled)
    assert (step.programs, step.seconds) == (0, 0.0)
    for size in (3, 5, 3, 5, 3):
        found = step(jnp.float32(2), {"x": jnp.arange(float(size))})
        np.testing.assert_array_equal(found["y"], 2 * np.arange(size))
    assert step.programs == 2
    assert traced == [(3,), (5,)]
    assert step.seconds > 0


def test_compiling_ahead_from_shapes_alone_serves_the_first_call():
    traced = []

    def doubled(x):
        traced.append(x.shape)
        return 2 * x

    step = CompiledByShape(doubled)
    step.compile(jax.ShapeDtypeStruct((4,), jnp.float32))
    np.testing.assert_array_equal(step(jnp.ones(4)), np.full(4, 2))
    assert traced == [(4,)]


def test_temporary_memory_is_that_of_the_largest_program():
    def product(x):
        return jnp.sum(jnp.sin(x @ x.T) @ x)

    small, large = CompiledByShape(product), CompiledByShape(product)
    small(jnp.ones((8, 8)))
    for size in (8, 512, 8):
        large(jnp.ones((size, size)))
    assert large.temporary_bytes >= 4 * 512 * 512
    assert small.temporary_bytes < 4 * 512 * 512


def test_donated_arguments_are_given_up_and_others_kept():
    step = CompiledByShape(lambda state, x: (state + x, x.sum()), donate=(0,))
    state, x = jnp.ones(1000), jnp.ones(1000)
    new, _ = step(state, x)
    assert state.is_deleted()
    assert not x.is_deleted()
    np.testing.assert_array_equal(new, np.full(1000, 2))


@pytest.fixture
def _keep_cache_setting():
    name = "jax_compilation_cache_dir"
    before = getattr(jax.config, name)
    yield
    jax.config.update(name, before)


@pytest.mark.usefixtures("_keep_cache_setting")
def test_programs_are_kept_in_the_cache_folder_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXRECON_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "chosen"))
    before = jax.config.jax_compilation_cache_dir
    use_compilation_cache()
    assert jax.config.jax_compilation_cache_dir == before
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    use_compilation_cache()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "own" / "programs")
