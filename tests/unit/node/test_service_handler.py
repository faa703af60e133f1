"""The general handler's parts that need no machine."""

import contextlib
import copy
import getpass
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tripleo_ha import cluster, paths, table
from tripleo_ha.errors import TimedOut
from tripleo_ha.node import applied, evidence, image, rolling, service, sql, units
from tripleo_ha.node.context import Context
from tripleo_ha.table import Once, Program, Row, State, Timer, Unit

NODES = [{"name": f"n{i}", "ip": f"192.0.2.1{i}"} for i in range(3)]
METADATA = {
    "cluster": {"name": "c", "nodes": NODES, "virtual_ips": {}},
    "node": {"name": "n1"},
    "keystone": {"region": "one", "keys": [{"index": 0, "key": "staged"}, {"index": 2, "key": "primary"}]},
    "derived": {"urls": {"keystone": {"control": "http://192.0.2.10:5000"}}},
}


@pytest.fixture
def context() -> Context:
    return Context(copy.deepcopy(METADATA), cluster.from_metadata(METADATA), ())


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "RUNTIME", tmp_path / "run")
    return tmp_path / "run"


def test_keys_follow_the_metadata_and_a_second_time_nothing_changes(context: Context, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "1").write_text("retired")
    row = Row("k", "k", "", keys={str(keys): "keystone.keys"}, keys_owner=getpass.getuser())
    service.write_keys(context, row)
    assert {file.name: file.read_text() for file in keys.iterdir()} == {"0": "staged", "2": "primary"}
    assert {file.stat().st_mode & 0o777 for file in keys.iterdir()} == {0o600}
    assert len(context.changes) == 1
    service.write_keys(context, row)
    assert len(context.changes) == 1


