import contextlib
import hashlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from kspace_files import fastmri_file, random_kspace, rss

import jaxrecon
from jaxrecon.data import fastmri
from jaxrecon.data.index import index_folder
from jaxrecon.data.pipeline import Pipeline
from jaxrecon.errors import InputError
from jaxrecon.physics.sampling import MaskSpec, SamplingMask

# Coils, height, width and slices of files of three buckets, if coils are filled up to 4.
SHAPES = {"a": (3, 12, 16, 5), "b": (4, 12, 16, 4), "c": (2, 10, 16, 3), "d": (4, 12, 20, 2)}
MASKS = MaskSpec("random", (3.0, 4.0), (0.2, 0.1), seed=5)


def write_files(folder: Path) -> None:
    for number, (name, (coils, height, width, slices)) in enumerate(SHAPES.items()):
        kspace = random_kspace(slices, coils, height, width, seed=number)
        maximum = float(rss(kspace).max())
        fastmri_file(folder / f"{name}.h5", {"kspace": kspace}, {"max": maximum})


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return index_folder("fastmri", folder).volumes


def make_pipeline(volumes, **options) -> Pipeline:
    return Pipeline(volumes, MASKS, **{"batch_size": 4, "coil_multiple": 4, "seed": 1, **options})


def digest(batches) -> list[str]:
    return [
        hashlib.sha256(b"".join(batch[key].tobytes() for key in sorted(batch))).hexdigest()
        for batch in batches
    ]


def take(iterator) -> list[dict]:
    with contextlib.closing(iterator):
        return list(iterator)


def test_batch_has_the_documented_arrays(volumes):
    pipeline = make_pipeline(volumes)
    assert pipeline.buckets == ((4, 10, 16), (4, 12, 16), (4, 12, 20))
    assert pipeline.batches_per_epoch == 1 + 3 + 1
    for batch in take(pipeline.evaluation_batches()):
        reference = pipeline.slices[batch["slice_id"][0]].volume
        size = (reference.height, reference.width)
        assert {key: (value.dtype, value.shape) for key, value in batch.items()} == {
            "kspace": (np.complex64, (4, 4, *size)),
            "mask": (bool, (4, 1, size[1])),
            "acs": (np.int32, (4,)),
            "target": (np.float32, (4, *size)),
            "crop": (np.int32, (4, 2)),
            "data_range": (np.float32, (4,)),
            "slice_id": (np.int32, (4,)),
            "weight": (np.float32, (4,)),
        }


@pytest.mark.parametrize("training", [False, True])
def test_every_slice_once_per_epoch_with_its_own_data(volumes, training):
    pipeline = make_pipeline(volumes)
    count = pipeline.batches_per_epoch
    batches = take(
        pipeline.training_batches(count, 2 * count) if training else pipeline.evaluation_batches()
    )
    epoch = 1 if training else 0
    seen = []
    for batch in batches:
        for position, slice_id in enumerate(batch["slice_id"].tolist()):
            volume, index = pipeline.slices[slice_id].volume, pipeline.slices[slice_id].index
            kspace = random_kspace(
                volume.slices,
                volume.coils,
                volume.height,
                volume.width,
                seed="abcd".index(volume.case),
            )
            mask = MASKS.draw(volume.width, volume.name, index, epoch)
            np.testing.assert_array_equal(batch["mask"][position], mask.pattern)
            assert batch["acs"][position] == mask.acs
            expected = np.zeros((4, volume.height, volume.width), np.complex64)
            expected[: volume.coils] = kspace[index] * mask.pattern
            np.testing.assert_array_equal(batch["kspace"][position], expected)
            np.testing.assert_allclose(batch["target"][position], rss(kspace[index]), rtol=1e-5)
            assert batch["data_range"][position] == pytest.approx(rss(kspace).max(), rel=1e-5)
            own = pipeline.mask_of(slice_id, epoch)
            np.testing.assert_array_equal(own.pattern, mask.pattern)
            assert own.effective_acceleration == mask.effective_acceleration
            seen += [slice_id] if batch["weight"][position] else []
    assert sorted(seen) == list(range(sum(slices for *_, slices in SHAPES.values())))


