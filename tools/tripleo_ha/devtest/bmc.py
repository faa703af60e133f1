"""The BMCs of a bed's nodes: one process where the client is, an IPMI 2.0 port with credentials for each node.

``python -m tripleo_ha.devtest.bmc STATE``, in the client's network namespace. What a BMC switches is what the bed
switches: "off" kills the container, "on" boots it. A command is answered at once and carried out in the background, as
real ones do it; the state that is told follows when it is done.
"""

import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tripleo_ha.devtest import bmcs
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.layout import NODE_PREFIX
from tripleo_ha.errors import Failure, UsageError

SESSION_S = 60.0
"""Seconds after which a session is forgotten; the library forgets none by itself."""
IDLE_S = 30.0
Switch = Callable[[Bed, str], None]


class Credentials:
    """Whom a BMC lets in; read anew at each login, so that a changed password holds at once."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def get(self, user: str, default: str | None = None) -> str | None:
        """Return a user's password, ``default`` for anybody unknown."""
        known = bmcs.credentials(self._state)
        return known.password if user == known.user else default


class Chassis:
    """One node as its BMC sees it."""

    def __init__(self, state: Path, index: int) -> None:
        self._state = state
        self._node = f"{NODE_PREFIX}{index}"
        self._worker = ThreadPoolExecutor(1)

    def is_on(self) -> bool:
        """Tell what the BMC tells about the node; one that the bed does not have is off."""
        try:
            return Bed.open(self._state).bmc_tells_on(self._node)
        except UsageError:
            return False

    def switch(self, *steps: Switch) -> None:
        """Take the steps one after the other, after those that were asked for before."""
        self._worker.submit(self._take, steps)

    def _take(self, steps: tuple[Switch, ...]) -> None:
        for step in steps:
            began = time.monotonic()
            try:
                step(Bed.open(self._state), self._node)
            except (Failure, OSError) as failure:
                log(f"{self._node}: {step.__name__}: {failure}")
                return
            log(f"{self._node}: {step.__name__} took {time.monotonic() - began:.2f} s")


def serve(state: Path, address: str, ports: Mapping[int, int]) -> None:
    """Answer for ever at ``address``.

    :param ports: the UDP port of each node, by the node's number.
    """
    from pyghmi.ipmi.bmc import Bmc
    from pyghmi.ipmi.private import session

    class Controller(Bmc):  # type: ignore[misc]
        """The BMC of one node, in the words of the library."""

        def __init__(self, chassis: Chassis, port: int) -> None:
            super().__init__(Credentials(state), port=port, address=address)
            self.chassis = chassis

        def get_power_state(self) -> int:
            return int(self.chassis.is_on())

        def power_off(self) -> None:
            self.chassis.switch(Bed.bmc_off)

        def power_on(self) -> None:
            self.chassis.switch(Bed.bmc_on)

        def power_cycle(self) -> None:
            self.chassis.switch(Bed.bmc_off, Bed.bmc_on)

        power_reset = power_cycle

    # The library wakes its own thread by a datagram, and would send that to an address of the other family.
    session.myself = address
    for index, port in ports.items():
        Controller(Chassis(state, index), port)
    log(f"{len(ports)} BMCs answer at {address}")
    born: dict[Any, float] = {}
    while True:
        session.Session.wait_for_rsp(IDLE_S)
        forget(session.Session.bmc_handlers, born, time.monotonic())


def forget(sessions: dict[Any, Any], born: dict[Any, float], now: float) -> None:
    """Drop the sessions that are older than ``SESSION_S``.

    :param sessions: by the client's address, a tuple; what has another key is no session.
    :param born: when each was first seen; kept up to date.
    """
    for client in [key for key in sessions if isinstance(key, tuple)]:
        if now - born.setdefault(client, now) > SESSION_S:
            del sessions[client], born[client]


def log(line: str) -> None:
    """Write a line with the time, for the bed's ``bmc.log``; the time is that of ``time.monotonic``."""
    sys.stdout.write(f"{time.monotonic():.2f} {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), bmcs.ADDRESS, bmcs.PORTS)
