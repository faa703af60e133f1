"""HAProxy's configuration, derived from the table of services and the metadata: rows in, text out.

Every balanced listener becomes one ``listen`` section that binds the listener's port on its virtual IPs and sends to
the same port of every controller. Mode ``single`` keeps one writer in a stick table that the controllers share.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tripleo_ha import endpoints
from tripleo_ha.cluster import Cluster
from tripleo_ha.errors import Failure
from tripleo_ha.table import Balance, Check, Listener, Row

SERVICE = "haproxy"
SOCKET = "/run/haproxy/admin.sock"
SERVER_STATE = "/run/haproxy/server-state"
MAXCONN = 4000
"""Connections in all, unless the metadata say otherwise or the rows add up to more."""
OWN_CONNECTIONS = 200
"""Room for statistics and peers."""
HARD_STOP_S = 300
"""A worker that was replaced ends its sessions after this long. It checks no server any more: a session it still holds
is cut by a dead server (TCP says so), but not by one that is merely unhealthy. So its time is bounded."""
WRITER_WAIT_MS = 500
"""How long a connection waits for the peers to say who the writer is, when this process doesn't know it."""
RETRIES = 3
DEAD_CLIENT_S = 10
DEAD_SERVER_S = 5
"""Silence of the TCP stack at the other end after which a session is given up."""
LONGEST_FAST_MS = 1000
LONGEST_DOWN_MS = 3000
"""A server is asked at least this often while it is in doubt, and while it is down: what is rare is the good news."""
CHECK_HEADERS = "hdr Accept application/json hdr Connection close"
"""Asked for text, oslo.middleware compiles a template for each answer, which is most of what a check costs an API."""
UNCHECKED = "-unchecked"
UNCHECKED_IDS = 1000
DIGEST_MARK = "tripleo-ha"
CERTIFICATES = "/etc/haproxy/certificates"
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
CURVES = "X25519:prime256v1:secp384r1"
"""Mozilla's intermediate recommendation for servers, without the ciphers that need parameters of their own."""


def render(rows: Sequence[Row], cluster: Cluster, metadata: Mapping[str, Any]) -> str:
    """Return the text of ``haproxy.cfg`` for this node.

    :param rows: the active rows; the row ``haproxy`` among them names the ports of statistics and peers.
    :param metadata: the accepted metadata; ``haproxy.stats_password`` is needed.
    :raises Failure: two rows want the same port of a virtual IP or the same name, a virtual IP is unknown, a listener
        cannot be balanced, or a value cannot stand in the configuration.
    """
    bundles = certificates(metadata)
    settings = metadata["haproxy"]
    offered = [listener for row in rows for listener in row.balanced]
    _check_offers(offered, cluster, metadata)
    own = {listener.name: listener for row in rows if row.service == SERVICE for listener in row.listeners}
    if missing := sorted({"peers", "statistics"} - set(own)):
        raise Failure(f"the service row {SERVICE} has no listener {' and '.join(missing)}")
    asked = sum(listener.balance.maxconn or 0 for listener in offered if listener.balance)
    maxconn = max(settings.get("maxconn", MAXCONN), asked + OWN_CONNECTIONS)
    extra = settings.get("extra", {})
    body = [
        *_defaults(extra.get("defaults", {})),
        *_peers(cluster, own["peers"].port),
        *_statistics(cluster, own["statistics"].port, settings["stats_password"], metadata),
    ]
    for listener in offered:
        body += _listen(listener, cluster, maxconn, metadata)
    head = _global(cluster, maxconn, bool(bundles), extra.get("global", {}))
    text = "\n".join([*head, *body]) + "\n"
    return text.replace("@DIGEST@", hashlib.sha256(text.encode()).hexdigest(), 1)


