"""What Pacemaker shall run: rows, cluster and metadata in, the wanted part of the CIB out.

Invariant: the same input gives the same XML on every node, so that any node may seed a new cluster with it, and a
configuration that already holds it is left alone. Ours are all resources, all constraints but an operator's temporary
ones, and one set of cluster properties; what else is in the live configuration is kept.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from tripleo_ha.cluster import Cluster, VirtualIP
from tripleo_ha.table import Row
from tripleo_ha.topology import fencing
from tripleo_ha.topology.cib import add, nvset, operations, primitive

Element = ElementTree.Element

SCHEMA = "pacemaker-4.0"
OWNED = "tripleo-ha"
"""The id of our set of properties; Pacemaker and operators write into ``cib-bootstrap-options``."""
ENTRY = "haproxy-answers"
MOVES_AT_ONCE = {"requires": "quorum"}
"""An address is not held up until the node that had it is fenced: clients follow who announced it last, and nothing is
lost when for a moment a node that nobody reaches has it as well."""
OPERATORS_OWN = "cli-"
"""How the ids of constraints begin that ``crm_resource --move`` and ``--ban`` make."""


def singletons(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return the rows that Pacemaker runs."""
    return tuple(row for row in rows if row.manager == "pacemaker")


def vip_resource(name: str) -> str:
    """Return the resource that holds the virtual IP ``name``."""
    return f"vip-{name}"


def wanted(cluster: Cluster, metadata: Mapping[str, Any], runs: Sequence[Row] = ()) -> Element:
    """Return the ``configuration`` element with what is ours in it.

    :param metadata: accepted metadata; ``pacemaker`` may hold ``fencing``.
    :param runs: the rows of those singletons that may run by now.
    """
    configuration = Element("configuration")
    crm_config = add(configuration, "crm_config")
    nvset(crm_config, "cluster_property_set", OWNED, _properties(cluster, metadata))
    add(configuration, "nodes")
    resources = add(configuration, "resources")
    constraints = add(configuration, "constraints")
    entry = "haproxy" in metadata
    if entry:
        _watch(resources, ENTRY, "haproxy", {}, "2s", MOVES_AT_ONCE)
    _virtual_ips(resources, constraints, cluster, entry)
    for row in sorted(runs, key=lambda row: row.service):
        _singleton(resources, constraints, row)
    fencing.add(resources, constraints, cluster, metadata)
    defaults = add(configuration, "rsc_defaults")
    nvset(defaults, "meta_attributes", f"{OWNED}-defaults", {"resource-stickiness": "100"})
    return configuration


def seed(configuration: Element) -> str:
    """Return a whole CIB for a node that has none: older than any that a cluster has ever used."""
    cib = Element("cib", {"validate-with": SCHEMA, "admin_epoch": "0", "epoch": "1", "num_updates": "0"})
    cib.append(configuration)
    add(cib, "status")
    return ElementTree.tostring(cib, encoding="unicode") + "\n"


def merged(live: Element, configuration: Element) -> Element:
    """Return a copy of the live ``cib``, one epoch on, in which what is ours is as in ``configuration``."""
    cib = copy.deepcopy(live)
    cib.set("epoch", str(int(live.get("epoch", "0")) + 1))
    cib.set("num_updates", "0")
    mine = cib.find("configuration")
    assert mine is not None
    for section in configuration:
        if section.tag == "nodes":
            continue
        old = mine.find(section.tag)
        if old is None:
            old = add(mine, section.tag)
        if [_canonical(child) for child in old if _is_ours(child)] == [_canonical(child) for child in section]:
            continue
        kept = [child for child in old if not _is_ours(child)]
        old[:] = [*copy.deepcopy(list(section)), *kept]
    return cib


def differences(live: Element, configuration: Element) -> list[str]:
    """Return one line for each element of ours that is missing, other or too many in the live ``cib``; or nothing."""
    before = _owned(live.find("configuration"))
    after = _owned(configuration)
    lines = [f"add {key}" for key in after if key not in before]
    lines += [f"change {key}" for key in after if key in before and before[key] != after[key]]
    lines += [f"remove {key}" for key in before if key not in after]
    return lines


def resources_in(cib: Element) -> frozenset[str]:
    """Return the ids of the resources that a CIB configures, those in groups and clones left out."""
    return frozenset(child.get("id", "") for child in cib.iterfind("configuration/resources/*"))


def departed(cib: Element, cluster: Cluster) -> tuple[str, ...]:
    """Return the nodes that the CIB still knows and the metadata does not name any more."""
    members = {node.name for node in cluster.nodes}
    known = (node.get("uname", "") for node in cib.iterfind("configuration/nodes/node"))
    return tuple(sorted(name for name in known if name and name not in members))


def started_on(status: Element, resource: str) -> tuple[str, ...]:
    """Return the nodes on which ``crm_mon --output-as=xml`` says that a resource is started and did not fail."""
    return tuple(
        node.get("name", "")
        for found in status.iterfind("resources//resource")
        if found.get("id") == resource and found.get("role") == "Started" and found.get("failed") != "true"
        for node in found.iterfind("node")
    )


def is_online(status: Element, node: str) -> bool:
    """Tell whether ``crm_mon`` counts a node as one that may run resources."""
    found = (each for each in status.iterfind("nodes/node") if each.get("name") == node)
    return any(each.get("online") == "true" and each.get("pending") == "false" for each in found)


