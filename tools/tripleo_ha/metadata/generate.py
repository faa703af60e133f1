"""From a small description of a cloud to the metadata of each of its controllers."""

import copy
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tripleo_ha import endpoints
from tripleo_ha.errors import UsageError
from tripleo_ha.metadata import schema
from tripleo_ha.metadata.findings import Finding
from tripleo_ha.metadata.passwords import Passwords

CORE = ("mysql", "rabbit", "haproxy", "pacemaker", "memcached", "keystone", "ceilometer")
PROFILES = ("core", "full")
MOST_CONTROLLERS = 9
FIRST_HOST = 11
"""Controllers take the addresses from here on in each network; what is below is for virtual IPs and the gateway."""

Document = dict[str, Any]


@dataclass(frozen=True)
class Network:
    """A network of the controllers: its CIDR, the controllers' interface on it, and the virtual IP it carries."""

    cidr: str
    interface: str
    vip: str


@dataclass(frozen=True)
class Controller:
    """One controller; ``ip`` is its address on the control network, ``memory_mb`` its memory in MiB if it is known."""

    name: str
    ip: str
    memory_mb: int | None = None


LOCAL_NETWORKS: Mapping[str, Network] = {
    "control": Network("192.0.2.0/24", "host0", "192.0.2.10"),
    "public": Network("198.51.100.0/24", "host1", "198.51.100.10"),
}
"""The networks of the local test bed (addresses that RFC 5737 sets aside for documentation)."""


@dataclass(frozen=True)
class Description:
    """A cloud in a few lines.

    ``services`` are metadata keys; one that is not named does not run. ``overrides`` is merged over what is generated:
    mappings key by key, anything else replaces.
    """

    controllers: tuple[Controller, ...]
    name: str = "overcloud"
    networks: Mapping[str, Network] = field(default_factory=lambda: dict(LOCAL_NETWORKS))
    services: tuple[str, ...] = CORE
    overrides: Mapping[str, Any] = field(default_factory=dict)
    allow_even: bool = False


def numbered(
    count: int,
    *,
    name: str = "overcloud",
    networks: Mapping[str, Network] | None = None,
    memory_mb: int | None = None,
) -> tuple[Controller, ...]:
    """Return ``count`` controllers, named NAME-controller-INDEX and with the control network's addresses from .11 on.

    The first n of more are the same as n, so a cluster that grows keeps its members.

    :raises UsageError: the control network is too small.
    """
    control = network_of((networks or LOCAL_NETWORKS)["control"].cidr)
    if FIRST_HOST + count > control.num_addresses - 1:
        raise UsageError(f"no room for {count} controllers in the control network {control}")
    return tuple(
        Controller(f"{name}-controller-{index}", str(control.network_address + FIRST_HOST + index), memory_mb)
        for index in range(count)
    )


def generate(description: Description, passwords: Passwords) -> dict[str, Document]:
    """Return the metadata of each controller, by its name, in the order of the cluster.

    The documents differ in ``node`` only. Pure: the same description and passwords give the same documents.

    :param description: without :func:`faults`, if the passwords hold certificates.
    :param passwords: see :func:`tripleo_ha.metadata.authority.ensure`; what it lacks for ``description.services``
        is an error, not a new value. Endpoints may be encrypted where it holds a certificate for them.
    :raises UsageError: the number of controllers, a network or a service is out of the question.
    """
    common = shared(description, passwords)
    documents = {}
    for controller in description.controllers:
        node: Document = {"name": controller.name}
        if controller.memory_mb is not None:
            node["memory_mb"] = controller.memory_mb
        documents[controller.name] = copy.deepcopy({**common, "node": node})
    return documents


def shared(description: Description, passwords: Passwords) -> Document:
    """Return what all controllers' documents have in common, which is everything but ``node``.

    :raises UsageError: as :func:`generate`.
    """
    check(description)
    if missing := passwords.missing(description.services):
        raise UsageError(f"the passwords lack {', '.join(missing)}", "generate the metadata first")
    document: Document = {"cluster": _cluster(description), "base": {}}
    if certified_hosts(description) and (kept := passwords.of("tls")):
        document["tls"] = {"ca": kept["ca"], **_certificates(kept)}
    smallest = min((controller.memory_mb or 0 for controller in description.controllers), default=0)
    for service in description.services:
        document[service] = {**_sizes(service, smallest), **passwords.of(service)}
    return merged(document, description.overrides)


def faults(description: Description) -> list[Finding]:
    """Return what is wrong with the addresses and names that certificates are made for, as far as they are given."""
    from tripleo_ha.metadata import validation

    own = merged({"cluster": _cluster(description)}, description.overrides)
    found = [fault for name in ("cluster", "tls") if name in own for fault in validation.check_section(name, own[name])]
    return [fault for fault in found if fault.rule != "THA102"]


