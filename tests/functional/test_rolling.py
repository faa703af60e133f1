"""Changes that need a restart roll: given to all nodes at once, they take effect on one controller after the other."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from availability import AMQP, SQL, TOKEN, Gap, Loop, Watch, describe, watching
from beds import Summary, assert_good, everywhere, facts_of, holders, target_of

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.endpoints import PUBLIC
from tripleo_ha.metadata import passwords
from tripleo_ha.verify import client
from tripleo_ha.verify.runner import KEYSTONE_PORT, Target
from tripleo_ha.waiting import wait_for

ROLLED_S = 900.0
WORKING_S = 120.0
PATIENT_S = 10.0
"""So long a client waits for an answer where a change must not be noticed: what is slow shows as a gap."""
QUIET_S = 5.0
LIMITS = {SQL: 5.0, AMQP: 5.0, TOKEN: 5.0}
"""Longest gap, in seconds, that says a change rolled: all at once would take longer. How much shorter it is depends on
the machine, and is for ``tripleo-ha chaos`` to measure. What a client does between two successes anyway comes on top.
"""
MARIADB, RABBITMQ = "mariadb.service", "rabbitmq-server.service"
Document = dict[str, Any]
Change = Callable[[Document], None]


@dataclass(frozen=True)
class Window:
    """When a unit stopped serving on a node and was started again (monotonic seconds, one clock for all nodes)."""

    node: str
    stopped: float
    started: float
    told: float
    """When the controller had converged and said so."""


def hand(bed: Bed, change: Change) -> None:
    """Give every node changed metadata at the same moment."""
    documents = {node.name: copy.deepcopy(bed.metadata(node.name)) for node in bed.nodes}
    for name, document in documents.items():
        change(document)
        bed.write_metadata(name, document)
    everywhere(bed, ["systemctl", "restart", "--no-block", "os-collect-config.service"], timeout=60)


def windows(bed: Bed, unit: str) -> list[Window]:
    """Return when each node's unit was restarted last, in the order of the nodes."""
    wanted = ("ActiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    show = ["systemctl", "show", f"--property={','.join(wanted)}", unit]
    told = everywhere(bed, show, timeout=30)
    wall = time.time() - time.monotonic()
    found = []
    for node, (_, _, output) in told.items():
        times = dict(line.split("=", 1) for line in output.splitlines())
        stopped, started = (int(times[name]) / 1e6 for name in wanted)
        said = bed.read(node, "published/controller.json") or {}
        found.append(Window(node, stopped, started, said.get("updated", 0.0) - wall))
    return found


def assert_one_after_the_other(found: list[Window], since: float) -> None:
    """Each node restarted after the change, and after the one before it had converged and said so."""
    for window in found:
        assert since < window.stopped < window.started < window.told, found
    for before, after in pairwise(found):
        assert before.told <= after.stopped, f"{after.node} stopped before {before.node} was done: {found}"


@contextmanager
def quiet(watch: Watch) -> Iterator[dict[str, Gap]]:
    """Give the longest gaps of a time in which nothing is done."""
    since = time.monotonic()
    wait_for("the clients to have worked undisturbed", lambda: time.monotonic() - since > QUIET_S, timeout=2 * QUIET_S)
    yield watch.gaps(since)


def failures(watch: Watch, since: float) -> dict[str, list[str]]:
    """Return why operations of each client failed, those of clients with failures only."""
    outcomes = {loop.name: [each.error for each in loop.samples if each.ended >= since] for loop in watch.loops}
    return {name: [error for error in errors if error] for name, errors in outcomes.items() if any(errors)}


def reasons(failed: dict[str, list[str]]) -> str:
    """Return how many operations failed, and why, for a person."""
    return "; ".join(f"{name} {len(errors)} ({', '.join(sorted(set(errors)))})" for name, errors in failed.items())


def too_long(gaps: dict[str, Gap], usual: dict[str, Gap]) -> dict[str, str]:
    """Return the gaps that are longer than the limits allow."""
    return {
        name: f"{gap.seconds:.2f} s, usually {usual[name].seconds:.2f} s"
        for name, gap in gaps.items()
        if gap.seconds > LIMITS[name] + usual[name].seconds
    }


def roll(bed: Bed, target: Target, what: str, change: Change, summary: Summary) -> tuple[float, dict[str, list[str]]]:
    """Give a change to all nodes under load; return when, and why operations of clients failed that can wait.

    :raises AssertionError: something acknowledged was lost, or a gap was too long.
    """

    def act() -> None:
        hand(bed, change)
        bed.wait_converged(timeout=ROLLED_S)

    return under_load(target, what, act, summary)


def under_load(
    target: Target, what: str, act: Callable[[], None], summary: Summary
) -> tuple[float, dict[str, list[str]]]:
    """As :func:`roll`, of whatever ``act`` does until it returns."""
    with watching(target, PATIENT_S) as watch, quiet(watch) as usual:
        since = time.monotonic()
        act()
        took = time.monotonic() - since
        watch.wait_working(since, WORKING_S)
        gaps, failed = watch.gaps(since), failures(watch, since)
        lost = watch.lost()
    summary.tell(what, f"{took:.0f} s; longest gaps {describe(gaps)}; failed: {reasons(failed) or 'none'}")
    assert lost == {}, "acknowledged, and not there"
    assert too_long(gaps, usual) == {}
    return since, failed


def test_a_galera_buffer_rolls(target: Target, bed: Bed, summary: Summary) -> None:
    wanted = 160 if bed.metadata(bed.nodes[0].name)["mysql"].get("innodb_buffer_pool_mb") != 160 else 144

    def change(document: Document) -> None:
        document["mysql"]["innodb_buffer_pool_mb"] = wanted

    since, _ = roll(bed, target, "Galera's buffer changed on all nodes", change, summary)
    assert_one_after_the_other(windows(bed, MARIADB), since)
    told = everywhere(bed, ["mariadb", "-Ne", "SELECT @@innodb_buffer_pool_size DIV 1048576"], timeout=30)
    assert {output.strip() for _, _, output in told.values()} == {str(wanted)}
    assert_good(target)


@pytest.mark.long
def test_a_limit_of_rabbitmq_rolls(target: Target, bed: Bed, summary: Summary) -> None:
    before = bed.metadata(bed.nodes[0].name)["rabbit"].get("extra", {}).get("rabbitmq.conf", {})
    wanted = 1900 if before.get("channel_max") != 1900 else 1800

    def change(document: Document) -> None:
        document["rabbit"].setdefault("extra", {}).setdefault("rabbitmq.conf", {})["channel_max"] = wanted

    since, failed = roll(bed, target, "a limit of RabbitMQ changed on all nodes", change, summary)
    assert_one_after_the_other(windows(bed, RABBITMQ), since)
    assert failed.keys() <= {AMQP}, failed
    assert_good(target)


def test_a_change_that_the_first_node_cannot_bear_stops_there(target: Target, bed: Bed, summary: Summary) -> None:
    first, *others = (node.name for node in bed.nodes)
    good = {node.name: copy.deepcopy(bed.metadata(node.name)) for node in bed.nodes}
    option = "innodb_page_size"
    another = 176 if good[first]["mysql"].get("innodb_buffer_pool_mb") != 176 else 192

    def spoil(document: Document) -> None:
        # Well formed, and no server starts with it on the data that is there.
        document["mysql"].setdefault("extra", {}).setdefault("mysqld", {})[option] = "4096"

    processes = {window.node: window.started for window in windows(bed, MARIADB)}
    with watching(target) as watch:
        since = time.monotonic()
        hand(bed, spoil)
        failed = f"{first} to say that it failed"
        wait_for(failed, lambda: "mariadb-galera:" in said(bed, first), timeout=ROLLED_S, interval=2)
        for name in others:
            wait_for(
                f"{name} to say that it keeps its configuration",
                lambda name=name: f"since {first} failed" in said(bed, name),  # type: ignore[misc]
                timeout=ROLLED_S,
                interval=2,
                why=lambda name=name: said(bed, name),  # type: ignore[misc]
            )
        watch.wait_working(time.monotonic(), WORKING_S)
        stopped = watch.gaps(since)
        now = {window.node: window.started for window in windows(bed, MARIADB)}
        for name in others:
            # Its runs go on; for a moment in each, the new configuration is where MariaDB's own check reads it.
            wait_for(f"{name} to keep its files", lambda name=name: not named(bed, name, option), timeout=WORKING_S)  # type: ignore[misc]
        corrected = time.monotonic()
        for node in bed.nodes:
            document = copy.deepcopy(good[node.name])
            document["mysql"]["innodb_buffer_pool_mb"] = another
            bed.push(node.name, document)
        bed.wait_converged(timeout=ROLLED_S)
        watch.wait_working(corrected, WORKING_S)
        gaps = watch.gaps(corrected)
        lost = watch.lost()
    summary.tell("a change that the first node cannot bear", f"stops there, {describe(stopped)}")
    summary.tell("the corrected change", describe(gaps))
    assert {name: now[name] for name in others} == {name: processes[name] for name in others}
    assert lost == {}
    assert_one_after_the_other([window for window in windows(bed, MARIADB) if window.node != first], corrected)
    assert_good(target)


@pytest.mark.long
def test_what_mariadb_itself_refuses_stops_nobody(target: Target, bed: Bed, summary: Summary) -> None:
    good = {node.name: copy.deepcopy(bed.metadata(node.name)) for node in bed.nodes}
    option = "innodb_no_such_option"

    def spoil(document: Document) -> None:
        document["mysql"].setdefault("extra", {}).setdefault("mysqld", {})[option] = "1"

    before = windows(bed, MARIADB)
    hand(bed, spoil)
    for node in good:
        wait_for(
            f"{node} to say what MariaDB refuses",
            lambda node=node: option in said(bed, node),  # type: ignore[misc]
            timeout=ROLLED_S,
            interval=2,
        )
    assert {node.name: named(bed, node.name, option) for node in bed.nodes} == dict.fromkeys(good, "")
    for name, document in good.items():
        bed.push(name, document)
    bed.wait_converged(timeout=ROLLED_S)
    assert [window.started for window in windows(bed, MARIADB)] == [window.started for window in before]
    summary.tell("an option that MariaDB does not know", "refused by all, nobody restarted")
    assert_good(target)


def named(bed: Bed, node: str, option: str) -> str:
    """Return MariaDB's option files on a node that name an option, one a line."""
    return bed.exec(node, ["grep", "-rl", option, "/etc/mysql"], timeout=30, check=False).stdout


def said(bed: Bed, node: str) -> str:
    """Return what a node tells of itself."""
    return bed.exec(node, ["tripleo-ha-node", "status"], timeout=30, check=False).stdout


@pytest.mark.long
def test_the_serving_node_stopped_in_good_order(target: Target, bed: Bed, summary: Summary, rounds: int) -> None:
    for _ in range(rounds):
        node = holders(target)["control"]
        with watching(target) as watch, quiet(watch) as usual:
            since = time.monotonic()
            bed.stop(node)
            took = time.monotonic() - since
            watch.wait_working(time.monotonic(), WORKING_S)
            gaps, failed = watch.gaps(since), failures(watch, since)
            bed.power_on(node)
            bed.wait_converged(timeout=ROLLED_S)
            lost = watch.lost()
        summary.tell(f"{node}, which serves, shut down in {took:.0f} s", f"{describe(gaps)}; failed: {reasons(failed)}")
        assert lost == {}
        assert too_long(gaps, usual) == {}
        assert_good(target)


def fresh(section: str, key: str) -> Change:
    """Return a change that gives one secret a new value, the same on all nodes."""
    value = passwords.wanted(section)[key]()

    def change(document: Document) -> None:
        document[section][key] = copy.deepcopy(value)

    return change


def rotated_tokens(document: Document) -> Change:
    """Return one rotation of Keystone's fernet keys."""
    known = passwords.Passwords({"keystone": {"fernet_keys": document["keystone"]["fernet_keys"]}})
    keys = known.rotated().of("keystone")["fernet_keys"]

    def change(document: Document) -> None:
        document["keystone"]["fernet_keys"] = copy.deepcopy(keys)

    return change


SECRETS = (
    ("keystone", "database_password"),
    ("ceilometer", "messaging_password"),
    ("ceilometer", "service_password"),
    ("rabbit", "monitor_password"),
    ("rabbit", "admin_password"),
    ("rabbit", "erlang_cookie"),
    ("haproxy", "stats_password"),
    ("pacemaker", "corosync_authkey"),
)


@pytest.mark.long
@pytest.mark.parametrize(("section", "key"), SECRETS)
def test_a_secret_is_rotated(section: str, key: str, target: Target, bed: Bed, summary: Summary) -> None:
    since, failed = roll(bed, target, f"{section}.{key} rotated", fresh(section, key), summary)
    if key == "database_password":
        assert_one_after_the_other(windows(bed, "keystone.service"), since)
    assert failed == {}
    assert_good(target_of(bed))
    assert_no_former_passwords(bed)


def assert_no_former_passwords(bed: Bed) -> None:
    """What only the former passwords were good for is gone."""
    node = bed.nodes[-1].name
    show = ["mariadb", "-Ne", "SHOW GRANTS FOR keystone@'%'"]
    wait_for(
        "former SQL passwords to be gone",
        lambda: " OR " not in bed.exec(node, show, timeout=30).stdout,
        timeout=WORKING_S,
        interval=1,
    )
    names = ["setpriv", "--reuid=rabbitmq", "--regid=rabbitmq", "--init-groups", "rabbitmqctl", "-q", "list_users"]

    def former() -> list[str]:
        lines = bed.exec(node, ["env", "HOME=/var/lib/rabbitmq", *names], timeout=60).stdout.splitlines()
        return [line for line in lines if line.startswith("ceilometer")]

    wait_for("former broker users to be gone", lambda: len(former()) == 1, timeout=WORKING_S, interval=2)


@pytest.mark.long
def test_all_secrets_are_rotated_at_once_and_tokens_of_before_stay_valid(
    target: Target, bed: Bed, summary: Summary
) -> None:
    document = bed.metadata(bed.nodes[0].name)
    changes = [fresh(section, key) for section, key in SECRETS]
    changes.append(rotated_tokens(document))

    def change(document: Document) -> None:
        for each in changes:
            each(document)

    address, password = target.vip(PUBLIC), document["keystone"]["admin_password"]
    trust = target.keystone_trust()
    token = in_client(target, lambda: client.issue_token(address, KEYSTONE_PORT, password, trust=trust))
    _, failed = roll(bed, target, "all secrets rotated at once", change, summary)
    seen = in_client(target, lambda: client.validate_token(address, KEYSTONE_PORT, token, 1, trust))
    assert set(seen.statuses) == {200}
    assert failed.keys() <= {AMQP}, failed
    assert_good(target_of(bed))
    assert_no_former_passwords(bed)


def in_client(target: Target, do: Callable[[], Any]) -> Any:
    """Return what a call returns where clients are."""
    from availability import elsewhere

    found: list[Any] = []
    elsewhere(target.transport.enter, lambda: found.append(do()))
    return found[0]


@dataclass
class Either:
    """Has tokens issued with the first of two passwords that works, as one who is told the new one beforehand."""

    address: str
    passwords: tuple[str, str]
    trust: client.Trust | None

    def __call__(self, identity: str) -> None:
        """Have a token issued."""
        try:
            client.issue_token(self.address, KEYSTONE_PORT, self.passwords[0], 5, self.trust)
        except Exception:
            client.issue_token(self.address, KEYSTONE_PORT, self.passwords[1], 5, self.trust)

    def reset(self) -> None:
        """Nothing is kept."""


@pytest.mark.long
def test_keystone_s_administrator_gets_a_new_password(target: Target, bed: Bed, summary: Summary) -> None:
    old = bed.metadata(bed.nodes[0].name)["keystone"]["admin_password"]
    change = fresh("keystone", "admin_password")
    wanted: Document = {"keystone": {}}
    change(wanted)
    both = Either(target.vip(PUBLIC), (old, wanted["keystone"]["admin_password"]), target.keystone_trust())
    loop = Loop(TOKEN, both, 0.25, target.transport.enter)
    loop.start()
    try:
        hand(bed, change)
        bed.wait_converged(timeout=ROLLED_S)
    finally:
        loop.stop()
    failed = [sample.error for sample in loop.samples if sample.error]
    summary.tell("Keystone's administrator's password rotated", f"{len(loop.samples)} tokens, {len(failed)} refused")
    assert failed == []
    assert_good(target_of(bed))
    assert {status for status, _, _ in everywhere(bed, ["tripleo-ha-node", "status"], timeout=30).values()} == {0}
    assert facts_of(target_of(bed))
