"""What follows from the metadata and the service table, worked out once for the templates.

Mustache can neither join a list nor quote a URL; everything of that kind is computed here, so that a template holds
names only.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from tripleo_ha import endpoints, table
from tripleo_ha.cluster import Cluster, Node
from tripleo_ha.endpoints import host
from tripleo_ha.metadata import oslo, schema
from tripleo_ha.table import Row
from tripleo_ha.topology import rabbitmq

CONTROL = "control"
MYSQL_PORT = 3306
AMQP_PORT = 5672
MEMCACHED_PORT = 11211


def derive(metadata: Mapping[str, Any], cluster: Cluster, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the content of the metadata key ``derived``.

    :param metadata: accepted metadata of one node; a row whose key is absent contributes nothing.
    :param rows: the service table, active rows or all of them.
    :return: ``node``, ``nodes``, ``quorum_cluster_size``, ``galera_address``, ``galera_donors``,
        ``memcached_servers`` (empty where memcached does not run), ``databases`` (and ``local_databases``, on this
        node's own server) by schema name, ``brokers`` by
        the service's metadata key, ``urls`` by listener and virtual IP, ``hosts`` by virtual IP, and ``oslo`` (what
        files of services have in common) and ``extra`` by metadata key as a list of
        ``{section, options: [{option, value}]}``; ``extra_files`` by metadata key and file; ``policies``, the text of
        policy files, by metadata key. Holds passwords.
    """
    running = table.active(rows, metadata)
    addresses = [host(node.ip) for node in cluster.nodes]
    cached = addresses if "memcached" in metadata else []
    extra = {key: metadata[key]["extra"] for key in schema.sections() if "extra" in metadata.get(key, {})}
    derived: dict[str, Any] = {
        "node": _node(cluster.me),
        "nodes": [_node(node) for node in cluster.nodes],
        "quorum_cluster_size": rabbitmq.copies(len(cluster.nodes)),
        "galera_address": "gcomm://" + ",".join(addresses),
        "galera_donors": _donors(cluster),
        "memcached_servers": ",".join(f"{address}:{MEMCACHED_PORT}" for address in cached),
        "databases": _databases(metadata, running, cluster.virtual_ips[CONTROL].ip),
        "local_databases": _databases(metadata, running, cluster.me.ip),
        "brokers": _brokers(metadata, cluster, running),
        "urls": urls(metadata, cluster, running),
        "hosts": {vip: endpoints.host_of(metadata, vip) for vip in cluster.virtual_ips},
        "extra": {key: _extra(found) for key, found in extra.items() if not extra_files(key)},
        "extra_files": {
            key: {file: _extra(found.get(file, {})) for file in extra_files(key)}
            for key, found in extra.items()
            if extra_files(key)
        },
    }
    derived["policies"] = {
        row.metadata: oslo.policy(metadata[row.metadata]["policy"])
        for row in running
        if row.oslo and "policy" in row.oslo.sections
    }
    derived["oslo"] = {row.metadata: oslo.sections(row, metadata, derived) for row in running if row.oslo}
    return derived


def _node(node: Node) -> dict[str, Any]:
    return {"name": node.name, "ip": node.ip, "index": node.index, "id": node.id}


def _donors(cluster: Cluster) -> str:
    # The last first: the writer is most often the first, and a donor takes no clients. The comma at the end is
    # Galera's word for "else anybody".
    return "".join(f"{node.name}," for node in reversed(cluster.peers))


def _databases(metadata: Mapping[str, Any], rows: Iterable[Row], server: str) -> dict[str, str]:
    entry = host(server)
    return {
        database.name: f"mysql+pymysql://{database.user}:{_quoted(metadata, row, 'database_password')}"
        f"@{entry}:{MYSQL_PORT}/{database.name}?charset=utf8mb4"
        for row in rows
        for database in row.databases
    }


def _brokers(metadata: Mapping[str, Any], cluster: Cluster, rows: Iterable[Row]) -> dict[str, str]:
    entry = host(cluster.virtual_ips[CONTROL].ip)
    return {
        row.metadata: f"rabbit://{rabbitmq.user_name(row.broker, metadata[row.metadata]['messaging_password'])}"
        f":{_quoted(metadata, row, 'messaging_password')}@{entry}:{AMQP_PORT}//"
        for row in rows
        if row.broker
    }


def _quoted(metadata: Mapping[str, Any], row: Row, key: str) -> str:
    return quote(metadata[row.metadata][key], safe="")


def urls(metadata: Mapping[str, Any], cluster: Cluster, rows: Iterable[Row]) -> dict[str, dict[str, str]]:
    """Return the base URLs of balanced HTTP listeners, by listener and virtual IP."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        for listener in row.balanced:
            if listener.protocol == "http" and listener.balance:
                found[listener.name] = {
                    vip: endpoints.base_url(metadata, listener, vip)
                    for vip in listener.balance.vips
                    if vip in cluster.virtual_ips
                }
    return found


def extra_files(key: str) -> tuple[str, ...]:
    """Return the files that the extra settings of a section are divided among; none where all are one file's."""
    declared = schema.read(key)["properties"]["extra"].get("properties", {})
    return tuple(name for name, child in declared.items() if child.get("x-extra"))


def _extra(extra: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    # Sorted, because the order in which a source of metadata hands over keys means nothing and must restart nothing.
    return [
        {
            "section": section,
            "options": [{"option": option, "value": value} for option, value in sorted(extra[section].items())],
        }
        for section in sorted(extra)
    ]
