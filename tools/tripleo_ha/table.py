"""The table of services: one row an element, the single source of what runs, listens and is balanced.

A row is ``elements/ELEMENT/service.yaml``. An image build collects the rows of the elements it was given into
``/usr/share/tripleo-ha/services``. HAProxy, the firewall, Pacemaker's resources, database and broker users, the
verifier and the reference are derived from these rows and the metadata.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from tripleo_ha import paths
from tripleo_ha.errors import Failure

PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([a-z_.]+)\}")
"""What is replaced in the arguments of one-time work; the group is a path in the metadata."""

UNITS = "/etc/systemd/system"
"""Where the units are that are made."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where it is there: each run reads all rows, several times over."""


@dataclass(frozen=True)
class Check:
    """How HAProxy asks one backend whether it can serve.

    ``path`` is fetched over HTTP; ``port`` is where, when it is not the listener's own (the health endpoint).
    Times are milliseconds, ``rise`` and ``fall`` numbers of answers in a row.
    """

    path: str
    port: int | None = None
    interval_ms: int = 1000
    timeout_ms: int = 2000
    rise: int = 2
    fall: int = 2


@dataclass(frozen=True)
class Balance:
    """How HAProxy offers a listener: on which virtual IPs, in which mode, with which timeouts (milliseconds).

    ``mode`` is ``roundrobin``, ``leastconn``, ``source``, or ``single`` for one writer that does not flap back.
    ``port`` is that of the virtual IPs, when it is not the listener's own. With ``tls_port`` it is encrypted on another
    one, and browsers that come to ``port`` are sent there.
    """

    vips: tuple[str, ...]
    check: Check
    port: int | None = None
    tls_port: int | None = None
    mode: str = "roundrobin"
    connect_ms: int = 1000
    client_ms: int = 60_000
    server_ms: int = 60_000
    maxconn: int | None = None


@dataclass(frozen=True)
class Listener:
    """One port that a node of the cluster listens on.

    With ``last_port`` it is any of a range, for what chooses by itself. ``transport`` is ``tcp``, ``udp``, or ``gre``,
    which has no ports; ``protocol`` is ``http`` or ``tcp`` and rules how it is balanced.
    ``address`` is ``node`` (the node's own address), ``loopback`` or ``any``.
    ``sources`` says who may reach it: ``cluster`` (the controllers) or ``control`` (the control network); loopback
    needs neither. ``processes`` are the command names that may own the socket; none for the kernel's own.
    """

    name: str
    port: int
    processes: tuple[str, ...]
    transport: str = "tcp"
    protocol: str = "tcp"
    address: str = "node"
    sources: tuple[str, ...] = ("cluster",)
    balance: Balance | None = None
    last_port: int | None = None

    @property
    def ports(self) -> range:
        """Every port that it may be."""
        return range(self.port, (self.last_port or self.port) + 1)

    @property
    def entries(self) -> frozenset[int]:
        """Every port that a virtual IP may offer it on; none when it is not balanced."""
        return frozenset({*self.offered_ports(False), *self.offered_ports(True)} if self.balance else ())

    def offered_ports(self, encrypted: bool) -> tuple[int, ...]:
        """Return the ports of a virtual IP that it is balanced on: what serves it, then what only leads there."""
        assert self.balance
        plain = self.balance.port or self.port
        return (self.balance.tls_port, plain) if encrypted and self.balance.tls_port else (plain,)


@dataclass(frozen=True)
class Wsgi:
    """An API that uWSGI serves: the script of its package, and the balanced listener that it is behind.

    It runs as ``user``, in as many processes as ``workers`` of the row's metadata says, with ``threads`` each.
    ``health`` is where the service itself tells how it is; what HAProxy asks for is sent there. A worker that answers
    nothing for ``harakiri_s`` seconds is replaced, none is with 0; a client may be silent within a request for
    ``silence_s`` seconds. ``static`` are directories of files that are served as they are, by path. ``prepare`` is
    what is done once the application is loaded and before the first request, each a ``module:attribute``. ``first``
    is a request that it is asked before any other: a ``path``, and the ``body`` that is posted there.
    """

    application: str
    listener: str
    user: str
    health: str = "/healthcheck"
    threads: int = 8
    harakiri_s: int = 120
    silence_s: int = 4
    static: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[str, ...] = ()
    first: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Program:
    """A daemon that stays in the foreground: its ``command``, and the user that it runs as.

    Told to end, it may take ``stop_s`` seconds to finish what it is at; then it is killed. With ``keeps_children`` a
    stop ends the daemon alone, and what it started goes on until the daemon is back.
    ``listener`` is the balanced one that it serves, if its health check says that clients are to leave.
    """

    command: tuple[str, ...]
    user: str
    stop_s: int = 15
    listener: str = ""
    keeps_children: bool = False


