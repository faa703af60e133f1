"""What a controller tells about itself to the verifier: the shape of ``tripleo-ha-node probe``'s document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Socket:
    """A socket that waits for peers: ``transport`` is tcp or udp, ``processes`` are command names (15 characters)."""

    transport: str
    address: str
    port: int
    processes: tuple[str, ...]


@dataclass(frozen=True)
class Process:
    """A process of a systemd service; ``started`` is in clock ticks since boot, so pid and it are unique."""

    pid: int
    name: str
    unit: str
    started: int


@dataclass(frozen=True)
class Exposure:
    """A secret that others can read: the metadata path of the secret, never its value, and where it stands."""

    secret: str
    where: str


@dataclass(frozen=True)
class BrokerMember:
    """What RabbitMQ on this node says of one member: ``alarms`` are those raised, ``partitions`` who it lost."""

    name: str
    running: bool
    partitions: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Certificate:
    """A certificate that HAProxy answers with: its SHA-1 ``fingerprint`` in lower-case hexadecimal digits, which only
    tells one from another, its end as OpenSSL writes it, and the virtual IP that it is for, empty where an older image
    does not tell."""

    fingerprint: str
    not_after: str
    vip: str = ""


@dataclass(frozen=True)
class NodeFacts:
    """One controller as it sees itself.

    ``image`` is the image's identity; ``addresses`` are by interface; ``singletons`` are pids by service;
    ``galera`` are wsrep status variables, ``broker_users`` the users that exist, ``queues_lacking`` the queues of which
    this node's broker lacks its copy, ``coordinates_streams`` whether it has a vote in the streams' coordinator,
    ``unfenced`` what keeps Pacemaker from fencing, ``certificates`` what HAProxy answers with. ``problems`` names, by
    fact, what could not be learnt and why; the fact then has its empty value.
    """

    node: str
    boot_id: str = ""
    image: Mapping[str, Any] = field(default_factory=dict)
    sockets: tuple[Socket, ...] = ()
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    processes: tuple[Process, ...] = ()
    singletons: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    failed_units: tuple[str, ...] = ()
    exposures: tuple[Exposure, ...] = ()
    galera: Mapping[str, str] = field(default_factory=dict)
    broker: tuple[BrokerMember, ...] = ()
    broker_users: tuple[str, ...] = ()
    queues_lacking: tuple[str, ...] = ()
    coordinates_streams: bool = False
    unfenced: tuple[str, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)


def from_document(document: Mapping[str, Any]) -> NodeFacts:
    """Read facts out of a probe's document, as ``dataclasses.asdict`` and JSON left it.

    :raises TypeError: the document comes from a probe of another shape.
    """
    fields = dict(document)
    fields["sockets"] = tuple(
        Socket(**{**item, "processes": tuple(item["processes"])}) for item in fields.get("sockets", ())
    )
    fields["processes"] = tuple(Process(**item) for item in fields.get("processes", ()))
    fields["exposures"] = tuple(Exposure(**item) for item in fields.get("exposures", ()))
    fields["broker"] = tuple(_member(item) for item in fields.get("broker", ()))
    fields["addresses"] = {name: tuple(found) for name, found in fields.get("addresses", {}).items()}
    fields["singletons"] = {name: tuple(pids) for name, pids in fields.get("singletons", {}).items()}
    fields["failed_units"] = tuple(fields.get("failed_units", ()))
    fields["broker_users"] = tuple(fields.get("broker_users", ()))
    fields["queues_lacking"] = tuple(fields.get("queues_lacking", ()))
    fields["unfenced"] = tuple(fields.get("unfenced", ()))
    fields["certificates"] = tuple(Certificate(**item) for item in fields.get("certificates", ()))
    return NodeFacts(**fields)


def _member(item: Mapping[str, Any]) -> BrokerMember:
    return BrokerMember(**{**item, "partitions": tuple(item["partitions"]), "alarms": tuple(item["alarms"])})