def test_a_key_that_was_staged_is_primary_before_another_is_staged_in_its_place(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(service, "write_file", lambda file, *_, **__: bool(order.append(file.name)))
    context.metadata["keystone"]["keys"] = [{"index": index, "key": ""} for index in (0, 9, 10)]
    service.write_keys(context, Row("k", "k", "", keys={str(tmp_path): "keystone.keys"}, keys_owner=getpass.getuser()))
    assert order == ["10", "9", "0"]


def test_systemd_reads_a_timer_again_when_its_interval_changes_and_only_then(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sequence[str]] = []
    monkeypatch.setattr(service, "run", lambda argv, **_: asked.append(argv))
    monkeypatch.setattr(table, "UNITS", str(tmp_path))
    row = Row("k", "keystone", "", units=(Unit("k.timer", program=Program(("k",), "k"), timer=Timer("every_s")),))
    for seconds in (100, 100, 300):
        context.metadata["keystone"]["every_s"] = seconds
        service.write_timers(context, row)
    assert asked == [["systemctl", "daemon-reload"]] * 2
    assert "\nOnUnitInactiveSec=150\n" in (tmp_path / "k.timer").read_text()


def test_arguments_are_filled_from_the_metadata() -> None:
    filled = service.fill("--url={derived.urls.keystone.control}/v3/{keystone.region}", METADATA)
    assert filled == "--url=http://192.0.2.10:5000/v3/one"
    assert service.fill("{{scheme}}://{{username}}@{keystone.region}", METADATA) == "{scheme}://{username}@one"


def migration(revision: str, below: str) -> str:
    return f'"""{revision}"""\nfrom alembic import op\nrevision = {revision!r}\ndown_revision = {below}\n'


def test_heads_are_what_nothing_builds_upon() -> None:
    history = [migration("a", "None"), migration("b", "'a'"), migration("c", "'a'"), "import nothing\n"]
    assert evidence.heads(history) == {"b", "c"}
    assert evidence.heads([*history, migration("d", "('b', 'c')")]) == {"d"}


def test_django_has_recorded_all_that_the_package_ships(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "sessions/migrations"
    shipped.mkdir(parents=True)
    for name in ("__init__", "0001_initial"):
        (shipped / f"{name}.py").touch()
    recorded = [("0001_initial",)]
    monkeypatch.setattr(evidence, "DIST_PACKAGES", tmp_path)
    monkeypatch.setattr(sql, "root", contextlib.nullcontext)
    monkeypatch.setattr(sql, "query", lambda connection, asked, parameters: recorded)
    wanted = {"database": "web", "app": "sessions", "migrations": "sessions/migrations"}
    work = Once("schema", {"django": wanted}, ("migrate",))
    assert evidence.holds(context, work)
    (shipped / "0002_more.py").touch()
    assert not evidence.holds(context, work)
    recorded.append(("0002_more",))
    assert evidence.holds(context, work)

    def missing(*_: object) -> None:
        raise pymysql.err.ProgrammingError(1146, "no such table")

    monkeypatch.setattr(sql, "query", missing)
    assert not evidence.holds(context, work)


def test_generation_is_the_same_on_all_nodes_and_differs_by_value() -> None:
    on_another = {**METADATA, "node": {"name": "n2"}, "derived": {}}
    assert rolling.of_controller(METADATA) == rolling.of_controller(on_another)
    assert rolling.of_controller(METADATA) != rolling.of_controller({**METADATA, "keystone": {}})


def told(ok: bool | None = True, metadata: dict[str, object] = METADATA) -> dict[str, object]:
    return {"published": {"controller": {"generation": rolling.of_controller(metadata), "ok": ok}}}


def test_a_node_waits_for_those_before_it_only(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def peer(self: Context, node: cluster.Node, timeout: float = 2.0) -> dict[str, object]:
        asked.append(node.name)
        return told()

    monkeypatch.setattr(Context, "peer", peer)
    rolling.wait_turn(context, Row("keystone", "keystone", ""))
    assert asked == ["n0"]


@pytest.mark.parametrize(
    "answer", [None, {"published": {}}, told(ok=None), told(metadata={**METADATA, "keystone": {}})]
)
def test_a_wait_for_a_node_that_is_not_done_ends_and_names_it(
    context: Context, monkeypatch: pytest.MonkeyPatch, answer: dict[str, object] | None
) -> None:
    monkeypatch.setattr(Context, "peer", lambda self, node, timeout=2.0: answer)
    with pytest.raises(TimedOut, match="waited 0 s for n0 to run the new configuration"):
        rolling.wait_turn(context, Row("keystone", "keystone", ""), timeout=0)
    assert not rolling.is_my_turn(context)


def test_a_node_that_failed_stops_those_after_it_at_once(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Context, "peer", lambda self, node, timeout=2.0: told(ok=False))
    with pytest.raises(rolling.Stopped, match="keystone keeps its configuration here, since n0 failed"):
        rolling.wait_turn(context, Row("keystone", "keystone", ""))
    assert not rolling.is_my_turn(context)


def test_a_node_that_is_done_but_ill_is_waited_for(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Context, "peer", lambda self, node, timeout=2.0: told())
    with pytest.raises(TimedOut):
        rolling.wait_turn(context, Row("k", "k", ""), healthy=lambda told: False, timeout=0)
    with pytest.raises(TimedOut, match="k on n0 to be well before it stops here"):
        rolling.wait_for_all(context, Row("k", "k", ""), lambda told: False, timeout=0)


def test_a_new_run_takes_a_failure_back_and_leaves_a_success(context: Context) -> None:
    wanted = rolling.of_controller(METADATA)
    for before, after in ((False, None), (True, True)):
        context.publish(rolling.CONTROLLER, generation=wanted, ok=before)
        rolling.announce(context)
        assert context.published()[rolling.CONTROLLER]["ok"] is after


def test_a_run_that_begins_tells_its_image(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling, "image", lambda: "mine")
    rolling.announce(context)
    assert context.published()[rolling.CONTROLLER]["image"] == "mine"


def test_files_hold_what_runs_until_the_turn_has_come(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, row = tmp_path / "conf", Row("x", "x", "")
    unit = Unit("x.service", files=(str(file),))
    file.write_text("old")
    file.chmod(0o640)
    seen: list[str] = []
    active = [False]
    monkeypatch.setattr(units, "is_active", lambda name: active[0])
    monkeypatch.setattr(units, "start", lambda name: seen.append(f"started with {file.read_text()}"))
    monkeypatch.setattr(units, "restart", lambda name: seen.append(f"restarted with {file.read_text()}"))
    monkeypatch.setattr(units, "properties", lambda name, *wanted: {"InvocationID": "1"})
    units.ensure(context, row, unit)
    active[0] = True
    file.write_text("new")

    def not_yet() -> None:
        seen.append(f"waits with {file.read_text()}")
        raise TimedOut("not yet")

    with pytest.raises(TimedOut):
        units.ensure(context, row, unit, before_restart=not_yet)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("old", 0o640)
    file.write_text("new")
    active[0] = False
    with pytest.raises(units.Waiting):
        units.ensure(context, row, unit, is_my_turn=lambda: False)
    file.write_text("new")
    active[0] = True
    units.ensure(context, row, unit, before_restart=lambda: seen.append(f"waits with {file.read_text()}"))
    assert seen == ["started with old", "waits with old", "started with old", "waits with old", "restarted with new"]
    assert units.ensure(context, row, unit) == "unchanged"


def test_a_digest_follows_content_not_time(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("1")
    first = units.digest([str(file)])
    os.utime(file, (1, 1))
    assert units.digest([str(file)]) == first
    file.write_text("2")
    assert units.digest([str(file)]) != first
    file.unlink()
    assert units.digest([str(file)]) not in (first, units.digest([]))


@pytest.mark.parametrize(
    ("active", "applied", "wanted_outcome"),
    [(False, None, "started"), (True, "same", "unchanged"), (True, "old", "restarted")],
)
def test_ensure(
    context: Context,
    runtime: Path,
    monkeypatch: pytest.MonkeyPatch,
    active: bool,
    applied: str | None,
    wanted_outcome: str,
) -> None:
    done: list[str] = []
    unit = Unit("x.service", files=("/nonexistent",))
    monkeypatch.setattr(units, "is_active", lambda name: active)
    monkeypatch.setattr(units, "start", lambda name: done.append("started"))
    monkeypatch.setattr(units, "restart", lambda name: done.append("restarted"))
    monkeypatch.setattr(units, "properties", lambda name, *wanted: {"InvocationID": "1"})
    if applied:
        record = runtime / "applied" / "x.service.json"
        record.parent.mkdir(parents=True)
        digest = units.digest(unit.files) if applied == "same" else "old"
        record.write_text(f'{{"digest": "{digest}"}}')
    turn: list[str] = []
    outcome = units.ensure(context, Row("x", "x", ""), unit, before_restart=lambda: turn.append("waited"))
    assert outcome == wanted_outcome
    assert done == ([] if outcome == "unchanged" else [outcome])
    assert turn == (["waited"] if outcome == "restarted" else [])
    assert units.ensure(context, Row("x", "x", ""), unit) == ("started" if not active else "unchanged")


@pytest.mark.parametrize(("at", "next_time"), [("clients leave", "restarted"), ("restarted", "unchanged")])
def test_a_run_that_is_killed_leaves_no_process_with_what_it_had(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, next_time: str
) -> None:
    file, row = tmp_path / "conf", Row("x", "x", "")
    unit = Unit("x.service", files=(str(file),))
    file.write_text("old")
    applied.note(unit)
    file.write_text("new")
    ran = ["old"]

    def restart(name: str) -> None:
        ran.append(file.read_text())

    def killed(name: str) -> None:
        if at == "restarted":
            restart(name)
        raise SystemExit

    monkeypatch.setattr(units, "is_active", lambda name: True)
    monkeypatch.setattr(units, "properties", lambda name, *wanted: {"InvocationID": str(len(ran))})
    monkeypatch.setattr(units, "restart", killed)
    with pytest.raises(SystemExit):
        units.ensure(context, row, unit)
    monkeypatch.setattr(units, "restart", restart)
    assert units.ensure(context, row, unit) == next_time
    assert ran == ["old", "new"]
    assert units.ensure(context, row, unit) == "unchanged"


def test_state_is_made_at_boot_and_mended_where_one_user_owns_it() -> None:
    text = image.tmpfiles([State("/var/lib/a", "a", "b"), State("/var/lib/r", "root", "root", "0755")])
    assert "d /mnt/state/var/lib/a 0750 a b -\nZ /mnt/state/var/lib/a - a b -\n" in text
    assert "d /mnt/state/var/lib/r 0755 root root -" in text
    assert "Z /mnt/state/var/lib/r" not in text


def test_what_a_package_left_gives_way_to_the_state_volume(tmp_path: Path) -> None:
    left = tmp_path / "mysql"
    left.mkdir()
    (left / "ibdata1").write_text("x")
    image.move_to_state_volume(left)
    image.move_to_state_volume(left)
    assert left.is_symlink()
    assert str(left.readlink()) == f"/mnt/state{left}"


def test_a_row_of_a_table_is_evidence(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []

    def query(_: object, statement: str, parameters: Any) -> list[tuple[Any, ...]]:
        asked.append((statement, parameters))
        if "cells" not in statement:
            raise pymysql.err.ProgrammingError(1146, "no such table")
        return [(1,)] if parameters == ("one", 2) else []

    monkeypatch.setattr(sql, "root", contextlib.nullcontext)
    monkeypatch.setattr(sql, "query", query)

    def holds(table: str, **where: Any) -> bool:
        work = Once("map", {"rows": {"database": "api", "table": table, "where": where}}, ("do",))
        return evidence.holds(context, work)

    assert holds("cells", name="one", disabled=2)
    assert asked == [("SELECT 1 FROM `api`.`cells` WHERE `name` = %s AND `disabled` = %s LIMIT 1", ("one", 2))]
    assert not holds("cells", name="two", disabled=2)
    assert not holds("nothing", name="one")


@pytest.mark.parametrize(
    ("new", "order"),
    [
        (True, ["stopped", "user", "started", "running", "answers", "catalogue"]),
        (False, ["stopped", "started", "answers", "running", "user", "catalogue"]),
    ],
)
def test_keystone_knows_a_user_before_its_programs_start_for_the_first_time(
    context: Context, monkeypatch: pytest.MonkeyPatch, new: bool, order: list[str]
) -> None:
    done: list[str] = []

    def once(context: Context, row: Row, when: str) -> bool:
        done.append(when)
        return new

    def step(name: str, returns: str = "") -> Any:
        return lambda *told, **options: [done.append(name), returns][1]

    for name in ("write_keys", "write_timers"):
        monkeypatch.setattr(service, name, lambda *told: None)
    monkeypatch.setattr(service, "do_once", once)
    monkeypatch.setattr(service.units, "ensure", step("started", "started"))
    monkeypatch.setattr(service, "wait_for_answers", step("answers"))
    monkeypatch.setattr(service.identity, "ensure", step("user"))
    monkeypatch.setattr(service.identity, "register", step("catalogue"))
    service.converge(context, Row("glance", "glance", "", units=(Unit("glance-api.service"),)))
    assert done == order
