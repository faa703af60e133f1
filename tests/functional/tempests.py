"""Debian's tempest, in a root of its own: calling it, what it has to know of a cloud, and how its tests went."""

import configparser
import io
import json
import re
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from clouds import invent, outside, removed
from openstack.connection import Connection

from tripleo_ha.devtest import credentials
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.files import write_file
from tripleo_ha.metadata import schema
from tripleo_ha.run import run

PACKAGES = ("heat-tempest-plugin", "python3-subunit", "tempest")
LIST_S = 600.0
BUILD_S = 300
MEMBERS = 2
SUBNET = "10.99.0.0/24"
"""Of the network for servers; no part of what tempest gives to networks of its own."""
RESELLER_ADMIN = "ResellerAdmin"
"""The role that Swift's proxies know; who runs a cloud makes it where it is of use."""
IMPLIED: Mapping[str, Sequence[str]] = {"member": ("reader",)}
"""Roles that come with another in Keystone; tempest only believes what its file says."""
WITHIN = "/mnt"
"""Where the workspace is, in the root."""
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
CONF = "tempest.conf"
ACCOUNTS = "accounts.yaml"
REQUESTS = "tempest.log"
CA = "ca.pem"
# All is mounted for this command only: the root stays as it was made, and another bed's can run beside.
ENTER = f"""set -eu
mount --bind "$WORKSPACE" "$ROOT{WITHIN}"
[ ! -e "$WORKSPACE/{CA}" ] || mount --bind "$WORKSPACE/{CA}" "$ROOT{TRUSTED}"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs tmpfs "$ROOT/dev/shm"
exec env -i HOME={WITHIN} TMPDIR={WITHIN} LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    chroot "$ROOT" env --chdir={WITHIN} "$@"
"""
# Run in the root, with the library that the results are written with.
TELL = """
import json, sys
from subunit import ByteStreamToStreamResult
from testtools import StreamToDict

def tell(test):
    stamps = [stamp.timestamp() for stamp in test["timestamps"] if stamp]
    said = "".join(test["details"][name].as_text() for name in ("reason", "traceback") if name in test["details"])
    outcome = {"status": test["status"], "began": min(stamps), "ended": max(stamps), "said": said}
    print(json.dumps({test["id"]: outcome}))

result = StreamToDict(tell)
result.startTestRun()
ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="other").run(result)
result.stopTestRun()
"""
SAID_LINES = 12
OF_CLASS = re.compile(r"(?:setUp|tearDown)Class \((.+)\)")
"""What is told of a class, where its set-up or its clean-up failed, or all of it is skipped."""
Options = dict[str, dict[str, object]]
Account = dict[str, object]


@dataclass(frozen=True)
class Outcome:
    """How a test went, and when; or what its class needs before, or leaves after it."""

    status: str
    began: float
    ended: float
    said: str

    @property
    def reason(self) -> str:
        """What is to be said of one that went wrong."""
        return "\n    ".join([self.status, *self.said.strip().splitlines()[-SAID_LINES:]])


@dataclass(frozen=True)
class Named:
    """The tests of a service that have to pass, by class or module, and the seconds that they may take in all."""

    budget_s: float
    tests: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """The whole name of each."""
        return tuple(f"{place}.{test}" for place, tests in self.tests.items() for test in tests)

    def has(self, name: str) -> bool:
        """Whether a test, or what is told of a class, is of a place where the service has tests."""
        of_class = OF_CLASS.fullmatch(name)
        return f"{of_class[1] if of_class else name}.".startswith(tuple(f"{place}." for place in self.tests))


