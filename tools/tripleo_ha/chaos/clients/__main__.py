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
from pathlib import Path

from tripleo_ha.chaos.clients import broker, sql, token
from tripleo_ha.chaos.clients.history import History
from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.chaos.clients.worker import Crew, Worker
from tripleo_ha.errors import Failure

LOOK_S = 1.0
"""So often a client looks whether whoever started it is still there."""
KINDS: Mapping[str, Callable[[Settings, History], Sequence[Worker]]] = {
    "sql": lambda settings, _history: sql.workers(settings),
    "publish": lambda settings, _history: broker.publishers(settings),
    "consume": broker.consumers,
    "declare": lambda settings, _history: broker.declarers(settings),
    "token": lambda settings, _history: token.workers(settings),
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
    logging.basicConfig(
        filename=arguments.history.with_suffix(".log"), level=logging.WARNING, format="%(asctime)s %(name)s %(message)s"
    )
    try:
        return _run(arguments.kind, Settings.load(sys.stdin.read()), arguments.history, stop)
    except Failure as failure:
        sys.stderr.write(f"{failure}\n")
        return failure.exit_code


def _run(kind: str, settings: Settings, path: Path, stop: threading.Event) -> int:
    starter = os.getppid()
    with History(path) as history:
        crew = Crew(KINDS[kind](settings, history), history)
        crew.start()
        while not (stop.wait(LOOK_S) or crew.broken or os.getppid() != starter):
            pass
        crew.join()
    for error in crew.broken:
        logging.error("a worker broke", exc_info=error)
    return 1 if crew.broken else 0


if __name__ == "__main__":
    sys.exit(main())
