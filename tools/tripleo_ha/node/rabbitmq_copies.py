"""What running brokers are asked in Erlang, for want of another way: who is a member, and who holds copies of queues.

The expressions call what RabbitMQ itself calls for ``rabbitmq-queues`` and ``rabbitmqctl`` (release 4.0), which take
each queue in turn and wait for each that has no leader.
"""

import re
from dataclasses import dataclass

from tripleo_ha.errors import Failure
from tripleo_ha.node.rabbitmq_broker import evaluate

COPIES_S = 10
"""Seconds that leaders of queues get to agree on what they were asked; one that is there takes a tenth of that."""
DECLARED_S = 10
"""Seconds between a queue's name and its copies at most: RabbitMQ gives up starting them after 5."""
ASK = """
Asked = [spawn_monitor(fun() -> exit({{told, Ask()}}) end) || Ask <- Asks],
Until = erlang:monotonic_time(millisecond) + {milliseconds},
Agreed = [
    receive
        {{'DOWN', Monitor, process, Pid, Ended}} -> Ended =:= {{told, ok}}
    after
        max(0, Until - erlang:monotonic_time(millisecond)) -> false
    end || {{Pid, Monitor}} <- Asked],
"""
"""Ask all at once: one that has no leader answers late or never, and the others need not wait for it."""
QUEUES = """
Told = erpc:multicall(rabbit_nodes:list_running(), rabbit_quorum_queue, all_replica_states, [], 5000),
Servers = maps:from_list([States || {{ok, States}} <- Told]),
Queues = [Q || Q <- rabbit_amqqueue:list(), amqqueue:get_type(Q) =:= rabbit_quorum_queue],
Elect = fun(Q) ->
    {{Name, _}} = amqqueue:get_pid(Q),
    Seen = [{{maps:get(Name, Own), Member}} || {{Member, Own}} <- maps:to_list(Servers), maps:is_key(Name, Own)],
    Leads = Seen =:= [] orelse lists:keymember(leader, 1, Seen),
    Leads orelse ra:trigger_election({{Name, element(2, hd(Seen))}}),
    not Leads
end,
"""
"""What members that run have of quorum queues. No copy that comes back with an empty log stands for election by itself;
``Elect`` tells one of a queue's to, where none of those that run leads it."""
ELECT_LEADERS = (
    QUEUES
    + """
length(lists:filter(Elect, Queues)).
"""
)
DROP_COPIES = (
    QUEUES
    + """
Node = 'rabbit@{member}',
Members = fun(Q) -> maps:get(nodes, amqqueue:get_type_state(Q)) end,
MayVote = fun(Name, Host) -> Host =/= Node andalso maps:is_key(Name, maps:get(Host, Servers, #{{Name => off}})) end,
MayAgree = fun(Q) ->
    {{Name, _}} = amqqueue:get_pid(Q),
    2 * length([Host || Host <- Members(Q), MayVote(Name, Host)]) > length(Members(Q))
end,
Drop = fun(Q) ->
    {{_, Host, _, Queue}} = amqqueue:get_name(Q),
    Elect(Q),
    rabbit_quorum_queue:delete_member(Host, Queue, Node)
end,
Counted = [Q || Q <- Queues, lists:member(Node, Members(Q))],
{{Able, Stuck}} = lists:partition(MayAgree, Counted),
Streams = fun() -> rabbit_stream_queue:delete_all_replicas(Node), ok end,
Coordinators = [{{rabbit_stream_coordinator, Host}} || Host <- rabbit_nodes:list_running()],
Coordinator = fun() ->
    case ra:members(Coordinators, 5000) of
        {{ok, Known, Leader}} ->
            Votes = lists:keymember(Node, 2, Known),
            case Votes andalso ra:remove_member(Leader, {{rabbit_stream_coordinator, Node}}) of
                false -> ok;
                {{ok, _, _}} -> ok;
                _ -> later
            end;
        {{timeout, _}} -> later;
        _ -> ok
    end
end,
Asks = [Streams, Coordinator | [fun() -> Drop(Q) end || Q <- Able]],
"""
    + ASK
    + """
{{not lists:member(false, Agreed), length(Stuck)}}.
"""
)
TAKE_COPIES = (
    """
{{ok, Most}} = application:get_env(rabbit, quorum_cluster_size),
Holders = fun(Q) -> maps:get(nodes, amqqueue:get_type_state(Q)) end,
Lacks = fun(Q) ->
    case amqqueue:get_type(Q) of
        rabbit_stream_queue -> not lists:member(node(), Holders(Q));
        rabbit_quorum_queue -> not lists:member(node(), Holders(Q)) andalso length(Holders(Q)) < Most;
        _ -> false
    end
end,
Take = fun(Q) ->
    case amqqueue:get_type(Q) of
        rabbit_stream_queue ->
            {{_, Host, _, Stream}} = amqqueue:get_name(Q),
            rabbit_stream_queue:add_replica(Host, Stream, node());
        rabbit_quorum_queue ->
            rabbit_quorum_queue:add_member(Q, node())
    end
end,
Asks = [fun() -> Take(Q) end || Q <- rabbit_amqqueue:list(), Lacks(Q)],
"""
    + ASK
    + """
{{length([ok || true <- Agreed]), length([no || false <- Agreed])}}.
"""
)
FINISH_DELETIONS = """
Hosts = rabbit_nodes:list_running(),
Empty = fun() ->
    Told = lists:zip(Hosts, erpc:multicall(Hosts, ra_directory, list_registered, [quorum_queues], 5000)),
    Known = maps:from_list([{{Host, proplists:get_keys(Servers)}} || {{Host, {{ok, Servers}}}} <- Told]),
    Without = fun(Name) ->
        fun(Host) -> maps:is_key(Host, Known) andalso not lists:member(Name, maps:get(Host, Known)) end
    end,
    [Q || Q <- rabbit_amqqueue:list(), amqqueue:get_type(Q) =:= rabbit_quorum_queue,
          lists:all(Without(element(1, amqqueue:get_pid(Q))), maps:get(nodes, amqqueue:get_type_state(Q)))]
end,
First = [amqqueue:get_name(Q) || Q <- Empty()],
Lasting = case First of
    [] -> [];
    _ ->
        timer:sleep({milliseconds}),
        [Q || Q <- Empty(), lists:member(amqqueue:get_name(Q), First)]
end,
length([Q || Q <- Lasting, rabbit_amqqueue:internal_delete(Q, <<"tripleo-ha">>) =:= ok]).
"""
JOIN_COORDINATOR = """
Own = {rabbit_stream_coordinator, node()},
Others = [{rabbit_stream_coordinator, Host} || Host <- rabbit_nodes:list_running(), Host =/= node()],
case Others =/= [] andalso ra:members(Others, 5000) of
    {ok, Known, Leader} ->
        case {lists:member(Own, Known), whereis(rabbit_stream_coordinator)} of
            {true, Pid} when is_pid(Pid) ->
                member;
            {true, undefined} ->
                ra:remove_member(Leader, Own),
                joining;
            {false, _} ->
                ra:cast_aux_command(Leader, maybe_resize_coordinator_cluster),
                joining
        end;
    {timeout, _} ->
        joining;
    _ ->
        none
end.
"""
"""The coordinator's leader adds new members at its tick, every 30 s: told to, it does so at once. What it counts as a
member without a server there was on a disk that is gone; it would never be added again."""
DROPPED = re.compile(r"\{(true|false), (\d+)\}")
TAKEN = re.compile(r"\{(\d+), (\d+)\}")


