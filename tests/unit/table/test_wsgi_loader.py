"""What uWSGI loads for every API: no request finds a policy that is half loaded."""

import runpy
import sys
import threading
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any
from wsgiref.validate import validator

import pytest

from tripleo_ha import paths
from tripleo_ha.topology import wsgi

LOADER = paths.elements() / f"ha-agents/static{wsgi.LOADER}"
SCRIPT = """
import painter
if __name__ == "__main__":
    raise SystemExit("it serves by itself")
hidden = painter.Enforcer()
painter.events.append("application")
application = lambda environ, start: hidden.loaded
"""


class Enforcer:
    """oslo.policy's, as far as the loader knows it."""

    def __init__(self) -> None:
        self.loaded = 0
        self.use_conf = True

    def load_rules(self) -> None:
        self.loaded += self.use_conf


class Borg:
    """Makes its enforcer when it is looked for, as Keystone's does."""

    made: Enforcer | None = None

    @property
    def enforcer(self) -> Enforcer:
        self.made = self.made or Enforcer()
        return self.made


class Proxy:
    """Stands for something of a request, as Flask's do, and there is none yet."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("working outside of request context")


class Painter(ModuleType):
    """The module of a service that makes enforcers late."""

    def __init__(self) -> None:
        super().__init__("painter")
        self.Enforcer = Enforcer
        self.events: list[str] = []
        self.borg = Borg()
        self.proxy = Proxy()
        self.late: Enforcer | None = None

    def init(self) -> None:
        self.events.append("policy")
        self.late = Enforcer()


@pytest.fixture
def painter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Painter:
    module, library = Painter(), ModuleType("oslo_policy.policy")
    vars(library)["Enforcer"] = Enforcer
    monkeypatch.setitem(sys.modules, "painter", module)
    monkeypatch.setitem(sys.modules, "oslo_policy.policy", library)
    (tmp_path / "painter-api").write_text(SCRIPT)
    monkeypatch.setenv("TRIPLEO_HA_APPLICATION", str(tmp_path / "painter-api"))
    monkeypatch.setenv("TRIPLEO_HA_PREPARE", "")
    return module


def served() -> Any:
    return runpy.run_path(str(LOADER))["application"]


def test_rules_of_an_enforcer_that_only_the_application_knows_are_loaded(painter: Painter) -> None:
    assert served()({}, None) == 1


def test_enforcers_that_come_with_a_request_are_made_once_the_application_has_its_configuration(
    painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPLEO_HA_PREPARE", "painter:init painter:borg.enforcer")
    served()
    assert painter.events == ["application", "policy"]
    assert [each and each.loaded for each in (painter.late, painter.borg.made)] == [1, 1]


def test_rules_are_not_loaded_again_beside_requests(painter: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPLEO_HA_PREPARE", "painter:init")
    served()
    assert painter.late
    painter.late.load_rules()
    assert painter.late.loaded == 1


def test_a_service_without_oslo_policy_is_served_as_it_is(painter: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "oslo_policy.policy")
    assert served()({}, None) == 0


def test_what_cannot_be_prepared_keeps_the_api_from_being_served(
    painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPLEO_HA_PREPARE", "painter:renamed")
    with pytest.raises(AttributeError, match="renamed"):
        served()


ASKED = """
import painter
def application(environ, start):
    painter.events.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["wsgi.input"].read()))
    start("401 Unauthorized", [])
    painter.asked(environ)
    return [b"", b""]
"""


def test_what_comes_with_the_first_request_comes_before_it(
    painter: Painter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "painter-api").write_text(ASKED)
    asked: list[Any] = []
    vars(painter)["asked"] = asked.append
    monkeypatch.setenv("TRIPLEO_HA_FIRST", '{"path": "/v1/pictures", "body": {"of": "nobody"}}')
    served()
    assert painter.events == [("POST", "/v1/pictures", b'{"of": "nobody"}')]
    validated = validator(lambda environ, start: (start("200 OK", [("Content-Type", "text/plain")]), [b""])[1])
    with closing(validated(asked[0], lambda *_: lambda data: None)) as answer:
        assert list(answer) == [b""]


def test_an_application_that_does_not_answer_is_served(
    painter: Painter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "painter-api").write_text(ASKED)
    answers = threading.Event()
    vars(painter)["asked"] = lambda environ: answers.wait(60)
    loader = tmp_path / "loader.py"
    loader.write_text(LOADER.read_text().replace("FIRST_S = 5.0", "FIRST_S = 0.1"))
    monkeypatch.setenv("TRIPLEO_HA_FIRST", '{"path": "/", "body": {}}')
    try:
        assert callable(runpy.run_path(str(loader))["application"])
        assert not answers.is_set()
    finally:
        answers.set()
