"""Which device makes which node silent, without its secrets, and which node could not be made so.

Only a partition with quorum fences, so with a majority of votes there is never a race between two that fence each
other, and no device waits before it acts (``pcmk_delay_*``, ``priority-fencing-delay``).
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from tripleo_ha.cluster import Cluster
from tripleo_ha.topology import cib

Element = ElementTree.Element

NEEDS = 2
"""A node cannot fence itself, so fencing takes this many."""
TIMEOUT_S = 60
"""Pacemaker's own default for one attempt of a device; a server's BMC answers in seconds, a chassis in tens."""
SECRET = "lrm://"  # noqa: S105 — it says that there is one
"""What Pacemaker replaces by the content of a file on the node that uses the device."""
DIGEST = "tripleo-ha-secrets"
_SECRET = re.compile(r"pass|secret|token|key|community|(^|_)kg$")
_NAMES_A_FILE = re.compile(r"_(file|path|script)$|^pcmk_")


def configured(cluster: Cluster, metadata: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the device of each node that has one, by the node's name; nothing where nobody could use it."""
    devices = (metadata["pacemaker"].get("fencing") or {}).get("devices", {})
    if len(cluster.nodes) < NEEDS:
        return {}
    return {node.name: devices[node.name] for node in cluster.nodes if node.name in devices}


def is_on(cluster: Cluster, metadata: Mapping[str, Any]) -> bool:
    """Whether a node that is lost is fenced."""
    return bool(metadata["pacemaker"].get("fencing")) and len(cluster.nodes) >= NEEDS


def resource(node: str) -> str:
    """Return the resource that is the device of a node."""
    return f"fence-{node}"


def add(resources: Element, constraints: Element, cluster: Cluster, metadata: Mapping[str, Any]) -> None:
    """Add a device for each node, which any other node may use."""
    key = str(metadata["pacemaker"].get("corosync_authkey", ""))
    for node, device in sorted(configured(cluster, metadata).items()):
        name = resource(node)
        hidden = _secrets(device)
        shown = {option: _text(value) for option, value in device.get("options", {}).items()}
        parameters = {
            "pcmk_host_check": "static-list",
            "pcmk_host_list": node,
            **shown,
            **dict.fromkeys(hidden, SECRET),
        }
        # A device that did not answer for a while is tried again; it was no node's fault.
        meta = {"failure-timeout": f"{TIMEOUT_S}s"}
        if hidden:
            # Pacemaker reads the files when a device is made known to it, so a changed one has to show here.
            meta[DIGEST] = _digest(key, hidden)
        found = cib.primitive(resources, name, ("stonith", device["agent"], ""), parameters, meta)
        whole = f"{TIMEOUT_S}s"
        cib.operations(found, start=("0s", whole), stop=("0s", "20s"), monitor=(whole, whole))
        apart = {"rsc": name, "node": node, "score": "-INFINITY"}
        cib.add(constraints, "rsc_location", id=f"{name}-not-on-itself", **apart)


def secrets(cluster: Cluster, metadata: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the values that only files hold which nobody else can read, by resource and option."""
    found = {resource(node): _secrets(device) for node, device in configured(cluster, metadata).items()}
    return {name: options for name, options in found.items() if options}


def agents(metadata: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the nodes whose device needs each agent, by the agent."""
    devices = (metadata.get("pacemaker", {}).get("fencing") or {}).get("devices", {})
    found: dict[str, list[str]] = {}
    for node in sorted(devices):
        found.setdefault(devices[node]["agent"], []).append(node)
    return found


def idle(status: Element, cluster: Cluster, metadata: Mapping[str, Any]) -> list[str]:
    """Return the nodes whose device no node uses at present, as when it does not answer.

    :param status: what ``crm_mon --output-as=xml`` tells.
    """
    started = {
        found.get("id")
        for found in status.iterfind("resources//resource")
        if found.get("role") == "Started" and found.get("failed") != "true"
    }
    return [node for node in configured(cluster, metadata) if resource(node) not in started]


def unfenced(status: Element) -> dict[str, str]:
    """Return why each node that is to be fenced is not yet, by its name.

    :param status: what ``crm_mon --output-as=xml`` tells, with its history of fencing.
    """
    return {
        name: _reason(status, name)
        for name in (node.get("name", "") for node in status.iterfind("nodes/node") if node.get("unclean") == "true")
    }


def _reason(status: Element, node: str) -> str:
    # The latest comes first, what is going on before all; a success is of an earlier time.
    for event in status.iterfind("fence_history/fence_event"):
        if event.get("target") == node and event.get("status") != "success":
            told = event.get("exit-reason") or event.get("extended-status") or event.get("status", "")
            return f"{event.get('action', '')}: {told}"
    return "not fenced yet"


def _secrets(device: Mapping[str, Any]) -> dict[str, str]:
    options = {str(option): _text(value) for option, value in device.get("options", {}).items()}
    return {
        option: value
        for option, value in options.items()
        if value.strip() and _SECRET.search(option) and not _NAMES_A_FILE.search(option)
    }


def _digest(key: str, hidden: Mapping[str, str]) -> str:
    # With the cluster's key, so that nobody who reads the configuration can try passwords on it.
    message = "\0".join(f"{option}\0{hidden[option]}" for option in sorted(hidden))
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()[:16]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
