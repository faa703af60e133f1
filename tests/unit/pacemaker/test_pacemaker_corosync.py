"""Corosync's key, and the order in which members take up a new configuration."""

import base64
import json
import threading

import pacemaker_given as given
import pytest

from tripleo_ha import paths
from tripleo_ha.errors import TimedOut
from tripleo_ha.node import corosync
from tripleo_ha.node.context import Context
from tripleo_ha.run import CommandFailed, Completed
from tripleo_ha.table import Unit

UNIT = Unit("corosync.service")


class Node:
    """One controller's corosync: the digest on its disk and the one it runs, None while it is down."""

    def __init__(self, bed, index, disk, runs):
        self.bed, self.index, self.disk, self.runs = bed, index, disk, runs
        self.published = {} if runs is None else {"corosync_has": runs, "corosync_runs": runs}


class Bed:
    """A cluster whose reload reaches every running member, as Corosync's does."""

    def __init__(self, *states):
        self.nodes = [Node(self, index, disk, runs) for index, (disk, runs) in enumerate(states)]
        self.silent = set()
        self.outside = set()
        self.log = []
        self.lock = threading.Lock()

    def told_by(self, index):
        if index in self.silent:
            return None
        return {"published": {"pacemaker": dict(self.nodes[index].published)}}

    def reload(self, by):
        with self.lock:
            together = [each for each in self.nodes if (each.index in self.outside) == (by.index in self.outside)]
            alive = [each for each in together if each.runs is not None]
            assert len({each.disk for each in alive}) == 1, "members would take up different keys"
            for each in alive:
                each.runs = each.disk
            self.log.append(("reload", by.index))

    def judge(self, node, argv):
        if node.disk == "wrong":
            raise CommandFailed(argv, "exit status 8", "parse error in config")
        return Completed(tuple(argv), 0, "", "")

    def run(self, node, argv):
        if argv == ["corosync", "-t"]:
            return self.judge(node, argv)
        if argv[0] == "corosync-cfgtool":
            self.reload(node)
            return Completed(tuple(argv), 0, "", "")
        member = int(argv[-1].split(".")[2]) - 1
        joined = not {member, node.index} & self.outside
        return Completed(tuple(argv), 0, "= joined" if joined else "= left", "")

    def start(self, node):
        with self.lock:
            others = {each.runs for each in self.nodes if each.runs is not None and each.index not in self.silent}
            assert others <= {node.disk}, "would form a cluster of its own beside the running one"
            node.runs = node.disk
            self.log.append(("start", node.index))


class Here(Context):
    """A converge run on one node of a bed."""


