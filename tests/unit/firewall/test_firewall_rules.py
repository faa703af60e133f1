"""The firewall: what the table names is open to those it names, and nothing else is."""

import ipaddress
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from typing import Any

import pytest
import service_tables as tables
from hypothesis import example, given
from hypothesis import strategies as st

from tripleo_ha.errors import Failure
from tripleo_ha.table import Balance, Check, Listener
from tripleo_ha.topology import firewall

NODE, PEER, CONTROL_VIP, PUBLIC_VIP = "192.0.2.11", "192.0.2.12", "192.0.2.10", "198.51.100.10"
CLIENT, STRANGER = "192.0.2.1", "203.0.113.9"


@dataclass(frozen=True)
class Packet:
    source: str
    destination: str
    transport: str
    port: int


def render(*listeners: Listener, **sections: Any) -> str:
    told = tables.metadata(**sections)
    return firewall.render([tables.HAPROXY, tables.row(*listeners)], tables.of(told), told)


def rules(text: str) -> list[str]:
    chain = text.partition("policy drop;")[2].partition("\n    }")[0]
    return [line.strip() for line in chain.splitlines() if line.strip()]


def accepts(text: str, packet: Packet) -> bool:
    """Judge a first packet as the kernel would: the rules for ports, read one by one."""
    members = re.search(r"set cluster4 .*elements = \{ (.*?) \}", text)
    cluster = members[1].split(", ") if members else []
    for rule in rules(text):
        match = re.fullmatch(
            r"(?:ip saddr (?P<source>\S+) )?(?:ip daddr (?P<destination>\S+) )?(?P<transport>tcp|udp) "
            r"dport (?P<port>\d+)(?:-(?P<last>\d+))? accept(?: comment \".*\")?",
            rule,
        )
        if not match or match["transport"] != packet.transport:
            continue
        if not int(match["port"]) <= packet.port <= int(match["last"] or match["port"]):
            continue
        if match["destination"] not in (None, packet.destination):
            continue
        if match["source"] == "@cluster4":
            if packet.source in cluster:
                return True
        elif match["source"] is None or ipaddress.ip_address(packet.source) in ipaddress.ip_network(match["source"]):
            return True
    return False


def wanted(listeners: list[Listener], packet: Packet) -> bool:
    """Say in the words of docs/service-table.rst whether a packet may pass."""
    for listener in listeners:
        if (listener.port, listener.transport) != (packet.port, packet.transport) or listener.address == "loopback":
            continue
        vips = {CONTROL_VIP: "control", PUBLIC_VIP: "public"}
        inside = packet.source in (NODE, PEER, CLIENT)
        offered = listener.balance and vips.get(packet.destination) in listener.balance.vips
        if offered and (packet.destination == PUBLIC_VIP or inside):
            return True
        if listener.address == "any" or packet.destination == NODE:
            cluster = "cluster" in listener.sources or listener.balance
            if (cluster and packet.source == PEER) or ("control" in listener.sources and inside):
                return True
    return False


addresses = st.sampled_from([PEER, CLIENT, STRANGER])
destinations = st.sampled_from([NODE, CONTROL_VIP, PUBLIC_VIP])


@given(tables.listeners(), addresses, destinations, st.data())
@example([tables.api()], STRANGER, PUBLIC_VIP, None)
@example([tables.sql()], STRANGER, CONTROL_VIP, None)
def test_open_is_what_the_table_says_and_nothing_else(
    listeners: list[Listener], source: str, destination: str, data: st.DataObject | None
) -> None:
    ports = [listener.port for listener in listeners] + [22, 4711]
    text = render(*listeners)
    for port in ports if data is None else [data.draw(st.sampled_from(ports))]:
        for transport in ("tcp", "udp"):
            packet = Packet(source, destination, transport, port)
            assert accepts(text, packet) == wanted(listeners, packet), packet


@given(tables.listeners())
def test_every_listener_of_the_network_appears(listeners: list[Listener]) -> None:
    text = render(*listeners)
    named = set(re.findall(r'comment "(listener-\d+)"', text))
    assert named == {listener.name for listener in listeners if listener.address != "loopback"}


