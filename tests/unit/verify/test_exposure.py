import base64
from pathlib import Path

import pytest

from tripleo_ha.node.exposure import exposures, secrets_of
from tripleo_ha.node.facts import Exposure
from tripleo_ha.node.procfs import Seen

AUTHKEY = base64.b64encode(b"an authkey of a good length").decode()
METADATA = {
    "node": {"name": "overcloud-controller-0"},
    "mysql": {"failure_detection_s": 1.5},
    "rabbit": {"admin_password": "p/a+s s-word", "erlang_cookie": "COOKIECOOKIE"},
    "pacemaker": {"corosync_authkey": AUTHKEY, "token_ms": 1000},
    "keystone": {"fernet_keys": [{"index": 0, "key": "fernet-key-0"}], "admin_password": "short"},
    "heat": {"auth_encryption_key": "encryption-key-of-heat"},
    "derived": {"database_password": "repeated-elsewhere"},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("etc/keystone", "run/tripleo-ha"):
        (tmp_path / name).mkdir(parents=True)
    for directory in (tmp_path / "etc", tmp_path / "etc/keystone", tmp_path / "run", tmp_path / "run/tripleo-ha"):
        directory.chmod(0o755)
    return tmp_path


def found(root: Path, *seen: Seen) -> tuple[Exposure, ...]:
    return exposures(secrets_of(METADATA), seen, root)


def put(root: Path, name: str, content: bytes, mode: int) -> None:
    (root / name).write_bytes(content)
    (root / name).chmod(mode)


def test_secrets_are_known_by_their_key() -> None:
    assert set(secrets_of(METADATA)) == {
        "rabbit.admin_password",
        "rabbit.erlang_cookie",
        "pacemaker.corosync_authkey",
        "keystone.fernet_keys.0.key",
        "heat.auth_encryption_key",
    }


def test_a_private_file_exposes_nothing(root: Path) -> None:
    put(root, "etc/keystone/0", b"fernet-key-0", 0o600)
    put(root, "etc/hosts", b"overcloud-controller-0", 0o644)
    assert found(root) == ()


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"x = fernet-key-0\n", "keystone.fernet_keys.0.key"),
        (b"url = rabbit://admin:p%2Fa%2Bs%20s-word@host", "rabbit.admin_password"),
        (b"an authkey of a good length", "pacemaker.corosync_authkey"),
        (AUTHKEY.encode(), "pacemaker.corosync_authkey"),
    ],
)
def test_a_readable_file_is_told_with_the_name_of_the_secret_only(root: Path, content: bytes, secret: str) -> None:
    put(root, "etc/keystone/keystone.conf", content, 0o644)
    assert found(root) == (Exposure(secret, str(root / "etc/keystone/keystone.conf")),)


def test_a_readable_file_in_a_closed_directory_is_not_readable(root: Path) -> None:
    put(root, "etc/keystone/0", b"fernet-key-0", 0o644)
    (root / "etc/keystone").chmod(0o750)
    assert found(root) == ()


def test_a_closed_parent_of_a_place_closes_it(root: Path) -> None:
    (root / "mnt/state").mkdir(parents=True)
    put(root, "mnt/state/0", b"fernet-key-0", 0o644)
    (root / "mnt").chmod(0o700)
    assert found(root) == ()


def test_a_command_line_is_readable_by_everyone(root: Path) -> None:
    seen = Seen(7, "mysql", "mysql --password=COOKIECOOKIE", "", 1)
    assert found(root, seen) == (Exposure("rabbit.erlang_cookie", "command line of mysql (pid 7)"),)
