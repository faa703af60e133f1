"""What a node can tell about its Galera state: from its disk, from its running server, and from what peers told."""

import hashlib
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pymysql

from tripleo_ha import paths
from tripleo_ha.node import sql
from tripleo_ha.node.context import Context
from tripleo_ha.run import run
from tripleo_ha.topology.galera import NULL_UUID, Facts, Phase, Recovery, Situation, View

DATADIR = Path("/var/lib/mysql")
SERVICE = "mariadb-galera"
LOST = paths.RUNTIME / "galera-lost.json"
"""Names of nodes that an operator gave up on this node, until a Primary component stands or the node boots."""
RECOVERY_TIMEOUT = 600.0
POSITION = re.compile(r"wsrep_start_position=([0-9a-f-]{36}):(-?\d+)")


@dataclass(frozen=True)
class Files:
    """Galera's own files in a data directory."""

    root: Path = DATADIR

    @property
    def grastate(self) -> Path:
        """Where the state stood at the last graceful stop."""
        return self.root / "grastate.dat"

    @property
    def gvwstate(self) -> Path:
        """The last Primary view; removed at a graceful stop."""
        return self.root / "gvwstate.dat"

    @property
    def transfer(self) -> Path:
        """Exists while a state transfer to this node runs."""
        return self.root / "sst_in_progress"

    @property
    def fresh(self) -> Path:
        """Ours: exists from the initialisation of an empty database until its first Primary component."""
        return self.root / "tripleo-ha-fresh"

    @property
    def elected(self) -> Path:
        """Ours: exists from a decision to bootstrap here until the Primary component stands.

        The flag that the engine wants for a bootstrap is then our doing, and proves nothing.
        """
        return self.root / "tripleo-ha-elected"

    @property
    def caught_up(self) -> Path:
        """Ours: exists while the server is Synced; taken away when it leaves the component, and at each start."""
        return self.root / "tripleo-ha-synced"

    @property
    def earlier_view(self) -> Path:
        """Ours: the view that the node had caught up in when its server last left it, or was started."""
        return self.root / "tripleo-ha-view"

    @property
    def history(self) -> Path:
        """Ours: the state UUIDs that this state left behind, as a JSON list."""
        return self.root / "tripleo-ha-history"

    @property
    def tables(self) -> Path:
        """The system tables, without which a server does not start alone."""
        return self.root / "mysql"


def parse_grastate(text: str) -> tuple[str, int, bool]:
    """Return uuid, seqno and safe_to_bootstrap; null, -1 and False for what is missing or not understood."""
    fields = dict(re.findall(r"^(\w+):\s*(\S+)", text, re.MULTILINE))
    uuid = fields.get("uuid", NULL_UUID)
    seqno = fields.get("seqno", "-1")
    return uuid, int(seqno) if re.fullmatch(r"-?\d+", seqno) else -1, fields.get("safe_to_bootstrap") == "1"


def parse_gvwstate(text: str) -> tuple[str, View | None]:
    """Return this node's group id and the stored view, which is None unless the file is whole."""
    own = re.search(r"^my_uuid: (\S+)", text, re.MULTILINE)
    view = re.search(r"^view_id: (.+)$", text, re.MULTILINE)
    members = re.findall(r"^member: (\S+)", text, re.MULTILINE)
    if not own or not view or not members or "#vwend" not in text:
        return "", None
    return own[1], View(view[1].strip(), frozenset(members))


def recovered_position() -> tuple[str, int]:
    """Ask the redo log for the last committed position, as the unit does before each start.

    :raises CommandFailed: the server cannot read its own data.
    """
    told = run(["galera_recovery"], timeout=RECOVERY_TIMEOUT).stdout
    found = POSITION.search(told)
    return (found[1], int(found[2])) if found else (NULL_UUID, -1)


def evidence(files: Files) -> dict[str, Any]:
    """Return what the disk tells beside the position, running or not: ``member``, ``view``, ``behind``, ``history``.

    A server that was started and entered no component since is as far as it was.
    """
    text = files.gvwstate.read_text() if files.gvwstate.exists() else ""
    earlier = files.earlier_view.read_text() if files.earlier_view.exists() else None
    member, view = parse_gvwstate(text)
    behind = not files.caught_up.exists() and text != earlier
    history = json.loads(files.history.read_text()) if files.history.exists() else ()
    return {"member": member, "view": view, "behind": behind, "history": tuple(history)}


def on_disk(files: Files, recover: Any = recovered_position) -> Facts:
    """Return the facts of a node whose server does not run.

    :param recover: called only where grastate.dat does not tell the position of whole data: after a crash.
    """
    try:
        uuid, seqno, safe = parse_grastate(files.grastate.read_text())
    except FileNotFoundError:
        uuid, seqno, safe = NULL_UUID, -1, False
    receiving = files.transfer.exists()
    told = evidence(files)
    if files.fresh.exists() or (uuid == NULL_UUID and not receiving and not files.tables.exists()):
        # A joiner is in the view before its transfer begins, so a blank node may be the last of a view to answer.
        return Facts(Phase.BLANK, **told)
    # A bootstrap under a new UUID takes the file away; until it succeeded, the data is as whole as it was.
    had_grastate = uuid != NULL_UUID or files.elected.exists()
    aborted = receiving or not had_grastate
    left_gracefully = had_grastate and seqno >= 0 and not files.elected.exists()
    if seqno < 0 and not aborted and files.tables.exists():
        found, position = recover()
        if uuid in (NULL_UUID, found):
            uuid, seqno = found, position
    return Facts(Phase.DOWN, uuid, seqno, safe and left_gracefully, aborted, **told)