@dataclass(frozen=True)
class Tempest:
    """Where tempest is called: its ``root``, and the ``workspace`` that its files are in, secrets among them."""

    root: Path
    workspace: Path

    def call(
        self, *argv: str, timeout: float, bed: Bed | None = None, check: bool = True, log: Path | None = None
    ) -> str:
        """Call a command of the root, with a bed where its clients are, and return what it printed.

        :param log: it is printed to this file instead.
        :raises CommandFailed: it failed, with ``check`` set, or took longer.
        """
        entering = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh", *argv]
        where = {"ROOT": str(self.root), "WORKSPACE": str(self.workspace)}
        argv_there = bed.client_argv(entering) if bed else entering
        return run(argv_there, timeout=timeout, env=where, check=check, log=log).stdout

    def configure(self, settings: Options, accounts: Sequence[Account] = ()) -> None:
        """Replace the configuration, and the accounts that it may use."""
        parser = configparser.RawConfigParser()
        parser.read_dict(settings)
        text = io.StringIO()
        parser.write(text)
        write_file(self.workspace / CONF, text.getvalue(), mode=0o600)
        write_file(self.workspace / ACCOUNTS, yaml.safe_dump(list(accounts)), mode=0o600)

    def trust(self, state: Path) -> None:
        """Have it trust the authority of a bed, where that has one, and nobody else."""
        if (state / credentials.CA).exists():
            write_file(self.workspace / CA, (state / credentials.CA).read_text())

    def ids(self) -> dict[str, str]:
        """Return the id of each test there is, by its name."""
        self.call("stestr", "init", timeout=LIST_S)
        told = self.call("tempest", "run", f"--config-file={CONF}", "--list-tests", timeout=LIST_S)
        ids = [line for line in told.splitlines() if re.fullmatch(r"[\w.]+\[\S*\]", line)]
        return {_name(test): test for test in ids}

    def run(self, bed: Bed, ids: Iterable[str], timeout: float, log: Path) -> dict[str, Outcome]:
        """Run tests of these ids, one after the other, and return how they went, by name.

        :param log: what tempest says while they run.
        :raises CommandFailed: it took longer, or did not come so far as to have results.
        """
        write_file(self.workspace / "ids", "".join(f"{test}\n" for test in ids))
        log.unlink(missing_ok=True)
        argv = ["tempest", "run", f"--config-file={CONF}", "--serial", "--load-list=ids"]
        try:
            self.call(*argv, timeout=timeout, bed=bed, check=False, log=log)
        finally:
            if (self.workspace / REQUESTS).exists():
                write_file(log.with_name(REQUESTS), (self.workspace / REQUESTS).read_text())
        told = self.call("sh", "-c", 'stestr last --subunit | python3 -c "$0"', TELL, timeout=LIST_S)
        found = [each for line in told.splitlines() for each in json.loads(line).items()]
        return {_name(test): Outcome(**outcome) for test, outcome in found}


def _name(test: str) -> str:
    return test.partition("[")[0]


def wrong(named: Named, outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """Return what did not pass of a service's tests and their classes, and why: a failure, a skip, or no word of it."""
    told = {name: outcome for name, outcome in outcomes.items() if named.has(name)}
    found = {name: "it was not run" for name in named.names if name not in told}
    return found | {name: outcome.reason for name, outcome in told.items() if outcome.status != "success"}


def spent(services: Mapping[str, Named], outcomes: Mapping[str, Outcome]) -> dict[str, float]:
    """Return the seconds that each service's tests took, what comes before a test and after the one before included."""
    seconds: dict[str, float] = defaultdict(float)
    ordered = sorted(outcomes.items(), key=lambda item: item[1].ended)
    last = min((outcome.began for outcome in outcomes.values()), default=0.0)
    for name, outcome in ordered:
        for service, named in services.items():
            if named.has(name):
                seconds[service] += outcome.ended - last
        last = outcome.ended
    return dict(seconds)


@contextmanager
def options(cloud: Connection, metadata: Mapping[str, Any], image: str) -> Iterator[tuple[Options, list[Account]]]:
    """Give the configuration for a cloud, and the accounts for it; what they name is there for so long.

    Tempest would make projects and users of its own for every class, which takes longer than most tests do.

    :param metadata: of a controller.
    :param image: the id of an image that servers and volumes can be made from.
    """
    with ExitStack() as undo:
        external, _ = undo.enter_context(outside(cloud, metadata))
        undo.enter_context(_role(cloud, RESELLER_ADMIN))
        flavors = [undo.enter_context(_flavor(cloud, ram)) for ram in (64, 128)]
        members = [undo.enter_context(_account(cloud, "member")) for _ in range(MEMBERS)]
        reseller = undo.enter_context(_account(cloud, RESELLER_ADMIN))
        settings: Options = {
            **_of_identity(cloud, metadata),
            **_of_services(cloud, metadata, external),
            "compute": {
                "image_ref": image,
                "image_ref_alt": image,
                "fixed_network_name": undo.enter_context(_network(cloud)),
                "flavor_ref": flavors[0],
                "flavor_ref_alt": flavors[1],
                "max_microversion": "latest",
                "build_timeout": BUILD_S,
            },
            "heat_plugin": _of_heat(cloud, metadata, members[-1]),
        }
        yield settings, [*members, reseller, _administrator(cloud)]


@contextmanager
def _role(cloud: Connection, name: str) -> Iterator[None]:
    if cloud.identity.find_role(name):
        yield
        return
    role = cloud.identity.create_role(name=name)
    try:
        yield
    finally:
        removed("the role", lambda: cloud.identity.delete_role(role.id))


@contextmanager
def _flavor(cloud: Connection, ram: int) -> Iterator[str]:
    flavor = cloud.compute.create_flavor(name=invent(), ram=ram, vcpus=1, disk=1)
    try:
        yield flavor.id
    finally:
        removed("the flavor", lambda: cloud.compute.delete_flavor(flavor.id))


@contextmanager
def _network(cloud: Connection) -> Iterator[str]:
    """Have a network that every project's servers may be in, and give its name."""
    network = cloud.network.create_network(name=invent(), is_shared=True)
    try:
        cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr=SUBNET)
        yield network.name
    finally:
        removed("the network", lambda: cloud.network.delete_network(network.id))


