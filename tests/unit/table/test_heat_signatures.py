"""Heat's CloudFormation API asks Keystone about signatures as a service."""

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from keystoneauth1.exceptions import MissingRequiredOptions
from oslo_config import cfg
from test_api_services import FILES, ROWS

from tripleo_ha import paths

CONF = "/etc/heat/heat.conf"
MODULE = paths.elements() / "heat/static/usr/lib/python3/dist-packages/heat_ec2_credentials.py"
SIGNED = {"ec2Credentials": {"access": "a", "signature": "s"}}


class Keystone(BaseHTTPRequestHandler):
    """Signs users in, and tells about signatures those alone whom it signed in; ``wrong`` are refused."""

    signed_in: tuple[str, ...] = ()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v3/auth/tokens":
            user = body["auth"]["identity"]["password"]["user"]
            type(self).signed_in += (user["name"], user["password"], body["auth"]["scope"]["project"]["name"])
            return self._answer(201, {"token": {"expires_at": "2100-01-01T00:00:00Z", "methods": ["password"]}})
        if self.path == "/v3/ec2tokens" and self.headers["X-Auth-Token"] == "issued" and body == SIGNED:
            return self._answer(200, {"token": {"project": {"id": "p"}}})
        return self._answer(401, {"error": {"message": "EC2 access key not found."}})

    def _answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("X-Subject-Token", "issued")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def keystone() -> Iterator[str]:
    Keystone.signed_in = ()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Keystone)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v3"
    server.shutdown()
    server.server_close()


@pytest.fixture
def heat(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Heat's middleware, of which the library that it asks with counts."""
    names = ("heat", "heat.api", "heat.api.aws", "heat.api.aws.ec2token")
    *_, aws, ec2token = modules = [ModuleType(name) for name in names]
    vars(aws)["ec2token"] = ec2token
    for name, module in zip(names, modules, strict=True):
        monkeypatch.setitem(sys.modules, name, module)
    return ec2token


def signed_in(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[str(settings)])
    monkeypatch.setattr(cfg, "CONF", conf)
    spec = importlib.util.spec_from_file_location("heat_ec2_credentials", MODULE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.sign_in()


def test_keystone_is_asked_with_the_token_of_heats_user(
    keystone: str, heat: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = FILES[CONF].body.decode()
    (tmp_path / "heat.conf").write_text(rendered.replace("http://192.0.2.10:5000/v3", keystone))
    signed_in(tmp_path / "heat.conf", monkeypatch)
    asked = {"headers": {"Content-Type": "application/json"}, "verify": True, "cert": None, "timeout": 60}
    answer = heat.requests.post(f"{keystone}/ec2tokens", data=json.dumps(SIGNED), **asked)
    assert answer.json() == {"token": {"project": {"id": "p"}}}
    assert answer.headers["X-Subject-Token"]
    user, password, project = Keystone.signed_in
    identity = ROWS["heat"].identity
    assert identity
    assert (user, project) == (identity.user, "service")
    assert f"password = {password}\n" in rendered
    # Heat tells its own refusals apart by what Keystone says in its.
    refused = heat.requests.post(f"{keystone}/ec2tokens", data="{}", **asked)
    assert refused.json()["error"]["message"] == "EC2 access key not found."


def test_without_a_user_the_api_is_not_served(heat: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "heat.conf").write_text("[ec2authtoken]\nauth_type = password\n")
    with pytest.raises(MissingRequiredOptions):
        signed_in(tmp_path / "heat.conf", monkeypatch)


def test_the_package_finds_it_where_the_row_looks_for_it() -> None:
    (unit,) = [unit for unit in ROWS["heat"].units if unit.name == "heat-api-cfn.service"]
    assert unit.wsgi
    assert f"{MODULE.stem}:sign_in" in unit.wsgi.prepare
    assert "install-static" in (paths.elements() / "heat/element-deps").read_text().split()
