"""The resource agent that tells where units are active, run for real with a systemctl that says what a test wants."""

import os
import subprocess
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tripleo_ha import paths

AGENT = paths.elements() / "pacemaker/static/usr/lib/ocf/resource.d/tripleo-ha/units"
OK, GENERIC, CONFIGURED, NOT_RUNNING = 0, 1, 6, 7


class Node:
    """The agent, and the units that count as active: the files of a directory."""

    def __init__(self, directory: Path) -> None:
        codes = "OCF_ERR_GENERIC=1 OCF_ERR_UNIMPLEMENTED=3 OCF_ERR_CONFIGURED=6 OCF_NOT_RUNNING=7\n"
        (directory / "ocf-returncodes").write_text(codes)
        self.active = directory / "active"
        self.active.mkdir()
        tool = directory / "systemctl"
        tool.write_text(
            f"""#!/bin/sh
[ ! -e {directory}/mute ] || exit 1
shift
for unit in "$@"; do
    if [ -e {self.active}/$unit ]; then echo active; else echo inactive; fi
done
"""
        )
        tool.chmod(0o755)
        self.agent = directory / "units"
        self.agent.write_text(AGENT.read_text().replace("state=/run/", f"state={directory}/"))
        self.environment = {
            **os.environ,
            "PATH": f"{directory}:{os.environ['PATH']}",
            "OCF_ROOT": str(directory),
            "OCF_FUNCTIONS_DIR": str(directory),
            "OCF_RESKEY_units": "switch.service agent.service",
            "OCF_RESKEY_patience": "1",
        }

    def has(self, *units: str) -> None:
        for unit in units:
            (self.active / unit).touch()

    def act(self, action: str, **more: str) -> int:
        argv, environment = ["sh", self.agent, action], {**self.environment, **more}
        return subprocess.run(argv, env=environment, capture_output=True, timeout=20, check=False).returncode


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_it_runs_while_every_unit_is_active(node: Node) -> None:
    node.has("switch.service", "agent.service")
    assert [node.act(each) for each in ("monitor", "start", "monitor", "stop", "monitor", "stop")] == [
        NOT_RUNNING,
        OK,
        OK,
        OK,
        NOT_RUNNING,
        OK,
    ]


def test_one_unit_that_stays_away_is_a_failure_after_the_patience(node: Node) -> None:
    node.has("switch.service")
    assert node.act("start") == GENERIC
    node.has("agent.service")
    assert node.act("start") == OK
    (node.active / "switch.service").unlink()
    began = time.monotonic()
    assert node.act("monitor") == GENERIC
    assert 0.4 < time.monotonic() - began < 5


def test_nothing_is_active_while_systemd_does_not_answer(node: Node) -> None:
    node.has("switch.service", "agent.service")
    (node.agent.parent / "mute").touch()
    assert node.act("start") == GENERIC


def test_a_unit_that_is_being_restarted_is_waited_for(node: Node) -> None:
    node.has("switch.service", "agent.service")
    node.act("start")
    (node.active / "agent.service").unlink()
    back = threading.Timer(0.2, node.has, ["agent.service"])
    back.start()
    assert node.act("monitor", OCF_RESKEY_patience="5") == OK
    back.join()


def test_its_description_is_well_formed_and_units_are_asked_for(node: Node) -> None:
    argv = ["sh", node.agent, "meta-data"]
    told = subprocess.run(argv, env=node.environment, capture_output=True, text=True, timeout=20, check=True).stdout
    described = ElementTree.fromstring(told.partition("\n")[2].partition("\n")[2])
    assert {each.get("name") for each in described.iterfind("parameters/parameter")} == {"units", "patience"}
    assert (node.act("validate-all"), node.act("validate-all", OCF_RESKEY_units="")) == (OK, CONFIGURED)
