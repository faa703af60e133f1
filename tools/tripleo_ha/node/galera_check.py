"""MariaDB's own judgement of a configuration, asked before it costs a running server."""

from tripleo_ha.errors import Failure
from tripleo_ha.node import applied
from tripleo_ha.run import CommandFailed, run
from tripleo_ha.table import Unit

CHECK_TIMEOUT = 60.0


def check(unit: Unit) -> None:
    """Let MariaDB read its configuration without starting; what it refuses is taken back where something runs.

    It finds unknown options and values it cannot read. What it finds only with the data at hand shows on the first
    node, and stops there.

    :raises Failure: refused; the message holds MariaDB's own words.
    """
    if applied.digest_of(unit) == applied.digest(unit.files):
        return
    try:
        run(["mariadbd", "--user=mysql", "--help", "--verbose"], timeout=CHECK_TIMEOUT)
    except CommandFailed as error:
        applied.take_back(unit)
        words = [line.partition("[ERROR] ")[2] for line in error.output.splitlines() if "[ERROR]" in line]
        told = "\n".join(words) or error.message
        raise Failure(f"MariaDB refuses the new configuration, what runs goes on with the old one:\n{told}") from error
