"""On how many nodes each singleton and each virtual IP is, several times a second, and for how long on two."""

import json
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tripleo_ha.chaos.model import Overlap, write_lines
from tripleo_ha.chaos.outside import Places, View

INTERVAL_S = 0.2
SINGLETON, VIRTUAL_IP = "singleton", "vip"


class Ledger:
    """Turns samples into overlaps and moves; it knows no clock and no cluster."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._nodes: dict[str, frozenset[str]] = {}
        self._last: Places = {}

    def enter(self, at: float, places: Mapping[str, frozenset[str]]) -> list[Overlap]:
        """Take one sample, and return the overlaps that ended with it.

        An overlap lasts from the sample that saw it first to the one that saw it no more.
        """
        ended = []
        for what, nodes in places.items():
            if len(nodes) > 1:
                self._since.setdefault(what, at)
                self._nodes[what] = self._nodes.get(what, frozenset()) | nodes
            elif what in self._since:
                ended.append(self._close(what, at))
        return ended

    def moved(self, places: Mapping[str, frozenset[str]]) -> Places:
        """Return what is elsewhere than it was when this was called last."""
        changed = {what: nodes for what, nodes in places.items() if self._last.get(what) != nodes}
        self._last.update(changed)
        return changed

    def close(self, at: float) -> list[Overlap]:
        """Return the overlaps that last until the end."""
        return [self._close(what, at) for what in tuple(self._since)]

    def _close(self, what: str, at: float) -> Overlap:
        return Overlap(what, tuple(sorted(self._nodes.pop(what))), self._since.pop(what), at)


class Sampler:
    """Samples in a thread of its own for the time of a ``with`` statement."""

    def __init__(self, view: View, directory: Path | None = None) -> None:
        """Prepare.

        :param directory: where ``overlaps.jsonl`` and ``places.jsonl`` (each move) are kept, if anywhere.
        """
        self.overlaps: list[Overlap] = []
        self.samples = 0
        self.longest_s = 0.0
        """The longest time between two samples: what may have been missed."""
        self._view = view
        self._directory = directory
        self._ledger = Ledger()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> "Sampler":
        if self._directory:
            (self._directory / "overlaps.jsonl").touch()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End, with what lasts until now; nothing happens the second time."""
        if self._thread.is_alive():
            self._stop.set()
            self._thread.join()

    def now(self) -> Places:
        """Return where everything is now."""
        return _named(SINGLETON, self._view.singletons()) | _named(VIRTUAL_IP, self._view.holders())

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(INTERVAL_S):
            places = self.now()
            at = time.monotonic()
            self.samples += 1
            self.longest_s = max(self.longest_s, at - last)
            last = at
            self._keep(self._ledger.enter(at, places))
            self._tell(at, self._ledger.moved(places))
        self._keep(self._ledger.close(time.monotonic()))

    def _keep(self, overlaps: Iterable[Overlap]) -> None:
        ended = list(overlaps)
        self.overlaps += ended
        if ended and self._directory:
            write_lines(self._directory / "overlaps.jsonl", ended)

    def _tell(self, at: float, moved: Places) -> None:
        if moved and self._directory:
            with (self._directory / "places.jsonl").open("a") as file:
                for what, nodes in moved.items():
                    line: dict[str, Any] = {"at": at, "what": what, "nodes": sorted(nodes)}
                    file.write(json.dumps(line) + "\n")


def _named(kind: str, places: Places) -> Places:
    return {f"{kind} {name}": nodes for name, nodes in places.items()}
