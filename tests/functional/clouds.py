"""A user of a bed's cloud: OpenStack's own library, with the bed's credentials file, from where its clients are."""

import json
import os
import socket
import struct
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock
from urllib.parse import urlsplit

import openstack
import pytest
import requests
from openstack.config import OpenStackConfig
from openstack.connection import Connection
from requests.adapters import HTTPAdapter

from tripleo_ha.devtest import credentials
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.layout import CLIENT_HOST, NETWORKS, Network
from tripleo_ha.endpoints import encrypted
from tripleo_ha.errors import Failure
from tripleo_ha.run import run
from tripleo_ha.verify import client
from tripleo_ha.verify.client import Trust
from tripleo_ha.verify.result import Problem, attempt
from tripleo_ha.verify.runner import Target
from tripleo_ha.verify.transport import enter_netns
from tripleo_ha.waiting import wait_for

T = TypeVar("T")
RESUME_S = 120.0
"""Longest time until all is answered again without a controller."""
BACK_S = 300.0
"""Longest time until a controller is back, as good as before."""
STEADY = 3
"""Answers in a row that make an API answer again."""
ANSWER_S = 30.0
"""For each answer to the library."""
ASKED_S = 5.0
"""A client in a loop gives a request up after this long: an API that has lost the server it asked tries the next."""
ECHO_S = 1.0
ARP_S = 0.2
"""Within this a second answer to the same question would have come too."""
ETHERNET, IPV4, ARP = 1, 0x0800, 0x0806
ICMP_ECHO, ICMP_REPLY = 8, 0
HERE = Path("/proc/thread-self/ns/net")
# Run inside of a node: a controller's own server answers controllers only.
OWN_SERVER = """
import hashlib, json, sys, urllib.request
told = json.load(sys.stdin)
body = told["body"].encode() or None
request = urllib.request.Request(told["url"], body, {"X-Auth-Token": told["token"]}, method=told["method"])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open(request, timeout=60) as answer:
    print(hashlib.sha256(answer.read()).hexdigest())
"""


class Elsewhere(HTTPAdapter):
    """Sends requests from another network namespace; the thread that asks is back when the answer begins."""

    def __init__(self, enter: Callable[[], None]) -> None:
        self._enter = enter
        super().__init__()

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        """Send a request, on a connection that was made there or is made now."""
        with away(self._enter):
            return super().send(*arguments, **options)


