"""Decisions about the RabbitMQ cluster: which users there must be, who is a member no more, who does shared work."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tripleo_ha.table import Broker, Row

LARGEST_QUEUE_GROUP = 5
"""More members than this make a queue slower and, with a majority of 3, no safer in practice (RabbitMQ's guide)."""
SALT_BYTES = 4
MARK_LENGTH = 6
MARK_ROUNDS = 20_000
RECONCILER = "rabbit_quorum_queue_periodic_membership_reconciliation"
DEFAULT_USER = "guest"
DEFAULT_EXCHANGE = r"amq\.default"
NOTIFICATIONS = r"notifications\..+"
VHOST = "/"


@dataclass(frozen=True)
class Permission:
    """Rights on the vhost ``/``, as regular expressions on the names of queues and exchanges."""

    configure: str
    write: str
    read: str


@dataclass(frozen=True)
class User:
    """A broker user as it must be; without ``permission`` it can do nothing with queues."""

    name: str
    password: str
    tags: frozenset[str] = frozenset()
    permission: Permission | None = None

    def __repr__(self) -> str:
        return f"User({self.name!r})"


@dataclass(frozen=True)
class KnownUser:
    """A broker user as the management API shows it; ``password_hash`` is salted SHA-256 in base64."""

    name: str
    password_hash: str
    algorithm: str
    tags: frozenset[str]


@dataclass(frozen=True)
class PutUser:
    """Create the user, or set its password and tags."""

    user: User


@dataclass(frozen=True)
class PutPermission:
    """Set the user's rights on the vhost ``/``."""

    user: User


@dataclass(frozen=True)
class DropPermission:
    """Take the user's rights on the vhost ``/`` away."""

    name: str


@dataclass(frozen=True)
class DropUser:
    """Remove the user."""

    name: str


Change = PutUser | PutPermission | DropPermission | DropUser


def wanted_users(metadata: Mapping[str, Any], rows: Iterable[Row]) -> tuple[User, ...]:
    """Return the administrator, the monitor and one user for each active row that uses the broker."""
    section = metadata["rabbit"]
    users = [
        User("admin", section["admin_password"], frozenset({"administrator"})),
        User("monitor", section["monitor_password"], frozenset({"monitoring"})),
    ]
    for row in rows:
        if row.broker:
            password = metadata[row.metadata]["messaging_password"]
            users.append(User(user_name(row.broker, password), password, permission=permission(row)))
    return tuple(users)


def permission(row: Row) -> Permission:
    """Return the rights of a row's broker user.

    Who sends notifications makes the queues that they go to, since it may be the first to need them, and does not read
    them. A reply goes to the queue that it is for by the default exchange (RabbitMQ, "Access Control").
    """
    broker = row.broker
    assert broker
    notifies = row.oslo is not None and "notifications" in row.oslo.sections
    sends = (*broker.sends, NOTIFICATIONS) if notifies else broker.sends
    replies = (DEFAULT_EXCHANGE,) if broker.answers else ()
    return Permission(
        configure=_whole(*broker.own, *sends, *broker.hears),
        write=_whole(*replies, *broker.own, *sends),
        read=_whole(*broker.own, *broker.hears),
    )


def _whole(*names: str) -> str:
    return f"^({'|'.join(names)})$"


def user_name(broker: Broker, password: str) -> str:
    """Return the name of a service's broker user: each password has a user of its own.

    RabbitMQ knows one password a user. While nodes take a new one after each other, both users are there. The mark is
    drawn from the password slowly, so that it is of no help in guessing one.
    """
    drawn = hashlib.pbkdf2_hmac("sha256", password.encode(), broker.user.encode(), MARK_ROUNDS)
    return f"{broker.user}-{drawn.hex()[:MARK_LENGTH]}"


def former_users(wanted: Iterable[User], rows: Iterable[Row], known: Iterable[KnownUser]) -> tuple[DropUser, ...]:
    """Return what removes the users of services' former passwords, when no node uses them any more."""
    kept = {user.name for user in wanted}
    services = [re.escape(row.broker.user) for row in rows if row.broker]
    marked = re.compile(f"({'|'.join(services)})(-[0-9a-f]{{{MARK_LENGTH}}})?")
    names = sorted(user.name for user in known if user.name not in kept and marked.fullmatch(user.name))
    return tuple(DropUser(name) for name in names)


def password_matches(known: KnownUser, password: str) -> bool:
    """Tell whether a stored hash is that of ``password``.

    The hash is base64 of a 4-byte salt followed by SHA-256 of salt and password (RabbitMQ, "Passwords").
    """
    if not known.algorithm.endswith("sha256"):
        return False
    try:
        stored = base64.b64decode(known.password_hash, validate=True)
    except binascii.Error:
        return False
    salt = stored[:SALT_BYTES]
    return hmac.compare_digest(stored[SALT_BYTES:], hashlib.sha256(salt + password.encode()).digest())


def user_changes(
    wanted: Iterable[User], known: Iterable[KnownUser], permissions: Mapping[str, Permission]
) -> tuple[Change, ...]:
    """Return what makes the broker's users those that are wanted; nothing when they are.

    Users that nobody here knows are left alone, but for the one that every installation starts with.

    :param permissions: on the vhost ``/``, by user.
    """
    there = {user.name: user for user in known}
    changes: list[Change] = []
    for user in wanted:
        present = there.get(user.name)
        if present is None or present.tags != user.tags or not password_matches(present, user.password):
            changes.append(PutUser(user))
        if user.permission and permissions.get(user.name) != user.permission:
            changes.append(PutPermission(user))
        if user.permission is None and user.name in permissions:
            changes.append(DropPermission(user.name))
    if DEFAULT_USER in there and DEFAULT_USER not in {user.name for user in wanted}:
        changes.append(DropUser(DEFAULT_USER))
    return tuple(changes)


@dataclass(frozen=True)
class Membership:
    """Members of the broker's cluster as one of them sees it, by controller name."""

    members: frozenset[str]
    running: frozenset[str]

    @property
    def has_majority(self) -> bool:
        """Whether those that run can elect leaders and commit."""
        return 2 * len(self.running & self.members) > len(self.members)


def doer(order: Sequence[str], running: Iterable[str]) -> str | None:
    """Return who does what is done once per cluster: the first of ``cluster.nodes`` whose broker runs."""
    alive = set(running)
    return next((name for name in order if name in alive), None)


def to_forget(order: Sequence[str], seen: Membership) -> tuple[str, ...]:
    """Return the members to forget: those that the metadata no longer names, once they have stopped.

    None of them while a majority is missing, since the change could not be committed.
    """
    if not seen.has_majority:
        return ()
    return tuple(sorted(seen.members - set(order) - seen.running))


def can_do_without(order: Sequence[str], healthy: Iterable[str], me: str) -> bool:
    """Tell whether the cluster's other brokers are a majority without this node's."""
    others = set(healthy) & set(order) - {me}
    return 2 * len(others) > len(order)


def outliving(order: Sequence[str], seen: Membership) -> tuple[str, ...]:
    """Return the members that the metadata no longer names but that still run."""
    return tuple(sorted(seen.running - set(order)))


def remembered_by(me: str, told: Mapping[str, Membership]) -> str | None:
    """Return a peer whose cluster holds this node as a member that is down, or None.

    For a node whose disk is empty: its old self must be forgotten there before it joins again. A peer without a
    majority can't do that.

    :param told: what each reachable peer says of its cluster.
    """
    for name, seen in sorted(told.items()):
        if me in seen.members and me not in seen.running and seen.has_majority:
            return name
    return None


def held_back(
    me: str, order: Sequence[str], told: Mapping[str, Membership], joined: Mapping[str, bool], *, begun: bool = False
) -> str:
    """Return why a broker that is not known to have joined must not start yet, or nothing.

    A member by name only, it has the others drop what they hold when it meets them while they come back themselves:
    RabbitMQ 4 takes its own empty list of members for the cluster's and resets the rest. So a cluster that runs must be
    there to forget it and take it in, or everybody must have said that there has never been one. One that began its
    first start may already be a member, and is let in where those who know that they are cannot be a majority alone.

    :param told: what each reachable peer's broker, if it runs, says of its cluster.
    :param joined: of each peer whose converge run has said so, whether its disk's broker was ever a member.
    :param begun: whether a first start was begun on this disk, and cut short.
    """
    if any(me in seen.running for seen in told.values()):
        return "the others' brokers have not noticed yet that this one is down"
    if runs_elsewhere(told):
        return ""
    if silent := [name for name in order if name != me and name not in joined and name not in told]:
        return f"{_words(silent)} must say first whether the cluster's data are there"
    holders = [name for name in order if name in told or joined.get(name)]
    if holders and (not begun or 2 * len(holders) > len(order)):
        return f"{_words(holders)} must run with a majority first: there the cluster's data are"
    return ""


def runs_elsewhere(told: Mapping[str, Membership]) -> bool:
    """Tell whether some peer's broker is in a cluster that can commit."""
    return any(seen.has_majority for seen in told.values())


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def stands_alone(order: Sequence[str], mine: Membership, told: Mapping[str, Membership]) -> str | None:
    """Return a peer that runs another cluster than this node's, or None when there is one cluster.

    Two clusters come of a first start on both sides of a broken network. The larger one is the cluster, between
    equals the one that holds the earlier node in ``order``.
    """
    rank = {name: index for index, name in enumerate(order)}

    def weight(members: Iterable[str]) -> tuple[int, int]:
        present = [rank[name] for name in members if name in rank]
        return (len(present), -min(present, default=len(order)))

    for name, seen in sorted(told.items()):
        if name not in mine.members and seen.has_majority and weight(seen.members) > weight(mine.members):
            return name
    return None


def forgotten_by(me: str, order: Sequence[str], told: Mapping[str, Membership]) -> str | None:
    """Return a peer whose cluster went on without this node, or None.

    For a node that was a member, was removed while it was off, and is wanted again: what its disk holds is of no use.
    Only a cluster in which a majority of ``order`` runs may say so, not a lone node that lost its own disk.
    """
    for name, seen in sorted(told.items()):
        if me not in seen.members and seen.has_majority and 2 * len(seen.running & set(order)) > len(order):
            return name
    return None


def has_a_majority(order: Sequence[str], running: Iterable[str], me: str) -> bool:
    """Tell whether nothing but itself keeps a broker that starts: it is a majority, together with those that run."""
    return 2 * len({*running, me} & set(order)) > len(order)


def copies(controllers: int) -> int:
    """Return how many members a quorum queue has."""
    return min(controllers, LARGEST_QUEUE_GROUP)


def live_settings(order: Sequence[str]) -> str:
    """Return the Erlang expression that gives a running broker the settings that follow from the cluster's size.

    They are the same that ``advanced.config`` and ``conf.d/members.conf`` give it at its next start. The process that
    adds members to queues reads its target once only, so it is ended, and its supervisor starts it with the new one.
    """
    size = str(copies(len(order)))
    nodes = ",".join(f"'rabbit@{name}'" for name in order)
    settings = {
        "quorum_cluster_size": size,
        "quorum_membership_reconciliation_target_group_size": size,
        "cluster_nodes": f"{{[{nodes}],disc}}",
    }
    steps = [f"ok=application:set_env(rabbit,{name},{value})" for name, value in settings.items()]
    return ",".join([*steps, f"exit(whereis({RECONCILER}),kill)"]) + "."
