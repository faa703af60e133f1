"""A node that shuts down: its virtual IPs first, and nothing else stops before another node has them."""

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from tripleo_ha import paths, table
from tripleo_ha.node import cib, context, draining, haproxy, leaving, rabbitmq_broker, units
from tripleo_ha.table import Listener

NODES = [{"name": f"n{i}", "ip": f"192.0.2.1{i}"} for i in range(2)]
METADATA = {
    "cluster": {
        "name": "c",
        "nodes": NODES,
        "virtual_ips": {"control": {"ip": "192.0.2.10", "prefix": 24, "interface": "eth0"}},
    },
    "node": {"name": "n0"},
    "pacemaker": {},
    "mysql": {},
    "rabbit": {},
    "keystone": {},
}
ELSEWHERE = """<pacemaker-result><nodes><node name="n1" online="true" pending="false" standby="false"/></nodes>
<resources><resource id="vip-control" role="{role}" failed="false"><node name="n1"/></resource></resources>
</pacemaker-result>"""


class Machine:
    """A node with addresses, whose Pacemaker moves one in a few steps."""

    def __init__(self, addresses: Collection[str]) -> None:
        self.addresses = list(addresses)
        self.done: list[str] = []
        self.roles = ["Starting", "Started"]

    def run(self, argv: Sequence[str], **_: object) -> SimpleNamespace:
        if argv[:2] == ["ip", "route"]:
            self.done.append(" ".join(argv))
            return SimpleNamespace(stdout="")
        if argv[0] == "ip":
            self.done.append("looked")
            told = [{"addr_info": [{"local": address} for address in self.addresses]}]
            return SimpleNamespace(stdout=json.dumps(told))
        self.done.append("standby")
        return SimpleNamespace(stdout="")

    def status(self) -> ElementTree.Element:
        role = self.roles.pop(0) if len(self.roles) > 1 else self.roles[0]
        self.done.append(role)
        return ElementTree.fromstring(ELSEWHERE.format(role=role))

    def ask(self, socket: Path, command: str) -> str:
        self.done.append(command)
        return ""

    def leave(self, _: object, listeners: Collection[Listener]) -> None:
        self.done.append("clients")


ENDED = "shutdown sessions server mysql/n0; shutdown sessions server mysql/n1"


def done(
    act: Callable[[], None], addresses: Collection[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Return what a node with these addresses did in an act, in order."""
    machine = Machine(addresses)
    accepted = tmp_path / "metadata.json"
    accepted.write_text(json.dumps(METADATA))
    monkeypatch.setattr(paths, "RUNTIME", tmp_path / "run")
    for module in (leaving, context):
        monkeypatch.setattr(module, "ACCEPTED", accepted)
    rows = tuple(row for row in table.load() if row.service in ("mariadb-galera", "keystone"))
    monkeypatch.setattr(table, "load", lambda: rows)
    monkeypatch.setattr(haproxy, "ask", machine.ask)
    monkeypatch.setattr(leaving, "run", machine.run)
    monkeypatch.setattr(units, "is_active", lambda unit: True)
    monkeypatch.setattr(cib, "status", machine.status)
    monkeypatch.setattr(rabbitmq_broker, "leave", lambda context: machine.done.append("broker marked"))
    monkeypatch.setattr(draining, "leave", machine.leave)
    act()
    return machine.done


def test_clients_leave_when_another_node_has_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    route = "local 192.0.2.10 dev lo table local metric 1"
    assert done(leaving.drain, ["192.0.2.10", "192.0.2.11"], tmp_path, monkeypatch) == [
        "looked",
        f"ip route replace {route}",
        "standby",
        "Starting",
        "Started",
        f"ip route delete {route}",
        ENDED,
        "broker marked",
        "clients",
    ]
    assert not (tmp_path / "run" / leaving.HANDING_OVER).exists()


def test_a_node_without_a_virtual_ip_is_not_put_in_standby(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert done(leaving.drain, ["192.0.2.11"], tmp_path, monkeypatch) == ["looked", "broker marked", "clients"]


def test_sessions_end_when_no_address_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert done(leaving.end_sessions, ["192.0.2.11"], tmp_path, monkeypatch) == ["looked", ENDED]


def test_sessions_go_on_while_an_address_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert done(leaving.end_sessions, ["192.0.2.10", "192.0.2.11"], tmp_path, monkeypatch) == ["looked"]


def test_a_node_that_hands_over_ends_sessions_in_its_own_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / leaving.HANDING_OVER).touch()
    assert done(leaving.end_sessions, ["192.0.2.11"], tmp_path, monkeypatch) == []
