"""MariaDB options that follow from the metadata by arithmetic or by a map, which a mustache template cannot do."""

from collections.abc import Mapping
from typing import Any

from tripleo_ha.endpoints import host

PROVIDER_FILE = "/etc/mysql/mariadb.conf.d/95-tripleo-ha-provider.cnf"
EXTRA_FILE = "/etc/mysql/mariadb.conf.d/99-tripleo-ha-extra.cnf"
RETRANSMISSION = "PT0.1S"


def timings(failure_detection_s: float) -> dict[str, str]:
    """Return Galera's group communication timeouts for one wished failure detection time.

    EVS wants keepalive and retransmission below suspect, and suspect below inactive and install. Those are in the
    ratio that ENGINES measured. The short ones pace each change of the group, during which nobody commits: a member
    that joins held commits up for 0.5 to 1.2 s with all of them at 0.45 s, and for 0.2 to 0.5 s with 0.1 s.

    :param failure_detection_s: seconds of silence after which a member is suspected, more than 0.
    :return: option to ISO 8601 duration, as ``wsrep_provider_options`` takes them.
    """
    beat = _duration(min(1.0, failure_detection_s * 0.1))
    patience = _duration(failure_detection_s * 3)
    return {
        "evs.keepalive_period": beat,
        "evs.inactive_check_period": beat,
        "evs.join_retrans_period": RETRANSMISSION,
        "evs.suspect_timeout": _duration(failure_detection_s),
        "evs.inactive_timeout": patience,
        "evs.install_timeout": patience,
    }


def provider_file(mysql: Mapping[str, Any], ip: str) -> str:
    """Return the content of ``PROVIDER_FILE`` for the metadata section ``mysql`` and this node's address."""
    address = host(ip)
    options = {
        "gmcast.listen_addr": f"tcp://{address}:4567",
        "ist.recv_bind": address,
        "gcache.size": f"{mysql['gcache_mb']}M",
        "gcache.recover": "yes",
        "pc.recovery": "true",
        **timings(float(mysql["failure_detection_s"])),
    }
    told = "; ".join(f"{name}={value}" for name, value in options.items())
    return f'[mysqld]\nwsrep_provider_options = "{told}"\n'


def extra_file(mysql: Mapping[str, Any]) -> str:
    """Return the content of ``EXTRA_FILE``: ``mysql.extra``, one section after the other."""
    lines = ["# mysql.extra of the metadata; read last, so it wins."]
    for section, options in sorted(mysql.get("extra", {}).items()):
        lines.append(f"[{section}]")
        lines += [f"{name} = {_value(value)}" for name, value in sorted(options.items())]
    return "\n".join(lines) + "\n"


def _duration(seconds: float) -> str:
    return f"PT{round(seconds, 3):g}S"


def _value(value: Any) -> str:
    return {True: "ON", False: "OFF"}[value] if isinstance(value, bool) else str(value)
