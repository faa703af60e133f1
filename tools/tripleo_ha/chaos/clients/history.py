"""The file that a client writes: one operation a line, on disk for others to read as soon as it has ended."""

import json
import threading
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from tripleo_ha.chaos.model import Operation


class History:
    """An open history file, written by several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a")
        self._lock = threading.Lock()

    def add(self, operation: Operation) -> None:
        """Write one operation and flush it."""
        document = asdict(operation)
        for moment in ("began", "ended"):
            document[moment] = round(document[moment], 6)
        line = json.dumps(document, separators=(",", ":")) + "\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()

    def __enter__(self) -> "History":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
