"""The bed's storage: a small Ceph on a node of its own, outside of the controllers.

One monitor, one manager and one OSD, whose disk is a file of the node's: nothing is kept twice, and nothing outlives
``down``. The node is no controller; it boots no systemd, a script starts the three and ends when one of them does.
"""

import base64
import os
import struct
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tripleo_ha.devtest import beside, container, processes, roots
from tripleo_ha.devtest.layout import CONTROL, BedNode
from tripleo_ha.devtest.store import Record
from tripleo_ha.errors import Failure
from tripleo_ha.metadata import passwords
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.run import Completed, run
from tripleo_ha.waiting import wait_for

NAME = "ceph-0"
HOST = 50
POOL = "volumes"
SECTION = "storage"
"""Of the passwords file."""
PACKAGES = ("ceph-mgr", "ceph-mon", "ceph-osd")
READY_TIMEOUT = 300.0
DISK_BYTES = 16 << 30
"""Of the OSD; only what is written takes room of this machine's."""
CAPS = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "mgr": "allow *", "osd": "allow *"},
    "mgr.a": {"mon": "allow profile mgr", "osd": "allow *"},
    "osd.0": {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"},
    "client.cinder": {"mon": "profile rbd", "mgr": f"profile rbd pool={POOL}", "osd": f"profile rbd pool={POOL}"},
}
"""Who may do what. The monitor takes all of them, with their keys, when it is made."""
MADE = "made"
# What a power cut left half made is made anew. The directory /etc/ceph is the bed's, /var/lib/ceph the node's. The OSD
# looks for its classes, RBD's among them, below the directory it is started in.
START = """set -eu
cd /
data=/var/lib/ceph
if [ ! -e $data/made ]; then
    rm -rf $data/mon $data/mgr $data/osd
    mkdir -p $data/mon $data/mgr/ceph-a $data/osd/ceph-0
    monmaptool --create --clobber --fsid "$FSID" --addv a "[v2:$ADDRESS:3300,v1:$ADDRESS:6789]" /run/monmap
    ceph-mon --mkfs -i a --monmap /run/monmap --keyring /etc/ceph/keyring
fi
ceph-mon -f -i a &
ceph-mgr -f -i a &
if [ ! -e $data/made ]; then
    # Clones that live on without the volume they are of.
    timeout 300 ceph osd set-require-min-compat-client mimic
    timeout 300 ceph osd new "$OSD"
    ceph-osd --mkfs -i 0 --osd-uuid "$OSD"
fi
ceph-osd -f -i 0 &
if [ ! -e $data/made ]; then
    timeout 300 ceph osd pool create "$POOL" 16
    timeout 300 rbd pool init "$POOL"
    touch $data/made
fi
wait -n
"""


def runs(record: Record) -> bool:
    """Whether a bed has storage: its nodes can use it, and fence each other, which using it takes."""
    return record.profile == "full" and record.fencing and record.knows("cinder_volume")


def node(state: Path) -> BedNode:
    """Return the node that is the storage of a bed."""
    return beside.node(state, NAME, HOST)


def secrets(state: Path) -> dict[str, str]:
    """Return what makes a bed's Ceph this one: ``fsid``, ``osd`` (a UUID), and each key by its entity's name.

    Invented at the first call.

    :raises UsageError: the passwords file cannot be read or written.
    """

    def completed(known: Passwords) -> Passwords:
        made = {"fsid": str(uuid.uuid4()), "osd": str(uuid.uuid4()), **{name: key() for name in CAPS}}
        return Passwords({**known.values, SECTION: {**made, **known.of(SECTION)}})

    return passwords.update(state / "passwords.yaml", completed).of(SECTION)


def key() -> str:
    """Return a new key as cephx has them: type AES, when it was made, its length, and 16 random bytes."""
    return base64.b64encode(struct.pack("<HIIH", 1, int(time.time()), 0, 16) + os.urandom(16)).decode()


def metadata(state: Path) -> dict[str, Any]:
    """Return what the metadata of a bed's nodes say of the storage."""
    known = secrets(state)
    return {
        "ceph": {"fsid": known["fsid"], "mon_host": [CONTROL.address(HOST)]},
        "cinder_volume": {"rbd": {"pool": POOL, "key": known["client.cinder"]}},
    }


def files(known: dict[str, str], address: str) -> dict[str, str]:
    """Return the node's ``/etc/ceph``, by name."""
    return {"ceph.conf": _conf(known["fsid"], address), "keyring": _keyring(known), "start": START}


def _conf(fsid: str, address: str) -> str:
    return f"""[global]
fsid = {fsid}
mon_host = [v2:{address}:3300,v1:{address}:6789]
public_addr = {address}
keyring = /etc/ceph/keyring
log_to_file = false
log_to_stderr = true
mon_cluster_log_to_file = false
debug_rocksdb = 1/1
auth_allow_insecure_global_id_reclaim = false
# One of everything is meant.
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
# Small rather than fast.
mgr_initial_modules = iostat
ms_async_op_threads = 1
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 1
bluestore_cache_autotune = false
bluestore_cache_size = 67108864
bluestore_block_size = {DISK_BYTES}
"""


def _keyring(known: dict[str, str]) -> str:
    lines = []
    for name, caps in CAPS.items():
        lines += [f"[{name}]", f"key = {known[name]}", *(f'caps {kind} = "{what}"' for kind, what in caps.items())]
    return "\n".join(lines) + "\n"


def root(cache: Path, image_root: Path, say: Callable[[str], None]) -> Path:
    """Return the root that the node boots from, made at the first call.

    :raises CommandFailed: mmdebstrap failed.
    """
    return roots.ensure(cache, image_root, "ceph", PACKAGES, say)


def ensure(state: Path, cgroup: Path, netns: str, from_root: Path) -> bool:
    """Have the storage of a bed run; return whether it had to be started. It is not waited for.

    :param cgroup: the bed's.
    :param from_root: what :func:`root` returned.
    """
    target, known = node(state), secrets(state)
    binds = [beside.bind(target, "ceph", "/etc/ceph"), beside.bind(target, "state", "/var/lib/ceph", writable=True)]
    environment = {"ADDRESS": target.ip, "FSID": known["fsid"], "OSD": known["osd"], "POOL": POOL}
    boot = beside.boot_argv(target, state, netns, binds, environment, "/etc/ceph/start")
    wanted = {f"ceph/{name}": text for name, text in files(known, target.ip).items()}
    return beside.ensure(target, cgroup, netns, from_root, wanted, boot)


def wait_ready(state: Path, cgroup: Path) -> None:
    """Wait until the pool is there.

    :raises Failure: the node ended instead; the message holds the end of its console.
    """
    target = node(state)

    def probe() -> bool:
        beside.check(target, cgroup)
        return (target.directory / "state" / MADE).exists()

    wait_for(f"{NAME} to have its pool", probe, timeout=READY_TIMEOUT)


def execute(cgroup: Path, argv: Sequence[str], *, timeout: float = 60) -> Completed:
    """Run a command on the node, where Ceph's own commands are those of ``client.admin``.

    :param cgroup: the bed's.
    :param timeout: in seconds.
    :raises CommandFailed: as ``run`` does.
    :raises Failure: the node is not running.
    """
    monitor = next((each for each in processes.within(cgroup / NAME) if each.name == "ceph-mon"), None)
    if monitor is None:
        raise Failure(f"{NAME} has no monitor at work", "`devtest up` starts it")
    return run(container.enter_argv(monitor.pid, argv), timeout=timeout)
