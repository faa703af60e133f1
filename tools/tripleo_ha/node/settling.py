"""The end of a rotation: what only the former passwords were good for goes, once no node uses them any more."""

from functools import partial

from tripleo_ha.errors import Failure, TimedOut
from tripleo_ha.node import databases, rolling, sql
from tripleo_ha.node.context import LOG, Context
from tripleo_ha.node.rabbitmq_api import Api
from tripleo_ha.topology import rabbitmq
from tripleo_ha.topology.rabbitmq import DropUser
from tripleo_ha.waiting import wait_for


def settle(context: Context) -> None:
    """Take away what is left of former passwords, on the last node, when every other one has converged.

    It is no failure when a node does not come so far: the former passwords stay until a later run.
    """
    if context.cluster.me != context.cluster.nodes[-1]:
        return
    try:
        accounts, users = _former_accounts(context), _former_users(context)
        if not accounts and not users:
            return
        every = "every controller to use the new passwords"
        wait_for(every, partial(rolling.all_done, context), timeout=rolling.TURN_TIMEOUT)
        if accounts:
            with sql.root() as connection:
                gone = databases.settle(connection, accounts)
            LOG.info("database: former passwords of %s dropped", ", ".join(gone))
        if users:
            with _api(context) as api:
                api.apply(users)
            LOG.info("rabbitmq: users of former passwords dropped: %s", ", ".join(user.name for user in users))
    except TimedOut as late:
        LOG.warning("%s; the former passwords stay until then", late)
    except Failure as failure:
        LOG.warning("former passwords stay until a later run: %s", failure)


def _former_accounts(context: Context) -> list[databases.Account]:
    wanted = databases.wanted_accounts(context.rows, context.metadata)
    if not wanted or "mysql" not in context.metadata:
        return []
    with sql.root() as connection:
        shown = {account: databases.shown_grants(connection, account) for account in wanted}
    return [account for account, lines in shown.items() if databases.beside_former(account, lines) != account]


def _former_users(context: Context) -> tuple[DropUser, ...]:
    rows = [row for row in context.rows if row.broker]
    if not rows or "rabbit" not in context.metadata:
        return ()
    with _api(context) as api:
        return rabbitmq.former_users(rabbitmq.wanted_users(context.metadata, rows), rows, api.users())


def _api(context: Context) -> Api:
    return Api("admin", context.metadata["rabbit"]["admin_password"])
