"""One-time work that waits for every controller, and the record of it, which no service sees."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tripleo_ha import cluster, table
from tripleo_ha.errors import Failure
from tripleo_ha.node import evidence, rolling, service, settling, sql
from tripleo_ha.node.context import Context
from tripleo_ha.run import CommandFailed
from tripleo_ha.table import Once, Row

NODES = [{"name": f"n{i}", "ip": f"192.0.2.1{i}"} for i in range(3)]
WORK = Once("online", {"recorded": {"database": "placement", "distribution": "some_thing"}}, ("do",), when="everywhere")
ROW = Row("placement", "placement_api", "", once=(WORK,))


def context(me: int = 2) -> Context:
    metadata = {"cluster": {"name": "c", "nodes": NODES, "virtual_ips": {}}, "node": {"name": f"n{me}"}}
    return Context(metadata, cluster.from_metadata(metadata), (ROW,))


class Database:
    """Enough of MariaDB for the table of records and those that earlier images left."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.records: dict[tuple[str, ...], str] = {}
        self.former: list[str] = []

    def query(self, _: object, statement: str, parameters: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        verb, *words = statement.split()
        if "information_schema.tables" in words:
            assert parameters == ("tripleo_ha_once",)
            return [(schema,) for schema in self.former]
        if verb == "DROP":
            self.former.remove(words[1].removesuffix(".tripleo_ha_once").strip("`"))
        elif verb == "CREATE":
            self.made.append(" ".join(words[:5]))
        elif verb in ("SELECT", "DELETE", "REPLACE"):
            assert "tripleo_ha.once" in words
            if len(self.made) < 2:
                raise pymysql.err.ProgrammingError(1146, "no such table")
            if verb == "SELECT":
                return [(self.records[parameters],)] if parameters in self.records else []
            if verb == "DELETE":
                self.records = {key: version for key, version in self.records.items() if key[0] != parameters[0]}
            else:
                self.records[parameters[:2]] = parameters[2]
        return []


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Database:
    known = Database()

    @contextmanager
    def root() -> Iterator[None]:
        yield None

    monkeypatch.setattr(sql, "root", root)
    monkeypatch.setattr(sql, "query", known.query)
    monkeypatch.setattr(evidence, "DIST_PACKAGES", tmp_path)
    (tmp_path / "some_thing-13.0.0.egg-info").mkdir()
    (tmp_path / "some_thing_else-1.0.egg-info").mkdir()
    return known


@pytest.fixture(autouse=True)
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    done: list[list[str]] = []
    monkeypatch.setattr(service, "run", lambda argv, **_: done.append(argv))
    monkeypatch.setattr(rolling, "all_done", lambda _: True)
    monkeypatch.setattr(rolling, "same_image", lambda _: True)
    return done


def test_it_is_done_once_for_each_version(ran: list[list[str]], database: Database, tmp_path: Path) -> None:
    settling.finish(context())
    settling.finish(context())
    assert (ran, database.records) == ([["do"]], {("placement", "online"): "13.0.0"})
    assert database.made == ["DATABASE IF NOT EXISTS tripleo_ha", "TABLE IF NOT EXISTS tripleo_ha.once"]
    (tmp_path / "some_thing-13.0.0.egg-info").rename(tmp_path / "some_thing-14.0.0.dist-info")
    settling.finish(context())
    assert (len(ran), database.records) == (2, {("placement", "online"): "14.0.0"})


def test_a_schema_that_is_migrated_again_has_its_records_no_more(
    ran: list[list[str]], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    settling.finish(context())
    database.records["nova", "online"] = "30.0.0"
    schema = Once("schema", {"alembic": {"database": "placement", "versions": ""}}, ("sync",))
    held = iter([False, True])
    with monkeypatch.context() as dropped:
        dropped.setattr(evidence, "holds", lambda *_: next(held))
        dropped.setattr(evidence, "discard_half_done", lambda _: False)
        dropped.setattr(service, "await_members", lambda _: None)
        service.do_once(context(0), Row("placement", "placement_api", "", once=(schema,)), "stopped")
    assert database.records == {("nova", "online"): "30.0.0"}
    settling.finish(context())
    assert ran == [["do"], ["sync"], ["do"]]


def test_each_schema_of_which_something_is_recorded_is_migrated_by_a_row() -> None:
    works = [work.evidence for row in table.load() for work in row.once]
    recorded, migrated = (
        {work[kind]["database"] for work in works if kind in work} for kind in ("recorded", "alembic")
    )
    assert recorded
    assert recorded <= migrated


def test_records_of_earlier_images_are_dropped_once_no_controller_reads_them(
    ran: list[list[str]], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.former = ["glance", "placement"]
    with monkeypatch.context() as upgrade:
        upgrade.setattr(rolling, "same_image", lambda _: False)
        upgrade.setattr(rolling, "TURN_TIMEOUT", 0.0)
        settling.finish(context())
    assert (database.former, ran) == (["glance", "placement"], [])
    settling.finish(context())
    assert (database.former, ran) == ([], [["do"]])
    # One that went back to an earlier image meanwhile.
    database.former = ["placement"]
    settling.finish(context())
    assert (database.former, ran) == ([], [["do"]])


@pytest.mark.parametrize("me", [0, 1])
def test_only_the_last_controller_does_it(me: int, ran: list[list[str]]) -> None:
    settling.finish(context(me))
    assert ran == []


@pytest.mark.parametrize("lacking", ["all_done", "same_image"])
def test_it_waits_for_every_controller(lacking: str, ran: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling, lacking, lambda _: False)
    monkeypatch.setattr(rolling, "TURN_TIMEOUT", 0.0)
    settling.finish(context())
    assert ran == []


def test_what_fails_is_not_recorded_and_fails_nothing(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    def refuse(argv: list[str], **_: object) -> None:
        raise Failure("exit 2")

    monkeypatch.setattr(service, "run", refuse)
    settling.finish(context())
    assert database.records == {}
    assert issubclass(CommandFailed, Failure)


def test_a_distribution_that_is_not_there_is_told() -> None:
    with pytest.raises(Failure, match=r"no distribution some$"):
        evidence.version_of("some")


def test_controllers_with_another_image_are_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(rolling.paths, "IMAGE_SHARE", tmp_path)
    (tmp_path / "image.json").write_text('{"id": "new"}')
    images = {"n0": "new", "n1": "old"}
    monkeypatch.setattr(Context, "peer", lambda self, node: {"published": {"controller": {"image": images[node.name]}}})
    here = context()
    assert not rolling.same_image(here)
    assert [rolling.another_image(here, node) for node in here.cluster.nodes[:2]] == [False, True]
    images["n1"] = "new"
    assert rolling.same_image(here)
    assert not rolling.another_image(here, here.cluster.nodes[1])
    monkeypatch.setattr(Context, "peer", lambda self, node: None)
    assert not rolling.same_image(here)
    assert not rolling.another_image(here, here.cluster.nodes[1])


def test_a_revision_that_another_depends_on_is_no_head() -> None:
    history = [
        "revision = 'expand1'\ndown_revision = None\n",
        "revision = 'contract1'\ndown_revision = None\ndepends_on = 'expand1'\n",
        "revision = 'expand2'\ndown_revision = 'expand1'\ndepends_on = None\n",
    ]
    assert evidence.heads(history) == {"contract1", "expand2"}
    last = "revision = 'contract2'\ndown_revision = 'contract1'\ndepends_on = ('expand2',)\n"
    assert evidence.heads([*history, last]) == {"contract2"}


@pytest.mark.parametrize(("found", "held"), [([(1,)], True), ([], False), (None, False)])
def test_a_table_that_the_work_fills_is_evidence(
    monkeypatch: pytest.MonkeyPatch, found: list[tuple[int]] | None, held: bool
) -> None:
    asked = []

    def query(_: object, statement: str, __: object) -> list[tuple[int]]:
        asked.append(statement)
        if found is None:
            raise pymysql.err.ProgrammingError(1146, "no such table")
        return found

    monkeypatch.setattr(sql, "query", query)
    work = Once("storage", {"rows": {"database": "gnocchi", "table": "archive_policy"}}, ("do",))
    assert evidence.holds(context(), work) is held
    assert asked == ["SELECT 1 FROM `gnocchi`.`archive_policy` LIMIT 1"]
