"""What a verifier or a campaign needs inside the cluster: a schema, a broker user, and answers about both.

Whoever asks invents one random name and password; both vanish with ``close``. Requests come on stdin, so that
the password is on no command line.
"""

import contextlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from tripleo_ha.errors import Failure
from tripleo_ha.node import sql
from tripleo_ha.node.rabbitmq_api import Api, Refused

NAME = re.compile(r"tripleo_ha_(verify|chaos)_[0-9a-f]{8}")
PASSWORD = re.compile(r"[0-9A-Za-z]{16,64}")
VHOST = quote("/", safe="")
ANSWER_S = 5
Request = Mapping[str, Any]
Metadata = Mapping[str, Any]
BANK_ACCOUNTS = 8
BANK_BALANCE = 100
"""What each account of the bank has at first; the sum is constant for ever."""
DRAINED_AT_ONCE = 1000
TABLES = {"written": "id VARCHAR(64) PRIMARY KEY, at DOUBLE"}
CAMPAIGN_TABLES = {
    "lists": "id VARCHAR(64) PRIMARY KEY, items TEXT NOT NULL",
    "bank": "id VARCHAR(8) PRIMARY KEY, balance INT NOT NULL",
}


def open_account(request: Request, metadata: Metadata) -> dict[str, Any]:
    """Create the schema ``name`` with its tables, and the database and broker users of that name.

    The request has ``name`` and ``password``, and ``campaign``, true where lists and a bank are wanted as well; the
    answer says which of ``sql`` and ``broker`` run here.

    :raises Failure: the name or the password could not have come from a verifier.
    """
    name, password = _name(request), request["password"]
    if not PASSWORD.fullmatch(password):
        raise Failure("the trial password must be 16 to 64 letters and digits")
    if "mysql" in metadata:
        _open_schema(name, password, bool(request.get("campaign")))
    if "rabbit" in metadata:
        # An RPC client's queue for replies is named after the process, with a prefix that nobody can choose.
        own = f"^(reply_)?{name}.*"
        rights = {"configure": own, "write": f"(^amq\\.default$|{own})", "read": own}
        with _administrator(metadata) as api:
            api.request("PUT", f"/api/users/{name}", {"password": password, "tags": "management"})
            api.request("PUT", f"/api/permissions/{VHOST}/{name}", rights)
    return {"sql": "mysql" in metadata, "broker": "rabbit" in metadata}


def close_account(request: Request, metadata: Metadata) -> dict[str, Any]:
    """Remove all that :func:`open_account` and its user made; nothing there is no error."""
    name = _name(request)
    if "mysql" in metadata:
        with sql.root(ANSWER_S) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"DROP USER IF EXISTS {name}@'%'")
    if "rabbit" in metadata:
        with _administrator(metadata) as api:
            _close_broker(api, name)
    return {}


def rows(request: Request, _metadata: Metadata) -> dict[str, Any]:
    """Answer how many rows this node itself holds and which of ``ids`` it lacks, once it has applied all before.

    The answer is ``{"count": n, "missing": [id, …]}``.
    """
    name = _name(request)
    wanted = set(request["ids"])
    with sql.root(ANSWER_S) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION wsrep_sync_wait=1")
        cursor.execute(f"SELECT id FROM {name}.written")  # noqa: S608 — the name has been matched
        held = {row[0] for row in cursor.fetchall()}
    return {"count": len(held), "missing": sorted(wanted - held)}


def lists(request: Request, _metadata: Metadata) -> dict[str, Any]:
    """Answer, as this node itself holds them once it has applied all before, every list and the bank's balances.

    The answer is ``{"lists": {key: [value, …]}, "bank": {account: balance}}``.
    """
    name = _name(request)
    with sql.root(timeout=60) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION wsrep_sync_wait=1")
        cursor.execute(f"SELECT id, items FROM {name}.lists")  # noqa: S608 — the name has been matched
        held = {key: json.loads(items) for key, items in cursor.fetchall()}
        cursor.execute(f"SELECT id, balance FROM {name}.bank")  # noqa: S608
        return {"lists": held, "bank": dict(cursor.fetchall())}


def queues(request: Request, metadata: Metadata) -> dict[str, Any]:
    """Answer, by name, where each of ``queues`` is as this node's broker knows it; unknown ones are left out.

    A queue's value is ``{"node": leader, "type": …, "members": […], "online": […]}``.
    """
    found = {}
    with _administrator(metadata) as api:
        for queue in request["queues"]:
            with contextlib.suppress(Refused):
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
    body = {"count": request.get("count", 1), "ackmode": "ack_requeue_false", "encoding": "auto"}
    path = f"/api/queues/{VHOST}/{quote(request['queue'], safe='')}/get"
    with Api(_name(request), request["password"], timeout=60) as own:
        return {"payloads": [message["payload"] for message in own.request("POST", path, body)]}


def drain(request: Request, _metadata: Metadata) -> dict[str, Any]:
    """Consume every message of ``queue`` that is ready, as :func:`take` does, until there is none."""
    payloads: list[str] = []
    while more := take({**request, "count": DRAINED_AT_ONCE}, _metadata)["payloads"]:
        payloads += more
    return {"payloads": payloads}


ACTIONS: Mapping[str, Callable[[Request, Metadata], dict[str, Any]]] = {
    "open": open_account,
    "close": close_account,
    "rows": rows,
    "lists": lists,
    "queues": queues,
    "take": take,
    "drain": drain,
}


def _administrator(metadata: Metadata) -> Api:
    return Api.administrator(metadata, ANSWER_S)


def _close_broker(api: Api, name: str) -> None:
    if all(user["name"] != name for user in api.get("/api/users")):
        return
    # Only the user itself may remove what is its own: the administrator has no right to anything in the vhost.
    password = secrets.token_hex()
    api.request("PUT", f"/api/users/{name}", {"password": password, "tags": "management"})
    with Api(name, password, ANSWER_S) as own:
        for what in ("queues", "exchanges"):
            for each in own.get(f"/api/{what}/{VHOST}?disable_stats=true"):
                if str(each["name"]).removeprefix("reply_").startswith(name):
                    own.request("DELETE", f"/api/{what}/{VHOST}/{quote(each['name'], safe='')}")
    api.request("DELETE", f"/api/users/{name}")


def _open_schema(name: str, password: str, campaign: bool) -> None:
    with sql.root(ANSWER_S) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {name}")
        for table, columns in (TABLES | CAMPAIGN_TABLES if campaign else TABLES).items():
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {name}.{table} ({columns}) ENGINE=InnoDB")
        if campaign:
            cursor.executemany(
                f"INSERT IGNORE INTO {name}.bank (id, balance) VALUES (%s, %s)",  # noqa: S608 — the name has been matched
                [(str(number), BANK_BALANCE) for number in range(BANK_ACCOUNTS)],
            )
        cursor.execute(f"CREATE USER IF NOT EXISTS {name}@'%%' IDENTIFIED BY %s", (password,))
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE ON {name}.* TO {name}@'%'")


def _name(request: Request) -> str:
    name = request["name"]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Failure("a trial's name is tripleo_ha_verify_ or tripleo_ha_chaos_ and eight hexadecimal digits")
    return name
