"""Judges of what a client saw through the virtual IPs: observations in, results out."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tripleo_ha.cluster import Cluster
from tripleo_ha.endpoints import Endpoint
from tripleo_ha.topology.rabbitmq import copies
from tripleo_ha.verify.client import BrokerSeen, HttpSeen
from tripleo_ha.verify.result import CheckResult, Problem, listed


def http(name: str, vip: str, mode: str, seen: HttpSeen | Problem, cluster: Cluster) -> CheckResult:
    """A balanced API answered without an error, and every controller (for mode ``single``, one) did.

    Who served is told to clients of the control network only; elsewhere the answers alone count.
    """
    check = f"balance.{name}.{vip}"
    if isinstance(seen, Problem):
        return CheckResult(check, False, seen.reason)
    requests = sum(seen.statuses.values())
    wrong = {status: count for status, count in seen.statuses.items() if status >= 400}
    if wrong:
        told = ", ".join(f"{count} with status {status}" for status, count in sorted(wrong.items()))
        return CheckResult(check, False, f"of {requests} requests failed: {told}")
    if set(seen.served_by) == {""}:
        untold = "; who served is told on the control network only"
        return CheckResult(check, vip != "control", f"{requests} requests answered{untold}")
    return _spread(check, mode, seen.served_by, cluster, "requests")


def writer(name: str, vip: str, hosts: Mapping[str, int] | Problem, cluster: Cluster) -> CheckResult:
    """Every connection to the database reached the same, one, controller."""
    check = f"balance.{name}.{vip}"
    if isinstance(hosts, Problem):
        return CheckResult(check, False, hosts.reason)
    return _spread(check, "single", hosts, cluster, "connections")


def broker_spread(
    name: str, vip: str, seen: BrokerSeen | Problem, queues: Mapping[str, Any] | Problem, cluster: Cluster
) -> CheckResult:
    """Connections to the broker, held at once, reached every controller."""
    check = f"balance.{name}.{vip}"
    for observed in (seen, queues):
        if isinstance(observed, Problem):
            return CheckResult(check, False, observed.reason)
    assert isinstance(seen, BrokerSeen)
    assert not isinstance(queues, Problem)
    reached: dict[str, int] = {}
    for probe in seen.probes:
        node = broker_host(queues.get(probe, {}).get("node", ""))
        reached[node] = reached.get(node, 0) + 1
    return _spread(check, "leastconn", reached, cluster, "connections")


def quorum_queue(seen: BrokerSeen | Problem, queues: Mapping[str, Any] | Problem, cluster: Cluster) -> CheckResult:
    """A new quorum queue has as many members as there are controllers (five at most), all online."""
    check = "rabbitmq.quorum-queue"
    for observed in (seen, queues):
        if isinstance(observed, Problem):
            return CheckResult(check, False, observed.reason)
    assert isinstance(seen, BrokerSeen)
    assert not isinstance(queues, Problem)
    queue = queues.get(seen.quorum, {})
    members = {broker_host(member) for member in queue.get("members", ())}
    online = {broker_host(member) for member in queue.get("online", ())}
    wanted = copies(len(cluster.nodes))
    ok = queue.get("type") == "quorum" and len(members) == wanted and online == members
    return CheckResult(check, ok, f"members {listed(members)}; online {listed(online)}; wanted {wanted}")


def message(
    seen: BrokerSeen | Problem, publisher: str, consumer: str, taken: Sequence[str] | Problem, cluster: Cluster
) -> CheckResult:
    """What was published through the virtual IP was consumed through another node."""
    check = "rabbitmq.message"
    for observed in (seen, taken):
        if isinstance(observed, Problem):
            return CheckResult(check, False, observed.reason)
    assert isinstance(seen, BrokerSeen)
    assert not isinstance(taken, Problem)
    path = f"published through {publisher or 'an unknown node'}, consumed through {consumer}"
    if list(taken) != [seen.payload]:
        return CheckResult(check, False, f"{path}: got {len(taken)} messages, not the one published")
    apart = bool(publisher) and (publisher != consumer or len(cluster.nodes) == 1)
    return CheckResult(check, apart, path)


def replicated(written: str | Problem, held: Mapping[str, Mapping[str, Any] | Problem]) -> CheckResult:
    """A row written through the virtual IP is read on every node."""
    check = "galera.write"
    if isinstance(written, Problem):
        return CheckResult(check, False, f"writing: {written.reason}")
    bad = [f"{node}: {answer.reason}" for node, answer in held.items() if isinstance(answer, Problem)]
    bad += [f"{node}: not there" for node, answer in held.items() if isinstance(answer, Mapping) and answer["missing"]]
    return CheckResult(check, not bad, "; ".join(bad) or f"a row written through the VIP is on {listed(set(held))}")


def token(issued: HttpSeen | Problem, cluster: Cluster) -> CheckResult:
    """A token issued through the public virtual IP is valid on every controller."""
    check = "keystone.token"
    if isinstance(issued, Problem):
        return CheckResult(check, False, issued.reason)
    if set(issued.statuses) != {200}:
        return CheckResult(check, False, f"issued, but validation answered {listed({str(s) for s in issued.statuses})}")
    result = _spread(check, "roundrobin", issued.served_by, cluster, "validations")
    return CheckResult(check, result.ok, f"issued through the public VIP; {result.evidence}")


def catalogue(seen: Collection[Endpoint] | Problem, wanted: Collection[Endpoint]) -> CheckResult:
    """Keystone's catalogue offers every API where it is, and nothing in the place of one elsewhere."""
    check = "keystone.catalogue"
    if isinstance(seen, Problem):
        return CheckResult(check, False, seen.reason)
    bad = [f"no {each.interface} endpoint of {each.type} at {each.url}" for each in wanted if each not in seen]
    places = {(each.type, each.interface, each.region) for each in wanted}
    bad += [
        f"{each.interface} endpoint of {each.type} at {each.url}"
        for each in seen
        if each not in wanted and (each.type, each.interface, each.region) in places
    ]
    types = listed({each.type for each in wanted}, "nothing")
    return CheckResult(check, not bad, "; ".join(bad) or f"{len(wanted)} endpoints as they should be: {types}")


def broker_host(member: str) -> str:
    """Return the node's name of an Erlang node, ``rabbit@NAME``."""
    return member.partition("@")[2].partition(".")[0]


def _spread(check: str, mode: str, reached: Mapping[str, int], cluster: Cluster, what: str) -> CheckResult:
    names = {node.name for node in cluster.nodes}
    told = ", ".join(f"{node or 'unknown'} {count}" for node, count in sorted(reached.items()))
    strangers = set(reached) - names
    ok = not strangers and (len(reached) == 1 if mode == "single" else set(reached) == names)
    missing = "" if mode == "single" or not names - set(reached) else f"; never {listed(names - set(reached))}"
    return CheckResult(check, ok, f"{what}: {told or 'none'}{missing}")