def have_moved(status: Element, resources: Iterable[str], node: str) -> bool:
    """Tell from what ``crm_mon`` says whether other nodes have what a node in standby had, or there is no other."""
    names = (each.get("name", "") for each in status.iterfind("nodes/node") if each.get("standby") != "true")
    if not any(name != node and is_online(status, name) for name in names):
        return True
    return all(any(on != node for on in started_on(status, resource)) for resource in resources)


def has_node(status: Element, node: str) -> bool:
    """Tell whether ``crm_mon`` knows a node at all."""
    return any(each.get("name") == node for each in status.iterfind("nodes/node"))


def _properties(cluster: Cluster, metadata: Mapping[str, Any]) -> dict[str, str]:
    return {
        "cluster-name": cluster.name,
        "dc-deadtime": "2s",
        # Otherwise a busy processor slows down just what is to bring services back: by 7 s at 30 a core.
        "load-threshold": "0%",
        "no-quorum-policy": "stop" if len(cluster.nodes) > 1 else "ignore",
        "stonith-enabled": "true" if fencing.is_on(cluster, metadata) else "false",
        "stonith-timeout": f"{fencing.TIMEOUT_S}s",
        # Two nodes lost at once are not fenced one after the other.
        "concurrent-fencing": "true",
        "pe-error-series-max": "20",
        "pe-warn-series-max": "20",
        "pe-input-series-max": "100",
    }


def _watch(
    resources: Element, name: str, agent: str, parameters: Mapping[str, str], interval: str, meta: Mapping[str, str]
) -> None:
    """Add the clone ``NAME-clone``, which is started on every node where an agent of ours finds all well."""
    clone = add(resources, "clone", id=f"{name}-clone")
    # The first failure takes away at once what belongs to it, and soon the node may have that again.
    attributes = {"migration-threshold": "1", "failure-timeout": "15s", **meta}
    made = primitive(clone, name, ("ocf", agent, "tripleo-ha"), parameters, attributes)
    held = operations(made, start=("0s", "20s"), stop=("0s", "20s"), monitor=(interval, "20s"))
    # Stopping it does nothing; on a node too busy for that in time it is no reason to be fenced.
    stop = held.find("op[@name='stop']")
    assert stop is not None
    stop.set("on-fail", "ignore")


def _virtual_ips(resources: Element, constraints: Element, cluster: Cluster, entry: bool) -> None:
    names = sorted(cluster.virtual_ips, key=lambda name: (name != "control", name))
    for name in names:
        _virtual_ip(resources, cluster.virtual_ips[name])
        if entry:
            _together(constraints, vip_resource(name), f"{ENTRY}-clone")
        if name != names[0]:
            # One entry node: half as many power cuts that a client notices, and one place to look.
            _together(constraints, vip_resource(name), vip_resource(names[0]))


def _virtual_ip(resources: Element, vip: VirtualIP) -> None:
    parameters = {"ip": vip.ip, "prefix": str(vip.prefix), "interface": vip.interface}
    attributes = {"migration-threshold": "3", "failure-timeout": "60s", **MOVES_AT_ONCE}
    made = primitive(resources, vip_resource(vip.name), ("ocf", "address", "tripleo-ha"), parameters, attributes)
    operations(made, start=("0s", "20s"), stop=("0s", "20s"), monitor=("5s", "20s"))


def _singleton(resources: Element, constraints: Element, row: Row) -> None:
    if row.needs:
        needs = f"{row.service}-needs"
        _watch(resources, needs, "units", {"units": " ".join(row.needs)}, "5s", {})
        _together(constraints, row.service, f"{needs}-clone")
    attributes = {"migration-threshold": "3", "failure-timeout": "60s"}
    # A group's members are started in their order on one node, and stopped in the other.
    parent = add(resources, "group", id=row.service) if len(row.units) > 1 else resources
    for unit in row.units:
        name = unit.name.removesuffix(".service")
        made = primitive(parent, resource_of(row, unit.name), ("systemd", name, ""), {}, attributes)
        operations(made, start=("0s", "100s"), stop=("0s", "100s"), monitor=("5s", "60s"))


def resource_of(row: Row, unit: str) -> str:
    """Return the resource that runs one unit of a singleton's row."""
    return row.service if len(row.units) == 1 else f"{row.service}-{unit.removesuffix('.service')}"


def _together(constraints: Element, resource: str, other: str) -> None:
    colocated = {"rsc": resource, "with-rsc": other, "score": "INFINITY"}
    add(constraints, "rsc_colocation", id=f"{resource}-with-{other}", **colocated)


def _is_ours(element: Element) -> bool:
    name = element.get("id", "")
    if element.tag == "cluster_property_set":
        return name == OWNED
    if element.tag == "meta_attributes":
        return name == f"{OWNED}-defaults"
    return not name.startswith(OPERATORS_OWN)


def _owned(configuration: Element | None) -> dict[str, object]:
    sections = ("crm_config", "rsc_defaults", "resources", "constraints")
    found = [] if configuration is None else [configuration.find(section) for section in sections]
    return {
        f"{child.tag} {child.get('id')}": _canonical(child)
        for section in found
        if section is not None
        for child in section
        if _is_ours(child)
    }


def _canonical(element: Element) -> tuple[str, tuple[tuple[str, str], ...], tuple[object, ...]]:
    return element.tag, tuple(sorted(element.items())), tuple(_canonical(child) for child in element)
