"""The broker's management API on loopback: the cheap way to ask and to change, without an Erlang machine."""

import base64
import http.client
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from tripleo_ha.errors import Failure
from tripleo_ha.topology.rabbitmq import (
    VHOST,
    Change,
    DropPermission,
    DropUser,
    KnownUser,
    Membership,
    Permission,
    PutPermission,
    PutUser,
)

ADDRESS = ("127.0.0.1", 15672)
NODE_PREFIX = "rabbit@"


class Unavailable(Failure):
    """Nothing answers, or not as the API would."""


class Refused(Unavailable):
    """The API answers with an error."""


class Unauthorized(Failure):
    """The API knows no such user with this password."""


class Api:
    """One user's requests over one kept connection.

    :param timeout: seconds for each request.
    """

    def __init__(self, user: str, password: str, timeout: float = 10.0) -> None:
        self.user = user
        self._connection = http.client.HTTPConnection(*ADDRESS, timeout=timeout)
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}

    @classmethod
    def administrator(cls, metadata: Mapping[str, Any], timeout: float = 10.0) -> "Api":
        """Return the API as the administrator of the accepted metadata."""
        return cls("admin", metadata["rabbit"]["admin_password"], timeout)

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def get(self, path: str) -> Any:
        """Return the decoded answer.

        :raises Unavailable: no answer.
        :raises Refused: an error.
        :raises Unauthorized: wrong user or password.
        """
        return self.request("GET", path)

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, tolerate: tuple[int, ...] = ()
    ) -> Any:
        """Send one request and return the decoded answer, None for an empty one; raise as :meth:`get` does.

        It is no error when what is to be deleted is gone: another controller does the same when in doubt.

        :param tolerate: error statuses whose body is an answer as well.
        """
        try:
            answer, content = self._exchange(method, path, json.dumps(body) if body is not None else None)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            reason = str(error) or type(error).__name__
            raise Unavailable(f"the broker's management API does not answer: {reason}") from error
        if answer.status == http.client.UNAUTHORIZED:
            raise Unauthorized(f"the broker does not accept the password of its user {self.user}")
        gone = method == "DELETE" and answer.status == http.client.NOT_FOUND
        if answer.status >= http.client.BAD_REQUEST and answer.status not in tolerate and not gone:
            raise Refused(f"the broker's management API answers {answer.status} to {method} {path}")
        return json.loads(content) if content and method in ("GET", "POST") else None

    def _exchange(self, method: str, path: str, body: str | None) -> tuple[http.client.HTTPResponse, bytes]:
        kept = self._connection.sock is not None
        try:
            self._connection.request(method, path, body, self._headers)
            answer = self._connection.getresponse()
            return answer, answer.read()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()
            # The server ends a connection that was idle for a while; what is no POST may be sent twice.
            if not kept or method == "POST":
                raise
        return self._exchange(method, path, body)

    def membership(self) -> Membership:
        """Return who is in the cluster and who of them runs, as this node sees it."""
        nodes = self.get("/api/nodes?columns=name,running")
        return Membership(
            frozenset(_short(node["name"]) for node in nodes),
            frozenset(_short(node["name"]) for node in nodes if node.get("running")),
        )

    def alarms(self) -> tuple[str, ...]:
        """Return the resources that this node has an alarm for, such as ``memory`` and ``disk``."""
        answer = self.request("GET", "/api/health/checks/local-alarms", tolerate=(http.client.SERVICE_UNAVAILABLE,))
        return tuple(sorted({str(alarm.get("resource", "unknown")) for alarm in answer.get("alarms", ())}))

    def queues_without(self, member: str, most: int) -> tuple[str, ...]:
        """Return the names of queues of which a member ought to have a copy and has none.

        :param most: copies of a quorum queue; of a stream every member has one.
        """
        me, lacking = NODE_PREFIX + member, []
        for queue in self.get("/api/queues?columns=name,type,members"):
            # One that is being deleted may come without its members.
            holders = queue.get("members", [me])
            enough = queue["type"] == "classic" or (queue["type"] == "quorum" and len(holders) >= most)
            if me not in holders and not enough:
                lacking.append(queue["name"])
        return tuple(sorted(lacking))

    def users(self) -> tuple[KnownUser, ...]:
        """Return every user with the hash of its password."""
        return tuple(
            KnownUser(user["name"], user["password_hash"], user["hashing_algorithm"], frozenset(user["tags"]))
            for user in self.get("/api/users")
        )

    def permissions(self) -> dict[str, Permission]:
        """Return the rights on the vhost ``/``, by user."""
        return {
            item["user"]: Permission(item["configure"], item["write"], item["read"])
            for item in self.get("/api/permissions")
            if item["vhost"] == VHOST
        }

    def flag_enabled(self, name: str) -> bool:
        """Tell whether a feature flag is enabled in the cluster."""
        flags = self.get("/api/feature-flags")
        return any(flag["name"] == name and flag["state"] == "enabled" for flag in flags)

    def enable_flag(self, name: str) -> None:
        """Enable a feature flag; all members must run."""
        self.request("PUT", f"/api/feature-flags/{name}/enable", {"name": name})

    def apply(self, changes: Iterable[Change]) -> None:
        """Make the users as the changes say."""
        for change in changes:
            self.request(*_request(change))


def _request(change: Change) -> tuple[str, str, Mapping[str, Any] | None]:
    match change:
        case PutUser(user):
            content = {"password": user.password, "tags": ",".join(sorted(user.tags))}
            return "PUT", f"/api/users/{_q(user.name)}", content
        case PutPermission(user):
            right = user.permission
            assert right is not None
            body = {"configure": right.configure, "write": right.write, "read": right.read}
            return "PUT", f"/api/permissions/{_q(VHOST)}/{_q(user.name)}", body
        case DropPermission(name):
            return "DELETE", f"/api/permissions/{_q(VHOST)}/{_q(name)}", None
        case DropUser(name):
            return "DELETE", f"/api/users/{_q(name)}", None


def _q(name: str) -> str:
    return quote(name, safe="")


def _short(node: str) -> str:
    return node.removeprefix(NODE_PREFIX)
