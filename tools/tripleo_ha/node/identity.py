"""Service users and endpoints in Keystone, through its HTTP API on the control virtual IP."""

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
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
INTERVAL = 1.0
OTHERS_INTERVAL = 3.0
"""Seconds between two looks at what the first node is to make; those that ask Keystone cost it more than the making."""
SHARED_S = 20.0
"""Seconds that a token of the administrator is used for; the shortest that Keystone may be told to issue last 60."""
REFUSED = (401, 403)
UNANSWERED = (OSError, http.client.HTTPException, ValueError)
"""What asking for a token raises where none is issued. Only an answer in ``REFUSED`` is Keystone's own word."""
_MAKING, _SIGNING_IN = threading.Lock(), threading.Lock()


class KeystoneError(Failure):
    """Keystone did not do what it was asked."""


class KeystoneUnansweredError(KeystoneError):
    """It is not known whether Keystone did what it was asked: the connection was refused, or lost."""


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
    return _sign_in(context, user, password, domain, {"project": {"name": project, "domain": domain}})


def sign_in_to_domain(context: Context, user: str, password: str, domain: str) -> Token | None:
    """As :func:`sign_in`, for a user of a domain and what it may do in the domain itself."""
    return _sign_in(context, user, password, {"name": domain}, {"domain": {"name": domain}})


def knows(context: Context, user: str, password: str, project: str) -> bool:
    """Tell whether Keystone issues a token to a user, once it answers on the control virtual IP at all.

    :raises TimedOut: it did not answer.
    """
    domain = {"id": "default"}

    def told() -> str:
        try:
            _token(context, user, password, domain, {"project": {"name": project, "domain": domain}})
        except urllib.error.HTTPError as error:
            return "no" if error.code in REFUSED else ""
        except UNANSWERED:
            return ""
        return "yes"

    return wait_for("Keystone to answer on the control virtual IP", told, timeout=WAIT, interval=INTERVAL) == "yes"


def _sign_in(context: Context, user: str, password: str, domain: dict[str, str], scope: dict[str, Any]) -> Token | None:
    try:
        return _token(context, user, password, domain, scope)
    except UNANSWERED:
        return None


def _token(context: Context, user: str, password: str, domain: dict[str, str], scope: dict[str, Any]) -> Token:
    method = {"methods": ["password"], "password": {"user": {"name": user, "domain": domain, "password": password}}}
    body = {"auth": {"identity": method, "scope": scope}}
    with _open(context, "POST", "/auth/tokens", None, body) as answer:
        roles = json.load(answer)["token"]["roles"]
        return Token(str(answer.headers["X-Subject-Token"]), frozenset(role["name"] for role in roles))


def ensure(context: Context, row: Row) -> None:
    """Have a row's service user and its domain, with passwords and roles; the first node makes them, the others wait.

    A role that its row no longer has is left to it.

    :raises TimedOut: no token was issued to one of them, or one without a role.
    """
    if row.identity is None or "keystone" not in context.metadata:
        return
    _ensure_roles(context, row, row.identity.known_roles)
    settings = context.metadata[row.metadata]
    users = [_User(row.identity.user, settings["service_password"], row.identity.roles)]
    if domain := row.identity.domain:
        users.append(_User(domain.user, settings["domain_password"], ("admin",), domain.name))
    for user in users:
        _ensure_user(context, row, user)
    if context.cluster.i_am_first:
        context.publish(row.service, users=[user.name for user in users])


@dataclass(frozen=True)
class _User:
    """One who has its roles in the project ``service``, or in ``domain``, where it has its account as well."""

    name: str
    password: str = field(repr=False)
    roles: tuple[str, ...]
    domain: str = ""

    def as_wanted(self, context: Context) -> bool:
        if self.domain:
            token = sign_in_to_domain(context, self.name, self.password, self.domain)
        else:
            token = sign_in(context, self.name, self.password, "service")
        return token is not None and frozenset(self.roles) <= token.roles

    def make(self, call: Any) -> None:
        domain = _find_or_make(call, "domain", {"name": self.domain}) if self.domain else "default"
        scope = f"/domains/{domain}"
        if not self.domain:
            scope = f"/projects/{_find_or_make(call, 'project', {'name': 'service', 'domain_id': domain})}"
        _make_user(call, self.name, self.password, domain, scope, self.roles)


def _ensure_user(context: Context, row: Row, user: _User) -> None:
    as_wanted = partial(user.as_wanted, context)
    if as_wanted():
        return
    if context.cluster.i_am_first:
        call = _as_admin(context)
        _persist(f"Keystone to make the user {user.name}", partial(user.make, call))
        context.changed(f"{row.service}: user {user.name} in Keystone")
    else:
        made = partial(_made_by_first, context, row, user)
        wait_for(f"the first controller to make the user {user.name}", made, timeout=WAIT, interval=OTHERS_INTERVAL)
    what = f"Keystone to issue a token to {user.name} with its roles"
    wait_for(what, as_wanted, timeout=WAIT, interval=OTHERS_INTERVAL)