@pytest.fixture
def converge(monkeypatch, tmp_path):
    local = threading.local()
    monkeypatch.setattr(paths, "RUNTIME", tmp_path)
    monkeypatch.setattr(corosync.units, "digest", lambda files: local.node.disk)
    monkeypatch.setattr(corosync.units, "is_active", lambda unit: local.node.runs is not None)
    monkeypatch.setattr(corosync.units, "start", lambda unit: local.node.bed.start(local.node))
    monkeypatch.setattr(corosync, "_applied", lambda record, unit: local.node.runs)
    monkeypatch.setattr(corosync, "write_file", lambda *_, **__: True)
    monkeypatch.setattr(corosync, "TURN_TIMEOUT", 2.0)
    monkeypatch.setattr(corosync, "MEMBER_TIMEOUT", 0.2)
    monkeypatch.setattr("tripleo_ha.waiting.time.sleep", lambda _: threading.Event().wait(0.005))

    monkeypatch.setattr(corosync, "run", lambda argv, **_: local.node.bed.run(local.node, argv))

    monkeypatch.setattr(Here, "publish", lambda self, service, **facts: local.node.published.update(facts))
    monkeypatch.setattr(Here, "peer", lambda self, node, timeout=2.0: local.node.bed.told_by(node.index))

    def all_at_once(bed, which=None):
        """Converge the nodes side by side; return changes or the failure of each."""
        results = {}

        def one(node):
            local.node = node
            base = given.context(len(bed.nodes), node.index)
            context = Here(base.metadata, base.cluster, base.rows)
            try:
                corosync.ensure(context, given.PACEMAKER, UNIT)
                results[node.index] = context.changes
            except Exception as error:
                results[node.index] = error

        nodes = [each for each in bed.nodes if which is None or each.index in which]
        threads = [threading.Thread(target=one, args=(node,)) for node in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    return all_at_once


def test_a_new_cluster_just_starts(converge):
    bed = Bed(("a", None), ("a", None), ("a", None))
    results = converge(bed)
    assert sorted(bed.log) == [("start", 0), ("start", 1), ("start", 2)]
    assert all(changes == ["pacemaker: corosync.service started"] for changes in results.values())


def test_nothing_new_does_nothing(converge):
    bed = Bed(("a", "a"), ("a", "a"), ("a", "a"))
    assert converge(bed) == {0: [], 1: [], 2: []}
    assert bed.log == []


def test_a_new_configuration_is_taken_up_by_one_reload(converge):
    bed = Bed(("b", "a"), ("b", "a"), ("b", "a"))
    converge(bed)
    assert bed.log == [("reload", 0)]
    assert {node.runs for node in bed.nodes} == {"b"}


def test_no_reload_before_every_member_that_answers_has_it(converge):
    bed = Bed(("b", "a"), ("b", "a"), ("a", "a"))
    results = converge(bed, which={0, 1})
    assert all(isinstance(result, TimedOut) and "controller-2" in str(result) for result in results.values())
    assert bed.log == []


def test_a_node_that_is_down_holds_nobody_up(converge):
    bed = Bed(("a", None), ("b", "a"), ("b", "a"))
    bed.silent = {0}
    converge(bed, which={1, 2})
    assert bed.log == [("reload", 1)]


def test_nodes_that_join_wait_for_the_cluster_to_know_them(converge):
    bed = Bed(("b", "a"), ("b", None), ("b", None))
    converge(bed)
    assert bed.log[0] == ("reload", 0)
    assert sorted(bed.log[1:]) == [("start", 1), ("start", 2)]


def test_nodes_that_join_do_not_start_beside_a_cluster_that_refused_them(converge):
    bed = Bed(("a", "a"), ("b", None), ("b", None))
    results = converge(bed, which={1, 2})
    assert all(isinstance(result, TimedOut) and "controller-0" in str(result) for result in results.values())
    assert bed.log == []


def test_a_node_outside_the_membership_reloads_by_itself(converge):
    bed = Bed(("b", "a"), ("b", "a"), ("b", "a"))
    bed.outside = {2}
    converge(bed)
    assert bed.log == [("reload", 0), ("reload", 2)]
    assert {node.runs for node in bed.nodes} == {"b"}


def test_a_configuration_that_corosync_refuses_is_taken_up_by_nobody(converge):
    bed = Bed(("wrong", "a"), ("wrong", "a"), ("wrong", None))
    results = converge(bed)
    assert all(isinstance(result, CommandFailed) for result in results.values())
    assert bed.log == []
    assert all(node.published.get("corosync_has") != "wrong" for node in bed.nodes)


def test_the_key_is_written_as_bytes_for_root_only(tmp_path, monkeypatch):
    key = bytes(range(256))
    monkeypatch.setattr(corosync, "AUTHKEY", tmp_path / "authkey")
    context = given.context(pacemaker={"corosync_authkey": base64.b64encode(key).decode()})
    corosync.write_key(context)
    assert corosync.AUTHKEY.read_bytes() == key
    assert corosync.AUTHKEY.stat().st_mode & 0o777 == 0o400
    before = corosync.AUTHKEY.stat().st_ino
    corosync.write_key(context)
    assert corosync.AUTHKEY.stat().st_ino == before
    assert [file.name for file in tmp_path.iterdir()] == ["authkey"]


def test_a_corosync_that_came_up_without_us_counts_as_given_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(corosync, "INVOCATIONS", tmp_path)
    record = tmp_path / "corosync.service.json"
    (tmp_path / "invocation:corosync.service").symlink_to("one")
    assert corosync._applied(record, UNIT) == ""
    record.write_text(json.dumps({"digest": "d", "invocation": "one"}))
    assert corosync._applied(record, UNIT) == "d"
    (tmp_path / "invocation:corosync.service").unlink()
    (tmp_path / "invocation:corosync.service").symlink_to("two")
    assert corosync._applied(record, UNIT) == ""
