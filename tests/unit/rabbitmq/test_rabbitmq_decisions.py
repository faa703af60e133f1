"""What the broker's cluster is decided to need, without a broker."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripleo_ha.table import Broker, Oslo, Row
from tripleo_ha.topology import rabbitmq as decide
from tripleo_ha.topology.rabbitmq import KnownUser, Membership, Permission, User

ORDER = ["a", "b", "c"]
SHA256 = "rabbit_password_hashing_sha256"
names = st.sampled_from(["a", "b", "c", "d", "e"])
memberships = st.builds(Membership, st.frozensets(names), st.frozensets(names))


def hashed(password: str, salt: bytes = b"\x01\x02\x03\x04") -> str:
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def known(user: User) -> KnownUser:
    return KnownUser(user.name, hashed(user.password), SHA256, user.tags)


def seen(members: str, running: str) -> Membership:
    return Membership(frozenset(members), frozenset(running))


METADATA = {
    "rabbit": {"admin_password": "admin-secret", "monitor_password": "monitor-secret"},
    "ceilometer": {"messaging_password": "ceilometer-secret"},
}
BROKER = Broker("ceilometer", own=("o",), sends=("s",), hears=("h.*",))
ROWS = (Row("ceilometer-agent", "ceilometer", "x", broker=BROKER), Row("k", "k", "x"))


def test_every_row_with_a_broker_has_a_user_with_the_row_s_rights() -> None:
    admin, monitor, service = decide.wanted_users(METADATA, ROWS)
    assert (admin.tags, monitor.tags, service.tags) == ({"administrator"}, {"monitoring"}, frozenset())
    assert admin.permission is monitor.permission is None
    rights = Permission("^(o|s|h.*)$", "^(o|s)$", "^(o|h.*)$")
    assert service == User(service.name, "ceilometer-secret", permission=rights)
    assert service.name.startswith("ceilometer-")


@pytest.mark.parametrize(
    ("broker", "sections", "write", "read"),
    [
        (Broker("a", ("o",)), (), "^(o)$", "^(o)$"),
        (Broker("a", ("o",), answers=True), (), r"^(amq\.default|o)$", "^(o)$"),
        (Broker("a", ("o",)), ("messaging", "notifications"), r"^(o|notifications\..+)$", "^(o)$"),
        (Broker("a"), (), "^()$", "^()$"),
    ],
)
def test_rights_are_those_of_what_a_service_does(
    broker: Broker, sections: tuple[str, ...], write: str, read: str
) -> None:
    rights = decide.permission(Row("a", "a", "x", broker=broker, oslo=Oslo("/etc/a.conf", ("a",), sections)))
    assert (rights.write, rights.read) == (write, read)


def test_each_password_has_a_user_of_its_own_and_the_former_ones_go_at_the_end() -> None:
    rotated = {**METADATA, "ceilometer": {"messaging_password": "another-secret"}}
    old, new = decide.wanted_users(METADATA, ROWS), decide.wanted_users(rotated, ROWS)
    assert old[2].name != new[2].name
    others = ("admin", "monitor", "ceilometer", "ceilometer-notify", "tripleo_ha_verify", new[2].name, old[2].name)
    there = [KnownUser(name, "", "", frozenset()) for name in others]
    gone = (decide.DropUser("ceilometer"), decide.DropUser(old[2].name))
    assert decide.former_users(new, ROWS, there) == gone
    assert decide.former_users(new, ROWS, there[3:-1]) == ()


def test_a_user_does_not_show_its_password() -> None:
    assert "secret" not in repr(decide.wanted_users(METADATA, ROWS))


def test_a_hash_as_the_broker_wrote_it_matches() -> None:
    # Taken from a RabbitMQ 4.0.5 whose guest has its default password.
    stored = KnownUser("guest", "5nOmoNvlc+/pnSnGo6Ve7pFlo0zrH3B20RhA9rs61WIcIw35", SHA256, frozenset())
    assert decide.password_matches(stored, "guest")
    assert not decide.password_matches(stored, "guess")


@pytest.mark.parametrize("stored", ["", "not base64!", "AQID"])
def test_a_hash_that_is_none_matches_nothing(stored: str) -> None:
    assert not decide.password_matches(KnownUser("x", stored, SHA256, frozenset()), "")


def test_a_hash_of_another_kind_is_replaced() -> None:
    assert not decide.password_matches(KnownUser("x", hashed("p"), "rabbit_password_hashing_md5", frozenset()), "p")


@given(st.text(max_size=40), st.text(max_size=40), st.binary(min_size=4, max_size=4))
def test_only_the_same_password_matches(one: str, other: str, salt: bytes) -> None:
    stored = KnownUser("x", hashed(one, salt), SHA256, frozenset())
    assert decide.password_matches(stored, other) == (one == other)


def test_a_new_broker_gets_all_users_and_loses_guest() -> None:
    wanted = decide.wanted_users(METADATA, ROWS)
    guest = KnownUser("guest", hashed("guest"), SHA256, frozenset({"administrator"}))
    changes = decide.user_changes(wanted, [guest], {"guest": Permission(".*", ".*", ".*")})
    assert [type(change).__name__ for change in changes] == ["PutUser"] * 3 + ["PutPermission", "DropUser"]


def test_users_as_wanted_need_no_change() -> None:
    wanted = decide.wanted_users(METADATA, ROWS)
    rights = {user.name: user.permission for user in wanted if user.permission}
    assert decide.user_changes(wanted, map(known, wanted), rights) == ()


@pytest.mark.parametrize(
    ("present", "rights", "expected"),
    [
        (User("s", "old", permission=Permission("", "", "")), {"s": Permission("", "", "")}, ["PutUser"]),
        (User("s", "p", frozenset({"management"})), {"s": Permission("", "", "")}, ["PutUser"]),
        (User("s", "p"), {"s": Permission(".*", ".*", ".*")}, ["PutPermission"]),
        (User("s", "p"), {}, ["PutPermission"]),
    ],
)
def test_a_difference_makes_one_change(present: User, rights: dict[str, Permission], expected: list[str]) -> None:
    wanted = User("s", "p", permission=Permission("", "", ""))
    changes = decide.user_changes([wanted], [known(present)], rights)
    assert [type(change).__name__ for change in changes] == expected


def test_rights_that_a_user_must_not_have_are_taken_away() -> None:
    admin = User("admin", "p", frozenset({"administrator"}))
    changes = decide.user_changes([admin], [known(admin)], {"admin": Permission(".*", ".*", ".*")})
    assert changes == (decide.DropPermission("admin"),)


def test_an_operator_s_own_user_is_left_alone() -> None:
    assert decide.user_changes([], [known(User("operator", "p"))], {"operator": Permission("", "", "")}) == ()


@pytest.mark.parametrize(
    ("members", "running", "majority"),
    [("abc", "ab", True), ("abc", "a", False), ("ab", "a", False), ("a", "a", True), ("", "", False), ("ab", "ac", 0)],
)
def test_majority(members: str, running: str, majority: bool) -> None:
    assert seen(members, running).has_majority == majority


@pytest.mark.parametrize(
    ("members", "running", "forgotten"),
    [
        ("abcde", "abc", ("d", "e")),
        ("abcde", "abcd", ("e",)),
        ("abcde", "ab", ()),
        ("abc", "ab", ()),
    ],
)
def test_a_removed_member_is_forgotten_once_it_is_down(members: str, running: str, forgotten: tuple[str, ...]) -> None:
    assert decide.to_forget(ORDER, seen(members, running)) == forgotten


def test_a_removed_member_that_runs_is_told() -> None:
    assert decide.outliving(ORDER, seen("abcde", "abcd")) == ("d",)


@given(st.permutations(ORDER), memberships)
def test_nobody_of_the_metadata_and_nobody_running_is_ever_forgotten(order: list[str], view: Membership) -> None:
    forgotten = set(decide.to_forget(order, view))
    assert not forgotten & set(order)
    assert not forgotten & view.running
    assert not forgotten or view.has_majority


@pytest.mark.parametrize(("running", "who"), [("abc", "a"), ("cb", "b"), ("d", None), ("", None)])
def test_the_first_that_runs_does_the_shared_work(running: str, who: str | None) -> None:
    assert decide.doer(ORDER, running) == who


def test_the_peers_agree_on_who_does_the_shared_work() -> None:
    assert {decide.doer(ORDER, running) for running in ("bc", "cb", frozenset("bc"))} == {"b"}


def test_a_former_self_is_found_where_it_can_be_forgotten() -> None:
    assert decide.remembered_by("a", {"b": seen("abc", "bc"), "c": seen("abc", "bc")}) == "b"
    assert decide.remembered_by("a", {"b": seen("abc", "b"), "c": seen("abc", "bc")}) == "c"


@pytest.mark.parametrize("told", [{}, {"b": seen("bc", "bc")}, {"b": seen("abc", "abc")}, {"b": seen("abc", "b")}])
def test_there_is_no_former_self_to_forget(told: dict[str, Membership]) -> None:
    assert decide.remembered_by("a", told) is None


HELD_BACK = {
    # Its cluster runs, or can; it has not noticed that this one is down.
    ("abc", "abc", "", ""): True,
    ("abc", "bc", "", ""): False,
    ("abc", "b", "c", ""): True,
    # Nobody runs yet: those with data come first, and everybody has told.
    (None, None, "bc", ""): True,
    (None, None, "b", "c"): True,
    (None, None, "b", ""): True,
    (None, None, "", "b"): True,
    (None, None, "", "bc"): False,
}


@pytest.mark.parametrize(("members", "running", "with_data", "empty"), HELD_BACK)
def test_an_empty_broker_starts_only_where_it_can_do_no_harm(
    members: str | None, running: str | None, with_data: str, empty: str
) -> None:
    told = {"b": seen(members, running)} if members and running else {}
    joined = {**dict.fromkeys(with_data, True), **dict.fromkeys(empty, False)}
    wanted = HELD_BACK[members, running, with_data, empty]
    assert bool(decide.held_back("a", "abc", told, joined)) == wanted


def test_a_first_start_that_was_cut_short_on_most_nodes_goes_on() -> None:
    joined = {"b": True, "c": False}
    assert decide.held_back("a", "abc", {}, joined)
    assert not decide.held_back("a", "abc", {}, joined, begun=True)
    assert decide.held_back("a", "abc", {}, {"b": True, "c": True}, begun=True)
    assert decide.held_back("a", "abc", {}, {"b": True}, begun=True)


@pytest.mark.parametrize(
    ("mine", "told", "apart"),
    [
        (seen("a", "a"), {"b": seen("bc", "bc")}, "b"),
        (seen("a", "a"), {"b": seen("abc", "bc")}, "b"),
        (seen("bc", "bc"), {"a": seen("a", "a")}, None),
        (seen("b", "b"), {"a": seen("a", "a")}, "a"),
        (seen("a", "a"), {"b": seen("b", "b")}, None),
        (seen("abc", "a"), {"b": seen("abc", "bc")}, None),
        (seen("a", "a"), {"b": seen("bc", "")}, None),
    ],
)
def test_the_smaller_of_two_clusters_gives_way(
    mine: Membership, told: dict[str, Membership], apart: str | None
) -> None:
    assert decide.stands_alone(ORDER, mine, told) == apart


@pytest.mark.parametrize(
    ("told", "by"),
    [
        ({"b": seen("bc", "bc"), "c": seen("bc", "bc")}, "b"),
        ({"b": seen("bcd", "bcd")}, "b"),
        ({"b": seen("abc", "bc")}, None),
        ({"b": seen("bc", "b")}, None),
        ({"b": seen("b", "b")}, None),
        ({"b": seen("bde", "bde")}, None),
        ({}, None),
    ],
)
def test_only_a_majority_of_the_metadata_s_nodes_can_have_forgotten_one(
    told: dict[str, Membership], by: str | None
) -> None:
    assert decide.forgotten_by("a", ORDER, told) == by


@given(st.frozensets(st.sampled_from(ORDER), min_size=1, max_size=2))
def test_of_two_halves_exactly_one_gives_way(half: frozenset[str]) -> None:
    other = frozenset(ORDER) - half
    views = {name: Membership(side, side) for side in (half, other) for name in side}
    giving_way = {name for name, mine in views.items() if decide.stands_alone(ORDER, mine, views)}
    assert giving_way in (half, other)


def test_copies_follow_the_number_of_controllers_up_to_five() -> None:
    for size, copies in ((1, 1), (3, 3), (5, 5), (7, 5)):
        expression = decide.live_settings([f"n-{index}" for index in range(size)])
        assert f"quorum_cluster_size,{copies})" in expression
        assert f"target_group_size,{copies})" in expression
    assert "{['rabbit@n-0'],disc}" in decide.live_settings(["n-0"])
