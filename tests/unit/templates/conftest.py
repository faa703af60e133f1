"""A small tree of elements with templates, judged against the project's own schemas."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tripleo_ha.table import Balance, Broker, Check, Database, Listener, Row
from tripleo_ha.templates.shape import Tree, tree

CHECK = Check("/healthcheck")


@pytest.fixture
def rows() -> list[Row]:
    """Two services: one with a database and a balanced API, one with a broker user."""
    api = Listener("keystone", 5000, ("uwsgi",), protocol="http", balance=Balance(("control", "public"), CHECK))
    raw = Listener("mysql", 3306, ("mariadbd",), balance=Balance(("control",), CHECK))
    return [
        Row("keystone", "keystone", "", listeners=(api, raw), databases=(Database("keystone", "keystone"),)),
        Row("ceilometer-agent-central", "ceilometer", "", broker=Broker("ceilometer")),
    ]


@pytest.fixture
def shapes(rows: list[Row]) -> Tree:
    """What a template may read with those two services."""
    return tree(rows)


@pytest.fixture
def element(tmp_path: Path) -> Callable[..., Path]:
    """Write a file into an element's template tree."""

    def write(name: str, text: str, *, of: str = "one", run: bool = False) -> Path:
        file = tmp_path / of / "os-apply-config" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if run else 0o644)
        return file

    return write