def certified_hosts(description: Description) -> dict[str, tuple[str, ...]]:
    """Return, by virtual IP, what a certificate of its endpoints is for, the host that they carry first.

    Nothing where nothing is balanced; no virtual IP for which the description brings a certificate of its own, and none
    at all with an authority of its own, which would not have issued ours.

    :param description: without :func:`faults`.
    """
    own = merged({"cluster": _cluster(description)}, description.overrides)
    vips, tls = own["cluster"]["virtual_ips"], own.get("tls", {})
    if endpoints.PUBLIC not in vips or "haproxy" not in description.services or "ca" in tls:
        return {}
    hosts: dict[str, tuple[str, ...]] = {}
    for vip in endpoints.ENCRYPTED:
        settings = tls.get(vip, {})
        if "certificate" not in settings:
            hosts[vip] = (settings["name"], vips[vip]["ip"]) if settings.get("name") else (vips[vip]["ip"],)
    return hosts


def _certificates(kept: Mapping[str, Any]) -> Document:
    found = {vip: kept[vip] for vip in endpoints.ENCRYPTED if "key" in kept.get(vip, {})}
    return {vip: {key: own[key] for key in ("certificate", "key")} for vip, own in found.items()}


def is_address(text: str) -> bool:
    """Tell whether ``text`` is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def network_of(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return a network of its CIDR.

    :raises UsageError: it is none.
    """
    try:
        return ipaddress.ip_network(cidr, strict=False)
    except ValueError as error:
        raise UsageError(f"not a network: {cidr!r}", "write it as 192.0.2.0/24") from error


def services() -> tuple[str, ...]:
    """Return every metadata key that switches a service on."""
    return tuple(key for key in schema.sections() if key not in ("cluster", "node", "base", "tls"))


def profile(name: str) -> tuple[str, ...]:
    """Return the metadata keys of a profile: ``core``, what the others stand on, or ``full``, all that needs no more.

    What is outside of the controllers (``x-external``) only a deployer can describe; where it is, it runs.

    :raises UsageError: there is none of this name.
    """
    if name not in PROFILES:
        raise UsageError(f"no profile {name!r}", f"there are: {', '.join(PROFILES)}")
    described = {key for key in services() if schema.read(key).get("x-external")}
    return CORE if name == "core" else (*CORE, *(key for key in services() if key not in {*CORE, *described}))


def check(description: Description) -> None:
    """Judge a description before anything is invented for it.

    Addresses and sizes are not judged here but by :func:`faults`, and by the checker, as any other metadata.

    :raises UsageError: the number of controllers, a network or a service is out of the question.
    """
    _check_controllers(description.controllers, description.allow_even)
    for service in description.services:
        if service not in services():
            raise UsageError(f"no service {service!r}", f"there are: {', '.join(services())}")
    if "control" not in description.networks:
        raise UsageError("the description has no network named control")


def for_heat(description: Description, passwords: Passwords) -> Document:
    """Return the one document that ``heat/controllers.yaml`` takes as its environment.

    What the controllers have in common goes there once; the template gives each its own ``node``.

    :raises UsageError: as :func:`generate`.
    """
    nodes = [document["node"] for document in generate(description, passwords).values()]
    return {
        "parameters": {
            "metadata": shared(description, passwords),
            "nodes": nodes,
            "controller_count": len(nodes),
        }
    }


def merged(document: Mapping[str, Any], over: Mapping[str, Any]) -> Document:
    """Return a copy of ``document`` with ``over`` merged in: mappings key by key, anything else replaced."""
    result = copy.deepcopy(dict(document))
    for key, value in over.items():
        known = result.get(key)
        if isinstance(known, dict) and isinstance(value, Mapping):
            result[key] = merged(known, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _cluster(description: Description) -> Document:
    return {
        "name": description.name,
        "nodes": [{"name": controller.name, "ip": controller.ip} for controller in description.controllers],
        "virtual_ips": {
            name: {
                "ip": network.vip,
                "prefix": network_of(network.cidr).prefixlen,
                "interface": network.interface,
            }
            for name, network in description.networks.items()
        },
    }


def _sizes(service: str, memory_mb: int) -> Document:
    """Return the settings that follow from a node's memory (MiB; 0 if unknown, then the schema's defaults hold)."""
    if service == "mysql" and memory_mb:
        return {"innodb_buffer_pool_mb": max(128, memory_mb // 8)}
    if service == "memcached" and memory_mb:
        return {"memory_mb": max(64, memory_mb // 64)}
    return {}


def _check_controllers(controllers: Sequence[Controller], allow_even: bool) -> None:
    count = len(controllers)
    if not 1 <= count <= MOST_CONTROLLERS:
        raise UsageError(f"{count} controllers: a cluster has 1 to {MOST_CONTROLLERS}")
    if count % 2 == 0 and not allow_even:
        raise UsageError(
            f"{count} controllers outlive no more failures than {count - 1} do",
            "take an odd number, or say --allow-even",
        )
    for what, values in (
        ("name", [controller.name for controller in controllers]),
        ("address", [controller.ip for controller in controllers]),
    ):
        if twice := _repeated(values):
            raise UsageError(f"two controllers have the {what} {twice}")


def _repeated(values: Sequence[str]) -> str:
    return next((value for index, value in enumerate(values) if value in values[:index]), "")
