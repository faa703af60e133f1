"""What ``tripleo-ha-node galera`` and ``rabbitmq`` tell an operator, and what they refuse."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tripleo_ha.errors import Failure
from tripleo_ha.node import galera_cli, healing, rabbitmq_cli
from tripleo_ha.node.health.result import CheckResult
from tripleo_ha.topology.galera import Action, Decision, Facts, Phase, Situation, View, decide
from tripleo_ha.topology.rabbitmq import Membership
from tripleo_ha.topology.rabbitmq_outlook import Step, outlook

UUID, OLD = "2f6e3b20-e69a-11f1-990c-6f3410f6ebf8", "1a2b3c4d-e69a-11f1-990c-6f3410f6ebf8"


def table(**facts: Facts) -> list[str]:
    return galera_cli.as_text(Situation(("a", "b", "c"), "a", facts), Decision(Action.WAIT, "why"))


def test_galera_s_table_has_only_columns_with_something_in_them() -> None:
    lines = table(a=Facts(Phase.PRIMARY, UUID, 9), b=Facts(Phase.PRIMARY, UUID, 9))
    assert lines[0].split() == ["NODE", "PHASE", "STATE", "SEQNO"]
    assert lines[3:] == ["c     silent", "a: wait: why"]


def test_galera_s_table_tells_what_stands_against_a_node() -> None:
    view = View("1", frozenset({"ma", "mb"}))
    lines = table(
        a=Facts(Phase.DOWN, UUID, 9, member="ma", view=view, behind=True, generation="one"),
        b=Facts(Phase.DOWN, UUID, 7, member="mb", history=(OLD,), generation="another"),
        c=Facts(Phase.LEFT, UUID, 9),
    )
    assert "never caught up in its last view" in lines[1]
    assert lines[2].endswith("went on from 1a2b3c4d; configured for another list of controllers")
    assert "left the group" in lines[3]
    assert max(len(line) for line in lines) < 120


def test_a_server_that_left_the_group_is_told_to_end() -> None:
    now = Situation(("a",), "a", {"a": Facts(Phase.LEFT, UUID, 9)})
    assert galera_cli.as_text(now, decide(now))[-1].startswith("a: end: its server left the group")


def members(all_of_them: str, running: str) -> Membership:
    return Membership(frozenset(all_of_them), frozenset(running))


WHOLE, OTHERS, APART = members("abc", "abc"), members("abc", "bc"), members("bc", "bc")


@pytest.mark.parametrize(
    ("mine", "told", "joined", "step", "word"),
    [
        (WHOLE, {"b": WHOLE}, True, Step.KEEP, "with a majority"),
        (members("ab", "ab"), {"b": members("ab", "ab")}, True, Step.KEEP, "still to join: c"),
        (members("abc", "a"), {}, True, Step.WAIT, "down: b, c"),
        (members("a", "a"), {"b": APART}, True, Step.RECOVER, "apart from that of b"),
        (None, {"b": OTHERS}, True, Step.START, "joins b"),
        (None, {"b": APART}, True, Step.REJOIN, "b knows it no longer"),
        (None, {"b": OTHERS}, False, Step.REJOIN, "b forgets its former self"),
        (None, {}, False, Step.START, "never a member"),
        (None, {}, True, Step.WAIT, "of the others run: none"),
    ],
)
def test_what_follows_for_a_broker_is_told_with_its_reason(
    mine: Membership | None, told: dict[str, Membership], joined: bool, step: Step, word: str
) -> None:
    found = outlook("a", "abc", mine, told, {"a": joined, "b": False, "c": False})
    assert found.step is step
    assert word in found.reason


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """This node's broker, its peers' and what was done."""
    nodes = tuple(SimpleNamespace(name=name) for name in "abc")
    context = SimpleNamespace(metadata={}, cluster=SimpleNamespace(nodes=nodes, me=nodes[0]))
    row = SimpleNamespace(service="rabbitmq-cluster", units=(SimpleNamespace(name="rabbitmq-server.service"),))
    played = SimpleNamespace(found=CheckResult(False, "the broker's management API does not answer"), told={}, done=[])
    monkeypatch.setattr(healing, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(rabbitmq_cli, "load", lambda: (context, row))
    monkeypatch.setattr(rabbitmq_cli, "look", lambda context: played.found)

    def statuses(context: Any) -> dict[str, Any]:
        return {
            name: {"checks": {"rabbitmq": {"facts": {"members": seen.members, "running": seen.running}}}}
            for name, seen in played.told.items()
        }

    monkeypatch.setattr(rabbitmq_cli.peers, "statuses", statuses)
    monkeypatch.setattr(rabbitmq_cli.broker, "has_joined", lambda: True)
    monkeypatch.setattr(rabbitmq_cli.broker, "wipe", lambda name: played.done.append("wipe"))
    monkeypatch.setattr(rabbitmq_cli.units, "stop", lambda name: played.done.append("stop"))
    monkeypatch.setattr(rabbitmq_cli.rabbitmq, "converge", lambda *_, **__: played.done.append("converge"))
    return played


def test_status_says_facts_decision_and_reason(broker: Any, capsys: pytest.CaptureFixture[str]) -> None:
    broker.told = {"b": OTHERS}
    assert rabbitmq_cli.status(SimpleNamespace(format="table")) == 1  # type: ignore[arg-type]
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "a  unknown"
    assert told[-2:] == [
        "unhealthy: the broker's management API does not answer",
        "a: start: it joins b, which runs with a majority",
    ]
    rabbitmq_cli.status(SimpleNamespace(format="json"))  # type: ignore[arg-type]
    assert json.loads(capsys.readouterr().out)["decision"]["action"] == "start"


def recover(majority_is_lost: bool = False) -> int:
    given = SimpleNamespace(discard=True, majority_is_lost=majority_is_lost)
    return rabbitmq_cli.recover(given)  # type: ignore[arg-type]


def test_recover_joins_the_cluster_of_the_others(broker: Any) -> None:
    broker.told = {"b": APART}
    broker.found = CheckResult(True, "1 of 1 members run", {"members": ["a"], "running": ["a"]})
    assert recover() == 0
    assert broker.done == ["stop", "wipe", "converge"]


@pytest.mark.parametrize("told", [{}, {"b": members("abc", "b")}, {"b": members("abc", "ab")}])
def test_recover_drops_nothing_where_there_is_no_cluster_to_join(broker: Any, told: dict[str, Membership]) -> None:
    broker.told = told
    with pytest.raises(Failure, match="no cluster to join"):
        recover()
    assert broker.done == []
    recover(majority_is_lost=True)
    assert broker.done == ["stop", "wipe", "converge"]


def test_recover_leaves_a_healthy_member_alone_also_while_another_is_still_to_join(broker: Any) -> None:
    broker.told = {"b": members("ab", "ab")}
    broker.found = CheckResult(True, "2 of 2 members run", {"members": ["a", "b"], "running": ["a", "b"]})
    with pytest.raises(Failure, match="nothing is to be recovered"):
        recover()
    assert broker.done == []


def test_recover_does_not_run_beside_a_converge_run(broker: Any) -> None:
    broker.told = {"b": OTHERS}
    with healing.no_run(), pytest.raises(Failure, match="converge run is under way"):
        recover()
    assert broker.done == []
