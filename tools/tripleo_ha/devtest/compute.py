"""The bed's compute node: ``nova-compute`` with Nova's fake driver, outside of the controllers, from the same image.

Its servers are scheduled, claimed and active as any, and run nothing. Ports are bound by a real Open vSwitch agent, and
stay down: no server ever plugs one in. It is configured as compute nodes are, from what the controllers were handed,
and is told no password of a database.
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tripleo_ha import cluster, endpoints, table
from tripleo_ha.devtest import beside, container
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.layout import BedNode
from tripleo_ha.devtest.store import Record
from tripleo_ha.metadata import derived, oslo, schema
from tripleo_ha.topology import openvswitch
from tripleo_ha.waiting import wait_for

NAME = "compute-0"
HOST = 60
SHARED: Mapping[str, Mapping[str, Any]] = {
    "nova": {"sections": ("messaging", "notifications")},
    "neutron": {"sections": ("messaging", "networking"), "credentials": ()},
}
"""The services that it belongs to, and what of their rows its own files have as well, as arguments of
:class:`tripleo_ha.table.Oslo`."""
AT = "/etc/compute"
SHOWN = "compute"
CA = "ca.pem"
READY_TIMEOUT = 180.0
"""It is found within ``nova.discover_hosts_interval_s`` of its start."""
# `nova-manage cell_v2 list_hosts` takes seconds of processor time to tell the same.
LIST_HOSTS = ("mariadb", "--skip-column-names", "--execute", "SELECT host FROM nova_api.host_mappings")
# The package nova-compute, which has a command for it, brings hypervisors that a controller has no use for.
PROGRAM = """from nova.cmd.compute import main

main()
"""
START = """set -eu
cd /
printf '127.0.0.1 localhost\\n%s %s\\n' {address} "$HOSTNAME" >/etc/hosts
{trust}mkdir -p /run/openvswitch /run/lock/nova /run/lock/neutron /var/lib/nova/instances
ovsdb-tool create /run/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server /run/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock --pidfile -vsyslog:off -vconsole:warn &
ovs-vsctl --timeout=60 --retry --no-wait init
ovs-vswitchd --pidfile -vsyslog:off -vconsole:warn &
ovs-vsctl --timeout=60 {bridges}
neutron-openvswitch-agent --config-file {at}/neutron.conf &
python3 {at}/nova-compute --config-file {at}/nova.conf &
wait -n
"""


def runs(record: Record) -> bool:
    """Whether a bed has a compute node: its controllers have what it belongs to."""
    return record.profile == "full" and all(map(record.knows, SHARED))


def node(state: Path) -> BedNode:
    """Return the node that is the compute node of a bed."""
    return beside.node(state, NAME, HOST)


def files(document: Mapping[str, Any], address: str) -> dict[str, str]:
    """Return what is in the node's ``/etc/compute``, by name.

    :param document: what a controller was handed.
    """
    metadata = schema.with_defaults(document)
    rows = table.active(table.load(), metadata)
    known = derived.derive(metadata, cluster.from_metadata(metadata), rows)
    known["node"] = {"name": NAME, "ip": address}
    shared = {}
    for row in rows:
        if row.service in SHARED and row.oslo:
            own = replace(row, oslo=replace(row.oslo, **SHARED[row.service]))
            shared[row.service] = oslo.sections(own, metadata, known)
    tls = endpoints.tls_of(metadata, endpoints.CONTROL)
    bridges = openvswitch.changes(openvswitch.wanted(metadata["neutron"]), {})
    return {
        "nova.conf": _nova(metadata["keystone"]["region"], address) + _text(shared["nova"]),
        "neutron.conf": _neutron(metadata["neutron"]["datapath"]) + _text(shared["neutron"]),
        "nova-compute": PROGRAM,
        **({CA: tls.ca} if tls else {}),
        "start": START.format(
            address=address,
            bridges=shlex.join(word for each in bridges for word in ("--", *each.arguments)),
            at=AT,
            trust=f"export REQUESTS_CA_BUNDLE={AT}/{CA}\n" if tls else "",
        ),
    }


def _nova(region: str, address: str) -> str:
    # Of the fake drivers this is the one whose node keeps its identity over a restart.
    return f"""[DEFAULT]
host = {NAME}
my_ip = {address}
use_stderr = true
state_path = /var/lib/nova
compute_driver = fake.FakeDriverWithoutFakeNodes

[cinder]
catalog_info = volumev3::internalURL
os_region_name = {region}

[glance]
region_name = {region}
valid_interfaces = internal

[neutron]
valid_interfaces = internal

[oslo_concurrency]
lock_path = /run/lock/nova

[oslo_messaging_rabbit]
processname = nova-compute

[placement]
valid_interfaces = internal

[service_user]
send_service_user_token = true

"""


def _neutron(datapath: str) -> str:
    # It runs as root.
    return f"""[DEFAULT]
host = {NAME}
use_stderr = true

[agent]
root_helper =

[oslo_concurrency]
lock_path = /run/lock/neutron

[oslo_messaging_rabbit]
processname = neutron-openvswitch-agent

[ovs]
datapath_type = {datapath}
ovsdb_connection = unix:/run/openvswitch/db.sock

[securitygroup]
firewall_driver = openvswitch

"""


def _text(sections: Iterable[Mapping[str, Any]]) -> str:
    lines = []
    for section in sections:
        options = [f"{each['option']} = {each['value']}" for each in section["options"]]
        lines += [f"[{section['section']}]", *options, ""]
    return "\n".join(lines)


def ensure(bed: Bed, document: Mapping[str, Any]) -> bool:
    """Have the compute node of a bed run, as it follows from what a controller was handed; return whether it had to be
    started.
    """
    target = node(bed.state)
    options = [
        # It has interfaces of its own, and a switch with more.
        "--capability=all",
        *container.tun(),
        beside.bind(target, SHOWN, AT),
        beside.bind(target, "state", "/var/lib/nova", writable=True),
    ]
    boot = beside.boot_argv(target, bed.state, bed.netns, options, {}, f"{AT}/start")
    wanted = {f"{SHOWN}/{name}": text for name, text in files(document, target.ip).items()}
    return beside.ensure(target, bed.cgroup, bed.netns, Path(bed.record.image_root), wanted, boot)


def wait_ready(bed: Bed) -> None:
    """Wait until servers can be scheduled to it: until Nova has found it by itself.

    :raises Failure: the node ended instead; the message holds the end of its console.
    """
    target = node(bed.state)

    def probe() -> bool:
        beside.check(target, bed.cgroup)
        return NAME in bed.exec(bed.nodes[0].name, LIST_HOSTS, check=False).stdout

    wait_for(f"{NAME} to be found by Nova", probe, timeout=READY_TIMEOUT, interval=2)
