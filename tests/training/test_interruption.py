import os
import signal

import pytest

from jaxrecon.training.interruption import Interruption


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop_and_changes_nothing_else(number):
    with Interruption() as interruption:
        assert not interruption.requested
        send(number)
        assert interruption.requested


@pytest.fixture
def python_s_own_handler():
    """Shells start background jobs with SIGINT ignored, and Python then leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("python_s_own_handler")
def test_a_second_signal_acts_as_usual():
    with Interruption() as interruption:
        send(signal.SIGTERM)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_handlers_are_put_back():
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    with Interruption():
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before
    with pytest.raises(ZeroDivisionError), Interruption():
        1 / 0  # noqa: B018
    assert [signal.getsignal(number) for number in numbers] == before
