"""Every secret of one cloud, in one file that is created once and reused for ever.

The file is YAML in the shape of the metadata (``SECTION: {KEY: VALUE}``). What a newly chosen service lacks is added; a
password that is there is never touched. Values are changed by a rotation of Keystone's fernet keys, and by
:mod:`tripleo_ha.metadata.authority`, which issues certificates anew.
"""

import base64
import contextlib
import copy
import fcntl
import os
import secrets
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tripleo_ha.errors import UsageError
from tripleo_ha.files import write_file
from tripleo_ha.metadata import schema
from tripleo_ha.metadata.loading import SECRETS, read_document

LETTERS = string.ascii_letters + string.digits
PASSWORD_LENGTH = 32
"""Letters and digits only, about 190 bits: what no configuration file, URL or shell treats in a way of its own."""
AUTHKEY_BYTES = 256
MAX_ACTIVE_KEYS = 3
"""Keystone's own default: one staged, one primary, one secondary."""

Values = dict[str, dict[str, Any]]


class Unfit(UsageError):
    """The passwords that there are cannot be used. :func:`update` names the file that they come from."""


def _password() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(PASSWORD_LENGTH))


def _cookie() -> str:
    return "".join(secrets.choice(string.ascii_uppercase) for _ in range(PASSWORD_LENGTH))


def _authkey() -> str:
    return base64.b64encode(secrets.token_bytes(AUTHKEY_BYTES)).decode()


def fernet_key() -> str:
    """Return a new Fernet key: 32 random bytes as 44 characters of URL-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _key_repository() -> list[dict[str, Any]]:
    return [{"index": index, "key": fernet_key()} for index in (0, 1)]


def wanted(service: str) -> dict[str, Callable[[], Any]]:
    """Return how to invent each secret that a metadata key must have, as its schema declares them.

    A required property is a secret when it, or the ``key`` of each of its items, has ``x-secret``.

    :raises UsageError: there is no such metadata key.
    """
    declared = schema.read(service)
    properties = declared.get("properties", {})
    makers = {key: _maker(properties[key]) for key in declared.get("required", ())}
    return {key: make for key, make in makers.items() if make}


def _maker(declared: schema.Schema) -> Callable[[], Any] | None:
    items = declared.get("items", {}).get("properties", {})
    if items.get("key", {}).get("x-secret"):
        return _key_repository
    if not declared.get("x-secret"):
        return None
    if declared.get("contentEncoding") == "base64":
        return _authkey
    return _cookie if declared.get("format") == "erlang-cookie" else _password


@dataclass(frozen=True)
class Passwords:
    """The secrets of one cloud, by metadata key. Its repr shows none of them."""

    values: Values

    def __repr__(self) -> str:
        return f"Passwords(of {', '.join(sorted(self.values)) or 'nothing'})"

    def of(self, section: str) -> dict[str, Any]:
        """Return a copy of the secrets that belong under one metadata key, in the order in which the file has them."""
        return copy.deepcopy(dict(sorted(self.values.get(section, {}).items())))

    def completed(self, services: Iterable[str]) -> "Passwords":
        """Return these and a strong random value for each secret that ``services`` need and that is missing."""
        values = copy.deepcopy(self.values)
        for service in services:
            for key, make in wanted(service).items():
                section = values.setdefault(service, {})
                if key not in section:
                    section[key] = make()
        return Passwords(values)

    def missing(self, services: Iterable[str]) -> list[str]:
        """Return the metadata paths of the secrets that ``services`` need and that are not here."""
        return [
            f"{service}.{key}"
            for service in services
            for key in wanted(service)
            if key not in self.values.get(service, {})
        ]

    def rotated(self, max_active_keys: int = MAX_ACTIVE_KEYS) -> "Passwords":
        """Return these after one rotation of Keystone's fernet keys, as ``keystone-manage fernet_rotate`` does it.

        The staged key (index 0) becomes the primary one under the next index, and a new key is staged. Every node
        already knows the new primary, because it was staged everywhere before; so nodes may take the rotation at
        different moments. The oldest secondary keys are dropped until ``max_active_keys`` are left.

        :raises Unfit: there is no staged key to promote.
        :raises UsageError: ``max_active_keys`` is less than 3, which would drop the key that tokens of the last
            period were made with.
        """
        if max_active_keys < MAX_ACTIVE_KEYS:
            raise UsageError(f"{max_active_keys} active keys are too few: one staged, one primary, one secondary")
        keys = {int(item["index"]): item["key"] for item in self.of("keystone").get("fernet_keys", [])}
        if 0 not in keys or len(keys) < 2:
            raise Unfit("no staged and primary fernet key", "generate the metadata first")
        kept = sorted(index for index in keys if index > 0)[-(max_active_keys - 2) :]
        promoted = {kept[-1] + 1: keys[0], 0: fernet_key()}
        rotated = {**{index: keys[index] for index in kept}, **promoted}
        values = copy.deepcopy(self.values)
        values["keystone"]["fernet_keys"] = [{"index": index, "key": rotated[index]} for index in sorted(rotated)]
        return Passwords(values)


def ensure(path: Path, services: Iterable[str]) -> Passwords:
    """Read the passwords file, add what ``services`` lack, and write it back (0600, atomically) if that was anything.

    :raises UsageError: the file cannot be read or written, is no passwords file, or is readable by others.
    """
    return update(path, lambda known: known.completed(services))


def update(path: Path, change: Callable[[Passwords], Passwords]) -> Passwords:
    """Replace the passwords in a file by ``change`` of them, with nobody else doing so at the same time.

    :param change: what it raises leaves the file as it was.
    :raises UsageError: as :func:`ensure`; then the file is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            known = read(path) if path.exists() else Passwords({})
            changed = change(known)
            if changed.values != known.values:
                write_file(path, HEADER + yaml.safe_dump(changed.values, sort_keys=True), mode=0o600)
            return changed
    except Unfit as error:
        raise UsageError(f"{path}: {error.message}", error.hint) from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error


HEADER = f"{SECRETS} Losing this file means new passwords on every node; keep it, and keep it private.\n"


def read(path: Path) -> Passwords:
    """Read a passwords file.

    :raises UsageError: it cannot be read, others may read it, or it has another shape; no content is ever shown.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise UsageError(f"{path}: others may read these passwords", f"if it is a passwords file: chmod 600 {path}")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    sections = read_document(path, may_be_empty=True)
    if not all(isinstance(each, dict | None) for each in sections.values()):
        raise UsageError(f"{path}: not a passwords file: expected SECTION: {{KEY: VALUE}}")
    return Passwords(_migrated(present({name: each or {} for name, each in sections.items()})))


def present(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return sections, or one, without what was taken out: a key that is left without a value is null to YAML."""
    nested = {key: present(value) if isinstance(value, dict) else value for key, value in section.items()}
    return {key: value for key, value in nested.items() if value is not None}


def _migrated(values: Values) -> Values:
    """Return values in today's places: the public virtual IP's certificate used to stand directly under ``tls``."""
    tls = values.get("tls", {})
    public = {key: tls[key] for key in ("certificate", "key") if key in tls}
    if not public:
        return values
    rest = {key: value for key, value in tls.items() if key not in public}
    return {**values, "tls": {**rest, "public": public}}


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
