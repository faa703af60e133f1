"""Who changes Pacemaker's configuration, and what happens when somebody else was faster."""

import copy
from types import SimpleNamespace
from xml.etree import ElementTree

import pacemaker_given as given
import pytest

from tripleo_ha.errors import TimedOut
from tripleo_ha.node import cib, pacemaker, rolling
from tripleo_ha.node.context import Context
from tripleo_ha.run import CommandFailed, Completed
from tripleo_ha.topology import pacemaker as topology

AGENT = given.singleton("agent")


class Cluster:
    """Stands for cibadmin, crm_diff and crm_verify: a versioned CIB that refuses a difference from an old version."""

    def __init__(self, live, quorum=True, valid=True):
        self.live = live
        self.live.set("have-quorum", "1" if quorum else "0")
        self.valid = valid
        self.overtaken = 0
        self.commands = []

    def version(self):
        return self.live.get("epoch"), self.live.get("num_updates")

    def run(self, argv, **_):
        self.commands.append(argv[0] if argv[0] != "cibadmin" else argv[1])
        if argv[:2] == ["cibadmin", "--query"]:
            return Completed(tuple(argv), 0, ElementTree.tostring(self.live, encoding="unicode"), "")
        if argv[0] == "crm_verify":
            if not self.valid:
                raise CommandFailed(argv, "exit status 78", "bad")
            return Completed(tuple(argv), 0, "", "")
        if argv[0] == "crm_diff":
            old, new = (ElementTree.parse(argv[argv.index(option) + 1]).getroot() for option in ("--original", "--new"))
            self.patch = (old.get("epoch"), old.get("num_updates")), new
            return Completed(tuple(argv), 1, "<diff/>", "")
        assert argv[:2] == ["cibadmin", "--patch"]
        if self.overtaken:
            self.overtaken -= 1
            self.live.set("num_updates", str(int(self.live.get("num_updates")) + 1))
        source, new = self.patch
        if source != self.version():
            return Completed(tuple(argv), 203, "", "Update was older than existing configuration")
        self.live = new
        return Completed(tuple(argv), 0, "", "")


@pytest.fixture
def running(monkeypatch):
    def make(configuration, **kwargs):
        cluster = Cluster(given.live(configuration), **kwargs)
        monkeypatch.setattr(cib, "run", cluster.run)
        monkeypatch.setattr(cib, "on_disk", lambda: copy.deepcopy(cluster.live))
        return cluster

    return make


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    ticks = iter(range(10**6))
    # The module's own clock only: the process's would be taken from every other thread as well.
    clock = SimpleNamespace(sleep=lambda _: None, monotonic=lambda: float(next(ticks)))
    monkeypatch.setattr("tripleo_ha.waiting.time", clock)


@pytest.fixture(autouse=True)
def images(monkeypatch):
    """The image that each other controller tells of, by its name; one that is not here does not answer."""
    told = {}
    monkeypatch.setattr(rolling, "image", lambda: "mine")

    def peer(context, node, timeout=2.0):
        return {"published": {rolling.CONTROLLER: {"image": told[node.name]}}} if node.name in told else None

    monkeypatch.setattr(Context, "peer", peer)
    return told


def base(nodes=3):
    return topology.wanted(given.cluster(nodes), given.metadata(nodes))


def test_a_configuration_in_place_costs_no_command(running):
    cluster = running(base())
    for me in range(3):
        context = given.context(me=me)
        pacemaker.configure(context, given.PACEMAKER, ())
        assert context.changes == []
    assert cluster.commands == []


def test_the_first_node_adds_a_singleton_in_one_change(running):
    cluster = running(base())
    context = given.context(rows=(AGENT,))
    pacemaker.configure(context, AGENT, (AGENT,))
    assert "agent" in topology.resources_in(cluster.live)
    assert cluster.commands == ["--query", "crm_verify", "crm_diff", "--patch"]
    assert context.changes == ["agent: Pacemaker's configuration: add primitive agent"]


def test_a_node_that_is_not_the_first_waits_and_changes_nothing(running):
    cluster = running(base())
    with pytest.raises(TimedOut, match=r"controller-0 to configure agent.*add primitive agent"):
        pacemaker.configure(given.context(me=1, rows=(AGENT,)), AGENT, (AGENT,))
    assert cluster.commands == []


