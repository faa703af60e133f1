"""From a description to each node's metadata: the checker takes it, and growing keeps every value."""

import ipaddress
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tripleo_ha.errors import UsageError
from tripleo_ha.metadata import check, description, generate, schema
from tripleo_ha.metadata.generate import CORE, Controller, Description, Network, numbered
from tripleo_ha.metadata.passwords import Passwords

SECRETS = Passwords({}).completed(CORE)
ODD = [1, 3, 5, 7, 9]


def errors(document: object) -> list[str]:
    return [str(finding) for finding in check.Checker().check(document) if finding.severity == "error"]


@pytest.mark.parametrize("count", ODD)
def test_every_odd_number_gives_documents_that_the_checker_takes(count: int) -> None:
    documents = generate.generate(Description(numbered(count)), SECRETS)
    assert list(documents) == [f"overcloud-controller-{index}" for index in range(count)]
    for name, document in documents.items():
        assert document["node"]["name"] == name
        assert errors(document) == []


def test_the_documents_differ_in_the_node_only() -> None:
    documents = list(generate.generate(Description(numbered(3)), SECRETS).values())
    for document in documents:
        del document["node"]
    assert documents[0] == documents[1] == documents[2]


@given(st.sampled_from(ODD), st.sampled_from(ODD), st.none() | st.integers(8192, 65536))
@settings(max_examples=20, deadline=None)
def test_growing_keeps_every_value(few: int, more: int, memory_mb: int | None) -> None:
    few, more = sorted((few, more))
    small, large = (
        generate.generate(Description(numbered(count, memory_mb=memory_mb)), SECRETS) for count in (few, more)
    )
    for name, document in small.items():
        grown = large[name]
        assert grown["cluster"]["nodes"][:few] == document["cluster"]["nodes"]
        for each in (document, grown):
            each["cluster"].pop("nodes")
        assert grown == document


def test_the_same_input_gives_the_same_documents_and_shares_nothing() -> None:
    wanted = Description(numbered(3), overrides={"keystone": {"extra": {"token": {"a": 1}}}})
    first, second = generate.generate(wanted, SECRETS), generate.generate(wanted, SECRETS)
    assert json.dumps(first) == json.dumps(second)
    first["overcloud-controller-0"]["keystone"]["extra"]["token"]["a"] = 2
    first["overcloud-controller-0"]["keystone"]["fernet_keys"].clear()
    assert first["overcloud-controller-1"] == second["overcloud-controller-1"]
    assert generate.generate(wanted, SECRETS) == second


@pytest.mark.parametrize("count", [0, 10, 11])
def test_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match=f"{count} controllers: a cluster has 1 to 9"):
        generate.generate(Description(numbered(count)), SECRETS)


@pytest.mark.parametrize("count", [2, 4])
def test_an_even_number_needs_the_flag(count: int) -> None:
    with pytest.raises(UsageError, match="--allow-even"):
        generate.generate(Description(numbered(count)), SECRETS)
    assert len(generate.generate(Description(numbered(count), allow_even=True), SECRETS)) == count


def test_overrides_win_key_by_key() -> None:
    wanted = Description(
        numbered(1), overrides={"mysql": {"gcache_mb": 512}, "base": {"ntp_servers": ["ntp.example.com"]}}
    )
    (document,) = generate.generate(wanted, SECRETS).values()
    assert document["mysql"] == {"gcache_mb": 512}
    assert document["base"]["ntp_servers"] == ["ntp.example.com"]
    assert errors(document) == []


