"""What a client does through the virtual IPs, and what it saw. Call these from where clients are on the network."""

import functools
import http.client
import json
import re
import socket
import ssl
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import amqp
import pymysql

from tripleo_ha.endpoints import Endpoint
from tripleo_ha.errors import Failure

TIMEOUT = 5
LOGIN_TIMEOUT = 20
"""A password costs Keystone a quarter of a second of a core, by intention: seconds on a machine that is busy."""
BURSTS = 10


@dataclass(frozen=True)
class Account:
    """The trial's name and password, valid for SQL (schema, user) and AMQP (user); see ``node.trial``."""

    name: str
    password: str = field(repr=False)

    @classmethod
    def invent(cls, purpose: str = "verify") -> "Account":
        """Return an account that nobody has; ``purpose`` is ``verify`` or ``chaos``."""
        return cls(f"tripleo_ha_{purpose}_{uuid.uuid4().hex[:8]}", uuid.uuid4().hex)


@dataclass(frozen=True)
class Trust:
    """Whom a client of HTTPS trusts: the authorities as PEM, and the host that the certificate must be for."""

    ca: str
    host: str


@dataclass(frozen=True)
class HttpSeen:
    """Answers to a number of requests, by who served them (empty when not told) and by status."""

    served_by: Mapping[str, int]
    statuses: Mapping[int, int]


@dataclass(frozen=True)
class BrokerSeen:
    """Where a client's queues are: ``quorum`` is the quorum queue, ``probes`` one exclusive queue per connection.

    An exclusive queue is on the node that its connection reached, so that asking where it is tells that node.
    ``publisher`` is the probe of the connection that published and had it confirmed.
    """

    quorum: str
    payload: str
    probes: tuple[str, ...]
    publisher: str


def sql(address: str, port: int, account: Account, timeout: float = TIMEOUT) -> "pymysql.connections.Connection[Any]":
    """Return an autocommitting connection; ``timeout`` in seconds is for connecting and for each answer.

    :raises pymysql.MySQLError: no server is there or it refuses.
    """
    return pymysql.connect(
        host=address,
        port=port,
        user=account.name,
        password=account.password,
        database=account.name,
        autocommit=True,
        connect_timeout=timeout,
        read_timeout=timeout,
        write_timeout=timeout,
        # PyMySQL would read every authority of the system for each connection, 50 ms of processor time, in case of TLS.
        ssl_disabled=True,
    )


