"""What JSON Schema cannot say about single services and what they need of each other; see ``rule``."""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tripleo_ha.metadata import schema, suggestions
from tripleo_ha.metadata.findings import Finding, Path
from tripleo_ha.metadata.rule import Document, Rule, duplicates, needs, value_of

CONSENSUS_FACTOR = 1.2
"""corosync.conf(5): consensus must be at least this many times token."""
_PORT = re.compile(r"[0-9]{1,5}\Z")
AUTHKEY_BYTES = range(128, 4097)
"""corosync.conf(5), crypto: the size of a key in bytes."""


@needs("pacemaker")
def consensus(document: Document) -> Iterator[Finding]:
    """Corosync refuses a consensus time that is too short for its token time."""
    token = value_of(document, "pacemaker", "token_ms")
    least = int(token * CONSENSUS_FACTOR)
    if value_of(document, "pacemaker", "consensus_ms") < least:
        key = "consensus_ms" if "consensus_ms" in document["pacemaker"] else "token_ms"
        message = f"consensus_ms is less than {CONSENSUS_FACTOR} times token_ms"
        yield Finding("THA215", ("pacemaker", key), message, f"consensus_ms of at least {least} ms")


@needs("pacemaker")
def authkey_size(document: Document) -> Iterator[Finding]:
    """Corosync's key has a size that it accepts."""
    size = len(base64.b64decode(document["pacemaker"]["corosync_authkey"]))
    if size not in AUTHKEY_BYTES:
        path = ("pacemaker", "corosync_authkey")
        yield Finding("THA217", path, f"a key of {size} bytes", "128 to 4096 bytes", "corosync-keygen makes one")


@needs()
def fencing(document: Document) -> Iterator[Finding]:
    """A singleton needs fencing, and fencing needs a device for every node and for no other."""
    if not {"cluster", "pacemaker"} <= set(document):
        return
    names = [node["name"] for node in document["cluster"]["nodes"]]
    singletons = [name for name in document if _is_singleton(document, name)]
    configured = document["pacemaker"].get("fencing")
    if configured is None:
        if singletons and len(names) > 1:
            yield Finding(
                "THA212",
                ("pacemaker",),
                f"no fencing, though {', '.join(singletons)} may run only once",
                "pacemaker.fencing with a device for every node",
                "without it a node that is cut off may go on running what another has taken over",
                severity="warning",
                on_key=True,
            )
        return
    yield from _devices(configured["devices"], names)


def _is_singleton(document: Document, name: str) -> bool:
    """Tell whether a section's service runs once: always, or with the values that its schema names."""
    declared = schema.read(name).get("x-singleton", False)
    if isinstance(declared, Mapping):
        return all(value_of(document, name, key) == value for key, value in declared.items())
    return bool(declared)


def _devices(devices: Mapping[str, Any], names: list[str]) -> Iterator[Finding]:
    path: Path = ("pacemaker", "fencing", "devices")
    known = set(names)
    for name in devices:
        if name not in known:
            near = suggestions.nearest(name, known)
            hint = f"did you mean the name of cluster.nodes[{names.index(near)}]?" if near else "remove it"
            yield Finding("THA213", (*path, name), "no node of this name", "a name of cluster.nodes", hint, on_key=True)
    for index, name in enumerate(names):
        if name not in devices:
            message = f"no device for cluster.nodes[{index}], which therefore cannot be fenced"
            yield Finding("THA213", path, message, "a device for every node", on_key=True)


@needs("keystone")
def key_repositories(document: Document) -> Iterator[Finding]:
    """Each key of a repository has an index and a value of its own, and a staged key is there."""
    for name in ("fernet_keys", "credential_keys"):
        keys = document["keystone"][name]
        path: Path = ("keystone", name)
        for part in ("index", "key"):
            for index, first in duplicates([key[part] for key in keys]):
                message = f"the same {part} as keystone.{name}[{first}]"
                yield Finding("THA216", (*path, index, part), message, "an index and a key of its own")
        if all(key["index"] != 0 for key in keys):
            message = "no key with index 0, so none is staged and the next rotation loses tokens"
            yield Finding("THA222", path, message, "a key with index 0", severity="warning", on_key=True)


