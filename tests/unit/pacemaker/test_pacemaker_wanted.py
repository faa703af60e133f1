"""What Pacemaker shall run: properties of the computed CIB, and its comparison with a live one."""

import copy
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pacemaker_given as given
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from tripleo_ha import cluster as clusters
from tripleo_ha.topology import pacemaker as topology

unhurried = settings(deadline=None, max_examples=50)
names = st.lists(st.sampled_from(["agent", "l3-agent", "volume", "volume-backup"]), unique=True, max_size=4)
sizes = st.sampled_from([1, 2, 3, 5, 7])


@st.composite
def situations(draw):
    """Cluster, metadata and the singletons that may run."""
    nodes = draw(sizes)
    services = {}
    if draw(st.booleans()):
        services["pacemaker"] = {"fencing": {"devices": draw(devices(nodes))}}
    document = given.metadata(nodes, draw(st.integers(0, nodes - 1)), **services)
    if draw(st.booleans()):
        del document["haproxy"]
    rows = [given.singleton(name, *(f"{name}-{part}.service" for part in draw(names))) for name in draw(names)]
    rows = [replace(row, needs=("switch.service",) * draw(st.integers(0, 2))) for row in rows]
    return given.cluster(nodes), document, rows


def devices(nodes):
    option = st.one_of(st.booleans(), st.integers(0, 9), st.text("abc <&\"'", max_size=5))
    options = st.dictionaries(st.sampled_from(["ip", "password", "lanplus"]), option)
    device = st.fixed_dictionaries({"agent": st.just("fence_x")}, optional={"options": options})
    return st.dictionaries(st.sampled_from([f"controller-{index}" for index in range(nodes + 1)]), device)


def properties(configuration):
    return {pair.get("name"): pair.get("value") for pair in configuration.iterfind("crm_config//nvpair")}


def primitive(configuration, name):
    return configuration.find(f"resources//primitive[@id='{name}']")


@unhurried
@for_all(situations())
def test_every_id_is_there_once_and_every_reference_leads_to_a_resource(situation):
    configuration = topology.wanted(*situation)
    ids = [element.get("id") for element in configuration.iter() if "id" in element.keys()]  # noqa: SIM118
    assert len(ids) == len(set(ids))
    resources = {element.get("id") for element in configuration.iterfind("resources/*")}
    for constraint in configuration.iterfind("constraints/*"):
        assert constraint.get("rsc") in resources
        assert constraint.get("with-rsc", constraint.get("rsc")) in resources


@unhurried
@for_all(situations())
def test_all_nodes_compute_the_same(situation):
    cluster, document, rows = situation
    texts = set()
    for node in document["cluster"]["nodes"]:
        elsewhere = {**document, "node": {"name": node["name"]}}
        texts.add(topology.seed(topology.wanted(cluster, elsewhere, list(reversed(rows)))))
        texts.add(topology.seed(topology.wanted(cluster, elsewhere, rows)))
    assert len(texts) == 1


@unhurried
@for_all(situations())
def test_what_was_applied_is_not_applied_again(situation):
    configuration = topology.wanted(*situation)
    live = given.live(configuration)
    assert topology.differences(live, configuration) == []
    reread = ElementTree.fromstring(ElementTree.tostring(live))
    assert topology.differences(reread, configuration) == []


@unhurried
@for_all(situations(), situations())
def test_merging_reaches_the_wanted_and_keeps_what_is_not_ours(before, after):
    live = given.live(topology.wanted(*before))
    untouched = copy.deepcopy(live)
    wish = topology.wanted(*after)
    merged = topology.merged(live, wish)
    assert topology.differences(merged, wish) == []
    assert ElementTree.tostring(live) == ElementTree.tostring(untouched)
    for section in ("configuration/nodes", "status"):
        assert ElementTree.tostring(merged.find(section)) == ElementTree.tostring(live.find(section))
    assert merged.find("configuration/crm_config/cluster_property_set[@id='cib-bootstrap-options']") is not None
    assert int(merged.get("epoch")) == int(live.get("epoch")) + 1