def certificates(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return, by name, the files below :data:`CERTIFICATES` that the configuration refers to; they hold a private key.

    The name changes with the certificate: a configuration and its certificate are taken, or refused, together.
    """
    return dict(_bundle(vip, tls) for vip, tls in endpoints.encrypted(metadata).items())


def _bundle(vip: str, tls: endpoints.Tls) -> tuple[str, str]:
    """Return the name of the file with a virtual IP's certificate and key, and its content."""
    parts = [part if part.endswith("\n") else f"{part}\n" for part in (tls.certificate, tls.key)]
    return f"{vip}-{hashlib.sha256(parts[0].encode()).hexdigest()[:16]}.pem", "".join(parts)


def vip_of(file: str) -> str:
    """Return the name of the virtual IP that a file of :func:`certificates` is for."""
    return file.rpartition("-")[0]


def digest_of(description: str) -> str:
    """Return the digest in the ``description`` that a running HAProxy shows, or an empty string."""
    mark, _, digest = description.strip().partition(" ")
    return digest if mark == DIGEST_MARK else ""


def digest(text: str) -> str:
    """Return the digest that :func:`render` wrote into ``text``."""
    line = next((line for line in text.splitlines() if line.strip().startswith("description ")), "")
    return digest_of(line.strip().removeprefix("description ").strip("'"))


def quote(value: str) -> str:
    """Return ``value`` as one word of HAProxy's configuration, nothing in it being special.

    :raises Failure: it holds a line end or another control character, which no quoting carries.
    """
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in value):
        raise Failure("a value for haproxy.cfg holds a control character")
    return "'" + value.replace("'", "'\\''") + "'"


def _check_offers(offered: Sequence[Listener], cluster: Cluster, metadata: Mapping[str, Any]) -> None:
    names: set[str] = set()
    ends: dict[tuple[str, int], str] = {}
    for listener in offered:
        assert listener.balance
        if listener.address == "loopback" or listener.transport != "tcp":
            raise Failure(f"listener {listener.name} is balanced: it must be tcp, and not on loopback")
        if listener.name in names:
            raise Failure(f"two balanced listeners are named {listener.name}")
        names.add(listener.name)
        for vip in listener.balance.vips:
            if vip not in cluster.virtual_ips:
                raise Failure(f"listener {listener.name}: no virtual IP {vip} in cluster.virtual_ips")
            for port in endpoints.offered_ports(metadata, listener, vip):
                other = ends.setdefault((vip, port), listener.name)
                if other != listener.name:
                    raise Failure(f"listeners {other} and {listener.name} both want port {port} of VIP {vip}")


def _global(cluster: Cluster, maxconn: int, encrypted: bool, extra: Mapping[str, Any]) -> Iterator[str]:
    yield "global"
    yield f"    description '{DIGEST_MARK} @DIGEST@'"
    yield "    log stdout format short daemon"
    yield "    user haproxy"
    yield "    group haproxy"
    yield "    chroot /var/lib/haproxy"
    yield f"    localpeer {cluster.me.name}"
    yield f"    maxconn {maxconn}"
    # Where the host grants fewer file handles, an entry that takes fewer connections beats one that doesn't start.
    yield "    no strict-limits"
    yield f"    stats socket {SOCKET} mode 600 level admin expose-fd listeners"
    yield "    stats timeout 30s"
    yield f"    server-state-file {SERVER_STATE}"
    yield f"    hard-stop-after {HARD_STOP_S}s"
    yield "    spread-checks 5"
    yield from _tls() if encrypted else []
    yield from _extra(extra)


def _tls() -> Iterator[str]:
    yield f"    crt-base {CERTIFICATES}"
    yield f"    ssl-default-bind-ciphers {CIPHERS}"
    yield f"    ssl-default-bind-ciphersuites {SUITES}"
    yield f"    ssl-default-bind-curves {CURVES}"
    # A ticket is good for the controller that gave it only, and its key is never renewed.
    yield "    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets"


def _defaults(extra: Mapping[str, Any]) -> Iterator[str]:
    yield "\ndefaults"
    yield "    log global"
    yield "    option dontlognull"
    yield "    load-server-state-from-file global"
    yield "    timeout queue 5s"
    yield "    timeout http-request 10s"
    yield "    timeout http-keep-alive 10s"
    yield "    timeout client-fin 10s"
    yield "    timeout server-fin 10s"
    yield from _extra(extra)


