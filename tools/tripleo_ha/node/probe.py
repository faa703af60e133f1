"""``tripleo-ha-node probe``: what this controller can tell about itself, as one JSON document."""

import argparse
import dataclasses
import json
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pymysql

from tripleo_ha import endpoints, paths, table
from tripleo_ha.errors import Failure
from tripleo_ha.node import exposure, fencing, haproxy, procfs, rabbitmq_copies, sql, trial
from tripleo_ha.node.facts import BrokerMember, NodeFacts
from tripleo_ha.node.rabbitmq_api import Api
from tripleo_ha.run import run
from tripleo_ha.table import Row
from tripleo_ha.topology import rabbitmq

T = TypeVar("T")
ALARMS = {"mem_alarm": "memory", "disk_free_alarm": "disk"}
Errors = (OSError, ValueError, KeyError, pymysql.MySQLError, Failure)


class _Gatherer:
    """Takes each fact by itself, so that one that cannot be learnt hides none of the others."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def __call__(self, name: str, gather: Callable[[], T], empty: T) -> T:
        try:
            return gather()
        except Errors as error:
            self.problems[name] = f"{type(error).__name__}: {error}".splitlines()[0]
            return empty


def gather() -> NodeFacts:
    """Return what is known here and now; takes well under a second and changes nothing."""
    take = _Gatherer()
    metadata: Mapping[str, Any] = take("metadata", _metadata, {})
    none: tuple[Row, ...] = ()
    rows = take("rows", lambda: table.active(table.load(), metadata), none)
    seen = tuple(procfs.processes())
    return NodeFacts(
        node=metadata.get("node", {}).get("name", socket.gethostname()),
        boot_id=take("boot", lambda: Path("/proc/sys/kernel/random/boot_id").read_text().strip(), ""),
        image=take("image", lambda: dict(json.loads((paths.IMAGE_SHARE / "image.json").read_text())), {}),
        sockets=take("sockets", procfs.sockets, ()),
        addresses=take("addresses", _addresses, {}),
        processes=procfs.of_services(seen),
        singletons={row.service: procfs.matching(seen, row.singleton_process) for row in rows if row.singleton_process},
        failed_units=take("units", _failed_units, ()),
        exposures=take("secrets", lambda: exposure.exposures(exposure.secrets_of(metadata), seen), ()),
        galera=take("galera", _galera, {}) if "mysql" in metadata else {},
        broker=take("broker", lambda: _broker(metadata), ()) if "rabbit" in metadata else (),
        broker_users=take("broker users", lambda: _broker_users(metadata), ()) if "rabbit" in metadata else (),
        queues_lacking=take("queues", lambda: _queues_lacking(metadata), ()) if "rabbit" in metadata else (),
        coordinates_streams="rabbit" in metadata and take("coordinator", lambda: _coordinates(metadata), False),
        unfenced=take("fencing", lambda: fencing.problems(metadata), ()) if "pacemaker" in metadata else (),
        certificates=take("certificates", haproxy.served_certificates, ()) if endpoints.encrypted(metadata) else (),
        problems=take.problems,
    )


def add(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``tripleo-ha-node probe``."""
    text = "print what this node can tell about itself, as JSON"
    parser = verbs.add_parser("probe", help=text, description=text)
    parser.add_argument(
        "action",
        nargs="?",
        default="facts",
        choices=["facts", *trial.ACTIONS],
        help="facts: print them; the others serve tripleo-ha verify and read their request from stdin",
    )
    parser.set_defaults(run=main)


def main(arguments: argparse.Namespace) -> int:
    """Print the facts, or do one step of a trial; returns the exit status."""
    if arguments.action == "facts":
        document = dataclasses.asdict(gather())
    else:
        document = trial.ACTIONS[arguments.action](json.load(sys.stdin), _metadata())
    json.dump(document, sys.stdout)
    sys.stdout.write("\n")
    return 0


def _metadata() -> dict[str, Any]:
    return dict(json.loads((paths.RUNTIME / "metadata.json").read_text()))


def _addresses() -> dict[str, tuple[str, ...]]:
    links = json.loads(run(["ip", "-json", "address", "show"], timeout=5).stdout)
    return {
        link["ifname"]: tuple(item["local"] for item in link.get("addr_info", ()) if item.get("scope") == "global")
        for link in links
        if link.get("ifname") and link["ifname"] != "lo"
    }


def _failed_units() -> tuple[str, ...]:
    listed = run(["systemctl", "list-units", "--failed", "--plain", "--no-legend", "--full"], timeout=10).stdout
    return tuple(line.split()[0] for line in listed.splitlines() if line.strip())


def _galera() -> dict[str, str]:
    with sql.root(timeout=5) as connection:
        found = sql.query(connection, "SHOW GLOBAL STATUS WHERE Variable_name LIKE 'wsrep%'")
    return {str(name): str(value) for name, value in found}


def _broker(metadata: Mapping[str, Any]) -> tuple[BrokerMember, ...]:
    return tuple(
        BrokerMember(
            name=node["name"],
            running=bool(node.get("running")),
            partitions=tuple(node.get("partitions", ())),
            alarms=tuple(label for key, label in ALARMS.items() if node.get(key)),
        )
        for node in _management(metadata, "/api/nodes")
    )


def _queues_lacking(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    most = rabbitmq.copies(len(metadata["cluster"]["nodes"]))
    with Api.administrator(metadata) as api:
        return api.queues_without(metadata["node"]["name"], most)


def _coordinates(metadata: Mapping[str, Any]) -> bool:
    return rabbitmq_copies.coordinates_streams(at=metadata["node"]["name"])


def _broker_users(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(user["name"] for user in _management(metadata, "/api/users")))


def _management(metadata: Mapping[str, Any], path: str) -> Any:
    with Api.administrator(metadata, timeout=5) as api:
        return api.get(path)
