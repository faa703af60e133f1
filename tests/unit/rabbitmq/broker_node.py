"""A controller with its broker, unit and peers played; see the fixture ``node``."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from tripleo_ha import cluster
from tripleo_ha.node.context import Context
from tripleo_ha.table import Row, Unit

ROW = Row("rabbitmq-cluster", "rabbit", "x", units=(Unit("rabbitmq-server.service"),))
COOKIE = "COOKIECOOKIECOOKIE12"


class Node:
    """This controller: what ran, what was called, and what the peers tell."""

    def __init__(self) -> None:
        self.active = True
        self.outcome = "unchanged"
        self.calls: list[tuple[str, ...]] = []
        self.peers: dict[str, tuple[str, str]] = {}
        self.parts: list[str] = []
        self.joined: dict[str, bool] = {}
        self.shrunk = ["{true, 0}"]
        self.answer = "ok"
        self.elections = "3"
        self.coordinator = "member"
        self.unfinished = "0"
        self.copied = ["{0, 0}"]


def playing(played: Node, fake_broker: Any) -> Callable[..., str]:
    def ctl(*arguments: str, input: str | None = None) -> str:
        played.calls.append(arguments)
        if arguments[0] == "change_password" and input:
            fake_broker.passwords["admin"] = input.strip()
        return "admin" if arguments[0] == "list_users" else ""

    return ctl


def evaluating(played: Node) -> Callable[..., str]:
    def evaluate(expression: str, *, at: str) -> str:
        assert expression.rstrip().endswith(".")
        if "forget_member" in expression:
            played.calls.append(("forget", expression.split("'")[1], at))
            return played.answer
        if "delete_member" in expression:
            played.calls.append(("drop copies", at))
            return played.shrunk.pop(0)
        if "add_replica" in expression:
            played.parts.append("copy")
            return played.copied.pop(0) if len(played.copied) > 1 else played.copied[0]
        if "internal_delete" in expression:
            played.parts.append("finish deletions")
            return played.unfinished
        if "maybe_resize_coordinator_cluster" in expression:
            played.parts.append("coordinator")
            told, played.coordinator = played.coordinator, "member"
            return told
        if "trigger_election" in expression:
            played.calls.append(("elect",))
            return played.elections
        played.calls.append(("evaluate", at))
        return "ok"

    return evaluate


def context(me: str = "a", nodes: str = "abc", **rabbit: str) -> Context:
    metadata = {
        "cluster": {
            "name": "o",
            "virtual_ips": {},
            "nodes": [{"name": name, "ip": f"192.0.2.{index}"} for index, name in enumerate(nodes, 11)],
        },
        "node": {"name": me},
        "rabbit": {"erlang_cookie": COOKIE, "admin_password": "admin-pw", "monitor_password": "monitor-pw", **rabbit},
    }
    return Context(metadata, cluster.from_metadata(metadata), (ROW,))


def hashed(password: str) -> str:
    return base64.b64encode(b"salt" + hashlib.sha256(b"salt" + password.encode()).digest()).decode()


def users(**passwords: str) -> list[dict[str, Any]]:
    tags = {"admin": ["administrator"], "monitor": ["monitoring"], "guest": ["administrator"]}
    return [
        {
            "name": name,
            "tags": tags[name],
            "password_hash": hashed(password),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
        }
        for name, password in passwords.items()
    ]


def written(fake: Any) -> list[tuple[str, str]]:
    return [(method, path) for method, path, _ in fake.asked if method != "GET"]
