"""What JSON Schema cannot say about certificates and their keys; see ``rule`` for the form.

What depends on the date is a rule of its own, made for one date, so that all others are always of one opinion.
"""

import functools
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tripleo_ha import endpoints
from tripleo_ha.metadata.findings import Finding, Path, dotted
from tripleo_ha.metadata.rule import Document, Rule, needs

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

SOON = timedelta(days=30)
"""How long before its end a certificate is worth a warning."""
CA: Path = ("tls", "ca")
RENEW = "tripleo-ha metadata renew-certificate makes a new one"


def _path(vip: str, key: str) -> Path:
    return ("tls", vip, key)


@needs("tls")
def readable(document: Document) -> Iterator[Finding]:
    """Certificates and the keys are what they are said to be."""
    vips = _encrypted(document)
    for path in (CA, *(_path(vip, "certificate") for vip in vips)) if vips else ():
        if not certificates(_at(document, path)):
            yield Finding("THA223", path, "no certificate can be read from this PEM", "one or more certificates")
    for vip in vips:
        if _key(document, vip) is None:
            message = "no private key can be read from this PEM"
            yield Finding("THA223", _path(vip, "key"), message, "a private key that is not encrypted")


@needs("tls")
def belongs_together(document: Document) -> Iterator[Finding]:
    """The key is the first certificate's, each certificate was issued by the next, and the last by an authority."""
    authorities = certificates(_at(document, CA))
    for vip in _encrypted(document):
        chain, key = _chain(document, vip), _key(document, vip)
        if chain and authorities and key is not None:
            yield from _joined(vip, chain, key, authorities)


def _joined(
    vip: str, chain: "Sequence[Certificate]", key: Any, authorities: "Sequence[Certificate]"
) -> Iterator[Finding]:
    path = _path(vip, "certificate")
    place = next((index for index, each in enumerate(chain) if each.public_key() == key.public_key()), None)
    if place is None:
        expected = f"the key of the first certificate in {dotted(path)}"
        yield Finding("THA224", _path(vip, "key"), "this key belongs to no certificate of the chain", expected)
        return
    if place:
        message = f"the server's own certificate stands at place {place + 1}"
        yield Finding("THA226", path, message, "the server's own certificate first")
        return
    for index, (issued, issuer) in enumerate(pairwise(chain), start=1):
        if not _issued(issued, issuer):
            message = f"certificate {index} was not issued by the one that follows"
            yield Finding("THA226", path, message, "each certificate followed by the one that issued it")
            return
    if chain[-1] not in authorities and not any(_issued(chain[-1], each) for each in authorities):
        message = "nobody in tls.ca has issued the last certificate of the chain"
        yield Finding("THA227", path, message, "a chain that ends at an authority of tls.ca")


@needs("cluster", "tls")
def covers_endpoints(document: Document) -> Iterator[Finding]:
    """Each certificate is for the host that endpoints on its virtual IP carry."""
    for vip in _encrypted(document):
        chain = _chain(document, vip)
        name = document["tls"][vip].get("name")
        host = name or document["cluster"]["virtual_ips"][vip]["ip"]
        # Which of them stands first is another rule's.
        if chain and not any(covers(each, host) for each in chain):
            source = f"tls.{vip}.name" if name else f"cluster.virtual_ips.{vip}.ip"
            message = f"{source} is not among the certificate's subject alternative names"
            yield Finding("THA225", _path(vip, "certificate"), message, f"a certificate for {source}")


def valid_at(now: datetime) -> Rule:
    """Return the rule that every certificate of the chain, and an authority, is valid at a time, and for a while."""

    @needs("tls")
    def valid(document: Document) -> Iterator[Finding]:
        vips = _encrypted(document)
        for vip in vips:
            for index, certificate in enumerate(_chain(document, vip), start=1):
                yield from _validity(_path(vip, "certificate"), f"certificate {index}", certificate, now)
        # One that has expired may stand beside its successor.
        if vips and (authorities := certificates(_at(document, CA))):
            yield from _validity(CA, "the authority", max(authorities, key=lambda each: each.not_valid_after_utc), now)

    return valid


def _validity(path: Path, which: str, certificate: "Certificate", now: datetime) -> Iterator[Finding]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        yield Finding("THA228", path, f"{which} is not valid before {begin:%Y-%m-%d %H:%M} UTC", "one valid now", RENEW)
    elif now >= end:
        yield Finding("THA228", path, f"{which} has expired on {end:%Y-%m-%d}", "one that is valid now", RENEW)
    elif end - now < SOON:
        message = f"{which} expires on {end:%Y-%m-%d}, in {(end - now).days} days"
        yield Finding("THA229", path, message, f"at least {SOON.days} days", RENEW, severity="warning")


def covers(certificate: "Certificate", host: str) -> bool:
    """Tell whether a certificate's subject alternative names hold an address or a host name; * is for one label."""
    import ipaddress

    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    try:
        return ipaddress.ip_address(host) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        wanted = host.lower()
    known = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    return bool(known & {wanted, f"*.{wanted.partition('.')[2]}"})


@functools.lru_cache(maxsize=16)
def certificates(text: str) -> "tuple[Certificate, ...]":
    """Return the certificates of a PEM text, in its order; none if any of it is something else."""
    from cryptography import x509

    try:
        found = tuple(x509.load_pem_x509_certificates(text.encode()))
        # Their parts are read only when asked for, and may be damaged as well.
        for each in found:
            each.public_key()
            list(each.extensions)
    except Exception:  # noqa: BLE001 RUF100 — the library has an exception for each way in which a text is no certificate
        return ()
    return found if text.count("-----BEGIN ") == len(found) else ()


def _key(document: Document, vip: str) -> Any:
    from cryptography.hazmat.primitives import serialization

    try:
        return serialization.load_pem_private_key(_at(document, _path(vip, "key")).encode(), None)
    except Exception:  # noqa: BLE001 RUF100 — as above; and what it says may quote the key
        return None


def _issued(certificate: "Certificate", issuer: "Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _chain(document: Document, vip: str) -> "tuple[Certificate, ...]":
    return certificates(_at(document, _path(vip, "certificate")))


def _encrypted(document: Document) -> list[str]:
    """Return the virtual IPs whose certificates are in use; what is switched off is not judged."""
    tls = document["tls"]
    return [vip for vip in endpoints.ENCRYPTED if vip in tls and endpoints.switched_on(tls[vip], vip)]


def _at(document: Document, path: Path) -> str:
    value: Any = document
    for part in path:
        value = value[part]
    return str(value)


RULES: tuple[Rule, ...] = (readable, belongs_together, covers_endpoints)
