"""Evidence that one-time work is done: asked of the cluster itself, never of a marker file."""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tripleo_ha.errors import Failure
from tripleo_ha.node import identity
from tripleo_ha.node.context import Context
from tripleo_ha.table import Once

DIST_PACKAGES = Path("/usr/lib/python3/dist-packages")


def holds(context: Context, work: Once) -> bool:
    """Tell whether a piece of one-time work has been done.

    :raises Failure: the row asks for a kind of evidence that does not exist.
    """
    if alembic := work.evidence.get("alembic"):
        return _migrated(alembic)
    if token := work.evidence.get("token"):
        from tripleo_ha.node.service import lookup

        password = str(lookup(context.metadata, token["password"]))
        return identity.authenticate(context, token["user"], password, token["project"]) is not None
    raise Failure(f"{work.name}: no such evidence: {', '.join(work.evidence)}", "one of alembic, token")


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
    files = sorted((DIST_PACKAGES / wanted["versions"]).rglob("*.py"))
    return _revisions(wanted["database"]) == heads(file.read_text() for file in files)


def _revisions(database: str) -> set[str]:
    import pymysql

    from tripleo_ha.node import sql

    try:
        with sql.root() as connection:
            found = sql.query(connection, f"SELECT version_num FROM `{database}`.alembic_version")  # noqa: S608
            return {row[0] for row in found}
    except pymysql.err.ProgrammingError:  # no such table: never migrated
        return set()


def heads(migrations: Iterable[str]) -> set[str]:
    """Return the revisions that no other revision builds upon.

    :param migrations: the source of each migration; ``revision`` and ``down_revision`` are read, nothing is run.
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
        below = ast.literal_eval(named["down_revision"]) if "down_revision" in named else None
        built_upon |= {below} if isinstance(below, str) else set(below or ())
    return revisions - built_upon
