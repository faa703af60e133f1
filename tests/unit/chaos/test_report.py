"""The report of a campaign's directory: what it says, and to whom it says that something is missing."""

import json
import re
from dataclasses import asdict
from io import StringIO
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from histories import bad, steady, strike
from rich.console import Console

from tripleo_ha import paths
from tripleo_ha.chaos import figures, report, rst, tables
from tripleo_ha.chaos.faults import catalogue
from tripleo_ha.chaos.figures import LIMITS
from tripleo_ha.chaos.model import Finding, Kind, Operation, Overlap, Service, Strike, Verdict, Workload, write_lines
from tripleo_ha.cli.main import main
from tripleo_ha.errors import UsageError

BANK = Workload.BANK
GOOD = (Verdict("bank", (), {"transfers": 812}),)
GAP = [*steady(BANK, (0, 10), (13, 40)), bad(BANK, 12.0, error="OperationalError 2013")]


def campaign(
    directory: Path,
    *,
    history: list[Operation] = GAP,
    strikes: tuple[Strike, ...] = (strike(),),
    verdicts: tuple[Verdict, ...] | None = GOOD,
    overlaps: tuple[Overlap, ...] = (),
) -> Path:
    """Leave what a campaign leaves."""
    (directory / "history").mkdir(parents=True)
    about = {"command": ["tripleo-ha", "chaos", "--seed", "7"], "seed": 7, "scale": 3, "settings": {"budget": 5}}
    (directory / "campaign.json").write_text(json.dumps(about))
    write_lines(directory / "history" / "sql-0.jsonl", history)
    write_lines(directory / "strikes.jsonl", strikes)
    write_lines(directory / "overlaps.jsonl", overlaps)
    if verdicts is not None:
        (directory / "verdicts.json").write_text(json.dumps([asdict(verdict) for verdict in verdicts]))
    return directory


def written(directory: Path) -> tuple[dict[str, Any], str]:
    """Return both reports."""
    return json.loads((directory / "report.json").read_text()), (directory / "report.html").read_text()


def test_report_of_a_good_campaign(tmp_path: Path) -> None:
    found = report.write(campaign(tmp_path / "one"))
    assert found.cells[Kind.POWER_CUT][Service.SQL].values == (2.0,)
    told, page = written(tmp_path / "one")
    assert (told["format"], told["version"], told["ok"], told["limits_reached"]) == (report.FORMAT, 1, True, True)
    row = next(row for row in told["table"] if (row["kind"], row["service"]) == ("power cut", "sql"))
    assert row == {
        "kind": "power cut",
        "service": "sql",
        "runs": 1,
        "few": True,
        "median": 2.0,
        "worst": 2.0,
        "open": False,
        "at_least": None,
        "limit": 4.5,
        "reached": True,
    }
    assert told["strikes"][0]["at"] == 10.05
    assert told["strikes"][0]["services"]["sql"] == {
        "figure": 2.0,
        "longest_gap": 2.0,
        "open": False,
        "served": None,
        "unavailable": 2.0,
        "errors": {"OperationalError 2013": {"fail": 1}},
        "successes": 18,
        "conflicts": 0,
    }
    assert told["outcomes"] == {"bank": {"fail": 1, "ok": 39}}
    assert "tripleo-ha chaos --seed 7" in page
    assert "fewer than 5" in page
    assert "1 × OperationalError 2013" in page
    assert '<svg class="chaos-timeline"' in page
    assert (tmp_path / "one" / "timeline.svg").read_text().startswith("<?xml")


def test_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    report.write(campaign(tmp_path / "one"))
    _, page = written(tmp_path / "one")
    for word in ("<script", "<link", "<img", "@import", 'href="http'):
        assert word not in page


def test_findings_come_first_and_are_escaped(tmp_path: Path) -> None:
    lost = Verdict("broker", (Finding("broker", "confirmed message <lost>", "id 7"),), {"lost": 1})
    twice = Overlap("vip-control", ("a", "b"), 11.0, 11.4)
    report.write(campaign(tmp_path / "one", verdicts=(*GOOD, lost), overlaps=(twice,)))
    told, page = written(tmp_path / "one")
    assert told["ok"] is False
    assert told["campaigns"][0]["verdicts"][1]["findings"][0]["detail"] == "id 7"
    assert told["campaigns"][0]["overlaps"] == [
        {"what": "vip-control", "nodes": ["a", "b"], "at": 11.05, "seconds": 0.4}
    ]
    assert page.index("confirmed message &lt;lost&gt;") < page.index("Figures against the limits")
    assert page.index("<td>broker</td>") < page.index("<td>bank</td>")


