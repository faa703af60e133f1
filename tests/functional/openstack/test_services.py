"""What a whole control plane offers, and what it costs while nobody asks it anything."""

import os
import time
from base64 import b64decode
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from beds import Summary, up_and_good
from openstack.connection import Connection

from tripleo_ha import table
from tripleo_ha.devtest import timeline
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.metadata.generate import profile
from tripleo_ha.verify.runner import Target
from tripleo_ha.waiting import wait_for

MEMORY_GIB = 14.0
KEPT = """
import socket, sys
from urllib.parse import unquote
memcached = socket.create_connection((sys.argv[1], 11211), 10)
answer = memcached.makefile()
memcached.sendall(b"lru_crawler metadump all\\n")
listed = iter(answer.readline, "END\\n")
for key in [unquote(line.split()[0].removeprefix("key=")) for line in listed]:
    if key.startswith("tokens/"):
        memcached.sendall(f"get {key}\\r\\n".encode())
        print(*[line for line in iter(answer.readline, "END\\n") if not line.startswith("VALUE ")])
"""
"""Prints what keystonemiddleware keeps in a memcached."""
SIGNATURE = 64
"""Characters of it: SHA-384 as base64."""
IDLE_S = 90.0
"""The load of the last minute still has a fifth of what was before in it."""


@pytest.mark.quick
def test_every_service_is_offered_and_every_check_is_good(bed: Bed, cloud: Connection, summary: Summary) -> None:
    began = time.monotonic()
    target = up_and_good(bed)
    took = {step["step"]: step["end"] - step["start"] for step in timeline.load(bed.state / "timeline.json")}
    told = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in took.items())
    summary.tell("full profile, up", f"{told}, verified {time.monotonic() - began:.0f} s later")
    assert set(profile(bed.record.profile)) - set(target.metadata) == set()
    types = {item.type for row in table.active(table.load(), target.metadata) for item in row.catalogue}
    assert {service["type"] for service in cloud.service_catalog} == types


@pytest.mark.quick
def test_what_services_keep_of_tokens_tells_nobody_anything(target: Target, bed: Bed, cloud: Connection) -> None:
    for ask in (cloud.image.images, cloud.network.networks, cloud.compute.servers, cloud.orchestration.stacks):
        list(ask())
    kept: list[str] = []
    for node in bed.nodes:
        kept += bed.exec(node.name, ["python3", "-c", KEPT, node.ip], timeout=60).stdout.split()
    assert kept
    for value in kept:
        # A signature, then what was encrypted, both as base64. In the open it is JSON.
        assert b"expires_at" not in b64decode(value[SIGNATURE:], validate=True)


def test_idle_controllers_keep_within_their_memory(target: Target, bed: Bed, summary: Summary) -> None:
    before, since = busy(bed), time.monotonic()
    wait_for("a time without requests", lambda: time.monotonic() - since > IDLE_S, timeout=2 * IDLE_S, interval=5)
    seconds = time.monotonic() - since
    used = busy(bed)
    used.subtract(before)
    most = ", ".join(f"{unit} {spent / seconds / 1e4:.1f} %" for unit, spent in used.most_common(6))
    summary.tell("three idle controllers, load", f"{os.getloadavg()[0]:.2f}; of one core {most}")
    sizes = {node.name: resident(bed, node.name) for node in bed.nodes}
    totals = {name: size.total() / 2**30 for name, size in sizes.items()}
    together = sum(sizes.values(), Counter())
    largest = ", ".join(f"{unit} {size / 2**30:.2f}" for unit, size in together.most_common(8))
    each = ", ".join(f"{size:.2f}" for size in totals.values())
    summary.tell("  resident", f"{sum(totals.values()):.2f} GiB ({each}); {largest}")
    assert sum(totals.values()) <= MEMORY_GIB


def busy(bed: Bed) -> Counter[str]:
    """Return the microseconds of CPU that each unit has used on all nodes since their boots."""
    found: Counter[str] = Counter()
    for node in bed.nodes:
        for file in (bed.cgroup / node.name).glob("boot*/**/*.service/cpu.stat"):
            with suppress(OSError):
                told = dict(line.split() for line in file.read_text().splitlines())
                found[file.parent.name] += int(told["usage_usec"])
    return found


def resident(bed: Bed, node: str) -> Counter[str]:
    """Return the bytes that each unit of a node has in memory; what several processes map counts once in all."""
    found: Counter[str] = Counter()
    for process in bed.processes(node):
        with suppress(OSError):
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            found[process.unit] += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return found
