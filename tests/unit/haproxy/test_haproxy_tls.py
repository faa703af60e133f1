"""TLS at the entry: which listeners have it, what clients and services see of it, and how a certificate is changed."""

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import service_tables as tables
from test_haproxy_config import sections
from test_haproxy_converge import Fake, fake  # noqa: F401 — a fixture

from tripleo_ha import endpoints
from tripleo_ha.errors import Failure
from tripleo_ha.node import haproxy, trust
from tripleo_ha.node.context import Context
from tripleo_ha.node.facts import Certificate
from tripleo_ha.topology import haproxy as rendered

ROWS = (tables.HAPROXY, tables.row(tables.sql(), tables.api()))
CONTROL = {"enabled": True, "certificate": "inner certificate", "key": "inner key"}


def metadata(certificate: str = "certificate", **public: Any) -> dict[str, Any]:
    return tables.metadata(tls={"ca": "ca", "public": {"certificate": certificate, "key": "key", **public}})


def inside(**control: Any) -> dict[str, Any]:
    """Metadata that have certificates for both virtual IPs."""
    told = metadata()
    told["tls"]["control"] = {**CONTROL, **control}
    return told


def render(told: dict[str, Any]) -> str:
    return rendered.render(ROWS, tables.of(told), told)


def test_http_on_the_public_address_is_encrypted_and_nothing_else_is() -> None:
    found = sections(render(metadata()))
    binds = [line for lines in found.values() for line in lines if line.startswith("bind ")]
    (name,) = rendered.certificates(metadata())
    assert [line for line in binds if " ssl " in line] == [f"bind 198.51.100.10:8000 transparent ssl crt {name}"]
    assert f"crt-base {rendered.CERTIFICATES}" in found["global"]
    assert any("ssl-min-ver TLSv1.2" in line for line in found["global"])


def test_one_switch_encrypts_http_on_the_control_address_as_well() -> None:
    found = sections(render(inside()))
    inner, public = rendered.certificates(inside())
    assert (rendered.vip_of(inner), rendered.vip_of(public)) == ("control", "public")
    assert rendered.certificates(inside())[inner] == "inner certificate\ninner key\n"
    binds = [line for lines in found.values() for line in lines if line.startswith("bind ")]
    assert sorted(line for line in binds if " ssl " in line) == [
        f"bind 192.0.2.10:1993 ssl crt {inner}",
        f"bind 192.0.2.10:8000 transparent ssl crt {inner}",
        f"bind 198.51.100.10:8000 transparent ssl crt {public}",
    ]
    # The controllers ask each other on their own addresses, and services are asked there.
    assert "bind 192.0.2.11:1993" in found["frontend statistics"]
    assert "server controller-0 192.0.2.11:8000 id 1" in found["listen api"]


def test_only_the_control_address_may_be_encrypted() -> None:
    told = inside()
    told["tls"]["public"]["enabled"] = False
    (name,) = rendered.certificates(told)
    assert name.startswith("control-")
    assert "bind 198.51.100.10:8000 transparent\n" in render(told)


@pytest.mark.parametrize("switch", [{"enabled": False}, {"enabled": None}])
def test_a_certificate_that_waits_for_its_switch_changes_nothing(switch: dict[str, Any]) -> None:
    waiting = inside(**switch)
    if switch["enabled"] is None:
        del waiting["tls"]["control"]["enabled"]
    assert render(waiting) == render(metadata())
    assert rendered.certificates(waiting) == rendered.certificates(metadata())


@pytest.mark.parametrize("told", [tables.metadata(), metadata(enabled=False)])
def test_without_it_nothing_is_said_of_it(told: dict[str, Any]) -> None:
    assert rendered.certificates(told) == {}
    assert " ssl" not in render(told)


def test_services_are_told_what_the_client_spoke() -> None:
    section = sections(render(metadata()))["listen api"]
    assert "http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]" in section


