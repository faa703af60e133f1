"""Being told to stop: a signal ends what goes on, but never in the middle of what must be finished."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """For the time of a ``with`` statement, SIGINT and SIGTERM raise KeyboardInterrupt in the main thread.

    Inside :meth:`held`, which may be nested, they wait until its end. Only one such object may be at work.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._holds = 0
        self._waiting = False

    def __enter__(self) -> "Interrupts":
        self._before = {number: signal.signal(number, self._come) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep signals back until the end of the ``with`` statement; there one of them takes effect."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if self._waiting and not self._holds:
                self._waiting = False
                raise KeyboardInterrupt

    def _come(self, _number: int, _frame: FrameType | None) -> None:
        if self._holds:
            self._waiting = True
            return
        raise KeyboardInterrupt


class NoInterrupts:
    """Holds nothing back: for a session in a test, whose runner deals with signals."""

    def __enter__(self) -> "NoInterrupts":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing was changed."""

    def held(self) -> contextlib.AbstractContextManager[None]:
        """Do nothing about signals."""
        return contextlib.nullcontext()