def of_status(status: Mapping[str, Any]) -> Facts:
    """Return the facts of a running server, from its wsrep status variables."""
    phase = Phase.PRIMARY if status.get("cluster_status") == "Primary" else Phase.NON_PRIMARY
    # A controller of an older image does not tell this. A server that has not connected yet answers no queries.
    if status.get("connected") == "OFF":
        phase = Phase.LEFT
    return Facts(
        phase,
        uuid=str(status.get("local_state_uuid", NULL_UUID)),
        seqno=int(status.get("last_committed", -1)),
        member=str(status.get("gcomm_uuid", "")),
    )


Running = tuple[Facts, Mapping[str, str]]
"""The facts and the wsrep status of a server that answers."""


def ask_this_server() -> tuple[Running | None, bool]:
    """Return what this node's server answers, and whether it said nothing at all: one without a free connection does.

    It may not run, or be frozen; which of them systemd knows.
    """
    try:
        with sql.root(timeout=5) as connection:
            status = sql.wsrep_status(connection)
    except sql.Unreachable as error:
        return None, error.number in sql.UNREACHABLE
    except pymysql.MySQLError as error:
        return None, sql.number_of(error) in sql.UNREACHABLE
    return (of_status(status), status), False


def of_this_server() -> Running | None:
    """Return what this node's server answers, or None when it does not."""
    return ask_this_server()[0]


def to_publish(facts: Facts) -> dict[str, Any]:
    """Return facts as JSON values, for :func:`of_peer` on another node."""
    told = asdict(facts)
    told["phase"] = facts.phase.value
    told["view"] = {"id": facts.view.id, "members": sorted(facts.view.members)} if facts.view else None
    return told


def from_published(told: Mapping[str, Any]) -> Facts:
    """Read back what :func:`to_publish` gave.

    :raises KeyError, ValueError, TypeError: it is something else.
    """
    view = told["view"]
    fields = {name: told[name] for name in ("uuid", "seqno", "safe_to_bootstrap", "aborted", "member", "vote")}
    return Facts(
        Phase(told["phase"]),
        **fields,
        view=View(view["id"], frozenset(view["members"])) if view else None,
        # A controller of an older image does not tell these.
        behind=told.get("behind", False),
        history=tuple(told.get("history", ())),
        generation=told.get("generation", ""),
    )


def of_peer(told: Mapping[str, Any] | None) -> Facts | None:
    """Return a peer's facts from its status, or None while it has not said what it holds.

    A running server speaks for itself; what the peer published counts only where no server answers. A peer that
    published that it was started, and whose server does not answer, is starting.
    """
    if told is None:
        return None
    published = told.get("published", {}).get(SERVICE, {}).get("state")
    live = told.get("checks", {}).get("galera", {}).get("facts") or {}
    try:
        stated = from_published(published) if published else None
        if live.get("cluster_status"):
            return _running(of_status(live), stated)
    except (KeyError, TypeError, ValueError):
        return None
    if stated and stated.phase in (Phase.PRIMARY, Phase.NON_PRIMARY):
        return replace(stated, phase=Phase.STARTING)
    return stated


def _running(live: Facts, stated: Facts | None) -> Facts:
    """Add what only a converge run knows of a server that runs; its last view may be older than the server's."""
    if stated is None:
        return live
    told = replace(live, vote=stated.vote, history=stated.history, generation=stated.generation)
    outside = Phase.NON_PRIMARY
    if stated.phase is not outside or live.phase is not outside or stated.member != live.member:
        return told
    return replace(told, view=stated.view, behind=stated.behind)


def generation(context: Context) -> str:
    """Return what identifies the list of controllers, and the policy, that this node was configured with."""
    told = [[(node.name, node.ip) for node in context.cluster.nodes], context.metadata["mysql"]["recovery"]]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def given_up() -> frozenset[str]:
    """Return the nodes that an operator named as lost, here."""
    return frozenset(json.loads(LOST.read_text())) if LOST.exists() else frozenset()


def situation(context: Context, mine: Facts) -> Situation:
    """Ask all peers at once and put what they say beside this node's own facts and the metadata.

    Peers that do not answer, or have not looked yet, have no facts. What an operator gave up on any node counts on all.
    """
    peers = context.cluster.peers
    with ThreadPoolExecutor(max(1, len(peers))) as pool:
        answers = dict(zip((node.name for node in peers), pool.map(context.peer, peers), strict=True))
    facts = {context.cluster.me.name: mine}
    lost = given_up()
    for name, told in answers.items():
        if known := of_peer(told):
            facts[name] = known
            lost |= set((told or {}).get("published", {}).get(SERVICE, {}).get("lost", ()))
    names = [node.name for node in context.cluster.nodes]
    recovery = Recovery(context.metadata["mysql"]["recovery"])
    return Situation(names, context.cluster.me.name, facts, frozenset(lost), recovery)