def test_statistics_are_reached_on_the_control_virtual_ip_as_well() -> None:
    text = render()
    assert accepts(text, Packet(CLIENT, CONTROL_VIP, "tcp", 1993))
    assert accepts(text, Packet(CLIENT, NODE, "tcp", 1993))
    assert not accepts(text, Packet(STRANGER, CONTROL_VIP, "tcp", 1993))
    assert not accepts(text, Packet(CLIENT, NODE, "tcp", 9591))


@pytest.mark.parametrize("port, reached", [(6999, False), (7000, True), (7005, True), (7010, True), (7011, False)])
def test_a_range_is_open_from_its_first_port_to_its_last(port: int, reached: bool) -> None:
    text = render(Listener("copies", 7000, ("beam.smp",), address="any", last_port=7010))
    assert accepts(text, Packet(PEER, NODE, "tcp", port)) == reached
    assert not accepts(text, Packet(CLIENT, NODE, "tcp", port))


@pytest.mark.parametrize("port, plain, encrypted", [(80, True, True), (443, False, True), (8880, False, False)])
def test_a_virtual_ip_is_open_where_it_offers_the_service(port: int, plain: bool, encrypted: bool) -> None:
    web = tables.api("web", 8880)
    assert web.balance
    web = replace(web, balance=replace(web.balance, port=80, tls_port=443))
    tls = {"ca": "ca", "public": {"certificate": "certificate", "key": "key"}}
    assert accepts(render(web), Packet(STRANGER, PUBLIC_VIP, "tcp", port)) == plain
    assert accepts(render(web, tls=tls), Packet(STRANGER, PUBLIC_VIP, "tcp", port)) == encrypted
    assert accepts(render(web, tls=tls), Packet(CLIENT, CONTROL_VIP, "tcp", port)) == (port == 80)
    assert accepts(render(web, tls=tls), Packet(PEER, NODE, "tcp", port)) == (port == 8880)


@pytest.mark.parametrize("sources, reached", [([], False), (["10.0.0.0/8"], False), (["203.0.113.0/24"], True)])
def test_ssh_is_closed_but_to_its_sources(sources: list[str], reached: bool) -> None:
    assert accepts(render(base={"ssh_sources": sources}), Packet(STRANGER, NODE, "tcp", 22)) == reached


def test_only_our_table_is_replaced_and_in_one_transaction() -> None:
    lines = render().splitlines()
    assert lines[1:4] == ["table inet tripleo_ha", "delete table inet tripleo_ha", "table inet tripleo_ha {"]
    assert "flush" not in render()


def test_invalid_packets_are_not_dropped_before_tcp_can_reset_them() -> None:
    assert "invalid" not in render()


def test_digest_tells_rulesets_apart_and_survives_the_kernels_layout() -> None:
    text = render(tables.api())
    assert firewall.digest(text) != firewall.digest(render())
    shown = text.replace("    ", "\t").replace("#!/usr/sbin/nft -f\n", "")
    assert firewall.digest(shown) == firewall.digest(text) != ""


def test_unknown_source_is_refused() -> None:
    with pytest.raises(Failure, match="listener odd: no source moon"):
        render(Listener("odd", 1, ("odd",), sources=("moon",)))


def test_unknown_virtual_ip_is_refused() -> None:
    with pytest.raises(Failure, match="no virtual IP storage"):
        render(Listener("odd", 1, ("odd",), balance=Balance(("storage",), Check("/"))))


def _nft_works() -> bool:
    return os.geteuid() == 0 and shutil.which("nft") is not None and shutil.which("unshare") is not None


@pytest.mark.skipif(not _nft_works(), reason="needs root, nft and unshare")
def test_kernel_takes_the_ruleset_twice_and_shows_its_digest() -> None:
    told = tables.metadata(base={"ssh_sources": ["10.0.0.0/8", "2001:db8::/32"]})
    told["cluster"]["nodes"].append({"name": "controller-6", "ip": "2001:db8::11"})
    every = Listener("any", 7, ("any",), address="any", sources=("cluster", "control"))
    text = firewall.render([tables.HAPROXY, tables.row(tables.api(), tables.sql(), every)], tables.of(told), told)
    script = 'nft -f - <<< "$RULES" && nft -f - <<< "$RULES" && nft -t list table inet tripleo_ha'
    done = subprocess.run(
        ["unshare", "-n", "bash", "-c", script],
        env={**os.environ, "RULES": text},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert firewall.digest(done.stdout) == firewall.digest(text)
