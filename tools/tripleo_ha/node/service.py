"""The general handler: keys, one-time work, units that roll, and proof that they answer."""

import http.client
import os
import pwd
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tripleo_ha.errors import TimedOut
from tripleo_ha.node import evidence, identity, rolling, units
from tripleo_ha.node.context import LOG, Context, write_file
from tripleo_ha.run import run
from tripleo_ha.table import PLACEHOLDER, Once, Row
from tripleo_ha.topology import wsgi
from tripleo_ha.topology.unit_files import timer_files
from tripleo_ha.waiting import wait_for

ONCE_TIMEOUT = 900.0
"""Neutron's schema has taken 259 s on a cluster's first boot; what ends it halfway makes it begin anew."""
ONCE_INTERVAL = 2.0
"""Seconds between two looks for evidence: whoever looks takes the processor from who is to bring it."""
MEMBERS_TIMEOUT = 60.0
ANSWER_TIMEOUT = 240.0
"""Three controllers that start everything at once on two cores took 75 to 90 s for some."""


def converge(context: Context, row: Row) -> None:
    """Have a service run with its present configuration, its schema migrated, its users made, and answering."""
    write_keys(context, row)
    for name, text in wsgi.configurations(row, context.cluster, context.metadata).items():
        write_file(Path(name), text, mode=0o644)
    write_timers(context, row)
    new = do_once(context, row, "stopped")
    if new:
        # Some programs end when Keystone refuses them. Where it knows them they need not wait for its word.
        identity.ensure(context, row)
    wait, its_turn = partial(rolling.wait_turn, context, row), partial(rolling.is_my_turn, context)
    outcomes = {units.ensure(context, row, unit, before_restart=wait, is_my_turn=its_turn) for unit in row.units}
    loads = bool(outcomes - {"unchanged"})
    # The evidence asks the API. Only in a new cluster it is known to be missing, and what it wants is done meanwhile.
    if loads and not new:
        wait_for_answers(context, row)
    do_once(context, row, "running")
    if loads and new:
        wait_for_answers(context, row)
    if not new:
        # Keystone knows one password of a user: the others need the former one as long as the new may fail here.
        identity.ensure(context, row)
    identity.register(context, row)


def write_timers(context: Context, row: Row) -> None:
    """Write each timer of a row, and have systemd read those that have changed."""
    files = timer_files(row, context.metadata)
    if any([write_file(Path(name), text, mode=0o644) for name, text in files.items()]):
        run(["systemctl", "daemon-reload"], timeout=60)


def write_keys(context: Context, row: Row) -> None:
    """Write each key of a repository to a file named by its index, and drop those that are gone.

    The key with the highest index is written first: it was staged under index 0, which the next staged key is to take,
    and other controllers sign with it already. It must not be missing here between the two writes.
    """
    for directory, path in row.keys.items():
        owner = pwd.getpwnam(row.keys_owner)
        repository = Path(directory)
        if not repository.is_dir():
            repository.mkdir(mode=0o700)
            os.chown(repository, owner.pw_uid, owner.pw_gid)
        keys = sorted(lookup(context.metadata, path), key=lambda item: -int(item["index"]))
        wanted = {str(item["index"]): item["key"] for item in keys}
        ids = (owner.pw_uid, owner.pw_gid)
        written = [name for name, key in wanted.items() if write_file(repository / name, key, owner=ids)]
        gone = [file for file in repository.iterdir() if file.name not in wanted]
        for file in gone:
            file.unlink()
        if written or gone:
            context.changed(f"{row.service}: {directory} holds keys {', '.join(sorted(wanted))}")


def do_once(context: Context, row: Row, when: str) -> bool:
    """Do what is done once per cluster: the first node does it, the others wait for the evidence.

    :return: whether any of it had not been done yet.
    :raises TimedOut: the evidence did not appear.
    """
    new = False
    for work in row.once:
        if work.when != when or evidence.holds(context, work):
            continue
        new = True
        if context.cluster.i_am_first:
            if alembic := work.evidence.get("alembic"):
                await_members(context)
                evidence.forget(alembic["database"])
            if evidence.discard_half_done(work):
                context.changed(f"{row.service}: {work.name} had been cut short and begins anew")
            began = time.monotonic()
            perform(context, work)
            LOG.info("%s: %s took %.1f s", row.service, work.name, time.monotonic() - began)
            context.changed(f"{row.service}: {work.name} done")
        done = partial(evidence.holds, context, work)
        wait_for(f"{row.service}: {work.name}", done, timeout=ONCE_TIMEOUT, interval=ONCE_INTERVAL)
    return new


def await_members(context: Context) -> None:
    """Wait until Galera has all its members Synced, and go on without those that do not come.

    A schema change beside a state transfer is cut off by the donor's backup locks, and what it leaves is half done.
    """

    def all_synced() -> bool:
        told = [context.peer(node) or {} for node in context.cluster.nodes]
        facts = [each.get("checks", {}).get("galera", {}).get("facts", {}) for each in told]
        return all(each.get("local_state") == "4" for each in facts)

    try:
        wait_for("all members of Galera to be Synced before a migration", all_synced, timeout=MEMBERS_TIMEOUT)
    except TimedOut as missing:
        LOG.warning("%s; the migration goes on without them", missing)


def perform(context: Context, work: Once, timeout: float = ONCE_TIMEOUT) -> None:
    """Do a piece of one-time work, whether or not it has been done.

    :raises CommandFailed: with what the command said.
    """
    argv = [fill(argument, context.metadata) for argument in work.run]
    secrets = {name: str(lookup(context.metadata, path)) for name, path in work.env.items()}
    if work.user != "root":
        argv = ["runuser", "-u", work.user, "--", *argv]
    LOG.info("doing %s", work.name)
    run(argv, timeout=timeout, env=secrets)
    evidence.record(work)


def wait_for_answers(context: Context, row: Row) -> None:
    """Wait until every balanced HTTP listener of a row answers its health check on this node.

    :raises TimedOut: with the last answer.
    """
    for listener in row.listeners:
        if listener.protocol == "http" and listener.balance:
            port = listener.balance.check.port or listener.port
            began = time.monotonic()
            ask = partial(_ask, context.cluster.me.ip, port, listener.balance.check.path)
            wait_for(
                f"{listener.name} to answer on this node",
                lambda ask=ask: ask() == "HTTP 200",  # type: ignore[misc]
                timeout=ANSWER_TIMEOUT,
                why=ask,
            )
            LOG.info("%s: loading took %.1f s", row.service, time.monotonic() - began)


def _ask(ip: str, port: int, path: str) -> str:
    connection = http.client.HTTPConnection(ip, port, timeout=5)
    try:
        connection.request("GET", path)
        return f"HTTP {connection.getresponse().status}"
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    finally:
        connection.close()


def lookup(metadata: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path of the metadata."""
    value: Any = metadata
    for key in path.split("."):
        value = value[key]
    return value


def fill(argument: str, metadata: Mapping[str, Any]) -> str:
    """Replace each ``{path}`` in an argument by that path's value, never a secret; doubled braces are braces."""
    return PLACEHOLDER.sub(lambda found: str(lookup(metadata, found[1])) if found[1] else found[0][0], argument)
