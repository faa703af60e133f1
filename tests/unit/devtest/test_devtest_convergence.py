"""When a node counts as converged"""

import json
from typing import Any

import pytest

from tripleo_ha.devtest.convergence import generation, judge

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
    return {"generation": generation(accepted), "ok": True, **fields}


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
    assert generation(other) == generation(ACCEPTED)
    assert generation({**ACCEPTED, "base": {"x": 1}}) != generation(ACCEPTED)


def test_generation_is_that_of_the_node(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tripleo_ha.node import converge
    from tripleo_ha.node.context import Context

    monkeypatch.setattr(converge, "CONVERGED", tmp_path / "converged.json")
    monkeypatch.setattr(converge, "TIMELINE", tmp_path / "timeline.json")
    converge.report(Context(ACCEPTED, None, ()), converge.Outcome())  # type: ignore[arg-type]
    told = json.loads((tmp_path / "converged.json").read_text())
    assert judge(HANDED, ACCEPTED, told, None) == (True, "")
