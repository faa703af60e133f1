"""Databases and their users, as the service table and the metadata want them; and no user beyond what is needed.

The wanted grants are written as the server itself would show them, so that the live ones are compared as text and a
run that finds them equal changes nothing. Passwords reach the server only as their mysql_native_password hash.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pymysql

from tripleo_ha.node import sql
from tripleo_ha.node.context import Context
from tripleo_ha.table import Row
from tripleo_ha.waiting import wait_for

APPLIED_BOUND = 120.0
OLD_PASSWORDS = 3
"""Former passwords that a user may have beside the wanted one while a new one rolls from node to node."""
NATIVE_HASH = re.compile(r"\*[0-9A-F]{40}")
NO_SUCH_GRANT = 1141
NO_SUCH_USER = 1133
Connection = Any
"""A PyMySQL connection, which has no type of its own that is public."""


@dataclass(frozen=True)
class Account:
    """A database user: how it proves itself, and what it may do.

    ``proof`` follows IDENTIFIED: ``VIA unix_socket`` or ``BY PASSWORD '*HASH'``. ``everywhere`` are rights on ``*.*``,
    ``schemas`` are the databases on which it has all rights.
    """

    user: str
    host: str
    proof: str
    everywhere: str = "USAGE"
    schemas: tuple[str, ...] = ()
    options: str = ""

    @property
    def quoted(self) -> str:
        """The account as it stands in statements."""
        return f"`{self.user}`@`{self.host}`"

    @property
    def grants(self) -> tuple[str, ...]:
        """What SHOW GRANTS says when the account is as wanted."""
        first = f"GRANT {self.everywhere} ON *.* TO {self.quoted} IDENTIFIED {self.proof}{self.options}"
        return (first, *self.schema_grants)

    def proven_by(self, hashes: Iterable[str]) -> "Account":
        """Return the same account with any of several passwords, the server's form for them included."""
        first, *others = hashes
        if not others:
            return replace(self, proof=f"BY PASSWORD '{first}'")
        plugins = " OR ".join(f"mysql_native_password USING '{each}'" for each in (first, *others))
        return replace(self, proof=f"VIA {plugins}")

    @property
    def schema_grants(self) -> tuple[str, ...]:
        """The statements that give all rights on the schemas; ``_`` and ``%`` there would be wildcards."""
        names = [name.replace("_", "\\_").replace("%", "\\%") for name in self.schemas]
        return tuple(f"GRANT ALL PRIVILEGES ON `{name}`.* TO {self.quoted}" for name in names)


SYSTEM = (
    # Galera's donor script, run by the system user mysql: what mariadb-backup needs to copy a live server.
    Account("mysql", "localhost", "VIA unix_socket", "RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR"),
    # The health endpoint: SHOW STATUS needs no right.
    Account("tripleo-ha", "localhost", "VIA unix_socket"),
)
ROOT = Account("root", "localhost", "VIA unix_socket", "ALL PRIVILEGES", options=" WITH GRANT OPTION")


def native_hash(password: str) -> str:
    """Return the mysql_native_password hash of a password: ``*`` and SHA1(SHA1(password)) in upper case hex."""
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324 — the server's algorithm, not a choice
    return "*" + hashlib.sha1(once).hexdigest().upper()  # noqa: S324


def wanted_accounts(rows: Iterable[Row], metadata: Mapping[str, Any]) -> tuple[Account, ...]:
    """Return the accounts of the services, one a user; a row's password is ``METADATA_KEY.database_password``."""
    schemas: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for database in row.databases:
            schemas.setdefault((database.user, row.metadata), []).append(database.name)
    return tuple(
        Account(user, "%", f"BY PASSWORD '{native_hash(metadata[key]['database_password'])}'", schemas=tuple(names))
        for (user, key), names in schemas.items()
    )


def converge(context: Context) -> None:
    """Bring databases and users to what is wanted; the first node does it, the others wait until it is so.

    :raises TimedOut: on another node than the first, they are still not as wanted.
    """
    accounts = (*SYSTEM, *wanted_accounts(context.rows, context.metadata))
    with sql.root() as connection:
        if context.cluster.i_am_first:
            for statement, what in pending(connection, accounts):
                sql.query(connection, statement)
                context.changed(f"database: {what}")
            return

        def outstanding() -> list[str]:
            return [what for _, what in pending(connection, accounts)]

        wait_for(
            f"{context.cluster.nodes[0].name} to make databases and users",
            lambda: not outstanding(),
            timeout=APPLIED_BOUND,
            why=lambda: "; ".join(outstanding()),
        )


