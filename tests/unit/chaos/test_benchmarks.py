"""What the benchmarks of false alarms and of the peers' settings decide without a bed."""

import argparse
import copy
import importlib
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tripleo_ha import paths
from tripleo_ha.errors import Failure, UsageError
from tripleo_ha.metadata import generate
from tripleo_ha.metadata.generate import CORE, Description, numbered
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.waiting import wait_for

BENCHMARKS = paths.CHECKOUT / "tests" / "benchmarks"
SOURCES = {
    "opt/tripleo-ha/venv/lib/python3*/site-packages/": "tools/",
    "usr/libexec/os-apply-config/templates/etc/rabbitmq": "elements/rabbitmq-cluster/os-apply-config/etc/rabbitmq",
}
"""Where in the checkout what is in the image comes from."""


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark of false alarms."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("soak")


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The comparison."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("peers")


def entry(unit: str, text: str) -> dict[str, Any]:
    return {"_SYSTEMD_UNIT": f"{unit}.service", "MESSAGE": text}


def test_journals_are_counted_as_alarms_and_near_misses(soak: ModuleType) -> None:
    node = [
        entry("corosync", "[TOTEM ] Token has not been received in 750 ms"),
        entry("corosync", "[TOTEM ] A processor failed, forming new configuration: token timed out (1000ms), waiting"),
        entry("corosync", "[TOTEM ] A new membership (1.d) was formed. Members"),
        entry("corosync", "[TOTEM ] A new membership (2.35) was formed. Members left: 1"),
        entry("pacemaker", " notice: Result of start operation for vip-control on overcloud-controller-0: OK"),
        entry("pacemaker", " notice: Result of start operation for haproxy-answers on overcloud-controller-0: OK"),
        entry("pacemaker", " notice: Result of monitor operation for vip-control on overcloud-controller-0: OK"),
        entry(
            "pacemaker", " notice: Result of start operation for ceilometer-agent-central on overcloud-controller-1: OK"
        ),
        entry("mariadb", "[Warning] WSREP: last inactive check more than PT1.35S ago (PT23.1S), skipping check"),
        entry("mariadb", "[Note] WSREP: view(view_id(PRIM,6c083988-a34b,9) memb {"),
        entry("haproxy", "Server mysql/overcloud-controller-2 is DOWN, reason: Layer7 timeout, check duration: 501ms."),
        entry("haproxy", "[WARNING]  (198) : Server mysql/overcloud-controller-2 is DOWN, reason: Layer7 timeout"),
        entry("keystone", "Server mysql/overcloud-controller-2 is DOWN"),
    ]
    found = soak.tally({"a": node})
    assert dict(found.near) == {"corosync: token late": 1, "galera: check late": 1}
    assert dict(found.alarms) == {
        "corosync: token lost": 1,
        "corosync: member left": 1,
        "corosync: membership formed": 2,
        "pacemaker: virtual IP started": 1,
        "pacemaker: singleton started": 1,
        "galera: view changed": 1,
        "haproxy: server down (mysql)": 1,
    }


def test_election_that_every_node_tells_of_counts_once_and_a_queues_first_not_at_all(soak: ModuleType) -> None:
    new = "[info] queue 'a.quorum' in vhost '/': detected a new leader {'%2F_a','rabbit@c-0'} in term 1"
    again = "[info] queue 'a.quorum' in vhost '/': detected a new leader {'%2F_a','rabbit@c-1'} in term 2"
    texts = [entry("rabbitmq-server", new), entry("rabbitmq-server", again)]
    assert dict(soak.tally({"a": texts, "b": texts}).alarms) == {"rabbitmq: leader elected": 1}


def test_coloured_lines_are_read(soak: ModuleType) -> None:
    coloured = {"_SYSTEMD_UNIT": "rabbitmq-server.service", "MESSAGE": list(b"\x1b[m rabbit on node rabbit@c-1 down")}
    assert dict(soak.tally({"a": [coloured, {"_SYSTEMD_UNIT": "x", "MESSAGE": None}]}).alarms) == {
        "rabbitmq: node down": 1
    }


def test_what_was_found_is_kept_for_a_person_and_for_a_program(soak: ModuleType, tmp_path: Path) -> None:
    quiet, loud = (
        soak.Outcome(told={"cores busy": "100 %"}),
        soak.tally({"a": [entry("mariadb", "Received NON-PRIMARY")]}),
    )
    found = {"defaults": quiet, "mysql.failure_detection_s=0.5": loud}
    text = soak.keep(tmp_path, found, {"minutes": 15.0, "cores": 2})
    assert (tmp_path / "report.txt").read_text() == text
    line = next(line for line in text.splitlines() if line.startswith("galera: not"))
    assert line.split()[-2:] == ["0", "1"]
    kept = json.loads((tmp_path / "report.json").read_text())
    assert kept["minutes"] == 15
    assert kept["candidates"]["mysql.failure_detection_s=0.5"]["alarms"] == {"galera: not primary": 1}


class Bed:
    """A bed whose nodes converge at once."""

    def __init__(self) -> None:
        secrets = Passwords({}).completed(CORE)
        self.documents = generate.generate(Description(numbered(3)), secrets)
        self.nodes = [SimpleNamespace(name=name) for name in self.documents]

    def metadata(self, node: str) -> dict[str, Any]:
        return self.documents[node]

    def push(self, node: str, document: dict[str, Any]) -> None:
        self.documents[node] = document

    def wait_converged(self, **_: Any) -> None:
        """Nothing to wait for."""


