"""The systemd units that are made from rows: APIs under uWSGI, daemons, and what runs from time to time."""

from collections.abc import Mapping
from typing import Any

from tripleo_ha import table
from tripleo_ha.table import Row, Timer, Unit

STOP_S = 15


def unit_file(row: Row, unit: Unit) -> str:
    """Return the unit of the process; it holds nothing of a cluster.

    It stands in place of the packaged one, whose Wants= would start MariaDB and RabbitMQ beside the converge run, and
    whose init script adds a log file or listens on every address; a drop-in cannot take those away. What Pacemaker
    manages is started, and started again, by it alone.
    """
    if unit.wsgi:
        user, kind, stop_s = unit.wsgi.user, "Type=notify\nNotifyAccess=all\n", STOP_S
        command = f"/usr/bin/uwsgi_python3 --ini {table.uwsgi_file(unit.name)}"
    else:
        assert unit.program
        user, command, stop_s = unit.program.user, " ".join(unit.program.command), unit.program.stop_s
        # Only the first process is told to end; it ends its own, which a second signal would cut off at their work.
        kind = f"KillMode={'process' if unit.program.keeps_children else 'mixed'}\n"
    if unit.timer:
        # What fails is tried again next time; a unit that stays failed would tell of it long after.
        kind, command = f"Type=oneshot\n{kind}Nice=19\nCPUWeight=10\n", f"-{command}"
    with_timer = f"PartOf={unit.name}\n" if unit.timer else ""
    alone = row.manager == "pacemaker" or bool(unit.timer)
    restart = "" if alone else "Restart=always\nRestartSec=500ms\n"
    environment = "".join(f"Environment={name}={value}\n" for name, value in _environment(unit).items())
    install = "" if alone else "\n[Install]\nWantedBy=multi-user.target\n"
    return f"""# Made of the row {row.service} by tripleo-ha-node bake.
[Unit]
Description={row.summary}
StartLimitIntervalSec=0
{with_timer}
[Service]
User={user}
Group={user}
{kind}WorkingDirectory=~
RuntimeDirectory={user} lock/{user}
# Several units of one user share these.
RuntimeDirectoryPreserve=yes
CacheDirectory={user}
{environment}ExecStart={command}
{restart}LimitNOFILE=65535
TimeoutStartSec={"infinity" if unit.timer else 90}
TimeoutStopSec={stop_s}
{install}"""


def _environment(unit: Unit) -> dict[str, str]:
    # oslo.messaging names queues after the host and this, and counts them in a file of that name. By itself it takes
    # the name of the program, which is uWSGI's for every API, and the file belongs to whichever of them came first.
    return {"OS_OSLO_MESSAGING_RABBIT__PROCESSNAME": unit.process.removesuffix(".service"), **unit.environment}


def timer_files(row: Row, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return each timer of a row, by its path on the node.

    :param metadata: accepted, with its defaults.
    """
    return {table.timer_file(unit.name): _timer(row, unit.timer, metadata) for unit in row.units if unit.timer}


def _timer(row: Row, timer: Timer, metadata: Mapping[str, Any]) -> str:
    seconds = timer.every_s if isinstance(timer.every_s, int) else metadata[row.metadata][timer.every_s]
    return f"""# Made of the row {row.service} and the metadata by tripleo-ha-node.
[Unit]
Description={row.summary}

[Timer]
OnActiveSec={seconds // 2}
OnUnitInactiveSec={seconds // 2}
RandomizedDelaySec={seconds}
"""
