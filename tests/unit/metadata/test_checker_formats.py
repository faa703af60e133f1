"""The formats take what the engines take, and nothing that would break a configuration file."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripleo_ha.metadata import formats

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\nBBBB\n-----END CERTIFICATE-----\n"

RIGHT = {
    "ipv4": ["0.0.0.0", "192.0.2.1", "255.255.255.255"],
    "ipv6": ["::1", "2001:db8::1"],
    "cidr": ["192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32", "192.0.2.1/32"],
    "hostname": ["a", "ntp.example.com", "a-b.c1", "1a"],
    "host": ["192.0.2.1", "::1", "ntp"],
    "port": ["1", "65535"],
    "uri": ["http://192.0.2.1:5000/v3", "https://[2001:db8::1]:443", "amqp://user:pass@host:5672//"],
    "erlang-cookie": ["A" * 20, "a1" * 127],
    "base64": ["", "AAAA", "QUI=", "+/+/"],
    "pem": [PEM, PEM + PEM],
}
WRONG = {
    "ipv4": ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4\n", " 1.2.3.4", "١.2.3.4", "1.2.3.-4"],
    "ipv6": ["", "1.2.3.4", "fe80::1%eth0", ":::", "2001:db8::1\n"],
    "cidr": ["192.0.2.1", "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/255.255.255.0", "192.0.2.0/ 24", "/24", "a/8"],
    "hostname": ["", "-a", "a-", "a_b", "a" * 64, "a..b", "a\n", "192.0.2.1", ("a" * 60 + ".") * 5, "ä"],
    "host": ["", "a b", "300.0.0.1"],
    "port": ["", "0", "65536", "080", "http", "1\n"],
    "uri": ["", "example.com", "http://", "http://host:port", "http://a b", "http://host:99999", "http:///x", "//host"],
    "erlang-cookie": ["A" * 19, "A" * 256, "A" * 19 + "-", "A" * 20 + "\n"],
    "base64": ["A", "AA=A", "AAA", "AA AA", "AAAA\n", "ÄÄÄÄ"],
    "pem": ["", "AAAA", PEM.replace("END CERT", "END KEY"), PEM.replace("AAAA", "A"), PEM + "trailing"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in RIGHT.items() for text in texts])
def test_right(name: str, text: str) -> None:
    assert formats.CHECKS[name](text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_wrong(name: str, text: str) -> None:
    assert not formats.CHECKS[name](text)


def test_every_format_is_described_and_tried() -> None:
    assert set(formats.CHECKS) == set(formats.DESCRIPTIONS) == set(RIGHT) == set(WRONG)


@given(st.ip_addresses(v=4))
def test_every_ipv4_address(address: ipaddress.IPv4Address) -> None:
    assert formats.is_ipv4(str(address))


@given(st.text(alphabet="0123456789.", max_size=16))
def test_ipv4_agrees_with_the_library(text: str) -> None:
    try:
        expected = str(ipaddress.IPv4Address(text)) == text
    except ValueError:
        expected = False
    assert formats.is_ipv4(text) is expected


@given(st.text(max_size=40))
def test_no_text_raises(text: str) -> None:
    for check in formats.CHECKS.values():
        assert check(text) in (True, False)
