"""What the command chaos makes of its arguments, and what a campaign tells of a strike."""

import json
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest

from tripleo_ha.chaos import judging
from tripleo_ha.chaos.campaign import described
from tripleo_ha.chaos.faults import catalogue
from tripleo_ha.chaos.model import Kind, Operation, Outcome, Strike, Workload
from tripleo_ha.cli.chaos import sequence
from tripleo_ha.cli.main import main
from tripleo_ha.errors import Failure

STRIKE = Strike(4, "kill-a", Kind.KILLED, ("overcloud-controller-1",), True, 100.0, 103.0, 110.0)


def names(*arguments: object) -> list[str]:
    wanted, timed, count, seed, scale = arguments
    fitting = {name for name, fault in catalogue.ALL.items() if fault.scale <= scale}  # type: ignore[operator]
    drawn = sequence(wanted, timed, count, seed, fitting)  # type: ignore[arg-type]
    return [fault.name for fault in islice(drawn, 50)]


def test_a_list_alone_is_done_once_in_its_order() -> None:
    assert names("kill-beam,freeze-beam,kill-beam", False, None, 1, 3) == ["kill-beam", "freeze-beam", "kill-beam"]


def test_a_list_with_a_count_or_a_time_is_drawn_from() -> None:
    assert names("kill-beam", False, 3, 1, 3) == ["kill-beam"] * 3
    assert names("kill-beam", True, None, 1, 3) == ["kill-beam"] * 50
    kills = {name for name, fault in catalogue.ALL.items() if "kill" in fault.groups}
    assert set(names("kill", False, 50, 1, 3)) == kills


def test_without_a_list_every_kind_is_drawn_and_the_seed_repeats_it() -> None:
    drawn = names(None, True, None, 5, 3)
    assert {catalogue.ALL[name].kind for name in drawn} == set(Kind)
    assert drawn == names(None, True, None, 5, 3)


def test_a_single_node_gets_no_fault_that_needs_others() -> None:
    assert {catalogue.ALL[name].scale for name in names(None, True, None, 5, 1)} == {1}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--budget", "0"],
        ["--budget", "soon"],
        ["--count", "-1"],
        ["--seed", "x"],
        ["--budget", "1", "--count", "1"],
        ["--clients", "sql,none"],
        ["--list", "--control"],
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chaos", *arguments])
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_a_directory_without_a_campaign_cannot_be_reported_on(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chaos", "--report", str(tmp_path)])
    assert ended.value.code == 2


def test_the_list_names_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chaos", "--list", "--format", "json"])
    assert ended.value.code == 0
    assert {each["name"] for each in json.loads(capsys.readouterr().out)} == set(catalogue.ALL)


def told(strike: Strike, notes: dict[str, object] | None = None) -> list[str]:
    moments = (*(90 + n / 2 for n in range(20)), 103.4, 105, 120)
    operations = [Operation(Workload.BANK, 1, at, at + 0.1, Outcome.OK) for at in moments]
    session = SimpleNamespace(
        recent=lambda since: [each for each in operations if each.ended >= since], notes={4: notes} if notes else {}
    )
    return list(described(session, strike))  # type: ignore[arg-type]


def test_a_strike_is_told_in_a_line() -> None:
    (line,) = told(STRIKE)
    assert line.startswith("  4 kill-a on controller-1: sql ")
    assert "whole after 10.0 s (7.0 s from the heal)" in line


def test_a_gap_that_is_still_open_is_told_as_far_as_it_is_known() -> None:
    still = Strike(4, "kill-a", Kind.KILLED, ("c",), True, 100.0, 125.0, 130.0)
    operations = [Operation(Workload.BANK, 1, at, at + 0.1, Outcome.OK) for at in (90.0, 90.5, 91.0, 91.5)]
    operations.append(Operation(Workload.BANK, 1, 99.9, 104.0, Outcome.INFO, None, "OperationalError 2013"))
    session = SimpleNamespace(recent=lambda since: operations, notes={})
    (line,) = described(session, still)  # type: ignore[arg-type]
    assert "sql >= 11.90 (still open) s" in line


def test_trouble_and_notes_are_told() -> None:
    lost = Strike(4, "kill-a", Kind.KILLED, ("c",), False, 100.0, 103.0, None, None, "c is off")
    first, notes, trouble = told(lost, {"pids": [1]})
    assert "(not serving)" in first
    assert "not whole again" in first
    assert "pids: [1]" in notes
    assert "TROUBLE: c is off" in trouble


def test_trouble_of_a_strike_is_a_finding() -> None:
    assert judging._troubles([STRIKE]).ok
    for wrong in ({"trouble": "x"}, {"redundant": None}):
        assert not judging._troubles([STRIKE, Strike(**{**vars(STRIKE), **wrong})]).ok


def test_what_cannot_be_judged_is_a_finding() -> None:
    def broken() -> list[judging.Verdict]:
        raise Failure("c does not answer")

    (verdict,) = judging._tried("broker", broken)
    assert not verdict.ok
    assert "c does not answer" in verdict.findings[0].detail


@pytest.mark.parametrize(
    ("fencing", "scale", "expected"),
    [
        (None, 3, False),
        ({"devices": {}}, 3, False),
        ({"devices": {"a": {}}}, 3, True),
        ({"devices": {"a": {}}}, 1, False),
    ],
)
def test_fencing_is_what_the_metadata_have_devices_for(fencing: object, scale: int, expected: bool) -> None:
    pacemaker = {} if fencing is None else {"fencing": fencing}
    assert judging.fencing({"pacemaker": pacemaker, "cluster": {"nodes": [{}] * scale}}) is expected
