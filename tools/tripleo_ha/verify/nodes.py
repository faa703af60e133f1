"""Judges of what the controllers tell about themselves: facts in, results out."""

import hashlib
import ssl
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tripleo_ha.cluster import Cluster
from tripleo_ha.node.facts import NodeFacts, Socket
from tripleo_ha.table import Row
from tripleo_ha.topology import fencing as topology
from tripleo_ha.verify.balanced import broker_host
from tripleo_ha.verify.result import CheckResult, Problem, listed

Facts = Sequence[NodeFacts]
GALERA = {
    "wsrep_cluster_status": "Primary",
    "wsrep_local_state_comment": "Synced",
    "wsrep_ready": "ON",
    "wsrep_connected": "ON",
}
SYSTEM = {("udp", 68), ("udp", 546)}
"""The DHCP client's ports, which systemd-networkd holds before any metadata is there."""
SSH = 22
END_OF_PEM = "-----END CERTIFICATE-----"


IMAGE = "image.identity"


def answers(told: Mapping[str, NodeFacts | Problem]) -> CheckResult:
    """Every node answered, and could learn all that it was asked for."""
    bad = [f"{node}: {facts.reason}" for node, facts in told.items() if isinstance(facts, Problem)]
    for facts in told.values():
        if isinstance(facts, NodeFacts):
            bad += [f"{facts.node}: {what}: {why}" for what, why in facts.problems.items()]
    return _result("nodes.facts", bad, f"{len(told)} nodes told all they were asked")


def image(facts: Facts) -> CheckResult:
    """All nodes run the same image."""
    identities = {each.node: str(each.image.get("id", "")) for each in facts}
    same = len(set(identities.values())) == 1 and all(identities.values())
    if same:
        return CheckResult(IMAGE, True, f"{len(facts)} nodes run image {next(iter(identities.values()))}")
    told = [f"{node}: {found or 'no identity'}" for node, found in identities.items()]
    return CheckResult(IMAGE, False, "; ".join(told))


def galera(facts: Facts, cluster: Cluster) -> CheckResult:
    """Galera has all members, is Primary, and every node is Synced in the same state."""
    size = str(len(cluster.nodes))
    wanted = {**GALERA, "wsrep_cluster_size": size}
    bad = [
        f"{each.node}: {name} is {each.galera.get(name, 'unknown')}, not {value}"
        for each in facts
        for name, value in wanted.items()
        if each.galera.get(name) != value
    ]
    states = {each.galera.get("wsrep_cluster_state_uuid", "") for each in facts}
    if len(states) > 1:
        bad.append(f"nodes hold different states: {listed(states)}")
    return _result("galera.members", bad, f"size {size}, Primary, all Synced, state {next(iter(states), '')}")


def broker(facts: Facts, cluster: Cluster) -> CheckResult:
    """Every node's broker sees all members running, without a partition or an alarm."""
    wanted = {node.name for node in cluster.nodes}
    bad = []
    for each in facts:
        running = {broker_host(member.name) for member in each.broker if member.running}
        if running != wanted:
            bad.append(f"{each.node} sees running: {listed(running)}")
        bad += [f"{each.node} sees stopped: {member.name}" for member in each.broker if not member.running]
        for member in each.broker:
            bad += [f"{each.node}: {member.name} lost {lost}" for lost in member.partitions]
            bad += [f"{each.node}: alarm on {member.name}: {alarm}" for alarm in member.alarms]
    return _result("rabbitmq.members", bad, f"{listed(wanted)} run; no partition, no alarm")


def broker_users(facts: Facts) -> CheckResult:
    """No user that the package brought is left."""
    bad = [f"{each.node}: default user guest exists" for each in facts if "guest" in each.broker_users]
    users = {user for each in facts for user in each.broker_users if not user.startswith("tripleo_ha_verify_")}
    return _result("rabbitmq.users", bad, f"no default user; there are {listed(users)}")


def copies(facts: Facts) -> CheckResult:
    """Every broker has its copies of queues, without which the loss of another node may take a queue's majority.

    For a stream also its clients cannot consume it. And all have a vote in the streams' coordinator, once there is one.
    """
    bad = [f"{each.node} has no copy of {listed(each.queues_lacking)}" for each in facts if each.queues_lacking]
    if any(each.coordinates_streams for each in facts):
        bad += [f"{each.node} is not in the streams' coordinator" for each in facts if not each.coordinates_streams]
    return _result("rabbitmq.copies", bad, "every broker has its copies of queues, and a vote for the streams")


def virtual_ips(facts: Facts, cluster: Cluster) -> list[CheckResult]:
    """Each virtual IP is on exactly one node, on the interface that the metadata names."""
    results = []
    for name, vip in cluster.virtual_ips.items():
        holders = [
            f"{each.node} {interface}"
            for each in facts
            for interface, found in each.addresses.items()
            if vip.ip in found
        ]
        ok = len(holders) == 1 and holders[0].endswith(f" {vip.interface}")
        results.append(CheckResult(f"vip.{name}", ok, f"{vip.ip} on {listed(holders, 'no node')}"))
    return results


