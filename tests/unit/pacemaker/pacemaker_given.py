"""What the tests of Pacemaker are given: clusters, metadata, rows, and a live CIB as Pacemaker keeps it."""

import copy
from typing import Any
from xml.etree import ElementTree

from tripleo_ha import cluster as clusters
from tripleo_ha.cluster import Cluster
from tripleo_ha.node.context import Context
from tripleo_ha.table import Row, Unit

Element = ElementTree.Element

PACEMAKER = Row(
    "pacemaker",
    "pacemaker",
    "",
    handler="pacemaker",
    units=(Unit("corosync.service", ("/etc/corosync/corosync.conf",)), Unit("pacemaker.service")),
)


def singleton(name: str, *units: str) -> Row:
    """Return the row of a service that Pacemaker runs; its one unit is named like it unless said otherwise."""
    names = units or (f"{name}.service",)
    return Row(name, name, "", handler="singleton", manager="pacemaker", units=tuple(Unit(unit) for unit in names))


def metadata(nodes: int = 3, me: int = 0, **services: Any) -> dict[str, Any]:
    """Return accepted metadata of one controller of ``nodes``."""
    return {
        "cluster": {
            "name": "overcloud",
            "nodes": [{"name": f"controller-{index}", "ip": f"192.0.2.{11 + index}"} for index in range(nodes)],
            "virtual_ips": {
                "public": {"ip": "198.51.100.10", "prefix": 24, "interface": "host1"},
                "control": {"ip": "192.0.2.10", "prefix": 24, "interface": "host0"},
            },
        },
        "node": {"name": f"controller-{me}"},
        "pacemaker": {"corosync_authkey": "AAAA", "token_ms": 1000, "consensus_ms": 1200},
        "haproxy": {},
        **services,
    }


def cluster(nodes: int = 3, me: int = 0) -> Cluster:
    """Return the cluster of :func:`metadata`."""
    return clusters.from_metadata(metadata(nodes, me))


def context(nodes: int = 3, me: int = 0, rows: tuple[Row, ...] = (), **services: Any) -> Context:
    """Return a converge run on one controller."""
    return Context(metadata(nodes, me, **services), cluster(nodes, me), (PACEMAKER, *rows))


def live(configuration: Element, nodes: tuple[str, ...] = ("controller-0", "controller-1", "controller-2")) -> Element:
    """Return a CIB as a running cluster has it: with nodes, status and the properties that Pacemaker writes."""
    cib = Element("cib", {"epoch": "7", "num_updates": "3", "admin_epoch": "0", "have-quorum": "1"})
    cib.append(copy.deepcopy(configuration))
    known = cib.find("configuration/nodes")
    properties = cib.find("configuration/crm_config")
    assert known is not None and properties is not None
    for number, name in enumerate(nodes, 1):
        ElementTree.SubElement(known, "node", {"id": str(number), "uname": name})
    bootstrap = ElementTree.Element("cluster_property_set", {"id": "cib-bootstrap-options"})
    ElementTree.SubElement(bootstrap, "nvpair", {"id": "o-dc", "name": "dc-version", "value": "3.0.0"})
    properties.insert(0, bootstrap)
    ElementTree.SubElement(ElementTree.SubElement(cib, "status"), "node_state", {"id": "1"})
    return cib
