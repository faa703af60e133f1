"""Campaigns of faults under load: nothing is lost, nobody is called, and the checker would have seen it."""

import json
import secrets
import shutil
import signal
from math import inf
from pathlib import Path
from typing import Any

import pytest
from beds import DEVTEST, REPORTS, Summary, assert_good

from tripleo_ha.chaos.model import Kind
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.run import CommandFailed, run, start
from tripleo_ha.verify.runner import Target
from tripleo_ha.waiting import wait_for

CHAOS = (DEVTEST[0], "chaos")
EVERY_KIND = "kill-mariadbd,reboot-serving,power-cut-serving,cut-off-serving,outage-at-once"
"""A short campaign: each kind of the table of figures."""
LONG_MINUTES = 15
END_S = 1200.0
"""What a campaign may take for its last strike, its last reads and its report."""


def directory_of(name: str) -> Path:
    """Return an empty place for a campaign that stays when the test is over."""
    directory = REPORTS / "chaos" / name
    shutil.rmtree(directory, ignore_errors=True)
    return directory


def chaos(bed: Bed, directory: Path, *arguments: str, timeout: float = END_S) -> dict[str, Any]:
    """Run a campaign as a user does, and return its report.

    :raises CommandFailed: it found something, or could not run.
    """
    log = REPORTS / f"chaos-{directory.name}.log"
    log.unlink(missing_ok=True)
    argv = [*CHAOS, "--state", str(bed.state), "--directory", str(directory), *arguments]
    run(argv, timeout=timeout, log=log)
    report = directory / "report.json"
    return dict(json.loads(report.read_text())) if report.exists() else {}


def told(summary: Summary, report: dict[str, Any]) -> None:
    """Print the worst of each figure that was measured."""
    for kind in Kind:
        cells = [cell for cell in report["table"] if cell["kind"] == kind and cell["runs"]]
        worst = ", ".join(f"{cell['service']} {cell['worst'] or inf:.1f} s (limit {cell['limit']:g})" for cell in cells)
        if worst:
            summary.tell(f"chaos, {kind}, {cells[0]['runs']} times", worst)


def test_a_campaign_loses_nothing_and_needs_nobody(
    target: Target, bed: Bed, summary: Summary, pytestconfig: pytest.Config
) -> None:
    assert_good(target)
    seed = secrets.randbelow(100_000)
    what = ["--faults", EVERY_KIND]
    if pytestconfig.getoption("--long"):
        what = ["--budget", str(LONG_MINUTES)]
    summary.tell("chaos", f"tripleo-ha chaos {' '.join(what)} --seed {seed}")
    report = chaos(bed, directory_of("campaign"), *what, "--seed", str(seed), timeout=LONG_MINUTES * 60 + END_S)
    told(summary, report)
    assert report["ok"]
    assert {strike["kind"] for strike in report["strikes"]} >= set(Kind) - {Kind.OTHER}
    assert {verdict["checker"] for verdict in report["campaigns"][0]["verdicts"]} >= {
        "strikes",
        "once",
        "list-append",
        "bank",
        "agreement",
        "broker",
        "rpc",
        "tokens",
    }


def test_lost_updates_are_found_where_they_happen(target: Target, bed: Bed, summary: Summary) -> None:
    """READ COMMITTED loses updates of what clients compute; a checker that stays silent there proves nothing."""
    assert_good(target)
    directory = directory_of("control")
    chaos(bed, directory, "--control", "--seed", "1", timeout=600)
    summary.tell("chaos, positive control", (directory / "chaos.log").read_text().strip().rpartition("control: ")[2])


@pytest.mark.long
def test_ctrl_c_heals_and_still_checks_what_was_done(target: Target, bed: Bed) -> None:
    assert_good(target)
    directory = directory_of("interrupted")
    argv = [*CHAOS, "--state", str(bed.state), "--directory", str(directory), "--clients", "sql"]
    campaign = start(
        [*argv, "--faults", "power-cut-other", "--seed", "1"], input="", log=REPORTS / "chaos-interrupted.log"
    )
    try:
        off = [node.name for node in bed.nodes]
        wait_for("a node to lose its power", lambda: not all(map(bed.running, off)), timeout=300, interval=0.1)
        campaign.send_signal(signal.SIGINT)
        wait_for("the campaign to end", lambda: campaign.poll() is not None, timeout=600)
    finally:
        campaign.kill()
    assert campaign.returncode == 130
    assert all(map(bed.running, off))
    report = json.loads((directory / "report.json").read_text())
    assert report["ok"]
    assert len(report["strikes"]) == 1
    assert_good(target)


def test_a_campaign_that_is_called_wrongly_touches_nothing(bed: Bed, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="exit status 2"):
        chaos(bed, tmp_path / "none", "--faults", "kill-nobody")
    assert not (tmp_path / "none").exists()
