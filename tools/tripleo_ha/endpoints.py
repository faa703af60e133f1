"""Where clients reach what is balanced, and whether they find it encrypted; pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tripleo_ha.table import Listener, Row

PUBLIC = "public"
"""The virtual IP whose HTTP services are encrypted; the others are on networks of the operator's own."""
INTERFACES = {"admin": "control", "internal": "control", "public": PUBLIC}
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
class PublicTls:
    """TLS of the public virtual IP: PEM texts, and the ``host`` that endpoints carry and the certificate is for."""

    certificate: str
    key: str = field(repr=False)
    ca: str
    host: str


def public_tls(metadata: Mapping[str, Any]) -> PublicTls | None:
    """Return what public services are encrypted with, or None where they are not.

    :param metadata: that has passed the checker, defaults filled in or not.
    """
    section = metadata.get("tls")
    if section is None or not section["public"].get("enabled", True):
        return None
    public = section["public"]
    name = public.get("name") or metadata["cluster"]["virtual_ips"][PUBLIC]["ip"]
    return PublicTls(public["certificate"], public["key"], section["ca"], name)


def catalogued(row: Row, urls: Mapping[str, Mapping[str, str]], region: str) -> Iterator[Endpoint]:
    """Return what Keystone's catalogue has to say of a row.

    :param urls: base URLs by listener and virtual IP; an interface whose virtual IP is not there is not entered.
    """
    for item in row.catalogue:
        for interface, vip in INTERFACES.items():
            if vip in urls[item.listener]:
                yield Endpoint(item.type, item.name, interface, region, f"{urls[item.listener][vip]}{item.path}")


def is_encrypted(listener: Listener, vip: str) -> bool:
    """Tell whether a listener is encrypted on a virtual IP, where there is a certificate for it."""
    return listener.protocol == "http" and vip == PUBLIC


def offered_ports(metadata: Mapping[str, Any], listener: Listener, vip: str) -> tuple[int, ...]:
    """Return the ports of a virtual IP that a listener is balanced on: what serves it, then what only leads there."""
    return listener.offered_ports(is_encrypted(listener, vip) and public_tls(metadata) is not None)


def base_url(metadata: Mapping[str, Any], listener: Listener, vip: str) -> str:
    """Return the URL of a balanced listener on a virtual IP, without a path; ``tcp://`` for what is not HTTP.

    A port that goes without saying is not said.
    """
    tls = public_tls(metadata) if is_encrypted(listener, vip) else None
    scheme = "tcp" if listener.protocol != "http" else "https" if tls else "http"
    name = tls.host if tls else metadata["cluster"]["virtual_ips"][vip]["ip"]
    port = listener.offered_ports(tls is not None)[0]
    return f"{scheme}://{host(name)}" + ("" if port == WELL_KNOWN.get(scheme) else f":{port}")


def host(ip: str) -> str:
    """Return an address as it stands before a port: an IPv6 one in brackets."""
    return f"[{ip}]" if ":" in ip else ip