@dataclass(frozen=True)
class Timer:
    """How often a program runs to its end, instead of staying: every ``every_s`` seconds, on average.

    That is a number, or a setting of the row's metadata. Each time may be half of it early or late, so that controllers
    do not run it together.
    """

    every_s: int | str


@dataclass(frozen=True)
class Unit:
    """A systemd unit and the files whose change of content restarts (or, with ``reload``, reloads) it.

    One with ``wsgi`` or ``program`` is made from that when the image is, with the variables of ``environment``; uWSGI's
    configuration by the converge run. With ``timer`` it is the timer of a service that runs the program.
    """

    name: str
    files: tuple[str, ...] = ()
    reload: bool = False
    wsgi: Wsgi | None = None
    program: Program | None = None
    timer: Timer | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def made(self) -> bool:
        """Whether the image's build makes it, in place of the package's."""
        return bool(self.wsgi or self.program)

    @property
    def process(self) -> str:
        """The unit that the process belongs to."""
        return f"{self.name.removesuffix('.timer')}.service" if self.timer else self.name


@dataclass(frozen=True)
class Database:
    """A schema of the row's own, with a user that has all rights on it; several of a row may have the same user.

    ``section`` is where the service's configuration says how it is reached.
    """

    name: str
    user: str
    section: str = "database"


@dataclass(frozen=True)
class Broker:
    """A broker user, and what it may touch on the vhost ``/``: regular expressions of whole names.

    It makes, writes to and reads what is its ``own``; of what others have, it makes and writes to what it ``sends`` to,
    and makes and reads what it ``hears``. Who ``answers`` calls may write to whatever queue the caller names.
    """

    user: str
    own: tuple[str, ...] = ()
    sends: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()
    answers: bool = False


@dataclass(frozen=True)
class Once:
    """Work done once per cluster: ``run`` by the first node, when ``evidence`` does not hold.

    ``evidence`` has one key: ``alembic: {database, versions}`` (the schema's heads are those the package ships),
    ``django: {database, app, migrations}`` (Django records all that the package ships for an application),
    ``token: {user, password, project}`` (Keystone issues a token; the password is a path in the metadata),
    ``rows: {database, table, where}`` (the table, which the work fills last, has any row, or one with the values of
    ``where``, by column) or
    ``recorded: {database, distribution}`` (it is on record that it was done with this version of a Python distribution
    since the schema was migrated last, for work that leaves nothing else to see).
    ``{path}`` in an argument of ``run`` stands for that path's value in the metadata, ``{{`` and ``}}`` for braces;
    ``env`` maps variables to metadata paths, which is how secrets travel; ``user`` is whom the command runs as. Work
    whose evidence needs the service itself is done ``when: running``, all other ``when: stopped``, before the unit
    starts anywhere. What must not meet an older release is done ``when: everywhere``, by the last node once all run
    the same image; nobody waits.
    """

    name: str
    evidence: Mapping[str, Any]
    run: tuple[str, ...]
    user: str = "root"
    env: Mapping[str, str] = field(default_factory=dict)
    when: str = "stopped"


@dataclass(frozen=True)
class Domain:
    """A domain of a service's own in Keystone, and the ``user`` that administers it; password ``domain_password``."""

    name: str
    user: str