def _extra(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        for item in value if isinstance(value, list) else [value]:
            line = f"{name}" if item is True or item == "" else f"{name} {item}"
            if "\n" in line:
                raise Failure(f"haproxy.extra: the value of {name.splitlines()[0]} holds a line end")
            if item is not False:
                yield f"    {line}"


def _peers(cluster: Cluster, port: int) -> Iterator[str]:
    yield "\npeers controllers"
    for node in cluster.nodes:
        yield f"    peer {node.name} {_end(node.ip, port)}"


def _statistics(cluster: Cluster, port: int, password: str, metadata: Mapping[str, Any]) -> Iterator[str]:
    yield "\nuserlist statistics"
    yield f"    user admin insecure-password {quote(password)}"
    yield "\nfrontend statistics"
    yield "    mode http"
    yield f"    bind {_end(cluster.me.ip, port)}"
    if control := cluster.virtual_ips.get(endpoints.CONTROL):
        tls = endpoints.tls_of(metadata, endpoints.CONTROL)
        yield f"    bind {_end(control.ip, port)}{_ssl(endpoints.CONTROL, tls)}"
    yield "    maxconn 50"
    yield "    timeout client 10s"
    yield "    http-request auth realm statistics unless { http_auth(statistics) }"
    yield "    http-request use-service prometheus-exporter if { path /metrics }"
    yield "    stats enable"
    yield "    stats uri /"
    yield "    stats hide-version"
    yield "    stats refresh 10s"


def _listen(listener: Listener, cluster: Cluster, total: int, metadata: Mapping[str, Any]) -> Iterator[str]:
    balance = listener.balance
    assert balance
    yield f"\nlisten {listener.name}"
    yield f"    mode {listener.protocol}"
    yield from _binds(listener, balance, cluster, metadata)
    # Half at most for one service, so that its flood doesn't close the entry to the others.
    yield f"    maxconn {balance.maxconn or total // 2}"
    yield f"    timeout connect {balance.connect_ms}ms"
    yield f"    timeout client {balance.client_ms}ms"
    yield f"    timeout server {balance.server_ms}ms"
    yield from _kept_encrypted(listener, balance, cluster, metadata)
    yield from _http(cluster) if listener.protocol == "http" else _tcp()
    yield from _spread(listener, balance)
    yield from _check(balance.check, cluster, listener)
    yield f"    source {cluster.me.ip}"
    yield from _servers(listener, balance, cluster)


def _binds(listener: Listener, balance: Balance, cluster: Cluster, metadata: Mapping[str, Any]) -> Iterator[str]:
    dead_peer = "" if listener.protocol == "http" else f" tcp-ut {DEAD_CLIENT_S}s"
    for vip in balance.vips:
        ssl = _ssl(vip, endpoints.tls_for(metadata, listener, vip))
        for number, port in enumerate(endpoints.offered_ports(metadata, listener, vip)):
            # Transparent: what is under way is still answered after the address has left this node.
            end = _end(cluster.virtual_ips[vip].ip, port)
            yield f"    bind {end} transparent{dead_peer}{'' if number else ssl}"


def _ssl(vip: str, tls: endpoints.Tls | None) -> str:
    return f" ssl crt {_bundle(vip, tls)[0]}" if tls else ""


def _kept_encrypted(
    listener: Listener, balance: Balance, cluster: Cluster, metadata: Mapping[str, Any]
) -> Iterator[str]:
    vips = [vip for vip in balance.vips if endpoints.tls_for(metadata, listener, vip)]
    for vip in vips if balance.tls_port else ():
        url = endpoints.base_url(metadata, listener, vip)
        yield f"    http-request redirect prefix {url} if {{ dst {cluster.virtual_ips[vip].ip} }} !{{ ssl_fc }}"
    if vips:
        # The service itself cannot tell which cookies must not travel in the open: it is asked in plain HTTP always.
        yield "    http-response replace-header Set-Cookie ^(.*)$ '\\1; Secure' if { ssl_fc }"


def _http(cluster: Cluster) -> Iterator[str]:
    yield "    option httplog"
    # A service that is about to stop says so with 404: nothing new is sent there, and what is under way ends well.
    yield "    http-check disable-on-404"
    for header in ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "Forwarded"):
        yield f"    http-request del-header {header}"
    yield "    option forwardfor"
    yield "    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]"
    yield "    http-response del-header X-Served-By"
    if control := cluster.virtual_ips.get("control"):
        server = f"%[srv_name,regsub({UNCHECKED}$,)]"
        yield f"    http-response set-header X-Served-By {server} if {{ src {control.network} }}"


