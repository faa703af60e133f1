"""What the configuration files of services have in common, in the form that a template walks; pure.

A row names the kinds that its file holds. The rest of the file is the service's own and stands in its template.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tripleo_ha.metadata import networking
from tripleo_ha.metadata.messaging import RABBIT
from tripleo_ha.table import Row

POOL = 5
"""Connections to a database that a process keeps."""
Section = tuple[str, Mapping[str, str]]
Kind = Callable[[Row, Mapping[str, Any], Mapping[str, Any]], Iterator[Section]]


def sections(row: Row, metadata: Mapping[str, Any], derived: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the sections that a row asks for, ``[{section, options: [{option, value}]}]``; they hold passwords.

    :param derived: what has been derived so far: ``databases``, ``brokers``, ``urls`` and ``memcached_servers``.
    """
    return [
        {"section": name, "options": [{"option": option, "value": value} for option, value in options.items()]}
        for name, options in (_sections(row, metadata, derived) if row.oslo else ())
    ]


def _sections(row: Row, metadata: Mapping[str, Any], derived: Mapping[str, Any]) -> Iterator[Section]:
    assert row.oslo
    for kind in row.oslo.sections:
        yield from KINDS[kind](row, metadata, derived)
    for group in row.oslo.credentials:
        yield group, credentials(row, metadata, derived)


def _database(row: Row, _: Mapping[str, Any], derived: Mapping[str, Any]) -> Iterator[Section]:
    for database in row.databases:
        if database.section:
            yield (
                database.section,
                {
                    "connection": derived["databases"][database.name],
                    # For ever: the database comes back behind the virtual IP, no process is restarted for it.
                    "max_retries": "-1",
                    # Of its own 10 s, all threads of an API that came up a moment before the address does sleep.
                    "retry_interval": "1",
                    "connection_recycle_time": "280",
                    "max_pool_size": str(POOL),
                    "max_overflow": "20",
                },
            )


def _messaging(row: Row, _: Mapping[str, Any], derived: Mapping[str, Any]) -> Iterator[Section]:
    yield "DEFAULT", {"transport_url": derived["brokers"][row.metadata]}
    yield "oslo_messaging_rabbit", RABBIT


def _notifications(_row: Row, metadata: Mapping[str, Any], _derived: Mapping[str, Any]) -> Iterator[Section]:
    # Without Gnocchi no agent takes them from the broker, which would keep them all.
    if "gnocchi" in metadata:
        # For ever, which is the default, a request would wait for a broker that it has no other need of.
        yield "oslo_messaging_notifications", {"driver": "messagingv2", "retry": "3"}


def _middleware(_row: Row, _: Mapping[str, Any], _derived: Mapping[str, Any]) -> Iterator[Section]:
    yield "oslo_middleware", {"enable_proxy_headers_parsing": "true"}


def _policy(row: Row, _metadata: Mapping[str, Any], _derived: Mapping[str, Any]) -> Iterator[Section]:
    assert row.oslo
    # By itself each looks in places of its own, and Aodh in its package alone.
    yield "oslo_policy", {"policy_file": str(Path(row.oslo.file).with_name("policy.yaml"))}


def policy(rules: Mapping[str, str]) -> str:
    """Return rules of oslo.policy as it reads them, to follow a comment: each begins a line. Of JSON it would warn."""
    return "".join(f"\n{json.dumps(rule)}: {json.dumps(check)}" for rule, check in sorted(rules.items()))


def credentials(row: Row, metadata: Mapping[str, Any], derived: Mapping[str, Any]) -> dict[str, str]:
    """Return how a service signs in to Keystone as its own user."""
    assert row.identity
    return {
        "auth_type": "password",
        "auth_url": f"{derived['urls']['keystone']['control']}/v3",
        "username": row.identity.user,
        "password": metadata[row.metadata]["service_password"],
        "user_domain_name": "Default",
        "project_name": "service",
        "project_domain_name": "Default",
        "region_name": metadata["keystone"]["region"],
    }


def _authtoken(row: Row, metadata: Mapping[str, Any], derived: Mapping[str, Any]) -> Iterator[Section]:
    keystone = derived["urls"]["keystone"]
    yield (
        "keystone_authtoken",
        {
            **credentials(row, metadata, derived),
            "interface": "internal",
            "www_authenticate_uri": keystone.get("public", keystone["control"]),
            "memcached_servers": derived["memcached_servers"],
            # memcached knows no users: whoever reaches it could say whose a token is, and read those of others.
            "memcache_security_strategy": "ENCRYPT",
            "memcache_secret_key": metadata[row.metadata]["service_password"],
            # A cache on a controller that lost its power is given up at once; each request would wait for it otherwise.
            "memcache_use_advanced_pool": "true",
            "memcache_pool_dead_retry": "30",
            "memcache_pool_socket_timeout": "1",
            "memcache_pool_maxsize": "16",
            "service_token_roles": "service",
            "service_token_roles_required": "true",
        },
    )


def _credentials(row: Row, metadata: Mapping[str, Any], derived: Mapping[str, Any]) -> Iterator[Section]:
    yield "service_credentials", {**credentials(row, metadata, derived), "interface": "internal"}


def _cache(_row: Row, _metadata: Mapping[str, Any], derived: Mapping[str, Any]) -> Iterator[Section]:
    yield (
        "cache",
        {
            "enabled": "true",
            "backend": "oslo_cache.memcache_pool",
            "memcache_servers": derived["memcached_servers"],
            # Each of Keystone's four caches finds out for itself that a controller has lost its power, all in the same
            # first request: its client waits no longer than a second.
            "memcache_dead_retry": "30",
            "memcache_socket_timeout": "0.15",
            "memcache_pool_maxsize": "16",
        },
    )


KINDS: Mapping[str, Kind] = {
    "cache": _cache,
    "database": _database,
    "keystone_authtoken": _authtoken,
    "messaging": _messaging,
    "middleware": _middleware,
    "networking": networking.sections,
    "notifications": _notifications,
    "policy": _policy,
    "service_credentials": _credentials,
}
"""By the name that a row uses: how requests' tokens are checked, how APIs are asked, and so on."""