def singletons(facts: Facts, rows: Iterable[Row]) -> list[CheckResult]:
    """What Pacemaker runs is one process group on one node, by the process tables and not by Pacemaker's word."""
    results = []
    for row in rows:
        if row.singleton_process:
            running = [f"{each.node} pid {pid}" for each in facts for pid in each.singletons.get(row.service, ())]
            ok = len(running) == 1
            results.append(CheckResult(f"singleton.{row.service}", ok, f"runs on {listed(running, 'no node')}"))
    return results


def fencing(facts: Facts, cluster: Cluster, metadata: Mapping[str, Any]) -> list[CheckResult]:
    """Every node that is to be fenced is, and every fence device answers; nothing where there are none."""
    devices = topology.configured(cluster, metadata)
    if not devices:
        return []
    bad = sorted({line for each in facts for line in each.unfenced})
    return [_result("fencing", bad, f"the fence devices of {listed(set(devices))} answer, nobody waits for one")]


def listening(facts: Facts, cluster: Cluster, rows: Sequence[Row], metadata: Mapping[str, Any]) -> CheckResult:
    """Nothing listens that the table does not name: port, transport, address and process."""
    ssh = bool(metadata.get("base", {}).get("ssh_sources"))
    bad = []
    for each in facts:
        ip = next((node.ip for node in cluster.nodes if node.name == each.node), "")
        for socket in each.sockets:
            if not (_system(socket, ssh) or _named(socket, ip, cluster, rows)):
                owner = "/".join(socket.processes) or "unknown process"
                bad.append(f"{each.node}: {owner} on {socket.transport} {socket.address} port {socket.port}")
    count = sum(len(each.sockets) for each in facts)
    return _result("listening", bad, f"{count} sockets on {len(facts)} nodes, all in the table of services")


def certificates(facts: Facts, wanted: Mapping[str, str], now: datetime) -> CheckResult:
    """Every node answers on each virtual IP with the metadata's certificate for it, and those are still valid.

    :param wanted: by virtual IP the certificate and those that follow it, as PEM.
    """
    expected = {f"{vip} {_fingerprint(text)}" for vip, text in wanted.items()}
    told = listed(expected)
    bad, left = [], []
    for each in facts:
        served = {f"{found.vip} {found.fingerprint}".strip() for found in each.certificates}
        if served != expected:
            bad.append(f"{each.node} serves {listed(served, 'none')}, not {told}")
        left += [_end(found.not_after) - now for found in each.certificates]
    if left and min(left) <= timedelta():
        bad.append(f"expired {-min(left).days} days ago: tripleo-ha metadata renew-certificate")
    days = min(left).days if left else 0
    return _result("tls.certificate", bad, f"the same on {len(facts)} nodes ({told}), {days} days left")


def _fingerprint(chain: str) -> str:
    first = chain[: chain.index(END_OF_PEM) + len(END_OF_PEM)]
    return hashlib.sha1(ssl.PEM_cert_to_DER_cert(first.strip()), usedforsecurity=False).hexdigest()


def _end(told: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(told), UTC)


def exposures(facts: Facts) -> CheckResult:
    """No secret of the metadata is readable by others, in a file or on a command line."""
    bad = [f"{each.node}: {found.secret} in {found.where}" for each in facts for found in each.exposures]
    return _result("secrets", bad, "no file or command line that others can read holds one")


def units(facts: Facts) -> CheckResult:
    """No systemd unit has failed."""
    bad = [f"{each.node}: {unit}" for each in facts for unit in each.failed_units]
    return _result("units", bad, f"no failed unit on {len(facts)} nodes")


def _named(socket: Socket, ip: str, cluster: Cluster, rows: Iterable[Row]) -> bool:
    control = {vip.ip for name, vip in cluster.virtual_ips.items() if name == "control"}
    for row in rows:
        for listener in row.listeners:
            if listener.transport != socket.transport:
                continue
            places = {"node": {ip}, "loopback": {"127.0.0.1", "::1"}}.get(listener.address)
            named = {name[:15] for name in listener.processes}
            own = set(socket.processes) <= named and bool(socket.processes) == bool(named)
            if own and socket.port in listener.ports and (places is None or socket.address in places):
                return True
            # HAProxy offers balanced listeners on their virtual IPs, and its statistics on the control one.
            ports = listener.entries or listener.ports
            vips = {cluster.virtual_ips[vip].ip for vip in listener.balance.vips} if listener.balance else control
            offers = socket.processes == ("haproxy",) and (own or listener.balance)
            if offers and socket.port in ports and socket.address in vips:
                return True
    return False


def _system(socket: Socket, ssh: bool) -> bool:
    known = (socket.transport, socket.port) in SYSTEM and socket.processes == ("systemd-network",)
    return known or (ssh and socket.port == SSH and set(socket.processes) <= {"sshd", "systemd"})


def _result(name: str, bad: Sequence[str], good: str) -> CheckResult:
    return CheckResult(name, not bad, "; ".join(bad) if bad else good)
