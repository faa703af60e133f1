"""Processes and waiting sockets, read from /proc: what ``ps`` and ``ss`` know, without starting either."""

import ipaddress
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tripleo_ha.node.facts import Process, Socket

PROC = Path("/proc")
TABLES = {"tcp": "tcp", "tcp6": "tcp", "udp": "udp", "udp6": "udp"}
WAITING = {"tcp": "0A", "udp": "07"}
"""States of proc(5): a TCP socket that listens, a UDP socket without a peer."""
SERVICE = re.compile(r"/([^/]+\.service)(?:/|$)")


@dataclass(frozen=True)
class Seen:
    """A process as /proc shows it; ``command`` is its command line with spaces between the arguments."""

    pid: int
    name: str
    command: str
    unit: str
    started: int


def processes(proc: Path = PROC) -> Iterator[Seen]:
    """Go through all processes but kernel threads; those that end meanwhile are left out."""
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if command:
                stat = (entry / "stat").read_text()
                yield Seen(int(entry.name), _name(stat), command, _unit(entry), _started(stat))
        except (FileNotFoundError, ProcessLookupError):
            continue


def of_services(seen: Iterable[Seen]) -> tuple[Process, ...]:
    """Return the processes that belong to a systemd service, by unit and pid."""
    found = [Process(each.pid, each.name, each.unit, each.started) for each in seen if each.unit]
    return tuple(sorted(found, key=lambda process: (process.unit, process.pid)))


def matching(seen: Iterable[Seen], pattern: str) -> tuple[int, ...]:
    """Return the pids whose command line matches; a child of a match counts with its parent, not by itself.

    A service that forks workers is one instance, so only the group's first process stands for it: the lowest pid
    of each unit.
    """
    expression = re.compile(pattern)
    first: dict[str, int] = {}
    for each in seen:
        if expression.search(each.command):
            key = each.unit or str(each.pid)
            first[key] = min(first.get(key, each.pid), each.pid)
    return tuple(sorted(first.values()))


def sockets(proc: Path = PROC) -> tuple[Socket, ...]:
    """Return every waiting socket of this network namespace, with the names of the processes that hold it."""
    waiting = [(transport, *fields) for table, transport in TABLES.items() for fields in _waiting(proc, table)]
    owners = _owners(proc, {inode for _, _, _, inode in waiting})
    found = {
        Socket(transport, address, port, tuple(sorted(owners.get(inode, ()))))
        for transport, address, port, inode in waiting
    }
    return tuple(sorted(found, key=lambda socket: (socket.transport, socket.port, socket.address)))


def _waiting(proc: Path, table: str) -> Iterator[tuple[str, int, str]]:
    path = proc / "net" / table
    if not path.exists():
        return
    for line in path.read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == WAITING[TABLES[table]]:
            address, port = fields[1].split(":")
            yield _address(address), int(port, 16), fields[9]


def _address(text: str) -> str:
    # The kernel prints each 32-bit word in the machine's own byte order.
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _owners(proc: Path, inodes: set[str]) -> dict[str, set[str]]:
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    owners: dict[str, set[str]] = {}
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if held := {wanted[target] for target in _open(entry) if target in wanted}:
                name = _name((entry / "stat").read_text())
                for inode in held:
                    owners.setdefault(inode, set()).add(name)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return owners


def _open(entry: Path) -> Iterator[str]:
    """Go through what a process has open; a file that it closes meanwhile hides none of the others."""
    for handle in (entry / "fd").iterdir():
        with suppress(FileNotFoundError):
            yield str(handle.readlink())


def _name(stat: str) -> str:
    return stat[stat.index("(") + 1 : stat.rindex(")")]


def _started(stat: str) -> int:
    # Field 22 of proc(5); the name, field 2, may itself hold spaces and brackets.
    return int(stat[stat.rindex(")") + 2 :].split()[19])


def _unit(entry: Path) -> str:
    try:
        text = (entry / "cgroup").read_text()
    except OSError:
        return ""
    unified = next((line for line in text.splitlines() if line.startswith("0::")), "")
    found = SERVICE.findall(unified)
    return str(found[-1]) if found else ""