def test_only_the_chosen_services_are_there() -> None:
    wanted = Description(numbered(1), services=("mysql", "haproxy", "pacemaker"))
    (document,) = generate.generate(wanted, SECRETS).values()
    assert set(document) == {"cluster", "node", "base", "mysql", "haproxy", "pacemaker"}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Description(numbered(1), services=("nova-scheduler",)), "no service 'nova-scheduler'"),
        (Description(numbered(1), networks={}), "no network named control"),
        (Description((Controller("a", "192.0.2.11"), Controller("a", "192.0.2.12")), allow_even=True), "the name a"),
        (Description((Controller("a", "192.0.2.11"), Controller("b", "192.0.2.11")), allow_even=True), "the address"),
    ],
)
def test_a_senseless_description_is_refused(wanted: Description, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        generate.generate(wanted, SECRETS)


def test_missing_passwords_are_an_error_and_not_invented() -> None:
    with pytest.raises(UsageError, match=r"lack .*keystone\.admin_password"):
        generate.generate(Description(numbered(1)), Passwords({}))


def test_memory_sizes_the_caches_by_the_smallest_node() -> None:
    nodes = (
        Controller("a", "192.0.2.11", 65536),
        Controller("b", "192.0.2.12", 16384),
        Controller("c", "192.0.2.13", 65536),
    )
    document = generate.generate(Description(nodes), SECRETS)["a"]
    assert document["mysql"]["innodb_buffer_pool_mb"] == 2048
    assert document["memcached"]["memory_mb"] == 256
    assert document["node"]["memory_mb"] == 65536
    assert errors(document) == []


def test_controllers_stay_inside_their_network() -> None:
    small = {"control": Network("192.0.2.0/28", "eth0", "192.0.2.10")}
    assert [c.ip for c in numbered(3, networks=small)] == ["192.0.2.11", "192.0.2.12", "192.0.2.13"]
    with pytest.raises(UsageError, match="no room"):
        numbered(5, networks=small)
    with pytest.raises(UsageError, match="not a network"):
        numbered(1, networks={"control": Network("everywhere", "eth0", "192.0.2.10")})


def test_ipv6_networks_are_networks() -> None:
    (first, *_) = numbered(3, networks={"control": Network("2001:db8::/64", "eth0", "2001:db8::a")})
    assert ipaddress.ip_address(first.ip) == ipaddress.ip_address("2001:db8::b")


def test_heat_gets_everything_once() -> None:
    wanted = Description(numbered(3))
    given_to_heat = generate.for_heat(wanted, SECRETS)["parameters"]
    documents = generate.generate(wanted, SECRETS).values()
    assert given_to_heat["controller_count"] == 3
    for node, document in zip(given_to_heat["nodes"], documents, strict=True):
        assert {**given_to_heat["metadata"], "node": node} == document


def test_a_description_in_words() -> None:
    wanted = description.parse(
        {
            "name": "cloud",
            "controllers": ["192.0.2.31", "ctl-b", {"name": "ctl-c", "memory_mb": 9000}],
            "memory_mb": 8000,
            "networks": {"control": {"cidr": "192.0.2.0/24", "interface": "eth0", "vip": "192.0.2.9"}},
            "services": ["mysql"],
            "overrides": {"mysql": {"gcache_mb": 99}},
        }
    )
    assert wanted.controllers == (
        Controller("cloud-controller-0", "192.0.2.31", 8000),
        Controller("ctl-b", "192.0.2.12", 8000),
        Controller("ctl-c", "192.0.2.13", 9000),
    )
    assert wanted.networks["control"] == Network("192.0.2.0/24", "eth0", "192.0.2.9")
    assert wanted.networks["public"] == generate.LOCAL_NETWORKS["public"]
    assert wanted.services == ("mysql",)


def test_an_empty_description_is_the_test_beds() -> None:
    assert description.parse({}) == Description(numbered(3))


@pytest.mark.parametrize(
    "document",
    [
        {"controler": 3},
        {1: 2},
        {"controllers": 0},
        {"controllers": 10},
        {"controllers": True},
        {"controllers": []},
        {"controllers": ["a"] * 10},
        {"controllers": [3]},
        {"controllers": [{"nam": "x"}]},
        {"controllers": [{"name": "x", "memory_mb": "much"}]},
        {"name": 3},
        {"memory_mb": "8G"},
        {"memory_mb": True},
        {"networks": []},
        {"networks": {"control": {"cidr": "192.0.2.0/24"}}},
        {"networks": {"control": 3}},
        {"profile": "huge"},
        {"services": "mysql"},
        {"overrides": []},
    ],
)
def test_a_wrong_description_gets_one_clear_line(document: dict[object, object]) -> None:
    with pytest.raises(UsageError) as caught:
        description.parse(document)  # type: ignore[arg-type]
    assert "\n" not in caught.value.message


def test_defaults_are_left_to_the_schemas() -> None:
    (document,) = generate.generate(Description(numbered(1)), SECRETS).values()
    assert document["mysql"] == {}
    assert schema.with_defaults(document)["mysql"]["gcache_mb"] == 128


def test_profiles_name_what_runs() -> None:
    assert generate.profile("core") == CORE
    full = generate.profile("full")
    assert full[: len(CORE)] == CORE
    # These only a deployer can describe, who then need not name them once more.
    assert set(generate.services()) - set(full) == {"ceph", "cinder_volume"}
    assert len(full) == len(set(full))
    assert description.parse({"profile": "full"}).services == full
