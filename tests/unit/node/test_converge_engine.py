"""Going through the rows: order, what runs side by side, and what a failure leaves out."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tripleo_ha import cluster
from tripleo_ha.errors import Failure
from tripleo_ha.node import context as contexts
from tripleo_ha.node.context import Context
from tripleo_ha.node.converge import go_through
from tripleo_ha.table import Row

METADATA = {
    "cluster": {"name": "c", "nodes": [{"name": "n0", "ip": "192.0.2.11"}], "virtual_ips": {}},
    "node": {"name": "n0"},
}


@pytest.fixture
def context() -> Context:
    return Context(METADATA, cluster.from_metadata(METADATA), ())


def row(service: str, *after: str) -> Row:
    return Row(service=service, metadata=service, summary="", after=after)


def nothing(context: Context, row: Row) -> None:
    """Converge at once."""


def test_rows_that_do_not_wait_for_each_other_run_side_by_side(context: Context) -> None:
    both = threading.Barrier(2, timeout=10)
    outcome = go_through(context, [row("a"), row("b")], lambda row: lambda context, row: both.wait() and None)
    assert outcome.failures == {}


def test_a_row_starts_when_all_before_it_have_ended(context: Context) -> None:
    ended: list[str] = []

    def find(row: Row) -> Callable[[Context, Row], None]:
        def handler(context: Context, row: Row) -> None:
            assert set(row.after) <= set(ended)
            ended.append(row.service)

        return handler

    outcome = go_through(context, [row("api", "db", "bus"), row("db"), row("bus", "db"), row("last", "api")], find)
    assert outcome.failures == {}
    assert ended[-1] == "last"
    assert [step["step"] for step in outcome.timeline][-1] == "last"


def test_a_failure_leaves_out_what_needs_it_and_nothing_else(context: Context) -> None:
    def find(row: Row) -> Callable[[Context, Row], None]:
        def fail(context: Context, row: Row) -> None:
            raise Failure("no Primary component")

        return fail if row.service == "db" else nothing

    rows = [row("db"), row("bus"), row("api", "db"), row("ui", "api"), row("agent", "bus")]
    outcome = go_through(context, rows, find)
    assert outcome.failures == {"db": "no Primary component"}
    assert outcome.skipped == {"api": "waits for db", "ui": "waits for api"}
    assert {step["step"] for step in outcome.timeline} == {"db", "bus", "agent"}


def test_a_handler_that_breaks_is_a_failure_not_a_crash(context: Context) -> None:
    def broken(context: Context, row: Row) -> None:
        raise KeyError("x")

    outcome = go_through(context, [row("a"), row("b")], lambda row: broken if row.service == "a" else nothing)
    assert list(outcome.failures) == ["a"]


def test_an_inactive_dependency_is_not_waited_for(context: Context) -> None:
    outcome = go_through(context, [row("api", "memcached")], lambda row: nothing)
    assert (outcome.failures, outcome.skipped) == ({}, {})


def test_the_context_of_a_run_is_what_the_node_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = tmp_path / "metadata.json"
    monkeypatch.setattr(contexts, "ACCEPTED", accepted)
    with pytest.raises(Failure, match="no metadata has been accepted yet"):
        Context.of_accepted([row("a")])
    accepted.write_text(json.dumps({**METADATA, "b": {}}))
    found = Context.of_accepted([row("a"), row("b")])
    assert (found.metadata["b"], found.cluster.me.name, found.rows) == ({}, "n0", (row("b"),))
