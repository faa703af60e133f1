"""The schemas themselves: complete, true to their own examples and defaults, and usable by other programs."""

import copy
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import referencing
from referencing.jsonschema import DRAFT202012

from tripleo_ha import table
from tripleo_ha.metadata import check, formats, schema, validation
from tripleo_ha.metadata.findings import Path, dotted
from tripleo_ha.metadata.reference import reference

DECLARED = [((name, *path), child) for name in schema.sections() for path, child in schema.declared(schema.read(name))]
IDS = [dotted(path) for path, _ in DECLARED]
SCALARS = ("string", "integer", "number", "boolean")


@pytest.mark.parametrize("name", schema.names())
def test_is_a_schema(name: str) -> None:
    declared = schema.read(name)
    assert declared["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(declared)


@pytest.mark.parametrize(("path", "declared"), DECLARED, ids=IDS)
def test_key_is_declared_completely(path: Path, declared: dict[str, Any]) -> None:
    assert declared["description"].endswith(".")
    assert "type" in declared
    if declared["type"] in SCALARS:
        assert declared["examples"]
    if declared["type"] in ("integer", "number"):
        assert {"minimum", "maximum", "x-unit"} <= set(declared)
    if declared["type"] == "object":
        assert "additionalProperties" in declared
    assert formats.CHECKS.keys() >= {declared["format"]} if "format" in declared else True
    assert "x-charset" in declared if "pattern" in declared else True


@pytest.mark.parametrize(("path", "declared"), DECLARED, ids=IDS)
def test_examples_and_default_are_valid(path: Path, declared: dict[str, Any]) -> None:
    validator = validation.of_schema(declared)
    for value in [*declared.get("examples", []), *([declared["default"]] if "default" in declared else [])]:
        assert list(validator.iter_errors(value)) == []


@pytest.mark.parametrize("name", schema.sections())
def test_every_key_is_required_or_has_a_default(name: str) -> None:
    declared = schema.read(name)
    # To leave these out means something of its own.
    optional = {
        *(("node", "memory_mb"), ("pacemaker", "fencing"), ("cinder_volume", "rbd"), ("cinder_volume", "nfs")),
        ("tls", "control"),
    }
    for key, child in declared["properties"].items():
        left_out = (name, key) in optional
        assert ("default" in child) + (key in declared.get("required", ())) + left_out == 1, key


@pytest.mark.parametrize("name", set(schema.sections()) - {"cluster", "node", "tls"})
def test_service_has_an_extra_map(name: str) -> None:
    extra = schema.read(name)["properties"]["extra"]
    assert extra.get("x-extra") or all(file["x-extra"] for file in extra["properties"].values())


def _secrets(declared: dict[str, Any]) -> Iterator[str]:
    for path, child in schema.declared(declared):
        if child.get("x-secret"):
            yield str(path[-1])


def test_what_sounds_secret_is_secret_and_has_no_default() -> None:
    for path, child in DECLARED:
        key = str(path[-1])
        if key.endswith(("password", "cookie", "authkey")) or key == "key":
            assert child["x-secret"], dotted(path)
        if child.get("x-secret") and child["type"] == "string":
            assert "default" not in child


def test_a_validator_that_follows_references_agrees(good: dict[str, Any]) -> None:
    resources = [(f"{name}.json", DRAFT202012.create_resource(schema.read(name))) for name in schema.names()]
    registry: Any = referencing.Registry().with_resources(resources)
    validator = jsonschema.Draft202012Validator(schema.read(schema.ROOT), registry=registry)
    assert list(validator.iter_errors(good)) == []
    good["mysql"]["gcache"] = 1
    assert [error.validator for error in validator.iter_errors(good)] == ["additionalProperties"]


def test_top_level_keys_of_the_agents_are_tolerated(good: dict[str, Any]) -> None:
    for key in ("os-collect-config", "deployments", "completion-signal", "instance-id", "public-keys", "$schema"):
        good[key] = "anything"
    assert check.check_document(good) == []


def test_defaults_are_filled_in_a_copy(good: dict[str, Any]) -> None:
    for name in ("mysql", "memcached"):
        good[name] = {}
    del good["base"], good["ceilometer"]
    before = copy.deepcopy(good)
    filled = schema.with_defaults(good)
    assert good == before
    assert filled["mysql"]["gcache_mb"] == 128
    assert filled["mysql"]["extra"] == {}
    assert filled["base"] == {"ntp_servers": [], "journal_max_mb": 200, "ssh_sources": [], "extra": {}}
    assert filled["pacemaker"]["fencing"]["devices"]["overcloud-controller-0"]["options"] == {"ip": "192.0.2.201"}
    assert "ceilometer" not in filled
    assert "memory_mb" in filled["node"]
    assert check.check_document(filled) == []
    filled["base"]["ntp_servers"].append("changed")
    assert schema.with_defaults(good)["base"]["ntp_servers"] == []


def test_options_of_a_fence_device_default_to_none(good: dict[str, Any]) -> None:
    device = good["pacemaker"]["fencing"]["devices"]["overcloud-controller-0"]
    del device["options"]
    filled = schema.with_defaults(good)
    assert filled["pacemaker"]["fencing"]["devices"]["overcloud-controller-0"]["options"] == {}


def test_secret_places() -> None:
    assert schema.is_secret(("rabbit", "admin_password"))
    assert schema.is_secret(("keystone", "fernet_keys", 3, "key"))
    assert schema.is_secret(("pacemaker", "fencing", "devices", "a", "options", "password"))
    assert not schema.is_secret(("mysql", "gcache_mb"))
    assert not schema.is_secret(("nobody", "knows"))
    assert schema.subschema(()) is None
    assert schema.subschema(("mysql", "gcache_mb", "deeper", 0)) is None


def test_annotations_agree_with_the_table_of_services() -> None:
    rows = table.load()
    singletons = {row.metadata for row in rows if row.manager == "pacemaker"}
    assert {name for name in schema.sections() if schema.read(name).get("x-singleton")} == singletons
    assert {row.metadata for row in rows} <= set(schema.sections())
    for section in {row.metadata for row in rows}:
        mine = [row for row in rows if row.metadata == section]
        users = {database.user for row in mine for database in row.databases}
        users |= {row.broker.user for row in mine if row.broker}
        for key, child in schema.read(section)["properties"].items():
            if key in ("database_password", "messaging_password"):
                assert child["x-user"] in users


def test_reference_page_is_fresh() -> None:
    from tripleo_ha import paths

    page = paths.CHECKOUT / "docs" / "metadata-reference.md"
    assert page.read_text() == reference(), "tripleo-ha schema reference --write"
