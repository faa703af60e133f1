"""The string formats that the schemas name, really checked."""

import base64
import binascii
import re
from collections.abc import Callable

_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\Z")
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(\.{_OCTET}){{3}}\Z")
_COOKIE = re.compile(r"[A-Za-z0-9]{20,255}\Z")
_PEM = re.compile(
    r"\A\s*(-----BEGIN (?P<label>[A-Z0-9 ]+)-----\r?\n[A-Za-z0-9+/=\r\n]+-----END (?P=label)-----\s*)+\Z",
)

DESCRIPTIONS = {
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "cidr": "a network as ADDRESS/PREFIX, with no bit set after the prefix",
    "hostname": "a host name",
    "host": "a host name or an address",
    "port": "a port from 1 to 65535",
    "uri": "a URL with scheme and host",
    "erlang-cookie": "20 to 255 letters and digits",
    "base64": "base64",
    "pem": "PEM",
}
"""What each format asks for, in words."""


def is_ipv4(text: str) -> bool:
    """Tell whether this is an IPv4 address in its usual notation."""
    return bool(_IPV4.match(text))


def is_ipv6(text: str) -> bool:
    """Tell whether this is an IPv6 address, without a zone."""
    import ipaddress

    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def is_cidr(text: str) -> bool:
    """Tell whether this is a network: an address, a slash and a prefix length, host bits unset."""
    import ipaddress

    address, slash, prefix = text.partition("/")
    if not slash or not re.fullmatch(r"[0-9]{1,3}", prefix):
        return False
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return is_ipv4(address) or is_ipv6(address)


def is_hostname(text: str) -> bool:
    """Tell whether this is a host name after RFC 1123; one that looks like an address is not."""
    last = text.rpartition(".")[2]
    return bool(_HOSTNAME.match(text)) and not last.isdigit()


def is_host(text: str) -> bool:
    """Tell whether this is a host name or an address."""
    return is_hostname(text) or is_ipv4(text) or is_ipv6(text)


def is_port(text: str) -> bool:
    """Tell whether this string is a port number."""
    return bool(re.fullmatch(r"[1-9][0-9]{0,4}", text)) and int(text) <= 65535


def is_uri(text: str) -> bool:
    """Tell whether this is a URL that names a host; user and password are allowed in it."""
    from urllib.parse import urlsplit

    if not re.fullmatch(r"[!-~]+", text):
        return False
    try:
        parts = urlsplit(text)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return bool(parts.scheme) and is_host(parts.hostname or "") and port_is_right


def is_erlang_cookie(text: str) -> bool:
    """Tell whether Erlang takes this as a cookie on every path: file, command line and environment."""
    return bool(_COOKIE.match(text))


def is_base64(text: str) -> bool:
    """Tell whether this decodes as base64 on one line, padding included."""
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def is_pem(text: str) -> bool:
    """Tell whether this is one or more PEM blocks whose content decodes."""
    if not _PEM.match(text):
        return False
    bodies = re.findall(r"-----BEGIN [^-]+-----\s([A-Za-z0-9+/=\s]+)-----END", text)
    return all(is_base64("".join(body.split())) for body in bodies)


CHECKS: dict[str, Callable[[str], bool]] = {
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
    "cidr": is_cidr,
    "hostname": is_hostname,
    "host": is_host,
    "port": is_port,
    "uri": is_uri,
    "erlang-cookie": is_erlang_cookie,
    "base64": is_base64,
    "pem": is_pem,
}