@contextmanager
def _account(cloud: Connection, role: str) -> Iterator[Account]:
    """Have a user of a project, and give the credentials as tempest's file has them."""
    identity, name, password = cloud.identity, invent(), secrets.token_urlsafe(24)
    with ExitStack() as undo:
        project = identity.create_project(name=name, domain_id="default")
        undo.callback(removed, "the project", lambda: identity.delete_project(project.id))
        user = identity.create_user(name=name, password=password, domain_id="default")
        undo.callback(removed, "the user", lambda: identity.delete_user(user.id))
        identity.assign_project_role_to_user(project.id, user.id, identity.find_role(role).id)
        yield {"username": name, "password": password, "project_name": name, "roles": [role, *IMPLIED.get(role, ())]}


def _administrator(cloud: Connection) -> Account:
    known = cloud.config.get_auth_args()
    return {**{key: known[key] for key in ("username", "password", "project_name")}, "types": ["admin"]}


def _region(metadata: Mapping[str, Any]) -> str:
    # Without it, tempest takes whichever endpoint the catalogue has first, on the control network as well.
    return str(schema.with_defaults(metadata)["keystone"]["region"])


def _of_identity(cloud: Connection, metadata: Mapping[str, Any]) -> Options:
    admin = cloud.config.get_auth_args()
    return {
        "DEFAULT": {"log_file": f"{WITHIN}/{REQUESTS}"},
        "oslo_concurrency": {"lock_path": f"{WITHIN}/lock"},
        "service-clients": {"http_timeout": 120},
        "auth": {
            "use_dynamic_credentials": False,
            "test_accounts_file": f"{WITHIN}/{ACCOUNTS}",
            "admin_username": admin["username"],
            "admin_password": admin["password"],
            "admin_project_name": admin["project_name"],
            "admin_domain_name": "Default",
        },
        "identity": {
            "uri_v3": admin["auth_url"],
            "v3_endpoint_type": "public",
            "region": _region(metadata),
            "ca_certificates_file": TRUSTED,
        },
    }


def _of_services(cloud: Connection, metadata: Mapping[str, Any], external: str) -> Options:
    extensions = ",".join(each.alias for each in cloud.network.extensions())
    return {
        "service_available": dict.fromkeys(("cinder", "glance", "heat", "neutron", "nova", "swift"), True),
        "compute-feature-enabled": {"live_migration": False, "cold_migration": False, "snapshot": False},
        "image": {"container_formats": "bare", "disk_formats": "raw,qcow2", "build_timeout": BUILD_S},
        "image-feature-enabled": {"import_image": False},
        "network": {"public_network_id": external, "build_timeout": BUILD_S},
        "network-feature-enabled": {
            "api_extensions": extensions,
            "ipv6_subnet_attributes": True,
            "port_security": True,
        },
        "object-storage": {"operator_role": "member", "reseller_admin_role": RESELLER_ADMIN, "build_timeout": 60},
        "validation": {"run_validation": False},
        "volume": {
            "storage_protocol": "ceph" if "rbd" in metadata["cinder_volume"] else "nfs",
            "max_microversion": "latest",
            "build_timeout": BUILD_S,
        },
        "volume-feature-enabled": {"backup": False, "enable_volume_image_dep_tests": False},
    }


def _of_heat(cloud: Connection, metadata: Mapping[str, Any], user: Account) -> dict[str, object]:
    admin = cloud.config.get_auth_args()
    return {
        **{key: user[key] for key in ("username", "password", "project_name")},
        "auth_url": admin["auth_url"],
        "admin_username": admin["username"],
        "admin_password": admin["password"],
        "admin_project_name": admin["project_name"],
        "user_domain_id": "default",
        "project_domain_id": "default",
        "region": _region(metadata),
        "ca_file": TRUSTED,
        "build_interval": 1,
        "build_timeout": BUILD_S,
    }
