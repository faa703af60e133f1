"""A cloud's own authority, and the certificates of its endpoints; kept with the passwords, under ``tls``.

What belongs to a virtual IP is under its name, as in the metadata; ``ca`` and ``ca_key`` are the authority's, whose key
never leaves the passwords file. An authority is kept until it would end before a certificate that is to be renewed, a
certificate until it is renewed, or its key is gone, or the endpoints have another address or name.
"""

import copy
import ipaddress
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tripleo_ha import endpoints
from tripleo_ha.metadata import generate, passwords, tls_rules
from tripleo_ha.metadata.check import check_secrets
from tripleo_ha.metadata.generate import Description
from tripleo_ha.metadata.passwords import Passwords, Unfit

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder

AUTHORITY = timedelta(days=3650)
CERTIFICATE = timedelta(days=397)
"""The longest that clients accept of any authority."""
EARLIER = timedelta(hours=1)
"""So much before now a certificate begins to be valid, for clients whose clock is behind."""


def ensure(path: Path, description: Description, now: datetime, *, renew: bool = False) -> Passwords:
    """Read the passwords file, add what a description needs of passwords and certificates, and write it back.

    :param renew: have new certificates, with new keys, issued by the same authority, or by a new one if that ends
        before a certificate would.
    :raises UsageError: as :func:`tripleo_ha.metadata.passwords.update` and :func:`certified`.
    """
    return passwords.update(
        path, lambda known: certified(known.completed(description.services), description, now, renew=renew)
    )


def certified(known: Passwords, description: Description, now: datetime, *, renew: bool = False) -> Passwords:
    """Return passwords with an authority and a certificate for each virtual IP's endpoints.

    Unchanged where the description brings certificates of its own, or nothing is balanced.

    :raises Unfit: what there is of an authority cannot issue a certificate. It is not replaced, because every client
        trusts it.
    """
    hosts = generate.certified_hosts(description)
    if not hosts:
        return known
    values = copy.deepcopy(known.values)
    section: dict[str, Any] = values.setdefault("tls", {})
    _check(section)
    if "ca" not in section or (renew and _issuer(section)[0].not_valid_after_utc < now + CERTIFICATE):
        section.clear()
        section.update(_authority(description.name, now))
    for vip, names in hosts.items():
        own = section.setdefault(vip, {})
        if renew or "key" not in own or not _good_for(own.get("certificate", ""), names):
            own.update(_certificate(section, names, now))
    return Passwords(values)


def _good_for(certificate: str, hosts: Sequence[str]) -> bool:
    chain = tls_rules.certificates(certificate)
    return bool(chain) and all(tls_rules.covers(chain[0], host) for host in hosts)


def _check(section: Mapping[str, Any]) -> None:
    if faults := check_secrets({"tls": section}):
        raise Unfit(str(faults[0]))
    if ("ca" in section) != ("ca_key" in section):
        there, missing = ("ca", "ca_key") if "ca" in section else ("ca_key", "ca")
        raise Unfit(
            f"tls.{there} is there, and tls.{missing} is not",
            f"put tls.{missing} back; or take tls.{there} out as well: clients then have to trust another authority",
        )


def _issuer(section: Mapping[str, Any]) -> "tuple[Certificate, Any]":
    """Return the authority's certificate and its key."""
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(str(section["ca_key"]).encode(), None)
        (authority,) = tls_rules.certificates(section["ca"])
    except Exception:  # noqa: BLE001 RUF100 — the library has many, and what they say may quote the key
        raise Unfit("tls.ca and tls.ca_key are not one certificate and a key in PEM", _RESTORE) from None
    if authority.public_key() != key.public_key():
        raise Unfit("tls.ca_key is not the key of tls.ca", _RESTORE)
    return authority, key


_RESTORE = "put back what was there; or take both out: clients then have to trust another authority"


def news(before: Passwords, after: Passwords) -> list[str]:
    """Return what is to be said of an authority and certificates that took the place of others, a line each."""
    old, new = before.of("tls"), after.of("tls")
    lines = []
    if old and old.get("ca") != new.get("ca"):
        lines.append("made anew: tls.ca, the authority, which every client has to trust from now on")
    for vip in endpoints.ENCRYPTED:
        former, now = (kept.get(vip, {}).get("certificate") for kept in (old, new))
        if former and now and former != now:
            lines.append(f"issued anew: tls.{vip}.certificate, with another key")
    return lines


def _authority(cloud: str, now: datetime) -> dict[str, str]:
    from cryptography import x509

    key = _new_key()
    name = _name(f"{cloud} authority")
    usage = _usage(key_cert_sign=True, crl_sign=True)
    builder = _builder(name, name, key, now, now + AUTHORITY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return {"ca": _pem(_signed(builder, key, key)), "ca_key": _key_pem(key)}


def _certificate(section: dict[str, str], hosts: Sequence[str], now: datetime) -> dict[str, str]:
    from cryptography import x509

    authority, issuer = _issuer(section)
    key = _new_key()
    builder = _builder(_name(hosts[0]), authority.subject, key, now, now + CERTIFICATE)
    names = [_general_name(host) for host in hosts]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(digital_signature=True), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return {"certificate": _pem(_signed(builder, key, issuer)), "key": _key_pem(key)}


def _new_key() -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _builder(
    subject: Any, issuer: Any, key: "EllipticCurvePrivateKey", now: datetime, end: datetime
) -> "CertificateBuilder":
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(end)
    )


def _signed(
    builder: "CertificateBuilder", key: "EllipticCurvePrivateKey", issuer: "EllipticCurvePrivateKey"
) -> "Certificate":
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    # Strict clients, such as Python's since 3.13, refuse a certificate without these two.
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
    return builder.add_extension(own, critical=False).add_extension(by, critical=False).sign(issuer, hashes.SHA256())


def _usage(**wanted: bool) -> Any:
    from cryptography import x509

    uses = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{use: wanted.get(use, False) for use in uses})


def _name(common_name: str) -> Any:
    from cryptography import x509

    longest = 64
    return x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, common_name[:longest])])


def _general_name(host: str) -> Any:
    from cryptography import x509

    return x509.IPAddress(ipaddress.ip_address(host)) if generate.is_address(host) else x509.DNSName(host)


def _pem(certificate: "Certificate") -> str:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: "EllipticCurvePrivateKey") -> str:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