def write_row(connection: "pymysql.connections.Connection[Any]", row: str, at: float) -> None:
    """Insert one row; it is committed when this returns."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO written (id, at) VALUES (%s, %s)", (row, at))


def sql_hosts(address: str, port: int, account: Account, connections: int) -> Counter[str]:
    """Return which database server answered on each of several connections held at once."""
    opened: list[pymysql.connections.Connection[Any]] = []
    hosts: Counter[str] = Counter()
    try:
        for _ in range(connections):
            opened.append(sql(address, port, account))
        for connection in opened:
            with connection.cursor() as cursor:
                cursor.execute("SELECT @@hostname")
                row = cursor.fetchone()
                hosts[str(row[0]) if row else ""] += 1
    finally:
        for connection in opened:
            connection.close()
    return hosts


def broker(address: str, port: int, account: Account, timeout: float = TIMEOUT) -> "amqp.Connection":
    """Return an open AMQP connection, not connected yet to any channel.

    :raises OSError: no broker is there.
    :raises amqp.AMQPError: it refuses.
    """
    connection = amqp.Connection(
        host=f"{address}:{port}",
        userid=account.name,
        password=account.password,
        virtual_host="/",
        connect_timeout=timeout,
        read_timeout=timeout,
        write_timeout=timeout,
        confirm_publish=True,
    )
    connection.connect()
    return connection


@contextmanager
def broker_trial(address: str, port: int, account: Account, connections: int) -> Iterator[BrokerSeen]:
    """Declare a quorum queue, publish to it, and keep ``connections`` connections with a probe queue each.

    The probes exist only inside the ``with`` statement.
    """
    opened: list[amqp.Connection] = []
    try:
        probes = []
        for index in range(connections):
            opened.append(broker(address, port, account))
            probes.append(f"{account.name}.probe{index}")
            opened[-1].channel().queue_declare(probes[-1], exclusive=True, auto_delete=False)
        quorum, payload = f"{account.name}.quorum{connections}", uuid.uuid4().hex
        channel = opened[0].channel()
        declare_quorum(channel, quorum)
        publish(channel, quorum, payload)
        yield BrokerSeen(quorum, payload, tuple(probes), probes[0])
    finally:
        for connection in opened:
            connection.close()


def declare_quorum(channel: "amqp.Channel", queue: str) -> None:
    """Declare a durable quorum queue."""
    channel.queue_declare(queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})


def publish(channel: "amqp.Channel", queue: str, payload: str, timeout: float = TIMEOUT) -> None:
    """Publish a persistent message; the broker has confirmed it when this returns.

    :raises Failure: the broker refused it.
    """
    message = amqp.Message(payload, delivery_mode=2)
    try:
        channel.basic_publish_confirm(message, routing_key=queue, mandatory=True, confirm_timeout=timeout)
    except amqp.exceptions.MessageNacked as error:
        raise Failure(f"the broker refused a message to {queue}") from error


def http_connection(
    address: str, port: int, timeout: float = TIMEOUT, trust: Trust | None = None
) -> http.client.HTTPConnection:
    """Return an open connection for requests, encrypted where it is told whom to trust.

    :param timeout: seconds for connecting and for each answer.
    :raises OSError: nobody is there, or (``ssl.SSLError``) it is not to be trusted.
    """
    connection = http.client.HTTPConnection(trust.host if trust else address, port, timeout=timeout)
    plain = socket.create_connection((address, port), timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        connection.sock = _encrypted(plain, trust) if trust else plain
    except OSError:
        plain.close()
        raise
    return connection


def _encrypted(plain: socket.socket, trust: Trust) -> ssl.SSLSocket:
    return _context(trust.ca).wrap_socket(plain, server_hostname=trust.host)


@functools.lru_cache(maxsize=8)
def _context(ca: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ca)


def http_answers(
    address: str,
    port: int,
    path: str,
    distinct: int,
    headers: Mapping[str, str] | None = None,
    trust: Trust | None = None,
) -> HttpSeen:
    """Send bursts of GET requests, each on a connection of its own, until ``distinct`` servers have answered.

    One request after another would tell nothing: with nothing under way, every server has the fewest connections.
    It ends after :data:`BURSTS` at the latest, or at once where no answer tells who served it.

    :raises OSError: a request got no answer.
    """
    served: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    connect = functools.partial(http_connection, address, port, trust=trust)
    # Threads begin in the network namespace of the thread that starts them.
    with ThreadPoolExecutor(2 * distinct) as pool:
        for _ in range(BURSTS):
            for status, server in pool.map(lambda _: _get(connect, path, headers or {}), range(2 * distinct)):
                served[server] += 1
                statuses[status] += 1
            if "" in served or len(served) >= distinct:
                break
    return HttpSeen(served, statuses)


def _get(connect: Callable[[], http.client.HTTPConnection], path: str, headers: Mapping[str, str]) -> tuple[int, str]:
    with closing(connect()) as connection:
        connection.request("GET", path, headers={"Connection": "close", **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("X-Served-By", "")


def issue_token(
    address: str, port: int, password: str, timeout: float = LOGIN_TIMEOUT, trust: Trust | None = None
) -> str:
    """Return a token of the user admin, scoped to the project admin.

    :raises OSError: nobody answered.
    :raises Failure: the answer is no token.
    """
    domain = {"id": "default"}
    user = {"name": "admin", "domain": domain, "password": password}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": domain}},
        }
    }
    headers = {"Content-Type": "application/json", "Connection": "close"}
    with closing(http_connection(address, port, timeout, trust)) as connection:
        connection.request("POST", "/v3/auth/tokens", json.dumps(body), headers)
        answer = connection.getresponse()
        answer.read()
        token = answer.getheader("X-Subject-Token")
    if answer.status != 201 or not token:
        raise Failure(f"Keystone answered {answer.status} to a request for a token")
    return token


def catalogue(address: str, port: int, token: str, trust: Trust | None = None) -> list[Endpoint]:
    """Return the catalogue that Keystone shows to the holder of a token, with ``%(project_id)s`` for a project's id.

    :raises OSError: nobody answered.
    :raises Failure: the answer is no catalogue.
    """
    with closing(http_connection(address, port, trust=trust)) as connection:
        connection.request("GET", "/v3/auth/catalog", headers={"X-Auth-Token": token, "Connection": "close"})
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != 200:
        raise Failure(f"Keystone answered {answer.status} to a request for the catalogue")
    return [
        Endpoint(service["type"], service["name"], each["interface"], each["region_id"], _of_any_project(each["url"]))
        for service in json.loads(content)["catalog"]
        for each in service["endpoints"]
    ]


def _of_any_project(url: str) -> str:
    return re.sub(r"[0-9a-f]{32}", "%(project_id)s", url)


def validate_token(address: str, port: int, token: str, distinct: int, trust: Trust | None = None) -> HttpSeen:
    """Have a token validated until ``distinct`` servers have done so.

    :raises OSError: one of the requests got no answer.
    """
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    return http_answers(address, port, "/v3/auth/tokens?nocatalog", distinct, headers, trust)
