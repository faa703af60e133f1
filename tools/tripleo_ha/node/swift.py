"""Swift's servers and daemons: its rings first, which each controller works out for itself, then as any service."""

from pathlib import Path

from tripleo_ha.node import service
from tripleo_ha.node.context import Context, write_file
from tripleo_ha.table import Row
from tripleo_ha.topology import swift


def converge(context: Context, row: Row) -> None:
    """Have the rings of the present node list on disk, and the units running; they see by themselves that rings change.

    :raises Failure: as :func:`tripleo_ha.node.service.converge`.
    """
    rings = swift.rings(context.cluster, row, context.metadata["swift"]["part_power"])
    written = [Path(path).name for path, content in rings.items() if write_file(Path(path), content, mode=0o644)]
    if written:
        context.changed(f"{row.service}: {', '.join(written)} for {len(context.cluster.nodes)} controllers")
    service.converge(context, row)
