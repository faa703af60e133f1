"""RPC through the virtual IP as OpenStack's services do it: oslo.messaging, with the options that services get here.

The client and its servers are processes of this machine, so that each has connections of its own, wherever the load
balancer leads them. An answer that is lost with a broker never comes: a caller waits until its own time limit. So
calls have a short one and are made again; a service that keeps the library's 60 s waits 60 s for such a call, whatever
the cluster does.
"""

import contextlib
import itertools
import logging
import multiprocessing
import os
import signal
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from tripleo_ha.chaos.clients import library
from tripleo_ha.chaos.clients.history import History
from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.chaos.clients.worker import Worker
from tripleo_ha.chaos.model import Workload

SERVERS = 2
CALL_S = 1.0
"""A call takes a hundredth of a second. One whose answer went down with a broker is lost: to wait longer for it would
only measure the caller's patience."""
HEARD_S = 15.0
"""So long every server has to hear what was said to all; a stream that moves takes seconds."""
END_S = 5.0
CALLER, CRIER = 400, 410
"""Numbers of the processes."""


class Caller(Worker):
    """Calls a method of whichever server takes it; a call that was not answered is made again with its id."""

    workload = Workload.RPC
    period = 0.2

    def __init__(self, process: int, client: Any) -> None:
        super().__init__(process)
        self._client = client.prepare(timeout=CALL_S)
        self._ids = _ids()
        self._id = next(self._ids)

    def once(self) -> None:
        """Have one call answered."""
        self.value, self.sent = self._id, True
        answer = self._client.call({}, "echo", id=self._id)
        if answer != self._id:
            raise WrongAnswer

    def tidy(self) -> None:
        """Go on to the next."""
        self._id = next(self._ids)

    def close(self) -> None:
        """Leave the connection to the library, as services do."""


class Crier(Worker):
    """Says something to all servers at once, and counts those that heard it."""

    workload = Workload.FANOUT
    period = 1.0

    def __init__(self, process: int, client: Any, heard: "Heard") -> None:
        super().__init__(process)
        self._client = client.prepare(fanout=True)
        self._heard = heard
        self._ids = _ids()

    def once(self) -> None:
        """Say one thing, and wait until every server has heard it."""
        identity = next(self._ids)
        self.value, self.sent = {"id": identity, "received": 0, "servers": SERVERS}, True
        self._client.cast({}, "note", id=identity)
        received = self._heard.wait(identity)
        self.value = {"id": identity, "received": received, "servers": SERVERS}
        if received < SERVERS:
            raise NotHeard

    def close(self) -> None:
        """Leave the connection to the library, as services do."""


class WrongAnswer(Exception):  # noqa: N818 RUF100 — an outcome, told by its name in the history
    """Something else was answered than asked."""


class NotHeard(Exception):  # noqa: N818 RUF100 — an outcome, told by its name in the history
    """Not every server has heard it in time."""


class Heard:
    """Which servers have heard what, as they tell through their pipes."""

    def __init__(self, pipes: "list[Connection]") -> None:
        self._by: dict[str, set[int]] = defaultdict(set)
        self._changed = threading.Condition()
        for index, pipe in enumerate(pipes):
            threading.Thread(target=self._listen, args=(index, pipe), daemon=True).start()

    def wait(self, identity: str, timeout: float = HEARD_S) -> int:
        """Return how many servers have heard it: at once when all have, else when time is up."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._by[identity]) == SERVERS, timeout)
            return len(self._by.pop(identity))

    def _listen(self, index: int, pipe: "Connection") -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                identity = pipe.recv()
                with self._changed:
                    self._by[identity].add(index)
                    self._changed.notify_all()


class Endpoint:
    """The methods of a server; called in threads of the library."""

    def __init__(self, pipe: "Connection") -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def echo(self, _context: Any, id: str) -> str:
        """Answer what was asked."""
        return id

    def note(self, _context: Any, id: str) -> None:
        """Tell the client's process that this was heard."""
        with self._lock:
            self._pipe.send(id)


@contextlib.contextmanager
def workers(settings: Settings, history: History) -> Iterator[list[Worker]]:
    """Have servers at work for the time of the ``with`` statement, and yield the processes that talk to them.

    :raises UsageError: oslo.messaging is not installed.
    """
    base = history.path.with_suffix("")
    library.load()
    context = multiprocessing.get_context("spawn")
    ends = [context.Pipe() for _ in range(SERVERS)]
    servers = [
        context.Process(target=serve, args=(settings, base, index, theirs), daemon=True)
        for index, (_ours, theirs) in enumerate(ends)
    ]
    for server, (_ours, theirs) in zip(servers, ends, strict=True):
        server.start()
        theirs.close()
    ours = [mine for mine, _theirs in ends]
    try:
        client = library.client(settings, base)
        yield [Caller(CALLER, client), Crier(CRIER, client, Heard(ours))]
    finally:
        _end(servers, ours)
        library.clean_up(settings)


def serve(settings: Settings, base: Path, index: int, pipe: "Connection") -> None:
    """Be a server until the other end of the pipe is closed; the body of a process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    name = f"server{index}"
    library.log_to(base.with_name(f"{base.name}-{name}.log"))
    server = library.server(settings, base, name, Endpoint(pipe))
    # In a thread, because the library waits for a broker without end, both to start and to stop.
    threading.Thread(target=server.start, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()
    logging.shutdown()
    os._exit(0)


def _end(servers: Sequence["SpawnProcess"], pipes: Sequence["Connection"]) -> None:
    for pipe in pipes:
        pipe.close()
    deadline = time.monotonic() + END_S
    for server in servers:
        server.join(timeout=max(0.0, deadline - time.monotonic()))
        server.kill()
        server.join()


def _ids() -> Iterator[str]:
    tag = uuid.uuid4().hex[:8]
    return (f"{tag}-{number}" for number in itertools.count(1))
