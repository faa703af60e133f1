"""What the command chaos makes of its arguments, and what a campaign tells of a strike."""

import itertools
import json
import os
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest

from tripleo_ha.chaos import campaign, judging, schedule
from tripleo_ha.chaos.campaign import Plan, described
from tripleo_ha.chaos.faults import catalogue
from tripleo_ha.chaos.faults.model import FAMILIES, Fault
from tripleo_ha.chaos.model import Kind, Operation, Outcome, Strike, Workload
from tripleo_ha.cli import chaos
from tripleo_ha.cli.chaos import sequence
from tripleo_ha.cli.main import main
from tripleo_ha.devtest import store
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.errors import Failure, UsageError

STRIKE = Strike(4, "kill-a", Kind.KILLED, ("overcloud-controller-1",), True, 100.0, 103.0, 110.0)


def names(*arguments: object) -> list[str]:
    wanted, timed, count, seed, scale = arguments
    fitting = {name for name, fault in catalogue.ALL.items() if fault.scale <= scale}  # type: ignore[operator]
    chosen = schedule.chosen(wanted, catalogue.ALL, fitting)  # type: ignore[arg-type]
    seconds = 300 if timed else None
    _, drawn = sequence(chosen, seed, count=count, seconds=seconds)  # type: ignore[arg-type]
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


@pytest.mark.parametrize("seed", range(20))
def test_five_minutes_strike_every_family(seed: int) -> None:
    names = [name for name, fault in catalogue.ALL.items() if fault.scale <= 3]
    first, drawn = sequence(names, seed, seconds=300)
    faults = list(islice(drawn, first))
    assert sorted(fault.family for fault in faults) == sorted(FAMILIES)
    assert sum(fault.cost for fault in faults) <= 300


@pytest.mark.parametrize("seed", range(20))
def test_a_quarter_of_an_hour_strikes_every_row_of_the_table(seed: int) -> None:
    first, drawn = sequence(tuple(catalogue.ALL), seed, seconds=900)
    faults = list(islice(drawn, first))
    assert {fault.family for fault in faults} == set(FAMILIES)
    assert {fault.kind for fault in faults} >= set(Kind) - {Kind.OTHER}
    assert sum(fault.cost for fault in faults) <= 720


def test_a_time_too_short_for_any_fault_is_refused() -> None:
    with pytest.raises(UsageError, match="ends in 60 s"):
        sequence(["power-cut-other"], 1, seconds=60)


def struck(plan: Plan, monkeypatch: pytest.MonkeyPatch, slowness: float = 1.0) -> tuple[list[str], float]:
    """Return what is struck, and when the last strike ended, where each takes so many times its cost."""
    now = [1000.0]
    monkeypatch.setattr(campaign.time, "monotonic", lambda: now[0])
    found = []
    for fault in campaign._in_time(plan):
        found.append(fault.name)
        now[0] += slowness * fault.cost
    return found, now[0] - 1000


@pytest.mark.parametrize("minutes", [5, 15, 60])
@pytest.mark.parametrize("slowness", [0.4, 1.0, 1.15])
def test_the_budget_is_kept(monkeypatch: pytest.MonkeyPatch, minutes: int, slowness: float) -> None:
    names = tuple(catalogue.ALL)
    for seed in range(10):
        first, drawn = sequence(names, seed, seconds=minutes * 60)
        cheapest = min(catalogue.ALL[name].cost for name in names)
        found, took = struck(Plan(drawn, seed, minutes * 60.0, first, cheapest), monkeypatch, slowness)
        assert {catalogue.ALL[name].family for name in found} == set(FAMILIES)
        assert took <= minutes * 60 * max(1.0, slowness)
        # The cheapest of all begins as long as it can end in time.
        assert took >= minutes * 60 - slowness * cheapest - 1


def test_a_slow_machine_strikes_less_and_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    first, drawn = sequence(tuple(catalogue.ALL), 1, seconds=900)
    found, took = struck(Plan(drawn, 1, 900.0, first, 25.0), monkeypatch, 4.0)
    assert len(found) <= first
    assert took < 900 * campaign.LATE + 4 * 240


def test_without_a_time_all_are_struck(monkeypatch: pytest.MonkeyPatch) -> None:
    first, drawn = sequence(["kill-beam", "disk-wiped"], 1)
    assert struck(Plan(drawn, 1), monkeypatch)[0] == ["kill-beam", "disk-wiped"]
    assert first == 0


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


def test_a_campaign_that_cannot_begin_has_found_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def conduct(*_: object) -> int:
        raise Failure("the cluster is not whole", "verify it")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(chaos, "conduct", conduct)
    names = [f"overcloud-controller-{index}" for index in range(3)]
    store.save(tmp_path / "bed", store.Record(str(tmp_path), "checksum", tuple(names)))
    with pytest.raises(SystemExit) as ended:
        main(["chaos", "--state", str(tmp_path / "bed"), "--directory", str(tmp_path / "told"), "--count", "1"])
    assert ended.value.code == 2
    assert "tripleo-ha: the cluster is not whole\n  hint: verify it" in capsys.readouterr().err


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


class Told(Progress):
    """Keeps what a person sees."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "chaos.log")
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)
        super().say(text)


class Striking:
    """A session whose third strike cannot be done."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.strikes: list[Strike] = []
        self.notes = {1: {"pids": [1]}}
        self.unfinished = ""

    def strike(self, fault: Fault) -> Strike:
        if len(self.strikes) == 2:
            raise Failure("no writer anywhere")
        self.strikes.append(Strike(len(self.strikes) + 1, fault.name, fault.kind, ("c",), True, 100.0, 103.0, 110.0))
        return self.strikes[-1]

    def recent(self, since: float) -> list[Operation]:
        return [Operation(Workload.BANK, 1, at / 10, at / 10 + 0.05, Outcome.OK) for at in range(1000, 1200)]


def test_a_strike_is_one_line_and_one_that_cannot_be_done_ends_the_campaign_in_its_judgement(tmp_path: Path) -> None:
    session, progress = Striking(tmp_path), Told(tmp_path)
    faults = itertools.repeat(catalogue.ALL["kill-haproxy"])
    assert not campaign._strikes(session, Plan(faults, 1), progress)  # type: ignore[arg-type]
    first, second, last = progress.said
    assert [line.split()[:4] for line in (first, second)] == [[n, "kill-haproxy", "on", "c:"] for n in "12"]
    assert last == "no further strike: no writer anywhere" and session.unfinished == "no writer anywhere"
    log = (tmp_path / "chaos.log").read_text()
    assert "pids: [1]" in log and catalogue.ALL["kill-haproxy"].summary in log


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
