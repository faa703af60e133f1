"""Which keys a template reads, and the ways of reading one that render as nothing, or as somebody else's value."""

import pytest

from tripleo_ha.templates.scopes import Reads, analyse, dotted
from tripleo_ha.templates.shape import Shape, Tree

GOOD = [
    "{{cluster.name}} {{derived.node.ip}}",
    "{{#keystone}}{{debug}} {{admin_password}}{{/keystone}}",
    "{{#keystone}}{{derived.databases.keystone}}{{derived.urls.keystone.public}}{{/keystone}}",
    "{{#keystone}}{{mysql.max_connections}}{{/keystone}}",
    "{{#base}}{{#ntp_servers}}server {{.}}\n{{/ntp_servers}}{{/base}}",
    "{{#derived.nodes}}{{id}} {{name}} {{ip}}{{/derived.nodes}}",
    "{{#node.memory_mb}}{{node.memory_mb}} {{.}}{{/node.memory_mb}}",
    "{{#node}}{{#memory_mb}}{{memory_mb}}{{name}}{{/memory_mb}}{{/node}}",
    "{{^keystone}}none{{/keystone}}",
    "{{#derived.extra.keystone}}[{{section}}]{{#options}}{{option}}={{value}}{{/options}}{{/derived.extra.keystone}}",
    "{{! {{nothing }}{{=<% %>=}}<% cluster.name %>",
    "{{#ceilometer}}{{derived.urls.keystone.control}}{{keystone.region}}{{/ceilometer}}",
]

BAD = [
    ("{{nonsense}}", "undeclared-key", "nonsense"),
    ("{{cluster.nam}}", "undeclared-key", "cluster.nam"),
    ("{{#keystone}}{{debgu}}{{/keystone}}", "undeclared-key", "debgu"),
    ("{{#derived.nodes.0}}x{{/derived.nodes.0}}", "undeclared-key", "derived.nodes.0}}x"),
    ("{{#keystone}}{{derived.databases.nova}}{{/keystone}}", "undeclared-key", "derived.databases.nova"),
    ("{{#nonsense}}{{more}}{{/nonsense}}", "undeclared-key", "nonsense}}{{more"),
    ("{{#keystone}}{{#cluster}}{{name}}{{/cluster}}{{/keystone}}", "outer-scope", "cluster}}{{name"),
    ("{{#keystone}}{{#fernet_keys}}{{key}}{{region}}{{/fernet_keys}}{{/keystone}}", "outer-scope", "region"),
    ("{{#derived}}{{#node}}{{galera_address}}{{/node}}{{/derived}}", "outer-scope", "galera_address"),
    ("{{keystone.region}}", "optional-unguarded", "keystone.region"),
    ("{{node.memory_mb}}", "optional-unguarded", "node.memory_mb"),
    ("{{#node}}{{memory_mb}}{{/node}}", "optional-unguarded", "memory_mb"),
    ("{{^keystone}}{{keystone.region}}{{/keystone}}", "optional-unguarded", "keystone.region"),
    ("{{derived.databases.keystone}}", "optional-unguarded", "derived.databases.keystone"),
    ("{{#memcached}}{{derived.brokers.ceilometer}}{{/memcached}}", "optional-unguarded", "derived.brokers"),
    ("{{cluster.nodes}}", "object-printed", "cluster.nodes"),
    ("{{cluster}}", "object-printed", "cluster"),
    ("{{#derived.nodes}}{{.}}{{/derived.nodes}}", "object-printed", "."),
    ("{{#keystone}}", "unclosed-section", "keystone"),
    ("{{>other}}", "partial", "other"),
]


@pytest.mark.parametrize("text", GOOD)
def test_good_templates_have_no_fault(text: str, shapes: Tree) -> None:
    assert analyse(text, shapes).faults == []


@pytest.mark.parametrize(("text", "rule", "at"), BAD)
def test_a_fault_is_found_once_and_where_it_is(text: str, rule: str, at: str, shapes: Tree) -> None:
    faults = analyse(text, shapes).faults
    assert [fault.rule for fault in faults] == [rule]
    assert text[faults[0].offset :].startswith(at)


def test_a_close_name_is_suggested(shapes: Tree) -> None:
    assert "cluster" in analyse("{{clustre.name}}", shapes).faults[0].hint
    assert "name" in analyse("{{cluster.nane}}", shapes).faults[0].hint


def test_an_optional_key_that_an_outer_scope_has_too_may_fall_through() -> None:
    inner = {"type": "object", "properties": {"name": {"type": "string"}}}
    root = Shape(
        (), {"type": "object", "properties": {"a": inner, "name": {"type": "string"}}, "required": ["a", "name"]}
    )
    found = analyse("{{#a}}{{#name}}{{.}}{{/name}}{{/a}}", Tree(root, {}, {}))
    assert [fault.rule for fault in found.faults] == ["outer-scope"]
    assert "a.name is absent" in found.faults[0].message


def test_a_key_of_an_open_mapping_may_always_fall_through() -> None:
    words = {"type": "object", "additionalProperties": {"type": "string"}}
    root = Shape((), {"type": "object", "properties": {"a": words, "b": {"type": "string"}}, "required": ["a", "b"]})
    found = analyse("{{#a}}{{b}}{{/a}}", Tree(root, {}, {}))
    assert {fault.rule for fault in found.faults} == {"outer-scope", "optional-unguarded"}


def paths_of(found: Reads) -> set[str]:
    return {dotted(read.path) for read in found.reads}


def test_every_read_is_told_with_its_path(shapes: Tree) -> None:
    found = analyse(
        "{{#base}}{{#ntp_servers}}{{.}}{{/ntp_servers}}{{/base}}{{#derived.nodes}}{{ip}}{{/derived.nodes}}", shapes
    )
    assert paths_of(found) == {"base", "base.ntp_servers", "base.ntp_servers[]", "derived.nodes", "derived.nodes[].ip"}


def test_a_section_reads_a_list_of_values_whole_and_a_mapping_not(shapes: Tree) -> None:
    whole = {
        dotted(read.path): read.whole
        for read in analyse("{{#base}}{{#ntp_servers}}x{{/ntp_servers}}{{/base}}", shapes).reads
    }
    assert whole == {"base": False, "base.ntp_servers": True}


def test_secrets_are_known_as_such_below_what_is_secret(shapes: Tree) -> None:
    text = "{{#keystone}}{{admin_password}}{{region}}{{derived.databases.keystone}}{{/keystone}}"
    secret = {dotted(read.path) for read in analyse(text, shapes).reads if read.secret}
    assert secret == {"keystone.admin_password", "derived.databases.keystone"}


def test_a_schema_without_a_type_may_hold_anything() -> None:
    shape = Shape(("a",), {})
    assert "object" in shape.types
    assert shape.item() is None
    assert shape.child("b") is None
