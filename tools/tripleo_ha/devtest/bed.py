"""A test bed: a cluster of controllers as containers on this machine, and what can be done to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tripleo_ha.run import Completed


@dataclass(frozen=True)
class BedNode:
    """One controller of the bed: its place, its addresses, and where its disks and logs are kept."""

    name: str
    index: int
    ip: str
    public_ip: str
    directory: Path


class Bed:
    """An existing test bed. Every method that names a node raises UsageError when there is no such node."""

    state: Path
    netns: str
    """The network namespace of the client: on both networks, at .1; ``/run/netns/<netns>``."""
    nodes: tuple[BedNode, ...]

    @classmethod
    def open(cls, state: Path) -> "Bed":
        """Return the bed whose state is kept in ``state``.

        :raises UsageError: there is none.
        """
        raise NotImplementedError

    def node(self, name: str) -> BedNode:
        """Return the node of that name; a bare index ("0") is understood as well."""
        raise NotImplementedError

    def metadata(self, node: str) -> dict[str, Any]:
        """Return the metadata that was handed to one node last, secrets included."""
        raise NotImplementedError

    def running(self, node: str) -> bool:
        """Whether the node has a PID 1 at work."""
        raise NotImplementedError

    def leader(self, node: str) -> int:
        """Return the pid, on this machine, of the node's PID 1; ``/proc/<pid>/ns/net`` is its network.

        :raises Failure: the node is not running.
        """
        raise NotImplementedError

    def exec(
        self, node: str, argv: Sequence[str], *, timeout: float = 60, input: str | None = None, check: bool = True
    ) -> Completed:
        """Run a command inside a node, as root.

        :raises CommandFailed: as ``run`` does.
        :raises Failure: the node is not running.
        """
        raise NotImplementedError

    def client_run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> Completed:
        """Run a command of this machine in the client's network namespace.

        In-process sockets there: run ``[sys.executable, "-m", "…"]`` through this.
        """
        raise NotImplementedError

    def power_off(self, node: str) -> None:
        """Cut the node's power: its links go down, then everything in it is killed at once."""
        raise NotImplementedError

    def power_on(self, node: str) -> None:
        """Boot the node from the disk it had; returns once its PID 1 is at work."""
        raise NotImplementedError

    def stop(self, node: str, timeout: float = 300) -> None:
        """Shut the node down in order, and wait for its end."""
        raise NotImplementedError

    def isolate(self, node: str) -> None:
        """Pull both network cables of the node; it stays so over a reboot."""
        raise NotImplementedError

    def rejoin(self, node: str) -> None:
        """Plug both network cables in again."""
        raise NotImplementedError

    def push(self, node: str, metadata: Mapping[str, Any]) -> None:
        """Hand a node new metadata and have its agent collect it now."""
        raise NotImplementedError

    def wait_converged(self, nodes: Sequence[str] | None = None, *, timeout: float = 600) -> None:
        """Wait until each node (default: all) has converged on the metadata it was handed last.

        :raises TimedOut: naming each node that has not, and why as far as it tells.
        """
        raise NotImplementedError
