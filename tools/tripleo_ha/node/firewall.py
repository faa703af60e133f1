"""Puts the firewall in place: written to disk for the next boot, and into the kernel for now."""

import os
from pathlib import Path

from tripleo_ha.errors import Failure
from tripleo_ha.node.context import Context, write_file
from tripleo_ha.run import CommandFailed, run
from tripleo_ha.topology import firewall

RULES = Path("/etc/nftables.conf")
"""What nftables.service loads before the network is up."""


def apply(context: Context) -> None:
    """Have exactly the wanted ruleset in the file and in the kernel; with both in place one ``nft list`` is all.

    :raises Failure: nft refuses the new ruleset; the old one stays, on disk and in the kernel.
    """
    text = firewall.render(context.rows, context.cluster, context.metadata)
    written = RULES.exists() and RULES.read_text() == text
    if not written:
        _check(text)
        write_file(RULES, text, mode=0o644)
    if _loaded() != firewall.digest(text):
        run(["nft", "-f", os.fspath(RULES)], timeout=30)
        context.changed("firewall: rules loaded")


def _check(text: str) -> None:
    try:
        run(["nft", "-c", "-f", "-"], input=text, timeout=30)
    except CommandFailed as error:
        raise Failure(f"nft refuses the new firewall, the old one stays:\n{error.output.strip()}") from error


def _loaded() -> str:
    told = run(["nft", "-t", "list", "table", "inet", firewall.TABLE], timeout=30, check=False)
    return firewall.digest(told.stdout) if told.returncode == 0 else ""
