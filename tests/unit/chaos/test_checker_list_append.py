"""Known histories, each with exactly what has to be found in it, which is nothing where nothing is wrong."""

import pytest
from list_append_given import did, everywhere, findings, found, in_turn, refused, together, unsure

from tripleo_ha.chaos.checkers import list_append
from tripleo_ha.chaos.checkers.anomalies import FINDINGS, Anomaly
from tripleo_ha.chaos.checkers.tally import SHOWN
from tripleo_ha.chaos.model import Operation, Outcome, Workload

A = Anomaly
X123 = everywhere(x="1,2,3")

GOOD = {
    "nothing at all": ([], {}),
    "one append": (together("x+1"), everywhere(x="1")),
    "reads of every version": (together("x+1", "x=", "x=1 x+2", "x=1,2"), everywhere(x="1,2")),
    "the serializable history H-serial of Adya, Liskov and O'Neil (2000), figure 3, with lists": (
        together("z+1 x+1 y+1", "x=1 y+2", "y=1,2 z+3", "z=1,3"),
        everywhere(x="1", y="1,2", z="1,3"),
    ),
    "own appends are read": (together("y=5,6 x+3 x=1,3 x+4 x=1,3,4", "x+1", "y+5 y+6"), everywhere(x="1,3,4", y="5,6")),
    "an intermediate state is read by its own transaction": (together("x+1 x=1 x+2"), everywhere(x="1,2")),
    "several appends of one transaction follow each other": (together("x+1 x+2", "x=1,2 x+3"), X123),
    "a transaction of unknown end happened": (together("x+1", unsure("x+2"), "x=1,2"), everywhere(x="1,2")),
    "a transaction of unknown end did not happen": (together("x+1", unsure("x+2 y+2")), everywhere(x="1")),
    "it happened as a whole": (together("x+1", unsure("x+2 y+2")), everywhere(x="1,2", y="2")),
    "a read of unknown end says nothing": (
        together(unsure("x+2 y=?"), "x+1 y+1", "x=1,2 y=1"),
        everywhere(x="1,2", y="1"),
    ),
    "a refused transaction is not there": (together("x+1", refused("x+2"), "x=1 x+3"), everywhere(x="1,3")),
    "refused and of unknown end read the same version": (
        together("x=1 x+2", refused("x=1 x+3"), unsure("x=1 x+4"), "x+1"),
        everywhere(x="1,2"),
    ),
    "one client after the other": (in_turn("x+1", "x=1 x+2", "x=1,2", "x+3"), X123),
    "an empty list that is only on some nodes": (together("x+1"), {"a": {"x": [1], "y": []}, "b": {"x": [1]}}),
}

