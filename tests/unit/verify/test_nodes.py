import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from good_cluster import METADATA, NAMES, ROWS, SINGLETON

from tripleo_ha.cluster import Cluster
from tripleo_ha.node.facts import BrokerMember, Exposure, NodeFacts, Socket, from_document
from tripleo_ha.verify import nodes
from tripleo_ha.verify.result import CheckResult, Problem

Facts = tuple[NodeFacts, ...]
Spoil = Callable[..., Facts]


def judge(facts: Facts, cluster: Cluster) -> dict[str, CheckResult]:
    results = [
        nodes.answers({each.node: each for each in facts}),
        nodes.image(facts),
        nodes.galera(facts, cluster),
        nodes.broker(facts, cluster),
        nodes.broker_users(facts),
        nodes.copies(facts),
        *nodes.virtual_ips(facts, cluster),
        *nodes.singletons(facts, ROWS),
        nodes.listening(facts, cluster, ROWS, METADATA),
        nodes.exposures(facts),
        nodes.units(facts),
    ]
    return {result.name: result for result in results}


def test_a_good_cluster_passes_every_check(facts: Facts, cluster: Cluster) -> None:
    results = judge(facts, cluster)
    assert [result for result in results.values() if not result.ok] == []
    assert len(results) == 12


def test_facts_survive_the_way_through_json(facts: Facts) -> None:
    for each in facts:
        assert from_document(json.loads(json.dumps(dataclasses.asdict(each)))) == each


@pytest.mark.parametrize(
    ("check", "fields", "evidence"),
    [
        ("image.identity", {"image": {"id": "other"}}, "other"),
        ("image.identity", {"image": {}}, "no identity"),
        ("galera.members", {"galera": {}}, "unknown"),
        ("rabbitmq.users", {"broker_users": ("admin", "guest")}, "guest"),
        ("rabbitmq.copies", {"queues_lacking": ("conductor_fanout",)}, "no copy of conductor_fanout"),
        ("rabbitmq.copies", {"coordinates_streams": True}, f"{NAMES[1]} is not in the streams' coordinator"),
        ("units", {"failed_units": ("keystone.service",)}, "keystone.service"),
        (
            "secrets",
            {"exposures": (Exposure("rabbit.admin_password", "/etc/x"),)},
            "rabbit.admin_password in /etc/x",
        ),
        ("nodes.facts", {"problems": {"galera": "refused"}}, "galera: refused"),
        ("vip.control", {"addresses": {"host0": ("192.0.2.10",)}}, NAMES[0]),
        ("vip.public", {"addresses": {"host1": ("198.51.100.10",)}}, NAMES[0]),
        (f"singleton.{SINGLETON}", {"singletons": {SINGLETON: (7,)}}, "pid 7"),
        (f"singleton.{SINGLETON}", {"singletons": {SINGLETON: (7, 8)}}, "pid 8"),
    ],
)
def test_one_spoilt_fact_fails_its_check_only(
    spoil: Spoil, cluster: Cluster, check: str, fields: dict[str, Any], evidence: str
) -> None:
    results = judge(spoil(0, **fields), cluster)
    assert {name for name, result in results.items() if not result.ok} == {check}
    assert evidence in results[check].evidence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wsrep_cluster_size", "2"),
        ("wsrep_cluster_status", "non-Primary"),
        ("wsrep_local_state_comment", "Donor/Desynced"),
        ("wsrep_ready", "OFF"),
        ("wsrep_cluster_state_uuid", "another"),
    ],
)
def test_galera_must_be_whole_and_synced_everywhere(
    facts: Facts, spoil: Spoil, cluster: Cluster, name: str, value: str
) -> None:
    result = nodes.galera(spoil(2, galera={**facts[2].galera, name: value}), cluster)
    assert not result.ok
    assert value in result.evidence


@pytest.mark.parametrize(
    "member",
    [
        BrokerMember("rabbit@overcloud-controller-2", False),
        BrokerMember("rabbit@overcloud-controller-2", True, partitions=("rabbit@overcloud-controller-0",)),
        BrokerMember("rabbit@overcloud-controller-2", True, alarms=("memory",)),
        BrokerMember("rabbit@stranger", True),
    ],
)
def test_a_member_stopped_partitioned_alarmed_or_strange_fails(
    facts: Facts, spoil: Spoil, cluster: Cluster, member: BrokerMember
) -> None:
    assert not nodes.broker(spoil(1, broker=(*facts[1].broker[:2], member)), cluster).ok


def test_a_stopped_member_that_was_forgotten_by_nobody_fails(facts: Facts, spoil: Spoil, cluster: Cluster) -> None:
    left = BrokerMember("rabbit@overcloud-controller-3", False)
    assert not nodes.broker(spoil(1, broker=(*facts[1].broker, left)), cluster).ok


def test_a_virtual_ip_on_no_node_or_the_wrong_interface_fails(facts: Facts, spoil: Spoil, cluster: Cluster) -> None:
    nowhere = nodes.virtual_ips(spoil(1, addresses={}), cluster)
    assert [(result.ok, "no node" in result.evidence) for result in nowhere] == [(False, True), (False, True)]
    swapped = {"host0": ("198.51.100.10",), "host1": ("192.0.2.10",)}
    assert [result.ok for result in nodes.virtual_ips(spoil(1, addresses=swapped), cluster)] == [False, False]


def test_a_singleton_that_runs_nowhere_fails(spoil: Spoil) -> None:
    (result,) = nodes.singletons(spoil(2, singletons={}), ROWS)
    assert not result.ok


@pytest.mark.parametrize(
    "socket",
    [
        Socket("tcp", "192.0.2.11", 8080, ("python3",)),
        Socket("udp", "192.0.2.11", 3306, ("mariadbd",)),
        Socket("tcp", "0.0.0.0", 3306, ("mariadbd",)),
        Socket("tcp", "192.0.2.11", 3306, ("nc",)),
        Socket("tcp", "192.0.2.11", 3306, ()),
        Socket("tcp", "192.0.2.11", 15672, ("beam.smp",)),
        Socket("tcp", "198.51.100.10", 3306, ("haproxy",)),
        Socket("tcp", "198.51.100.10", 1993, ("haproxy",)),
        Socket("tcp", "192.0.2.11", 22, ("sshd",)),
        Socket("udp", "192.0.2.11", 68, ("dnsmasq",)),
    ],
)
def test_what_the_table_does_not_name_may_not_listen(
    facts: Facts, spoil: Spoil, cluster: Cluster, socket: Socket
) -> None:
    result = nodes.listening(spoil(0, sockets=(*facts[0].sockets, socket)), cluster, ROWS, METADATA)
    assert not result.ok
    assert str(socket.port) in result.evidence


def test_ssh_may_listen_where_the_metadata_opens_it(facts: Facts, spoil: Spoil, cluster: Cluster) -> None:
    metadata = {**METADATA, "base": {"ssh_sources": ["192.0.2.0/24"]}}
    told = spoil(0, sockets=(*facts[0].sockets, Socket("tcp", "0.0.0.0", 22, ("sshd",))))
    assert nodes.listening(told, cluster, ROWS, metadata).ok


def test_a_node_that_does_not_answer_fails(facts: Facts) -> None:
    result = nodes.answers({NAMES[0]: facts[0], NAMES[1]: Problem("is not running")})
    assert not result.ok
    assert result.evidence == f"{NAMES[1]}: is not running"
