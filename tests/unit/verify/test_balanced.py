from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from good_cluster import NAMES

from tripleo_ha.cluster import Cluster
from tripleo_ha.endpoints import Endpoint
from tripleo_ha.verify import balanced, client
from tripleo_ha.verify.client import BrokerSeen, HttpSeen
from tripleo_ha.verify.result import Problem

EVERYONE = dict.fromkeys(NAMES, 3)
SEEN = BrokerSeen("q.quorum", "payload", ("q.0", "q.1", "q.2"), "q.0")
QUEUES: dict[str, Any] = {
    "q.quorum": {
        "node": f"rabbit@{NAMES[0]}",
        "type": "quorum",
        "members": [f"rabbit@{name}" for name in NAMES],
        "online": [f"rabbit@{name}" for name in NAMES],
    },
    **{f"q.{index}": {"node": f"rabbit@{name}", "type": "classic"} for index, name in enumerate(NAMES)},
}


@pytest.mark.parametrize(
    ("vip", "mode", "served", "statuses", "ok"),
    [
        ("control", "roundrobin", EVERYONE, {200: 9}, True),
        ("control", "roundrobin", {NAMES[0]: 9}, {200: 9}, False),
        ("control", "roundrobin", EVERYONE, {200: 8, 503: 1}, False),
        ("control", "roundrobin", {**EVERYONE, "stranger": 1}, {200: 10}, False),
        ("control", "roundrobin", {"": 9}, {200: 9}, False),
        ("public", "roundrobin", {"": 9}, {200: 9}, True),
        ("public", "roundrobin", {"": 9}, {404: 9}, False),
        ("control", "single", {NAMES[1]: 9}, {200: 9}, True),
        ("control", "single", EVERYONE, {200: 9}, False),
    ],
)
def test_http(
    cluster: Cluster, vip: str, mode: str, served: Mapping[str, int], statuses: Mapping[int, int], ok: bool
) -> None:
    result = balanced.http("keystone", vip, mode, HttpSeen(served, statuses), cluster)
    assert (result.name, result.ok) == (f"balance.keystone.{vip}", ok)


def test_every_judge_fails_on_what_could_not_be_observed(cluster: Cluster) -> None:
    problem = Problem("timed out")
    results = [
        balanced.http("keystone", "public", "roundrobin", problem, cluster),
        balanced.writer("mysql", "control", problem, cluster),
        balanced.broker_spread("amqp", "control", problem, QUEUES, cluster),
        balanced.broker_spread("amqp", "control", SEEN, problem, cluster),
        balanced.quorum_queue(SEEN, problem, cluster),
        balanced.message(SEEN, NAMES[0], NAMES[1], problem, cluster),
        balanced.replicated(problem, {}),
        balanced.token(problem, cluster),
    ]
    assert all(not result.ok and "timed out" in result.evidence for result in results)


@pytest.mark.parametrize(
    ("hosts", "ok"), [({NAMES[2]: 6}, True), ({NAMES[2]: 5, NAMES[0]: 1}, False), ({}, False), ({"x": 6}, False)]
)
def test_there_is_one_writer(cluster: Cluster, hosts: Mapping[str, int], ok: bool) -> None:
    assert balanced.writer("mysql", "control", hosts, cluster).ok is ok


def test_broker_connections_reach_every_controller(cluster: Cluster) -> None:
    assert balanced.broker_spread("amqp", "control", SEEN, QUEUES, cluster).ok
    same = {**QUEUES, "q.2": QUEUES["q.1"]}
    result = balanced.broker_spread("amqp", "control", SEEN, same, cluster)
    assert not result.ok
    assert f"never {NAMES[2]}" in result.evidence


@pytest.mark.parametrize(
    "change",
    [
        {"type": "classic"},
        {"members": QUEUES["q.quorum"]["members"][:2]},
        {"online": QUEUES["q.quorum"]["online"][:2]},
    ],
)
def test_a_quorum_queue_is_whole(cluster: Cluster, change: dict[str, Any]) -> None:
    assert balanced.quorum_queue(SEEN, QUEUES, cluster).ok
    assert not balanced.quorum_queue(SEEN, {**QUEUES, "q.quorum": {**QUEUES["q.quorum"], **change}}, cluster).ok


@pytest.mark.parametrize(
    ("publisher", "consumer", "taken", "ok"),
    [
        (NAMES[0], NAMES[1], ["payload"], True),
        (NAMES[0], NAMES[0], ["payload"], False),
        ("", NAMES[0], ["payload"], False),
        (NAMES[0], NAMES[1], [], False),
        (NAMES[0], NAMES[1], ["other"], False),
        (NAMES[0], NAMES[1], ["payload", "payload"], False),
    ],
)
def test_the_message_comes_out_elsewhere_once(
    cluster: Cluster, publisher: str, consumer: str, taken: list[str], ok: bool
) -> None:
    assert balanced.message(SEEN, publisher, consumer, taken, cluster).ok is ok


def test_the_row_is_on_every_node() -> None:
    there = {"count": 1, "missing": []}
    assert balanced.replicated("verify", {NAMES[0]: there, NAMES[1]: there}).ok
    assert not balanced.replicated("verify", {NAMES[0]: there, NAMES[1]: {"count": 0, "missing": ["verify"]}}).ok
    assert not balanced.replicated("verify", {NAMES[0]: there, NAMES[1]: Problem("refused")}).ok


def test_a_token_is_valid_everywhere(cluster: Cluster) -> None:
    assert balanced.token(HttpSeen(EVERYONE, {200: 9}), cluster).ok
    assert not balanced.token(HttpSeen(EVERYONE, {200: 8, 404: 1}), cluster).ok
    assert not balanced.token(HttpSeen({NAMES[0]: 9}, {200: 9}), cluster).ok


def test_the_project_that_keystone_puts_into_a_url_is_any() -> None:
    told = f"http://192.0.2.10:8080/v1/AUTH_{'0a' * 16}"
    assert client._of_any_project(told) == "http://192.0.2.10:8080/v1/AUTH_%(project_id)s"
    assert client._of_any_project("http://192.0.2.10:5000/v3") == "http://192.0.2.10:5000/v3"


def test_the_catalogue_offers_every_api_where_it_is() -> None:
    entry = Endpoint("placement", "placement", "internal", "regionOne", "http://192.0.2.10:8778")
    foreign = Endpoint("metering", "own", "internal", "regionOne", "http://192.0.2.99")
    assert balanced.catalogue([entry, foreign], [entry]).ok
    missing = balanced.catalogue([foreign], [entry])
    assert (missing.ok, missing.evidence) == (False, "no internal endpoint of placement at http://192.0.2.10:8778")
    elsewhere = replace(entry, url="http://192.0.2.98:8778")
    twice = balanced.catalogue([entry, elsewhere], [entry])
    assert (twice.ok, twice.evidence) == (False, "internal endpoint of placement at http://192.0.2.98:8778")
    assert not balanced.catalogue(Problem("nobody answered"), [entry]).ok
