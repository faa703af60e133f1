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
        user, kind = unit.wsgi.user, "Type=notify\nNotifyAccess=all\n"
        command = f"/usr/bin/uwsgi_python3 --ini {table.uwsgi_file(unit.name)}"
    else:
        assert unit.program
        user, command = unit.program.user, " ".join(unit.program.command)
        kind = "KillMode=process\n" if unit.program.keeps_children else ""
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
TimeoutStopSec={STOP_S}
{install}"""


def _environment(unit: Unit) -> dict[str, str]:
    # Its queues are told apart by this. By itself oslo.messaging takes the name of the program, which is uWSGI's for
    # every API: they would count their queues in one file, which belongs to whichever came first.
    return {"OS_OSLO_MESSAGING_RABBIT__PROCESSNAME": unit.name.removesuffix(".service"), **unit.environment}
