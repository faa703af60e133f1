"""The resource agent that holds a virtual IP, run for real in a network namespace of its own."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tripleo_ha import paths
from tripleo_ha.errors import TimedOut
from tripleo_ha.waiting import wait_for

AGENT = paths.elements() / "pacemaker/static/usr/lib/ocf/resource.d/tripleo-ha/address"
OK, GENERIC, UNIMPLEMENTED, CONFIGURED, NOT_RUNNING = 0, 1, 3, 6, 7
NAMESPACE = f"tha-unit-{os.getpid()}"
IN_NAMESPACE = ["ip", "netns", "exec", NAMESPACE]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces")
Run = Callable[..., "subprocess.CompletedProcess[str]"]
Act = Callable[..., int]


@pytest.fixture(params=[("192.0.2.10", 24), ("2001:db8::10", 64)], ids=["IPv4", "IPv6"])
def given(request: pytest.FixtureRequest) -> tuple[str, int]:
    address: tuple[str, int] = request.param
    return address


@pytest.fixture
def run(tmp_path: Path, given: tuple[str, int]) -> Iterator[Run]:
    (tmp_path / "ocf-returncodes").write_text(
        "OCF_ERR_GENERIC=1 OCF_ERR_UNIMPLEMENTED=3 OCF_ERR_CONFIGURED=6 OCF_NOT_RUNNING=7\n"
    )
    for sender in ("send_arp", "send_ua"):
        (tmp_path / sender).write_text(f'#!/bin/sh\necho "{sender} $*" >> {tmp_path}/announced\n')
        (tmp_path / sender).chmod(0o755)
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/started\n')
    (tmp_path / "systemctl").chmod(0o755)
    ip, prefix = given

    def agent(action: str, interface: str = "near") -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "OCF_ROOT": str(tmp_path),
            "OCF_FUNCTIONS_DIR": str(tmp_path),
            "HA_LIBEXEC": str(tmp_path),
            "OCF_RESKEY_ip": ip,
            "OCF_RESKEY_prefix": str(prefix),
            "OCF_RESKEY_interface": interface,
        }
        argv = [*IN_NAMESPACE, AGENT, action]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=20, check=False)

    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True, timeout=20)
    try:
        make = "ip link add near type veth peer name far && ip link set near up && ip link set far up"
        subprocess.run([*IN_NAMESPACE, "sh", "-c", make], check=True, timeout=20)
        yield agent
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=True, timeout=20)


@pytest.fixture
def act(run: Run) -> Act:
    return lambda *arguments, **others: run(*arguments, **others).returncode


def addresses() -> dict[str, dict[str, object]]:
    shown = subprocess.check_output([*IN_NAMESPACE, "ip", "-json", "address", "show", "dev", "near"], timeout=20)
    return {each["local"]: each for link in json.loads(shown) for each in link["addr_info"]}


def test_it_adds_the_address_once_and_takes_it_away(act: Act, given: tuple[str, int]) -> None:
    ip, prefix = given
    assert act("monitor") == NOT_RUNNING
    assert (act("start"), act("start"), act("monitor")) == (OK, OK, OK)
    assert addresses()[ip]["prefixlen"] == prefix
    assert "tentative" not in addresses()[ip], "nothing holds an address up until nobody has objected"
    assert (act("stop"), act("monitor"), act("stop")) == (OK, NOT_RUNNING, OK)
    assert ip not in addresses()


def test_another_address_of_the_same_network_is_not_taken_for_it(act: Act, given: tuple[str, int]) -> None:
    ip, prefix = given
    other = f"{ip}1/{prefix}"
    subprocess.run([*IN_NAMESPACE, "ip", "address", "add", other, "dev", "near"], check=True, timeout=20)
    assert act("monitor") == NOT_RUNNING
    assert act("stop") == OK
    assert other.partition("/")[0] in addresses()


def test_it_announces_the_address_while_it_is_here(act: Act, given: tuple[str, int], tmp_path: Path) -> None:
    sender = {24: "send_arp -r 1 near 192.0.2.10 auto not_used not_used", 64: "send_ua -i 1 -c 1 2001:db8::10 64 near"}
    announced = tmp_path / "announced"
    act("start")
    wait_for("the second announcement", lambda: told(announced) > 1, timeout=20)
    act("stop")
    before = told(announced)
    assert set(announced.read_text().splitlines()) == {sender[given[1]]}
    with pytest.raises(TimedOut, match="an announcement of an address that has left"):
        wait_for("an announcement of an address that has left", lambda: told(announced) > before + 1, timeout=0.6)


def test_it_has_the_sessions_of_an_address_that_leaves_ended(act: Act, tmp_path: Path) -> None:
    started = tmp_path / "started"
    assert (act("start"), act("stop")) == (OK, OK)
    wait_for("the unit to be started", lambda: told(started) == 1, timeout=20)
    unit = started.read_text().split()[-1]
    assert (paths.elements() / "pacemaker/static/usr/lib/systemd/system" / unit).exists()
    assert act("stop") == OK
    with pytest.raises(TimedOut, match="to be started again"):
        wait_for("the unit to be started again", lambda: told(started) > 1, timeout=0.6)


def told(announced: Path) -> int:
    return len(announced.read_text().splitlines()) if announced.exists() else 0


def test_an_interface_that_is_not_there_is_told_apart(act: Act) -> None:
    assert act("validate-all") == OK
    assert act("validate-all", interface="none") == CONFIGURED
    assert act("start", interface="none") == GENERIC
    assert act("stop", interface="none") == OK


def test_its_description_is_well_formed_and_names_what_it_does(run: Run) -> None:
    shown = run("meta-data").stdout
    described = ElementTree.fromstring(shown.partition("\n")[2].partition("\n")[2])
    actions = {action.get("name") for action in described.iterfind("actions/action")}
    assert actions == {"start", "stop", "monitor", "meta-data", "validate-all"}
    assert run("promote").returncode == UNIMPLEMENTED
