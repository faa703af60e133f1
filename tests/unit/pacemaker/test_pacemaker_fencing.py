"""Fencing: what the CIB holds of the devices, what only files hold, and what is told when a node cannot be fenced."""

import hashlib
import subprocess
from types import SimpleNamespace
from xml.etree import ElementTree

import pacemaker_given as given
import pytest
from test_pacemaker_wanted import needs_pacemaker, newest_schema

from tripleo_ha import paths
from tripleo_ha.errors import Failure
from tripleo_ha.node import corosync, fencing
from tripleo_ha.topology import fencing as topology
from tripleo_ha.topology import pacemaker

PASSWORD = "correct horse battery"
NODES = ("controller-0", "controller-1", "controller-2")


def document(nodes=3, password=PASSWORD, agent="fence_ipmilan", **options):
    devices = {
        f"controller-{index}": {"agent": agent, "options": {"ip": "192.0.2.1", "password": password, **options}}
        for index in range(nodes)
    }
    own = given.metadata()["pacemaker"]
    return given.metadata(nodes, pacemaker={**own, "fencing": {"devices": devices}})


def wanted(metadata, nodes=3, runs=()):
    return pacemaker.wanted(given.cluster(nodes), metadata, runs)


def pairs(element, path):
    return {pair.get("name"): pair.get("value") for pair in element.iterfind(path)}


def test_no_secret_is_in_the_configuration_and_every_secret_is_in_a_file():
    metadata = document(hexadecimal_kg="0123456789abcdef", api_key="another secret", passwd_script="/etc/x")
    text = ElementTree.tostring(wanted(metadata), encoding="unicode")
    assert all(secret not in text for secret in (PASSWORD, "0123456789abcdef", "another secret"))
    device = ElementTree.fromstring(text).find("resources/primitive[@id='fence-controller-0']")
    shown = pairs(device, "instance_attributes/nvpair")
    assert {shown[name] for name in ("password", "hexadecimal_kg", "api_key")} == {"lrm://"}
    assert (shown["ip"], shown["passwd_script"]) == ("192.0.2.1", "/etc/x")
    files = topology.secrets(given.cluster(), metadata)
    assert set(files) == {f"fence-{node}" for node in NODES}
    hidden = {"password": PASSWORD, "hexadecimal_kg": "0123456789abcdef", "api_key": "another secret"}
    assert files["fence-controller-0"] == hidden


def test_a_changed_password_is_a_difference_and_tells_nothing_of_it():
    before, after = wanted(document()), wanted(document(password="another password"))
    found = pacemaker.differences(given.live(before), after)
    assert found == [f"change primitive fence-{node}" for node in NODES]
    shown = pairs(before, "resources/primitive/meta_attributes/nvpair")["tripleo-ha-secrets"]
    assert shown != hashlib.sha256(PASSWORD.encode()).hexdigest()[: len(shown)]
    other_key = document()
    other_key["pacemaker"]["corosync_authkey"] = "BBBB"
    assert pairs(wanted(other_key), "resources/primitive/meta_attributes/nvpair")["tripleo-ha-secrets"] != shown


def test_an_option_of_the_metadata_goes_before_ours():
    device = wanted(document(pcmk_host_list="a-blade")).find("resources/primitive[@id='fence-controller-0']")
    assert pairs(device, "instance_attributes/nvpair")["pcmk_host_list"] == "a-blade"