BAD = {
    "acknowledged and nowhere": (together("x+1", "x+2", "x+3"), everywhere(x="1,3"), {A.LOST_COMMIT}),
    "acknowledged and missing on one node": (
        together("x+1", "x+2"),
        {"a": {"x": [1, 2]}, "b": {"x": [1]}},
        {A.LOST_COMMIT, A.DIVERGENCE},
    ),
    "acknowledged, and a key is missing on one node": (
        together("x+1"),
        {"a": {"x": [1]}, "b": {}},
        {A.LOST_COMMIT, A.DIVERGENCE},
    ),
    "seen, then gone": (together("x+1", "x=1,2", "x+2"), everywhere(x="1"), {A.LOST_COMMIT}),
    "nodes in another order": (
        together("x+1", "x+2"),
        {"a": {"x": [1, 2]}, "b": {"x": [2, 1]}},
        {A.DIVERGENCE, A.INCOMPATIBLE},
    ),
    "half of a transaction of unknown end": (
        together("x+1", unsure("x+2 y+2")),
        everywhere(x="1,2", y=""),
        {A.SEEN_AND_LOST},
    ),
    "of unknown end, seen, then gone": (together("x+1", unsure("x+2"), "x=1,2"), everywhere(x="1"), {A.SEEN_AND_LOST}),
    "a value from nowhere, read": (together("x+1", "x=1,7"), everywhere(x="1"), {A.PHANTOM}),
    "a value from nowhere, read before another": (
        together("x+1", "x=1,7", "x+2"),
        everywhere(x="1,2"),
        {A.PHANTOM, A.INCOMPATIBLE},
    ),
    "a value from nowhere, at the end": (together("x+1"), everywhere(x="1,7"), {A.PHANTOM}),
    "a key from nowhere": (together("x+1"), everywhere(x="1", y="7"), {A.PHANTOM}),
    "refused, and there": (together("x+1", refused("x+2")), everywhere(x="1,2"), {A.G1A}),
    "refused, and appended to": (
        together("x+1", refused("x+2"), "x+3"),
        X123,
        {A.G1A, A.DIRTY_UPDATE},
    ),
    "refused, seen, and gone": (together("x+1", refused("x+2"), "x=1,2"), everywhere(x="1"), {A.G1A}),
    "an intermediate state, read by others": (
        together("x+1 x+2", "x=1"),
        everywhere(x="1,2"),
        {A.G1B, A.G_SINGLE},
    ),
    "twice at the end": (together("x+1", "x+2"), everywhere(x="1,2,1"), {A.DUPLICATE}),
    "twice in a read": (together("x+1", "x=1,1"), everywhere(x="1"), {A.DUPLICATE}),
    "reads that exclude each other": (
        together("x+1", "x+2", "x+3", "x=1,2", "x=1,3"),
        everywhere(x="1,3,2"),
        {A.INCOMPATIBLE},
    ),
    "not what it read itself": (together("x+1", "x+2", "x=1 x=1,2"), everywhere(x="1,2"), {A.INTERNAL}),
    "not what it appended itself": (together("x+1", "x=1 x+2 x=1"), everywhere(x="1,2"), {A.INTERNAL}),
    "its own append hidden at once": (together("x+6 x="), everywhere(x="6"), {A.INTERNAL}),
    "more than it appended itself": (
        together("x+1", "x=1 x+2 x=1,2,3", "x+3"),
        X123,
        {A.INTERNAL},
    ),
    "what it appends only later": (together("x=1 x+1"), everywhere(x="1"), {A.INTERNAL}),
    "G0: writes of two transactions in turn": (
        together("x+1 y+1", "x+2 y+2"),
        everywhere(x="1,2", y="2,1"),
        {A.G0},
    ),
    "G0 within one key": (together("x+1 x+3", "x+2"), X123, {A.G0}),
    "G1c: each saw the other": (together("x+1 y=1", "x=1 y+1"), everywhere(x="1", y="1"), {A.G1C}),
    "G1c: overwritten by what it read": (together("x+1 y=1", "x+2 y+1"), everywhere(x="1,2", y="1"), {A.G1C}),
    "G-single: one key before, one after": (
        together("x+1 y+1", "x= y=1"),
        everywhere(x="1", y="1"),
        {A.G_SINGLE},
    ),
    "G-single in three steps": (
        together("x+1", "x=1 y+1", "y=1 x="),
        everywhere(x="1", y="1"),
        {A.G_SINGLE},
    ),
    "lost update: both are there, the second upon a state it did not see": (
        together("x+1", "x=1 x+2", "x=1 x+3"),
        X123,
        {A.LOST_UPDATE, A.G_SINGLE},
    ),
    "lost update: the first is overwritten": (
        together("x+1", "x=1 x+2", "x=1 x+3"),
        everywhere(x="1,3"),
        {A.LOST_UPDATE, A.LOST_COMMIT},
    ),
    "lost update of an empty list": (
        together("x= x+1", "x= x+2"),
        everywhere(x="1,2"),
        {A.LOST_UPDATE, A.G_SINGLE},
    ),
    "lost update by a transaction of unknown end": (
        together("x+1", "x=1 x+2", unsure("x=1 x+3")),
        everywhere(x="1,3"),
        {A.LOST_UPDATE, A.LOST_COMMIT},
    ),
    "lost update between versions that vanished": (
        together("x+1", "x=1 x+2", "x=1,2 x+3", "x=1,2 x+4", "x=1 x+5"),
        everywhere(x="1,5"),
        {A.LOST_UPDATE, A.LOST_COMMIT, A.INCOMPATIBLE},
    ),
    "long fork: two readers disagree about which append came first": (
        together("x+1", "y+1", "x=1 y=", "x= y=1"),
        everywhere(x="1", y="1"),
        {A.G_NONADJACENT},
    ),
    "a key in which one value has two writers": (together("x+1", "x+1"), everywhere(x="1"), {A.UNDECIDED}),
    "no final state": (together("x+1"), {}, {A.UNDECIDED}),
    "nothing acknowledged": (together(unsure("x+1"), refused("x+2")), everywhere(x="1"), {A.UNDECIDED}),
    # What Jepsen found, with other data.
    "MariaDB Galera Cluster 12.1 (MDEV-38977): an append slips in between a transaction's read and its append": (
        together("x+2", "x=2 x+3", "x=2,3 x=2,3 x+6", "x+4", "x=2,3,4,6"),
        everywhere(x="2,3,4,6"),
        {A.G_SINGLE},
    ),
    "FaunaDB: a transaction does not see its own append": (together("x+6 x="), everywhere(x="6"), {A.INTERNAL}),
    "TiDB: a retry appends upon what another has changed": (
        together("x+1", "x=1 y+5 x+2", "x=1 y=5 x+3"),
        everywhere(x="1,2,3", y="5"),
        {A.LOST_UPDATE, A.G_SINGLE},
    ),
    "VoltDB and others: a lost node's writes were seen and vanish": (
        in_turn("x+1", "x+2", "x=1,2", "x+3"),
        everywhere(x="1,3"),
        {A.LOST_COMMIT, A.INCOMPATIBLE},
    ),
}

