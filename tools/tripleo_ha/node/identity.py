"""Service users and endpoints in Keystone, through its HTTP API on the control virtual IP."""

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from tripleo_ha import paths
from tripleo_ha.endpoints import Endpoint, catalogued
from tripleo_ha.errors import Failure
from tripleo_ha.node.context import Context, write_file
from tripleo_ha.table import Row
from tripleo_ha.waiting import wait_for

TIMEOUT = 15.0
WAIT = 300.0
SHARED_S = 20.0
"""Seconds that a token of the administrator is used for; the shortest that Keystone may be told to issue last 60."""
_MAKING, _SIGNING_IN = threading.Lock(), threading.Lock()


class KeystoneError(Failure):
    """Keystone did not do what it was asked."""


@dataclass(frozen=True)
class Token:
    """A token, and the names of the roles that come with it, those included that others imply."""

    value: str = field(repr=False)
    roles: frozenset[str]


def authenticate(context: Context, user: str, password: str, project: str) -> str | None:
    """Return a token of a user of the default domain for a project, or None when Keystone issues none now."""
    token = sign_in(context, user, password, project)
    return token.value if token else None


def sign_in(context: Context, user: str, password: str, project: str) -> Token | None:
    """As :func:`authenticate`, with what the user may do."""
    domain = {"id": "default"}
    method = {"methods": ["password"], "password": {"user": {"name": user, "domain": domain, "password": password}}}
    body = {"auth": {"identity": method, "scope": {"project": {"name": project, "domain": domain}}}}
    try:
        with _open(context, "POST", "/auth/tokens", None, body) as answer:
            roles = json.load(answer)["token"]["roles"]
            return Token(str(answer.headers["X-Subject-Token"]), frozenset(role["name"] for role in roles))
    except (OSError, urllib.error.URLError, http.client.HTTPException, ValueError):
        return None


def ensure(context: Context, row: Row) -> None:
    """Have a row's service user, with its password and roles; the first node makes it, the others wait for it.

    A role that its row no longer has is left to it.

    :raises TimedOut: no token was issued to it, or one without a role.
    """
    if row.identity is None or "keystone" not in context.metadata:
        return
    user = row.identity.user
    password = context.metadata[row.metadata]["service_password"]
    roles = frozenset(row.identity.roles)

    def as_wanted() -> bool:
        token = sign_in(context, user, password, "service")
        return token is not None and roles <= token.roles

    if as_wanted():
        return
    if context.cluster.i_am_first:
        _make(context, user, password, row.identity.roles)
        context.changed(f"{row.service}: user {user} in Keystone")
    wait_for(f"Keystone to issue a token to {user} with its roles", as_wanted, timeout=WAIT)


def offered(context: Context, row: Row) -> list[Endpoint]:
    """Return what Keystone's catalogue has to say of a row."""
    return list(catalogued(row, context.metadata["derived"]["urls"], context.metadata["keystone"]["region"]))


def register(context: Context, row: Row) -> None:
    """Have a row's endpoints in the catalogue, where they are now; the first node enters them, the others wait for it.

    It is looked at once a boot, and when they change: a token for each run would be most of what the run costs.

    :raises KeystoneError: Keystone refused.
    :raises TimedOut: Keystone issued no token, or the endpoints did not appear.
    """
    if not row.catalogue or "keystone" not in context.metadata:
        return
    wanted = offered(context, row)
    seen, told = paths.RUNTIME / "catalogue" / f"{row.service}.json", json.dumps([asdict(each) for each in wanted])
    if seen.exists() and seen.read_text() == told:
        return
    call = _as_admin(context)
    if context.cluster.i_am_first:
        for endpoint, there in _astray(call, wanted):
            _enter(call, endpoint, there)
            context.changed(f"{row.service}: {endpoint.interface} endpoint is {endpoint.url}")
    else:
        wait_for(f"the endpoints of {row.service} in the catalogue", partial(_all_there, call, wanted), timeout=WAIT)
    write_file(seen, told, mode=0o644)


def _all_there(call: Any, wanted: list[Endpoint]) -> bool:
    try:
        return not _astray(call, wanted)
    except KeystoneError:
        return False