def test_campaign_cut_short_is_not_good(tmp_path: Path) -> None:
    one = campaign(tmp_path / "one", verdicts=None, strikes=())
    with (one / "history" / "sql-0.jsonl").open("a") as file:
        file.write('{"workload": "ba')
    report.write(one)
    told, page = written(one)
    assert (told["ok"], told["campaigns"][0]["verdicts"], told["limits_reached"]) == (False, None, None)
    assert "not judged" in page


def test_strike_in_trouble_is_a_finding(tmp_path: Path) -> None:
    stuck = Strike(1, "freeze", Kind.CUT_OFF, ("a",), True, 10, 20, None, None, "galera is not Synced on a")
    report.write(campaign(tmp_path / "one", strikes=(stuck,), verdicts=None))
    told, page = written(tmp_path / "one")
    assert told["ok"] is False
    assert (told["faults"][0]["strikes"], told["faults"][0]["not_redundant"]) == (1, 1)
    assert page.index("galera is not Synced on a") < page.index("Figures against the limits")


def test_service_that_never_came_back_is_not_a_number_in_json(tmp_path: Path) -> None:
    history = [*steady(BANK, (0, 10)), bad(BANK, 39.0), *steady(Workload.PUBLISH, (0, 40))]
    found = report.write(campaign(tmp_path / "one", history=history))
    told, page = written(tmp_path / "one")
    row = next(row for row in told["table"] if (row["kind"], row["service"]) == ("power cut", "sql"))
    assert (row["worst"], row["open"], row["at_least"], row["reached"]) == (None, True, 29.0, False)
    assert told["limits_reached"] is False
    assert told["strikes"][0]["services"]["sql"]["longest_gap"] == 29.0
    assert "≥ 29.00 (still open)" in page
    assert "Infinity" not in (tmp_path / "one" / "report.json").read_text()
    assert "≥29.00" in shown(found)


def shown(found: Any, width: int = 250) -> str:
    out = StringIO()
    tables.show(found, Console(file=out, width=width))
    return out.getvalue()


