"""Service users in Keystone, against a small Keystone on loopback that keeps users, projects and roles."""

import json
import shutil
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tripleo_ha import cluster, paths
from tripleo_ha.errors import Failure
from tripleo_ha.node import identity
from tripleo_ha.node.context import Context
from tripleo_ha.table import Catalogued, Domain, Identity, Row

ROW = Row("ceilometer-agent-central", "ceilometer", "", identity=Identity("ceilometer", ("reader",)))
NODES = [{"name": f"n{i}", "ip": f"192.0.2.1{i}"} for i in range(2)]


class Keystone(BaseHTTPRequestHandler):
    """Enough of the Identity API v3: tokens by password, and lists by name."""

    server: Any

    def _answer(self, code: int, body: Any = None, token: str = "") -> None:
        if not token and self.server.state["lost"]:
            self.server.state["lost"].pop()
            self.close_connection = True
            return
        self.send_response(code)
        if token:
            self.send_header("X-Subject-Token", token)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode() if body is not None else b"")

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")

    def do_POST(self) -> None:
        body, path, state = self._body(), self.path.removeprefix("/v3"), self.server.state
        if path == "/auth/tokens":
            user = body["auth"]["identity"]["password"]["user"]
            known = state["users"].get(user["name"])
            state["signed_in"].append(user["name"])
            if state["loading"]:
                state["loading"] -= 1
                return self._answer(503)
            ((kind, scope),) = body["auth"]["scope"].items()
            granted = (user["name"], scope["name"]) in state["granted"]
            right = known and known["password"] == user["password"] and granted
            if kind == "domain":
                right = right and known["domain_id"] == f"domains-{scope['name']}"
            token = {"token": {"roles": [{"name": name} for name in sorted(state["roles_given"])]}}
            return self._answer(201, token, f"token-{user['name']}") if right else self._answer(401)
        if self.headers["X-Auth-Token"] != "token-admin":
            return self._answer(403)
        kind = path.strip("/")
        (item,) = body.values()
        if kind in ("services", "endpoints"):
            state[kind].append({**item, "id": f"{kind}-{len(state[kind])}"})
            return self._answer(201, {kind[:-1]: state[kind][-1]})
        state["made"].append(item["name"])
        state[kind][item["name"]] = {**item, "id": f"{kind}-{item['name']}"}
        return self._answer(201, {kind[:-1]: state[kind][item["name"]]})

    def do_GET(self) -> None:
        split = urlsplit(self.path.removeprefix("/v3"))
        kind = split.path.strip("/")
        known = self.server.state[kind]
        if kind not in ("services", "endpoints"):
            named = known.get(parse_qs(split.query)["name"][0])
            known = [named] if named else []
        self._answer(200, {kind: known})

    def do_PATCH(self) -> None:
        if "/endpoints/" in self.path:
            (entry,) = (each for each in self.server.state["endpoints"] if self.path.endswith(f"/{each['id']}"))
            entry.update(self._body()["endpoint"])
        else:
            name = self.path.rpartition("users-")[2]
            self.server.state["users"][name].update(self._body()["user"])
        self._answer(200, {})

    def do_PUT(self) -> None:
        _, _, kind, scope, _, user, _, role = self.path.split("/")
        self.server.state["granted"].add((user.removeprefix("users-"), scope.removeprefix(f"{kind}-")))
        self.server.state["roles_given"].add(role.removeprefix("roles-"))
        self._answer(204)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def state() -> dict[str, Any]:
    admin = {"name": "admin", "password": "admin-secret", "id": "users-admin"}
    granted = {("admin", "admin")}
    kept: dict[str, Any] = {
        "users": {"admin": admin},
        "domains": {},
        "projects": {},
        "roles": {},
        "granted": granted,
    }
    made = {"services": [], "endpoints": [], "made": []}
    return {**kept, **made, "roles_given": set(), "signed_in": [], "lost": [], "loading": 0}


@pytest.fixture
def url(state: dict[str, Any]) -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Keystone)
    server.state = state  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def context(url: str, password: str, me: int = 0, **urls: str) -> Context:
    metadata = {
        "cluster": {"name": "c", "nodes": NODES, "virtual_ips": {}},
        "node": {"name": f"n{me}"},
        "keystone": {"admin_password": "admin-secret", "region": "north"},
        "ceilometer": {"service_password": password, "domain_password": f"domain-{password}"},
        "derived": {"urls": {"keystone": {"control": url, **urls}}},
    }
    return Context(metadata, cluster.from_metadata(metadata), (ROW,))


