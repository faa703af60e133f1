"""oslo.messaging, set up as a service of the product is: its options, no eventlet, its log in a file."""

import importlib
import logging
import sys
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.endpoints import host
from tripleo_ha.errors import UsageError
from tripleo_ha.metadata import messaging

EXECUTOR = "threading"
SHARED = Path("/dev/shm")  # noqa: S108 — the library's own place


def load() -> Any:
    """Return the library.

    :raises UsageError: it is not installed.
    """
    try:
        # Libraries load eventlet wherever it is installed, with a warning, although threads need nothing of it.
        sys.modules.setdefault("eventlet", None)  # type: ignore[arg-type]
        backend = importlib.import_module("oslo_service.backend")
        if backend.get_backend_type() is None:
            backend.init_backend(backend.BackendType.THREADING)
        return importlib.import_module("oslo_messaging")
    except ImportError as error:
        raise UsageError("oslo.messaging is not installed", "install the extra: tools/bootstrap chaos") from error


def client(settings: Settings, base: Path) -> Any:
    """Return a caller of the servers' methods; ``base`` is the path that files are named after."""
    found = load()
    return found.get_rpc_client(_transport(settings, base, "client"), found.Target(topic=_topic(settings)))


def server(settings: Settings, base: Path, name: str, endpoint: object) -> Any:
    """Return a server, not started, whose methods are those of ``endpoint``."""
    found = load()
    target = found.Target(topic=_topic(settings), server=name)
    with warnings.catch_warnings():
        # It warns of the argument whatever its value, and takes eventlet without it.
        warnings.simplefilter("ignore", DeprecationWarning)
        return found.get_rpc_server(_transport(settings, base, name), target, [endpoint], executor=EXECUTOR)


def log_to(path: Path) -> None:
    """Have what libraries warn of written to a file."""
    logging.basicConfig(filename=path, level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")


def clean_up(settings: Settings) -> None:
    """Remove the counters that the queue manager leaves in shared memory."""
    for left in SHARED.glob(f"{settings.account.name}_*_qmanager"):
        left.unlink(missing_ok=True)


def configuration(settings: Settings, name: str) -> str:
    """Return the configuration file of one process; without its transport URL, which holds the password."""
    options = {
        **messaging.RABBIT,
        # Names of queues begin with the name of the account, which has no right to others.
        "hostname": settings.account.name,
        "processname": name,
    }
    lines = [f"{option} = {value}" for option, value in options.items()]
    exchange = ["[DEFAULT]", f"control_exchange = {settings.account.name}.rpc"]
    return "\n".join([*exchange, "[oslo_messaging_rabbit]", *lines, ""])


def _transport(settings: Settings, base: Path, name: str) -> Any:
    found = load()
    # The queue manager shares a counter with other processes, under a lock.
    locks = base.with_name(f"{base.name}.locks")
    locks.mkdir(exist_ok=True)
    importlib.import_module("oslo_concurrency.lockutils").set_defaults(lock_path=str(locks))
    path = base.with_name(f"{base.name}-{name}.conf")
    path.write_text(configuration(settings, name))
    # The library reads some options of the one global configuration only: one process, one transport.
    conf = importlib.import_module("oslo_config.cfg").CONF
    conf(["--config-file", str(path)], project="tripleo-ha")
    account = settings.account
    url = f"rabbit://{account.name}:{quote(account.password)}@{host(settings.control)}:{settings.amqp_port}//"
    return found.get_rpc_transport(conf, url=url)


def _topic(settings: Settings) -> str:
    return f"{settings.account.name}.calls"
