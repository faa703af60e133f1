"""Whether this node's broker may be sent clients: it runs, has no alarm of its own, and is in the majority."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tripleo_ha import paths
from tripleo_ha.node import room
from tripleo_ha.node.health.result import CheckResult
from tripleo_ha.node.rabbitmq_api import Api, Unauthorized, Unavailable
from tripleo_ha.topology.rabbitmq import Membership

TIMEOUT = 1.0
MEMORY = 12.0
"""Seconds for which the last view of the cluster stands in for one that can't be had.

Asked who runs, a broker asks its peers, and so hangs until it has noticed that one lost its power: a few seconds, by
net_ticktime at the latest. Without a memory every survivor would leave the balancer just then.
"""
GRACE = 60.0
"""Seconds for which a broker that refuses the monitor's password counts as well: a new one is being applied."""


@dataclass
class Memory:
    """What earlier checks found, with the time (monotonic seconds) they did."""

    seen: Membership | None = None
    seen_at: float = 0.0
    refused_since: float | None = None


_memory = Memory()


def check(metadata: Mapping[str, Any], memory: Memory = _memory, *, leaves_word: bool = True) -> CheckResult:
    """Ask the broker on this node as its user ``monitor``, whose password is in a file unless the metadata hold it.

    A member that is down makes nobody unhealthy; being without a majority does, and so does an alarm, since a
    broker in alarm takes no more messages.

    :param leaves_word: whether one without room is asked to step aside.
    """
    found = _ask(metadata, memory)
    if not found.metrics["up"]:
        return found
    lacking = room.lacking(room.BROKER, room.BROKER_MB)
    if leaves_word:
        # Its alarm would block publishers on every node; one that could not write its metadata refuses everybody.
        room.ask_to_step_aside(bool(lacking))
    return replace(found, healthy=False, reason=lacking) if lacking else found


def _ask(metadata: Mapping[str, Any], memory: Memory) -> CheckResult:
    now = time.monotonic()
    password = metadata["rabbit"].get("monitor_password") or (paths.RUNTIME / "monitor-password").read_text()
    try:
        with Api("monitor", password, timeout=TIMEOUT) as api:
            alarms = api.alarms()
            memory.refused_since = None
            seen = _membership(api, memory, now)
    except Unauthorized as error:
        memory.refused_since = memory.refused_since or now
        # The peers go on knowing who is in the cluster: one of its members sets the new password.
        facts = _facts(memory.seen) if memory.seen else {}
        return CheckResult(now - memory.refused_since < GRACE, error.message, facts, {"up": 1.0}, mendable=True)
    except Unavailable as error:
        return CheckResult(False, error.message, {}, {"up": 0.0})
    return judge(metadata["node"]["name"], seen, alarms)


def _membership(api: Api, memory: Memory, now: float) -> Membership:
    try:
        memory.seen, memory.seen_at = api.membership(), now
    except Unavailable:
        if memory.seen is None or now - memory.seen_at > MEMORY:
            raise
    return memory.seen


def _facts(seen: Membership) -> dict[str, list[str]]:
    return {"members": sorted(seen.members), "running": sorted(seen.running)}


def judge(me: str, seen: Membership, alarms: tuple[str, ...]) -> CheckResult:
    """Turn what was seen into the answer for HAProxy.

    :param alarms: the resources this node has an alarm for, ``memory`` or ``disk``.
    """
    running, members = len(seen.running & seen.members), len(seen.members)
    facts: dict[str, list[str]] = {**_facts(seen), "alarms": list(alarms)}
    metrics = {
        "up": 1.0,
        "members": float(members),
        "running": float(running),
        "majority": float(seen.has_majority),
        "alarms": float(len(alarms)),
    }
    if me not in seen.running:
        reason = "the broker does not run"
    elif not seen.has_majority:
        reason = f"no majority: {running} of {members} members run"
    elif alarms:
        reason = f"alarm: {', '.join(alarms)}"
    else:
        return CheckResult(True, f"{running} of {members} members run", facts, metrics)
    return CheckResult(False, reason, facts, metrics)
