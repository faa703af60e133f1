"""Metadata that fails the checker reaches no template: the cluster serves on, and the next good metadata applies."""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from beds import Summary, assert_good, await_no_run, everywhere, facts_of
from test_idempotent import services

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify.runner import Target
from tripleo_ha.waiting import wait_for

FILES = ["find", "/etc", "/run/tripleo-ha/metadata.json", "-xdev", "-type", "f", "-exec", "sha256sum", "{}", "+"]
NOTICED_S = 60.0


def files(bed: Bed) -> dict[tuple[str, str], str]:
    """Return a digest of every configuration file, by node and path."""
    told = everywhere(bed, FILES, timeout=60)
    lines = [(node, line) for node, (_, _, output) in told.items() for line in output.splitlines()]
    return {(node, line.partition("  ")[2]): line.partition("  ")[0] for node, line in lines}


def refusals(bed: Bed) -> dict[str, str]:
    """Return what ``tripleo-ha-node status`` says on the nodes that refuse their metadata."""
    told = everywhere(bed, ["tripleo-ha-node", "status"], timeout=30)
    return {node: output for node, (status, _, output) in told.items() if status == 1 and "metadata refused" in output}


def spoilt(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with a misspelt key, a buffer of no number, and a secret where no secret belongs."""
    bad = copy.deepcopy(document)
    bad["keystone"]["token_expiration"] = 60
    bad["mysql"]["innodb_buffer_pool_mb"] = bad["keystone"]["admin_password"]
    return bad


@contextmanager
def spoiling(bed: Bed) -> Iterator[dict[str, Any]]:
    """Hand every node bad metadata, and on failure the good one again: the next test must not fail of this one."""
    good = {node.name: bed.metadata(node.name) for node in bed.nodes}
    try:
        for name, document in good.items():
            bed.push(name, spoilt(document))
        yield good
    except BaseException:
        for name, document in good.items():
            bed.push(name, document)
        raise


def test_bad_metadata_on_all_nodes_changes_nothing(target: Target, bed: Bed, summary: Summary) -> None:
    before, since = files(bed), facts_of(target)
    with spoiling(bed) as good:
        told = wait_for(
            "every node to refuse the metadata",
            lambda: refused if len(refused := refusals(bed)) == len(bed.nodes) else None,
            timeout=NOTICED_S,
        )
        for node, reason in told.items():
            assert "keystone.token_expiration" in reason, node
            assert "innodb_buffer_pool_mb" in reason, node
            assert good[node]["keystone"]["admin_password"] not in reason, node
            log = ["journalctl", "-u", "os-collect-config", "--no-pager", "-n", "200"]
            journal = bed.exec(node, log, timeout=60).stdout
            assert "token_expiration" in journal
        assert sorted(set(files(bed).items()) ^ set(before.items())) == []
        now = facts_of(target)
        changed_processes = {node: services(now[node], target) ^ services(since[node], target) for node in now}
        assert {node: changed for node, changed in changed_processes.items() if changed} == {}
        assert_good(target)
    changed = {name: copy.deepcopy(document) for name, document in good.items()}
    for name, document in changed.items():
        once_more = document["keystone"].get("token_expiration_s") == 7200
        document["keystone"]["token_expiration_s"] = 3600 if once_more else 7200
        bed.push(name, document)
    bed.wait_converged(timeout=300)
    assert refusals(bed) == {}
    wanted = str(next(iter(changed.values()))["keystone"]["token_expiration_s"])
    line = ["grep", "-c", f"^expiration = {wanted}$", "/etc/keystone/keystone.conf"]
    assert {output.strip() for _, _, output in everywhere(bed, line, timeout=30).values()} == {"1"}
    assert_good(target)
    summary.tell("bad metadata on all nodes at once", "refused, nothing changed; the good one applied")


def test_a_source_that_vanished_is_refused(target: Target, bed: Bed) -> None:
    """os-collect-config hands over a document without the part of a source that is gone."""
    node = bed.nodes[-1].name
    collected = json.loads(bed.exec(node, ["cat", "/run/os-collect-config/os_config_files.json"], timeout=30).stdout)
    other = "/run/other.json"
    accept = ["env", f"OS_CONFIG_FILES={':'.join([*collected, other])}", "tripleo-ha-node", "accept"]
    bed.exec(node, ["sh", "-c", f"echo '{{}}' >{other}"], timeout=30)
    bed.exec(node, accept, timeout=60)
    bed.exec(node, ["rm", other], timeout=30)
    refused = bed.exec(node, accept, timeout=60, check=False)
    assert refused.returncode == 1
    assert "metadata source gone: other" in refused.stderr
    status = bed.exec(node, ["tripleo-ha-node", "status"], timeout=30, check=False)
    assert status.returncode == 1
    assert "metadata source gone: other" in status.stdout
    bed.exec(node, ["rm", "/run/tripleo-ha/sources.json"], timeout=30)
    await_no_run(bed)
    bed.exec(node, ["os-refresh-config"], timeout=120)
    assert_good(target)
