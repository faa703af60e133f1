"""What the templates are given beside the metadata."""

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tripleo_ha import cluster, table
from tripleo_ha.endpoints import host
from tripleo_ha.metadata import generate, schema
from tripleo_ha.metadata.derived import derive
from tripleo_ha.metadata.generate import Description, Network, numbered
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.table import Broker, Row
from tripleo_ha.topology.rabbitmq import user_name

SECRETS = Passwords({}).completed(generate.CORE)
ROWS: tuple[Row, ...] = table.load(None)


def document(count: int = 3, me: int = 1, **options: Any) -> dict[str, Any]:
    documents = list(generate.generate(Description(numbered(count), **options), SECRETS).values())
    return schema.with_defaults(documents[me])


def derived(metadata: dict[str, Any], rows: tuple[Row, ...] = ROWS) -> dict[str, Any]:
    return derive(metadata, cluster.from_metadata(metadata), rows)


def test_it_is_what_its_schema_declares() -> None:
    validator = Draft202012Validator(schema.read("derived"))
    assert [error.message for error in validator.iter_errors(derived(document()))] == []


def test_nodes_and_this_one_among_them() -> None:
    found = derived(document(me=1))
    assert (
        found["node"]
        == found["nodes"][1]
        == {"name": "overcloud-controller-1", "ip": "192.0.2.12", "index": 1, "id": 2}
    )
    assert found["galera_address"] == "gcomm://192.0.2.11,192.0.2.12,192.0.2.13"
    assert found["galera_donors"] == "overcloud-controller-2,overcloud-controller-0,"
    assert found["memcached_servers"] == "192.0.2.11:11211,192.0.2.12:11211,192.0.2.13:11211"


@pytest.mark.parametrize(("count", "members"), [(1, 1), (3, 3), (5, 5), (7, 5), (9, 5)])
def test_a_quorum_queue_has_at_most_five_members(count: int, members: int) -> None:
    assert derived(document(count, me=0))["quorum_cluster_size"] == members


def test_urls_of_what_runs_go_through_the_virtual_ips() -> None:
    found = derived(document())
    password = SECRETS.of("keystone")["database_password"]
    assert found["databases"]["keystone"] == (
        f"mysql+pymysql://keystone:{password}@192.0.2.10:3306/keystone?charset=utf8mb4"
    )
    password = SECRETS.of("ceilometer")["messaging_password"]
    user = user_name(Broker("ceilometer"), password)
    assert found["brokers"] == {"ceilometer": f"rabbit://{user}:{password}@192.0.2.10:5672//"}
    assert found["urls"]["keystone"] == {"control": "http://192.0.2.10:5000", "public": "http://198.51.100.10:5000"}
    assert set(found["urls"]) == {"keystone"}


def test_what_does_not_run_contributes_nothing() -> None:
    found = derived(document(services=("mysql", "haproxy", "pacemaker")))
    assert (found["databases"], found["brokers"], found["urls"], found["memcached_servers"]) == ({}, {}, {}, "")


def test_a_virtual_ip_that_is_not_there_has_no_url() -> None:
    metadata = document()
    del metadata["cluster"]["virtual_ips"]["public"]
    assert derived(metadata)["urls"]["keystone"] == {"control": "http://192.0.2.10:5000"}


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_any_password_survives_its_url(password: str) -> None:
    metadata = document()
    metadata["keystone"]["database_password"] = password
    metadata["ceilometer"]["messaging_password"] = password
    found = derived(metadata)
    for url in (found["databases"]["keystone"], found["brokers"]["ceilometer"]):
        parts = urlsplit(url)
        assert parts.hostname == "192.0.2.10"
        assert unquote(parts.password or "") == password


def test_ipv6_addresses_stand_in_brackets() -> None:
    networks = {"control": Network("2001:db8::/64", "eth0", "2001:db8::a")}
    documents = generate.generate(Description(numbered(3, networks=networks), networks=networks), SECRETS)
    metadata = schema.with_defaults(next(iter(documents.values())))
    found = derived(metadata)
    assert found["galera_address"] == "gcomm://[2001:db8::b],[2001:db8::c],[2001:db8::d]"
    assert "@[2001:db8::a]:3306/" in found["databases"]["keystone"]
    assert host("192.0.2.1") == "192.0.2.1"


def test_extra_settings_become_sorted_lists() -> None:
    metadata = document(overrides={"keystone": {"extra": {"b": {"y": 1, "x": True}, "a": {}}}})
    assert derived(metadata)["extra"]["keystone"] == [
        {"section": "a", "options": []},
        {"section": "b", "options": [{"option": "x", "value": True}, {"option": "y", "value": 1}]},
    ]
    assert derived(metadata)["extra"]["mysql"] == []


def test_extra_settings_of_several_files_are_lists_by_file() -> None:
    services = (*generate.CORE, "swift")
    extra = {"proxy-server": {"filter:tempurl": {"methods": "GET"}}}
    metadata = schema.with_defaults(
        generate.generate(
            Description(numbered(1), services=services, overrides={"swift": {"extra": extra}}),
            Passwords({}).completed(services),
        )["overcloud-controller-0"]
    )
    found = derived(metadata)
    assert found["extra_files"]["swift"] == {
        "swift": [],
        "proxy-server": [{"section": "filter:tempurl", "options": [{"option": "methods", "value": "GET"}]}],
        "account-server": [],
        "container-server": [],
        "object-server": [],
    }
    assert "swift" not in found["extra"]
    assert "keystone" not in found["extra_files"]
    assert [error.message for error in Draft202012Validator(schema.read("derived")).iter_errors(found)] == []


def test_what_the_agents_know_under_a_key_of_their_own_is_no_setting() -> None:
    metadata = document()
    metadata["deployments"] = {"extra": {"a": {"x": 1}}}
    assert "deployments" not in derived(metadata)["extra"]


def test_the_order_of_keys_in_the_metadata_means_nothing() -> None:
    one = document(overrides={"keystone": {"extra": {"a": {"x": 1, "y": 2}, "b": {}}}})
    other = document(overrides={"keystone": {"extra": {"b": {}, "a": {"y": 2, "x": 1}}}})
    assert derived(one)["extra"]["keystone"] == derived(other)["extra"]["keystone"]


def test_the_metadata_is_left_alone() -> None:
    metadata = document()
    before = repr(metadata)
    derived(metadata)
    assert repr(metadata) == before
