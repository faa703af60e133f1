"""How soon the peers notice a failure: facts from what they ship, expressed in this product's settings.

What cannot be expressed is left as it is here, which is in the peers' favour: their clients are ours (oslo.messaging
with its short heartbeat, TCP_USER_TIMEOUT; theirs: heartbeat_timeout_threshold 60), their broker has Khepri and
quorum queues (theirs: Mnesia; TripleO: mirrored classic queues), their database is restarted by systemd (TripleO: by
Pacemaker's resource agent), writes go to one server that does not flap back, and every listener is asked over HTTP by
way of the health endpoint. Both connect to RabbitMQ without a balancer, each client with a list of all hosts; here
clients go through the virtual IP, with the checks that each has for everything else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HAPROXY = "opt/tripleo-ha/venv/lib/python3*/site-packages/tripleo_ha/topology/haproxy.py"
RABBIT = "usr/libexec/os-apply-config/templates/etc/rabbitmq"


@dataclass(frozen=True)
class Edit:
    """A text in files of the image (a glob below its root), and what stands there instead."""

    files: str
    old: str
    new: str


@dataclass(frozen=True)
class Peer:
    """One peer: the release that was read, metadata, how listeners are balanced by service, and edits in the image."""

    release: str
    metadata: Mapping[str, Any]
    balance: Mapping[str, Mapping[str, Any]]
    edits: tuple[Edit, ...] = field(default=())


FAST = Edit(HAPROXY, "fastinter {min(max(check.interval_ms // 4, 50), LONGEST_FAST_MS)}ms", "")
OBSERVE = "observe layer4 error-limit 1 on-error {on_error} "
SHUTDOWN = "on-marked-down shutdown-sessions"
DEAD_ENDS = (
    # Neither ends a TCP session whose other end has become silent before the kernel does.
    Edit(HAPROXY, 'dead_peer = "" if listener.protocol == "http" else f" tcp-ut {DEAD_CLIENT_S}s"', 'dead_peer = ""'),
    Edit(HAPROXY, 'options.append(f"tcp-ut {DEAD_SERVER_S}s")', "pass"),
    # Both have `option tcpka` with the kernel's own times, which begin after two hours.
    Edit(HAPROXY, 'yield f"    {side}tcpka-idle {seconds - 3}s"', "pass"),
    Edit(HAPROXY, 'yield f"    {side}tcpka-intvl 1s"', "pass"),
    Edit(HAPROXY, 'yield f"    {side}tcpka-cnt 3"', "pass"),
)
ERLANG = (
    # RabbitMQ's own: net_setuptime 7 s, no TCP_USER_TIMEOUT on the distribution.
    Edit(f"{RABBIT}/rabbitmq-env.conf", " -kernel net_setuptime 1", ""),
    Edit(f"{RABBIT}/advanced.config", ", {raw, 6, 18, <<3000:32/native>>}", ""),
)
POLL = {"rabbitmq.conf": {"raft.adaptive_failure_detector.poll_interval": 5000}}
"""RabbitMQ 4.0, rabbit_prelaunch_conf: the default of aten's poll_interval."""
KERNEL = {"sysctl": {"net.ipv4.tcp_retries2": 15}}
"""Linux's own; kolla-ansible leaves it (haproxy_host_ipv4_tcp_retries2: KOLLA_UNSET), TripleO does not set it."""

