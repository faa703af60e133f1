"""Nothing of Neutron's routers is left on a node that the L3 agent has left, or is about to come to.

The agent does not do that itself: it leaves its routers as they are, so that they go on while it is restarted, and one
that crashed could not. What is removed is a router's whole path: its ports on the integration bridge, so that nothing
gets through from this moment; the processes in its namespace (keepalived, radvd, the metadata proxy); the namespace
with its addresses. Flows of ports that are gone are removed by the Open vSwitch agent.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Iterable

from tripleo_ha.run import CommandFailed, run
from tripleo_ha.waiting import wait_for

NAMESPACES = ("qrouter-", "snat-", "fip-")
PORTS = ("qr-", "qg-", "ha-", "sg-", "fg-")
"""How the names of what belongs to routers begin; DHCP's namespaces and ports are called otherwise."""
TIMEOUT_S = 60.0
COMMAND_S = 10
LOG = logging.getLogger("tripleo_ha")


def clear() -> None:
    """Remove all routers from this node.

    :raises TimedOut: naming what could not be removed.
    """
    wait_for("this node's routers to be gone", _clear, timeout=TIMEOUT_S, interval=0.3, why=lambda: ", ".join(left()))


def left() -> list[str]:
    """Return what there is of routers: ports, then namespaces."""
    return [*_ports(), *_namespaces()]


def _clear() -> bool:
    """Remove what there is, and tell whether that was nothing."""
    ports, namespaces = _ports(), _namespaces()
    if ports:
        LOG.info("removing ports %s", " ".join(ports))
        # Without waiting for the switch: it may be down, and then it hears of it when it is back.
        deletions = [word for port in ports for word in ("--", "--if-exists", "del-port", port)]
        _attempt(["ovs-vsctl", f"--timeout={COMMAND_S}", "--no-wait", *deletions])
    for namespace in namespaces:
        LOG.info("removing namespace %s", namespace)
        for pid in _attempt(["ip", "netns", "pids", namespace]).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        _attempt(["ip", "netns", "delete", namespace])
    return not ports and not namespaces


def _ports() -> list[str]:
    # Where the database is down there is nobody to ask; a boot begins with an empty one.
    told = _attempt(["ovs-vsctl", f"--timeout={COMMAND_S}", "--bare", "--columns=name", "list", "Port"])
    return _of_routers(told.split(), PORTS)


def _namespaces() -> list[str]:
    told = run(["ip", "netns", "list"], timeout=COMMAND_S).stdout
    return _of_routers((line.split()[0] for line in told.splitlines() if line.strip()), NAMESPACES)


def _of_routers(names: Iterable[str], prefixes: tuple[str, ...]) -> list[str]:
    return sorted(name for name in names if name.startswith(prefixes))


def _attempt(argv: list[str]) -> str:
    try:
        return run(argv, timeout=COMMAND_S + 5).stdout
    except CommandFailed as failure:
        LOG.warning("%s", failure)
        return ""