@contextmanager
def away(enter: Callable[[], None]) -> Iterator[None]:
    """Have the calling thread elsewhere on the network for the time of a ``with`` statement."""
    home = os.open(HERE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter()
        yield
    finally:
        enter_netns(Path(f"/proc/thread-self/fd/{home}"))
        os.close(home)


def connect(bed: Bed, enter: Callable[[], None]) -> Connection:
    """Return a connection of OpenStack's library to the cloud, as one has who sourced the bed's credentials file."""
    source = ["env", "-i", "bash", "-c", '. "$0" && env -0', str(bed.state / credentials.OPENRC)]
    words = run(source, timeout=10).stdout.split("\0")
    variables = {name: value for name, _, value in (word.partition("=") for word in words) if name.startswith("OS_")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    with mock.patch.dict(os.environ, {**kept, **variables}, clear=True):
        region = OpenStackConfig(load_yaml_config=False).get_one(api_timeout=ANSWER_S)
    session = region.get_session().session
    # No proxy of this machine's.
    session.trust_env = False
    for scheme in list(session.adapters):
        session.mount(scheme, Elsewhere(enter))
    return openstack.connection.Connection(config=region)


def endpoint(cloud: Connection, service: str) -> str:
    """Return the URL that the catalogue has for a service: the public one, or else the internal one."""
    url = cloud.session.get_endpoint(service_type=service, interface=["public", "internal"], skip_discovery=True)
    assert url, f"the catalogue has no {service}"
    return str(url).rstrip("/")


def token_of(cloud: Connection) -> str:
    """Return the token that a cloud's user has."""
    token = cloud.session.get_token()
    assert token
    return token


def invent() -> str:
    """Return a name that nothing has."""
    return f"functional-{uuid.uuid4().hex[:8]}"


def needs(bed: Bed, *keys: str) -> None:
    """Skip the test where a service of one of these metadata keys does not run."""
    metadata = bed.metadata(bed.nodes[0].name)
    if missing := [key for key in keys if key not in metadata]:
        pytest.skip(f"not in this bed: {', '.join(missing)}")


def is_(*wanted: str) -> Callable[[str], bool]:
    """Return what tells whether a status is one of these."""
    return lambda status: status in wanted


def until(
    what: str,
    ask: Callable[[], T],
    wanted: Callable[[T], object] = bool,
    *,
    timeout: float,
    interval: float = 1.0,
) -> T:
    """Ask until the answer is what is wanted, and return it; a request that fails is made again.

    :param what: what is waited for, as :func:`wait_for` takes it.
    :raises TimedOut: with the last answer, or why there was none.
    """
    last: list[object] = [""]

    def probe() -> tuple[T] | None:
        answer = attempt(ask)
        last[0] = answer.reason if isinstance(answer, Problem) else answer
        return None if isinstance(answer, Problem) or not wanted(answer) else (answer,)

    return wait_for(what, probe, timeout=timeout, interval=interval, why=lambda: str(last[0])[:500])[0]


def removed(what: str, remove: Callable[[], object], timeout: float = 120) -> None:
    """Remove something, again while it is refused; what is gone already is no error.

    :raises TimedOut: it was refused to the end.
    """
    until(f"{what} to be removed", lambda: (remove(),), timeout=timeout)


def of_own_server(bed: Bed, node: str, method: str, url: str, token: str, body: str = "") -> str:
    """Have a node ask a server on its own control address, and return the SHA-256 of the answer.

    :raises CommandFailed: the answer is an error.
    """
    told = {"method": method, "url": url, "token": token, "body": body}
    return bed.exec(node, ["python3", "-c", OWN_SERVER], input=json.dumps(told), timeout=120).stdout.strip()


@contextmanager
def outside(cloud: Connection, metadata: Mapping[str, Any]) -> Iterator[tuple[str, Network]]:
    """Have the bed's network outside as one that the cloud's routers lead to; give its id there, and which it is.

    Where the bed has none the test is skipped.
    """
    places = {network.interface: network for network in NETWORKS}
    known = [each for each in metadata["neutron"]["physical_networks"] if each.get("interface") in places]
    if not known:
        pytest.skip("the bed has no network outside")
    place, net = places[known[0]["interface"]], cloud.network
    external = net.create_network(
        name=invent(),
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network=known[0]["name"],
    )
    try:
        net.create_subnet(
            network_id=external.id,
            ip_version=4,
            cidr=f"{place.base}.0/{place.prefix}",
            gateway_ip=place.address(CLIENT_HOST),
            allocation_pools=[{"start": place.address(100), "end": place.address(199)}],
            is_dhcp_enabled=False,
        )
        yield external.id, place
    finally:
        removed("the network outside", lambda: net.delete_network(external.id))


class Question:
    """Asks an API for a list whose content is known, each time on a new connection: an operation for a ``Loop``.

    No answer and an answer that tells of trouble (status 5xx) are failures. Any other answer than the known one is
    kept in ``wrong``.
    """

    def __init__(
        self, target: Target, url: str, token: str, names: Callable[[Any], list[str]], version: str = ""
    ) -> None:
        """Prepare.

        :param names: what is known of an answer.
        :param version: the microversion that the list takes, with the service's name before it.
        """
        self._parts = urlsplit(url)
        hosts = {tls.host: Trust(tls.ca, tls.host) for tls in encrypted(target.metadata).values()}
        self._trust = hosts[self._parts.hostname or ""] if self._parts.scheme == "https" else None
        self._headers = {"X-Auth-Token": token, "Accept": "application/json", "Connection": "close"}
        if version:
            self._headers["OpenStack-API-Version"] = version
        self._names = names
        self.known: list[str] = []
        self.wrong: list[str] = []

    def learn(self) -> None:
        """Take what the API answers now for what it should answer from now on.

        :raises Failure: it is no list, or an empty one, which a server that has lost everything would answer as well.
        """
        status, body = self._ask()
        if status != 200:
            raise Failure(f"{self._parts.path} answered {status}")
        self.known = self._listed(body)
        if not self.known:
            raise Failure(f"{self._parts.path} lists nothing")

    def __call__(self, identity: str) -> None:
        """Ask once.

        :raises Failure: the answer tells of trouble.
        """
        status, body = self._ask()
        if status >= 500:
            raise Failure(f"status {status}")
        if status != 200:
            self.wrong.append(f"status {status}")
        else:
            answer = attempt(self._listed, body)
            if answer != self.known:
                self.wrong.append(f"{answer} and not {self.known}")

    def reset(self) -> None:
        """Nothing is kept."""

    def _ask(self) -> tuple[int, bytes]:
        assert self._parts.hostname
        assert self._parts.port
        path = self._parts.path + (f"?{self._parts.query}" if self._parts.query else "")
        with closing(
            client.http_connection(self._parts.hostname, self._parts.port, ASKED_S, self._trust)
        ) as connection:
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def _listed(self, body: bytes) -> list[str]:
        return sorted(self._names(json.loads(body)))


class Echo:
    """Sends an ICMP echo request and waits for the reply: an operation for a ``Loop``."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._sequence = 0

    def __call__(self, identity: str) -> None:
        """Ask once.

        :raises OSError: no reply came in time.
        """
        self._sequence = (self._sequence + 1) % 0x10000
        mine = struct.pack("!HH", threading.get_native_id() % 0x10000, self._sequence)
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            raw.sendto(_icmp(ICMP_ECHO, mine), (self._address, 0))
            for packet in _received(raw, ECHO_S):
                message = packet[(packet[0] & 0xF) * 4 :]
                if message[0] == ICMP_REPLY and message[4:8] == mine:
                    return
        raise TimeoutError(f"no reply from {self._address}")

    def reset(self) -> None:
        """Nothing is kept."""


class WhoHas:
    """Asks by ARP who has an address: an operation for a ``Loop``. Questions that several answered are counted.

    One answer more than there should be is a second owner, also where both have the same MAC address.
    """

    def __init__(self, address: str, interface: str, own: str) -> None:
        self._address, self._interface, self._own = address, interface, own
        self.answers: Counter[int] = Counter()
        """How many questions were answered so many times."""

    def __call__(self, identity: str) -> None:
        """Ask once.

        :raises OSError: nobody answered in time.
        """
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ARP)) as raw:
            raw.bind((self._interface, ARP))
            mac = raw.getsockname()[4]
            raw.send(_arp_request(mac, self._own, self._address))
            wanted = socket.inet_aton(self._address)
            # Sender and target of an ARP reply: RFC 826. Announcements have the address for their target, too.
            replies = [
                packet
                for packet in _received(raw, ARP_S)
                if packet[20:22] == b"\0\2" and packet[28:32] == wanted and packet[32:38] == mac
            ]
        self.answers[len(replies)] += 1
        if not replies:
            raise TimeoutError(f"nobody has {self._address}")

    def reset(self) -> None:
        """Nothing is kept."""


def _received(raw: socket.socket, seconds: float) -> Iterator[bytes]:
    deadline = time.monotonic() + seconds
    with suppress(TimeoutError):
        while (left := deadline - time.monotonic()) > 0:
            raw.settimeout(left)
            yield raw.recv(2048)


def _icmp(kind: int, rest: bytes) -> bytes:
    words = struct.unpack(f"!{len(rest) // 2}H", rest)
    total = (kind << 8) + sum(words)
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return struct.pack("!BBH", kind, 0, ~total & 0xFFFF) + rest


def _arp_request(mac: bytes, own: str, wanted: str) -> bytes:
    frame = b"\xff" * 6 + mac + struct.pack("!H", ARP)
    question = struct.pack("!HHBBH", ETHERNET, IPV4, 6, 4, 1)
    return frame + question + mac + socket.inet_aton(own) + bytes(6) + socket.inet_aton(wanted)