def _made_by_first(context: Context, row: Row, user: _User) -> bool:
    told = context.peer(context.cluster.nodes[0]) or {}
    return user.name in told.get("published", {}).get(row.service, {}).get("users", [])


def _ensure_roles(context: Context, row: Row, roles: tuple[str, ...]) -> None:
    """Have roles that nobody of the row's own has, so that no token shows them; looked at as :func:`register` does."""
    if not roles or _seen(row, "roles", json.dumps(roles)):
        return
    call = _as_admin(context)
    if context.cluster.i_am_first:
        _persist("Keystone to make roles", partial(_make_roles, context, row, roles, call))
    there = partial(_exist, call, roles)
    wait_for(f"the roles {', '.join(roles)} in Keystone", there, timeout=WAIT, interval=OTHERS_INTERVAL)
    _saw(row, "roles", json.dumps(roles))


def _make_roles(context: Context, row: Row, roles: tuple[str, ...], call: Any) -> None:
    for name in roles:
        if not _find(call, "role", {"name": name}):
            call("POST", "/roles", {"role": {"name": name}})
            context.changed(f"{row.service}: role {name} in Keystone")


def _exist(call: Any, roles: tuple[str, ...]) -> bool:
    try:
        return all(_find(call, "role", {"name": name}) for name in roles)
    except KeystoneError:
        return False


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
    told = json.dumps([asdict(each) for each in wanted])
    if _seen(row, "catalogue", told):
        return
    call = _as_admin(context)
    if context.cluster.i_am_first:
        _persist(f"Keystone to enter the endpoints of {row.service}", partial(_enter_all, context, row, wanted, call))
    else:
        there = partial(_all_there, call, wanted)
        wait_for(f"the endpoints of {row.service} in the catalogue", there, timeout=WAIT, interval=OTHERS_INTERVAL)
    _saw(row, "catalogue", told)


def _persist(what: str, make: Callable[[], None]) -> None:
    """Have something in Keystone by what looks first whether it is there: again, as long as answers are lost.

    :raises KeystoneError: Keystone refused.
    :raises TimedOut: it never answered.
    """
    lost = [""]

    def made() -> bool:
        try:
            # Services converge side by side, and the project and roles are theirs in common.
            with _MAKING:
                make()
        except KeystoneUnansweredError as failure:
            lost[0] = str(failure)
            return False
        return True

    wait_for(what, made, timeout=WAIT, interval=INTERVAL, why=lambda: lost[0])


def _seen(row: Row, kind: str, told: str) -> bool:
    """Tell whether this was found as it should be since the node booted."""
    file = paths.RUNTIME / kind / f"{row.service}.json"
    return file.exists() and file.read_text() == told


def _saw(row: Row, kind: str, told: str) -> None:
    write_file(paths.RUNTIME / kind / f"{row.service}.json", told, mode=0o644)


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
        # An endpoint may be of a service that was entered after the services were asked for.
        there = [
            each for each in entries if (types.get(each["service_id"]), each["interface"], each["region_id"]) == place
        ]
        if not there or any(each["url"] != endpoint.url for each in there):
            found.append((endpoint, there))
    return found


def _enter_all(context: Context, row: Row, wanted: list[Endpoint], call: Any) -> None:
    for endpoint, there in _astray(call, wanted):
        _enter(call, endpoint, there)
        context.changed(f"{row.service}: {endpoint.interface} endpoint is {endpoint.url}")


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


def _make_user(call: Any, user: str, password: str, domain: str, scope: str, roles: tuple[str, ...]) -> None:
    account = _find(call, "user", {"name": user, "domain_id": domain})
    if account:
        call("PATCH", f"/users/{account}", {"user": {"password": password, "enabled": True}})
    else:
        account = _find_or_make(call, "user", {"name": user, "domain_id": domain, "password": password})
    for name in roles:
        role = _find_or_make(call, "role", {"name": name})
        call("PUT", f"{scope}/users/{account}/roles/{role}", None)


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
    except (OSError, http.client.HTTPException) as error:
        raise KeystoneUnansweredError(f"Keystone did not answer {method} /v3{path}: {error}") from error
    return json.loads(content) if content else {}


def _open(context: Context, method: str, path: str, token: str | None, body: dict[str, Any] | None) -> Any:
    url = f"{context.metadata['derived']['urls']['keystone']['control']}/v3{path}"
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body else None)  # noqa: S310
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("X-Auth-Token", token)
    return urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