COUNTED = {
    "write skew": (together("x= y+1", "y= x+1"), everywhere(x="1", y="1"), {A.G2_ITEM}),
    "write skew in three steps": (
        together("x= y+1", "y= z+1", "z= x+1"),
        everywhere(x="1", y="1", z="1"),
        {A.G2_ITEM},
    ),
    "Fekete's read-only anomaly": (
        # T1 deposits; T2 withdraws upon the state without it; the reader sees the deposit and not the withdrawal.
        together("y+1", "x= y= x+1", "x= y=1"),
        everywhere(x="1", y="1"),
        {A.G2_ITEM},
    ),
    "a read of what was": (in_turn("x+1", "x="), everywhere(x="1"), {A.STALE_READ, A.REALTIME}),
    "two appends against their time": (in_turn("x+1", "x+2"), everywhere(x="2,1"), {A.REALTIME}),
}


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_found_where_nothing_is_wrong(name: str) -> None:
    assert found(*GOOD[name]) == set()


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_found_and_nothing_else(name: str) -> None:
    operations, final, expected = BAD[name]
    assert found(operations, final) == set(map(str, expected))
    assert findings(list_append.check(operations, final)) == set(map(str, expected))


@pytest.mark.parametrize("name", COUNTED)
def test_what_snapshot_isolation_allows_is_counted_and_no_finding(name: str) -> None:
    operations, final, expected = COUNTED[name]
    assert found(operations, final) == set(map(str, expected))
    assert list_append.check(operations, final).ok
    strict = list_append.check(operations, final, findings=frozenset(Anomaly))
    assert findings(strict) == set(map(str, expected))


def test_every_anomaly_has_a_history() -> None:
    shown = {kind for cases in (BAD, COUNTED) for _, _, kinds in cases.values() for kind in kinds}
    assert shown == set(Anomaly) - {Anomaly.PROCESS}  # which has a test of its own


def test_a_client_that_sees_less_than_it_saw_before_is_counted_as_process_order() -> None:
    first, second, writer = in_turn("x=1", "x=", "x+1")
    operations = [first, *(_by(first.process, second)), _always(writer)]
    assert found(operations, everywhere(x="1")) == {Anomaly.PROCESS}


