"""One verification: observe from every node and from the client's place at once, then judge."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, ParamSpec, TypeVar

from tripleo_ha import cluster as clusters
from tripleo_ha import endpoints, table
from tripleo_ha.cluster import Cluster
from tripleo_ha.endpoints import CONTROL, PUBLIC, Endpoint
from tripleo_ha.errors import Failure
from tripleo_ha.metadata import derived, schema
from tripleo_ha.node.facts import NodeFacts, from_document
from tripleo_ha.table import Balance, Listener, Row
from tripleo_ha.verify import balanced, client, nodes
from tripleo_ha.verify.client import Account, BrokerSeen, HttpSeen, Trust
from tripleo_ha.verify.result import CheckResult, Problem, attempt
from tripleo_ha.verify.transport import Transport
from tripleo_ha.waiting import wait_for

T = TypeVar("T")
P = ParamSpec("P")
PROBE = ("tripleo-ha-node", "probe")
KEYSTONE_PORT = 5000
CONNECTIONS_A_NODE = (2, 10, 30)


@dataclass(frozen=True)
class Target:
    """The cluster to verify: how it is reached, what it should be."""

    transport: Transport
    metadata: Mapping[str, Any]
    cluster: Cluster
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, transport: Transport) -> "Target":
        """Read what the cluster should be from its own metadata and this checkout's table of services."""
        metadata = transport.metadata()
        return cls(transport, metadata, clusters.from_metadata(metadata), table.active(table.load(), metadata))

    def has(self, key: str) -> bool:
        """Whether a service of this metadata key runs in the cluster."""
        return key in self.metadata

    def vip(self, name: str) -> str:
        """Return the address of a virtual IP."""
        return self.cluster.virtual_ips[name].ip

    def trust(self, vip: str, listener: Listener) -> Trust | None:
        """Return whom a client of a listener on a virtual IP is to trust, or None where it is not encrypted."""
        tls = endpoints.tls_for(self.metadata, listener, vip)
        return Trust(tls.ca, tls.host) if tls else None

    def keystone_trust(self, vip: str = PUBLIC) -> Trust | None:
        """As :meth:`trust`, of Keystone."""
        listeners = (listener for row in self.rows for listener in row.balanced)
        return next((self.trust(vip, item) for item in listeners if item.port == KEYSTONE_PORT), None)

    def catalogued(self) -> list[Endpoint]:
        """Return what Keystone's catalogue should hold: every API of the rows."""
        region = schema.with_defaults(self.metadata)["keystone"]["region"]
        return [
            each
            for row in self.rows
            for each in endpoints.catalogued(row, derived.urls(self.metadata, self.cluster, self.rows), region)
        ]

    def ask(self, node: str, action: str, request: Mapping[str, Any], timeout: float = 20) -> dict[str, Any]:
        """Have a node do one step of a trial and return its answer."""
        answer = self.transport.execute(node, [*PROBE, action], input=json.dumps(request), timeout=timeout)
        return dict(json.loads(answer))

    def ask_any(self, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """As :meth:`ask`, of the first node that does it.

        :raises Failure: no node did, with the last one's reason.
        """
        failure = Failure("there are no nodes")
        for node in self.transport.nodes:
            try:
                return self.ask(node, action, request)
            except Failure as error:
                failure = error
        raise failure

    def ask_until_told(
        self, node: str, action: str, request: Mapping[str, Any], *, answer_s: float, timeout: float
    ) -> dict[str, Any]:
        """As :meth:`ask`, again while it fails: a node that is just coming back needs some time until it can tell.

        :param answer_s: seconds for each answer.
        :param timeout: seconds after which it is not asked again.
        :raises TimedOut: with why it failed last.
        """
        last = [""]

        def told() -> dict[str, Any] | None:
            answer = attempt(self.ask, node, action, request, timeout=answer_s)
            if isinstance(answer, Problem):
                last[0] = answer.reason
                return None
            return answer

        return wait_for(f"{node} to tell what it holds", told, timeout=timeout, why=lambda: last[0])

    def facts(self, node: str) -> NodeFacts:
        """Return what a node tells about itself."""
        return from_document(json.loads(self.transport.execute(node, PROBE)))


class Observers:
    """Threads on the way into the nodes, and threads where clients are."""

    def __init__(self, target: Target) -> None:
        self._inside = ThreadPoolExecutor(len(target.transport.nodes) + 2)
        self._outside = ThreadPoolExecutor(12, initializer=target.transport.enter)

    def inside(self, observe: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T | Problem]":
        """Observe through the transport."""
        return self._inside.submit(lambda: attempt(observe, *args, **kwargs))

    def outside(self, observe: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T | Problem]":
        """Observe as a client."""
        return self._outside.submit(lambda: attempt(observe, *args, **kwargs))

    def close(self) -> None:
        """End all threads once they have finished what they do."""
        self._inside.shutdown()
        self._outside.shutdown()


@contextmanager
def trial_account(target: Target) -> Iterator[Account]:
    """Have an account in the cluster for the time of the ``with`` statement.

    :raises Failure: no node could make it.
    """
    account = Account.invent()
    request = {"name": account.name, "password": account.password}
    try:
        target.ask_any("open", request)
        yield account
    finally:
        attempt(target.ask_any, "close", {"name": account.name})


def verify(target: Target) -> list[CheckResult]:
    """Observe once and return every check's result; takes seconds, and no failure of the cluster raises."""
    observers = Observers(target)
    try:
        told = {node: observers.inside(target.facts, node) for node in target.transport.nodes}
        answering = [each for row in target.rows for each in row.balanced if each.protocol == "http"]
        pending = [check for listener in answering for check in _http(target, observers, listener)]
        keystone = _keystone(target, observers) if target.has("keystone") else []
        results = _trial(target, observers)
        results += _facts(target, {node: future.result() for node, future in told.items()})
        results += [judge() for judge in pending]
        results += [judge() for judge in keystone]
    finally:
        observers.close()
    return sorted(results, key=lambda result: result.name)


def _facts(target: Target, told: Mapping[str, NodeFacts | Problem]) -> list[CheckResult]:
    facts = [each for each in told.values() if isinstance(each, NodeFacts)]
    results = [
        nodes.answers(told),
        nodes.image(facts),
        nodes.listening(facts, target.cluster, target.rows, target.metadata),
        nodes.exposures(facts),
        nodes.units(facts),
    ]
    if target.has("mysql"):
        results.append(nodes.galera(facts, target.cluster))
    if target.has("rabbit"):
        results += [nodes.broker(facts, target.cluster), nodes.broker_users(facts), nodes.copies(facts)]
    if encrypted := endpoints.encrypted(target.metadata):
        wanted = {vip: tls.certificate for vip, tls in encrypted.items()}
        results.append(nodes.certificates(facts, wanted, datetime.now(UTC)))
    if target.has("pacemaker"):
        results += nodes.virtual_ips(facts, target.cluster) + nodes.singletons(facts, target.rows)
        results += nodes.fencing(facts, target.cluster, target.metadata)
    return results


def _http(target: Target, observers: Observers, listener: Listener) -> Iterator[Callable[[], CheckResult]]:
    balance = listener.balance
    assert balance
    path = "/" if balance.check.port else balance.check.path
    for vip in balance.vips:
        trust = target.trust(vip, listener)
        where = (target.vip(vip), listener.offered_ports(trust is not None)[0])
        seen = observers.outside(client.http_answers, *where, path, len(target.cluster.nodes), trust=trust)
        yield partial(_judge_http, target, listener.name, vip, balance.mode, seen)


def _judge_http(target: Target, name: str, vip: str, mode: str, seen: "Future[HttpSeen | Problem]") -> CheckResult:
    return balanced.http(name, vip, mode, seen.result(), target.cluster)


def _keystone(target: Target, observers: Observers) -> list[Callable[[], CheckResult]]:
    """Start the observations of Keystone, all with one token: what a password costs, clients of the cluster lack."""
    issued = observers.outside(_issued, target)
    where, trust = (target.vip(CONTROL), KEYSTONE_PORT), target.keystone_trust(CONTROL)
    valid = observers.outside(lambda: client.validate_token(*where, _had(issued), len(target.cluster.nodes), trust))
    offered = observers.outside(lambda: client.catalogue(*where, _had(issued), trust))
    return [
        lambda: balanced.token(valid.result(), target.cluster),
        lambda: balanced.catalogue(offered.result(), target.catalogued()),
    ]


def _issued(target: Target) -> str:
    password = target.metadata["keystone"]["admin_password"]
    return client.issue_token(target.vip(PUBLIC), KEYSTONE_PORT, password, trust=target.keystone_trust())


def _had(observed: "Future[str | Problem]") -> str:
    """Wait for what another observation needs; it began earlier, so a thread has it."""
    result = observed.result()
    if isinstance(result, Problem):
        raise Failure(result.reason)
    return result


def _trial(target: Target, observers: Observers) -> list[CheckResult]:
    tcp = [(row, listener) for row in target.rows for listener in row.balanced if listener.protocol == "tcp"]
    if not tcp:
        return []
    try:
        with trial_account(target) as account:
            judges = [_of(target, observers, account, row, listener) for row, listener in tcp]
            return [result for judge in judges for result in judge()]
    except Failure as failure:
        return [CheckResult("trial.account", False, failure.message)]


def _of(
    target: Target, observers: Observers, account: Account, row: Row, listener: Listener
) -> Callable[[], list[CheckResult]]:
    """Start the observations that fit a listener's own protocol; the returned function waits and judges."""
    balance = listener.balance
    assert balance
    if row.metadata == "mysql":
        return _sql(target, observers, account, listener, balance)
    if row.metadata == "rabbit":
        future = observers.outside(_broker, target, observers, account, listener, balance)
        return lambda: _unpack(f"balance.{listener.name}", future.result())
    unknown = Problem(f"no way is known to tell who answers on port {listener.port}")
    return lambda: [balanced.writer(listener.name, vip, unknown, target.cluster) for vip in balance.vips]


def _unpack(name: str, results: list[CheckResult] | Problem) -> list[CheckResult]:
    return [CheckResult(name, False, results.reason)] if isinstance(results, Problem) else results


def _sql(
    target: Target, observers: Observers, account: Account, listener: Listener, balance: Balance
) -> Callable[[], list[CheckResult]]:
    address = target.vip(balance.vips[0])
    connections = 2 * len(target.cluster.nodes)
    written = observers.outside(_write, address, listener.port, account)
    hosts = {
        vip: observers.outside(client.sql_hosts, target.vip(vip), listener.port, account, connections)
        for vip in balance.vips
    }

    def judge() -> list[CheckResult]:
        row = written.result()
        request = {"name": account.name, "ids": [] if isinstance(row, Problem) else [row]}
        asked = {node: observers.inside(target.ask, node, "rows", request) for node in target.transport.nodes}
        held = {node: future.result() for node, future in asked.items()}
        spread = [balanced.writer(listener.name, vip, seen.result(), target.cluster) for vip, seen in hosts.items()]
        return [balanced.replicated(row, held), *spread]

    return judge


def _write(address: str, port: int, account: Account) -> str:
    connection = client.sql(address, port, account)
    try:
        client.write_row(connection, "verify", 0.0)
    finally:
        connection.close()
    return "verify"


def _broker(
    target: Target, observers: Observers, account: Account, listener: Listener, balance: Balance
) -> list[CheckResult]:
    """Try with more connections while they do not spread: those of other clients weigh as much as the trial's own."""
    vip = balance.vips[0]
    for times in CONNECTIONS_A_NODE:
        count = times * len(target.cluster.nodes)
        with client.broker_trial(target.vip(vip), listener.port, account, count) as seen:
            names = [seen.quorum, *seen.probes]
            queues = observers.inside(target.ask_any, "queues", {"queues": names}).result()
            spread = balanced.broker_spread(listener.name, vip, seen, queues, target.cluster)
            if not spread.ok and times != CONNECTIONS_A_NODE[-1]:
                continue
            publisher = "" if isinstance(queues, Problem) else balanced.broker_host(_leader(queues, seen))
            others = [node for node in target.transport.nodes if node != publisher]
            consumer = (others or [publisher])[0]
            request = {"name": account.name, "password": account.password, "queue": seen.quorum}
            taken = observers.inside(_take, target, consumer, request).result()
        break
    return [
        spread,
        balanced.quorum_queue(seen, queues, target.cluster),
        balanced.message(seen, publisher, consumer, taken, target.cluster),
    ]


def _leader(queues: Mapping[str, Any], seen: BrokerSeen) -> str:
    return str(queues.get(seen.publisher, {}).get("node", ""))


def _take(target: Target, node: str, request: Mapping[str, Any]) -> list[str]:
    return list(target.ask(node, "take", request)["payloads"])
