"""What a verifier needs inside the cluster for a few seconds: a schema, a broker user, and answers about both.

The verifier invents one random name and password; both vanish with ``close``. Requests come on stdin, so that
the password is on no command line.
"""

import contextlib
import re
import urllib.error
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from tripleo_ha.errors import Failure
from tripleo_ha.node.local import Management, mysql_root

NAME = re.compile(r"tripleo_ha_verify_[0-9a-f]{8}")
PASSWORD = re.compile(r"[0-9A-Za-z]{16,64}")
VHOST = quote("/", safe="")
Request = Mapping[str, Any]
Metadata = Mapping[str, Any]


def open_account(request: Request, metadata: Metadata) -> dict[str, Any]:
    """Create the schema ``name`` with its table, and the database and broker users of that name.

    The request has ``name`` and ``password``; the answer says which of ``sql`` and ``broker`` run here.

    :raises Failure: the name or the password could not have come from a verifier.
    """
    name, password = _name(request), request["password"]
    if not PASSWORD.fullmatch(password):
        raise Failure("the trial password must be 16 to 64 letters and digits")
    if "mysql" in metadata:
        with mysql_root() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {name}")
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {name}.written (id VARCHAR(64) PRIMARY KEY, at DOUBLE) ENGINE=InnoDB"
            )
            cursor.execute(f"CREATE USER IF NOT EXISTS {name}@'%%' IDENTIFIED BY %s", (password,))
            cursor.execute(f"GRANT SELECT, INSERT ON {name}.* TO {name}@'%'")
    if "rabbit" in metadata:
        api = Management.administrator(metadata)
        api.call("PUT", f"/api/users/{name}", {"password": password, "tags": "management"})
        own = f"^{name}.*"
        rights = {"configure": own, "write": f"(^amq\\.default$|{own})", "read": own}
        api.call("PUT", f"/api/permissions/{VHOST}/{name}", rights)
    return {"sql": "mysql" in metadata, "broker": "rabbit" in metadata}


def close_account(request: Request, metadata: Metadata) -> dict[str, Any]:
    """Remove all that :func:`open_account` and its user made; nothing there is no error."""
    name = _name(request)
    if "mysql" in metadata:
        with mysql_root() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"DROP USER IF EXISTS {name}@'%'")
    if "rabbit" in metadata:
        api = Management.administrator(metadata)
        for queue in api.get(f"/api/queues/{VHOST}?disable_stats=true"):
            if str(queue["name"]).startswith(name):
                _delete(api, f"/api/queues/{VHOST}/{quote(queue['name'], safe='')}")
        _delete(api, f"/api/users/{name}")
    return {}


def rows(request: Request, _metadata: Metadata) -> dict[str, Any]:
    """Answer how many rows this node itself holds and which of ``ids`` it lacks, once it has applied all before.

    The answer is ``{"count": n, "missing": [id, …]}``.
    """
    name = _name(request)
    wanted = set(request["ids"])
    with mysql_root() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION wsrep_sync_wait=1")
        cursor.execute(f"SELECT id FROM {name}.written")  # noqa: S608 — the name has been matched
        held = {row[0] for row in cursor.fetchall()}
    return {"count": len(held), "missing": sorted(wanted - held)}


def queues(request: Request, metadata: Metadata) -> dict[str, Any]:
    """Answer, by name, where each of ``queues`` is as this node's broker knows it; unknown ones are left out.

    A queue's value is ``{"node": leader, "type": …, "members": […], "online": […]}``.
    """
    api = Management.administrator(metadata)
    found = {}
    for queue in request["queues"]:
        with contextlib.suppress(urllib.error.HTTPError):
            known = api.get(f"/api/queues/{VHOST}/{quote(queue, safe='')}")
            found[queue] = {
                "node": known.get("leader") or known.get("node", ""),
                "type": known.get("type", ""),
                "members": known.get("members") or [],
                "online": known.get("online") or [],
            }
    return found


def take(request: Request, _metadata: Metadata) -> dict[str, Any]:
    """Consume up to ``count`` messages of ``queue`` through this node; the answer is ``{"payloads": […]}``.

    The trial's own user does it, with the request's ``password``: the administrator may not read messages.
    """
    api = Management(_name(request), request["password"], timeout=60)
    body = {"count": request.get("count", 1), "ackmode": "ack_requeue_false", "encoding": "auto"}
    path = f"/api/queues/{VHOST}/{quote(request['queue'], safe='')}/get"
    return {"payloads": [message["payload"] for message in api.call("POST", path, body)]}


ACTIONS: Mapping[str, Callable[[Request, Metadata], dict[str, Any]]] = {
    "open": open_account,
    "close": close_account,
    "rows": rows,
    "queues": queues,
    "take": take,
}


def _name(request: Request) -> str:
    name = request["name"]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Failure("a trial's name is tripleo_ha_verify_ and eight hexadecimal digits")
    return name


def _delete(api: Management, path: str) -> None:
    try:
        api.call("DELETE", path)
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
