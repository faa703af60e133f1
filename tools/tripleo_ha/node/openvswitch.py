"""Open vSwitch, and the bridges that lead to the networks outside."""

import json

from tripleo_ha.node import service
from tripleo_ha.node.context import Context
from tripleo_ha.run import run
from tripleo_ha.table import Row
from tripleo_ha.topology import openvswitch as topology
from tripleo_ha.topology.openvswitch import Bridge

TIMEOUT_S = 20


def converge(context: Context, row: Row) -> None:
    """Have Open vSwitch run, with its bridges; its database begins empty at each boot."""
    service.converge(context, row)
    wanted = topology.wanted(context.metadata[row.metadata])
    found = list(topology.changes(wanted, live()))
    if found:
        vsctl(*(word for change in found for word in ("--", *change.arguments)))
    for change in found:
        context.changed(f"{row.service}: {change.told}")
    for port in sorted(port for bridge in wanted for port in bridge.ports):
        run(["ip", "link", "set", "dev", port, "up"], timeout=TIMEOUT_S)


def live() -> dict[str, Bridge]:
    """Return the bridges that there are, by name."""
    told = json.loads(vsctl("--format=json", "--columns=name,datapath_type", "list", "Bridge"))
    return {
        name: Bridge(name, datapath or "system", frozenset(vsctl("list-ports", name).split()))
        for name, datapath in told["data"]
    }


def vsctl(*arguments: str) -> str:
    """Run ``ovs-vsctl`` and return what it tells."""
    return run(["ovs-vsctl", f"--timeout={TIMEOUT_S}", *arguments], timeout=TIMEOUT_S + 5).stdout
