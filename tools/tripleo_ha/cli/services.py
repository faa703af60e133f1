"""``tripleo-ha services``: the table of services, as a list and as the reference page."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tripleo_ha import table
from tripleo_ha.cli import page
from tripleo_ha.table import Listener, Row

PAGE = Path("docs", "services.rst")
INTRODUCTION = """\
========
Services
========

.. This page is made of elements/*/service.yaml: tripleo-ha services reference --write

What a controller runs, derived from the rows in the elements. A service whose metadata key is absent from a cluster's
metadata does not run there. `service-table.rst <service-table.rst>`_ says what a row may hold.
"""


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "services", help="list the table of services", epilog="example: tripleo-ha services list --format json"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="list the services, in the order in which they converge")
    listing.add_argument("--format", choices=["table", "json"], default="table", help="how they are shown")
    listing.set_defaults(run=list_services)
    page.add(verbs, PAGE, "the rows", lambda: reference(table.load()))


def list_services(arguments: argparse.Namespace) -> int:
    """Print each service with its metadata key, manager and ports, or with ``--format json`` whole rows."""
    import dataclasses
    import json

    rows = table.load()
    if arguments.format == "json":
        sys.stdout.write(json.dumps([dataclasses.asdict(row) for row in rows], indent=2) + "\n")
        return 0
    lines = [("SERVICE", "METADATA", "MANAGER", "PORTS", "BALANCED")]
    lines += [(row.service, row.metadata, row.manager, _ports(row.listeners), _ports(row.balanced)) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write(text.rstrip() + "\n")
    return 0


def reference(rows: Sequence[Row]) -> str:
    """Return the reference page, in reStructuredText."""
    listeners = [(row, listener) for row in rows for listener in row.listeners]
    return "\n".join(
        [
            INTRODUCTION,
            *_section("What runs", ("Service", "Metadata key", "Kept alive by", "What it is"), map(_service, rows)),
            *_section(
                "What listens",
                ("Port", "Listener", "Service", "Address", "Reachable from"),
                (
                    _listener(row, item)
                    for row, item in sorted(listeners, key=lambda pair: (pair[1].port, pair[1].name))
                ),
            ),
            *_section(
                "What is balanced",
                ("Listener", "Port", "Virtual IPs", "Mode", "Health check", "Timeouts (connect, client, server)"),
                (_balanced(item) for _, item in listeners if item.balance),
            ),
            *_section(
                "Rights",
                ("Service", "Databases", "Broker user", "Keystone user", "State kept over an image upgrade"),
                (_rights(row) for row in rows if row.databases or row.broker or row.identity or row.state),
            ),
        ]
    )


def _section(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [title, "-" * len(title), "", ".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        for number, cell in enumerate(row):
            lines.append(f"   {'*' if number == 0 else ' '} - {cell}".rstrip())
    return [*lines, ""]


def _service(row: Row) -> tuple[str, ...]:
    keeper = "Pacemaker, on one controller" if row.manager == "pacemaker" else "systemd"
    return row.service, f"``{row.metadata}``", keeper, row.summary.rstrip(".")


def _listener(row: Row, listener: Listener) -> tuple[str, ...]:
    address = {"node": "the node's", "loopback": "loopback", "any": "any"}[listener.address]
    reachable = "itself" if listener.address == "loopback" else ", ".join(sources(listener))
    return _ports([listener]), listener.name, row.service, address, reachable


def _balanced(listener: Listener) -> tuple[str, ...]:
    balance = listener.balance
    assert balance
    check = balance.check
    where = f" on port {check.port}" if check.port else ""
    how = f"``GET {check.path}``{where} each {check.interval_ms} ms, {check.fall} down, {check.rise} up"
    times = f"{balance.connect_ms} ms, {balance.client_ms // 1000} s, {balance.server_ms // 1000} s"
    port = str(balance.port or listener.port) + (f", with TLS {balance.tls_port}" if balance.tls_port else "")
    return listener.name, port, ", ".join(balance.vips), balance.mode, how, times


def _rights(row: Row) -> tuple[str, ...]:
    identity = f"{row.identity.user} ({', '.join(row.identity.roles)})" if row.identity else ""
    databases = ", ".join(f"{item.name} (user {item.user})" for item in row.databases)
    state = ", ".join(f"``{item.path}``" for item in row.state)
    return row.service, databases, row.broker.user if row.broker else "", identity, state


def sources(listener: Listener) -> list[str]:
    """Return from where a listener can be reached, its virtual IPs included."""
    named = {"cluster": "the controllers", "control": "the control network"}
    found = [named[source] for source in listener.sources]
    for vip in listener.balance.vips if listener.balance else ():
        found.append(f"{'anywhere' if vip == 'public' else f'the {vip} network'} by the {vip} virtual IP")
    return list(dict.fromkeys(found))


def _ports(listeners: Sequence[Listener]) -> str:
    return " ".join(f"{_range(item)}/{item.transport}" for item in listeners) or "-"


def _range(listener: Listener) -> str:
    return f"{listener.port}-{listener.last_port}" if listener.last_port else str(listener.port)
