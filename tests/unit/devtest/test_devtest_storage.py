"""The bed's storage: which beds have it, what its nodes are told of it, and how its node is started"""

import base64
import configparser
import struct
from pathlib import Path

import pytest

from tripleo_ha.devtest import cgroups, container, handing, layout, network, processes, storage, store
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.processes import Process
from tripleo_ha.errors import Failure
from tripleo_ha.metadata import check

NAMES = layout.node_names(3)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image that knows all services."""
    share = tmp_path / "image/usr/share/tripleo-ha"
    share.mkdir(parents=True)
    (share / "schemas").symlink_to(Path(__file__).parents[3] / "schemas")
    return tmp_path / "image"


def record(image: Path, **settings: object) -> store.Record:
    return store.Record(str(image), "checksum", NAMES, **{"profile": "full", "fencing": True, **settings})  # type: ignore[arg-type]


def test_storage_is_for_those_that_may_use_it(image: Path, tmp_path: Path) -> None:
    assert storage.runs(record(image))
    assert not storage.runs(record(image, profile="core"))
    # The checker refuses volumes where nobody is fenced.
    assert not storage.runs(record(image, fencing=False))
    assert not storage.runs(record(tmp_path / "older"))


@pytest.mark.parametrize("fencing", [True, False])
def test_what_is_handed_passes_the_gate_and_has_volumes_with_storage_only(
    image: Path, tmp_path: Path, fencing: bool
) -> None:
    bed = Bed(tmp_path / "state", record(image, fencing=fencing))
    documents = handing.generated(bed)
    for document in documents.values():
        assert [found for found in check.check_document(document) if found.severity == "error"] == []
        assert ("cinder_volume" in document) == ("ceph" in document) == fencing
    assert handing.generated(bed) == documents


def test_the_monitor_is_made_with_the_key_that_the_controllers_are_handed(tmp_path: Path) -> None:
    handed = storage.metadata(tmp_path)
    files = storage.files(storage.secrets(tmp_path), "192.0.2.50")
    keyring = configparser.ConfigParser()
    keyring.read_string(files["keyring"])
    assert keyring["client.cinder"]["key"] == handed["cinder_volume"]["rbd"]["key"]
    assert f"pool={handed['cinder_volume']['rbd']['pool']}" in keyring["client.cinder"]["caps osd"]
    assert len({keyring[name]["key"] for name in keyring.sections()}) == len(storage.CAPS)
    assert f"fsid = {handed['ceph']['fsid']}\n" in files["ceph.conf"]
    assert handed["ceph"]["mon_host"] == [storage.node(tmp_path).ip] == ["192.0.2.50"]


def test_a_key_is_one_that_cephx_takes() -> None:
    kind, seconds, rest, length = struct.unpack("<HIIH", base64.b64decode(storage.key())[:12])
    assert (kind, rest, length, len(base64.b64decode(storage.key()))) == (1, 0, 16, 28)
    assert seconds > 1_600_000_000
    assert storage.key() != storage.key()


def test_the_node_is_no_controllers_place(tmp_path: Path) -> None:
    node = storage.node(tmp_path)
    controllers = layout.bed_nodes(tmp_path, layout.node_names(layout.SCALES[-1]))
    assert node.ip not in {each.ip for each in controllers}
    assert not {link for each in controllers for link in each.links} & set(node.links)
    assert all(len(link) < 16 for link in node.links)
    assert f"addr add {node.ip}/24 dev host0" in network.node_lines(node)


def test_it_starts_once_with_its_own_data_and_no_secret_in_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: dict[Path, list[str]] = {}
    monkeypatch.setattr(container, "start", lambda node, cgroup, netns, boot: started.update({cgroup: boot}))
    monkeypatch.setattr(cgroups, "populated", lambda cgroup: cgroup in started)
    state = tmp_path / "state"
    wanted = (state, tmp_path / "cgroup", "tha-1", tmp_path / "root")
    assert [storage.ensure(*wanted), storage.ensure(*wanted)] == [True, False]
    node, known = storage.node(state), storage.secrets(state)
    assert list(started) == [tmp_path / "cgroup" / storage.NAME]
    (argv,) = started.values()
    assert f"--bind={node.directory}/state:/var/lib/ceph" in argv
    assert f"--bind-ro={node.directory}/ceph:/etc/ceph" in argv
    assert f"--setenv=FSID={known['fsid']}" in argv
    assert not [word for word in argv for name in storage.CAPS if known[name] in word]
    assert {file.name: file.stat().st_mode & 0o777 for file in (node.directory / "ceph").iterdir()} == dict.fromkeys(
        ("ceph.conf", "keyring", "start"), 0o600
    )


def test_a_node_that_ended_is_told_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = storage.node(tmp_path)
    node.directory.mkdir(parents=True)
    node.console.write_text("monmaptool: it went wrong\n")
    monkeypatch.setattr(cgroups, "populated", lambda cgroup: False)
    with pytest.raises(Failure, match="it went wrong"):
        storage.wait_ready(tmp_path, tmp_path / "cgroup")


def test_commands_run_where_the_monitor_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    at_work = [Process(7, "systemd-nspawn", "", "S"), Process(8, "bash", "", "S"), Process(9, "ceph-mon", "", "S")]
    monkeypatch.setattr(processes, "within", lambda cgroup: at_work if cgroup == tmp_path / storage.NAME else [])
    monkeypatch.setattr(storage, "run", lambda argv, timeout: ran.append(argv))
    storage.execute(tmp_path, ["rbd", "ls"])
    assert ran == [container.enter_argv(9, ["rbd", "ls"])]
    with pytest.raises(Failure, match=storage.NAME):
        storage.execute(tmp_path / "another", ["rbd", "ls"])
