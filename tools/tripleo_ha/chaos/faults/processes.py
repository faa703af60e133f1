"""One service's processes on one node are killed, or stop running and keep their sockets, which is worse."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from tripleo_ha.chaos.faults import choice
from tripleo_ha.chaos.faults.healing import heal
from tripleo_ha.chaos.faults.model import Fault, Field, nothing
from tripleo_ha.chaos.model import Kind
from tripleo_ha.errors import Failure

KILLED_COST_S, FROZEN_COST_S, BEAM_COST_S, NODE_COST_S = 30.0, 60.0, 90.0, 80.0
FROZEN_S = 15.0
"""How long a frozen process stays so at least: longer than any peer waits for it, which is Erlang's 10 s."""


@dataclass(frozen=True)
class Prey:
    """What is struck: processes by their unit and the beginning of their name; ``writer``: where SQL writes go."""

    name: str
    unit: str
    process: str
    writer: bool = False


PREY = (
    Prey("mariadbd", "mariadb.service", "mariadbd", writer=True),
    Prey("beam", "rabbitmq-server.service", "beam"),
    Prey("haproxy", "haproxy.service", "haproxy"),
    Prey("corosync", "corosync.service", "corosync"),
    Prey("pacemakerd", "pacemaker.service", "pacemakerd"),
    Prey("keystone", "keystone.service", "uwsgi"),
    Prey("memcached", "memcached.service", "memcached"),
    Prey("health", "tripleo-ha-health.service", ""),
)


def faults() -> Iterator[Fault]:
    """Yield a kill and a freeze of each service's processes, and of a whole node."""
    for prey in PREY:
        choose = choice.serving if prey.writer else choice.holder
        yield Fault(
            f"kill-{prey.name}",
            Kind.KILLED,
            f"{prey.name} of the serving node gets SIGKILL",
            choose,
            partial(_signal, prey=prey, number=signal.SIGKILL),
            heal,
            groups=("process", "kill"),
            cost=KILLED_COST_S,
        )
        yield Fault(
            f"freeze-{prey.name}",
            Kind.CUT_OFF,
            f"{prey.name} of the serving node gets SIGSTOP, and goes on later",
            choose,
            partial(_signal, prey=prey, number=signal.SIGSTOP),
            heal,
            hold=FROZEN_S,
            groups=("process", "freeze"),
            cost=BEAM_COST_S if prey.name == "beam" else FROZEN_COST_S,
        )
    for name, choose, prepare in (("serving", choice.serving, choice.gather), ("other", choice.other, nothing)):
        yield Fault(
            f"freeze-node-{name}",
            Kind.CUT_OFF if name == "serving" else Kind.OTHER,
            "a whole node stops running, its cables plugged in, and goes on later",
            choose,
            _freeze_nodes,
            heal,
            prepare=prepare,
            hold=FROZEN_S,
            groups=("freeze", "cut-off", "node"),
            cost=NODE_COST_S,
            scale=3,
        )


def _signal(field: Field, prey: Prey, number: signal.Signals) -> None:
    for node in field.nodes:
        reached = field.bed.signal(node, number, prey.unit, prey.process)
        if not reached:
            raise Failure(f"no process {prey.process} in {prey.unit} on {node}")
        field.note(f"pids on {node}", reached)


def _freeze_nodes(field: Field) -> None:
    for node in field.nodes:
        field.bed.freeze(node)
