"""A good cluster of three, told as facts"""

from typing import Any

from tripleo_ha.cluster import Cluster
from tripleo_ha.node.facts import BrokerMember, NodeFacts, Process, Socket
from tripleo_ha.table import Balance, Broker, Check, Listener, Row

NAMES = tuple(f"overcloud-controller-{index}" for index in range(3))
METADATA: dict[str, Any] = {
    "cluster": {
        "name": "overcloud",
        "nodes": [{"name": name, "ip": f"192.0.2.{11 + index}"} for index, name in enumerate(NAMES)],
        "virtual_ips": {
            "control": {"ip": "192.0.2.10", "prefix": 24, "interface": "host0"},
            "public": {"ip": "198.51.100.10", "prefix": 24, "interface": "host1"},
        },
    },
    "node": {"name": NAMES[0]},
    "mysql": {},
    "rabbit": {"admin_password": "admin-password"},
    "haproxy": {},
    "pacemaker": {},
    "keystone": {"admin_password": "keystone-password"},
    "ceilometer": {},
}
SINGLETON = "ceilometer-agent-central"
ROWS = (
    Row(
        "mariadb-galera",
        "mysql",
        "",
        listeners=(
            Listener(
                "mysql", 3306, ("mariadbd",), balance=Balance(("control",), Check("/galera", 9590), mode="single")
            ),
        ),
    ),
    Row(
        "rabbitmq",
        "rabbit",
        "",
        listeners=(
            Listener(
                "amqp", 5672, ("beam.smp",), balance=Balance(("control",), Check("/rabbitmq", 9590), mode="leastconn")
            ),
            Listener("epmd", 4369, ("epmd",), address="any"),
            Listener("management", 15672, ("beam.smp",), address="loopback"),
        ),
    ),
    Row(
        "haproxy",
        "haproxy",
        "",
        listeners=(Listener("statistics", 1993, ("haproxy",), protocol="http", sources=("control",)),),
    ),
    Row(
        "keystone",
        "keystone",
        "",
        listeners=(
            Listener(
                "keystone",
                5000,
                ("uwsgi-keystone-long-name",),
                protocol="http",
                balance=Balance(("control", "public"), Check("/healthcheck")),
            ),
        ),
    ),
    Row(
        SINGLETON,
        "ceilometer",
        "",
        manager="pacemaker",
        broker=Broker("ceilometer"),
        singleton_process="ceilometer-polling",
    ),
)


def told(cluster: Cluster, index: int) -> NodeFacts:
    ip = cluster.nodes[index].ip
    control, public = cluster.virtual_ips["control"].ip, cluster.virtual_ips["public"].ip
    addresses = {"host0": (ip,), "host1": (f"198.51.100.{11 + index}",)}
    if index == 1:
        addresses = {"host0": (ip, control), "host1": (*addresses["host1"], public)}
    return NodeFacts(
        node=cluster.nodes[index].name,
        image={"id": "abc"},
        sockets=(
            Socket("tcp", ip, 3306, ("mariadbd",)),
            Socket("tcp", control, 3306, ("haproxy",)),
            Socket("tcp", ip, 5672, ("beam.smp",)),
            Socket("tcp", "::", 4369, ("epmd",)),
            Socket("tcp", "127.0.0.1", 15672, ("beam.smp",)),
            Socket("tcp", ip, 5000, ("uwsgi-keystone-",)),
            Socket("tcp", public, 5000, ("haproxy",)),
            Socket("tcp", ip, 1993, ("haproxy",)),
            Socket("tcp", control, 1993, ("haproxy",)),
            Socket("udp", ip, 68, ("systemd-network",)),
        ),
        addresses=addresses,
        processes=(Process(100, "mariadbd", "mariadb.service", 5),),
        singletons={SINGLETON: (400,) if index == 2 else ()},
        galera={
            "wsrep_cluster_size": "3",
            "wsrep_cluster_status": "Primary",
            "wsrep_local_state_comment": "Synced",
            "wsrep_ready": "ON",
            "wsrep_connected": "ON",
            "wsrep_cluster_state_uuid": "u",
        },
        broker=tuple(BrokerMember(f"rabbit@{name}", True) for name in NAMES),
        broker_users=("admin", "monitor"),
    )
