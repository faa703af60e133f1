"""What a client of a bed's cloud needs: the administrator's credentials, and the authority that it trusts."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tripleo_ha import endpoints, table
from tripleo_ha.files import write_file
from tripleo_ha.table import Row

OPENRC = "openrc"
CA = "ca.pem"


def write(state: Path, metadata: Mapping[str, Any]) -> None:
    """Write ``openrc``, for a shell to source, and where any services are encrypted ``ca.pem``; in ``state``."""
    if endpoints.encrypted(metadata):
        write_file(state / CA, metadata["tls"]["ca"], mode=0o644)
    else:
        (state / CA).unlink(missing_ok=True)
    variables = environment(metadata, table.load(), state / CA)
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    write_file(state / OPENRC, "".join(lines))


def environment(metadata: Mapping[str, Any], rows: Sequence[Row], ca: Path) -> dict[str, str]:
    """Return the variables by which OpenStack's clients find the cloud; none where nothing issues tokens.

    :param ca: where the authority's certificate is, if any services are encrypted.
    """
    urls = [
        endpoints.base_url(metadata, listener, endpoints.PUBLIC) + item.path
        for row in table.active(rows, metadata)
        for item in row.catalogue
        for listener in row.balanced
        if item.type == "identity" and item.listener == listener.name
    ]
    if not urls:
        return {}
    keystone = metadata["keystone"]
    return {
        "OS_AUTH_URL": urls[0],
        **({"OS_CACERT": str(ca)} if endpoints.encrypted(metadata) else {}),
        "OS_USERNAME": "admin",
        "OS_PASSWORD": keystone["admin_password"],
        "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
        **({"OS_REGION_NAME": keystone["region"]} if "region" in keystone else {}),
        "OS_IDENTITY_API_VERSION": "3",
    }
