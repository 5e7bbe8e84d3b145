import os
import signal

import h5py
import pytest
from evaluation import judge, run_program

from jaxrecon.data import fastmri as fastmri_layout
from jaxrecon.errors import InputError
from jaxrecon.metrics.example_images import read_example
from jaxrecon.metrics.results import read_results
from jaxrecon.training.partial_results import PartialResults


def _content(folder):
    """Everything an evaluation wrote that must not depend on interruptions."""
    content = read_results(folder)
    content.pop("provenance")
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".csv", ".txt", ".h5"))
    arrays = {}
    for path in files:
        name = str(path.relative_to(folder))
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                arrays[name] = file["reconstruction"][()].tobytes()
        else:
            arrays[name] = path.read_bytes()
    for name in content["examples"]:
        example = read_example(folder / name)
        arrays[name] = (example.scores, [image.tobytes() for image in example.images.values()])
    return content, arrays


def _arguments(data, output):
    return [
        "--baselines=zero_filled", f"--data={data}", "--acceleration=4,8", "--batch_size=2",
        "--center_fraction=0.1,0.04", "--save_reconstructions", f"--output={output}",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, knees):
    output = tmp_path_factory.mktemp("uninterrupted") / "results"
    assert judge(*_arguments(knees, output)) == 0
    return _content(output)


def _interrupt_after(monkeypatch, batches, interrupt):
    add, count = PartialResults.add, 0

    def counting(self, scores):
        nonlocal count
        add(self, scores)
        count += 1
        if count == batches:
            interrupt()

    monkeypatch.setattr(PartialResults, "add", counting)


# Three batches in each of two settings: killed within and between settings, and twice.
@pytest.mark.parametrize("kills", [(1,), (3,), (2, 2)])
def test_a_killed_evaluation_goes_on_and_ends_as_if_nothing_had_been(
    tmp_path, knees, uninterrupted, monkeypatch, kills
):
    class KilledError(BaseException):
        pass

    def kill():
        raise KilledError

    output = tmp_path / "results"
    for batches in kills:
        with monkeypatch.context() as patch:
            _interrupt_after(patch, batches, kill)
            with pytest.raises(KilledError):
                judge(*_arguments(knees, output))
        # A kill may come while a batch is being written.
        newest = max(output.rglob("scores.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        with newest.open("a") as file:
            file.write('{"slices": [["file10000')
    assert judge(*_arguments(knees, output)) == 0
    assert _content(output) == uninterrupted
    assert not (output / "partial").exists()


def test_what_is_done_is_not_read_again(tmp_path, knees, monkeypatch):
    output = tmp_path / "results"
    with monkeypatch.context() as patch:
        _interrupt_after(patch, 4, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert judge(*_arguments(knees, output)) == 75
    read = []
    original = fastmri_layout.read_slice

    def reading(volume, index):
        read.append((volume.name, index))
        return original(volume, index)

    monkeypatch.setattr(fastmri_layout, "read_slice", reading)
    assert judge(*_arguments(knees, output)) == 0
    # The first setting was done, and of the second the batch of the file with a shape of its own.
    assert sorted(read) == [(f"file100000{file}.h5", index) for file in (1, 2) for index in (0, 1)]


def test_sigterm_ends_with_75_and_the_same_command_goes_on(
    tmp_path, knees, uninterrupted, monkeypatch, capsys
):
    output = tmp_path / "results"
    with monkeypatch.context() as patch:
        _interrupt_after(patch, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert judge(*_arguments(knees, output)) == 75
    assert "the same command goes on" in capsys.readouterr().out
    assert not (output / "results.json").exists()
    assert judge(*_arguments(knees, output)) == 0
    assert _content(output) == uninterrupted


def test_a_killed_process_goes_on(tmp_path, knees, uninterrupted):
    output = tmp_path / "results"
    program = (
        "import os, signal, sys\n"
        "from jaxrecon import evaluate\n"
        "from jaxrecon.training.partial_results import PartialResults\n"
        "add = PartialResults.add\n"
        "def killing(self, scores):\n"
        "    add(self, scores)\n"
        "    if len(self.done) > 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "PartialResults.add = killing\n"
        "evaluate._FLAGS(sys.argv)\n"
        "evaluate.main()\n"
    )
    killed = run_program("-c", program, *_arguments(knees, output))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    finished = run_program("-m", "jaxrecon.evaluate", *_arguments(knees, output))
    assert finished.returncode == 0, finished.stderr
    assert _content(output) == uninterrupted


def test_a_finished_evaluation_is_not_computed_again(tmp_path, squares, capsys, monkeypatch):
    given = ["--baselines=zero_filled", f"--data={squares}", f"--output={tmp_path / 'results'}"]
    assert judge(*given) == 0
    table = capsys.readouterr().out.split("results:")[0]

    def never(self, scores):
        raise AssertionError

    monkeypatch.setattr(PartialResults, "add", never)
    assert judge(*given) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(table)
    assert "finished before" in printed
    monkeypatch.undo()
    assert judge(*given, "--acceleration=8", "--overwrite") == 0
    assert read_results(tmp_path / "results")["rows"][0]["acceleration"] == 8


def test_a_folder_of_another_evaluation_is_refused(tmp_path, squares, weights, other_weights):
    output = tmp_path / "results"
    given = [f"--weights=net={weights}", f"--data=knees={squares}", f"--output={output}"]
    assert judge(*given) == 0
    kept = (output / "results.json").read_bytes()
    for change, field in (
        (["--batch_size=2"], r"batch_size \(batch_size = 1, not 2\)"),
        (["--acceleration=8"], "data.knees.mask.accelerations"),
        (["--protocol=paper_a"], "data.knees.protocol"),
        (["--subset_count=1"], "data.knees.files, data.knees.files_sha256"),
        ([f"--weights=net={other_weights}", "--weights="], "runs"),
    ):
        arguments = [*given[1:], *change] if field == "runs" else [*given, *change]
        with pytest.raises(InputError, match=f"{output}: expected a new folder .*{field}"):
            judge(*arguments)
    assert (output / "results.json").read_bytes() == kept


def test_results_of_something_else_are_not_overwritten(tmp_path, squares):
    (tmp_path / "results.json").write_text("{}")
    for extra in ([], ["--overwrite"]):
        with pytest.raises(InputError, match=r"found results.json of something else"):
            judge("--baselines=zero_filled", f"--data={squares}", f"--output={tmp_path}", *extra)
    assert (tmp_path / "results.json").read_text() == "{}"
