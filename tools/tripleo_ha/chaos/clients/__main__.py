"""``python -m tripleo_ha.chaos.clients KIND --history FILE``: one client at work until it is told to stop.

It reads its settings from stdin. SIGTERM and SIGINT end it after the operation at hand; it ends as well when whoever
started it is gone.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tripleo_ha.chaos.clients import broker, library, rpc, sql, token
from tripleo_ha.chaos.clients.history import History
from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.chaos.clients.worker import Crew, Worker
from tripleo_ha.errors import Failure

LOOK_S = 1.0
"""So often a client looks whether whoever started it is still there."""
KINDS: Mapping[str, Callable[[Settings, History], AbstractContextManager[Sequence[Worker]]]] = {
    "sql": lambda settings, _history: nullcontext(sql.workers(settings)),
    "publish": lambda settings, _history: nullcontext(broker.publishers(settings)),
    "consume": lambda settings, history: nullcontext(broker.consumers(settings, history)),
    "declare": lambda settings, _history: nullcontext(broker.declarers(settings)),
    "rpc": rpc.workers,
    "token": lambda settings, _history: nullcontext(token.workers(settings)),
}


def main() -> int:
    """Run the client that the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tripleo_ha.chaos.clients", description=__doc__)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--history", type=Path, required=True, metavar="FILE", help="where operations are written")
    arguments = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    library.log_to(arguments.history.with_suffix(".log"))
    try:
        return _run(arguments.kind, Settings.load(sys.stdin.read()), arguments.history, stop)
    except Failure as failure:
        sys.stderr.write(f"{failure}\n")
        return failure.exit_code


def _run(kind: str, settings: Settings, path: Path, stop: threading.Event) -> int:
    starter = os.getppid()
    with History(path) as history, KINDS[kind](settings, history) as workers:
        crew = Crew(workers, history)
        crew.start()
        while not (stop.wait(LOOK_S) or crew.broken or os.getppid() != starter):
            pass
        crew.join()
    for error in crew.broken:
        logging.error("a worker broke", exc_info=error)
    return 1 if crew.broken else 0


if __name__ == "__main__":
    sys.exit(main())
