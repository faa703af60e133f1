"""Reading the clients' histories while they are being written."""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tripleo_ha.chaos.model import Operation, Outcome, Workload

LOOKED_AT = 6
"""Operations of a client that are remembered."""
ENOUGH = 3
"""A client is served when so many operations in a row were: of what two of three consumers answer, some always are."""
Process = tuple[Workload, int]


class History:
    """Follows every ``*.jsonl`` of a directory, and remembers what every client process did last."""

    def __init__(self, directory: Path) -> None:
        self.recent: list[Operation] = []
        """Operations of the clients that measure, since :meth:`forget`."""
        self._directory = directory
        self._places: dict[Path, int] = {}
        self._last: dict[Process, deque[Operation]] = {}

    def follow(self) -> None:
        """Read what is new."""
        for path in sorted(self._directory.glob("*.jsonl")):
            for operation in self._new(path):
                if operation.workload.service is not None:
                    self.recent.append(operation)
                    process = (operation.workload, operation.process)
                    self._last.setdefault(process, deque(maxlen=LOOKED_AT)).append(operation)

    def forget(self, before: float) -> None:
        """Drop the recent operations that ended before a moment (monotonic seconds)."""
        self.recent = [operation for operation in self.recent if operation.ended >= before]

    def waiting(self, since: float, workloads: Iterable[Workload]) -> list[str]:
        """Return the clients that have not succeeded several times since a moment, with their last error.

        :param workloads: what must be there at all.
        """
        seen = {workload for workload, _ in self._last}
        silent = [f"{workload}: nothing tried yet" for workload in workloads if workload not in seen]
        late = [
            f"{workload} {process}: {last[-1].error or 'succeeds'}"
            for (workload, process), last in self._last.items()
            if not resumed(last, since)
        ]
        return [*silent, *late]

    def silent(self, since: float) -> list[str]:
        """Return the clients that were not served any more after a moment."""
        return [
            f"{workload} {process}"
            for (workload, process), last in self._last.items()
            if not any(each.served and each.ended >= since for each in last)
        ]

    def _new(self, path: Path) -> Iterator[Operation]:
        with path.open("rb") as file:
            file.seek(self._places.get(path, 0))
            for line in file:
                if not line.endswith(b"\n"):  # the writer is in the middle of it
                    break
                self._places[path] = self._places.get(path, 0) + len(line)
                document = json.loads(line)
                document["workload"] = Workload(document["workload"])
                document["outcome"] = Outcome(document["outcome"])
                yield Operation(**document)


def resumed(last: Sequence[Operation], since: float) -> bool:
    """Whether a client's last operations, enough of them, all began after ``since`` and were served."""
    latest = list(last)[-ENOUGH:]
    return len(latest) == ENOUGH and all(each.served and each.began >= since for each in latest)
