"""The files that clients write and checkers read: nothing of a history is lost, bent or silently left out."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tripleo_ha.chaos.gaps import writes
from tripleo_ha.chaos.model import (
    Finding,
    Kind,
    Operation,
    Outcome,
    Overlap,
    Service,
    Strike,
    Verdict,
    Workload,
    read_operations,
    write_lines,
)

APPEND = Operation(Workload.LIST_APPEND, 3, 1.25, 1.5, Outcome.OK, [["r", "x", [1]], ["append", "x", 2]])
DELIVERY = Operation(Workload.CONSUME, 4, 2.0, 2.0, Outcome.OK, {"id": "a-1", "redelivered": False})
BROKEN = Operation(Workload.RPC, 5, 3.0, 5.0, Outcome.INFO, "b-1", "MessagingTimeout")

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
SECONDS = st.floats(0, 1e9, allow_nan=False)
OPERATIONS = st.builds(
    Operation,
    st.sampled_from(Workload),
    st.integers(0, 999),
    SECONDS,
    SECONDS,
    st.sampled_from(Outcome),
    VALUES,
    st.text(),
)


def document(**changes: Any) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(APPEND))) | changes


@pytest.mark.parametrize(
    ("workload", "value", "write"),
    [
        (Workload.BANK, ["read", {"1": 5}], False),
        (Workload.BANK, ["read", None], False),
        (Workload.BANK, ["transfer", "1", "2", 3], True),
        (Workload.LIST_APPEND, [["r", "x", [1]], ["append", "x", 2]], True),
        (Workload.LIST_APPEND, [["r", "x", [1]], ["r", "y", None]], False),
        (Workload.PUBLISH, "a-1", True),
        (Workload.RPC, None, True),
    ],
)
def test_what_is_left_of_a_value_tells_whether_it_writes(
    tmp_path: Path, workload: Workload, value: Any, write: bool
) -> None:
    path = tmp_path / "history.jsonl"
    write_lines(path, [Operation(workload, 1, 2.0, 3.0, Outcome.OK, value)])
    (whole,), (lean,) = list(read_operations([path])), list(read_operations([path], lean=True))
    assert (writes(whole), writes(lean), lean.ended) == (write, write, 3.0)


@settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(OPERATIONS, max_size=8))
def test_what_is_written_is_read_whatever_its_text(tmp_path: Path, operations: list[Operation]) -> None:
    path = tmp_path / "history.jsonl"
    path.unlink(missing_ok=True)
    write_lines(path, operations)
    assert list(read_operations([path])) == operations
    assert len(path.read_bytes().splitlines()) == len(operations)


def test_more_is_appended_and_files_follow_each_other(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write_lines(first, [APPEND])
    write_lines(first, [DELIVERY])
    write_lines(second, [BROKEN])
    assert list(read_operations([second, first])) == [BROKEN, APPEND, DELIVERY]


def test_kinds_are_read_as_kinds(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [BROKEN])
    (operation,) = read_operations([tmp_path / "a.jsonl"])
    assert operation.workload is Workload.RPC
    assert operation.outcome is Outcome.INFO


def test_an_empty_file_has_no_operation(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    assert list(read_operations([tmp_path / "a.jsonl"])) == []


def test_a_last_line_cut_at_any_place_is_left_out_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_lines(path, [APPEND, DELIVERY])
    whole = path.read_text()
    begin = whole.index("\n") + 1
    for end in range(begin, len(whole)):
        path.write_text(whole[:end])
        assert list(read_operations([path])) == [APPEND]
    path.write_text(whole)
    assert list(read_operations([path])) == [APPEND, DELIVERY]


def test_a_line_cut_in_the_middle_of_a_file_is_no_history(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_lines(path, [APPEND])
    path.write_text(path.read_text()[:20] + "\n" + path.read_text())
    with pytest.raises(ValueError, match=r"[Ll]ine 1|delimiter|Unterminated"):
        list(read_operations([path]))


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"workload": "gossip"}, "gossip"), ({"outcome": "maybe"}, "maybe"), ({"outcome": None}, "None")],
)
def test_an_unknown_kind_is_an_error_that_names_it(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(document(**changes)) + "\n")
    with pytest.raises(ValueError, match=told):
        list(read_operations([path]))


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in document().items() if key != name}


@pytest.mark.parametrize("line", [_without("workload"), _without("process"), document(mood="good"), [1, 2], 7])
def test_a_line_that_is_no_operation_is_an_error_that_names_its_file(tmp_path: Path, line: Any) -> None:
    path = tmp_path / "sql-0.jsonl"
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(ValueError, match=r"sql-0\.jsonl"):
        list(read_operations([path]))


def test_strikes_and_overlaps_are_lines_of_their_fields(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    strike = Strike(1, "power-cut", Kind.POWER_CUT, ("a", "b"), True, 1.0, 2.0, None, None, "waited")
    overlap = Overlap("vip control", ("a", "b"), 1.0, 1.5)
    write_lines(path, [strike, overlap])
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert Strike(**{**first, "kind": Kind(first["kind"]), "nodes": tuple(first["nodes"])}) == strike
    assert Overlap(**{**second, "nodes": tuple(second["nodes"])}) == overlap


def test_every_service_is_measured_by_some_workload_and_accounting_alone_by_none() -> None:
    assert {workload.service for workload in Workload} == {*Service, None}
    assert [workload for workload in Workload if workload.service is None] == [
        Workload.CONSUME,
        Workload.FANOUT,
        Workload.TOKEN_PASSWORD,
    ]


def test_a_verdict_is_good_without_a_finding_whatever_it_counts() -> None:
    assert Verdict("bank", counts={"duplicated": 5}).ok
    assert not Verdict("bank", (Finding("bank", "lost"),)).ok