@needs("cluster", "glance")
def shared_images(document: Document) -> Iterator[Finding]:
    """Where there are several controllers, images are in a store that all of them reach."""
    yield from _kept_by_one(document, "THA230", "images", ("glance", "store"))


@needs("cluster", "gnocchi")
def shared_measures(document: Document) -> Iterator[Finding]:
    """Where there are several controllers, measures are in a store that all of them reach."""
    yield from _kept_by_one(document, "THA271", "measures", ("gnocchi", "storage"))


def _kept_by_one(document: Document, rule: str, what: str, path: tuple[str, str]) -> Iterator[Finding]:
    count = len(document["cluster"]["nodes"])
    if count > 1 and value_of(document, *path) == "file":
        message = f"{what} in files of each of {count} controllers"
        yield Finding(rule, path, message, "a store that all controllers share: swift")


_STORES = (("glance", "store"), ("gnocchi", "storage"))
"""Where it says whether something is kept in Swift."""


@needs()
def object_store(document: Document) -> Iterator[Finding]:
    """What is to be kept in Swift has a Swift."""
    for name, key in _STORES:
        if name in document and "swift" not in document and value_of(document, name, key) == "swift":
            path: Path = (name, key) if key in document[name] else (name,)
            message = "an object store is to be used, and none is run"
            yield Finding("THA270", path, message, "the key swift", severity="warning", on_key=True)


@needs("cluster", "neutron")
def project_networks(document: Document) -> Iterator[Finding]:
    """Networks of projects can be carried between nodes as is asked for."""
    kind, datapath = (value_of(document, "neutron", key) for key in ("tenant_network_type", "datapath"))
    path: Path = ("neutron", "tenant_network_type") if "tenant_network_type" in document["neutron"] else ("neutron",)
    networks = value_of(document, "neutron", "physical_networks")
    if kind == "vlan" and not any(network.get("vlans") for network in networks):
        yield Finding("THA241", path, "no physical network has VLANs for them", "vlans of a physical network")
    if kind != "vlan" and datapath == "netdev" and len(document["cluster"]["nodes"]) > 1:
        message = f"{kind} tunnels do not leave a node by a datapath in user space"
        yield Finding("THA242", path, message, "tenant_network_type: vlan", on_key=path == ("neutron",))


@needs("cluster", "neutron")
def physical_networks(document: Document) -> Iterator[Finding]:
    """Networks outside are told apart, and take no interface that the node itself is reached by."""
    networks = value_of(document, "neutron", "physical_networks")
    path: Path = ("neutron", "physical_networks")
    for key in ("name", "bridge", "interface"):
        places = [index for index, network in enumerate(networks) if key in network]
        for index, first in duplicates([networks[place][key] for place in places]):
            message = f"the same {key} as neutron.physical_networks[{places[first]}]"
            yield Finding("THA243", (*path, places[index], key), message, "one of its own")
    taken = {vip["interface"]: name for name, vip in document["cluster"]["virtual_ips"].items()}
    for index, network in enumerate(networks):
        if vip := taken.get(network.get("interface", "")):
            message = f"the virtual address cluster.virtual_ips.{vip} is on this interface"
            yield Finding("THA244", (*path, index, "interface"), message, "an interface that carries no address")


@needs()
def routers(document: Document) -> Iterator[Finding]:
    """What runs once is run by Pacemaker."""
    if "neutron" not in document or "pacemaker" in document:
        return
    if value_of(document, "neutron", "l3") == "singleton":
        path: Path = ("neutron", "l3") if "l3" in document["neutron"] else ("neutron",)
        message = "one L3 agent in the cluster, and no Pacemaker to see to it"
        yield Finding("THA240", path, message, "the key pacemaker, or l3: ha", on_key=path == ("neutron",))


