"""What a controller makes of another that dies while it answers."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tripleo_ha.cluster import Cluster, Node
from tripleo_ha.node import context, draining
from tripleo_ha.node.context import Context


@pytest.fixture
def cut_short() -> Iterator[int]:
    """The port of a server whose every answer ends before it is whole."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")

        thread = threading.Thread(target=answer)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_an_answer_that_is_cut_short_is_none(cut_short: int, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node("b", "127.0.0.1", 2)
    monkeypatch.setattr(context, "HEALTH_PORT", cut_short)
    assert Context({}, Cluster("o", (node,), node, {}), ()).peer(node) is None
    assert draining._ask(f"http://127.0.0.1:{cut_short}/", "password") is None
