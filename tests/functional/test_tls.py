"""Public endpoints are encrypted; a certificate changes without anybody noticing, and one value takes TLS away."""

import copy
import json
import ssl
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any

import pytest
from beds import Summary, assert_good, target_of
from test_rolling import ROLLED_S, Document, hand, in_client, roll, windows

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import Failure
from tripleo_ha.metadata import authority
from tripleo_ha.metadata.generate import Description, numbered
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.run import run
from tripleo_ha.verify import client
from tripleo_ha.verify.client import Trust
from tripleo_ha.verify.runner import KEYSTONE_PORT, PUBLIC, Target

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
    public = authority.ensure(bed.passwords_file, wanted, datetime.now(UTC), renew=True).of("tls")

    def change(document: Document) -> None:
        document["tls"]["public"].update(certificate=public["certificate"], key=public["key"])

    before = [window.started for window in windows(bed, HAPROXY)]
    _, failed = roll(bed, target, "the public certificate renewed on all nodes", change, summary)
    assert [count for count in failed.values() if count] == []
    assert [window.started for window in windows(bed, HAPROXY)] == before
    assert_good(target_of(bed))


def test_one_value_takes_it_away_and_brings_it_back(target: Target, bed: Bed) -> None:
    good = {node.name: copy.deepcopy(bed.metadata(node.name)) for node in bed.nodes}

    def change(document: Document) -> None:
        document["tls"]["public"]["enabled"] = False

    address = target.vip(PUBLIC)
    assert public_endpoint(target) == f"https://{address}:{KEYSTONE_PORT}/v3"
    try:
        hand(bed, change)
        bed.wait_converged(timeout=ROLLED_S)
        plain = target_of(bed)
        assert_good(plain)
        assert public_endpoint(plain) == f"http://{address}:{KEYSTONE_PORT}/v3"
    finally:
        for name, document in good.items():
            bed.push(name, document)
        bed.wait_converged(timeout=ROLLED_S)
    assert_good(target)
    assert public_endpoint(target) == f"https://{address}:{KEYSTONE_PORT}/v3"


def public_endpoint(target: Target) -> Any:
    """Return where Keystone's own catalogue says that it is, in public."""
    address, trust = target.vip(PUBLIC), target.keystone_trust()
    password = target.metadata["keystone"]["admin_password"]

    def ask() -> Any:
        token = client.issue_token(address, KEYSTONE_PORT, password, trust=trust)
        with closing(client.http_connection(address, KEYSTONE_PORT, trust=trust)) as connection:
            connection.request("GET", "/v3/endpoints?interface=public", headers={"X-Auth-Token": token})
            return json.load(connection.getresponse())["endpoints"]

    (endpoint,) = in_client(target, ask)
    return endpoint["url"]