def test_masks_change_with_the_epoch_in_training_only(volumes):
    pipeline = make_pipeline(volumes)
    first, second = pipeline.mask_of(0, epoch=0), pipeline.mask_of(0, epoch=1)
    assert (first.pattern != second.pattern).any()
    assert digest(take(pipeline.evaluation_batches())) == digest(
        take(pipeline.evaluation_batches())
    )


def test_same_settings_give_the_same_batches_and_another_seed_others(volumes):
    first, again, other = (
        digest(take(make_pipeline(volumes, seed=seed).training_batches(0, 7))) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("start", [1, 4, 5, 11])
def test_resuming_equals_not_stopping(volumes, start):
    pipeline = make_pipeline(volumes)
    whole = digest(take(pipeline.training_batches(0, 13)))
    resumed = digest(take(make_pipeline(volumes).training_batches(start, 13)))
    assert len(whole) == 13
    assert resumed == whole[start:]


def test_nothing_left_to_do_is_no_batch(volumes):
    assert take(make_pipeline(volumes).training_batches(3, 3)) == []


@pytest.mark.parametrize("threads", [0, 1, 5])
def test_threads_do_not_change_batches(volumes, threads):
    pipeline = make_pipeline(volumes)
    direct = digest(pipeline.training_batch(step) for step in range(8))
    assert digest(take(pipeline.training_batches(0, 8, threads=threads))) == direct


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_every_batch(volumes, count):
    whole = make_pipeline(volumes)
    parts = [
        make_pipeline(volumes, process_index=index, process_count=count) for index in range(count)
    ]
    for step in range(7):
        shares = [part.training_batch(step) for part in parts]
        joined = {key: np.concatenate([share[key] for share in shares]) for key in shares[0]}
        assert len(shares[0]["slice_id"]) == 4 // count
        assert digest([joined]) == digest([whole.training_batch(step)])


def test_a_process_reads_only_its_share(volumes, monkeypatch):
    pipeline = make_pipeline(volumes, process_index=1, process_count=2)
    read = []
    monkeypatch.setattr(
        "jaxrecon.data.fastmri.check_slice", lambda volume, index, raw: read.append(index)
    )
    pipeline.training_batch(0)
    assert len(read) <= 2


def test_bad_slices_known_to_the_index_are_left_out(tmp_path):
    kspace = random_kspace(4, 2, 8, 8)
    kspace[2] = 0
    fastmri_file(tmp_path / "a.h5", {"kspace": kspace})
    volumes = index_folder("fastmri", tmp_path, check="values", on_bad_slice="skip").volumes
    pipeline = make_pipeline(volumes)
    assert [reference.index for reference in pipeline.slices] == [0, 1, 3]
    (batch,) = take(pipeline.evaluation_batches())
    assert np.isfinite(batch["kspace"]).all()


def test_masks_of_files_and_drawn_masks_share_a_batch(tmp_path):
    kspace = random_kspace(2, 4, 8, 16)
    own = SamplingMask(np.arange(16)[None] % 2 == 0, 1, "acquired", 2.0)
    target = rss(kspace).astype(np.float32)
    fastmri.write_volume(tmp_path / "own.h5", kspace, mask=own, target=target)
    fastmri.write_volume(tmp_path / "full.h5", kspace)
    pipeline = make_pipeline(index_folder("fastmri", tmp_path).volumes)
    (batch,) = take(pipeline.evaluation_batches())
    sampled = [pipeline.slices[slice_id].volume.sampled for slice_id in batch["slice_id"]]
    assert sorted(sampled) == [False, False, True, True]
    for position, slice_id in enumerate(batch["slice_id"].tolist()):
        mask = pipeline.mask_of(slice_id)
        np.testing.assert_array_equal(batch["mask"][position], mask.pattern)
        assert (mask.family == "acquired") == sampled[position]


def test_padding_of_the_file_is_never_sampled(tmp_path):
    fastmri.write_volume(tmp_path / "a.h5", random_kspace(1, 4, 8, 16), padding=(3, 15))
    pipeline = make_pipeline(index_folder("fastmri", tmp_path).volumes)
    mask = pipeline.evaluation_batch(0)["mask"][0, 0]
    assert not mask[:3].any()
    assert not mask[15:].any()
    assert pipeline.mask_of(0).effective_acceleration == pytest.approx(12 / mask.sum())


def test_an_unreadable_slice_is_an_input_error_in_threads(tmp_path):
    kspace = random_kspace(4, 2, 8, 8)
    kspace[2] = np.nan
    fastmri_file(tmp_path / "a.h5", {"kspace": kspace}, {"max": 1.0})
    pipeline = make_pipeline(index_folder("fastmri", tmp_path).volumes, batch_size=1)
    with pytest.raises(InputError, match=r"a\.h5: .*slice 2, found NaN"):
        take(pipeline.evaluation_batches(threads=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size: expected a positive multiple of the 1 processes, found 0"),
        (
            {"batch_size": 3, "process_index": 0, "process_count": 2},
            "batch_size: expected a positive multiple of the 2 processes, found 3",
        ),
        ({"coil_multiple": 0}, "coil_multiple: expected at least 1"),
        ({"seed": -1}, "seed: expected a whole number in"),
    ],
)
def test_settings_out_of_range(volumes, options, message):
    with pytest.raises(InputError, match=message):
        make_pipeline(volumes, **options)


def test_no_data():
    with pytest.raises(InputError, match="expected at least one good slice"):
        make_pipeline([])


def test_files_without_target_or_maximum_are_named(tmp_path):
    fastmri_file(tmp_path / "full.h5", {"kspace": random_kspace(1, 2, 8, 8)})
    full = index_folder("fastmri", tmp_path).volumes
    with pytest.raises(InputError, match=r"full\.h5: expected the maximum of the volume"):
        make_pipeline(full)
    assert make_pipeline(full, data_range="slice").batches_per_epoch == 1
    arrays = {"kspace": random_kspace(1, 2, 8, 8), "mask": np.ones(8)}
    fastmri_file(tmp_path / "full.h5", arrays)
    with pytest.raises(InputError, match=r"full\.h5: expected a target or fully sampled"):
        make_pipeline(index_folder("fastmri", tmp_path).volumes)


PROGRAM = '''
    """A program as its user starts it: absl flags are defined and parsed, workers are spawned."""
    import contextlib
    import hashlib
    import os
    import sys

    from absl import flags
    from jaxrecon.data.index import index_folder
    from jaxrecon.data.pipeline import Pipeline
    from jaxrecon.errors import InputError
    from jaxrecon.physics.sampling import MaskSpec

    FOLDER = flags.DEFINE_string("folder", None, "files", required=True)

    def main():
        flags.FLAGS(sys.argv)
        masks = MaskSpec("random", (3.0, 4.0), (0.2, 0.1), seed=5)
        volumes = index_folder("fastmri", FOLDER.value).volumes
        pipeline = Pipeline(volumes, masks, batch_size=4, coil_multiple=4, seed=1)
        # A worker that claims a device fails, for there is no such platform.
        os.environ["JAX_PLATFORMS"] = "none_of_them"
        with contextlib.closing(pipeline.training_batches(2, 9, workers=2)) as batches:
            for batch in batches:
                content = b"".join(batch[key].tobytes() for key in sorted(batch))
                print(hashlib.sha256(content).hexdigest())
        for volume in volumes:
            open(volume.path, "wb").close()
        try:
            with contextlib.closing(pipeline.training_batches(0, 1, workers=1)) as batches:
                next(batches)
        except InputError as error:
            print(f"error: {error}")

    if __name__ == "__main__":
        main()
'''


def test_worker_processes_of_a_program_give_the_same_batches(tmp_path, volumes):
    write_files(tmp_path / "files")
    (tmp_path / "their_program.py").write_text(textwrap.dedent(PROGRAM))
    source = str(Path(jaxrecon.__file__).parent.parent)
    finished = subprocess.run(
        [sys.executable, "-m", "their_program", f"--folder={tmp_path / 'files'}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": source, "JAXRECON_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    *printed, error = finished.stdout.splitlines()
    assert printed == digest(take(make_pipeline(volumes).training_batches(2, 9)))
    assert error.startswith("error: ")
    assert error.endswith("expected an HDF5 file, found an empty file")