@pytest.mark.parametrize("nodes, policy", [(1, "ignore"), (2, "stop"), (3, "stop"), (5, "stop")])
def test_only_a_cluster_of_one_goes_on_without_quorum(nodes, policy):
    assert properties(topology.wanted(given.cluster(nodes), given.metadata(nodes)))["no-quorum-policy"] == policy


def test_virtual_ips_stay_together_where_haproxy_answers():
    configuration = topology.wanted(given.cluster(), given.metadata())
    constraints = configuration.find("constraints")
    together = {(each.get("rsc"), each.get("with-rsc"), each.get("score")) for each in constraints}
    assert together == {
        ("vip-control", "haproxy-answers-clone", "INFINITY"),
        ("vip-public", "haproxy-answers-clone", "INFINITY"),
        ("vip-public", "vip-control", "INFINITY"),
    }
    vip = primitive(configuration, "vip-public")
    told = {pair.get("name"): pair.get("value") for pair in vip.iterfind("instance_attributes/nvpair")}
    assert told == {"ip": "198.51.100.10", "prefix": "24", "interface": "host1"}


def test_without_haproxy_nothing_asks_for_it():
    document = given.metadata()
    del document["haproxy"]
    configuration = topology.wanted(given.cluster(), document)
    assert primitive(configuration, topology.ENTRY) is None
    assert len(configuration.find("constraints")) == 1


def test_a_singleton_is_its_unit_under_systemd():
    configuration = topology.wanted(given.cluster(), given.metadata(), [given.singleton("agent", "agent.service")])
    found = primitive(configuration, "agent")
    assert (found.get("class"), found.get("type"), found.get("provider")) == ("systemd", "agent", None)
    assert configuration.findall("resources/clone/primitive[@id='agent']") == []


def test_a_row_of_two_units_is_two_resources():
    row = given.singleton("volume", "volume.service", "backup.service")
    configuration = topology.wanted(given.cluster(), given.metadata(), [row])
    assert primitive(configuration, "volume-volume").get("type") == "volume"
    assert primitive(configuration, "volume-backup").get("type") == "backup"


def fenced(nodes, *names):
    devices = {name: {"agent": "fence_ipmilan", "options": {"ip": name, "lanplus": True}} for name in names}
    return given.metadata(nodes, pacemaker={"fencing": {"devices": devices}})


def test_fencing_is_on_only_with_devices_and_a_peer_to_fence():
    def enabled(nodes, document):
        return properties(topology.wanted(given.cluster(nodes), document))["stonith-enabled"]

    assert enabled(3, given.metadata(3)) == "false"
    assert enabled(3, fenced(3, "controller-0")) == "true"
    assert enabled(1, fenced(1, "controller-0")) == "false"


def test_a_fence_device_runs_anywhere_but_on_its_target():
    configuration = topology.wanted(given.cluster(), fenced(3, "controller-1", "not-a-member"))
    device = primitive(configuration, "fence-controller-1")
    assert (device.get("class"), device.get("type")) == ("stonith", "fence_ipmilan")
    told = {pair.get("name"): pair.get("value") for pair in device.iterfind("instance_attributes/nvpair")}
    assert told["pcmk_host_list"] == "controller-1" and told["lanplus"] == "true"
    location = configuration.find("constraints/rsc_location[@rsc='fence-controller-1']")
    assert (location.get("node"), location.get("score")) == ("controller-1", "-INFINITY")
    assert primitive(configuration, "fence-not-a-member") is None


def test_a_seed_is_older_than_any_configuration_in_use():
    seed = ElementTree.fromstring(topology.seed(topology.wanted(given.cluster(), given.metadata())))
    assert (seed.get("admin_epoch"), seed.get("epoch"), seed.get("num_updates")) == ("0", "1", "0")
    assert [child.tag for child in seed] == ["configuration", "status"]
    assert properties(seed.find("configuration"))["dc-deadtime"] == "2s"


