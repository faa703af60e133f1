"""What Heat's engine waits for breaks when its other end is gone."""

import importlib.util
import socket
from collections.abc import Iterator

import pytest
import requests
from urllib3.connection import HTTPConnection

from tripleo_ha import paths

MODULE = paths.elements() / "heat/static/usr/lib/heat/keepalive.py"


@pytest.fixture
def loaded() -> Iterator[None]:
    """The plug-in is loaded, and its effect taken back after the test."""
    before = list(HTTPConnection.default_socket_options)
    spec = importlib.util.spec_from_file_location("keepalive", MODULE)
    assert spec
    assert spec.loader
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    yield
    HTTPConnection.default_socket_options[:] = before


@pytest.mark.usefixtures("loaded")
def test_connections_of_clients_that_ask_for_nothing_are_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_on: list[tuple[int, ...]] = []

    class Watched(socket.socket):
        def setsockopt(self, *option: int) -> None:  # type: ignore[override]
            set_on.append(option)
            super().setsockopt(*option)

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(socket, "socket", Watched)
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.get(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=(5, 0.1))
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in set_on
    idle, interval, probes = (
        next(value for level, name, value in set_on if (level, name) == (socket.IPPROTO_TCP, wanted))
        for wanted in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    assert idle + interval * probes == 20
