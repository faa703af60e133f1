"""Where clients reach what is balanced, and whether they find it encrypted; pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tripleo_ha.table import Listener, Row

CONTROL, PUBLIC = "control", "public"
ENCRYPTED = {CONTROL: False, PUBLIC: True}
"""The virtual IPs, and whether their HTTP services are encrypted where the metadata have a certificate and say no more.
"""
INTERFACES = {"admin": CONTROL, "internal": CONTROL, "public": PUBLIC}
"""The interfaces of the catalogue, and the virtual IP of each."""
WELL_KNOWN = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Endpoint:
    """An entry of the catalogue: a service's ``type`` and ``name``, and where one of its interfaces is."""

    type: str
    name: str
    interface: str
    region: str
    url: str


@dataclass(frozen=True)
class Tls:
    """TLS of a virtual IP: PEM texts, and the ``host`` that its endpoints carry and the certificate is for."""

    certificate: str
    key: str = field(repr=False)
    ca: str
    host: str


def tls_of(metadata: Mapping[str, Any], vip: str) -> Tls | None:
    """Return what HTTP services on a virtual IP are encrypted with, or None where they are not.

    :param metadata: that has passed the checker, defaults filled in or not.
    """
    section = metadata.get("tls", {})
    settings = section.get(vip)
    if settings is None or not switched_on(settings, vip):
        return None
    name = settings.get("name") or metadata["cluster"]["virtual_ips"][vip]["ip"]
    return Tls(settings["certificate"], settings["key"], section["ca"], name)


def encrypted(metadata: Mapping[str, Any]) -> dict[str, Tls]:
    """Return the virtual IPs whose HTTP services are encrypted, and what with."""
    found = {vip: tls_of(metadata, vip) for vip in ENCRYPTED}
    return {vip: tls for vip, tls in found.items() if tls}


def switched_on(settings: Mapping[str, Any], vip: str) -> bool:
    """Tell whether ``settings``, which the metadata have under ``tls`` for a virtual IP, are to be used."""
    return bool(settings.get("enabled", ENCRYPTED[vip]))


def tls_for(metadata: Mapping[str, Any], listener: Listener, vip: str) -> Tls | None:
    """Return what a listener is encrypted with on a virtual IP, or None where it is not."""
    return tls_of(metadata, vip) if listener.protocol == "http" else None


def host_of(metadata: Mapping[str, Any], vip: str) -> str:
    """Return the host that HTTP endpoints on a virtual IP carry: its address, or the name that is encrypted for."""
    tls = tls_of(metadata, vip)
    return tls.host if tls else str(metadata["cluster"]["virtual_ips"][vip]["ip"])


def catalogued(row: Row, urls: Mapping[str, Mapping[str, str]], region: str) -> Iterator[Endpoint]:
    """Return what Keystone's catalogue has to say of a row.

    :param urls: base URLs by listener and virtual IP; an interface whose virtual IP is not there is not entered.
    """
    for item in row.catalogue:
        for interface, vip in INTERFACES.items():
            if vip in urls[item.listener]:
                yield Endpoint(item.type, item.name, interface, region, f"{urls[item.listener][vip]}{item.path}")


def offered_ports(metadata: Mapping[str, Any], listener: Listener, vip: str) -> tuple[int, ...]:
    """Return the ports of a virtual IP that a listener is balanced on: what serves it, then what only leads there."""
    return listener.offered_ports(tls_for(metadata, listener, vip) is not None)


def base_url(metadata: Mapping[str, Any], listener: Listener, vip: str) -> str:
    """Return the URL of a balanced listener on a virtual IP, without a path; ``tcp://`` for what is not HTTP.

    A port that goes without saying is not said.
    """
    tls = tls_for(metadata, listener, vip)
    scheme = "tcp" if listener.protocol != "http" else "https" if tls else "http"
    name = tls.host if tls else metadata["cluster"]["virtual_ips"][vip]["ip"]
    port = offered_ports(metadata, listener, vip)[0]
    return f"{scheme}://{host(name)}" + ("" if port == WELL_KNOWN.get(scheme) else f":{port}")


def host(ip: str) -> str:
    """Return an address as it stands before a port: an IPv6 one in brackets."""
    return f"[{ip}]" if ":" in ip else ip
