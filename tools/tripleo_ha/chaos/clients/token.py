"""Keystone through the virtual IPs: tokens issued, and one issued before validated, each on a connection of its own."""

import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.chaos.clients.worker import Worker
from tripleo_ha.chaos.model import Workload

CONNECT_S = 1.0
ANSWER_S = 2.0
"""A token takes a twentieth of a second; an API whose database moves answers when that is done."""
REFRESH = 500
"""So many validations are made of one token; it is far from expiring then."""
ISSUER, VALIDATOR = 500, 510


class Refused(Exception):  # noqa: N818 RUF100 — an outcome, told by its name in the history
    """An answer with a status that is no success."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.code = status


class TokenWorker(Worker):
    """A process that keeps no connection.

    What it asks for changes nothing, so that a failure is always one that certainly did not happen.
    """

    period = 0.2

    def __init__(self, process: int, settings: Settings, address: str) -> None:
        super().__init__(process)
        self._settings = settings
        self._address = address

    def issue(self) -> str:
        """Return a token of the administrator."""
        domain = {"id": "default"}
        user = {"name": "admin", "domain": domain, "password": self._settings.keystone_password}
        scope = {"project": {"name": "admin", "domain": domain}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        answer = self.request("POST", 201, {"Content-Type": "application/json"}, json.dumps(body))
        return answer.headers["X-Subject-Token"]

    def request(
        self, method: str, expected: int, headers: Mapping[str, str], body: str | None = None
    ) -> http.client.HTTPResponse:
        """Send one request about tokens and return its answer, read to the end.

        :raises Refused: the status is not the expected one.
        """
        connection = http.client.HTTPConnection(self._address, self._settings.keystone_port, timeout=CONNECT_S)
        with closing(connection):
            connection.connect()
            connection.sock.settimeout(ANSWER_S)
            path = "/v3/auth/tokens?nocatalog"
            connection.request(method, path, body, {"Connection": "close", **headers})
            answer = connection.getresponse()
            answer.read()
        if answer.status != expected:
            raise Refused(answer.status)
        return answer

    def close(self) -> None:
        """Nothing is kept."""


class Issuer(TokenWorker):
    """Has tokens issued."""

    workload = Workload.TOKEN_ISSUE
    # A password is checked with a hash that is slow on purpose: four a second would keep half a core busy.
    period = 1.0

    def once(self) -> None:
        """Have one issued."""
        self.issue()


class Validator(TokenWorker):
    """Has a token validated, by itself."""

    workload = Workload.TOKEN_VALIDATE

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._token = ""
        self._used = 0

    def once(self) -> None:
        """Have it validated once."""
        token = self._token or self.issue()
        self.request("GET", 200, {"X-Auth-Token": token, "X-Subject-Token": token})
        self._token, self._used = token, self._used + 1

    def tidy(self) -> None:
        """Have a new one issued after many; the old one serves on where that fails."""
        if self._used >= REFRESH:
            self._used = 0
            self._token = self.issue()

    def recover(self, error: Exception) -> None:
        """Drop a token that is not known any more; one that could not be asked about is kept."""
        if isinstance(error, Refused) and error.code in (401, 404):
            self._token = ""


def workers(settings: Settings) -> list[Worker]:
    """Return the process that has tokens issued, from outside, and the one that has them validated, from inside."""
    return [Issuer(ISSUER, settings, settings.public), Validator(VALIDATOR, settings, settings.control)]
