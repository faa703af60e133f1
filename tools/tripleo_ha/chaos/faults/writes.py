"""Writes in bulk, made on a node itself in a schema of their own; they are of no client's concern."""

import contextlib
import re

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import Failure

SCHEMA = "chaos_load"
ROW_MB = 4
"""Below the server's max_allowed_packet, for a replica must be able to take it."""
WRITE_S = 300.0
MORE = 1.25
GCACHE = re.compile(r"gcache\.size = (\d+)([MG]?)")
_UNITS = {"": 1 / 1024**2, "M": 1, "G": 1024}
_TABLE = f"CREATE DATABASE IF NOT EXISTS {SCHEMA}; CREATE TABLE IF NOT EXISTS {SCHEMA}.bulk (content LONGBLOB); "
_ROW = f"INSERT INTO {SCHEMA}.bulk SELECT REPEAT(MD5(RAND()), {ROW_MB * 1024**2 // 32}); "


def more_than_kept(bed: Bed, node: str) -> int:
    """Write more than the members keep for one that comes back, so that it needs a full state transfer.

    :returns: the megabytes written.
    """
    options = sql(bed, node, "SELECT @@global.wsrep_provider_options")
    found = GCACHE.search(options)
    if found is None:
        raise Failure(f"{node} does not tell the size of its write-set cache")
    size = int(MORE * int(found[1]) * _UNITS[found[2]])
    return bulk(bed, node, size, size)


def bulk(bed: Bed, node: str, megabytes: int, transactions: int = 1, *, keep: bool = False) -> int:
    """Write about so many megabytes in so many transactions, or in one for each row, and drop them again.

    :param keep: leave them there for :func:`drop`.

    :returns: the megabytes written.
    """
    rows = -(-megabytes // ROW_MB)
    each = _ROW * -(-rows // min(transactions, rows))
    written = 0
    sql(bed, node, _TABLE)
    try:
        while written < rows * ROW_MB:
            sql(bed, node, f"START TRANSACTION; {each} COMMIT;")
            written += each.count("INSERT") * ROW_MB
    finally:
        if not keep:
            drop(bed, node)
    return written


def drop(bed: Bed, node: str) -> None:
    """Drop what :func:`bulk` may have left, if the node can."""
    with contextlib.suppress(Failure):
        sql(bed, node, f"DROP DATABASE IF EXISTS {SCHEMA}")


def sql(bed: Bed, node: str, statements: str) -> str:
    """Have a node's own server carry statements out, as its administrator, and return what it says.

    :raises CommandFailed: it does not.
    """
    argv = ["mariadb", "--batch", "--skip-column-names", "--connect-timeout=10"]
    return bed.exec(node, argv, input=statements, timeout=WRITE_S).stdout
