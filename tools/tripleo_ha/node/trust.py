"""Whom programs on the node trust: the authorities of the metadata, beside those that Debian ships."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tripleo_ha.node.context import Context, write_file
from tripleo_ha.run import run
from tripleo_ha.table import Row

AUTHORITIES = Path("/usr/local/share/ca-certificates")
TRUSTED = Path("/etc/ssl/certs")
"""Where ``update-ca-certificates`` leaves a link to each authority that it has taken in."""


def converge(context: Context, row: Row) -> None:
    """Have every program that asks the system whom to trust, trust the authorities of ``tls.ca`` and no former ones.

    :raises CommandFailed: the system's bundle could not be made.
    """
    wanted = authorities(context.metadata)
    for name, pem in wanted.items():
        write_file(AUTHORITIES / f"{name}.crt", pem, mode=0o644)
    for file in AUTHORITIES.glob("tripleo-ha-*.crt"):
        if file.stem not in wanted:
            file.unlink()
    if {link.stem for link in TRUSTED.glob("tripleo-ha-*.pem")} != set(wanted):
        run(["update-ca-certificates"], timeout=120)
        context.changed(f"{row.service}: {len(wanted)} authorities of tls.ca")


def authorities(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return each authority of ``tls.ca`` as PEM, by a name that is its own."""
    text = metadata.get("tls", {}).get("ca", "").replace("\r", "")
    found = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    pems = [f"{pem}\n" for pem in found]
    return {f"tripleo-ha-{hashlib.sha256(pem.encode()).hexdigest()[:16]}": pem for pem in pems}
