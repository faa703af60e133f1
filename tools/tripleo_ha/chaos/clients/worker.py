"""One process of a client, in Jepsen's sense: it does one operation after the other and records each."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from tripleo_ha.chaos.clients.history import History
from tripleo_ha.chaos.model import Operation, Outcome, Workload

RETRY_S = 0.03
"""The pause after an operation that did not succeed: short, so that the end of an outage is seen to 0.1 s."""
RETRY_SHARE = 0.05
LONGEST_RETRY_S = 0.5
"""The pause grows with the outage, whose length is so told to a twentieth: clients that ask without rest take the time
that the nodes of a small machine need to come back."""
END_S = 30
"""How long the operation at hand may take when a client has been told to stop."""


class Worker(ABC):
    """What one process does.

    ``period`` is the time from the beginning of one operation to the next, and ``retry`` the pause after one that did
    not succeed, in seconds. Where ``recorded`` is false, the worker itself records what succeeded. While :meth:`once`
    runs it keeps ``value`` at what it asks for and ``sent`` true from when that could take effect.
    """

    workload: Workload
    period: float
    retry = RETRY_S
    recorded = True

    def __init__(self, process: int) -> None:
        self.process = process
        self.value: Any = None
        self.sent = False

    @abstractmethod
    def once(self) -> None:
        """Do it once, and return when it is acknowledged; any exception is a failure."""

    def refused(self, error: Exception) -> bool:
        """Whether an error says that it certainly did not happen, although it was asked for."""
        return False

    def recover(self, error: Exception) -> None:
        """Make ready for the next operation after a failure."""
        self.close()

    def rest(self, began: float) -> float:
        """Return the seconds from now to the next operation, after one that ``began`` then and succeeded."""
        return began + self.period - time.monotonic()

    def tidy(self) -> None:  # noqa: B027 — most have nothing to do
        """Do what follows an operation that succeeded, and is not counted as its time."""

    @abstractmethod
    def close(self) -> None:
        """Give up the connection without waiting for anybody."""


def kind(error: BaseException) -> str:
    """Return an error's kind: its class and number, nothing that could hold an address or a secret.

    >>> kind(ConnectionRefusedError(111, "refused by 192.0.2.10"))
    'ConnectionRefusedError 111'
    """
    number = getattr(error, "code", None) or getattr(error, "errno", None) or next(iter(error.args), None)
    name = type(error).__name__
    return f"{name} {number}" if isinstance(number, int) and number else name


def attempt(worker: Worker) -> Operation:
    """Have a worker do one operation, and return how it ended; never raises for what the cluster does."""
    worker.value, worker.sent = None, False
    began = time.monotonic()
    outcome, word = Outcome.OK, ""
    failure: Exception | None = None
    try:
        worker.once()
    except Exception as error:  # noqa: BLE001 RUF100 — client libraries raise more than they document when a peer dies
        failure, word = error, kind(error)
        outcome = Outcome.INFO if worker.sent and not worker.refused(error) else Outcome.FAIL
    ended = time.monotonic()
    operation = Operation(worker.workload, worker.process, began, ended, outcome, worker.value, word)
    _after(worker, failure)
    return operation


def _after(worker: Worker, failure: Exception | None) -> None:
    try:
        if failure is None:
            worker.tidy()
        else:
            worker.recover(failure)
    except Exception:  # noqa: BLE001 RUF100 — the connection is broken; the next operation makes a new one
        worker.close()


def work(worker: Worker, history: History, stop: threading.Event) -> None:
    """Do operations until told to stop."""
    served = time.monotonic()
    while not stop.is_set():
        operation = attempt(worker)
        if worker.recorded or operation.outcome is not Outcome.OK:
            history.add(operation)
        if operation.outcome is Outcome.OK:
            served = operation.ended
            rest = worker.rest(operation.began)
        else:
            rest = max(worker.retry, min(RETRY_SHARE * (operation.ended - served), LONGEST_RETRY_S))
        stop.wait(max(RETRY_S, rest))
    worker.close()


class Crew:
    """Workers, each in a thread of its own."""

    def __init__(self, workers: Iterable[Worker], history: History) -> None:
        self.stop = threading.Event()
        self.broken: list[BaseException] = []
        self._history = history
        self._threads = [
            threading.Thread(target=self._body, args=(worker,), name=str(worker.workload), daemon=True)
            for worker in workers
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Tell all to stop, and return when the operations at hand have ended."""
        self.stop.set()
        deadline = time.monotonic() + END_S
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def _body(self, worker: Worker) -> None:
        try:
            work(worker, self._history, self.stop)
        except BaseException as error:  # noqa: BLE001 RUF100 — the main thread reports it
            self.broken.append(error)
            self.stop.set()
