"""A test bed: a cluster of controllers as containers on this machine, and what can be done to it."""

import contextlib
import json
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tripleo_ha.devtest import cgroups, container, convergence, network, power, processes, severing, store
from tripleo_ha.devtest.layout import BedNode, bed_name, bed_nodes, machine_id
from tripleo_ha.devtest.processes import Process
from tripleo_ha.errors import Failure, TimedOut, UsageError
from tripleo_ha.files import write_file
from tripleo_ha.run import Completed, run
from tripleo_ha.waiting import wait_for

__all__ = ["Bed", "BedNode"]

AGENT = "os-collect-config.service"
RUNTIME = "run/tripleo-ha"


class Bed:
    """An existing test bed. Every method that names a node raises UsageError when there is no such node."""

    def __init__(self, state: Path, record: store.Record) -> None:
        self.state = state.resolve()
        self.record = record
        self.netns = bed_name(state)
        """The network namespace of the client: on all networks, at .1; ``/run/netns/<netns>``."""
        self.nodes: tuple[BedNode, ...] = bed_nodes(state, record.nodes)
        self.cgroup = cgroups.find(self.state) / self.netns

    @classmethod
    def open(cls, state: Path) -> "Bed":
        """Return the bed whose state is kept in ``state``.

        :raises UsageError: there is none.
        """
        record = store.load(state)
        if record is None:
            raise UsageError(f"there is no test bed in {state}", "`tools/devtest` makes one")
        return cls(state, record)

    @property
    def passwords_file(self) -> Path:
        """Every secret of the cluster, as YAML."""
        return self.state / "passwords.yaml"

    def node(self, name: str) -> BedNode:
        """Return the node of that name; a bare index ("0") is understood as well."""
        for node in (*self.nodes, *bed_nodes(self.state, self.record.leaving)):
            if name in (node.name, str(node.index)):
                return node
        raise UsageError(f"no node {name!r} in this bed; there are {', '.join(node.name for node in self.nodes)}")

    def metadata(self, node: str) -> dict[str, Any]:
        """Return the metadata that was handed to one node last, secrets included.

        :raises Failure: it was handed none yet.
        """
        file = self.node(node).metadata_file
        try:
            document: dict[str, Any] = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise Failure(f"{file}: {error}") from error
        return document

    def running(self, node: str) -> bool:
        """Whether the node has a PID 1 at work."""
        return container.leader(self._cgroup(node)) is not None

    def powered(self, node: str) -> bool:
        """Whether the node is on, be it only about to boot or in the middle of a reboot."""
        return cgroups.populated(self._cgroup(node))

    def leader(self, node: str) -> int:
        """Return the pid, on this machine, of the node's PID 1; ``/proc/<pid>/ns/net`` is its network.

        :raises Failure: the node is not running.
        """
        pid = container.leader(self._cgroup(node))
        if pid is None:
            raise Failure(f"{self.node(node).name} is not running", "`devtest power-on` boots it")
        return pid

    def exec(
        self, node: str, argv: Sequence[str], *, timeout: float = 60, input: str | None = None, check: bool = True
    ) -> Completed:
        """Run a command inside a node, as root.

        :raises CommandFailed: as ``run`` does.
        :raises Failure: the node is not running.
        """
        return run(container.enter_argv(self.leader(node), argv), timeout=timeout, input=input, check=check)

    def client_argv(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs ``argv`` of this machine in the client's network namespace."""
        if not network.exists(self.netns):
            raise Failure("the networks of this bed are not there", "`tools/devtest` brings them back")
        return ["nsenter", f"--net={network.NAMESPACES / self.netns}", "--", *argv]

    def power_off(self, node: str) -> None:
        """Cut the node's power: its links go down, then everything in it is killed at once. Its BMC cannot boot it."""
        with power.held(self.node(node)):
            power.keep_off(self.node(node))
            self._cut(node)

    def power_on(self, node: str) -> None:
        """Boot the node from the disk it had; returns once its PID 1 is at work. Nothing happens if it is already."""
        self.launch(node)
        if not self.running(node):
            container.wait_booting(self.node(node), self._cgroup(node))

    def launch(self, node: str) -> None:
        """Start the boot of a node that is off, without waiting for anything."""
        with power.held(self.node(node)):
            power.give_back(self.node(node))
            if not self.powered(node):
                self._boot(node)

    def bmc_tells_on(self, node: str) -> bool:
        """Whether the node's BMC tells that it is on."""
        return self.powered(node) or power.told_on(self.node(node))

    def bmc_off(self, node: str) -> None:
        """Do what the node's BMC does when it is told to switch it off: cut its power."""
        target = self.node(node)
        with power.held(target):
            self._cut(node)
            if power.kept_off(target):
                power.tell(target, on=False)

    def bmc_on(self, node: str) -> None:
        """Do what the node's BMC does when it is told to switch it on: boot it if it has power."""
        target = self.node(node)
        with power.held(target):
            if power.kept_off(target):
                power.tell(target, on=True)
            elif not self.powered(node):
                self._boot(node)

    def _may_be_booted(self, node: str) -> bool:
        # A node that is fenced is off for a moment.
        return self.record.fencing and not power.kept_off(self.node(node))

    def _cut(self, node: str) -> None:
        # SIGKILL alone would let the kernel close the sockets, and the peers would be told.
        network.set_links(self.netns, self.node(node), "down")
        cgroups.kill(self._cgroup(node))
        network.take_away(self.netns, self.node(node))

    def _boot(self, node: str) -> None:
        target = self.node(node)
        network.create(self.netns)
        container.prepare(target, self.image(node))
        boot = container.boot_argv(target, f"{self.netns}-{target.index}", machine_id(self.state, target))
        container.start(target, self._cgroup(node), self.netns, boot)

    def wait_booting(self, node: str) -> None:
        """Wait until a launched node's PID 1 is at work.

        :raises Failure: it ended instead.
        """
        container.wait_booting(self.node(node), self._cgroup(node))

    def stop(self, node: str, timeout: float = 300) -> None:
        """Shut the node down in order, and wait for its end. Its BMC cannot boot it.

        :raises TimedOut: it takes longer than ``timeout`` seconds; it is left at it.
        """
        with power.held(self.node(node)):
            power.keep_off(self.node(node))
        container.shut_down(self.node(node), self._cgroup(node), timeout)

    def isolated(self, node: str) -> bool:
        """Whether the node's cables are pulled."""
        return self.node(node).cables_out.exists()

    def isolate(self, node: str) -> None:
        """Pull both network cables of the node; it stays so over a reboot."""
        target = self.node(node)
        target.cables_out.touch()
        network.set_links(self.netns, target, "down")

    def rejoin(self, node: str) -> None:
        """Plug both network cables in again."""
        target = self.node(node)
        target.cables_out.unlink(missing_ok=True)
        network.set_links(self.netns, target, "up")

    def processes(self, node: str, unit: str = "", name: str = "") -> tuple[Process, ...]:
        """Return the node's processes of one unit, those whose command name begins with ``name``; default: all."""
        found = processes.within(self._cgroup(node))
        return tuple(each for each in found if unit in ("", each.unit) and each.name.startswith(name))

    def signal(self, node: str, number: signal.Signals, unit: str, name: str = "") -> tuple[int, ...]:
        """Send a signal to the processes that ``processes`` returns, from outside, and return their pids here."""
        return processes.send([each.pid for each in self.processes(node, unit, name)], number)

    def freeze(self, node: str) -> None:
        """Freeze everything in the node, as a hypervisor does that pauses a machine; its cables stay plugged in."""
        processes.freeze(self._cgroup(node), frozen=True)

    def thaw(self, node: str) -> None:
        """Let the node and every stopped process in it go on."""
        processes.freeze(self._cgroup(node), frozen=False)
        stopped = [each.pid for each in self.processes(node) if each.state == processes.STOPPED]
        processes.send(stopped, signal.SIGCONT)

    def sever(self, ways: Collection[severing.Way]) -> None:
        """Have the networks drop, from now on, what goes these ways and nothing else, see ``severing``."""
        severing.sever(self.netns, ways)

    def mend(self) -> None:
        """Have the networks drop nothing and throttle nobody any more; cables that are pulled stay so."""
        severing.mend(self.netns)
        for node in self.nodes:
            network.throttle(self.netns, node, None)

    def throttle(self, node: str, megabits: int) -> None:
        """Let the node receive no more than so many megabits a second on each network, until ``mend``."""
        network.throttle(self.netns, self.node(node), megabits)

    def wipe(self, node: str) -> None:
        """Empty the state disk of a node that is off.

        :raises UsageError: the node is on.
        """
        target = self.node(node)
        if self.powered(node):
            raise UsageError(f"{target.name} is on", "`devtest power-off` cuts its power")
        container.wipe(target)

    def image(self, node: str) -> Path:
        """Return the root of the image that the node boots from: the bed's, but in the middle of an upgrade."""
        return container.image_of(self.node(node)) or Path(self.record.image_root)

    def reimage(self, node: str, image_root: Path) -> None:
        """Have a node that is off boot from another image; what is on its state disk stays."""
        container.reimage(self.node(node), image_root)

    def push(self, node: str, metadata: Mapping[str, Any]) -> bool:
        """Hand a node new metadata and have its agent collect it now; return whether it was new.

        os-collect-config ignores SIGHUP from its first run on, so it is restarted; that cuts a run in progress short.
        """
        if not self.write_metadata(node, metadata):
            return False
        if self.running(node):
            name = self.node(node).name
            wait_for(f"the agent on {name} to be restarted", lambda: self._restart_agent(node), timeout=60, interval=1)
        return True

    def write_metadata(self, node: str, metadata: Mapping[str, Any]) -> bool:
        """Put metadata where the node's agent looks, and return whether it was new."""
        target = self.node(node)
        container.furnish(target)
        with contextlib.suppress(Failure):
            if self.metadata(node) == metadata:
                return False
        return write_file(target.metadata_file, json.dumps(metadata, indent=1) + "\n")

    def converged(self, node: str) -> tuple[bool, str]:
        """Return whether a node has converged on what it was handed last, and if not, why as far as it tells."""
        if not self.running(node):
            return False, "not running"
        accepted, report, refused = (self.read(node, f"{name}.json") for name in ("metadata", "converged", "refused"))
        return convergence.judge(self.metadata(node), accepted, report, refused)

    def wait_converged(
        self,
        nodes: Sequence[str] | None = None,
        *,
        timeout: float = convergence.CONVERGE_S,
        tell: Callable[[str, str], None] = lambda name, what: None,
    ) -> None:
        """Wait until each node (default: all) has converged on the metadata it was handed last.

        :param tell: called with a node's name and what is new about it.
        :raises Failure: a node has gone.
        :raises TimedOut: naming each node that has not converged, and why as far as it tells.
        """
        waiting = [node.name for node in self.nodes] if nodes is None else [self.node(name).name for name in nodes]
        reasons: dict[str, str] = {}

        def probe() -> bool:
            for name in tuple(waiting):
                if not self.powered(name) and not self._may_be_booted(name):
                    raise Failure(f"{name} went off before it had converged", f"see {self.node(name).console}")
                done, reason = self.converged(name)
                if done:
                    waiting.remove(name)
                    tell(name, "converged")
                elif reason != reasons.get(name):
                    tell(name, reason)
                reasons[name] = reason
            return not waiting

        try:
            names = ", ".join(waiting)
            wait_for(f"{names} to converge", probe, timeout=timeout, why=lambda: _told(waiting, reasons))
        except TimedOut as late:
            raise TimedOut(late.message, f"`devtest logs {waiting[0]} -- -u {AGENT}` tells more") from late

    def read(self, node: str, name: str) -> Any:
        """Return the content of a JSON file in the node's runtime directory, or None while it is not (all) there."""
        with contextlib.suppress(OSError, ValueError, Failure):
            return json.loads((Path(f"/proc/{self.leader(node)}/root") / RUNTIME / name).read_text())
        return None

    def _restart_agent(self, node: str) -> bool:
        return self.exec(node, ["systemctl", "restart", "--no-block", AGENT], check=False).returncode == 0

    def _cgroup(self, node: str) -> Path:
        return self.cgroup / self.node(node).name


def _told(names: Sequence[str], reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reasons[name]}" for name in names)