def forget(member: str, *, through: str) -> None:
    """Remove a stopped member from the cluster; queues still count its copies: see :func:`drop_copies`.

    ``rabbitmqctl forget_cluster_node`` would ask the leader of one queue after the other, and wait up to 40 s for each
    that has none.

    :param through: a controller whose broker does it.
    :raises Failure: the cluster refused, for example because the member runs.
    """
    told = evaluate(f"rabbit_db_cluster:forget_member('rabbit@{member}', false).", at=through)
    if told != "ok":
        raise Failure(f"the broker cannot forget its former member {member}: {told}")


@dataclass(frozen=True)
class Copies:
    """What became of a former member's copies of queues.

    ``dropped``: no queue counts on one that could do without. ``stuck``: queues that cannot, as they can agree on
    nothing: of their copies no majority is there, on members that run.
    """

    dropped: bool
    stuck: int


def drop_copies(member: str, *, through: str) -> Copies:
    """Have queues count no longer on the copies that a former member had, nor the streams' coordinator on its vote.

    The leaders of all queues are asked at once, and given ``COPIES_S``. A queue that was being declared when all lost
    their power may have none, since no copy that comes back with an empty log stands for election by itself: it is told
    to. A queue whose other copies are no majority is not asked: it was being deleted in an outage, or was only there,
    and what it held is gone. Copies on members that are off may come back, so that they count as there.

    :raises Failure: the broker answers something else.
    """
    expression = DROP_COPIES.format(member=member, milliseconds=COPIES_S * 1000)
    answer = evaluate(expression, at=through)
    if (told := DROPPED.fullmatch(answer)) is None:
        raise Failure(f"the broker does not tell what became of the copies on {member}: {answer[:200]}")
    return Copies(told[1] == "true", int(told[2]))


