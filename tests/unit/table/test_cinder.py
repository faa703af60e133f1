"""Cinder: one volume service of one name, over storage that is not a controller's; the API and schedulers beside it."""

import copy
import re

import pytest
from test_api_services import FILES, METADATA, ROWS, made, parsed

from tripleo_ha import cluster, paths
from tripleo_ha.metadata import check, generate
from tripleo_ha.metadata.generate import Description, numbered
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.templates.render import Rendered, render
from tripleo_ha.topology import pacemaker, rabbitmq

CONF = "/etc/cinder/cinder-volume.conf"
KEYRING = "/etc/ceph/ceph.client.cinder.keyring"
VOLUME = ROWS["cinder-volume"]


def rendered(storage: set[str]) -> dict[str, Rendered]:
    """The files where the metadata describe no other storage than this."""
    metadata = copy.deepcopy(METADATA)
    section = metadata["cinder_volume"]
    assert isinstance(section, dict)
    for other in {"rbd", "nfs"} - storage:
        del section[other]
    return render(paths.elements(), metadata)


@pytest.mark.parametrize(("storage", "enabled"), [("rbd nfs", "rbd,nfs"), ("rbd", "rbd"), ("nfs", "nfs")])
def test_a_backend_for_each_storage_and_no_other(storage: str, enabled: str) -> None:
    files = rendered(set(storage.split()))
    found = parsed(files[CONF])
    assert found["DEFAULT"]["enabled_backends"] == enabled
    assert {name for name in found if "volume_driver" in found[name]} == set(storage.split())
    assert bool(files["/etc/cinder/nfs_shares"].body) == ("nfs" in storage)
    assert bool(files[KEYRING].body) == ("rbd" in storage)


def test_it_has_one_name_wherever_it_runs_and_schedulers_have_their_own() -> None:
    names = {node.name for node in cluster.from_metadata(METADATA).nodes}
    assert parsed(FILES[CONF])["DEFAULT"]["host"] not in names
    assert "host" not in parsed(FILES["/etc/cinder/cinder.conf"])["DEFAULT"]
    (command,) = [unit.program.command for unit in VOLUME.units if unit.program]
    read = [command[index + 1] for index, word in enumerate(command) if word == "--config-file"]
    assert read == ["/etc/cinder/cinder.conf", CONF]  # of an option that stands in both, the last one holds
    assert set(read) <= set(VOLUME.units[0].files)
    assert re.search(VOLUME.singleton_process, " ".join(command))


def test_only_cinder_reads_its_key_of_ceph() -> None:
    keyring = FILES[KEYRING]
    assert (keyring.mode, keyring.owner, keyring.group) == (0o640, "root", "cinder")
    assert parsed(keyring)["client.cinder"]["key"] == "A" * 38 + "=="
    assert parsed(FILES[CONF])["rbd"]["rbd_user"] == "cinder"
    ceph = parsed(FILES["/etc/ceph/ceph.conf"])["global"]
    assert ceph["mon_host"].split() == ["192.0.2.50", "192.0.2.51:6790"]
    assert ceph["fsid"] == "6e0a5d3c-1f3b-4c53-9a6e-2f7f6f0c9b11"


def test_a_stop_ends_by_itself_before_systemd_and_pacemaker_lose_patience() -> None:
    (unit,) = VOLUME.units
    assert unit.program
    own = int(parsed(FILES[CONF])["DEFAULT"]["graceful_shutdown_timeout"])
    configured = pacemaker.wanted(cluster.from_metadata(METADATA), METADATA, [VOLUME])
    (stop,) = configured.iterfind("resources/primitive[@id='cinder-volume']/operations/op[@name='stop']")
    assert own < unit.program.stop_s < int(stop.get("timeout", "").removesuffix("s"))
    (scheduler,) = [unit.program for unit in ROWS["cinder"].units if unit.program and not unit.timer]
    assert int(parsed(FILES["/etc/cinder/cinder.conf"])["DEFAULT"]["graceful_shutdown_timeout"]) < scheduler.stop_s


@pytest.mark.parametrize(
    ("name", "its_own"),
    [
        ("cinder", True),
        ("cinder-scheduler", True),
        ("cinder-scheduler.overcloud-controller-0", True),
        ("cinder-volume.controllers@rbd.controllers", True),
        ("cinder-volume_fanout", True),
        ("reply_overcloud-controller-0:cinder-api:1", True),
        ("reply_overcloud-controller-0:nova-api:1", False),
        ("nova", False),
        ("cinderella", False),
        ("amq.default", False),
        ("ceilometer", False),
    ],
)
def test_the_broker_lets_it_at_its_own_queues_only(name: str, its_own: bool) -> None:
    rights = rabbitmq.permission(ROWS["cinder"])
    assert bool(re.search(rights.configure, name)) == its_own
    assert bool(re.search(rights.read, name)) == its_own
    # Replies are published to the default exchange.
    assert bool(re.search(rights.write, name)) == (its_own or name == "amq.default")


@pytest.mark.parametrize(("controllers", "refused"), [(1, False), (3, True)])
def test_without_fencing_volumes_are_made_by_a_controller_that_is_alone(controllers: int, refused: bool) -> None:
    wanted = Description(
        numbered(controllers),
        services=generate.profile("full"),
        overrides={"cinder_volume": {"nfs": {"shares": ["192.0.2.50:/volumes"]}}},
    )
    (document, *_) = generate.generate(wanted, Passwords({}).completed(wanted.services)).values()
    assert ("THA250" in {finding.rule for finding in check.check_document(document)}) == refused


def test_another_backend_may_be_added_by_hand() -> None:
    extra = {"san": {"volume_driver": "cinder.volume.drivers.pure.PureISCSIDriver"}}
    found = parsed(render(paths.elements(), made(cinder_volume={"extra": extra}))[CONF])
    assert found["san"] == extra["san"]
