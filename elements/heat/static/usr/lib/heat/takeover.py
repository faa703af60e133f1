"""Has Heat's engines take up stacks that a lost engine has left.

A step of a stack is taken off the broker before it is done, and the engine that does it writes its own name to the
resource. An engine that dies takes both with it: nobody asks for that step again, and the stack stays IN_PROGRESS, even
past its timeout, until a user acts on it. What such an action would start is what is started here: a new traversal of
the same template, in which each resource that is done is passed over, and one that a lost engine holds is taken from it
and made anew (``heat.engine.check_resource``).

Heat loads this as it loads resources of deployers' own, from ``plugin_dirs``, before its engine starts.
"""

import functools
import logging
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from heat.common import context
from heat.engine import service, stack, sync_point
from heat.objects import resource as resource_objects
from heat.objects import stack as stack_objects
from heat.rpc.listener_client import EngineListenerClient

LOG = logging.getLogger(__name__)
LOOK_S = 10
# An engine that is told to stop answers nobody while it ends what it has begun: its unit gives it 30 seconds for that.
LEFT_S = 60
# What else may be in progress is done under the lock of the whole stack, by one engine, and has no traversal.
TRAVERSED = ("CREATE", "UPDATE", "DELETE", "ADOPT", "ROLLBACK", "RESTORE")


@dataclass(frozen=True)
class Progress:
    """How far a stack has come.

    :ivar traversal: UUID of the traversal that is under way.
    :ivar resources: of each resource its id, its status, and the number that grows with each change.
    :ivar engines: UUIDs of the engines that hold some of them.
    """

    traversal: str
    resources: frozenset[tuple[int, str, int]]
    engines: frozenset[str]


class Watch:
    """Knows for how long each stack has neither changed nor been held by an engine that answers."""

    def __init__(self) -> None:
        self._idle: dict[str, tuple[Progress, float]] = {}

    def left(self, stacks: Mapping[str, Progress], answering: Collection[str], now: float) -> list[str]:
        """Return the ids of the stacks that have been left for ``LEFT_S``.

        :param stacks: all stacks in progress, by their ids.
        :param answering: the engines that answer.
        :param now: seconds on a clock that nobody sets.
        """
        idle = {}
        for name, progress in stacks.items():
            known, began = self._idle.get(name, (None, now))
            unchanged = progress == known and progress.engines.isdisjoint(answering)
            idle[name] = (progress, began if unchanged else now)
        self._idle = idle
        return [name for name, (_, began) in idle.items() if now - began >= LEFT_S]

    def forget(self) -> None:
        """Begin anew: nothing can be said about who answers."""
        self._idle = {}


def look(engine: Any, watch: Watch, clock: Callable[[], float] = time.monotonic) -> None:
    """Take up what has been left; an engine that cannot even reach itself says nothing about others.

    :param engine: ``heat.engine.service.EngineService`` that has been started.
    """
    stacks = _in_progress()
    asked = {engine.engine_id}.union(*(progress.engines for progress in stacks.values())) if stacks else set()
    answering = {name for name in asked if EngineListenerClient(name).is_alive(context.get_admin_context())}
    if engine.engine_id not in answering:
        watch.forget()
        return
    for name in watch.left(stacks, answering, clock()):
        _take_up(engine, name, stacks[name].traversal)


def _in_progress() -> dict[str, Progress]:
    admin = context.get_admin_context()
    filters = {"status": "IN_PROGRESS", "convergence": True, "action": TRAVERSED}
    found = stack_objects.Stack.get_all(admin, filters=filters, show_nested=True, show_hidden=True)
    return {each.id: _progress(admin, each) for each in found}


def _progress(admin: Any, found: Any) -> Progress:
    resources = resource_objects.Resource.get_all_active_by_stack(admin, found.id).values()
    states = frozenset((each.id, each.status, each.atomic_key) for each in resources)
    return Progress(found.current_traversal, states, frozenset(each.engine_id for each in resources if each.engine_id))


def _take_up(engine: Any, name: str, traversal: str) -> None:
    """Begin a new traversal, as ``Stack.converge_stack`` does, but of the template, and by the action, that it has.

    All engines try; the database lets one of them replace the former traversal.
    """
    admin = context.get_admin_context()
    taken = stack.Stack.load(admin, stack_id=name, use_stored_context=True)
    taken.thread_group_mgr = engine.thread_group_mgr
    taken.current_traversal = str(uuid.uuid4())
    if taken.store(exp_trvsl=traversal) is None:
        return
    LOG.warning("Stack %s was left in the midst of %s by an engine that is gone; going on with it", name, taken.action)
    sync_point.delete_all(admin, name, traversal)
    engine.thread_group_mgr.start(name, taken._converge_create_or_update)


def _look_and_go_on(engine: Any, watch: Watch) -> None:
    try:
        look(engine, watch)
    except Exception:
        LOG.exception("Stacks that a lost engine left could not be taken up; they are looked at again in %s s", LOOK_S)


def _watching(start: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(start)
    def start_and_watch(engine: Any) -> None:
        start(engine)
        engine.manage_thread_grp.add_timer(LOOK_S, _look_and_go_on, LOOK_S, engine, Watch())

    return start_and_watch


def _signed_in(delete_credentials: Callable[..., Any]) -> Callable[..., Any]:
    """What is deleted by the user's trust, and no longer by the user, ends that trust before it has ended."""

    @functools.wraps(delete_credentials)
    def sign_in_and_delete(taken: Any, *args: Any) -> Any:
        if taken.context.trust_id:
            taken.clients.client("keystone")
        return delete_credentials(taken, *args)

    return sign_in_and_delete


service.EngineService.start = _watching(service.EngineService.start)
stack.Stack._delete_credentials = _signed_in(stack.Stack._delete_credentials)
