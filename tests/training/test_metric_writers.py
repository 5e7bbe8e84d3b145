import json

import numpy as np
from tensorboardX.proto.event_pb2 import Event

from jaxrecon.training.metric_writers import MetricWriters


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def write(folder, first, last):
    writers = MetricWriters(folder, first)
    for step in range(first, last + 1):
        writers.write(step, {"train/loss": step / 8})
    writers.close()


def test_lines_hold_step_and_values(tmp_path):
    writers = MetricWriters(tmp_path, 1)
    writers.write(3, {"train/loss": 0.1 + 0.2, "learning_rate": 1e-3})
    # A line is on disk as soon as it is written.
    assert lines(tmp_path) == [{"step": 3, "train/loss": 0.1 + 0.2, "learning_rate": 1e-3}]
    writers.close()


def test_a_resumed_run_writes_every_step_once(tmp_path):
    write(tmp_path, 1, 6)
    write(tmp_path, 4, 8)
    assert lines(tmp_path) == [{"step": step, "train/loss": step / 8} for step in range(1, 9)]
    write(tmp_path, 1, 2)
    assert [line["step"] for line in lines(tmp_path)] == [1, 2]


def test_a_half_written_last_line_is_dropped(tmp_path):
    write(tmp_path, 1, 3)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "train/lo')
    write(tmp_path, 4, 5)
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4, 5]


def test_tensorboard_holds_scalars_and_images(tmp_path):
    writers = MetricWriters(tmp_path, 1)
    writers.write(2, {"train/loss": 0.5})
    writers.write_image(2, "validation", np.full((8, 6, 3), 200, np.uint8))
    writers.close()
    (path,) = (tmp_path / "tensorboard").iterdir()
    values = {
        value.tag: (event.step, value) for event in events(path) for value in event.summary.value
    }
    assert values["train/loss"][0] == 2
    assert values["train/loss"][1].simple_value == 0.5
    image = values["validation"][1].image
    assert (image.height, image.width) == (8, 6)


def events(path):
    """The records of an event file: length, checksum, content, checksum."""
    content, position = path.read_bytes(), 0
    while position < len(content):
        length = int.from_bytes(content[position : position + 8], "little")
        event = Event()
        event.ParseFromString(content[position + 12 : position + 12 + length])
        yield event
        position += 12 + length + 4
