"""What a node would have on disk for given metadata: the templates' files and those that handlers write.

For looking at, on any machine; nothing here touches the machine's own files.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tripleo_ha import cluster, table
from tripleo_ha.cluster import Cluster
from tripleo_ha.errors import Failure
from tripleo_ha.metadata import check, derived, schema
from tripleo_ha.node import base, trust
from tripleo_ha.table import Row
from tripleo_ha.templates.render import Rendered, render
from tripleo_ha.topology import firewall, galera_config, haproxy, swift, wsgi
from tripleo_ha.topology.unit_files import timer_files


def accepted(document: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Return what the gate on the node makes of a document: defaults filled in, ``derived`` added.

    :raises Failure: the checker refuses it; the message names every finding.
    """
    errors = [finding for finding in check.check_document(document) if finding.severity == "error"]
    if errors:
        told = "\n".join(f"  {finding}" for finding in errors)
        raise Failure(f"metadata refused:\n{told}")
    full = schema.with_defaults(document)
    full["derived"] = derived.derive(full, cluster.from_metadata(full), table.active(rows, full))
    return full


def files(elements: Path, metadata: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Rendered]:
    """Return every file of configuration, by its path on the node.

    :param metadata: as :func:`accepted` returns it.
    :raises Failure: a template cannot be rendered, or the rows contradict each other.
    """
    active = table.active(rows, metadata)
    members = cluster.from_metadata(metadata)
    return {
        **render(elements, metadata),
        **dict(_of_every_node(active, members, metadata)),
        **dict(_of_services(active, members, metadata)),
        **dict(_keys(active, metadata)),
    }


def _text(content: str, origin: str, mode: int = 0o644) -> Rendered:
    return Rendered(content.encode(), mode, origin=origin)


def _of_every_node(
    rows: Sequence[Row], members: Cluster, metadata: Mapping[str, Any]
) -> Iterator[tuple[str, Rendered]]:
    yield "/etc/hostname", _text(f"{members.me.name}\n", "ha-base")
    yield "/etc/hosts", _text(base.hosts(members, metadata), "ha-base")
    for name, pem in trust.authorities(metadata).items():
        yield f"{trust.AUTHORITIES}/{name}.crt", _text(pem, "ha-trust")
    yield "/etc/nftables.conf", _text(firewall.render(rows, members, metadata), "ha-base")


def _of_services(rows: Sequence[Row], members: Cluster, metadata: Mapping[str, Any]) -> Iterator[tuple[str, Rendered]]:
    handlers = {row.handler: row.service for row in rows}
    if origin := handlers.get("haproxy"):
        yield "/etc/haproxy/haproxy.cfg", _text(haproxy.render(rows, members, metadata), origin, 0o600)
        for name, bundle in haproxy.certificates(metadata).items():
            yield f"{haproxy.CERTIFICATES}/{name}", _text(bundle, origin, 0o600)
    if origin := handlers.get("galera"):
        mysql = metadata["mysql"]
        yield galera_config.PROVIDER_FILE, _text(galera_config.provider_file(mysql, members.me.ip), origin)
        yield galera_config.EXTRA_FILE, _text(galera_config.extra_file(mysql), origin)
    if origin := handlers.get("pacemaker"):
        authkey = base64.b64decode(metadata["pacemaker"]["corosync_authkey"])
        yield "/etc/corosync/authkey", Rendered(authkey, 0o400, origin=origin)
    for row in rows:
        if row.handler == "swift":
            for path, ring in swift.rings(members, row, metadata["swift"]["part_power"]).items():
                yield path, Rendered(ring, 0o644, origin=row.service)
        for path, text in {**wsgi.configurations(row, members, metadata), **timer_files(row, metadata)}.items():
            yield path, _text(text, row.service)


def _keys(rows: Sequence[Row], metadata: Mapping[str, Any]) -> Iterator[tuple[str, Rendered]]:
    for row in rows:
        for directory, path in row.keys.items():
            section, _, key = path.partition(".")
            for item in metadata[section][key]:
                body = str(item["key"]).encode()
                yield f"{directory}/{item['index']}", Rendered(body, 0o600, row.keys_owner, row.keys_owner, row.service)


def touched(before: Mapping[str, Rendered], after: Mapping[str, Rendered], rows: Sequence[Row]) -> dict[str, str]:
    """Return what becomes of the units when one set of files is replaced by another: ``restart`` or ``reload``."""
    changed = {path for path in {**before, **after} if before.get(path) != after.get(path)}
    return {
        unit.name: "reload" if unit.reload else "restart"
        for row in rows
        for unit in row.units
        if changed & set(unit.files)
    }
