"""Keystone through the virtual IPs: tokens issued for a token, and validated, each on a connection of its own.

A service that has authenticated once goes on with its token, and so do these clients: an issue for a token does all
that an issue takes but the hash of the password, which is slow on purpose and would keep half a core busy at two a
second. A password is tried now and then as a kind of operation of its own, whose time is no gap of anybody's.
"""

import http.client
import json
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.chaos.clients.worker import Worker
from tripleo_ha.chaos.model import Workload
from tripleo_ha.verify.client import http_connection

CONNECT_S = 0.5
"""A machine of the same network takes a connection in a millisecond; what was sent to one that is gone is not worth
waiting for, since the next attempt reaches whoever has the address by then."""
ANSWER_S = 1.0
"""A token for a token takes a twentieth of a second. A client that waited longer on a connection whose far end froze
would measure its own patience."""
PASSWORD_S = 5.0
"""An answer to a password takes a quarter of a second, and several times that where processors are busy."""
AGAIN_S = 30.0
"""So often the password is tried."""
OLD_S = 300.0
"""A token is not used for longer, so that it does not expire even where passwords fail all that time."""
ISSUER, VALIDATOR, AUTHENTICATOR = 500, 510, 520
DOMAIN = {"id": "default"}


class Refused(Exception):  # noqa: N818 RUF100 — an outcome, told by its name in the history
    """An answer with a status that is no success."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.code = status


class Unauthenticated(Refused):
    """The password was answered so, when another operation needed a new token for it."""


class Bearer:
    """The token that the clients' processes have for the password, and the last one issued for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token = ""
        self._since = 0.0
        self.issued = ""

    def take(self, token: str) -> None:
        """Use a new token for the password."""
        with self._lock:
            # What was issued for the former one expires with that.
            self._token, self._since, self.issued = token, time.monotonic(), ""

    def token(self) -> str:
        """Return the token for the password; empty when there is none, or it is old."""
        with self._lock:
            return self._token if time.monotonic() - self._since < OLD_S else ""

    def drop(self) -> None:
        """Forget both."""
        with self._lock:
            self._token = self.issued = ""


class TokenWorker(Worker):
    """A process that keeps no connection.

    What it asks for changes nothing, so that a failure is always one that certainly did not happen.
    """

    period = 0.2

    def __init__(self, process: int, settings: Settings, address: str, bearer: Bearer) -> None:
        super().__init__(process)
        self.bearer = bearer
        self._settings = settings
        self._address = address
        self.trust = settings.trust.get(address)

    def authenticate(self) -> str:
        """Return a token of the administrator for the password, and have the others use it."""
        user = {"name": "admin", "domain": DOMAIN, "password": self._settings.keystone_password}
        token = self._issue({"methods": ["password"], "password": {"user": user}}, PASSWORD_S)
        self.bearer.take(token)
        return token

    def known(self) -> str:
        """Return the token for the password, a new one where there is none.

        :raises Unauthenticated: the password was answered with anything but a token.
        """
        try:
            return self.bearer.token() or self.authenticate()
        except Refused as refusal:
            raise Unauthenticated(refusal.code) from refusal

    def exchange(self, token: str) -> str:
        """Return a new token for a token."""
        return self._issue({"methods": ["token"], "token": {"id": token}}, ANSWER_S)

    def _issue(self, identity: Mapping[str, Any], answer_s: float) -> str:
        scope = {"project": {"name": "admin", "domain": DOMAIN}}
        body = json.dumps({"auth": {"identity": identity, "scope": scope}})
        answer = self.request("POST", 201, {"Content-Type": "application/json"}, body, answer_s)
        return answer.headers["X-Subject-Token"]

    def request(
        self, method: str, expected: int, headers: Mapping[str, str], body: str | None, answer_s: float
    ) -> http.client.HTTPResponse:
        """Send one request about tokens and return its answer, read to the end.

        :param answer_s: seconds to wait for it.
        :raises Refused: the status is not the expected one.
        """
        connection = http_connection(self._address, self._settings.keystone_port, CONNECT_S, self.trust)
        with closing(connection):
            connection.sock.settimeout(answer_s)
            path = "/v3/auth/tokens?nocatalog"
            connection.request(method, path, body, {"Connection": "close", **headers})
            answer = connection.getresponse()
            answer.read()
        if answer.status != expected:
            raise Refused(answer.status)
        return answer

    def recover(self, error: Exception) -> None:
        """Drop tokens that are not known any more; those that could not be asked about are kept."""
        if isinstance(error, Refused) and error.code in (401, 404):
            self.bearer.drop()

    def close(self) -> None:
        """Nothing is kept."""


class Issuer(TokenWorker):
    """Has tokens issued for the token that the password gave."""

    workload = Workload.TOKEN_ISSUE

    def once(self) -> None:
        """Have one issued."""
        self.bearer.issued = self.exchange(self.known())


class Validator(TokenWorker):
    """Has the token that was issued last validated, on the authority of the one that the password gave."""

    workload = Workload.TOKEN_VALIDATE
    # The issuer tells how long Keystone is away; this one tells whether what it issues is good.
    period = 1.0

    def once(self) -> None:
        """Have it validated once."""
        authority = self.known()
        headers = {"X-Auth-Token": authority, "X-Subject-Token": self.bearer.issued or authority}
        self.request("GET", 200, headers, None, ANSWER_S)


class Authenticator(TokenWorker):
    """Has a token issued for the password now and then, which is the one that the others use from then on."""

    workload = Workload.TOKEN_PASSWORD
    period = AGAIN_S
    # A service that is just coming back has better things to do than to hash passwords.
    retry = 2.0

    def once(self) -> None:
        """Have one issued."""
        self.authenticate()


def workers(settings: Settings) -> list[Worker]:
    """Return the processes: tokens are issued from outside and validated from inside, and the password is tried."""
    bearer = Bearer()
    return [
        Issuer(ISSUER, settings, settings.public, bearer),
        Validator(VALIDATOR, settings, settings.control, bearer),
        Authenticator(AUTHENTICATOR, settings, settings.public, bearer),
    ]
