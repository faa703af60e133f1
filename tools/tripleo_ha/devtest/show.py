"""What there is to know about a bed, as data and as tables."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from tripleo_ha import endpoints, table
from tripleo_ha.devtest import beside, compute, credentials, handing, storage, timeline
from tripleo_ha.devtest.bed import Bed, BedNode
from tripleo_ha.errors import Failure
from tripleo_ha.run import run


def status(bed: Bed) -> dict[str, Any]:
    """Return the state of the bed: ``nodes``, those ``beside`` them, ``virtual_ips``, ``services``, and where the
    ``credentials`` (for OpenStack's clients) and all ``passwords`` are.

    Each node has ``name``, ``ip``, ``public_ip``, ``power`` (on, booting, off), ``cables`` (in, pulled), ``pid``,
    ``converged``, ``reason`` and ``console``, one beside them ``name``, ``ip``, ``power`` and ``console``; each virtual
    IP has ``ip`` and the names of its ``holders``.
    """
    nodes = [_node(bed, node.name) for node in bed.nodes]
    metadata = _metadata(bed)
    vips = metadata.get("cluster", {}).get("virtual_ips", {})
    addresses = {node["name"]: _addresses(node["pid"]) for node in nodes if node["pid"]}
    return {
        "state": str(bed.state),
        "name": bed.netns,
        "image": bed.record.image_checksum,
        "nodes": nodes,
        "beside": [_beside(bed, module.node(bed.state)) for module in (storage, compute) if module.runs(bed.record)],
        "virtual_ips": {
            name: {"ip": vip["ip"], "holders": [node for node, held in addresses.items() if vip["ip"] in held]}
            for name, vip in vips.items()
        },
        "services": services(metadata),
        "credentials": str(bed.state / credentials.OPENRC),
        "passwords": str(bed.passwords_file),
    }


def services(metadata: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return ``service``, ``name``, ``vip`` and ``url`` of each listener that is offered on a virtual IP."""
    found = []
    for row in table.active(_rows(), metadata):
        for listener in row.balanced:
            for vip in listener.balance.vips if listener.balance else ():
                url = endpoints.base_url(metadata, listener, vip)
                found.append({"service": row.service, "name": listener.name, "vip": vip, "url": url})
    return found


def render(told: Mapping[str, Any], on: Console) -> None:
    """Print the state of a bed for a person."""
    nodes = _table("node", "control", "public", "power", "cables", "converged", "virtual IPs")
    for node in told["nodes"]:
        held = [name for name, vip in told["virtual_ips"].items() if node["name"] in vip["holders"]]
        done = "yes" if node["converged"] else f"no: {node['reason']}"
        nodes.add_row(
            node["name"], node["ip"], node["public_ip"], node["power"], node["cables"], done, ", ".join(held) or "-"
        )
    for node in told["beside"]:
        nodes.add_row(node["name"], node["ip"], "-", node["power"], "-", "-", "-")
    on.print(nodes)
    offered = _table("service", "virtual IP", "where")
    for service in told["services"]:
        offered.add_row(service["name"], service["vip"], service["url"])
    if told["services"]:
        on.print(offered)
    for name, vip in told["virtual_ips"].items():
        on.print(f"virtual IP {name}: {vip['ip']} on {', '.join(vip['holders']) or 'no node'}")
    on.print(f"credentials: {told['credentials']}   all passwords: {told['passwords']}", soft_wrap=True)
    on.print(f"state: {told['state']}   client's namespace: {told['name']} (`devtest run -- CMD`)", soft_wrap=True)


def render_timeline(bed: Bed, on: Console) -> None:
    """Print where the time went, for the bed and each node."""
    found = {"bed": timeline.load(bed.state / "timeline.json")}
    found |= {node.name: timeline.load(node.directory / "timeline.json") for node in bed.nodes}
    shown = _table("who", "step", "at s", "took s", "")
    for who, step, at, took, bar in timeline.rows(found):
        shown.add_row(who, step, f"{at:.1f}", f"{took:.1f}", bar)
    on.print(shown)


def console() -> Console:
    """Return a console that wraps at the terminal's width, and not at all when it is written to a file."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=200, no_color=True)


def _node(bed: Bed, name: str) -> dict[str, Any]:
    node = bed.node(name)
    pid = bed.leader(name) if bed.running(name) else None
    power = "on" if pid else ("booting" if bed.powered(name) else "off")
    try:
        converged, reason = bed.converged(name)
    except Failure as failure:
        converged, reason = False, failure.message
    return {
        "name": name,
        "ip": node.ip,
        "public_ip": node.public_ip,
        "power": power,
        "cables": "pulled" if bed.isolated(name) else "in",
        "pid": pid,
        "converged": converged,
        "reason": reason,
        "console": str(node.console),
    }


def _beside(bed: Bed, node: BedNode) -> dict[str, str]:
    power = "on" if beside.runs(node, bed.cgroup) else "off"
    return {"name": node.name, "ip": node.ip, "power": power, "console": str(node.console)}


def _rows() -> tuple[table.Row, ...]:
    try:
        return table.load()
    except Failure as failure:  # half-way through an edit of an element: the nodes are worth showing all the same
        sys.stderr.write(f"service table: {failure.message}\n")
        return ()


def _metadata(bed: Bed) -> dict[str, Any]:
    try:
        document = bed.metadata(bed.nodes[0].name)
    except Failure:
        return {}
    return {} if handing.refusal(document) else document


def _addresses(pid: int) -> set[str]:
    done = run(["nsenter", f"--target={pid}", "--net", "ip", "-json", "address"], timeout=10, check=False)
    links = json.loads(done.stdout or "[]")
    return {address["local"] for link in links for address in link.get("addr_info", ())}


def _table(*columns: str) -> Table:
    shown = Table(box=None, pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    return shown
