"""The end of a session: what every node holds is read, and checkers judge the histories against it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tripleo_ha.chaos import crew as crews
from tripleo_ha.chaos.checkers import agreement, bank, broker, list_append, once, rpc, tokens
from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.chaos.cluster import Cluster
from tripleo_ha.chaos.model import Finding, Operation, Overlap, Strike, Verdict, read_operations
from tripleo_ha.errors import Failure
from tripleo_ha.files import write_file
from tripleo_ha.node.trial import BANK_ACCOUNTS, BANK_BALANCE
from tripleo_ha.topology.fencing import NEEDS as FENCING_NEEDS

States = Mapping[str, Mapping[str, Any]]


def judge(
    directory: Path,
    cluster: Cluster,
    settings: Settings,
    kinds: Sequence[str],
    overlaps: Sequence[Overlap],
    strikes: Sequence[Strike],
) -> tuple[Verdict, ...]:
    """Read what every node holds, judge the histories, and write ``final/*.json`` and ``verdicts.json``.

    What cannot be judged is a finding. The clients must have stopped.
    """

    def done(*clients: str) -> Iterator[Operation]:
        # Each time from the files, and only what is judged: hours of all of it would not fit into memory.
        for client in clients:
            yield from read_operations(sorted((directory / "history").glob(f"{client}-*.jsonl")))

    verdicts = [
        _troubles(strikes),
        *_tried("once", lambda: [once.check(overlaps, fencing(cluster.target.metadata))]),
    ]
    if crews.SQL in kinds:
        verdicts += _tried("sql", lambda: _sql(directory, cluster, settings, done))
    if crews.PUBLISH in kinds:
        verdicts += _tried(
            "broker",
            lambda: [
                broker.check(done(crews.PUBLISH), done(crews.CONSUME), _drained(directory, cluster, settings)),
            ],
        )
    if crews.RPC in kinds:
        verdicts += _tried("rpc", lambda: [rpc.check(done(crews.RPC))])
    if crews.TOKEN in kinds:
        verdicts += _tried("tokens", lambda: [tokens.check(done(crews.TOKEN))])
    write_verdicts(directory, verdicts)
    return tuple(verdicts)


def write_verdicts(directory: Path, verdicts: Sequence[Verdict]) -> None:
    """Write ``verdicts.json``."""
    told = [{**asdict(verdict), "counts": dict(verdict.counts)} for verdict in verdicts]
    write_file(directory / "verdicts.json", json.dumps(told, indent=1) + "\n", mode=0o644)


def read_lists(directory: Path, cluster: Cluster, settings: Settings) -> dict[str, States]:
    """Return ``lists`` and ``bank`` as each node holds them, and keep both in ``final``."""
    told = cluster.told_by_all("lists", {"name": settings.account.name})
    finals: dict[str, States] = {what: {node: each[what] for node, each in told.items()} for what in ("lists", "bank")}
    for what, states in finals.items():
        _keep(directory, what, states)
    return finals


def fencing(metadata: Mapping[str, Any]) -> bool:
    """Whether Pacemaker can cut a node's power before it starts elsewhere what may still run there."""
    devices = (metadata.get("pacemaker", {}).get("fencing") or {}).get("devices")
    return bool(devices) and len(metadata["cluster"]["nodes"]) >= FENCING_NEEDS


def _troubles(strikes: Sequence[Strike]) -> Verdict:
    """Every strike must have been done as it is meant, and have left a whole cluster behind."""
    findings = [
        Finding("strikes", "not whole again" if strike.redundant is None else "trouble", _told(strike))
        for strike in strikes
        if strike.trouble or strike.redundant is None
    ]
    return Verdict("strikes", tuple(findings), {"strikes": len(strikes), "manual_steps": 0})


def _told(strike: Strike) -> str:
    return f"{strike.number} {strike.fault} on {', '.join(strike.nodes)}: {strike.trouble or 'unknown'}"


def _tried(name: str, check: Callable[[], list[Verdict]]) -> list[Verdict]:
    try:
        return check()
    except (Failure, ValueError) as error:
        return [Verdict(name, (Finding(name, "cannot be judged", str(error)),))]


def _sql(
    directory: Path, cluster: Cluster, settings: Settings, done: Callable[[str], Iterator[Operation]]
) -> list[Verdict]:
    finals = read_lists(directory, cluster, settings)
    return [
        list_append.check(done(crews.SQL), finals["lists"]),
        bank.check(done(crews.SQL), finals["bank"], BANK_ACCOUNTS * BANK_BALANCE),
        agreement.check(finals, len(cluster.nodes)),
    ]


def _drained(directory: Path, cluster: Cluster, settings: Settings) -> list[str]:
    account = settings.account
    request = {"name": account.name, "password": account.password, "queue": settings.queue}
    left: list[str] = cluster.told(cluster.nodes[-1], "drain", request)["payloads"]
    _keep(directory, "queue", {"drained": left})
    return left


def _keep(directory: Path, what: str, content: Mapping[str, Any]) -> None:
    write_file(directory / "final" / f"{what}.json", json.dumps(content) + "\n", mode=0o644)