def _by(process: int, operation: Operation) -> list[Operation]:
    return [Operation(operation.workload, process, operation.began, operation.ended, Outcome.OK, operation.value)]


def _always(operation: Operation) -> Operation:
    return Operation(operation.workload, operation.process, 0.0, 10.0, operation.outcome, operation.value)


def test_a_cycle_is_told_with_its_transactions_and_reasons() -> None:
    verdict = list_append.check(together("x+1 y+1", "x= y=1"), everywhere(x="1", y="1"))
    (finding,) = verdict.findings
    assert finding.checker == "list-append"
    assert finding.detail.splitlines()[2:] == [
        "T1 comes before T2: it read x [], to which the other appended 1",
        "T2 comes before T1: it appended 1 to y, which the other read",
    ]
    assert "client 1 at 0.000–1.000 (read x []; read y [1])" in finding.detail


def test_a_write_cycle_names_the_keys() -> None:
    (finding,) = list_append.check(together("x+1 y+1", "x+2 y+2"), everywhere(x="1,2", y="2,1")).findings
    assert finding.detail.count("the other's append to x or y follows directly on its own") == 2


def test_all_are_counted_though_few_are_told() -> None:
    operations = together(*(f"x+{number}" for number in range(1, 101)))
    verdict = list_append.check(operations, everywhere(x=""))
    assert verdict.counts[Anomaly.LOST_COMMIT] == 100
    assert len(verdict.findings) == SHOWN + 1
    assert verdict.findings[-1].detail == f"{100 - SHOWN} more of these"


def test_one_kind_can_be_made_no_finding_without_hiding_others() -> None:
    operations, final, _ = BAD["lost update: the first is overwritten"]
    verdict = list_append.check(operations, final, findings=FINDINGS - {Anomaly.LOST_COMMIT})
    assert findings(verdict) == {Anomaly.LOST_UPDATE}
    assert verdict.counts[Anomaly.LOST_COMMIT] == 1


def test_counts_say_how_much_was_judged() -> None:
    counts = list_append.check(
        together("x+1 x+2", unsure("x+3"), unsure("x+4"), refused("y+1")), everywhere(x="1,2,4")
    ).counts
    assert {name: counts[name] for name in ("attempted", "acknowledged", "unknown", "unknown but seen")} == {
        "attempted": 4,
        "acknowledged": 1,
        "unknown": 2,
        "unknown but seen": 1,
    }
    assert counts["appends acknowledged"] == 2


def test_keys_are_the_same_as_numbers_and_as_text() -> None:
    operation = Operation(Workload.LIST_APPEND, 0, 0.0, 1.0, Outcome.OK, [["append", 5, 1], ["r", 5, [1]]])
    assert list_append.check([operation], {"a": {"5": [1]}}).ok


def test_null_is_the_empty_list_where_the_read_was_acknowledged() -> None:
    steps = [["r", "x", None], ["r", "y", [1]]]
    known = [Operation(Workload.LIST_APPEND, 1, 0.0, 1.0, Outcome.OK, steps), *together("x+1 y+1")]
    assert found(known, everywhere(x="1", y="1")) == {Anomaly.G_SINGLE}


def test_operations_of_others_are_left_aside() -> None:
    other = Operation(Workload.PUBLISH, 0, 0.0, 1.0, Outcome.OK, "a message")
    assert list_append.check([other], {}).ok


@pytest.mark.parametrize("value", ["text", [["r", "x"]], [["write", "x", 1]], [["r", "x", 5]], 7])
def test_what_is_no_transaction_is_refused(value: object) -> None:
    operation = Operation(Workload.LIST_APPEND, 0, 0.0, 1.0, Outcome.OK, value)
    with pytest.raises(ValueError, match="not a list-append transaction"):
        list_append.check([operation], {"a": {}})


def test_did_reads_its_own_notation() -> None:
    assert did("x=1,2 y= z=? x+3").value == [["r", "x", [1, 2]], ["r", "y", []], ["r", "z", None], ["append", "x", 3]]