def bootstrap_accounts() -> None:
    """Make the accounts that other members need in order to join: the state transfer's first."""
    with sql.root() as connection:
        for statement, _ in pending(connection, SYSTEM):
            sql.query(connection, statement)


def pending(connection: Connection, accounts: Iterable[Account]) -> list[tuple[str, str]]:
    """Return the statements that are still needed, each with what it does in words."""
    accounts = tuple(accounts)
    schemas = {name for (name,) in sql.query(connection, "SELECT schema_name FROM information_schema.schemata")}
    statements: list[tuple[str, str]] = []
    for account in accounts:
        missing = [name for name in account.schemas if name not in schemas]
        statements += [(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4", f"create {name}") for name in missing]
        statements += _account(account, shown_grants(connection, account))
    return statements + _unwanted(connection, schemas)


def shown_grants(connection: Connection, account: Account) -> tuple[str, ...]:
    """Return what the server shows for an account; nothing when there is none."""
    try:
        return tuple(line for (line,) in sql.query(connection, f"SHOW GRANTS FOR {account.quoted}"))
    except pymysql.MySQLError as error:
        if error.args[0] in (NO_SUCH_GRANT, NO_SUCH_USER):
            return ()
        raise


def beside_former(account: Account, shown: Iterable[str]) -> Account:
    """Return the account with the passwords that it has beside the one that is wanted.

    Nodes take a new password one after the other, and those that have the old one go on connecting with it.
    """
    known = [found for line in shown if " IDENTIFIED " in line for found in NATIVE_HASH.findall(line)]
    wanted = NATIVE_HASH.findall(account.proof)
    if not wanted or not known or known == wanted:
        return account
    if wanted[0] in known:
        return account.proven_by(known)
    return account.proven_by([*wanted, *known[:OLD_PASSWORDS]])


def settle(connection: Connection, accounts: Iterable[Account]) -> list[str]:
    """Take the former passwords away, when all nodes have the new one; return the users that had any."""
    settled = []
    for account in accounts:
        shown = shown_grants(connection, account)
        if beside_former(account, shown) != account and shown:
            sql.query(connection, f"ALTER USER {account.quoted} IDENTIFIED {account.proof}")
            settled.append(account.user)
    return settled


def _account(account: Account, shown: tuple[str, ...]) -> list[tuple[str, str]]:
    account = beside_former(account, shown)
    if sorted(shown) == sorted(account.grants):
        return []
    statements = []
    identity = f"{account.quoted} IDENTIFIED {account.proof}"
    if not shown:
        statements.append((f"CREATE USER {identity}", f"create user {account.user}"))
    elif account.grants[0] not in shown:
        statements.append((f"ALTER USER {identity}", f"change how {account.user} proves itself"))
    rights, wanted = _rights(shown), _rights(account.grants)
    if rights - wanted:
        revoke = f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account.quoted}"
        statements.append((revoke, f"narrow the rights of {account.user}"))
        rights = set()
    statements += [(line, f"give {account.user} its rights") for line in sorted(wanted - rights) if "USAGE" not in line]
    return statements


def _rights(grants: Iterable[str]) -> set[str]:
    """Return grants without the proof of identity, which may change while rights stay."""
    return {line.partition(" IDENTIFIED ")[0] for line in grants}


def _unwanted(connection: Connection, schemas: Iterable[str]) -> list[tuple[str, str]]:
    statements = []
    if "test" in schemas:
        statements.append(("DROP DATABASE `test`", "drop the test database"))
    for user, host in sql.query(connection, "SELECT user, host FROM mysql.global_priv"):
        if user == "" or (user == "root" and host != "localhost"):
            statements.append((f"DROP USER `{user}`@`{host}`", f"drop user '{user}'@'{host}'"))
    if ROOT.grants[0] not in shown_grants(connection, ROOT):
        statements.append((f"ALTER USER {ROOT.quoted} IDENTIFIED {ROOT.proof}", "let root in by the socket only"))
    return statements