def test_another_certificate_is_another_configuration_and_the_key_is_never_in_it() -> None:
    texts = [render(metadata(certificate)) for certificate in ("one", "two")]
    assert rendered.digest(texts[0]) != rendered.digest(texts[1])
    assert rendered.certificates(metadata("one")).popitem()[1] == "one\nkey\n"
    assert "key" not in texts[0].replace("http-keep-alive", "")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (tables.metadata(), "http://198.51.100.10:8000"),
        (metadata(enabled=False, name="cloud.example.com"), "http://198.51.100.10:8000"),
        (metadata(), "https://198.51.100.10:8000"),
        (metadata(name="cloud.example.com"), "https://cloud.example.com:8000"),
    ],
)
def test_public_endpoints_say_how_they_are_reached(told: dict[str, Any], expected: str) -> None:
    assert endpoints.base_url(told, tables.api(), "public") == expected
    assert endpoints.base_url(told, tables.api(), "control") == "http://192.0.2.10:8000"
    assert endpoints.base_url(told, tables.sql(), "control") == "tcp://192.0.2.10:3306"
    assert "'key'" not in repr(endpoints.encrypted(inside()))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (inside(), "192.0.2.10"),
        (inside(name="internal.example.com"), "internal.example.com"),
    ],
)
def test_internal_endpoints_say_how_they_are_reached(told: dict[str, Any], expected: str) -> None:
    assert endpoints.base_url(told, tables.api(), "control") == f"https://{expected}:8000"
    assert endpoints.base_url(told, tables.sql(), "control") == "tcp://192.0.2.10:3306"
    assert endpoints.host_of(told, "control") == expected
    assert endpoints.host_of(inside(enabled=False, name=expected), "control") == "192.0.2.10"


WEB = tables.api("web", 8880)
assert WEB.balance
WEB = replace(WEB, balance=replace(WEB.balance, port=80, tls_port=443))


def web(told: dict[str, Any]) -> list[str]:
    text = rendered.render((tables.HAPROXY, tables.row(WEB)), tables.of(told), told)
    wanted = ("bind", "http-request redirect", "server")
    return [line for line in sections(text)["listen web"] if line.startswith(wanted)]


def test_a_virtual_ip_may_offer_it_elsewhere_and_send_browsers_to_where_it_is_encrypted() -> None:
    (name,) = rendered.certificates(metadata())
    lines = web(metadata())
    assert lines[:3] == [
        "bind 192.0.2.10:80 transparent",
        f"bind 198.51.100.10:443 transparent ssl crt {name}",
        "bind 198.51.100.10:80 transparent",
    ]
    assert lines[3] == "http-request redirect prefix https://198.51.100.10 if { dst 198.51.100.10 } !{ ssl_fc }"
    assert lines[4] == "server controller-0 192.0.2.11:8880 id 1"
    assert endpoints.base_url(metadata(name="cloud.example.com"), WEB, "public") == "https://cloud.example.com"
    assert endpoints.base_url(metadata(), WEB, "control") == "http://192.0.2.10"


def test_browsers_are_sent_to_where_it_is_encrypted_on_each_address() -> None:
    lines = web(inside(name="internal.example.com"))
    assert [line for line in lines if "redirect" in line] == [
        "http-request redirect prefix https://internal.example.com if { dst 192.0.2.10 } !{ ssl_fc }",
        "http-request redirect prefix https://198.51.100.10 if { dst 198.51.100.10 } !{ ssl_fc }",
    ]


def test_without_tls_a_browser_stays_where_it_came_to() -> None:
    told = tables.metadata()
    assert web(told)[:2] == ["bind 192.0.2.10:80 transparent", "bind 198.51.100.10:80 transparent"]
    assert not any("redirect" in line for line in web(told))
    assert endpoints.base_url(told, WEB, "public") == "http://198.51.100.10"


def test_two_listeners_cannot_have_one_port_of_a_virtual_ip() -> None:
    rows = (tables.HAPROXY, tables.row(WEB, tables.api("other", 443)))
    rendered.render(rows, tables.of(told := tables.metadata()), told)
    with pytest.raises(Failure, match="web and other both want port 443 of VIP public"):
        rendered.render(rows, tables.of(told := metadata()), told)


def test_cookies_given_encrypted_travel_encrypted_only() -> None:
    rule = "http-response replace-header Set-Cookie ^(.*)$ '\\1; Secure' if { ssl_fc }"
    for told in (metadata(), inside()):
        assert sections(render(told))["listen api"].count(rule) == 1
    assert rule not in render(tables.metadata())


