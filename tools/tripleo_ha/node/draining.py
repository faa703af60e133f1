"""Taking this node's services out of the balancer before they stop, so that clients are elsewhere by then.

A flag makes the service's own health check say so: one that HAProxy asks at the health endpoint answers 503, upon which
HAProxy ends the sessions there and their clients connect anew, to another node; an HTTP service answers 404, upon which
HAProxy sends nothing new and lets the requests under way end.
"""

import base64
import contextlib
import csv
import http.client
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tripleo_ha import paths
from tripleo_ha.endpoints import host
from tripleo_ha.errors import TimedOut
from tripleo_ha.files import write_file
from tripleo_ha.node.context import LOG, Context
from tripleo_ha.table import Listener
from tripleo_ha.waiting import wait_for

LEAVE_TIMEOUT = 8.0
"""Seconds for the balancers to notice (a check interval or two) and for what is under way to end."""
ASK_TIMEOUT = 1.0
FOR_GOOD = "node"
"""The flag of a node that is going down; no check is named so."""

Statistics = Mapping[tuple[str, str], Mapping[str, str]]
"""HAProxy's statistics by proxy and server."""


def flags() -> Path:
    """Return the directory of the flags, which a boot empties."""
    return paths.RUNTIME / "draining"


def flag(listener: Listener) -> str:
    """Return the name of a balanced listener's flag: the check's at the health endpoint, else the listener's own."""
    check = listener.balance.check if listener.balance else None
    return check.path.strip("/") if check and check.port else listener.name


def asked(name: str) -> bool:
    """Tell whether clients are to leave."""
    return (flags() / name).exists()


def forget() -> None:
    """Take away what a converge run left that was killed while clients were leaving; not on a node that goes down."""
    if asked(FOR_GOOD):
        return
    for left_over in flags().glob("*"):
        left_over.unlink(missing_ok=True)


@contextlib.contextmanager
def drained(context: Context, listeners: Collection[Listener]) -> Iterator[None]:
    """Have no client of listeners on this node for the time of the ``with`` statement, where others serve."""
    try:
        leave(context, listeners)
        yield
    finally:
        for listener in listeners:
            (flags() / flag(listener)).unlink(missing_ok=True)


def leave(context: Context, listeners: Collection[Listener]) -> None:
    """Ask the clients of listeners to leave and wait until they have; those that nobody else would serve may stay.

    It is no failure when they do not leave in time: what happens next would have happened to them anyway.
    """
    told = statistics(context) if listeners else {}
    me = context.cluster.me.name
    leaving = [
        listener for listener in listeners if any(served_elsewhere(each, listener.name, me) for each in told.values())
    ]
    for listener in leaving:
        write_file(flags() / flag(listener), "", mode=0o644)

    def gone() -> bool:
        seen = statistics(context)
        # One that answers no more may be busy with the very clients that are asked about.
        return told.keys() <= seen.keys() and all(
            left(each, listener.name, me) for each in seen.values() for listener in leaving
        )

    if leaving:
        names = ", ".join(listener.name for listener in leaving)
        try:
            wait_for(f"the clients of {names} to leave this node", gone, timeout=LEAVE_TIMEOUT, interval=0.1)
        except TimedOut as late:
            LOG.warning("%s; going on", late)


def served_elsewhere(told: Statistics, proxy: str, me: str) -> bool:
    """Tell whether a balancer has another server than this node to send a proxy's clients to."""
    return any(
        name == proxy and server not in (me, "FRONTEND", "BACKEND") and row["status"].startswith("UP")
        for (name, server), row in told.items()
    )


def left(told: Statistics, proxy: str, me: str) -> bool:
    """Tell whether a balancer neither sends anything new to this node nor has anything under way there."""
    row = told.get((proxy, me))
    return row is None or (not row["status"].startswith("UP") and row["scur"] == "0")


def statistics(context: Context) -> dict[str, Statistics]:
    """Return what HAProxy tells on each controller where it answers and has the same password, by the node's name."""
    if "haproxy" not in context.metadata:
        return {}
    port = next(
        (listener.port for row in context.rows for listener in row.listeners if listener.name == "statistics"), 0
    )
    password = context.metadata["haproxy"]["stats_password"]
    urls = {node.name: f"http://{host(node.ip)}:{port}/;csv" for node in context.cluster.nodes}
    with ThreadPoolExecutor(len(urls)) as pool:
        answers = pool.map(lambda url: _ask(url, password), urls.values())
        return {name: told for name, told in zip(urls, answers, strict=True) if told}


def _ask(url: str, password: str) -> dict[tuple[str, str], dict[str, Any]] | None:
    request = urllib.request.Request(url)  # noqa: S310 — a controller's own address
    request.add_header("Authorization", "Basic " + base64.b64encode(f"admin:{password}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=ASK_TIMEOUT) as answer:  # noqa: S310
            text = answer.read().decode()
    except (OSError, http.client.HTTPException):
        return None
    return {(row["pxname"], row["svname"]): row for row in csv.DictReader(text.removeprefix("# ").splitlines())}
