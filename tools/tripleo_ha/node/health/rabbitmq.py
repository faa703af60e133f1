"""Whether this node's broker may be sent clients: it runs, has no alarm of its own, and is in the majority."""

from collections.abc import Mapping
from typing import Any

from tripleo_ha.node.health.result import CheckResult
from tripleo_ha.node.rabbitmq_api import Api, Unauthorized, Unavailable
from tripleo_ha.topology.rabbitmq import Membership

TIMEOUT = 1.5


def check(metadata: Mapping[str, Any]) -> CheckResult:
    """Ask the broker on this node as its user ``monitor``.

    A member that is down makes nobody unhealthy; being without a majority does, and so does an alarm, since a
    broker in alarm takes no more messages.
    """
    me = metadata["node"]["name"]
    try:
        with Api("monitor", metadata["rabbit"]["monitor_password"], timeout=TIMEOUT) as api:
            nodes = api.membership()
            alarms = api.alarms()
    except (Unavailable, Unauthorized) as error:
        return CheckResult(False, error.message, {"members": [], "running": []}, {"up": 0.0})
    return judge(me, nodes, alarms)


def judge(me: str, seen: Membership, alarms: tuple[str, ...]) -> CheckResult:
    """Turn what was seen into the answer for HAProxy.

    :param alarms: the resources this node has an alarm for, ``memory`` or ``disk``.
    """
    running, members = len(seen.running & seen.members), len(seen.members)
    facts = {"members": sorted(seen.members), "running": sorted(seen.running), "alarms": list(alarms)}
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
