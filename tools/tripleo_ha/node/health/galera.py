"""Whether this node's MariaDB may be sent clients, asked as an unprivileged user over the socket."""

import contextlib
from collections.abc import Mapping
from typing import Any

import pymysql

from tripleo_ha.errors import Failure
from tripleo_ha.node import room, sql
from tripleo_ha.node.health.result import CheckResult

USER = "tripleo-ha"
TIMEOUT = 1.5
STATES = {"0": "Undefined", "1": "Joining", "2": "Donor/Desynced", "3": "Joined", "4": "Synced"}
SERVING = ("2", "4")
FACTS = (
    "cluster_status",
    "cluster_size",
    "cluster_conf_id",
    "local_state",
    "local_state_comment",
    "local_state_uuid",
    "last_committed",
    "gcomm_uuid",
    "connected",
    "ready",
)
METRICS = {
    "cluster_size": "cluster_size",
    "cluster_conf_id": "view_number",
    "local_state": "local_state",
    "last_committed": "seqno",
    "flow_control_paused": "flow_control_paused_ratio",
    "flow_control_sent": "flow_control_sent",
    "flow_control_recv": "flow_control_received",
    "local_recv_queue": "receive_queue",
    "local_send_queue": "send_queue",
    "local_cert_failures": "certification_failures",
    "local_bf_aborts": "brute_force_aborts",
}

# One connection is kept: a server whose connections are used up by clients is busy, not ill.
_connection: "pymysql.connections.Connection[Any] | None" = None


def check(metadata: Mapping[str, Any]) -> CheckResult:
    """Ask the server for its state in Galera; healthy is Synced in a Primary component, ready and writable.

    So is a donor that is not blocked: mariadb-backup copies a server that goes on serving, and taking the writer away
    for each node that joins would cut every client's session. At a cluster's first start the donor is all there is.
    """
    try:
        status, read_only = _ask()
    except (Failure, pymysql.MySQLError, OSError) as error:
        return CheckResult(False, f"no answer from MariaDB: {error}".splitlines()[0], mendable=True)
    facts: dict[str, Any] = {name: status[name] for name in FACTS if name in status}
    metrics = {ours: float(status[name]) for name, ours in METRICS.items() if name in status}
    reason = ailment(status, read_only) or room.lacking(room.DATABASE, room.DATABASE_MB)
    state = STATES.get(status.get("local_state", "0"), "unknown")
    facts["read_only"] = read_only
    return CheckResult(not reason, reason or state, facts, metrics, mendable=bool(reason) and stays_outside(status))


def stays_outside(status: Mapping[str, str]) -> bool:
    """Tell whether a server left the group, or is in no Primary component: it may have stalled on the way there."""
    return status.get("cluster_status") != "Primary" or status.get("connected") == "OFF"


def ailment(status: Mapping[str, str], read_only: bool) -> str:
    """Return why a server in this state must not be sent clients, or an empty string."""
    if status.get("connected") == "OFF":
        return "it left the group, and must be started anew"
    if status.get("cluster_status") != "Primary":
        return f"not in a Primary component but {status.get('cluster_status', 'without Galera')}"
    state = status.get("local_state", "0")
    if state not in SERVING:
        return f"not Synced but {STATES.get(state, state)}"
    if status.get("ready") != "ON":
        return "Galera is not ready for queries"
    return "read_only is set" if read_only else ""


def _ask() -> tuple[dict[str, str], bool]:
    global _connection
    if _connection is None:
        _connection = sql.connect(USER, timeout=TIMEOUT)
    try:
        status = sql.wsrep_status(_connection)
        ((read_only,),) = sql.query(_connection, "SELECT @@global.read_only")
    except BaseException:
        broken, _connection = _connection, None
        with contextlib.suppress(pymysql.MySQLError, OSError):
            broken.close()
        raise
    return status, str(read_only) not in ("0", "OFF")
