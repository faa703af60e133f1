"""The resource agent that tells where HAProxy answers, run for real against sockets that behave as HAProxy's may."""

import os
import shutil
import socket
import subprocess
import threading
import time
from xml.etree import ElementTree

import pytest

from tripleo_ha import paths

AGENT = paths.elements() / "pacemaker/static/usr/lib/ocf/resource.d/tripleo-ha/haproxy"
OK, GENERIC, UNIMPLEMENTED, NOT_RUNNING = 0, 1, 3, 7

pytestmark = pytest.mark.skipif(not shutil.which("socat"), reason="socat is not installed")


@pytest.fixture
def agent(tmp_path):
    functions = tmp_path / "ocf-returncodes"
    functions.write_text("OCF_ERR_GENERIC=1 OCF_ERR_UNIMPLEMENTED=3 OCF_ERR_INSTALLED=5 OCF_NOT_RUNNING=7\n")
    copy = tmp_path / "haproxy"
    copy.write_text(AGENT.read_text().replace("=/run/tripleo-ha-", f"={tmp_path}/tripleo-ha-"))
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/done\n')
    (tmp_path / "systemctl").chmod(0o755)

    def act(action):
        environment = {
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "OCF_ROOT": str(tmp_path),
            "OCF_FUNCTIONS_DIR": str(tmp_path),
            "OCF_RESOURCE_INSTANCE": "entry",
            "OCF_RESKEY_socket": str(tmp_path / "admin.sock"),
            "OCF_RESKEY_patience": "1",
        }
        return subprocess.run(["sh", copy, action], env=environment, capture_output=True, text=True, timeout=20)

    return act


class HAProxy:
    """Listens on a socket; answers, or takes connections and keeps silent as a stopped process does."""

    def __init__(self, path, answers=True):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(8)
        if answers:
            threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(100)
                connection.sendall(b"3.0.11-1+deb13u1\n\n")

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def test_it_runs_while_haproxy_answers(agent, tmp_path):
    haproxy = HAProxy(tmp_path / "admin.sock")
    assert agent("monitor").returncode == NOT_RUNNING
    assert agent("start").returncode == OK
    assert agent("monitor").returncode == OK
    assert agent("stop").returncode == OK
    assert agent("monitor").returncode == NOT_RUNNING
    assert agent("stop").returncode == OK
    assert not (tmp_path / "done").exists(), "one that answers is left alone"
    haproxy.close()


def test_it_does_not_start_without_haproxy(agent):
    assert agent("start").returncode == GENERIC
    assert agent("monitor").returncode == NOT_RUNNING


def test_a_haproxy_that_hangs_has_failed_within_its_patience(agent, tmp_path):
    haproxy = HAProxy(tmp_path / "admin.sock")
    agent("start")
    haproxy.close()
    (tmp_path / "admin.sock").unlink()
    frozen = HAProxy(tmp_path / "admin.sock", answers=False)
    began = time.monotonic()
    assert agent("monitor").returncode == GENERIC
    assert 0.9 < time.monotonic() - began < 2.5
    assert agent("stop").returncode == OK
    assert (tmp_path / "done").read_text() == "kill --signal=SIGKILL haproxy.service\n"
    assert agent("stop").returncode == OK
    assert (tmp_path / "done").read_text().count("kill") == 1, "what has been killed is not killed again"
    frozen.close()


def test_a_haproxy_that_is_back_at_once_has_not_failed(agent, tmp_path):
    haproxy = HAProxy(tmp_path / "admin.sock")
    agent("start")
    haproxy.close()
    (tmp_path / "admin.sock").unlink()
    back = threading.Timer(0.4, HAProxy, [tmp_path / "admin.sock"])
    back.start()
    assert agent("monitor").returncode == OK
    back.join()


def test_its_description_is_well_formed_and_names_what_it_does(agent):
    described = ElementTree.fromstring(agent("meta-data").stdout.partition("\n")[2].partition("\n")[2])
    actions = {action.get("name") for action in described.iterfind("actions/action")}
    assert actions == {"start", "stop", "monitor", "meta-data", "validate-all"}
    assert agent("validate-all").returncode == OK
    assert agent("promote").returncode == UNIMPLEMENTED
