"""What is deleted leaves the databases: which command is run for it, with which age, and by whom."""

import shutil
from pathlib import Path

import pytest

from tripleo_ha import paths, table
from tripleo_ha.metadata import generate
from tripleo_ha.metadata.generate import Description, numbered
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.node import preview
from tripleo_ha.run import run
from tripleo_ha.table import Program

FULL = generate.profile("full")
ROWS = {row.service: row for row in table.load()}
NOW = "2026-03-15 23:59:00 UTC"
AODH = "OS_DATABASE__ALARM_HISTORY_TIME_TO_LIVE"
KEPT = {"aodh": "keep_history_days"}
WANTED = {
    "aodh": f"aodh-expirer {30 * 24 * 3600}",
    "cinder": "cinder-manage db purge 30",
    "glance": "glance-manage db purge --age_in_days=30 --max_rows=-1",
    "heat": "heat-manage purge_deleted 30",
    "keystone": "keystone-manage trust_flush --date 13-02-2026",
    "nova": "nova-manage db archive_deleted_rows --all-cells --until-complete --purge --before 2026-02-13",
}


def program(service: str) -> Program:
    (unit,) = [unit for unit in ROWS[service].units if unit.name == f"{service}-purge.timer"]
    assert unit.program
    assert unit.timer
    assert unit.timer.every_s == 24 * 3600
    return unit.program


def told(service: str, tmp_path: Path, date: str, **overrides: object) -> tuple[str, int]:
    """Run a service's purge with commands that do nothing but tell their arguments; return these and the status.

    :param date: the shell program that stands for ``date``.
    """
    description = Description(numbered(3), services=FULL, overrides=overrides)
    (document, *_) = generate.generate(description, Passwords({}).completed(FULL)).values()
    files = preview.files(paths.elements(), preview.accepted(document, tuple(ROWS.values())), tuple(ROWS.values()))
    *shell, path = program(service).command
    (tmp_path / "purge").write_bytes(files[path].body)
    programs = tmp_path / "bin"
    programs.mkdir()
    command, *_ = WANTED[service].split()
    for name, text in {command: f'echo "${{0##*/}} $*${{{AODH}:-}}"', "date": date}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    done = run([*shell, str(tmp_path / "purge")], timeout=30, env={"PATH": str(programs)}, check=False)
    return done.stdout.strip(), done.returncode


def on(day: str) -> str:
    """Return a ``date`` that counts from ``day``."""
    real = shutil.which("date")
    # The relative part is the third argument: -u -d "30 days ago" +FORMAT.
    return f'exec {real} -u -d "{day} $3" "$4"'


@pytest.mark.parametrize("service", WANTED)
def test_what_was_deleted_a_month_ago_leaves_the_database(service: str, tmp_path: Path) -> None:
    assert told(service, tmp_path, on(NOW)) == (WANTED[service], 0)


@pytest.mark.parametrize("service", WANTED)
def test_nothing_is_purged_where_all_is_to_be_kept(service: str, tmp_path: Path) -> None:
    assert told(service, tmp_path, on(NOW), **{service: {KEPT.get(service, "keep_deleted_days"): 0}}) == ("", 0)


def test_nothing_is_purged_when_the_day_is_not_known(tmp_path: Path) -> None:
    said, status = told("nova", tmp_path, "exit 1")
    assert (said, status != 0) == ("", True)


@pytest.mark.parametrize("service", WANTED)
def test_it_is_done_by_who_owns_the_service(service: str) -> None:
    (user,) = {database.user for database in ROWS[service].databases}
    assert program(service).user == user
