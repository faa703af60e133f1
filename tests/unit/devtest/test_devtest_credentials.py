"""What a shell sources to reach a bed's cloud, as its metadata have it."""

import shlex
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tripleo_ha.devtest import credentials, show

VIPS = {
    "control": {"ip": "192.0.2.10", "prefix": 24, "interface": "host0"},
    "public": {"ip": "198.51.100.10", "prefix": 24, "interface": "host1"},
}
PLAIN: dict[str, Any] = {
    "cluster": {"name": "overcloud", "nodes": [], "virtual_ips": VIPS},
    "keystone": {"admin_password": "it's $ecret"},
}
ENCRYPTED = {**PLAIN, "tls": {"ca": "the authority\n", "public": {"certificate": "c", "key": "the key"}}}


def sourced(state: Path) -> dict[str, str]:
    script = f". {shlex.quote(str(state / credentials.OPENRC))} && env -0"
    told = subprocess.run(["env", "-i", "sh", "-c", script], capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in told.split("\0") if line.startswith("OS_"))


def test_it_names_the_entry_and_whom_to_trust(tmp_path: Path) -> None:
    credentials.write(tmp_path, ENCRYPTED)
    found = sourced(tmp_path)
    assert found["OS_AUTH_URL"] == "https://198.51.100.10:5000/v3"
    assert Path(found["OS_CACERT"]).read_text() == "the authority\n"
    assert found["OS_PASSWORD"] == "it's $ecret"
    assert stat.S_IMODE((tmp_path / credentials.OPENRC).stat().st_mode) == 0o600
    assert "the key" not in "".join(file.read_text() for file in tmp_path.iterdir())


def test_without_tls_nobody_is_to_be_trusted(tmp_path: Path) -> None:
    credentials.write(tmp_path, ENCRYPTED)
    credentials.write(tmp_path, PLAIN)
    found = sourced(tmp_path)
    assert found["OS_AUTH_URL"] == "http://198.51.100.10:5000/v3"
    assert "OS_CACERT" not in found
    assert not (tmp_path / credentials.CA).exists()


def test_a_cloud_without_keystone_has_no_credentials(tmp_path: Path) -> None:
    credentials.write(tmp_path, {"cluster": PLAIN["cluster"]})
    assert sourced(tmp_path) == {}


@pytest.mark.parametrize(("metadata", "scheme"), [(PLAIN, "http"), (ENCRYPTED, "https")])
def test_what_is_printed_is_how_it_is_reached(metadata: dict[str, Any], scheme: str) -> None:
    urls = {each["vip"]: each["url"] for each in show.services(metadata) if each["name"] == "keystone"}
    assert urls == {"control": "http://192.0.2.10:5000", "public": f"{scheme}://198.51.100.10:5000"}
