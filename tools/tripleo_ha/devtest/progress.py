"""Telling how far it is: one line a step, with the seconds since the start, on stderr and in a log."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tripleo_ha.devtest.timeline import Step
from tripleo_ha.files import write_file


class Progress:
    """Lines for a person who waits, and the steps they belong to."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.steps: list[Step] = []
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Tell one line."""
        line = f"[{time.monotonic() - self._began:6.1f} s] {text}"
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
        self._write(line)

    def keep(self, text: str) -> None:
        """Write one line to the log alone: of use to who looks into something, too much for who waits."""
        self._write(f"[{time.monotonic() - self._began:6.1f} s] {text}")

    def node(self, name: str, what: str) -> None:
        """Tell one line about one node."""
        self.say(f"{name}: {what}")

    @contextmanager
    def keeping(self, file: Path) -> Iterator[None]:
        """Write the steps to a file in the end, whatever the end."""
        try:
            yield
        finally:
            write_file(file, json.dumps(self.steps) + "\n")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Take the time of one step."""
        began = time.time()
        try:
            yield
        finally:
            self.steps.append({"step": name, "start": began, "end": time.time()})

    def _write(self, line: str) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as stream:
            stream.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")