def test_differences_are_named_one_by_one():
    before = [given.singleton("old"), given.singleton("same")]
    live = given.live(topology.wanted(given.cluster(), given.metadata(), before))
    document = given.metadata()
    document["cluster"]["virtual_ips"]["public"]["prefix"] = 25
    rows = [given.singleton("new"), given.singleton("same")]
    wish = topology.wanted(clusters.from_metadata(document), document, rows)
    found = topology.differences(live, wish)
    assert found == ["add primitive new", "change primitive vip-public", "remove primitive old"]


def test_an_operators_move_and_properties_are_no_difference_and_survive():
    configuration = topology.wanted(given.cluster(), given.metadata())
    live = given.live(configuration)
    constraints = live.find("configuration/constraints")
    ElementTree.SubElement(constraints, "rsc_location", {"id": "cli-ban-vip-control-on-controller-0"})
    bootstrap = live.find("configuration/crm_config/cluster_property_set[@id='cib-bootstrap-options']")
    ElementTree.SubElement(bootstrap, "nvpair", {"id": "o-m", "name": "maintenance-mode", "value": "true"})
    assert topology.differences(live, configuration) == []
    merged = topology.merged(live, topology.wanted(given.cluster(), given.metadata(), [given.singleton("agent")]))
    assert merged.find("configuration/constraints/rsc_location[@id='cli-ban-vip-control-on-controller-0']") is not None
    assert merged.find(".//nvpair[@name='maintenance-mode']") is not None


def test_a_constraint_of_anybody_else_is_removed():
    configuration = topology.wanted(given.cluster(), given.metadata())
    live = given.live(configuration)
    ElementTree.SubElement(live.find("configuration/constraints"), "rsc_location", {"id": "by-hand"})
    assert topology.differences(live, configuration) == ["remove rsc_location by-hand"]
    assert topology.merged(live, configuration).find(".//rsc_location[@id='by-hand']") is None


def test_nodes_that_left_the_metadata_have_departed():
    live = given.live(topology.wanted(given.cluster(), given.metadata()), tuple(f"controller-{i}" for i in range(5)))
    assert topology.departed(live, given.cluster(3)) == ("controller-3", "controller-4")
    assert topology.departed(live, given.cluster(5)) == ()


STATUS = """
<pacemaker-result>
  <nodes>
    <node name="controller-0" online="true" pending="false"/>
    <node name="controller-1" online="true" pending="true"/>
    <node name="controller-2" online="false" pending="false"/>
  </nodes>
  <resources>
    <clone id="haproxy-answers-clone">
      <resource id="haproxy-answers" role="Started" failed="false"><node name="controller-0"/></resource>
      <resource id="haproxy-answers" role="Started" failed="true"><node name="controller-1"/></resource>
      <resource id="haproxy-answers" role="Stopped" failed="false"/>
    </clone>
    <resource id="vip-control" role="Started" failed="false"><node name="controller-0"/></resource>
    <resource id="vip-public" role="Starting" failed="false"><node name="controller-0"/></resource>
    <resource id="twice" role="Started" failed="false"><node name="controller-0"/><node name="controller-1"/></resource>
  </resources>
</pacemaker-result>
"""


@pytest.mark.parametrize(
    "resource, where",
    [
        ("haproxy-answers", ("controller-0",)),
        ("vip-control", ("controller-0",)),
        ("vip-public", ()),
        ("twice", ("controller-0", "controller-1")),
        ("unknown", ()),
    ],
)
def test_started_counts_neither_what_starts_nor_what_failed(resource, where):
    assert topology.started_on(ElementTree.fromstring(STATUS), resource) == where