PEERS: Mapping[str, Peer] = {
    "kolla-ansible": Peer(
        # The last release with HAProxy before the database: since 2024.2 ProxySQL is the default.
        release="kolla-ansible 2024.1",
        metadata={
            # keepalived.conf.j2: advert_int 1; RFC 3768: a master is missed after 3 adverts and a skew of up to 1 s,
            # so about 4 s. Token and consensus so that the address moves about as late, with Pacemaker's own second.
            "pacemaker": {"token_ms": 1400, "consensus_ms": 1680},
            # galera.cnf.j2 sets no evs option: Galera's own, suspect 5 s, inactive 15 s, keepalive 1 s. (Its
            # inactive_check 0.5 s and install 7.5 s become 1 s and 15 s here.)
            "mysql": {"failure_detection_s": 5},
            # rabbitmq.conf.j2 and advanced.config.j2 set neither: net_ticktime is Erlang's 60 s.
            "rabbit": {"net_ticktime_s": 60, "extra": POLL},
            "base": {"extra": KERNEL},
        },
        balance={
            # roles/mariadb/defaults/main.yml: `check port … inter 2000 rise 2 fall 5`, backup but for the first,
            # timeout client and server 3600 s; roles/loadbalancer/defaults/main.yml: connect 10 s, check 10 s.
            "mariadb-galera": {
                "connect_ms": 10_000,
                "client_ms": 3_600_000,
                "server_ms": 3_600_000,
                "check": {"interval_ms": 2000, "timeout_ms": 10_000, "rise": 2, "fall": 5},
            },
            # roles/haproxy-config/defaults/main.yml: haproxy_health_check: `check inter 2000 rise 2 fall 5`;
            # roles/keystone/defaults/main.yml: balance roundrobin; timeout client and server 1 m.
            "keystone": {
                "mode": "roundrobin",
                "connect_ms": 10_000,
                "check": {"interval_ms": 2000, "timeout_ms": 10_000, "rise": 2, "fall": 5},
            },
            "rabbitmq-cluster": {
                "connect_ms": 10_000,
                "check": {"interval_ms": 2000, "timeout_ms": 10_000, "rise": 2, "fall": 5},
            },
        },
        # No on-marked-down, fastinter or observe in any template; option redispatch and retries 3 as here.
        edits=(FAST, Edit(HAPROXY, OBSERVE + SHUTDOWN, ""), *DEAD_ENDS, *ERLANG),
    ),
    "tripleo": Peer(
        # The last release before the project ended.
        release="tripleo-heat-templates and puppet-tripleo, zed",
        metadata={
            # THT deployment/pacemaker/pacemaker-baremetal-puppet.yaml: CorosyncTokenTimeout 10000; corosync.conf(5):
            # consensus is 1.2 times the token.
            "pacemaker": {"token_ms": 10_000, "consensus_ms": 12_000},
            # puppet-tripleo mysql_bundle.pp: no evs option in wsrep_provider_options; Galera's own, as above.
            "mysql": {"failure_detection_s": 5},
            # THT deployment/rabbitmq/rabbitmq-container-puppet.yaml: RabbitNetTickTime 15.
            "rabbit": {"net_ticktime_s": 15, "extra": POLL},
            "base": {"extra": KERNEL},
        },
        balance={
            # puppet-tripleo manifests/haproxy.pp with mysql_clustercheck: `port 9200 on-marked-down shutdown-sessions
            # check inter 1s`, so HAProxy's own rise 2 and fall 3; timeout client and server 90 m;
            # haproxy_default_timeout: connect 10s, check 30s.
            "mariadb-galera": {
                "connect_ms": 10_000,
                "client_ms": 5_400_000,
                "server_ms": 5_400_000,
                "check": {"interval_ms": 1000, "timeout_ms": 30_000, "rise": 2, "fall": 3},
            },
            # haproxy_member_options: check inter 2000 rise 2 fall 5; no balance, so HAProxy's own roundrobin; client
            # and server 2 m.
            "keystone": {
                "mode": "roundrobin",
                "connect_ms": 10_000,
                "client_ms": 120_000,
                "server_ms": 120_000,
                "check": {"interval_ms": 2000, "timeout_ms": 30_000, "rise": 2, "fall": 5},
            },
            # The same members' options for rabbitmq, where that is balanced.
            "rabbitmq-cluster": {
                "mode": "roundrobin",
                "connect_ms": 10_000,
                "check": {"interval_ms": 2000, "timeout_ms": 30_000, "rise": 2, "fall": 5},
            },
        },
        # Only the database's members have shutdown-sessions; the others are stateless or reconnect.
        edits=(
            FAST,
            Edit(HAPROXY, f'f"{OBSERVE}{SHUTDOWN}"', f'"{SHUTDOWN}" if balance.mode == "single" else ""'),
            *DEAD_ENDS,
            *ERLANG,
        ),
    ),
}
