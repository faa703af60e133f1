"""An API under uWSGI: its configuration, from its row."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tripleo_ha import endpoints, paths, table
from tripleo_ha.cluster import Cluster
from tripleo_ha.errors import Failure
from tripleo_ha.table import Listener, Row, Wsgi

LOADER = paths.IMAGE_SHARE / "wsgi.py"
"""The element ``ha-agents`` brings it; Debian's Python runs it, which has the services and not this package."""


def configurations(row: Row, cluster: Cluster, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return uWSGI's configuration of each unit that it serves, by its path on the node.

    :param metadata: accepted, with its defaults: ``workers`` of the row's key.
    :raises Failure: the row does not balance the listener that a unit names.
    """
    found = {}
    for unit in row.units:
        if unit.wsgi:
            listener = next((each for each in row.balanced if each.name == unit.wsgi.listener), None)
            if listener is None:
                raise Failure(f"service {row.service}: {unit.name} has no balanced listener {unit.wsgi.listener}")
            lines = _lines(unit.wsgi, listener, cluster.me.ip, metadata[row.metadata]["workers"])
            found[table.uwsgi_file(unit.name)] = "\n".join(["[uwsgi]", *lines, ""])
    return found


def _lines(wsgi: Wsgi, listener: Listener, ip: str, workers: int) -> Iterator[str]:
    assert listener.balance
    check = listener.balance.check.path
    yield "plugins = python3"
    yield f"wsgi-file = {LOADER}"
    yield f"env = TRIPLEO_HA_APPLICATION={wsgi.application}"
    yield f"env = TRIPLEO_HA_PREPARE={' '.join(wsgi.prepare)}"
    if wsgi.first:
        yield f"env = TRIPLEO_HA_FIRST={json.dumps(wsgi.first)}"
    for path, directory in wsgi.static.items():
        yield f"static-map = {path}={directory}"
    yield f"http-socket = {endpoints.host(ip)}:{listener.port}"
    yield "# It closes every connection after its answer. HAProxy has to know, or asks again on what is about to close."
    yield "add-header = Connection: close"
    yield "master = true"
    yield f"processes = {workers}"
    yield "enable-threads = true"
    yield f"threads = {wsgi.threads}"
    yield "lazy-apps = true"
    yield "thunder-lock = true"
    yield "no-orphans = true"
    yield "die-on-term = true"
    yield "need-app = true"
    yield "buffer-size = 65535"
    yield "listen = 100"
    yield "disable-logging = true"
    yield "close-on-exec = true"
    yield "# A balancer gives up checks that a busy worker is late for: no error of the application's."
    yield "ignore-sigpipe = true"
    yield "ignore-write-errors = true"
    yield "disable-write-exception = true"
    yield f"socket-timeout = {wsgi.silence_s}"
    if wsgi.harakiri_s:
        yield "# A worker that answers nothing for so many seconds is replaced by its master."
        yield f"harakiri = {wsgi.harakiri_s}"
    yield "# Before a stop, the balancer's check is told to send no more."
    yield f"route-if-not = equal:${{PATH_INFO}};{check} last:"
    yield f"route-if = exists:{paths.RUNTIME}/draining/{listener.name} break:404 Draining"
    if wsgi.health != check:
        yield f"route-run = setpathinfo:{wsgi.health}"
