"""Stopping a run cleanly when the scheduler or the user asks for it."""

import signal
from types import FrameType, TracebackType


class Interruption:
    """Within its context, SIGTERM and SIGINT ask the loop to stop after the step in progress.

    A second signal acts as usual, at once.

    Attributes:
        requested: whether to stop.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> "Interruption":
        self._previous = {
            number: signal.signal(number, self._request)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        return self

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._restore()