def test_who_is_known_is_answered_by_keystone_alone(
    url: str, state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "INTERVAL", 0.0)
    state["loading"] = 2
    assert identity.knows(context(url, ""), "admin", "admin-secret", "admin")
    assert state["loading"] == 0
    assert not identity.knows(context(url, ""), "admin", "another", "admin")
    monkeypatch.setattr(identity, "WAIT", 0.0)
    state["loading"] = 1
    with pytest.raises(Failure, match="waited 0 s for Keystone to answer on the control virtual IP"):
        identity.knows(context(url, ""), "admin", "admin-secret", "admin")


def test_the_user_is_made_once_with_the_roles_of_its_row(url: str, state: dict[str, Any]) -> None:
    first = context(url, "one")
    identity.ensure(first, ROW)
    assert state["users"]["ceilometer"]["password"] == "one"
    assert state["roles_given"] == {"reader"}
    again = context(url, "one")
    identity.ensure(again, ROW)
    assert (len(first.changes), again.changes) == (1, [])


def test_a_role_that_the_row_has_since_an_upgrade_is_given(url: str, state: dict[str, Any]) -> None:
    identity.ensure(context(url, "one"), ROW)
    later = replace(ROW, identity=Identity("ceilometer", ("reader", "service")))
    upgraded = context(url, "one")
    identity.ensure(upgraded, later)
    assert state["roles_given"] == {"reader", "service"}
    assert len(upgraded.changes) == 1
    identity.ensure(again := context(url, "one"), later)
    assert again.changes == []


def test_a_changed_password_is_applied(url: str, state: dict[str, Any]) -> None:
    identity.ensure(context(url, "one"), ROW)
    identity.ensure(context(url, "two"), ROW)
    assert state["users"]["ceilometer"]["password"] == "two"


OWNER = replace(ROW, identity=Identity("ceilometer", ("reader",), Domain("stacks", "steward"), ("owner", "tenant")))


def test_a_domain_is_made_with_its_administrator_once(url: str, state: dict[str, Any]) -> None:
    first = context(url, "one")
    identity.ensure(first, OWNER)
    assert (state["users"]["steward"]["domain_id"], state["users"]["steward"]["password"]) == (
        "domains-stacks",
        "domain-one",
    )
    assert ("steward", "stacks") in state["granted"]
    assert state["roles_given"] == {"reader", "admin"}
    again = context(url, "one")
    identity.ensure(again, OWNER)
    assert (again.changes, state["made"].count("stacks")) == ([], 1)
    assert "domain-one" not in str(first.changes)
    identity.ensure(context(url, "two"), OWNER)
    assert state["users"]["steward"]["password"] == "domain-two"


def test_roles_for_others_exist_and_are_looked_for_once_a_boot(url: str, state: dict[str, Any], runtime: Path) -> None:
    identity.ensure(first := context(url, "one"), OWNER)
    assert {"owner", "tenant"} <= set(state["roles"])
    assert "ceilometer-agent-central: role owner in Keystone" in first.changes
    del state["roles"]["owner"]
    identity.ensure(context(url, "one"), OWNER)
    assert "owner" not in state["roles"]
    shutil.rmtree(runtime / "roles")
    identity.ensure(context(url, "one"), OWNER)
    assert state["made"].count("owner") == 2


def test_another_node_waits_for_the_roles(url: str, state: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "WAIT", 0)
    with pytest.raises(Failure, match="the roles owner, tenant in Keystone"):
        identity.ensure(context(url, "one", me=1), OWNER)
    assert state["made"] == []


def test_another_node_waits_and_makes_nothing(url: str, state: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    other, looks = context(url, "one", me=1), []

    def first_tells(node: cluster.Node) -> dict[str, Any] | None:
        looks.append(node.name)
        if len(looks) < 3:
            return None if len(looks) == 1 else {"published": {}}
        identity.ensure(first := context(url, "one"), ROW)
        return {"published": first.published()}

    monkeypatch.setattr(other, "peer", first_tells)
    monkeypatch.setattr(identity, "WAIT", 0)
    with pytest.raises(Failure, match="the first controller to make the user ceilometer"):
        identity.ensure(other, ROW)
    assert "ceilometer" not in state["users"]
    monkeypatch.setattr(identity, "WAIT", 10.0)
    monkeypatch.setattr(identity, "OTHERS_INTERVAL", 0.0)
    state["signed_in"].clear()
    identity.ensure(other, ROW)
    assert looks == ["n0", "n0", "n0"]
    # Before and after, the other and the first controller each; no look in between has asked Keystone.
    assert state["signed_in"].count("ceilometer") == 4
    assert other.changes == []


def test_a_silent_keystone_is_waited_for_with_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "WAIT", 0)
    with pytest.raises(Failure, match="Keystone to issue a token to admin") as failure:
        identity.ensure(context("http://127.0.0.1:9", "one"), ROW)
    assert "secret" not in str(failure.value)


