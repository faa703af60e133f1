"""The catalogue of faults: whom each strikes, that healing suits any half-done injection, and what is written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tripleo_ha.chaos.faults import choice, clock, healing, outages, power, writes
from tripleo_ha.chaos.faults.catalogue import ALL, fitting
from tripleo_ha.chaos.faults.model import POWERED, Roles
from tripleo_ha.chaos.model import Kind
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.layout import bed_nodes
from tripleo_ha.devtest.processes import Process
from tripleo_ha.errors import Failure

NODES = ("overcloud-controller-0", "overcloud-controller-1", "overcloud-controller-2")
A, B, C = NODES
ROLES = Roles(NODES, A, {"control": A, "public": A})


@dataclass
class FakeBed:
    """Notes what is done to it; a node is on or off."""

    state: Path
    fail_at: str = ""
    done: list[tuple[Any, ...]] = field(default_factory=list)
    off: set[str] = field(default_factory=set)
    prey: bool = True

    def __post_init__(self) -> None:
        self.nodes = bed_nodes(self.state, NODES)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def note(*arguments: Any, **_: Any) -> Any:
            if name == self.fail_at:
                raise Failure(f"{name} fails")
            self.done.append((name, *arguments))
            if name in ("power_off", "stop"):
                self.off.add(arguments[0])
            if name == "power_on":
                self.off.discard(arguments[0])
            return self._answer(name, arguments)

        return note

    def _answer(self, name: str, arguments: tuple[Any, ...]) -> Any:
        answers: dict[str, Callable[[], Any]] = {
            "running": lambda: arguments[0] not in self.off,
            "powered": lambda: arguments[0] not in self.off,
            "leader": lambda: 0,
            "signal": lambda: (1,) if self.prey else (),
            "processes": lambda: (Process(1, "mbstream", "mariadb.service", "S"),),
            "node": lambda: next(node for node in self.nodes if node.name == arguments[0]),
            "exec": lambda: SimpleNamespace(stdout="1000000", returncode=0),
        }
        return answers.get(name, lambda: None)()

    def names(self) -> list[str]:
        return [what for what, *_ in self.done]


@dataclass
class FakeField:
    bed: Any
    nodes: tuple[str, ...]
    roles: Roles = ROLES
    random: Random = field(default_factory=lambda: Random(1))
    notes: dict[str, object] = field(default_factory=dict)
    served: int = 0

    def note(self, key: str, value: object) -> None:
        self.notes[key] = value

    def wait_served(self, timeout: float) -> None:
        self.served += 1


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBed:
    monkeypatch.setattr(healing.clock, "clear", lambda leader: None)
    monkeypatch.setattr(healing.disk, "relieve", lambda node, leader: None)
    monkeypatch.setattr(power, "last", lambda seconds: None)
    return FakeBed(tmp_path)


def test_every_fault_is_in_the_row_that_its_name_says() -> None:
    rows = {kind: {name for name, fault in ALL.items() if fault.kind is kind} for kind in Kind}
    assert all(name.startswith("kill-") for name in rows[Kind.KILLED])
    assert rows[Kind.STOPPED] == {"reboot-serving"}
    assert rows[Kind.POWER_CUT] == {"power-cut-serving"}
    cuts = {"cut-off-serving", "cut-from-peers-serving", "lose-in-serving", "lose-out-serving"}
    assert {name for name in rows[Kind.CUT_OFF] if not name.startswith("freeze-")} == cuts
    assert rows[Kind.OUTAGE] == {name for name in ALL if name.startswith("outage-")}
    # What is in no row serves nobody, or is no outage at all.
    assert not [name for name in rows[Kind.OTHER] if name.startswith(("kill-", "outage-"))]


def test_every_kind_of_the_table_of_figures_has_faults() -> None:
    assert {fault.kind for fault in ALL.values()} == set(Kind)


@pytest.mark.parametrize(
    "group",
    ["kill", "freeze", "power-cut", "stop", "network", "flapping", "split", "disk", "disk-full", "clock", "load"],
)
def test_the_issues_faults_are_there(group: str) -> None:
    assert [fault.name for fault in ALL.values() if group in fault.groups]


@pytest.mark.parametrize("name", list(ALL))
def test_whom_a_fault_chooses_is_a_node_and_seeded(name: str) -> None:
    roles = Roles(NODES, B, {"control": C, "public": C})
    chosen = ALL[name].choose(roles, Random(7))
    assert chosen
    assert set(chosen) <= set(NODES)
    assert len(set(chosen)) == len(chosen)
    assert chosen == ALL[name].choose(roles, Random(7))


@pytest.mark.parametrize("name", list(ALL))
def test_a_fault_for_the_table_strikes_who_serves(name: str) -> None:
    fault = ALL[name]
    roles = Roles(NODES, B, {"control": C, "public": C})
    if fault.kind in (Kind.KILLED, Kind.STOPPED, Kind.POWER_CUT, Kind.CUT_OFF):
        assert all(roles.serving(node) for node in fault.choose(roles, Random(3)))


@pytest.mark.parametrize("name", list(ALL))
def test_a_heal_may_come_before_the_injection_and_twice(name: str, bed: FakeBed) -> None:
    ground = FakeField(bed, NODES if ALL[name].kind is Kind.OUTAGE else (A,))
    ALL[name].heal(ground)
    ALL[name].heal(ground)
    assert bed.off == set()
    assert "mend" in bed.names()


@pytest.mark.parametrize("name", list(ALL))
def test_a_heal_boots_plugs_in_and_thaws_every_node_whatever_was_struck(name: str, bed: FakeBed) -> None:
    bed.off = {A, C}
    ALL[name].heal(FakeField(bed, NODES if ALL[name].kind is Kind.OUTAGE else (B,)))
    assert bed.off == set()
    for what in ("thaw", "rejoin"):
        assert {node for done, node, *_ in (each for each in bed.done if len(each) > 1) if done == what} == set(NODES)


def test_a_fault_that_finds_nothing_to_strike_says_so(bed: FakeBed) -> None:
    bed.prey = False
    with pytest.raises(Failure, match=r"no process beam in rabbitmq-server\.service"):
        ALL["kill-beam"].inject(FakeField(bed, (A,)))


def test_an_outage_in_turn_lets_clients_write_only_while_a_majority_is_there(bed: FakeBed) -> None:
    ground = FakeField(bed, NODES)
    ALL["outage-in-turn"].inject(ground)
    assert [each for each in bed.done if each[0] == "power_off"] == [("power_off", node) for node in NODES]
    assert ground.served == 1


def test_a_reversed_outage_begins_with_the_last(bed: FakeBed) -> None:
    ALL["outage-stopped-reversed"].inject(FakeField(bed, NODES))
    assert [node for what, node, *_ in bed.done if what == "stop"] == list(NODES[::-1])


def test_a_mixed_outage_both_stops_and_cuts(bed: FakeBed) -> None:
    ALL["outage-mixed"].inject(FakeField(bed, NODES))
    assert [what for what in bed.names() if what in ("stop", "power_off")] == ["stop", "power_off", "stop"]


def test_the_first_to_go_comes_back_once_the_others_serve(bed: FakeBed) -> None:
    ground = FakeField(bed, (C, A, B))
    ALL["outage-first-late"].inject(ground)
    ground.served = 0
    bed.done.clear()
    ALL["outage-first-late"].heal(ground)
    booted = [node for what, node, *_ in (each for each in bed.done if len(each) > 1) if what == "power_on"]
    assert set(booted[:2]) == {A, B}
    assert booted[2:] == [C]
    assert ground.served == 1
    assert ground.notes[POWERED] == pytest.approx(1.0)


def test_the_moment_of_an_outages_end_is_that_of_the_last_agent(bed: FakeBed) -> None:
    started = {A: "3000000", B: "5500000", C: "4000000"}
    bed.exec = lambda node, argv, **_: SimpleNamespace(stdout=started[node] + "\n", returncode=0)  # type: ignore[attr-defined]
    assert outages.powered(cast(Bed, bed), NODES) == pytest.approx(5.5)


def test_what_serves_nobody_is_preferred_by_faults_of_others() -> None:
    roles = Roles(NODES, A, {"control": B, "public": B})
    assert {choice.other(roles, Random(seed)) for seed in range(20)} == {(C,)}


def test_roles_weigh_what_clients_notice() -> None:
    roles = Roles(NODES, A, {"control": A, "public": B})
    assert [roles.weight(node) for node in NODES] == [2, 1, 0]
    assert [roles.serving(node) for node in NODES] == [True, True, False]


def test_faults_that_need_more_than_a_bed_has_are_left_out(bed: FakeBed) -> None:
    found = fitting(cast(Bed, bed))
    assert "disk-full-serving" not in found
    for node in bed.nodes:
        node.directory.mkdir(parents=True)
        (node.directory / "disk.img").touch()
    assert "disk-full-serving" in fitting(cast(Bed, bed))
    bed.nodes = bed.nodes[:1]
    assert "cut-off-serving" not in fitting(cast(Bed, bed))
    assert "outage-at-once" in fitting(cast(Bed, bed))


def test_writes_in_bulk_are_more_than_the_members_keep(bed: FakeBed) -> None:
    statements: list[str] = []
    options = "base_port = 4567; gcache.size = 128M; gcs.fc_limit = 16"

    def execute(node: str, argv: list[str], *, input: str, timeout: float) -> SimpleNamespace:
        statements.append(input)
        return SimpleNamespace(stdout=options)

    bed.exec = execute  # type: ignore[attr-defined]
    assert writes.more_than_kept(cast(Bed, bed), A) >= 1.2 * 128
    assert sum(each.count("INSERT") for each in statements) * writes.ROW_MB >= 1.2 * 128
    assert statements[-1].startswith("DROP DATABASE")


def test_writes_in_bulk_are_dropped_when_one_fails(bed: FakeBed) -> None:
    statements: list[str] = []

    def execute(node: str, argv: list[str], *, input: str, timeout: float) -> SimpleNamespace:
        statements.append(input)
        if "INSERT" in input:
            raise Failure("the table is full")
        return SimpleNamespace(stdout="")

    bed.exec = execute  # type: ignore[attr-defined]
    with pytest.raises(Failure, match="full"):
        writes.bulk(cast(Bed, bed), A, 8)
    assert statements[-1].startswith("DROP DATABASE")


def test_a_large_write_set_is_one_transaction(bed: FakeBed) -> None:
    statements: list[str] = []

    def execute(node: str, argv: list[str], *, input: str, timeout: float) -> SimpleNamespace:
        statements.append(input)
        return SimpleNamespace(stdout="")

    bed.exec = execute  # type: ignore[attr-defined]
    writes.bulk(cast(Bed, bed), A, 64)
    transactions = [each for each in statements if "INSERT" in each]
    assert [each.count("INSERT") for each in transactions] == [64 // writes.ROW_MB]


def test_a_clock_is_stepped_for_engines_only() -> None:
    units = clock.units()
    assert {"mariadb.service", "rabbitmq-server.service", "corosync.service", "pacemaker.service"} <= set(units)
    assert not {"haproxy.service", "keystone.service", "chrony.service"} & set(units)
