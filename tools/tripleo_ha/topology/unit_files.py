"""The systemd units that the image's build makes from rows: APIs under uWSGI, and daemons."""

from tripleo_ha import table
from tripleo_ha.table import Row, Unit

STOP_S = 15


def unit_file(row: Row, unit: Unit) -> str:
    """Return the systemd unit; it holds nothing of a cluster.

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
    alone = row.manager == "pacemaker"
    restart = "" if alone else "Restart=always\nRestartSec=500ms\n"
    environment = "".join(f"Environment={name}={value}\n" for name, value in _environment(unit).items())
    install = "" if alone else "\n[Install]\nWantedBy=multi-user.target\n"
    return f"""# Made of the row {row.service} by tripleo-ha-node bake.
[Unit]
Description={row.summary}
StartLimitIntervalSec=0

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
TimeoutStartSec=90
TimeoutStopSec={stop_s}
{install}"""


def _environment(unit: Unit) -> dict[str, str]:
    # oslo.messaging names queues after the host and this, and counts them in a file of that name. By itself it takes
    # the name of the program, which is uWSGI's for every API, and the file belongs to whichever of them came first.
    return {"OS_OSLO_MESSAGING_RABBIT__PROCESSNAME": unit.name.removesuffix(".service"), **unit.environment}