API = Row("keystone", "keystone", "", catalogue=(Catalogued("identity", "keystone", "keystone", "/v3"),))
PLAIN, ENCRYPTED = "http://198.51.100.10:5000", "https://198.51.100.10:5000"


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "RUNTIME", tmp_path)
    return tmp_path


def urls(state: dict[str, Any]) -> dict[str, str]:
    return {each["interface"]: each["url"] for each in state["endpoints"]}


def test_endpoints_are_entered_once_on_the_virtual_ips_they_are_for(url: str, state: dict[str, Any]) -> None:
    first = context(url, "one", public=PLAIN)
    identity.register(first, API)
    assert urls(state) == {"admin": f"{url}/v3", "internal": f"{url}/v3", "public": f"{PLAIN}/v3"}
    assert {each["region_id"] for each in state["endpoints"]} == {"north"}
    assert [service["type"] for service in state["services"]] == ["identity"]
    again = context(url, "one", public=PLAIN)
    identity.register(again, API)
    assert (len(first.changes), again.changes) == (3, [])


def test_what_keystone_did_without_an_answer_is_not_done_twice(
    url: str, state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "INTERVAL", 0)
    for lost in range(1, 12):
        state.update(services=[], endpoints=[], lost=[None] * lost)
        identity.register(context(url, "one", public=f"{PLAIN}/{lost}"), API)
        assert (len(state["services"]), len(state["endpoints"]), state["lost"]) == (1, 3, []), lost


def test_an_endpoint_of_a_service_that_is_not_known_yet_is_another(url: str, state: dict[str, Any]) -> None:
    late = {"interface": "public", "region_id": "north", "service_id": "services-9", "url": "elsewhere", "id": "x"}
    state["endpoints"].append(late)
    identity.register(context(url, "one", public=PLAIN), API)
    assert late["url"] == "elsewhere"
    assert len(state["endpoints"]) == 4


def test_an_endpoint_that_is_reached_at_another_url_follows(url: str, state: dict[str, Any]) -> None:
    identity.register(context(url, "one", public=PLAIN), API)
    other = {"interface": "public", "region_id": "south", "service_id": "services-0", "url": "elsewhere", "id": "x"}
    state["endpoints"].append(other)
    told = context(url, "one", public=ENCRYPTED)
    identity.register(told, API)
    assert told.changes == [f"keystone: public endpoint is {ENCRYPTED}/v3"]
    found = [each["url"] for each in state["endpoints"] if each["interface"] == "public"]
    assert found == [f"{ENCRYPTED}/v3", "elsewhere"]


def test_the_catalogue_is_looked_at_once_a_boot(url: str, state: dict[str, Any], runtime: Path) -> None:
    identity.register(context(url, "one", public=PLAIN), API)
    state["endpoints"].clear()
    identity.register(context(url, "one", public=PLAIN), API)
    assert state["endpoints"] == []
    shutil.rmtree(runtime / "catalogue")
    identity.register(context(url, "one", public=PLAIN), API)
    assert len(state["endpoints"]) == 3


def test_another_node_waits_until_the_catalogue_is_right(
    url: str, state: dict[str, Any], runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "WAIT", 0)
    with pytest.raises(Failure, match="endpoints of keystone in the catalogue"):
        identity.register(context(url, "one", me=1, public=PLAIN), API)
    assert state["endpoints"] == []
    identity.register(context(url, "one", public=PLAIN), API)
    shutil.rmtree(runtime / "catalogue")
    identity.register(context(url, "one", me=1, public=PLAIN), API)


def test_a_row_that_is_not_in_the_catalogue_asks_nobody() -> None:
    identity.register(context("http://127.0.0.1:9", "one"), ROW)


def test_services_that_converge_side_by_side_make_what_they_share_once(url: str, state: dict[str, Any]) -> None:
    """Keystone refuses a second project of the same name."""
    names = [f"service{number}" for number in range(8)]
    rows = [Row(name, name, "", identity=Identity(name, ("reader",))) for name in names]
    shared = context(url, "one")
    shared.metadata = {**shared.metadata, **{name: {"service_password": "one"} for name in names}}
    with ThreadPoolExecutor(len(rows)) as pool:
        list(pool.map(lambda row: identity.ensure(shared, row), rows))
    assert len(shared.changes) == len(rows)
    assert state["made"].count("service") == 1
    assert state["signed_in"].count("admin") == 1