@dataclass(frozen=True)
class Identity:
    """A service user in Keystone's project ``service``, with the least roles; its password is ``service_password``.

    ``domain`` is one that the service keeps users of its own in, ``known_roles`` exist for it to give to others.
    """

    user: str
    roles: tuple[str, ...] = ("service",)
    domain: Domain | None = None
    known_roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Catalogued:
    """A service in Keystone's catalogue: ``type`` as clients look for it, ``name``, and where it is offered.

    ``listener`` is one of the row's balanced ones; ``path`` follows its port. The interface ``public`` is on the
    virtual IP public, ``internal`` and ``admin`` are on control.
    """

    type: str
    name: str
    listener: str
    path: str = ""


@dataclass(frozen=True)
class Oslo:
    """The service's own configuration file, read by oslo.config, whose options the entry points ``namespace`` declare.

    Those of the groups ``unjudged`` are declared at run time only.

    ``sections`` are what services have in common, which the template finds under ``derived.oslo``; see
    :mod:`tripleo_ha.metadata.oslo`. In the groups ``credentials`` it signs in as the row's user, to ask other APIs.
    """

    file: str
    namespace: tuple[str, ...]
    sections: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """A directory kept on the state volume, so that it survives an image upgrade."""

    path: str
    owner: str
    group: str
    mode: str = "0750"