@pytest.fixture
def directory(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    monkeypatch.setattr(haproxy, "CERTIFICATES", tmp_path / "certificates")
    return tmp_path / "certificates"


def converge(told: dict[str, Any]) -> list[str]:
    context = Context(told, tables.of(told), ROWS)
    haproxy.converge(context, tables.HAPROXY)
    return context.changes


def test_a_new_certificate_is_loaded_and_the_old_one_goes(fake: Fake, directory: Path) -> None:  # noqa: F811
    assert converge(metadata("one")) == ["haproxy: haproxy.service started"]
    assert converge(metadata("one")) == []
    fake.asked.clear()
    assert converge(metadata("two")) == ["haproxy: configuration loaded"]
    assert fake.asked == ["reload"]
    (file,) = directory.iterdir()
    assert file.read_text() == "two\nkey\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    converge(tables.metadata())
    assert list(directory.iterdir()) == []


def test_a_refused_certificate_leaves_the_old_one_in_place(fake: Fake, directory: Path) -> None:  # noqa: F811
    converge(metadata("one"))
    told = metadata("two")
    told["haproxy"]["extra"] = {"global": {"BROKEN": 1}}
    with pytest.raises(Failure):
        converge(told)
    assert "one\nkey\n" in [file.read_text() for file in directory.iterdir()]


SHOWN = f"""\
Filename: {rendered.CERTIFICATES}/public-1bb8653903b208ac.pem
Status: Used
Serial: 476001CE546F86EC328862F2B242F420DD394B4C
notBefore: Nov 22 23:37:43 2026 GMT
notAfter: Dec 25 00:37:43 2027 GMT
Subject Alternative Name:
Algorithm: EC256
SHA1 FingerPrint: 46B4D0CE183167A5E80FCE2BB0E66F61469A9313
Subject: /CN=198.51.100.10
Issuer: /CN=overcloud authority

"""


def test_haproxy_tells_what_it_answers_with(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{rendered.CERTIFICATES}/public-1bb8653903b208ac.pem"
    answers: dict[str, str | None] = {"show ssl cert": f"# filename\n{name}\n\n", f"show ssl cert {name}": SHOWN}
    monkeypatch.setattr(haproxy, "ask", lambda _path, command: answers[command])
    (told,) = haproxy.served_certificates()
    assert told == Certificate("46b4d0ce183167a5e80fce2bb0e66f61469a9313", "Dec 25 00:37:43 2027 GMT", "public")
    answers["show ssl cert"] = None
    with pytest.raises(Failure, match="does not answer"):
        haproxy.served_certificates()


def authority(body: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\r\n{body}\r\n-----END CERTIFICATE-----\r\n"


def test_authorities_are_trusted_each_and_former_ones_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "AUTHORITIES", tmp_path / "local")
    monkeypatch.setattr(trust, "TRUSTED", tmp_path / "trusted")
    (tmp_path / "trusted").mkdir()

    def update(argv: list[str], **_: Any) -> None:
        assert argv == ["update-ca-certificates"]
        for link in (tmp_path / "trusted").iterdir():
            link.unlink()
        for file in (tmp_path / "local").glob("*.crt"):
            (tmp_path / "trusted" / f"{file.stem}.pem").symlink_to(file)

    monkeypatch.setattr(trust, "run", update)

    def converged(ca: str) -> list[str]:
        told = metadata()
        told["tls"]["ca"] = ca
        context = Context(told, tables.of(told), ROWS)
        trust.converge(context, tables.row(service="ha-trust"))
        return context.changes

    assert converged(authority("one") + authority("two")) == ["ha-trust: 2 authorities of tls.ca"]
    assert converged(authority("one") + authority("two")) == []
    assert converged(authority("two")) == ["ha-trust: 1 authorities of tls.ca"]
    (kept,) = (tmp_path / "local").iterdir()
    assert kept.read_text() == authority("two").replace("\r", "")
    assert converged("") == ["ha-trust: 0 authorities of tls.ca"]
