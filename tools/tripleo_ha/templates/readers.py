"""Who reads the metadata besides the templates: the service rows and this package's own modules.

A row says so itself. For a module it is said here, and the drift check holds it to that: each of these modules must
mention the key, and each key must be declared.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as File

from tripleo_ha.table import PLACEHOLDER, Row
from tripleo_ha.templates.findings import Finding
from tripleo_ha.templates.shape import Path

MODULES: Mapping[str, tuple[str, ...]] = {
    "cluster.py": ("cluster.name", "cluster.nodes", "cluster.virtual_ips", "node.name"),
    "endpoints.py": ("tls.control", "tls.public"),
    "metadata/networking.py": (
        "derived.node",
        "neutron.dns_servers",
        "neutron.l3",
        "neutron.physical_networks",
        "neutron.tenant_network_type",
    ),
    "metadata/oslo.py": (
        "derived.brokers",
        "derived.databases",
        "derived.memcached_servers",
        "derived.urls",
        "keystone.region",
    ),
    "metadata/rules.py": ("node.memory_mb",),
    "node/corosync*.py": ("pacemaker.corosync_authkey",),
    "node/galera*.py": ("mysql.recovery",),
    "node/identity.py": ("derived.urls", "keystone.admin_password"),
    "node/rabbitmq*.py": ("rabbit.erlang_cookie",),
    "node/swift.py": ("swift.part_power",),
    "node/trust.py": ("tls.ca",),
    "topology/firewall.py": ("base.ssh_sources",),
    "topology/openvswitch.py": ("neutron.datapath",),
    "topology/galera*.py": ("mysql.gcache_mb", "mysql.failure_detection_s", "mysql.extra"),
    "topology/haproxy*.py": ("haproxy.stats_password", "haproxy.maxconn", "haproxy.extra"),
    "topology/fencing.py": ("pacemaker.fencing",),
    "topology/rabbitmq*.py": ("rabbit.admin_password", "rabbit.monitor_password"),
}
"""By module (or the modules of one service), the metadata paths acted on; all that is below a path is read with it."""


@dataclass(frozen=True)
class Reader:
    """A file that reads ``path``, at ``line`` and ``column``."""

    path: Path
    file: File
    line: int = 1
    column: int = 1


def of_row(row: Row, file: File) -> Iterator[Reader]:
    """Return what the node reads because a row says so; ``file`` is where the row stands."""
    text = file.read_text()
    for path in _row_paths(row):
        found = re.search(rf"(?<![\w.]){re.escape(path)}(?![\w.])", text)
        before = text[: found.start()] if found else ""
        yield Reader(tuple(path.split(".")), file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _row_paths(row: Row) -> Iterator[str]:
    own = {
        "database_password": row.databases,
        "messaging_password": row.broker,
        "service_password": row.identity,
        "policy": row.oslo and "policy" in row.oslo.sections,
        "workers": any(unit.wsgi for unit in row.units),
    }
    yield from (f"{row.metadata}.{key}" for key, asked in own.items() if asked)
    for unit in row.units:
        if unit.timer and isinstance(unit.timer.every_s, str):
            yield f"{row.metadata}.{unit.timer.every_s}"
    yield from row.keys.values()
    for work in row.once:
        yield from work.env.values()
        for argument in work.run:
            yield from filter(None, PLACEHOLDER.findall(argument))
        if token := work.evidence.get("token"):
            yield token["password"]


def of_package(package: File, modules: Mapping[str, tuple[str, ...]] = MODULES) -> tuple[list[Reader], list[Finding]]:
    """Return what this package's modules read, and a finding for each that does not mention what it is said to read.

    :param package: the directory of the package ``tripleo_ha``.
    """
    readers: list[Reader] = []
    findings: list[Finding] = []
    for module, paths in modules.items():
        mentioned = {text: (file, *place) for file in sorted(package.glob(module)) for text, place in _strings(file)}
        for path in paths:
            key = path.rpartition(".")[2]
            if key in mentioned:
                readers.append(Reader(tuple(path.split(".")), *mentioned[key]))
            else:
                message = f"{module} is said to read {path}, and doesn't mention it"
                hint = "say in templates/readers.py who does"
                findings.append(Finding(str(package / module), 1, 1, "stale-reader", message, hint))
    return readers, findings


def _strings(file: File) -> Iterable[tuple[str, tuple[int, int]]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, (node.lineno, node.col_offset + 1)
