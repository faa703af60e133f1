"""Evidence that one-time work is done: asked of the cluster itself, never of a marker file."""

import ast
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tripleo_ha.errors import Failure
from tripleo_ha.node import identity
from tripleo_ha.node.context import Context
from tripleo_ha.table import Once

DIST_PACKAGES = Path("/usr/lib/python3/dist-packages")
SCHEMA = "tripleo_ha"
"""The project's own: ``nova-manage db archive_deleted_rows`` fails on a table in Nova's that is not Nova's."""
RECORDS = f"{SCHEMA}.once"
"""The table of work that leaves nothing else to see."""
FORMER_RECORDS = "tripleo_ha_once"
"""The table, in a service's own schema, where earlier images kept such records."""


def holds(context: Context, work: Once) -> bool:
    """Tell whether a piece of one-time work has been done.

    :raises Failure: the row asks for a kind of evidence that does not exist.
    """
    if alembic := work.evidence.get("alembic"):
        return _migrated(alembic)
    if token := work.evidence.get("token"):
        from tripleo_ha.node.service import lookup

        password = str(lookup(context.metadata, token["password"]))
        return identity.knows(context, token["user"], password, token["project"])
    if recorded := work.evidence.get("recorded"):
        return _recorded(work.name, recorded["database"]) == version_of(recorded["distribution"])
    if rows := work.evidence.get("rows"):
        return _present(rows)
    if django := work.evidence.get("django"):
        return _django_migrated(django)
    kinds = "one of alembic, django, recorded, rows, token"
    raise Failure(f"{work.name}: no such evidence: {', '.join(work.evidence)}", kinds)


def record(work: Once) -> None:
    """Note that this work was done, and with which version; :func:`forget` says how long that counts.

    Only for evidence of the kind ``recorded``; nothing happens for other kinds, which see for themselves.
    """
    from tripleo_ha.node import sql

    if (recorded := work.evidence.get("recorded")) is None:
        return
    database = recorded["database"]
    with sql.root() as connection:
        if not _recorded(work.name, database):
            columns = "schema_name VARCHAR(64), name VARCHAR(64), version VARCHAR(64) NOT NULL"
            sql.query(connection, f"CREATE DATABASE IF NOT EXISTS {SCHEMA} CHARACTER SET utf8mb4")
            sql.query(connection, f"CREATE TABLE IF NOT EXISTS {RECORDS} ({columns}, PRIMARY KEY (schema_name, name))")
        values = (database, work.name, version_of(recorded["distribution"]))
        sql.query(connection, f"REPLACE INTO {RECORDS} VALUES (%s, %s, %s)", values)  # noqa: S608


def forget(database: str) -> None:
    """Drop the records of a schema that is about to be migrated: it is new, or holds the data of an earlier release."""
    _rows(f"DELETE FROM {RECORDS} WHERE schema_name = %s", (database,))  # noqa: S608


def _recorded(name: str, database: str) -> str:
    asked = f"SELECT version FROM {RECORDS} WHERE schema_name = %s AND name = %s"  # noqa: S608
    found = _rows(asked, (database, name))
    return str(found[0][0]) if found else ""


def with_former_records() -> list[str]:
    """Return the schemas in which an earlier image has left its table of records."""
    asked = "SELECT table_schema FROM information_schema.tables WHERE table_name = %s"
    return [str(schema) for (schema,) in _rows(asked, (FORMER_RECORDS,))]


def drop_former_records(schemas: Iterable[str]) -> None:
    """Drop the tables of records that an earlier image has left; while a node runs one, it looks for them there."""
    from tripleo_ha.node import sql

    with sql.root() as connection:
        for schema in schemas:
            sql.query(connection, f"DROP TABLE `{schema}`.{FORMER_RECORDS}")


def _present(wanted: Mapping[str, Any]) -> bool:
    """Tell whether a table has any row, or one with the values of ``where``."""
    where: Mapping[str, Any] = wanted.get("where", {})
    condition = " WHERE " + " AND ".join(f"`{column}` = %s" for column in where) if where else ""
    asked = f"SELECT 1 FROM `{wanted['database']}`.`{wanted['table']}`{condition} LIMIT 1"  # noqa: S608
    return bool(_rows(asked, tuple(where.values())))


def _rows(asked: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return what a statement finds, which is nothing where there is no such table, or no such schema."""
    import pymysql

    from tripleo_ha.node import sql

    try:
        with sql.root() as connection:
            return sql.query(connection, asked, parameters)
    except pymysql.err.ProgrammingError:
        return []


def version_of(distribution: str) -> str:
    """Return the version of a Python distribution that a package installed.

    :raises Failure: it is not installed.
    """
    for directory in DIST_PACKAGES.glob(f"{distribution}-*.*-info"):
        return directory.stem.removeprefix(f"{distribution}-")
    raise Failure(f"{DIST_PACKAGES} has no distribution {distribution}")


def discard_half_done(work: Once) -> bool:
    """Empty a schema whose very first migration was cut short, and return whether it was.

    MariaDB's DDL is not transactional: Alembic would find tables that it is about to create. While no revision has
    been recorded no service has ever been started on the schema, so nothing is lost.
    """
    from tripleo_ha.node import sql

    alembic = work.evidence.get("alembic")
    if alembic is None or _revisions(alembic["database"]):
        return False
    name = alembic["database"]
    with sql.root() as connection:
        count = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s"
        ((tables,),) = sql.query(connection, count, (name,))
        if not tables:
            return False
        sql.query(connection, f"DROP DATABASE `{name}`")
        sql.query(connection, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    return True


def _migrated(wanted: Mapping[str, Any]) -> bool:
    return _revisions(wanted["database"]) == _heads_in(DIST_PACKAGES / wanted["versions"])


@cache
def _heads_in(directory: Path) -> set[str]:
    """Return the heads of the migrations that a package installed: read once, while a node asks until they are done."""
    return heads(file.read_text() for file in sorted(directory.rglob("*.py")))


def _revisions(database: str) -> set[str]:
    return {row[0] for row in _rows(f"SELECT version_num FROM `{database}`.alembic_version")}  # noqa: S608


def _django_migrated(wanted: Mapping[str, Any]) -> bool:
    shipped = {file.stem for file in (DIST_PACKAGES / wanted["migrations"]).glob("[0-9]*.py")}
    asked = f"SELECT name FROM `{wanted['database']}`.django_migrations WHERE app = %s"  # noqa: S608
    return shipped <= {row[0] for row in _rows(asked, (wanted["app"],))}


def heads(migrations: Iterable[str]) -> set[str]:
    """Return the revisions that no other revision builds upon or depends on: what Alembic records in the end.

    :param migrations: the source of each migration; ``revision``, ``down_revision`` and ``depends_on`` are read,
        nothing is run.
    """
    revisions: set[str] = set()
    built_upon: set[str] = set()
    for source in migrations:
        named = {
            target.id: node.value
            for node in ast.parse(source).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if "revision" not in named:
            continue
        revisions.add(ast.literal_eval(named["revision"]))
        for relation in ("down_revision", "depends_on"):
            below = ast.literal_eval(named[relation]) if relation in named else None
            built_upon |= {below} if isinstance(below, str) else set(below or ())
    return revisions - built_upon