def simulated(configuration, tmp_path, lost="controller-0"):
    """Return what Pacemaker does when a node that ran everything is lost, in order; ``crm_simulate`` is asked."""
    cib = ElementTree.fromstring(pacemaker.seed(configuration).replace(pacemaker.SCHEMA, newest_schema()))
    cib.set("have-quorum", "1")
    for number, node in enumerate(NODES, 1):
        ElementTree.SubElement(cib.find("configuration/nodes"), "node", {"id": str(number), "uname": node})
    runs = {"vip-control", "vip-public", "agent"}
    for number, node in enumerate(NODES, 1):
        up = node != lost
        state = {"id": str(number), "uname": node, "join": "member" if up else "down", "expected": "member"}
        state |= {"in_ccm": "true" if up else "false", "crmd": "online" if up else "offline"}
        lrm = ElementTree.SubElement(ElementTree.SubElement(cib.find("status"), "node_state", state), "lrm")
        lrm.set("id", str(number))
        resources = ElementTree.SubElement(lrm, "lrm_resources")
        for primitive in configuration.iterfind("resources//primitive"):
            name = primitive.get("id")
            active = node == lost if name in runs else name == pacemaker.ENTRY
            history(resources, primitive, active)
    file = tmp_path / "cib.xml"
    file.write_text(ElementTree.tostring(cib, encoding="unicode"))
    done = subprocess.run(
        ["crm_simulate", "--simulate", "--xml-file", file, "--save-graph", tmp_path / "graph.xml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, ElementTree.parse(tmp_path / "graph.xml").getroot()


def history(resources, primitive, active):
    kind = {key: primitive.get(key) for key in ("id", "class", "type", "provider") if primitive.get(key)}
    found = ElementTree.SubElement(resources, "lrm_resource", kind)
    code, task = ("0", "start") if active else ("7", "monitor")
    operation = {"id": f"{primitive.get('id')}_last_0", "operation": task, "operation_key": f"{kind['id']}_{task}_0"}
    operation |= {"crm-debug-origin": "test", "call-id": "1", "rc-code": code, "op-status": "0", "interval": "0"}
    operation |= {"transition-key": "1:1:0:0", "transition-magic": "0:0;1:1:0:0", "crm_feature_set": "3.0.0"}
    ElementTree.SubElement(found, "lrm_rsc_op", operation)


def waits_for(graph, key):
    """Return the keys of all actions that come before one, at any distance."""
    inputs = {}
    for synapse in graph.iterfind("synapse"):
        names = [action.get("operation_key") or action.get("operation") for action in synapse.find("action_set")]
        before = {
            trigger.get("operation_key") or trigger.get("operation") for trigger in synapse.iterfind("inputs/trigger/*")
        }
        for name in names:
            inputs.setdefault(name, set()).update(before)
    found, left = set(), [key]
    assert key in inputs, f"{key} does not happen"
    while left:
        new = inputs.get(left.pop(), set()) - found
        found |= new
        left += new
    return found


@needs_pacemaker
def test_a_singleton_starts_after_the_fencing_and_a_virtual_ip_does_not_wait(tmp_path):
    configuration = wanted(document(), runs=[given.singleton("agent")])
    told, graph = simulated(configuration, tmp_path)
    assert "Fencing controller-0 (reboot)" in told
    fence = {action.get("operation_key") for action in graph.iter("crm_event") if action.get("operation") == "stonith"}
    assert fence & waits_for(graph, "agent_start_0")
    assert not fence & waits_for(graph, "vip-control_start_0")
    assert not fence & waits_for(graph, "vip-public_start_0")


@needs_pacemaker
def test_that_test_sees_an_address_that_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(pacemaker, "MOVES_AT_ONCE", {"requires": "fencing"})
    _, graph = simulated(wanted(document()), tmp_path)
    fence = {action.get("operation_key") for action in graph.iter("crm_event") if action.get("operation") == "stonith"}
    assert fence & waits_for(graph, "vip-control_start_0")


STATUS = """
<pacemaker-result>
  <nodes>
    <node name="controller-0" online="true" unclean="false"/>
    <node name="controller-1" online="false" unclean="true"/>
    <node name="controller-2" online="false" unclean="true"/>
  </nodes>
  <resources>
    <resource id="fence-controller-0" role="Started" failed="false"/>
    <resource id="fence-controller-1" role="Stopped" failed="false"/>
    <resource id="fence-controller-2" role="Started" failed="true"/>
  </resources>
  <fence_history>
    <fence_event target="controller-1" action="reboot" status="failed" exit-reason="Unable to obtain plug status"/>
    <fence_event target="controller-2" action="reboot" status="success"/>
  </fence_history>
</pacemaker-result>
"""


def test_who_is_lost_and_not_fenced_is_told_with_the_reason(monkeypatch):
    monkeypatch.setattr(fencing.cib, "status", lambda: ElementTree.fromstring(STATUS))
    lines = fencing.problems(document())
    assert len(lines) == 4
    assert "controller-1 is lost and not fenced (reboot: Unable to obtain plug status)" in lines[0]
    assert "stonith_admin --confirm controller-1" in lines[0]
    # A success of an earlier time is no reason.
    assert "controller-2 is lost and not fenced (not fenced yet)" in lines[1]
    assert "device of controller-1" in lines[2] and "device of controller-2" in lines[3]
    assert fencing.problems(given.metadata()) == ()


def test_a_pacemaker_that_does_not_answer_fences_nobody(monkeypatch):
    monkeypatch.setattr(fencing.cib, "status", lambda: None)
    assert "fences nobody" in fencing.problems(document())[0]


@pytest.fixture
def node(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNTIME", tmp_path / "run")
    monkeypatch.setattr(fencing, "SECRETS", tmp_path / "secrets")
    monkeypatch.setattr(fencing, "AGENTS", tmp_path / "sbin")
    (tmp_path / "sbin").mkdir()
    (tmp_path / "run" / "published").mkdir(parents=True)
    return tmp_path


def context(metadata, me=0):
    made = given.context(me=me)
    made.metadata = metadata
    return made


def test_files_of_secrets_are_roots_alone_signed_and_follow_the_metadata(node):
    fencing.write_secrets(context(document()), given.PACEMAKER)
    file = node / "secrets" / "fence-controller-1" / "password"
    assert file.read_text() == PASSWORD
    assert file.with_suffix(".sign").read_text() == hashlib.md5(PASSWORD.encode()).hexdigest()
    for path in (node / "secrets").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    fencing.write_secrets(context(document(password="", api_key="another secret")), given.PACEMAKER)
    assert {each.name for each in file.parent.iterdir()} == {"api_key", "api_key.sign"}
    fencing.write_secrets(context(given.metadata()), given.PACEMAKER)
    assert list((node / "secrets").iterdir()) == []


def test_an_agent_that_the_image_lacks_is_named_before_anything_is_applied(node):
    (node / "sbin" / "fence_ipmilan").touch()
    fencing.refuse_missing_agents(document())
    fencing.refuse_missing_agents(given.metadata())
    with pytest.raises(Failure, match=r"fence_apc, the agent of controller-0, controller-1, controller-2") as caught:
        fencing.refuse_missing_agents(document(agent="fence_apc"))
    assert "fence_ipmilan" in caught.value.hint


@pytest.fixture
def clock(monkeypatch):
    ticks = iter(range(10**6))
    still = SimpleNamespace(sleep=lambda _: None, monotonic=lambda: float(next(ticks)))
    monkeypatch.setattr(fencing, "time", still)
    monkeypatch.setattr("tripleo_ha.waiting.time", still)
    monkeypatch.setattr(fencing.units, "is_active", lambda unit: False)


@pytest.mark.parametrize("members, running", [(set(NODES), False), ({"controller-0"}, True)])
def test_a_node_goes_on_at_once_when_all_are_members_or_a_cluster_runs(clock, monkeypatch, members, running):
    asked = []
    monkeypatch.setattr(corosync, "is_member", lambda node: asked.append(node) or node.name in members)
    told = {"published": {"pacemaker": {"pacemaker_runs": running}}}
    here = context(document())
    monkeypatch.setattr(type(here), "peer", lambda self, node, timeout=2.0: told)
    fencing.wait_for_members(here, given.PACEMAKER)
    assert len(asked) <= len(NODES)


def test_a_node_waits_for_those_that_stay_away_and_goes_on_without_them(clock, monkeypatch):
    asked = []
    monkeypatch.setattr(corosync, "is_member", lambda node: asked.append(node) or False)
    here = context(document())
    monkeypatch.setattr(type(here), "peer", lambda self, node, timeout=2.0: None)
    fencing.wait_for_members(here, given.PACEMAKER)
    assert len(asked) > 1
    asked.clear()
    fencing.wait_for_members(context(given.metadata()), given.PACEMAKER)
    assert asked == [], "without fencing nobody is taken for lost"


def test_the_first_node_makes_secrets_known_only_when_the_others_have_them(clock, monkeypatch):
    here = context(document())
    ready = {"published": {"pacemaker": {"fence_secrets": fencing._generation(here)}}}
    late = {"published": {"pacemaker": {"fence_secrets": "of before"}}}
    answers = iter([late, late, ready, ready])
    monkeypatch.setattr(type(here), "peer", lambda self, node, timeout=2.0: next(answers))
    fencing.wait_for_secrets(here)
    assert next(answers, None) is None
    fencing.wait_for_secrets(context(document(), me=1))
