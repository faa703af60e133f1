"""When a node counts as converged"""

import json
from typing import Any

import pytest

from tripleo_ha.devtest.convergence import follows, judge
from tripleo_ha.metadata import schema
from tripleo_ha.node.rolling import of_controller

HANDED: dict[str, Any] = {
    "cluster": {"nodes": [{"name": "a"}]},
    "node": {"name": "a"},
    "mysql": {"recovery": "safety"},
}
ACCEPTED: dict[str, Any] = {
    **HANDED,
    "mysql": {"recovery": "safety", "max_connections": 1000},
    "base": {},
    "derived": {"cluster_size": 1},
}


def report(accepted: dict[str, Any] = ACCEPTED, **fields: Any) -> dict[str, Any]:
    return {"generation": of_controller(accepted), "ok": True, **fields}


def test_defaults_and_derived_values_are_no_difference() -> None:
    assert judge(HANDED, ACCEPTED, report(), None) == (True, "")


@pytest.mark.parametrize(
    "handed",
    [
        {**HANDED, "mysql": {"recovery": "availability"}},
        {**HANDED, "cluster": {"nodes": [{"name": "a"}, {"name": "b"}]}},
        {**HANDED, "rabbit": {}},
        {key: value for key, value in HANDED.items() if key != "mysql"},
    ],
)
def test_a_report_on_other_metadata_does_not_count(handed: dict[str, Any]) -> None:
    assert judge(handed, ACCEPTED, report(), None) == (False, "still has its former metadata")


@pytest.mark.parametrize(
    "former",
    [
        {"mysql": {"recovery": "safety", "max_connections": 700}},
        {"mysql": {"recovery": "safety", "extra": {"wsrep_slave_threads": 8}}},
        {"haproxy": {"stats_password": "x" * 16, "extra": {"global": {"nbthread": 2}}}},
        {"base": {"former": True}},
    ],
)
def test_what_was_taken_away_counts_until_the_node_has_taken_it_away(former: dict[str, Any]) -> None:
    """A node that still has it has a report as good as any, on what it had before."""
    handed = {**HANDED, "haproxy": {"stats_password": "x" * 16}}
    new = {**schema.with_defaults(handed), "derived": {}}
    old = {**schema.with_defaults({**handed, **former}), "derived": {}}
    assert judge(handed, new, report(new), None) == (True, "")
    assert judge({**handed, **former}, old, report(old), None) == (True, "")
    assert judge(handed, old, report(old), None) == (False, "still has its former metadata")
    assert judge({**handed, **former}, new, report(new), None) == (False, "still has its former metadata")


def test_a_default_that_the_nodes_image_does_not_know_is_no_difference() -> None:
    full = schema.with_defaults(HANDED)
    older = {**full, "mysql": {key: value for key, value in full["mysql"].items() if key != "max_connections"}}
    assert judge(HANDED, older, report(older), None) == (True, "")


def test_defaults_within_lists_are_no_difference() -> None:
    assert follows({"nodes": [{"name": "a", "id": 1}]}, {"nodes": [{"name": "a"}]}, {"nodes": [{"name": "a", "id": 1}]})
    assert not follows({"nodes": [{"name": "a"}]}, {"nodes": []}, {"nodes": []})
    assert not follows({"a": "text"}, {"a": {}}, {"a": {"b": 1}})


def test_a_report_of_another_generation_does_not_count() -> None:
    former = report({**ACCEPTED, "mysql": {"recovery": "availability"}})
    done, why = judge(HANDED, ACCEPTED, former, None)
    assert not done
    assert "first run" in why


def test_nothing_accepted_yet() -> None:
    assert judge(HANDED, None, None, None) == (False, "no metadata accepted yet")


def test_refused_metadata_is_told_even_where_older_metadata_converged() -> None:
    done, why = judge(HANDED, ACCEPTED, report(), {"reason": "metadata refused:\n  mysql.recovery: no such value"})
    assert not done
    assert "mysql.recovery: no such value" in why
    assert "\n" not in why


def test_failures_are_named() -> None:
    told = report(ok=False, failures={"mariadb-galera": "waited 60 s for\n peers"})
    assert judge(HANDED, ACCEPTED, told, None) == (False, "mariadb-galera: waited 60 s for peers")


def test_generation_is_the_same_on_every_node() -> None:
    other = {**ACCEPTED, "node": {"name": "b"}, "derived": {}}
    assert of_controller(other) == of_controller(ACCEPTED)
    assert of_controller({**ACCEPTED, "base": {"x": 1}}) != of_controller(ACCEPTED)


def test_generation_is_that_of_the_node(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tripleo_ha.node import converge
    from tripleo_ha.node.context import Context

    monkeypatch.setattr(converge, "CONVERGED", tmp_path / "converged.json")
    monkeypatch.setattr(converge, "TIMELINE", tmp_path / "timeline.json")
    converge.report(Context(ACCEPTED, None, ()), converge.Outcome())  # type: ignore[arg-type]
    told = json.loads((tmp_path / "converged.json").read_text())
    assert judge(HANDED, ACCEPTED, told, None) == (True, "")