def elect_leaders(*, at: str) -> int:
    """Have queues elect a leader that have none, and return how many were told to.

    A queue that was being declared when all lost their power may have none for good: see :func:`drop_copies`.

    :raises Failure: the broker answers something else than a number.
    """
    answer = evaluate(ELECT_LEADERS.format(), at=at)
    if not answer.isdecimal():
        raise Failure(f"the broker does not tell how many queues have no leader: {answer[:200]}")
    return int(answer)


def coordinates_streams(*, at: str) -> bool:
    """Tell whether a broker has a vote in the coordinator of streams, which is founded with the first of these."""
    return evaluate("is_pid(whereis(rabbit_stream_coordinator)).", at=at) == "true"


def join_coordinator(*, at: str) -> bool:
    """Have a broker take its part in the streams' coordinator; return whether it does, or there is none yet.

    Until all new members do, losing an old one may leave the coordinator without a majority; then no stream is
    declared or found, and no fanout sent.
    """
    return evaluate(JOIN_COORDINATOR, at=at) != "joining"


def take_copies(*, at: str) -> tuple[int, int]:
    """Have a broker hold its copies of streams and quorum queues, and return how many it got now and did not get.

    Nothing else gives it one of a stream, without which its clients cannot consume that (RabbitMQ, "Streams",
    "Replication factor"). Of a quorum queue RabbitMQ would, 5 s after the last queue was declared: never, where one is
    declared more often; then the loss of another member takes the majority.

    :raises Failure: the broker answers something else.
    """
    answer = evaluate(TAKE_COPIES.format(milliseconds=COPIES_S * 1000), at=at)
    if (told := TAKEN.fullmatch(answer)) is None:
        raise Failure(f"the broker does not tell what became of its copies of queues: {answer[:200]}")
    return int(told[1]), int(told[2])


def finish_deletions(*, at: str) -> int:
    """Have a broker forget queues that nobody has a copy of, though all who should have one run; return how many.

    An outage of all can end the deletion of a queue between its copies and its name. One that is being declared looks
    the same for a moment, so that nothing is forgotten that was not seen twice.

    :raises Failure: the broker answers something else than a number.
    """
    answer = evaluate(FINISH_DELETIONS.format(milliseconds=DECLARED_S * 1000), at=at)
    if not answer.isdecimal():
        raise Failure(f"the broker does not tell how many deletions it finished: {answer[:200]}")
    return int(answer)