def test_a_node_is_online_when_it_may_run_resources():
    status = ElementTree.fromstring(STATUS)
    assert [topology.is_online(status, f"controller-{index}") for index in range(4)] == [True, False, False, False]
    assert [topology.has_node(status, f"controller-{index}") for index in range(4)] == [True, True, True, False]


def two_nodes(*, other, on):
    """What crm_mon says when controller-0 is in standby; ``other`` are the attributes of controller-1."""
    resource = f'<resource id="vip-control" role="Started" failed="false"><node name="{on}"/></resource>' if on else ""
    return ElementTree.fromstring(
        f"""<pacemaker-result><nodes><node name="controller-0" online="true" pending="false" standby="true"/>
        <node name="controller-1" {other}/></nodes><resources>{resource}</resources></pacemaker-result>"""
    )


ABLE = 'online="true" pending="false" standby="false"'


@pytest.mark.parametrize(
    "other, on, moved",
    [
        (ABLE, "controller-1", True),
        (ABLE, "controller-0", False),
        (ABLE, None, False),
        (ABLE.replace("false", "true"), None, True),
        ('online="false" pending="false" standby="false"', None, True),
    ],
    ids=["there", "still here", "on its way", "the other leaves as well", "nobody else"],
)
def test_what_a_leaving_node_had_is_waited_for_where_another_can_have_it(other, on, moved):
    status = two_nodes(other=other, on=on)
    assert topology.have_moved(status, ["vip-control"], "controller-0") is moved


def newest_schema():
    """Return the newest schema that the Pacemaker of this machine knows: the image's may be newer."""
    known = [path.stem for path in Path("/usr/share/pacemaker").glob("pacemaker-[0-9]*.rng")]
    return max(known, key=lambda name: [int(part) for part in name.partition("-")[2].split(".")])


def judged_by_pacemaker(cib, file):
    """Run ``crm_verify``."""
    file.write_text(cib.replace(topology.SCHEMA, newest_schema()))
    return subprocess.run(["crm_verify", "--xml-file", file, "-V"], capture_output=True, text=True, check=False)


needs_pacemaker = pytest.mark.skipif(not shutil.which("crm_verify"), reason="pacemaker-cli-utils is not installed")


@needs_pacemaker
@pytest.mark.parametrize("nodes", [1, 3, 5])
def test_pacemaker_itself_finds_nothing_wrong(nodes, tmp_path):
    document = fenced(nodes, *(f"controller-{index}" for index in range(nodes)))
    cib = topology.seed(topology.wanted(given.cluster(nodes), document, [given.singleton("agent")]))
    done = judged_by_pacemaker(cib, tmp_path / "cib.xml")
    assert done.returncode == 0, done.stderr


@needs_pacemaker
def test_pacemaker_itself_finds_a_constraint_without_its_resource_wrong(tmp_path):
    cib = topology.seed(topology.wanted(given.cluster(), given.metadata()))
    assert judged_by_pacemaker(cib.replace('with-rsc="vip-control"', ""), tmp_path / "cib.xml").returncode != 0


def test_a_singletons_units_are_started_in_order_on_one_node_where_what_it_needs_is_active():
    row = replace(given.singleton("router", "ground.service", "router.service"), needs=("switch.service", "a.service"))
    configuration = topology.wanted(given.cluster(), given.metadata(), [row])
    group = configuration.find("resources/group[@id='router']")
    assert [member.get("type") for member in group] == ["ground", "router"]
    watch = configuration.find("resources/clone[@id='router-needs-clone']/primitive")
    assert (watch.get("class"), watch.get("type"), watch.get("provider")) == ("ocf", "units", "tripleo-ha")
    (parameter,) = watch.iterfind("instance_attributes/nvpair")
    assert (parameter.get("name"), parameter.get("value")) == ("units", "switch.service a.service")
    (together,) = configuration.iterfind("constraints/rsc_colocation[@rsc='router']")
    assert (together.get("with-rsc"), together.get("score")) == ("router-needs-clone", "INFINITY")
