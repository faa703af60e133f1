"""HAProxy's configuration: what every table must lead to, and the traps that were found by experiment."""

import dataclasses
import re
import shlex
from collections.abc import Sequence

import pytest
import service_tables as tables
from hypothesis import given
from hypothesis import strategies as st

from tripleo_ha.errors import Failure
from tripleo_ha.table import Listener
from tripleo_ha.topology import haproxy


def render(*listeners: Listener, count: int = 3, me: int = 0, **settings: object) -> str:
    told = tables.metadata(count, me)
    told["haproxy"].update(settings)
    return haproxy.render([tables.HAPROXY, tables.row(*listeners)], tables.of(told), told)


def sections(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith(" "):
            found[line] = []
        elif line.strip():
            found[list(found)[-1]].append(line.strip())
    return found


def binds(lines: Sequence[str]) -> list[str]:
    return [line.split()[1] for line in lines if line.startswith("bind ")]


@given(tables.listeners(), st.integers(1, 7))
def test_exactly_the_balanced_listeners_are_offered(listeners: list[Listener], count: int) -> None:
    found = sections(render(*listeners, count=count))
    balanced = [listener for listener in listeners if listener.balance]
    assert [name for name in found if name.startswith("listen ")] == [f"listen {item.name}" for item in balanced]
    vips = {"control": "192.0.2.10", "public": "198.51.100.10"}
    for listener in balanced:
        assert listener.balance
        section = found[f"listen {listener.name}"]
        assert binds(section) == [f"{vips[vip]}:{listener.port}" for vip in listener.balance.vips]
        servers = [line.split()[1:3] for line in section if line.startswith("server ") and "no-check" not in line]
        assert servers == [[f"controller-{i}", f"192.0.2.{11 + i}:{listener.port}"] for i in range(count)]
        assert f"mode {listener.protocol}" in section
        assert "option httpchk" in section
        assert "http-check expect status 200" in section
        assert any("on-marked-down shutdown-sessions" in line for line in section)


@given(tables.listeners())
def test_nothing_else_is_bound(listeners: list[Listener]) -> None:
    wanted = {listener.port for listener in listeners if listener.balance} | {1993}
    bound = {int(end.rpartition(":")[2]) for lines in sections(render(*listeners)).values() for end in binds(lines)}
    assert bound == wanted


@given(tables.listeners())
def test_no_listener_is_refused_for_want_of_connections(listeners: list[Listener]) -> None:
    found = sections(render(*listeners))
    total = next(int(line.split()[1]) for line in found["global"] if line.startswith("maxconn "))
    asked = sum(listener.balance.maxconn or 0 for listener in listeners if listener.balance)
    assert total > asked
    assert total >= haproxy.MAXCONN


@given(tables.listeners())
def test_same_facts_same_text_and_digest_tells_texts_apart(listeners: list[Listener]) -> None:
    text = render(*listeners)
    assert render(*listeners) == text
    assert re.fullmatch("[0-9a-f]{64}", haproxy.digest(text))
    assert haproxy.digest(render(*listeners, tables.api("other", 70000))) != haproxy.digest(text)


@given(st.text(st.characters(min_codepoint=0x20, exclude_characters="\x7f", exclude_categories=["Cs", "Cc"])))
def test_quoting_keeps_every_value_one_word(value: str) -> None:
    assert shlex.split(haproxy.quote(value)) == [value]


@pytest.mark.parametrize("value", ["two\nlines", "nul\0", "return\r", "escape\x1b"])
def test_control_characters_are_refused_without_showing_them(value: str) -> None:
    with pytest.raises(Failure) as failure:
        haproxy.quote(value)
    assert value not in str(failure.value)


def test_password_is_asked_for_everything_on_the_statistics_port() -> None:
    section = sections(render(stats_password='it\'s $ecret # "x"'))
    assert section["userlist statistics"] == ["user admin insecure-password 'it'\\''s $ecret # \"x\"'"]
    rules = [line for line in section["frontend statistics"] if line.startswith("http-request")]
    assert rules[0].startswith("http-request auth ")
    assert binds(section["frontend statistics"]) == ["192.0.2.11:1993", "192.0.2.10:1993"]


def test_one_writer_is_remembered_by_all_and_never_left_while_healthy() -> None:
    section = sections(render(tables.sql()))["listen mysql"]
    assert "stick on int(1)" in section
    table = next(line for line in section if line.startswith("stick-table"))
    assert "peers controllers" in table
    assert "nopurge" in table
    size = int(re.search(r"size (\d+)k", table)[1]) * 1024  # type: ignore[index]
    # A full table is never written to again, and each connection under way takes an entry.
    assert size > next(int(line.split()[1]) for line in section if line.startswith("maxconn "))
    assert "no option redispatch" in section
    assert "retries 0" in section
    assert [line.endswith(" backup") for line in section if line.startswith("server ")] == [False, True, True]
    assert "on-marked-up" not in " ".join(section)


def test_other_modes_go_on_to_another_server() -> None:
    section = sections(render(tables.api(mode="leastconn")))["listen api"]
    assert "balance leastconn" in section
    assert "option redispatch 1" in section
    assert not [line for line in section if "stick" in line or (line.endswith(" backup") and "no-check" not in line)]


def test_connections_under_way_end_with_their_server() -> None:
    section = sections(render(tables.sql()))["listen mysql"]
    name = next(line.split()[2] for line in section if line.startswith("filter bwlim-in"))
    rules = [line for line in section if line.startswith("tcp-request content")]
    assert rules[0] == f"tcp-request content set-bandwidth-limit {name}"  # an accept before it would skip it


def test_peers_are_the_controllers_and_this_node_is_one() -> None:
    found = sections(render(count=5, me=3))
    assert found["peers controllers"] == [f"peer controller-{i} 192.0.2.{11 + i}:9591" for i in range(5)]
    assert "localpeer controller-3" in found["global"]


def test_clients_cannot_forge_what_haproxy_says_of_them() -> None:
    section = sections(render(tables.api()))["listen api"]
    for header in ("X-Forwarded-For", "Forwarded", "X-Forwarded-Host"):
        assert f"http-request del-header {header}" in section
    assert section.index("http-request del-header X-Forwarded-For") < section.index("option forwardfor")
    served_by = [line for line in section if "set-header X-Served-By" in line]
    server = "%[srv_name,regsub(-unchecked$,)]"
    assert served_by == [f"http-response set-header X-Served-By {server} if {{ src 192.0.2.0/24 }}"]


def test_extra_options_stand_after_ours_so_that_they_win() -> None:
    extra = {
        "global": {"tune.bufsize": 32768, "nbthread": "2"},
        "defaults": {"timeout queue": "30s", "option dontlog-normal": True, "option tcp-smart-connect": False},
    }
    found = sections(render(extra=extra))
    assert found["global"][-2:] == ["tune.bufsize 32768", "nbthread 2"]
    assert found["defaults"][-2:] == ["timeout queue 30s", "option dontlog-normal"]


def test_extra_value_cannot_smuggle_in_a_line() -> None:
    with pytest.raises(Failure, match="line end"):
        render(extra={"global": {"nbthread": "2\nlisten evil"}})


@pytest.mark.parametrize(
    "mode, protocol, said",
    [
        ("single", "tcp", "error-limit 1 on-error fastinter"),
        ("leastconn", "tcp", "error-limit 1 on-error fastinter"),
        ("leastconn", "http", "error-limit 1 on-error mark-down"),
    ],
)
def test_a_refused_connection_tells_before_the_next_check(mode: str, protocol: str, said: str) -> None:
    api = tables.api(vips=("control",))
    assert api.balance
    listener = dataclasses.replace(api, protocol=protocol, balance=dataclasses.replace(api.balance, mode=mode))
    (default,) = [line for line in sections(render(listener))["listen api"] if line.startswith("default-server ")]
    assert f"observe layer4 {said} on-marked-down shutdown-sessions" in default


@pytest.mark.parametrize(
    ("interval_ms", "said"),
    [
        (100, "inter 100ms fastinter 50ms downinter 100ms"),
        (1000, "inter 1000ms fastinter 250ms downinter 1000ms"),
        (30000, "inter 30000ms fastinter 1000ms downinter 3000ms"),
    ],
)
def test_a_server_in_doubt_or_down_is_asked_often(interval_ms: int, said: str) -> None:
    api = tables.api(vips=("control",))
    assert api.balance
    check = dataclasses.replace(api.balance.check, interval_ms=interval_ms)
    listener = dataclasses.replace(api, balance=dataclasses.replace(api.balance, check=check))
    (default,) = [line for line in sections(render(listener))["listen api"] if line.startswith("default-server ")]
    assert f"check {said} " in default


def test_an_api_is_not_asked_for_text() -> None:
    (sent,) = [line for line in sections(render(tables.api()))["listen api"] if line.startswith("http-check send ")]
    assert " hdr Accept application/json " in f"{sent} "


def test_two_listeners_cannot_have_one_port_of_a_virtual_ip() -> None:
    with pytest.raises(Failure, match="one and two both want port 8000 of VIP control"):
        render(tables.api("one"), tables.api("two"))
    render(tables.api("one", vips=("control",)), tables.api("two", vips=("public",)))


def test_two_listeners_cannot_have_one_name() -> None:
    with pytest.raises(Failure, match="two balanced listeners are named api"):
        render(tables.api(port=1), tables.api(port=2))


def test_unknown_virtual_ip_is_named() -> None:
    with pytest.raises(Failure, match="listener api: no virtual IP storage"):
        render(tables.api(vips=("storage",)))


@pytest.mark.parametrize("change", [{"address": "loopback"}, {"transport": "udp"}])
def test_what_haproxy_cannot_reach_is_not_balanced(change: dict[str, str]) -> None:
    with pytest.raises(Failure, match="listener api is balanced: it must be tcp, and not on loopback"):
        render(dataclasses.replace(tables.api(), **change))


def test_row_of_haproxy_must_name_its_ports() -> None:
    told = tables.metadata()
    bare = dataclasses.replace(tables.HAPROXY, listeners=tables.HAPROXY.listeners[:1])
    with pytest.raises(Failure, match="no listener statistics"):
        haproxy.render([bare], tables.of(told), told)


def test_ipv6_addresses_are_bracketed() -> None:
    told = tables.metadata()
    told["cluster"]["virtual_ips"]["control"]["ip"] = "2001:db8::10"
    told["cluster"]["nodes"][0]["ip"] = "2001:db8::11"
    section = sections(haproxy.render([tables.HAPROXY, tables.row(tables.api())], tables.of(told), told))["listen api"]
    assert binds(section)[0] == "[2001:db8::10]:8000"
    assert any(line.startswith("server controller-0 [2001:db8::11]:8000 ") for line in section)


def test_digest_of_a_foreign_description_is_empty() -> None:
    assert haproxy.digest_of("tripleo-ha 123") == "123"
    assert haproxy.digest_of("my load balancer") == ""
    assert haproxy.digest("global\n    daemon\n") == ""


def test_requests_go_somewhere_while_no_api_answers_its_check_in_time() -> None:
    """Checks that all time out tell of a busy machine; a health endpoint that says no, of a service that must not."""
    found = sections(render(tables.api("identity", 5000), tables.sql()))
    spare = [line.split() for line in found["listen identity"] if "no-check" in line]
    assert [words[1] for words in spare] == [f"controller-{index}-unchecked" for index in range(3)]
    assert all("backup" in words and words[2].endswith(":5000") for words in spare)
    assert "option allbackups" in found["listen identity"]
    header = next(line for line in found["listen identity"] if "set-header X-Served-By" in line)
    assert "regsub(-unchecked$,)" in header, "who answered is a controller, however it was reached"
    ids = [line.split()[4] for line in found["listen identity"] if line.startswith("server ")]
    assert len(set(ids)) == len(ids)
    assert not [line for line in found["listen mysql"] if "no-check" in line or "allbackups" in line]