@pytest.fixture
def candidates(soak: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What both share, on a bed whose cluster is good."""
    module = importlib.import_module("candidates")
    monkeypatch.setattr(module, "BedTransport", lambda bed: bed)
    monkeypatch.setattr(module.Target, "of", lambda bed: bed)
    monkeypatch.setattr(module, "until_good", lambda target, seconds: [])
    return module


def test_a_candidate_is_the_beds_own_metadata_with_its_changes_and_no_others(
    candidates: ModuleType, tmp_path: Path
) -> None:
    bed = Bed()
    own = copy.deepcopy(bed.documents)
    subject = candidates.Subject(bed, candidates.Progress(tmp_path / "log"))
    subject.change({"mysql": {"failure_detection_s": 1}})
    subject.change({"rabbit": {"net_ticktime_s": 30}})
    for name, document in bed.documents.items():
        assert document["rabbit"] == {**own[name]["rabbit"], "net_ticktime_s": 30}
        assert document["mysql"] == own[name]["mysql"]
    subject.put_back()
    assert bed.documents == own


def test_a_candidate_that_nodes_would_refuse_is_not_handed_to_them(candidates: ModuleType, tmp_path: Path) -> None:
    bed = Bed()
    own = copy.deepcopy(bed.documents)
    with pytest.raises(Failure, match="no node would accept"):
        candidates.Subject(bed, candidates.Progress(tmp_path / "log")).change({"pacemaker": {"token_ms": "soon"}})
    assert bed.documents == own


def test_nodes_accept_the_peers_metadata(peers: ModuleType, candidates: ModuleType, tmp_path: Path) -> None:
    for peer in peers.PEERS.values():
        candidates.Subject(Bed(), candidates.Progress(tmp_path / "log")).change(peer.metadata)


def test_a_load_that_ends_is_no_load(soak: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(soak, "WRITE", "raise SystemExit('no room')")
    with soak.busy(tmp_path, 0, 1) as check, pytest.raises(Failure, match="no room"):
        wait_for("the load to end", lambda: check(), timeout=120, interval=0.05)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("end", "status"), [(UsageError("wrong"), 2), (Failure("bad"), 1), (KeyboardInterrupt(), 130), (None, 0)]
)
def test_every_end_of_a_benchmark_has_a_status(candidates: ModuleType, end: BaseException | None, status: int) -> None:
    def main(interrupts: object) -> int:
        if end:
            raise end
        return 0

    assert candidates.status_of(main) == status


def test_settings_of_a_candidate(soak: ModuleType) -> None:
    read = soak.overrides
    assert read("defaults") == {}
    assert read("mysql.failure_detection_s=0.5,pacemaker.token_ms=600,pacemaker.consensus_ms=720") == {
        "mysql": {"failure_detection_s": 0.5},
        "pacemaker": {"token_ms": 600, "consensus_ms": 720},
    }
    for wrong in ("token_ms=1", "mysql.", "mysql.x", ""):
        with pytest.raises(argparse.ArgumentTypeError):
            read(wrong)


def test_peers_edits_still_find_what_they_change(peers: ModuleType) -> None:
    for peer in peers.PEERS.values():
        for edit in peer.edits:
            (place,) = [edit.files.replace(*pair) for pair in SOURCES.items() if edit.files.startswith(pair[0])]
            assert edit.old in (paths.CHECKOUT / place).read_text(), edit.old
        for service in peer.balance:
            assert (paths.elements() / service / "service.yaml").exists()


def test_row_takes_a_peers_balance(peers: ModuleType) -> None:
    text = (paths.elements() / "mariadb-galera" / "service.yaml").read_text()
    peer = peers.PEERS["tripleo"].balance["mariadb-galera"]
    row = peers.yaml.safe_load(peers.rebalanced(text, peer))
    (balance,) = [listener["balance"] for listener in row["listeners"] if "balance" in listener]
    assert balance["mode"] == "single"
    assert (balance["check"]["path"], balance["check"]["fall"], balance["check"]["interval_ms"]) == ("/galera", 3, 1000)


def test_copy_of_an_image_is_edited_and_the_image_is_not(peers: ModuleType, tmp_path: Path) -> None:
    root = tmp_path / "root"
    row = root / peers.SERVICES / "keystone.yaml"
    row.parent.mkdir(parents=True)
    row.write_text((paths.elements() / "keystone" / "service.yaml").read_text())
    before = row.read_text()
    file = root / "etc" / "x"
    file.parent.mkdir()
    file.write_text("a b")
    balance = {"keystone": {"check": {"fall": 9}}}
    peer = peers.Peer("1", {}, balance, (peers.Edit("etc/*", "b", "c"),))
    with peers.patched(root, peer) as copy:
        assert (copy / "etc" / "x").read_text() == "a c"
        assert "fall: 9" in (copy / peers.SERVICES / "keystone.yaml").read_text()
    assert (file.read_text(), row.read_text(), list(tmp_path.iterdir())) == ("a b", before, [root])
    stale = peers.Peer("1", {}, {}, (peers.Edit("etc/*", "gone", ""),))
    with pytest.raises(Failure, match="holds 'gone'"), peers.patched(root, stale):
        pass


def test_ratio_of_medians(peers: ModuleType) -> None:
    assert peers.ratio((1.5, 2.0, 5), (6.0, 9.0, 5)) == "4.0"
    assert peers.ratio((1.5, 2.0, 5), (float("inf"), float("inf"), 5)) == "∞"
    assert peers.ratio(None, (6.0, 9.0, 5)) == "–"
    assert peers.shown((1.5, float("inf"), 5)) == "1.50 / never (5)"
