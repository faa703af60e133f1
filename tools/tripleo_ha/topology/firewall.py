"""The firewall, derived from the table of services and the metadata: rows in, an nftables ruleset out.

One table of our own, ``inet tripleo_ha``, replaced in one transaction. Other tables (Neutron's) are not touched. What a
node sends is not filtered; what it receives is dropped unless a listener of an active row wants it.
"""

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tripleo_ha import endpoints
from tripleo_ha.cluster import Cluster, VirtualIP
from tripleo_ha.errors import Failure
from tripleo_ha.table import Listener, Row
from tripleo_ha.topology import haproxy

TABLE = "tripleo_ha"


def render(rows: Sequence[Row], cluster: Cluster, metadata: Mapping[str, Any]) -> str:
    """Return the ruleset for this node, as ``nft -f`` takes it.

    :param rows: the active rows.
    :param metadata: the accepted metadata; ``base.ssh_sources`` (CIDRs) opens port 22.
    :raises Failure: a listener names a source or a virtual IP that does not exist.
    """
    rules = [
        *_always(),
        *_ssh(metadata.get("base", {}).get("ssh_sources", [])),
        *(rule for row in rows for listener in row.listeners for rule in _listener(row, listener, cluster, metadata)),
        *_rest(),
    ]
    chain = "\n".join(f"        {rule}" for rule in ("type filter hook input priority filter; policy drop;", *rules))
    moved = "\n".join(f"        {rule}" for rule in _moved(cluster))
    body = f"{_sets(cluster)}\n    chain moved {{\n{moved}\n    }}\n    chain input {{\n{chain}\n    }}"
    mark = hashlib.sha256(body.encode()).hexdigest()
    return (
        "#!/usr/sbin/nft -f\n"
        f"table inet {TABLE}\n"
        f"delete table inet {TABLE}\n"
        f'table inet {TABLE} {{\n    comment "{mark}"\n{body}\n}}\n'
    )


def digest(text: str) -> str:
    """Return the digest that :func:`render` wrote into a ruleset and the kernel shows again, or an empty string."""
    line = next((line.strip() for line in text.splitlines() if line.strip().startswith("comment ")), "")
    return line.removeprefix("comment ").strip('"')


def _sets(cluster: Cluster) -> str:
    members: dict[int, list[str]] = {4: [], 6: []}
    for node in cluster.nodes:
        members[ipaddress.ip_address(node.ip).version].append(node.ip)
    return "\n".join(
        f"    set cluster{version} {{ type ipv{version}_addr; elements = {{ {', '.join(found)} }}; }}"
        for version, found in members.items()
        if found
    )


def _always() -> Iterator[str]:
    yield "iif lo accept"
    # What conntrack calls invalid is not dropped here: packets of a connection that a virtual IP left behind must
    # reach TCP, whose reset tells the client at once.
    yield "ct state established,related accept"
    yield "meta l4proto { icmp, ipv6-icmp } accept"
    yield "udp sport 67 udp dport 68 accept"
    yield "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept"


def _moved(cluster: Cluster) -> Iterator[str]:
    # Until clients have heard where a virtual IP is now, they send here; unanswered, TCP tries again after a second.
    yield "type filter hook prerouting priority mangle; policy accept;"
    for vip in cluster.virtual_ips.values():
        yield f"{_match('daddr', vip.ip)} meta l4proto tcp fib daddr type != local reject with tcp reset"


def _rest() -> Iterator[str]:
    yield "meta pkttype { broadcast, multicast } drop"
    yield 'limit rate 10/minute burst 20 packets log prefix "tripleo-ha drop: "'


def _ssh(sources: Iterable[str]) -> Iterator[str]:
    for source in sources:
        yield f"{_match('saddr', source)} tcp dport 22 accept"


def _listener(row: Row, listener: Listener, cluster: Cluster, metadata: Mapping[str, Any]) -> Iterator[str]:
    if listener.address == "loopback":
        return
    ports = f"{listener.port}-{listener.last_port}" if listener.last_port else listener.port
    to = "meta l4proto gre" if listener.transport == "gre" else f"{listener.transport} dport {ports}"
    port = f'{to} accept comment "{listener.name}"'
    if listener.address == "any":
        destinations = [""]
    else:
        destinations = [_match("daddr", cluster.me.ip)]
        control = cluster.virtual_ips.get("control")
        if control and row.service == haproxy.SERVICE and "control" in listener.sources:
            destinations.append(_match("daddr", control.ip))
    for source in _sources(listener, cluster):
        for destination in destinations:
            if _same_family(source, destination):
                yield " ".join(part for part in (source, destination, port) if part)
    yield from _virtual(listener, cluster, metadata)


def _sources(listener: Listener, cluster: Cluster) -> Iterator[str]:
    wanted = dict.fromkeys((*(("cluster",) if listener.balance else ()), *listener.sources))
    for name in wanted:
        if name == "cluster":
            for version in sorted({ipaddress.ip_address(node.ip).version for node in cluster.nodes}):
                yield _cluster(version)
        elif name == "control" and "control" in cluster.virtual_ips:
            yield _match("saddr", cluster.virtual_ips["control"].network)
        elif name != "control":
            raise Failure(f"listener {listener.name}: no source {name}", "sources are cluster and control")


def _virtual(listener: Listener, cluster: Cluster, metadata: Mapping[str, Any]) -> Iterator[str]:
    for name in listener.balance.vips if listener.balance else ():
        if name not in cluster.virtual_ips:
            raise Failure(f"listener {listener.name}: no virtual IP {name} in cluster.virtual_ips")
        vip = cluster.virtual_ips[name]
        destination = _match("daddr", vip.ip)
        sources = [""] if name == "public" else list(_inside(vip, cluster))
        for port in endpoints.offered_ports(metadata, listener, name):
            offer = f'{destination} {listener.transport} dport {port} accept comment "{listener.name}"'
            yield from (f"{source}{offer}" for source in sources)


def _inside(vip: VirtualIP, cluster: Cluster) -> Iterator[str]:
    version = ipaddress.ip_address(vip.ip).version
    yield f"{_match('saddr', vip.network)} "
    if any(ipaddress.ip_address(node.ip).version == version for node in cluster.nodes):
        yield f"{_cluster(version)} "


def _cluster(version: int) -> str:
    return f"{_keyword(version)} saddr @cluster{version}"


def _match(side: str, network: str) -> str:
    parsed = ipaddress.ip_network(network, strict=False)
    text = str(parsed.network_address) if parsed.num_addresses == 1 else str(parsed)
    return f"{_keyword(parsed.version)} {side} {text}"


def _keyword(version: int) -> str:
    return "ip6" if version == 6 else "ip"


def _same_family(*matches: str) -> bool:
    return len({match.split()[0] for match in matches if match}) < 2