@dataclass(frozen=True)
class Row:
    """One service: what it is, wherever it runs. ``metadata`` is the key that switches it on.

    With ``where`` it runs only where what is under that key has these values, its defaults included.
    ``handler`` names the code that converges it (``service`` is the general one); ``manager`` is ``systemd``, or
    ``pacemaker`` for what must run exactly once. ``after`` are rows that must have converged before.
    ``keys`` maps a directory of numbered key files to the metadata path of its content, a list of
    ``{index, key}``; they belong to ``keys_owner``.
    """

    service: str
    metadata: str
    summary: str
    handler: str = "service"
    manager: str = "systemd"
    where: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    units: tuple[Unit, ...] = ()
    listeners: tuple[Listener, ...] = ()
    databases: tuple[Database, ...] = ()
    broker: Broker | None = None
    identity: Identity | None = None
    catalogue: tuple[Catalogued, ...] = ()
    oslo: Oslo | None = None
    once: tuple[Once, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    keys_owner: str = "root"
    state: tuple[State, ...] = ()
    needs: tuple[str, ...] = ()
    """For ``manager: pacemaker``: units without which it is of no use on a node; it goes where they are active."""
    singleton_process: str = ""
    """For ``manager: pacemaker``: a regular expression that a process's command line matches when it runs here."""

    @property
    def balanced(self) -> tuple[Listener, ...]:
        """The listeners that HAProxy offers on a virtual IP."""
        return tuple(listener for listener in self.listeners if listener.balance)

    def drained_with(self, unit: Unit) -> tuple[Listener, ...]:
        """Return the balanced listeners that are left before a unit stops: all of them, unless it names its own."""
        served = unit.wsgi or unit.program
        return tuple(each for each in self.balanced if served is None or each.name == served.listener)


def load_row(path: Path) -> Row:
    """Read one ``service.yaml``.

    :raises Failure: it is not readable as a row; the message names the file and the key.
    """
    try:
        document = yaml.load(path.read_text(), Loader=LOADER)  # noqa: S506 - both are safe
        return _row(document)
    except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise Failure(f"{path}: not a service row: {error}", "docs/service-table.rst describes every key") from error


def load(directory: Path | None = None) -> tuple[Row, ...]:
    """Read all rows, each after those it depends on, otherwise by name.

    :param directory: of collected rows; by default the image's, or in a checkout the elements' own.
    :raises Failure: a row is wrong, or ``after`` names no row, or goes in a circle.
    """
    baked = paths.IMAGE_SHARE / "services"
    if directory is None and baked.is_dir():
        directory = baked
    files = sorted(directory.glob("*.yaml") if directory else paths.elements().glob("*/service.yaml"))
    return order([load_row(path) for path in files])


def order(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Sort rows so that each stands after those it names in ``after``; ties go by name.

    :raises Failure: a name is unknown or the dependencies are circular.
    """
    by_name = {row.service: row for row in rows}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for row in by_name.values():
        if missing := sorted(set(row.after) - set(by_name)):
            raise Failure(f"service {row.service}: after names no such service: {', '.join(missing)}")
        sorter.add(row.service, *row.after)
    try:
        sorter.prepare()
    except CycleError as error:
        raise Failure(f"services wait for each other in a circle: {' -> '.join(error.args[1])}") from error
    ordered: list[Row] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered += [by_name[name] for name in ready]
        sorter.done(*ready)
    return tuple(ordered)


def active(rows: Sequence[Row], metadata: Mapping[str, Any]) -> tuple[Row, ...]:
    """Return the rows whose metadata key is present, with the values that they ask for: what runs in this cluster."""
    return tuple(row for row in rows if row.metadata in metadata and _is_wanted(row, metadata[row.metadata]))


def _is_wanted(row: Row, section: Mapping[str, Any]) -> bool:
    if not row.where:
        return True
    from tripleo_ha.metadata import schema

    declared = schema.read(row.metadata)["properties"]
    return all(section.get(key, declared[key].get("default")) == value for key, value in row.where.items())


def _row(document: Mapping[str, Any]) -> Row:
    fields = dict(document)
    for name in ("after", "needs"):
        fields[name] = tuple(fields.get(name, ()))
    fields["units"] = tuple(_unit(unit) for unit in fields.get("units", ()))
    fields["listeners"] = tuple(_listener(item) for item in fields.get("listeners", ()))
    fields["databases"] = tuple(Database(**item) for item in fields.get("databases", ()))
    fields["once"] = tuple(Once(**{**item, "run": tuple(item["run"])}) for item in fields.get("once", ()))
    fields["state"] = tuple(State(**item) for item in fields.get("state", ()))
    fields["catalogue"] = tuple(Catalogued(**item) for item in fields.get("catalogue", ()))
    if broker := fields.get("broker"):
        names = {kind: tuple(broker.get(kind, ())) for kind in ("own", "sends", "hears")}
        fields["broker"] = Broker(**{**broker, **names})
    if identity := fields.get("identity"):
        fields["identity"] = _identity(identity)
    if oslo := fields.get("oslo"):
        lists = {name: tuple(oslo.get(name, ())) for name in ("sections", "credentials", "unjudged")}
        namespace = oslo["namespace"]
        lists["namespace"] = (namespace,) if isinstance(namespace, str) else tuple(namespace)
        fields["oslo"] = Oslo(**{**oslo, **lists})
    return Row(**fields)


def _identity(document: Mapping[str, Any]) -> Identity:
    fields = {**document, **{name: tuple(document[name]) for name in ("roles", "known_roles") if name in document}}
    if domain := fields.get("domain"):
        fields["domain"] = Domain(**domain)
    return Identity(**fields)


def _unit(document: Mapping[str, Any]) -> Unit:
    fields = {**document, "files": tuple(document.get("files", ()))}
    if wsgi := fields.get("wsgi"):
        fields["wsgi"] = Wsgi(**{**wsgi, "prepare": tuple(wsgi.get("prepare", ()))})
        fields["files"] += (uwsgi_file(fields["name"]),)
    if program := fields.get("program"):
        fields["program"] = Program(**{**program, "command": tuple(program["command"])})
    if timer := fields.get("timer"):
        fields["timer"] = Timer(**timer)
        fields["files"] += (timer_file(fields["name"]),)
    return Unit(**fields)


def uwsgi_file(unit: str) -> str:
    """Return where uWSGI's configuration for a unit stands."""
    return f"/etc/tripleo-ha/uwsgi/{unit.removesuffix('.service')}.ini"


def timer_file(unit: str) -> str:
    """Return where a timer that is made stands."""
    return f"{UNITS}/{unit}"


def _listener(document: Mapping[str, Any]) -> Listener:
    fields = dict(document)
    fields["processes"] = tuple(fields["processes"])
    if "sources" in fields:
        fields["sources"] = tuple(fields["sources"])
    if balance := fields.get("balance"):
        fields["balance"] = Balance(**{**balance, "vips": tuple(balance["vips"]), "check": Check(**balance["check"])})
    return Listener(**fields)