def _astray(call: Any, wanted: list[Endpoint]) -> list[tuple[Endpoint, list[dict[str, Any]]]]:
    """Return the endpoints that are not entered, or are at another URL, each with what stands in its place."""
    types = {service["id"]: service["type"] for service in call("GET", "/services", None)["services"]}
    entries = call("GET", "/endpoints", None)["endpoints"]
    found = []
    for endpoint in wanted:
        place = (endpoint.type, endpoint.interface, endpoint.region)
        there = [each for each in entries if (types[each["service_id"]], each["interface"], each["region_id"]) == place]
        if not there or any(each["url"] != endpoint.url for each in there):
            found.append((endpoint, there))
    return found


def _enter(call: Any, wanted: Endpoint, there: list[dict[str, Any]]) -> None:
    for each in there:
        call("PATCH", f"/endpoints/{each['id']}", {"endpoint": {"url": wanted.url}})
    if there:
        return
    services = call("GET", "/services", None)["services"]
    known = next((service["id"] for service in services if service["type"] == wanted.type), None)
    made = {"service": {"type": wanted.type, "name": wanted.name}}
    service = known or call("POST", "/services", made)["service"]["id"]
    entry = {"service_id": service, "interface": wanted.interface, "region_id": wanted.region, "url": wanted.url}
    call("POST", "/endpoints", {"endpoint": entry})


def _as_admin(context: Context) -> Any:
    """Return what calls Keystone as its administrator, with a token that services of one run share for a while."""
    admin = context.metadata["keystone"]["admin_password"]
    issued = partial(authenticate, context, "admin", admin, "admin")
    with _SIGNING_IN:
        token, since = context.kept.get(__name__, ("", 0.0))
        if not token or time.monotonic() - since > SHARED_S:
            token = wait_for("Keystone to issue a token to admin", issued, timeout=WAIT)
            context.kept[__name__] = (token, time.monotonic())
    return partial(_call, context, token)


def _make(context: Context, user: str, password: str, roles: tuple[str, ...]) -> None:
    call = _as_admin(context)
    # Services converge side by side, and the project and roles are theirs in common.
    with _MAKING:
        _make_alone(call, user, password, roles)


def _make_alone(call: Any, user: str, password: str, roles: tuple[str, ...]) -> None:
    project = _find_or_make(call, "project", {"name": "service", "domain_id": "default"})
    account = _find(call, "user", {"name": user, "domain_id": "default"})
    if account:
        call("PATCH", f"/users/{account}", {"user": {"password": password, "enabled": True}})
    else:
        account = _find_or_make(call, "user", {"name": user, "domain_id": "default", "password": password})
    for name in roles:
        role = _find_or_make(call, "role", {"name": name})
        call("PUT", f"/projects/{project}/users/{account}/roles/{role}", None)


def _find_or_make(call: Any, kind: str, wanted: dict[str, str]) -> str:
    return _find(call, kind, wanted) or str(call("POST", f"/{kind}s", {kind: wanted})[kind]["id"])


def _find(call: Any, kind: str, wanted: dict[str, str]) -> str:
    domain = f"&domain_id={wanted['domain_id']}" if "domain_id" in wanted else ""
    found = call("GET", f"/{kind}s?name={wanted['name']}{domain}", None)[f"{kind}s"]
    return str(found[0]["id"]) if found else ""


def _call(context: Context, token: str, method: str, path: str, body: dict[str, Any] | None) -> Any:
    try:
        with _open(context, method, path, token, body) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        raise KeystoneError(f"Keystone answered {error.code} to {method} /v3{path}") from error
    except OSError as error:
        raise KeystoneError(f"Keystone did not answer {method} /v3{path}: {error}") from error
    return json.loads(content) if content else {}


def _open(context: Context, method: str, path: str, token: str | None, body: dict[str, Any] | None) -> Any:
    url = f"{context.metadata['derived']['urls']['keystone']['control']}/v3{path}"
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body else None)  # noqa: S310
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("X-Auth-Token", token)
    return urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
