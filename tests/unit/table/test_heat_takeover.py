"""A stack that a lost engine has left is taken up by another, once, and no other stack is."""

import importlib.util
import logging
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tripleo_ha import paths, table

HEAT = paths.elements() / "heat"
MODULE = HEAT / "static/usr/lib/heat/takeover.py"
OWN, OTHER, DEAD = "own", "other", "dead"


class Cloud:
    """Heat's database and engines, as far as they are asked."""

    def __init__(self) -> None:
        self.answering = {OWN, OTHER}
        self.held: dict[str, str | None] = {"s1": DEAD}
        self.change = 0
        self.traversal = "t1"
        self.replaced_before = False
        self.begun: list[str] = []

    def stacks(self, _: Any, *, filters: dict[str, Any], **__: Any) -> list[Any]:
        assert filters["status"] == "IN_PROGRESS"
        return [SimpleNamespace(id=name, current_traversal=self.traversal) for name in self.held]

    def resources(self, _: Any, stack: str) -> dict[int, Any]:
        return {1: SimpleNamespace(id=1, status="IN_PROGRESS", atomic_key=self.change, engine_id=self.held[stack])}

    def client(self, name: str) -> Any:
        return SimpleNamespace(is_alive=lambda _: name in self.answering)

    def load(self, _: Any, *, stack_id: str, use_stored_context: bool) -> Any:
        assert use_stored_context

        def store(exp_trvsl: str) -> str | None:
            assert exp_trvsl == self.traversal
            return None if self.replaced_before else stack_id

        return SimpleNamespace(store=store, action="CREATE", _converge_create_or_update=lambda: None)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def takeover(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plug-in, loaded into a Heat of which only what it asks is there."""

    class Stack:
        load = cloud.load

        def _delete_credentials(self) -> None:
            raise NotImplementedError

    modules: dict[str, dict[str, Any]] = {
        "heat": {},
        "heat.common": {"context": SimpleNamespace(get_admin_context=lambda: None)},
        "heat.engine": {
            "service": SimpleNamespace(
                EngineService=SimpleNamespace(start=lambda engine: engine.told.append("started"))
            ),
            "stack": SimpleNamespace(Stack=Stack),
            "sync_point": SimpleNamespace(
                delete_all=lambda _, stack, traversal: cloud.begun.append(f"{stack} {traversal}")
            ),
        },
        "heat.objects": {
            "resource": SimpleNamespace(Resource=SimpleNamespace(get_all_active_by_stack=cloud.resources)),
            "stack": SimpleNamespace(Stack=SimpleNamespace(get_all=cloud.stacks)),
        },
        "heat.rpc": {},
        "heat.rpc.listener_client": {"EngineListenerClient": cloud.client},
    }
    for name, members in modules.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("takeover", MODULE)
    assert spec
    assert spec.loader
    plugin = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "takeover", plugin)
    spec.loader.exec_module(plugin)
    return plugin


@pytest.fixture
def looks(takeover: Any, cloud: Cloud) -> Callable[[int], list[str]]:
    """Have the engine look so many times; return what it has taken up since it began."""
    group = SimpleNamespace(start=lambda stack, _: cloud.begun.append(f"{stack} goes on"))
    engine, watch, clock = SimpleNamespace(engine_id=OWN, thread_group_mgr=group), takeover.Watch(), [0.0]

    def look(times: int) -> list[str]:
        for _ in range(times):
            takeover.look(engine, watch, lambda: clock[0])
            clock[0] += takeover.LOOK_S
        return cloud.begun

    return look


def enough(takeover: Any) -> int:
    return int(takeover.LEFT_S // takeover.LOOK_S)


@pytest.mark.parametrize("holder", [DEAD, None])
def test_what_nobody_works_on_is_taken_up_when_it_has_been_left_long_enough(
    takeover: Any, cloud: Cloud, looks: Callable[[int], list[str]], holder: str | None
) -> None:
    cloud.held = {"s1": holder}
    assert looks(enough(takeover)) == []
    assert looks(1) == ["s1 t1", "s1 goes on"]


def test_what_an_engine_works_on_is_left_to_it_however_long_it_takes(
    takeover: Any, cloud: Cloud, looks: Callable[[int], list[str]]
) -> None:
    cloud.held = {"s1": OTHER}
    assert looks(10 * enough(takeover)) == []
    cloud.answering.remove(OTHER)
    assert looks(enough(takeover) - 1) == []
    assert looks(1)


def test_a_change_shows_that_somebody_works_on_it(
    takeover: Any, cloud: Cloud, looks: Callable[[int], list[str]]
) -> None:
    looks(enough(takeover))
    cloud.change += 1
    assert looks(enough(takeover)) == []


def test_an_engine_that_cannot_reach_itself_takes_nothing_up(
    takeover: Any, cloud: Cloud, looks: Callable[[int], list[str]]
) -> None:
    looks(enough(takeover))
    cloud.answering.clear()
    assert looks(3) == []
    cloud.answering = {OWN}
    assert looks(enough(takeover)) == []
    assert looks(1)


def test_what_another_engine_has_taken_up_first_is_left_to_it(
    takeover: Any, cloud: Cloud, looks: Callable[[int], list[str]]
) -> None:
    cloud.replaced_before = True
    assert looks(2 * enough(takeover)) == []


def test_an_engine_watches_from_its_start_and_goes_on_after_an_error(
    takeover: Any, cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    timers: list[Any] = []
    group = SimpleNamespace(add_timer=lambda *timer: timers.append(timer))
    engine = SimpleNamespace(manage_thread_grp=group, told=[], engine_id=OWN)
    takeover.service.EngineService.start(engine)
    assert engine.told == ["started"]
    ((interval, look, delay, *args),) = timers
    assert interval == delay == takeover.LOOK_S
    cloud.held = {"s1": DEAD}
    cloud.stacks = None  # type: ignore[method-assign, assignment]
    takeover.stack_objects.Stack.get_all = lambda *_, **__: 1 / 0
    with caplog.at_level(logging.ERROR):
        look(*args)
    assert "could not be taken up" in caplog.text


def test_keystone_is_signed_in_to_before_the_trust_ends(takeover: Any) -> None:
    told: list[str] = []
    delete = takeover._signed_in(lambda *_: told.append("trust ended"))
    clients = SimpleNamespace(client=told.append)
    delete(SimpleNamespace(context=SimpleNamespace(trust_id="t"), clients=clients))
    assert told == ["keystone", "trust ended"]
    delete(SimpleNamespace(context=SimpleNamespace(trust_id=None), clients=clients))
    assert told[2:] == ["trust ended"]


def test_an_engine_that_is_told_to_stop_ends_what_it_has_begun_before_that_is_taken_up(takeover: Any) -> None:
    (unit,) = [
        unit
        for row in table.load()
        if row.service == "heat"
        for unit in row.units
        if unit.name == "heat-engine.service"
    ]
    assert unit.program
    assert unit.program.stop_s < takeover.LEFT_S