def test_a_node_waits_for_the_first_one_of_its_own_image(running, images):
    images["controller-0"] = "mine"
    running(base())
    with pytest.raises(TimedOut, match=r"controller-0 to configure agent"):
        pacemaker.configure(given.context(me=1, rows=(AGENT,)), AGENT, (AGENT,))


def test_what_the_first_one_makes_of_another_image_is_left(running, images):
    images["controller-0"] = "another"
    cluster = running(base())
    context = given.context(me=1, rows=(AGENT,))
    pacemaker.configure(context, AGENT, (AGENT,))
    assert (cluster.commands, context.changes) == ([], [])


def test_the_first_one_configures_what_its_own_image_wants(running, images):
    images["controller-1"] = images["controller-2"] = "another"
    cluster = running(base())
    pacemaker.configure(given.context(rows=(AGENT,)), AGENT, (AGENT,))
    assert "agent" in topology.resources_in(cluster.live)


def test_a_change_that_was_overtaken_is_computed_anew(running):
    cluster = running(base())
    cluster.overtaken = 2
    pacemaker.configure(given.context(rows=(AGENT,)), AGENT, (AGENT,))
    assert "agent" in topology.resources_in(cluster.live)
    assert cluster.commands.count("--patch") == 3


def test_a_minority_changes_nothing(running):
    cluster = running(base(), quorum=False)
    with pytest.raises(TimedOut, match="no quorum"):
        pacemaker.configure(given.context(rows=(AGENT,)), AGENT, (AGENT,))
    assert set(cluster.commands) == {"--query"}


def test_what_crm_verify_refuses_is_not_applied(running):
    cluster = running(base(), valid=False)
    with pytest.raises(CommandFailed):
        pacemaker.configure(given.context(rows=(AGENT,)), AGENT, (AGENT,))
    assert "--patch" not in cluster.commands


def test_the_virtual_ips_row_keeps_singletons_that_run_and_adds_none(running):
    runs = topology.wanted(given.cluster(), given.metadata(), [AGENT])
    cluster = running(runs)
    pacemaker.configure(given.context(rows=(AGENT, given.singleton("later"))), given.PACEMAKER, ())
    assert cluster.commands == []


def test_a_singleton_that_left_the_metadata_is_removed(running):
    cluster = running(topology.wanted(given.cluster(), given.metadata(), [AGENT]))
    context = given.context()
    pacemaker.configure(context, given.PACEMAKER, ())
    assert "agent" not in topology.resources_in(cluster.live)
    assert context.changes == ["pacemaker: Pacemaker's configuration: remove primitive agent"]


def status(text):
    return ElementTree.fromstring(f"<result><nodes>{text}</nodes></result>")


def test_a_departed_node_is_purged_only_when_it_is_no_member_and_until_it_stays_away(monkeypatch):
    member = status('<node name="controller-3" online="true" pending="false"/>')
    offline = status('<node name="controller-3" online="false" pending="false"/>')
    seen = iter([member, None, offline, offline, status("")])
    purged = []
    live = given.live(base(), tuple(f"controller-{index}" for index in range(4)))
    monkeypatch.setattr(cib, "on_disk", lambda: live)
    monkeypatch.setattr(cib, "status", lambda: next(seen))
    monkeypatch.setattr(pacemaker, "run", lambda argv, **_: purged.append(argv))
    context = given.context()
    pacemaker.forget_departed(context, given.PACEMAKER)
    assert purged == [["crm_node", "--force", "--remove", "controller-3"]] * 2
    assert context.changes == ["pacemaker: forgot controller-3"]


def test_waiting_for_resources_names_what_lacks(monkeypatch):
    here = status('<node name="controller-0" online="false" pending="false"/>')
    monkeypatch.setattr(cib, "status", lambda: here)
    with pytest.raises(TimedOut, match="controller-0 is not online; vip-control is not on exactly one node"):
        pacemaker.wait_until_started(given.context(), ["vip-control"])


def test_a_node_that_has_a_configuration_is_given_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(cib, "DIRECTORY", tmp_path)
    monkeypatch.setattr(cib, "FILE", tmp_path / "cib.xml")
    monkeypatch.setattr(cib, "USER", "root")
    assert cib.on_disk() is None
    assert cib.plant("<cib/>")
    assert cib.FILE.stat().st_mode & 0o777 == 0o600
    assert not cib.plant("<cib epoch='1'/>")
    assert cib.FILE.read_text() == "<cib/>"
