"""An API under uWSGI: the systemd unit and uWSGI's configuration, from its row."""

from collections.abc import Iterator, Mapping
from typing import Any

from tripleo_ha import endpoints, paths, table
from tripleo_ha.cluster import Cluster
from tripleo_ha.errors import Failure
from tripleo_ha.table import Listener, Row, Unit, Wsgi

STOP_S = 15


def unit_file(row: Row, unit: Unit) -> str:
    """Return the systemd unit; it holds nothing of a cluster.

    It stands in place of the packaged one, which listens on every address, and whose Wants= would start MariaDB and
    RabbitMQ beside the converge run; a drop-in cannot take those away.
    """
    wsgi = _wsgi(unit)
    return f"""# Made of the row {row.service} by tripleo-ha-node bake.
[Unit]
Description={row.summary}
StartLimitIntervalSec=0

[Service]
User={wsgi.user}
Group={wsgi.user}
Type=notify
NotifyAccess=all
WorkingDirectory=~
RuntimeDirectory={wsgi.user} lock/{wsgi.user}
# Several units of one user share these.
RuntimeDirectoryPreserve=yes
CacheDirectory={wsgi.user}
ExecStart=/usr/bin/uwsgi_python3 --ini {table.uwsgi_file(unit.name)}
Restart=always
RestartSec=500ms
LimitNOFILE=65535
TimeoutStartSec=90
TimeoutStopSec={STOP_S}

[Install]
WantedBy=multi-user.target
"""


def configurations(row: Row, cluster: Cluster, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return uWSGI's configuration of each unit that it serves, by its path on the node.

    :param metadata: accepted, with its defaults: ``workers`` of the row's key.
    :raises Failure: the row does not balance the listener that a unit names.
    """
    found = {}
    for unit in row.units:
        if unit.wsgi:
            listener = next((each for each in row.balanced if each.name == _wsgi(unit).listener), None)
            if listener is None:
                raise Failure(f"service {row.service}: {unit.name} has no balanced listener {unit.wsgi.listener}")
            lines = _lines(unit.wsgi, listener, cluster.me.ip, metadata[row.metadata]["workers"])
            found[table.uwsgi_file(unit.name)] = "\n".join(["[uwsgi]", *lines, ""])
    return found


def _lines(wsgi: Wsgi, listener: Listener, ip: str, workers: int) -> Iterator[str]:
    assert listener.balance
    check = listener.balance.check.path
    yield "plugins = python3"
    yield f"wsgi-file = {wsgi.application}"
    yield f"http-socket = {endpoints.host(ip)}:{listener.port}"
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
    yield f"socket-timeout = {wsgi.silence_s}"
    if wsgi.harakiri_s:
        yield "# A worker that answers nothing for so many seconds is replaced by its master."
        yield f"harakiri = {wsgi.harakiri_s}"
    yield "# Before a stop, the balancer's check is told to send no more."
    yield f"route-if-not = equal:${{PATH_INFO}};{check} last:"
    yield f"route-if = exists:{paths.RUNTIME}/draining/{listener.name} break:404 Draining"
    if wsgi.health != check:
        yield f"route-run = setpathinfo:{wsgi.health}"


def _wsgi(unit: Unit) -> Wsgi:
    assert unit.wsgi
    return unit.wsgi