@needs()
def ports(document: Document) -> Iterator[Finding]:
    """No setting in an ``extra`` map takes a port that another service of the image listens on."""
    asked = list(_extra_ports(document))
    if not asked:
        return
    # Reading the table costs more than all other rules together, and such settings are rare.
    listeners = _listeners()
    taken: dict[int, str] = {}
    for path, port in asked:
        section = str(path[0])
        other = next((name for name in sorted(listeners.get(port, ())) if name != section and name in document), None)
        other = other or taken.get(port)
        if other:
            yield Finding("THA214", path, f"port {port} is {other}'s", "a port that nothing else listens on")
        taken.setdefault(port, section)


def _extra_ports(document: Document) -> Iterator[tuple[Path, int]]:
    for name, section in document.items():
        for path, value in _settings((name, "extra"), section.get("extra", {})):
            if _names_a_port(str(path[-1])) and _PORT.match(str(value)):
                yield path, int(value)


def _settings(path: Path, extra: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Walk an ``extra`` map, which may be divided among files, down to its values."""
    for key, value in extra.items():
        if isinstance(value, Mapping):
            yield from _settings((*path, key), value)
        else:
            yield (*path, key), value


def _names_a_port(option: str) -> bool:
    return option in ("port", "tcp-port", "listeners.tcp.default") or option.endswith(("_port", "-port", ".port"))


def _listeners() -> dict[int, set[str]]:
    """Return the metadata keys that listen on each port, from the table of services."""
    from tripleo_ha import table

    found: dict[int, set[str]] = {}
    for row in table.load():
        for listener in row.listeners:
            for port in {*listener.ports, *listener.entries}:
                found.setdefault(port, set()).add(row.metadata)
    return found


@needs()
def connections(document: Document) -> Iterator[Finding]:
    """The database takes as many connections as the pools of the services' processes may hold."""
    workers = {name: value_of(document, name, "workers") for name in document if "workers" in document[name]}
    # As with ports: the table is read where nothing but its numbers can tell.
    if not {"cluster", "mysql"} <= set(document) or max(workers.values(), default=1) == 1:
        return
    kept = _connections(document)
    needed, most = sum(kept.values()), value_of(document, "mysql", "max_connections")
    if needed > most:
        largest = max(workers, key=lambda name: kept.get(name, 0))
        yield Finding(
            "THA231",
            ("mysql", "max_connections") if "max_connections" in document["mysql"] else (largest, "workers"),
            f"the database takes {most} connections, and services with so many workers may keep {needed} open",
            f"mysql.max_connections of at least {needed}",
            f"or fewer workers; {largest} has the most connections, {kept.get(largest, 0)}",
            severity="warning",
        )


def _connections(document: Document) -> dict[str, int]:
    """Return how many connections the pools of each section's processes may hold, on all nodes together."""
    from tripleo_ha import table
    from tripleo_ha.metadata.oslo import POOL

    found: dict[str, int] = {}
    nodes = len(document["cluster"]["nodes"])
    for row in table.active(table.load(), document):
        processes = [unit for unit in row.units if (unit.wsgi or unit.program) and not unit.timer]
        schemas = [database for database in row.databases if database.section]
        if processes and schemas:
            each = value_of(document, row.metadata, "workers") * len(processes) * len(schemas) * POOL
            found[row.metadata] = found.get(row.metadata, 0) + nodes * each
    return found


STORES: tuple[Rule, ...] = (shared_images, object_store, shared_measures)
NETWORKS: tuple[Rule, ...] = (project_networks, physical_networks, routers)
RULES: tuple[Rule, ...] = (consensus, authkey_size, fencing, key_repositories, *STORES, *NETWORKS, ports, connections)
