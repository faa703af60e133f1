"""Who does what in a test bed, seen from the machine that it runs on: nothing is asked of any service in a node.

The process table, each node's addresses and HAProxy's own socket can be read in milliseconds and in any state of the
cluster: while nodes are frozen, cut off, or gone.
"""

import contextlib
import csv
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tripleo_ha import paths
from tripleo_ha.chaos.faults.model import Roles
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.endpoints import CONTROL
from tripleo_ha.errors import Failure
from tripleo_ha.node.leaving import HANDING_OVER
from tripleo_ha.topology.haproxy import SOCKET
from tripleo_ha.verify.runner import Target

PROC = Path("/proc")
ANSWER_S = 2.0
SQL_LISTENER = "mysql"
Places = dict[str, frozenset[str]]
"""Where each of some things is: the names of the nodes, none or several where that is so."""


class View:
    """One bed, looked at from outside."""

    def __init__(self, bed: Bed, target: Target) -> None:
        self._bed = bed
        self._vips = {name: vip.ip for name, vip in target.cluster.virtual_ips.items()}
        self._patterns = {row.service: row.singleton_process for row in target.rows if row.singleton_process}

    def singletons(self) -> Places:
        """Return the nodes on which each service that must run once runs."""
        return where(self._bed, self._patterns)

    def holders(self) -> Places:
        """Return the nodes that have each virtual IP; one that hands it over does no more once another has it."""
        held = {node: local_addresses(text) for node, text in self._each("net/fib_trie")}
        having = {name: {node for node, found in held.items() if ip in found} for name, ip in self._vips.items()}
        if all(len(nodes) < 2 for nodes in having.values()):
            return {name: frozenset(nodes) for name, nodes in having.items()}
        leaving = {node for node, _ in self._each(f"root{paths.RUNTIME / HANDING_OVER}")}
        return {name: frozenset(nodes - leaving or nodes) for name, nodes in having.items()}

    def writer(self) -> str:
        """Return the node to which the holder of the control address sends SQL sessions; empty when that is unknown.

        Where nobody has a session, it is the one that HAProxy keeps in mind for the next.
        """
        holders = self.holders().get(CONTROL, frozenset())
        if len(holders) != 1:
            return ""
        (holder,) = holders
        return writer_of(self.statistics(holder)) or remembered(self._ask(holder, f"show table {SQL_LISTENER}"))

    def roles(self) -> Roles:
        """Return who does what; what nobody or more than one does is left out."""
        return Roles(
            tuple(node.name for node in self._bed.nodes), self.writer(), _only(self.holders()), _only(self.singletons())
        )

    def unsettled(self) -> str:
        """Say which role is nobody's or on several nodes, or return an empty string."""
        places = {**self.holders(), **self.singletons()}
        wrong = [
            f"{what} on {' and '.join(sorted(nodes)) or 'no node'}" for what, nodes in places.items() if len(nodes) != 1
        ]
        return "; ".join(wrong) or ("" if self.writer() else "no SQL session anywhere")

    def unbalanced(self) -> str:
        """Say which server some node's HAProxy would not send anybody to, or return an empty string."""
        for node in self._bed.nodes:
            states = {f"{row['pxname']} on {row['svname']}": row["status"] for row in self.statistics(node.name)}
            if not states:
                return f"haproxy on {node.name} does not answer"
            for server, status in states.items():
                if not status.startswith(("UP", "no check")):
                    return f"{node.name} has {server} {status}"
        return ""

    def statistics(self, node: str) -> list[dict[str, str]]:
        """Return what HAProxy on a node says of each server; nothing when it does not answer."""
        return servers(self._ask(node, "show stat"))

    def _ask(self, node: str, command: str) -> str:
        with contextlib.suppress(OSError, Failure):
            return _asked(PROC / str(self._bed.leader(node)) / f"root{SOCKET}", command)
        return ""

    def _each(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield the text of a file below ``/proc/PID`` of every node that is on."""
        for node in self._bed.nodes:
            with contextlib.suppress(OSError, Failure):
                yield node.name, (PROC / str(self._bed.leader(node.name)) / name).read_text()


def where(bed: Bed, patterns: Mapping[str, str]) -> Places:
    """Return the nodes in which a process with such a command line runs, by this machine's own process table.

    :param patterns: regular expressions by name.
    """
    spaces = {}
    for node in bed.nodes:
        with contextlib.suppress(OSError, Failure):
            spaces[_space(bed.leader(node.name))] = node.name
    expressions = {name: re.compile(pattern) for name, pattern in patterns.items()}
    found: dict[str, set[str]] = {name: set() for name in patterns}
    for pid, command in _commands():
        for name, expression in expressions.items():
            if expression.search(command):
                with contextlib.suppress(OSError):
                    found[name].add(spaces.get(_space(pid), ""))
    return {name: frozenset(nodes - {""}) for name, nodes in found.items()}


def local_addresses(trie: str) -> set[str]:
    """Return the IPv4 addresses that are a host's own, given the text of its ``/proc/net/fib_trie``.

    Source: Linux, Documentation/networking/fib_trie.rst.
    """
    found = set()
    address = ""
    for line in trie.splitlines():
        words = line.split()
        if words[:1] == ["|--"]:
            address = words[1]
        elif words == ["/32", "host", "LOCAL"]:
            found.add(address)
    return found


def servers(statistics: str) -> list[dict[str, str]]:
    """Return the lines about servers of HAProxy's ``show stat``, by column.

    Source: HAProxy's management guide, "Statistics and monitoring", CSV format.
    """
    rows = csv.DictReader(statistics.lstrip("# ").splitlines())
    return [row for row in rows if row.get("svname") not in ("FRONTEND", "BACKEND", None)]


def writer_of(rows: Iterable[Mapping[str, str]]) -> str:
    """Return the server with the most SQL sessions, or an empty string when there is none."""
    sessions = {row["svname"]: int(row["scur"] or 0) for row in rows if row["pxname"] == SQL_LISTENER}
    busiest = max(sessions, key=lambda name: sessions[name], default="")
    return busiest if sessions.get(busiest) else ""


def remembered(table: str) -> str:
    """Return the server that HAProxy's ``show table`` names, or an empty string when there is none or several.

    Source: HAProxy's management guide, "show table"; ``server_key`` is the server's name.
    """
    names = set(re.findall(r"\bserver_key=(\S+)", table))
    return names.pop() if len(names) == 1 else ""


def _only(places: Places) -> dict[str, str]:
    return {what: next(iter(nodes)) for what, nodes in places.items() if len(nodes) == 1}


def _asked(path: Path, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_S)
        connection.connect(str(path))
        connection.sendall(f"{command}\n".encode())
        with connection.makefile(errors="replace") as stream:
            return stream.read()


def _commands() -> Iterator[tuple[int, str]]:
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def _space(pid: int) -> str:
    return str((PROC / str(pid) / "ns" / "pid").readlink())
