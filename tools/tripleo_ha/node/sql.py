"""Connections to the local MariaDB over its socket, where the system user is the proof of identity."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql

from tripleo_ha.errors import Failure

SOCKET = "/run/mysqld/mysqld.sock"
UNREACHABLE = (2002, 2003, 2006, 2013)
"""Client error numbers (MySQL's CR_*): cannot connect, server gone, connection lost."""


class Unreachable(Failure):
    """The local server does not run, does not answer, or does not take this user.

    :param number: the client's or the server's error number.
    """

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.number = number


def connect(user: str, *, timeout: float = 5.0) -> "pymysql.connections.Connection[Any]":
    """Connect as a database user that is authenticated by its system user's name.

    :param timeout: seconds, for connecting and for every answer.
    :raises Unreachable: there is no connection to be had.
    """
    try:
        return pymysql.connect(
            unix_socket=SOCKET,
            user=user,
            autocommit=True,
            charset="utf8mb4",
            connect_timeout=max(1, round(timeout)),
            read_timeout=timeout,
            write_timeout=timeout,
            # In case of TLS, PyMySQL would read every authority of the system each time: 50 ms of processor time.
            ssl_disabled=True,
        )
    except pymysql.MySQLError as error:
        raise Unreachable(f"MariaDB on this node does not take {user}: {error}", number_of(error)) from error


def number_of(error: pymysql.MySQLError) -> int:
    """Return an error's number, 0 where it has none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


@contextmanager
def root(timeout: float = 30.0) -> Iterator["pymysql.connections.Connection[Any]"]:
    """Give a connection as root, closed at the end; only the system user root gets one.

    :raises Unreachable: there is no connection to be had.
    """
    connection = connect("root", timeout=timeout)
    try:
        yield connection
    finally:
        connection.close()


def query(
    connection: "pymysql.connections.Connection[Any]", statement: str, parameters: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """Run one statement and return its rows.

    :raises pymysql.MySQLError: the server refuses it.
    """
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return list(cursor.fetchall())


def wsrep_status(connection: "pymysql.connections.Connection[Any]") -> dict[str, str]:
    """Return Galera's status variables, without their prefix ``wsrep_``."""
    rows = query(connection, r"SHOW GLOBAL STATUS LIKE 'wsrep\_%'")
    return {name.removeprefix("wsrep_"): value for name, value in rows}
