"""The clients of a session: one process of this machine for each kind, where clients are on the network."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.chaos.model import Workload
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import Failure, TimedOut
from tripleo_ha.run import start
from tripleo_ha.waiting import wait_for

SQL, PUBLISH, CONSUME, DECLARE, RPC, TOKEN = "sql", "publish", "consume", "declare", "rpc", "token"
WORKLOADS: Mapping[str, tuple[Workload, ...]] = {
    SQL: (Workload.LIST_APPEND, Workload.BANK),
    PUBLISH: (Workload.PUBLISH,),
    CONSUME: (),
    DECLARE: (Workload.DECLARE_CLASSIC, Workload.DECLARE_QUORUM, Workload.DECLARE_STREAM),
    RPC: (Workload.RPC,),
    TOKEN: (Workload.TOKEN_ISSUE, Workload.TOKEN_VALIDATE),
}
"""What each kind of client does that has to succeed; those that only account may pause while nothing is there."""
ALL = tuple(WORKLOADS)
END_S = 60.0


class Crew:
    """Client processes, started once."""

    def __init__(self, bed: Bed, directory: Path, settings: Settings, kinds: Sequence[str]) -> None:
        self.kinds = tuple(kinds)
        self._directory = directory
        self._bed = bed
        self._settings = settings
        self._processes: dict[str, subprocess.Popen[str]] = {}

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """What is done."""
        return tuple(workload for kind in self.kinds for workload in WORKLOADS[kind])

    def start(self) -> None:
        """Start them all.

        :raises CommandFailed: one could not be started.
        """
        for kind in self.kinds:
            history = self._directory / "history" / f"{kind}-0.jsonl"
            history.touch()
            argv = [sys.executable, "-m", "tripleo_ha.chaos.clients", kind, "--history", str(history)]
            self._processes[kind] = start(
                self._bed.client_argv(argv), input=self._settings.dump(), log=self._directory / f"client-{kind}.log"
            )

    def check(self) -> None:
        """Make sure that they are at work.

        :raises Failure: one has ended.
        """
        for kind, process in self._processes.items():
            if process.poll() is not None:
                raise Failure(f"the client {kind} has ended: {self._said(kind)}", f"see {self._log(kind)}")

    def stop(self, kinds: Sequence[str] = ALL) -> None:
        """Have clients finish the operation at hand, and return when they have ended.

        :raises Failure: one does not end, or ended with an error.
        """
        ending = {kind: self._processes[kind] for kind in kinds if kind in self._processes}
        for process in ending.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for kind, process in ending.items():
            status = self._ended(kind, process)
            del self._processes[kind]
            if status:
                raise Failure(f"the client {kind} ended with {status}: {self._said(kind)}", f"see {self._log(kind)}")

    def kill(self) -> None:
        """End whatever is still there, at once."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._processes.clear()

    def _ended(self, kind: str, process: "subprocess.Popen[str]") -> int:
        try:
            wait_for(f"the client {kind} to end", lambda: process.poll() is not None, timeout=END_S, interval=0.1)
        except TimedOut:
            process.kill()
        return process.wait()

    def _log(self, kind: str) -> Path:
        return self._directory / f"client-{kind}.log"

    def _said(self, kind: str) -> str:
        lines = self._log(kind).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no word"
