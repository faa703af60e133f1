"""What can wait until every controller has converged: the end of a rotation, and of an upgrade.

What only former passwords were good for goes, once no node uses them any more; data that releases keep in another form
is brought into the present one, once no node runs the former release.
"""

from functools import partial

import pymysql

from tripleo_ha.errors import Failure, TimedOut
from tripleo_ha.node import databases, evidence, rolling, service, sql
from tripleo_ha.node.context import LOG, Context
from tripleo_ha.node.rabbitmq_api import Api
from tripleo_ha.topology import rabbitmq
from tripleo_ha.topology.rabbitmq import DropUser
from tripleo_ha.waiting import wait_for

EVERYWHERE = "everywhere"
FINISH_TIMEOUT = 3600.0
"""Seconds; what an online migration changes, it changes for every record of a cloud."""


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
            with Api.administrator(context.metadata) as api:
                api.apply(users)
            LOG.info("rabbitmq: users of former passwords dropped: %s", ", ".join(user.name for user in users))
    except TimedOut as late:
        LOG.warning("%s; the former passwords stay until then", late)
    except Failure as failure:
        LOG.warning("former passwords stay until a later run: %s", failure)


def finish(context: Context) -> None:
    """Do, on the last node, the one-time work that wants every controller to run the same image and metadata.

    What only earlier images read goes then, too. It is no failure when they do not yet, or the work fails: services run
    without it, and a later run tries again.
    """
    if context.cluster.me != context.cluster.nodes[-1]:
        return
    try:
        works = [(row, work) for row in context.rows for work in row.once if work.when == EVERYWHERE]
        pending = [(row, work) for row, work in works if not evidence.holds(context, work)]
        former = evidence.with_former_records() if works else []
        if not pending and not former:
            return
        every = "every controller to run the same image and metadata"
        wait_for(every, partial(_all_the_same, context), timeout=rolling.TURN_TIMEOUT)
        evidence.drop_former_records(former)
        for row, work in pending:
            service.perform(context, work, timeout=FINISH_TIMEOUT)
            LOG.info("%s: %s done", row.service, work.name)
    except (Failure, pymysql.MySQLError) as failure:
        LOG.warning("left for a later run: %s", failure)


def _all_the_same(context: Context) -> bool:
    return rolling.all_done(context) and rolling.same_image(context)


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
    with Api.administrator(context.metadata) as api:
        return rabbitmq.former_users(rabbitmq.wanted_users(context.metadata, rows), rows, api.users())
