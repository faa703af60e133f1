"""Which code converges a row: its ``handler`` names a module here."""

from collections.abc import Callable
from importlib import import_module

from tripleo_ha.errors import Failure
from tripleo_ha.node.context import Context
from tripleo_ha.table import Row

MODULES = {
    "base": "tripleo_ha.node.base",
    "galera": "tripleo_ha.node.galera",
    "haproxy": "tripleo_ha.node.haproxy",
    "health": "tripleo_ha.node.health.handler",
    "openvswitch": "tripleo_ha.node.openvswitch",
    "pacemaker": "tripleo_ha.node.pacemaker",
    "rabbitmq": "tripleo_ha.node.rabbitmq",
    "service": "tripleo_ha.node.service",
    "singleton": "tripleo_ha.node.singleton",
    "swift": "tripleo_ha.node.swift",
    "trust": "tripleo_ha.node.trust",
}


def find(row: Row) -> Callable[[Context, Row], None]:
    """Return the function that converges a row.

    :raises Failure: the row names a handler that does not exist.
    """
    if row.handler not in MODULES:
        raise Failure(f"service {row.service}: no handler {row.handler!r}", f"one of {', '.join(sorted(MODULES))}")
    handler: Callable[[Context, Row], None] = import_module(MODULES[row.handler]).converge
    return handler
