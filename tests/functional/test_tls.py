"""Public endpoints are encrypted; a certificate changes without anybody noticing, and one value takes TLS away, or
brings it inside.
"""

import copy
import json
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import pytest
from beds import Summary, assert_good, target_of
from test_rolling import ROLLED_S, Document, hand, in_client, roll, windows

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.endpoints import CONTROL, PUBLIC
from tripleo_ha.errors import Failure
from tripleo_ha.metadata import authority
from tripleo_ha.metadata.generate import Description, generate, numbered
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.run import run
from tripleo_ha.verify import client
from tripleo_ha.verify.client import Trust
from tripleo_ha.verify.runner import KEYSTONE_PORT, Target

HAPROXY = "haproxy.service"


def test_nobody_is_answered_in_the_clear_or_with_an_old_protocol(target: Target, bed: Bed) -> None:
    address, password = target.vip(PUBLIC), target.metadata["keystone"]["admin_password"]
    with pytest.raises((OSError, Failure, HTTPException)) as refused:
        in_client(target, lambda: client.issue_token(address, KEYSTONE_PORT, password))
    assert password not in str(refused.value)
    trust = target.keystone_trust()
    assert trust
    other = authority.certified(Passwords({}), Description(numbered(1)), datetime.now(UTC)).of("tls")["ca"]
    wrong = Trust(other, trust.host)
    with pytest.raises(ssl.SSLCertVerificationError):
        in_client(target, lambda: client.issue_token(address, KEYSTONE_PORT, password, trust=wrong))
    old = ["openssl", "s_client", "-connect", f"{address}:{KEYSTONE_PORT}", "-tls1_1"]
    assert run(bed.client_argv(old), timeout=60, input="", check=False).returncode != 0


def test_a_renewed_certificate_is_loaded_and_nobody_notices(target: Target, bed: Bed, summary: Summary) -> None:
    wanted = Description(numbered(len(bed.nodes)))
    known = authority.ensure(bed.passwords_file, wanted, datetime.now(UTC), renew=True)
    (renewed, *_) = generate(wanted, known).values()

    def change(document: Document) -> None:
        for vip in (CONTROL, PUBLIC):
            document["tls"][vip].update(renewed["tls"][vip])

    before = [window.started for window in windows(bed, HAPROXY)]
    _, failed = roll(bed, target, "the certificates renewed on all nodes", change, summary)
    assert failed == {}
    assert [window.started for window in windows(bed, HAPROXY)] == before
    assert_good(target_of(bed))


def test_one_value_takes_it_away_and_brings_it_back(target: Target, bed: Bed) -> None:
    assert keystone_schemes(target) == {"public": "https", "internal": "http", "admin": "http"}
    with switched(bed, PUBLIC, enabled=False) as plain:
        assert_good(plain)
        assert keystone_schemes(plain) == {"public": "http", "internal": "http", "admin": "http"}
    assert_good(target)
    assert keystone_schemes(target) == {"public": "https", "internal": "http", "admin": "http"}


def test_one_value_brings_it_inside(target: Target, bed: Bed) -> None:
    with switched(bed, CONTROL, enabled=True) as inside:
        assert_good(inside)
        assert keystone_schemes(inside) == {"public": "https", "internal": "https", "admin": "https"}
        address, password = target.vip(CONTROL), target.metadata["keystone"]["admin_password"]
        with pytest.raises((OSError, Failure, HTTPException)):
            in_client(target, lambda: client.issue_token(address, KEYSTONE_PORT, password))
    assert_good(target)
    assert keystone_schemes(target) == {"public": "https", "internal": "http", "admin": "http"}


@contextmanager
def switched(bed: Bed, vip: str, *, enabled: bool) -> Iterator[Target]:
    """Have TLS of a virtual IP switched on or off on all nodes, and back at the end."""
    good = {node.name: copy.deepcopy(bed.metadata(node.name)) for node in bed.nodes}

    def change(document: Document) -> None:
        document["tls"][vip]["enabled"] = enabled

    try:
        hand(bed, change)
        bed.wait_converged(timeout=ROLLED_S)
        yield target_of(bed)
    finally:
        for name, document in good.items():
            bed.push(name, document)
        bed.wait_converged(timeout=ROLLED_S)


def keystone_schemes(target: Target) -> dict[str, str]:
    """Return how Keystone's own catalogue says that it is reached, by interface."""
    address, trust = target.vip(PUBLIC), target.keystone_trust()
    password = target.metadata["keystone"]["admin_password"]

    def ask() -> list[dict[str, Any]]:
        token = client.issue_token(address, KEYSTONE_PORT, password, trust=trust)
        with closing(client.http_connection(address, KEYSTONE_PORT, trust=trust)) as connection:
            connection.request("GET", "/v3/auth/catalog", headers={"X-Auth-Token": token})
            return list(json.load(connection.getresponse())["catalog"])

    (keystone,) = (service for service in in_client(target, ask) if service["type"] == "identity")
    return {each["interface"]: urlsplit(each["url"]).scheme for each in keystone["endpoints"]}
