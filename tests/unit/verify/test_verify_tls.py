"""A client of HTTPS trusts the metadata's authority and nobody else; all nodes serve the metadata's certificate."""

import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import good_cluster as given
import pytest

from tripleo_ha import cluster as clusters
from tripleo_ha.metadata import authority, generate
from tripleo_ha.metadata.generate import Description, numbered
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.node.facts import Certificate, NodeFacts, from_document
from tripleo_ha.verify import client, nodes
from tripleo_ha.verify.client import Trust
from tripleo_ha.verify.runner import Target

NOW = datetime.now(UTC)
NAME = "cloud.example.com"
OVERRIDES = {"tls": {"public": {"name": NAME}}}
CLOUD = Description(numbered(3), overrides=OVERRIDES)


def made() -> dict[str, Any]:
    known = authority.certified(Passwords({}).completed(generate.CORE), CLOUD, NOW)
    tls: dict[str, Any] = next(iter(generate.generate(CLOUD, known).values()))["tls"]
    return tls


TLS = made()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.headers["Host"].startswith(f"{NAME}:") else 400)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(TLS["public"]["certificate"] + TLS["public"]["key"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(bundle)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_the_authority_and_the_name_of_the_metadata_are_trusted(port: int) -> None:
    seen = client.http_answers("127.0.0.1", port, "/", 2, trust=Trust(TLS["ca"], NAME))
    assert set(seen.statuses) == {200}


@pytest.mark.parametrize(
    "trust",
    [Trust(made()["ca"], NAME), Trust(TLS["ca"], "other.example.com"), Trust(TLS["ca"], "127.0.0.1"), None],
    ids=["another authority", "another name", "no name", "plain"],
)
def test_nobody_else_is(port: int, trust: Trust | None) -> None:
    with pytest.raises(OSError):
        client.http_answers("127.0.0.1", port, "/", 1, trust=trust)


def target(**sections: Any) -> Target:
    metadata = {**given.METADATA, **sections}
    return Target(None, metadata, clusters.from_metadata(metadata), given.ROWS)  # type: ignore[arg-type]


def test_it_is_the_public_address_whose_certificate_is_looked_at() -> None:
    (keystone,) = given.ROWS[3].listeners
    encrypted = target(tls=TLS)
    assert encrypted.trust("public", keystone) == encrypted.keystone_trust() == Trust(TLS["ca"], NAME)
    assert encrypted.trust("control", keystone) is encrypted.keystone_trust("control") is None
    assert target().keystone_trust() is None


def test_the_control_address_is_trusted_by_its_own_name_where_it_is_encrypted() -> None:
    everywhere = target(tls={**TLS, "control": {**TLS["control"], "enabled": True}})
    assert everywhere.keystone_trust("control") == Trust(TLS["ca"], "192.0.2.10")
    assert everywhere.keystone_trust() == Trust(TLS["ca"], NAME)


def served(fingerprint: str, left: timedelta = timedelta(days=40), vip: str = "public") -> Certificate:
    return Certificate(fingerprint, (NOW + left).strftime("%b %d %H:%M:%S %Y GMT"), vip)


def facts(*certificates: tuple[str, timedelta]) -> list[NodeFacts]:
    return [NodeFacts(node=f"n{index}", certificates=(served(*each),)) for index, each in enumerate(certificates)]


def fingerprint(vip: str = "public") -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    return x509.load_pem_x509_certificate(TLS[vip]["certificate"].encode()).fingerprint(hashes.SHA1()).hex()


def judged(seen: list[NodeFacts]) -> tuple[bool, str]:
    result = nodes.certificates(seen, {"public": TLS["public"]["certificate"] + TLS["ca"]}, NOW)
    assert result.name == "tls.certificate"
    return result.ok, result.evidence


def test_every_node_serves_the_same_certificate_and_it_is_told_for_how_long() -> None:
    mine = (fingerprint(), timedelta(days=40, hours=1))
    assert judged(facts(mine, mine)) == (True, f"the same on 2 nodes (public {fingerprint()}), 40 days left")


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({"public": "public"}, f"n1 serves public {fingerprint()}, not "),
        (
            {"public": "control", "control": "public"},
            f"n1 serves control {fingerprint()}, public {fingerprint('control')}, not ",
        ),
        ({"": "public"}, f"n1 serves {fingerprint()}, not "),
    ],
    ids=["one is lacking", "exchanged", "not told which"],
)
def test_each_virtual_ip_has_its_own(others: dict[str, str], told: str) -> None:
    wanted = {vip: TLS[vip]["certificate"] for vip in ("control", "public")}
    right = NodeFacts(node="n0", certificates=tuple(served(fingerprint(vip), vip=vip) for vip in wanted))
    assert nodes.certificates([right], wanted, NOW).ok
    wrong = tuple(served(fingerprint(mine), vip=vip) for vip, mine in others.items())
    result = nodes.certificates([right, NodeFacts(node="n1", certificates=wrong)], wanted, NOW)
    assert not result.ok
    assert told in result.evidence


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (("ab" * 20, timedelta(days=40)), "n1 serves public abab"),
        ((fingerprint(), timedelta(days=-3, hours=1)), "expired 3 days ago"),
    ],
)
def test_another_certificate_or_an_expired_one_is_found(other: tuple[str, timedelta], told: str) -> None:
    ok, evidence = judged(facts((fingerprint(), timedelta(days=40)), other))
    assert not ok
    assert told in evidence


def test_a_node_that_serves_none_is_found() -> None:
    seen = [*facts((fingerprint(), timedelta(days=40))), NodeFacts(node="n9")]
    assert judged(seen)[0] is False
    assert replace(seen[0]) == from_document({"node": "n0", "certificates": [vars(seen[0].certificates[0])]})