def _tcp() -> Iterator[str]:
    yield "    option tcplog"
    # HAProxy 3.0 forgets a connection that is under way to a server when that is marked down: its client hangs for
    # ever, no timeout applies. It is ended as it should be if a filter still reads its requests, so one does; the
    # limit is out of reach.
    yield "    filter bwlim-in attached default-limit 1g default-period 1s"
    yield "    tcp-request content set-bandwidth-limit attached"
    for side, seconds in (("cli", DEAD_CLIENT_S), ("srv", DEAD_SERVER_S)):
        yield f"    option {side}tcpka"
        yield f"    {side}tcpka-idle {seconds - 3}s"
        yield f"    {side}tcpka-intvl 1s"
        yield f"    {side}tcpka-cnt 3"


def _spread(listener: Listener, balance: Balance) -> Iterator[str]:
    if balance.mode != "single":
        yield f"    balance {balance.mode}"
        yield from ["    hash-type consistent"] if balance.mode == "source" else []
        yield f"    retries {RETRIES}"
        yield "    option redispatch 1"
        return
    # A redispatched connection would make a second writer while the first still has its sessions.
    yield "    no option redispatch"
    yield "    retries 0"
    # There is one key, the writer. But every connection takes an entry until it is established, and a full table
    # is not written to: with size 1 the entry would keep the first writer for ever, and traffic flap back to it.
    yield "    stick-table type integer size 100k nopurge peers controllers"
    yield "    stick on int(1)"
    yield f"    tcp-request inspect-delay {WRITER_WAIT_MS}ms"
    yield f"    tcp-request content accept if {{ int(1),in_table({listener.name}) }}"
    yield "    tcp-request content accept if WAIT_END"


def _check(check: Check, cluster: Cluster, listener: Listener) -> Iterator[str]:
    control = cluster.virtual_ips.get("control")
    host = _end(control.ip if control else cluster.me.ip, check.port or listener.port)
    yield "    option httpchk"
    yield f"    http-check send meth GET uri {quote(check.path)} ver HTTP/1.1 hdr Host {host} {CHECK_HEADERS}"
    yield "    http-check expect status 200"
    yield f"    timeout check {check.timeout_ms}ms"


def _servers(listener: Listener, balance: Balance, cluster: Cluster) -> Iterator[str]:
    check = balance.check
    # An API that restarts listens seconds before it answers; the one connection that it refused meanwhile has to tell.
    on_error = "mark-down" if listener.protocol == "http" else "fastinter"
    options = [
        f"check inter {check.interval_ms}ms fastinter {min(max(check.interval_ms // 4, 50), LONGEST_FAST_MS)}ms",
        f"downinter {min(check.interval_ms, LONGEST_DOWN_MS)}ms rise {check.rise} fall {check.fall}",
        f"observe layer4 error-limit 1 on-error {on_error} on-marked-down shutdown-sessions",
    ]
    if check.port:
        options.insert(1, f"port {check.port}")
    if listener.protocol == "tcp":
        options.append(f"tcp-ut {DEAD_SERVER_S}s")
    yield f"    default-server {' '.join(options)}"
    for node in cluster.nodes:
        spare = " backup" if balance.mode == "single" and node.index else ""
        yield f"    server {node.name} {_end(node.ip, listener.port)} id {node.id}{spare}"
    if listener.protocol == "http" and not check.port and balance.mode != "single":
        yield from _unchecked(listener, cluster)


def _unchecked(listener: Listener, cluster: Cluster) -> Iterator[str]:
    # A machine that is busy beyond measure answers no check in time, on any node. Refusing everybody then would only
    # add to it: while every server is marked down, requests go to all of them as if there were no checks.
    yield "    option allbackups"
    for node in cluster.nodes:
        end = _end(node.ip, listener.port)
        yield f"    server {node.name}{UNCHECKED} {end} id {UNCHECKED_IDS + node.id} no-check backup"


def _end(ip: str, port: int) -> str:
    return f"{endpoints.host(ip)}:{port}"