def test_figures_for_the_documents_have_every_row_and_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = [*steady(BANK, (0, 10), (15, 40)), bad(BANK, 12.0, error="OperationalError 2013")]
    places = [campaign(tmp_path / "one"), campaign(tmp_path / "two", history=slow)]
    with pytest.raises(SystemExit) as ended:
        main(["chaos", "--report", *map(str, places), "--format", "rst"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    rows = re.split(r"^   \* - ", text, flags=re.MULTILINE)[1:]
    assert rows[0].split("\n     - ") == ["Fault", "SQL write", "publish", "queue.declare", "RPC call", "token\n"]
    assert len(rows) == 1 + len(LIMITS)
    assert all(row.count("\n     - ≤ ") == len(Service) for row in rows[1:])
    (cut,) = [row for row in rows if "power-cut-serving" in row]
    assert "- ≤ 4.5, seen 3.0 / 4.0 (2)" in cut
    assert "- ≤ 4, not run" in cut


def test_figure_over_its_limit_is_bold_in_the_documents() -> None:
    cells = {Service.SQL: figures.Cell((1.0, 5.0), 4.5), Service.TOKEN: figures.Cell((1.0, inf), 4.0, (7.0,))}
    table = {Kind.POWER_CUT: {service: cells.get(service, figures.Cell((), 1.0)) for service in Service}}
    text = rst.limits(SimpleNamespace(cells=table))  # type: ignore[arg-type]
    assert "- ≤ 4.5, seen **3.0 / 5.0** (2)" in text
    assert "- ≤ 4, seen **never / ≥ 7.0** (2)" in text


@pytest.mark.parametrize("width", [80, 120])
def test_terminal_tables(tmp_path: Path, width: int) -> None:
    text = shown(report.write(campaign(tmp_path / "one")), width)
    assert "2.00/2.00" in text
    assert "ok ≤ 4.5" in text
    assert "1 run, few" in text
    assert "1 power-cut  sql: 1 × OperationalError 2013" in text
    assert "longest gap outside of any strike: sql 0.00 s" in text


@pytest.mark.parametrize("width", [80, 120])
def test_terminal_tables_are_readable_whatever_is_in_them(tmp_path: Path, width: int) -> None:
    """No word is cut or folded: not with long names, figures of every length, and many kinds of errors."""
    names = max(catalogue.ALL, key=len), "kill-mariadbd"
    struck = [
        strike(10 + 300 * n, 20 + 300 * n, 250 + 300 * n, Kind.CUT_OFF, n + 1, name) for n, name in enumerate(names)
    ]
    kinds = [f"OperationalError {number}" for number in range(2000, 2020)]
    history = [bad(BANK, 12.0 + 0.1 * n, error=kind) for n, kind in enumerate(kinds)]
    for workload in (BANK, Workload.PUBLISH, Workload.DECLARE_CLASSIC, Workload.RPC, Workload.TOKEN_ISSUE):
        history += steady(workload, (0, 10), (150, 320), (345, 600))
    history += [*steady(BANK, (0, 330), process=1), bad(BANK, 600.0, process=1, began=599.0)]
    place = campaign(tmp_path / "one", history=history, strikes=tuple(struck))
    text = shown(report.write(place), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for word in (*kinds, *names, "139.0", "≥269.0", "240.0/240.0", "OVER ≤ 6", "cut off or", "stopped", "gracefully"):
        assert word in re.sub(r"\n {6}", " ", text), word


def test_several_campaigns_together(tmp_path: Path) -> None:
    places = [campaign(tmp_path / name) for name in ("one", "two")]
    found = report.write(places)
    told, page = written(tmp_path / "combined")
    assert found.cells[Kind.POWER_CUT][Service.SQL].values == (2.0, 2.0)
    assert [each["name"] for each in told["campaigns"]] == ["one", "two"]
    assert [each["campaign"] for each in told["strikes"]] == ["one", "two"]
    assert page.count('<svg class="chaos-timeline"') == 2
    assert sorted(path.name for path in (tmp_path / "combined").iterdir()) == [
        "report.html",
        "report.json",
        "timeline-0.svg",
        "timeline-1.svg",
    ]
    assert not (tmp_path / "one" / "report.json").exists()


def test_strikes_of_a_fault_are_runs_whichever_campaign_they_are_of_and_every_report_has_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    struck = tuple(strike(10 + 100 * n, 20 + 100 * n, 50 + 100 * n, number=n + 1) for n in range(3))
    history = steady(BANK, (0, 10), (13, 110), (114, 210), (215, 300))
    places = [campaign(tmp_path / name, history=history, strikes=struck) for name in ("one", "two")]
    found = report.write(places)
    cell = found.cells[Kind.POWER_CUT][Service.SQL]
    assert (cell.runs, cell.few, cell.median, cell.worst, cell.reached) == (6, False, 3.0, 4.0, True)
    told, _ = written(tmp_path / "combined")
    assert len(told["table"]) == len(Kind) * len(Service) - len(Service)
    for row in told["table"]:
        same = found.cells[Kind(row["kind"])][Service(row["service"])]
        assert [row[key] for key in ("runs", "median", "worst", "limit", "reached")] == [
            same.runs,
            same.median,
            same.worst,
            same.limit,
            same.reached,
        ]
    assert "3.00/4.00" in shown(found, 80)
    assert ended(["chaos", "--report", *map(str, places)]) == 0
    assert "3.00/4.00" in capsys.readouterr().out


@pytest.mark.parametrize(("back", "status"), [(15, 0), (16, 1), (39, 1)])
def test_a_figure_over_its_limit_is_told_by_the_exit_status(tmp_path: Path, back: int, status: int) -> None:
    """The limit is 4.5 s; the usual second is no part of the figure."""
    place = campaign(tmp_path / "one", history=steady(BANK, (0, 10), (back, 40)))
    assert ended(["chaos", "--report", str(place), "--format", "json"]) == status
    assert written(place)[0]["ok"]


def ended(arguments: list[str]) -> object:
    with pytest.raises(SystemExit) as told:
        main(arguments)
    return told.value.code


def test_where_there_is_no_campaign(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no campaign"):
        report.write(tmp_path)
    with pytest.raises(UsageError, match="no campaign to report on"):
        report.write([])
    one = campaign(tmp_path / "one")
    (one / "strikes.jsonl").write_text('{"number": 1}\n')
    with pytest.raises(UsageError, match="not as a campaign leaves it"):
        report.write(one)


def test_every_key_of_the_document_is_described(tmp_path: Path) -> None:
    report.write(campaign(tmp_path / "one", overlaps=(Overlap("x", ("a",), 1.0, 2.0),)))
    told, _ = written(tmp_path / "one")
    page = (paths.CHECKOUT / "docs" / "chaos.rst").read_text()
    plain = {"services", "workloads", "outside", "outcomes", "settings", "versions", "counts", "errors"}

    def keys(value: Any) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(keys, value))
        if not isinstance(value, dict):
            return set()
        return set(value).union(*(keys(item) for key, item in value.items() if key not in plain or key == "services"))

    named = {service.value for service in Service}
    assert {key for key in keys(told) - named if f"``{key}``" not in page} == set()
