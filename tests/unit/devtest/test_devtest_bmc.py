"""What a node's BMC tells and does, and what the metadata says of it."""

import stat
from pathlib import Path

import pytest

from tripleo_ha.devtest import bmc, bmcs, cgroups, container, network, store
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.layout import node_names
from tripleo_ha.metadata import check
from tripleo_ha.metadata.generate import CORE, Description, generate, numbered
from tripleo_ha.metadata.passwords import ensure

NODE = "overcloud-controller-0"


@pytest.fixture
def bed(tmp_path, monkeypatch):
    """A bed whose containers are a set of names."""
    store.save(tmp_path, store.Record("/image", "x", node_names(3), fencing=True))
    monkeypatch.setattr(cgroups, "find", lambda state: Path("/cgroup"))
    made = Bed.open(tmp_path)
    on = set()
    monkeypatch.setattr(cgroups, "populated", lambda cgroup: cgroup.name in on)
    monkeypatch.setattr(cgroups, "kill", lambda cgroup: on.discard(cgroup.name))
    monkeypatch.setattr(network, "set_links", lambda *_: None)
    monkeypatch.setattr(network, "create", lambda *_: None)
    monkeypatch.setattr(container, "prepare", lambda *_: None)
    monkeypatch.setattr(container, "start", lambda node, *_: on.add(node.name))
    monkeypatch.setattr(container, "shut_down", lambda node, *_: on.discard(node.name))
    monkeypatch.setattr(container, "leader", lambda cgroup: 1 if cgroup.name in on else None)
    made.on = on
    return made


def test_a_bmc_cuts_and_boots_the_node(bed):
    bed.launch(NODE)
    assert bed.bmc_tells_on(NODE)
    bed.bmc_off(NODE)
    assert bed.on == set() and not bed.bmc_tells_on(NODE)
    bed.bmc_on(NODE)
    assert bed.on == {NODE} and bed.bmc_tells_on(NODE)


@pytest.mark.parametrize("take_away", [Bed.power_off, Bed.stop])
def test_a_node_that_a_person_keeps_off_stays_off_whatever_its_bmc_is_told(bed, take_away):
    bed.launch(NODE)
    take_away(bed, NODE)
    assert not bed.bmc_tells_on(NODE)
    # What Pacemaker's reboot does: it has to end well, or nothing would start elsewhere.
    bed.bmc_off(NODE)
    assert not bed.bmc_tells_on(NODE)
    bed.bmc_on(NODE)
    assert bed.bmc_tells_on(NODE) and bed.on == set()
    bed.power_on(NODE)
    assert bed.on == {NODE}
    bed.bmc_off(NODE)
    assert not bed.bmc_tells_on(NODE)


def test_a_node_that_shuts_down_is_told_to_be_on_until_it_is_off(bed, monkeypatch):
    bed.launch(NODE)
    told = []
    monkeypatch.setattr(container, "shut_down", lambda *_: told.append(bed.bmc_tells_on(NODE)))
    bed.stop(NODE)
    assert told == [True]


def test_credentials_are_made_once_and_nobody_else_reads_them(tmp_path):
    known = bmcs.credentials(tmp_path)
    assert bmcs.credentials(tmp_path) == known and len(known.password) == 20
    assert known.password not in repr(known)
    assert stat.S_IMODE((tmp_path / "passwords.yaml").stat().st_mode) == 0o600
    assert bmc.Credentials(tmp_path).get(known.user) == known.password
    assert bmc.Credentials(tmp_path).get("admin") is None


def test_the_metadata_has_a_device_for_each_node_and_is_accepted(tmp_path, bed):
    known = ensure(tmp_path / "passwords.yaml", CORE)
    own = {"pacemaker": {"fencing": bmcs.fencing(tmp_path, bed.nodes)}}
    document = generate(Description(numbered(3), overrides=own), known)[NODE]
    assert [str(each) for each in check.check_document(document)] == []
    ports = {each["options"]["ipport"] for each in document["pacemaker"]["fencing"]["devices"].values()}
    assert len(ports) == 3 and bmcs.SECTION not in document


def test_old_sessions_are_forgotten_and_nothing_else():
    client, other, socket = ("192.0.2.11", 4711), ("192.0.2.12", 4711), object()
    sessions, born = {client: 1, socket: 2}, {}
    bmc.forget(sessions, born, 0.0)
    sessions[other] = 3
    bmc.forget(sessions, born, 50.0)
    bmc.forget(sessions, born, 61.0)
    assert set(sessions) == {other, socket} and set(born) == {other}
