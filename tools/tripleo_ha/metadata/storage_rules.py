"""What JSON Schema cannot say about the storage of volumes; see ``rule`` for the form."""

from collections.abc import Iterator
from typing import Any

from tripleo_ha.metadata.findings import Finding, Path
from tripleo_ha.metadata.rule import Document, Rule, needs

LOCAL_DRIVERS = ("cinder.volume.drivers.lvm.",)
"""Drivers whose storage is a disk of the machine that runs them."""
OUTSIDE = "storage outside of the controllers"


@needs("cluster", "pacemaker", "cinder_volume")
def fenced(document: Document) -> Iterator[Finding]:
    """Where there are several controllers, the one that makes volumes can be silenced."""
    count = len(document["cluster"]["nodes"])
    if count > 1 and "fencing" not in document["pacemaker"]:
        yield Finding(
            "THA250",
            ("cinder_volume",),
            f"volumes are made by one of {count} controllers, and none can be fenced",
            "pacemaker.fencing with a device for every node",
            "a warning elsewhere (THA212) is an error here: two writers destroy a volume",
            on_key=True,
        )


@needs("cluster", "cinder_volume")
def shares_outside(document: Document) -> Iterator[Finding]:
    """No share is a controller's."""
    for index, share in enumerate(document["cinder_volume"].get("nfs", {}).get("shares", ())):
        if whose := _whose(document["cluster"], share.partition(":")[0]):
            yield Finding("THA251", ("cinder_volume", "nfs", "shares", index), f"the share is on {whose}", OUTSIDE)


@needs("cluster", "ceph")
def monitors_outside(document: Document) -> Iterator[Finding]:
    """No monitor is a controller."""
    for index, monitor in enumerate(document["ceph"]["mon_host"]):
        if whose := _whose(document["cluster"], monitor.partition(":")[0]):
            yield Finding("THA251", ("ceph", "mon_host", index), f"the monitor is {whose}", OUTSIDE)


@needs("cinder_volume")
def drivers_outside(document: Document) -> Iterator[Finding]:
    """No backend that is added under ``extra`` is a disk of the controller."""
    for group, options in document["cinder_volume"].get("extra", {}).items():
        if str(options.get("volume_driver", "")).startswith(LOCAL_DRIVERS):
            path: Path = ("cinder_volume", "extra", group, "volume_driver")
            yield Finding("THA251", path, "the driver makes volumes on a disk of the controller", OUTSIDE)


@needs("cinder_volume")
def stored_somewhere(document: Document) -> Iterator[Finding]:
    """There is storage."""
    if not {"rbd", "nfs"} & set(document["cinder_volume"]):
        yield Finding("THA252", ("cinder_volume",), "no storage is described", "the key rbd or nfs", on_key=True)


def _whose(cluster: Any, host: str) -> str:
    """Return what of the cluster a host is; nothing where it is none of it."""
    for index, node in enumerate(cluster["nodes"]):
        if host in (node["name"], node["ip"]):
            return f"cluster.nodes[{index}]"
    for name, vip in cluster["virtual_ips"].items():
        if host == vip["ip"]:
            return f"the virtual address {name}"
    return "the controller itself" if host == "localhost" or host.startswith("127.") else ""


RULES: tuple[Rule, ...] = (fenced, shares_outside, monitors_outside, drivers_outside, stored_somewhere)
