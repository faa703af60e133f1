"""Tables of services and clusters for tests, written out and generated."""

from typing import Any

from hypothesis import strategies as st

from tripleo_ha import cluster, paths, table
from tripleo_ha.table import Balance, Check, Listener, Row

HAPROXY = table.load_row(paths.elements() / "haproxy" / "service.yaml")
PASSWORD = "correct horse battery"


def metadata(count: int = 3, me: int = 0, **sections: Any) -> dict[str, Any]:
    """Return metadata for a cluster of ``count``, as node ``me`` is given it."""
    return {
        "cluster": {
            "name": "overcloud",
            "nodes": [{"name": f"controller-{index}", "ip": f"192.0.2.{11 + index}"} for index in range(count)],
            "virtual_ips": {
                "control": {"ip": "192.0.2.10", "prefix": 24, "interface": "host0"},
                "public": {"ip": "198.51.100.10", "prefix": 24, "interface": "host1"},
            },
        },
        "node": {"name": f"controller-{me}"},
        "haproxy": {"stats_password": PASSWORD},
        **sections,
    }


def of(told: dict[str, Any]) -> cluster.Cluster:
    """Return the cluster of such metadata."""
    return cluster.from_metadata(told)


def row(*listeners: Listener, service: str = "service") -> Row:
    """Return a row with these listeners."""
    return Row(service, "haproxy", "A service", listeners=listeners)


def api(name: str = "api", port: int = 8000, **balance: Any) -> Listener:
    """Return a balanced HTTP listener on both virtual IPs."""
    wanted = Balance(balance.pop("vips", ("control", "public")), Check("/healthcheck"), **balance)
    return Listener(name, port, ("api",), protocol="http", balance=wanted)


def sql(port: int = 3306) -> Listener:
    """Return a listener with one writer."""
    check = Check("/galera", port=9590, interval_ms=500, timeout_ms=500)
    return Listener("mysql", port, ("mariadbd",), balance=Balance(("control",), check, mode="single"))


_checks = st.builds(
    Check,
    path=st.sampled_from(["/", "/healthcheck", "/v3?x=1#y", "/it's"]),
    port=st.none() | st.integers(1, 65535),
    interval_ms=st.integers(100, 10_000),
    timeout_ms=st.integers(100, 10_000),
    rise=st.integers(1, 5),
    fall=st.integers(1, 5),
)
_balances = st.builds(
    Balance,
    vips=st.sampled_from([("control",), ("public",), ("control", "public")]),
    check=_checks,
    mode=st.sampled_from(["roundrobin", "leastconn", "source", "single"]),
    maxconn=st.none() | st.integers(1, 5000),
)


@st.composite
def listeners(draw: st.DrawFn) -> list[Listener]:
    """Draw listeners with different ports and names, HAProxy's own left out."""
    ports = draw(st.lists(st.integers(1, 65535).filter(lambda port: port not in (1993, 9591)), unique=True, max_size=8))
    return [draw(_listener(port)) for port in ports]


def _listener(port: int) -> st.SearchStrategy[Listener]:
    common: dict[str, Any] = {
        "name": st.just(f"listener-{port}"),
        "port": st.just(port),
        "processes": st.just(("process",)),
        "sources": st.sampled_from([("cluster",), ("control",), ("cluster", "control")]),
    }
    balanced = {
        "protocol": st.sampled_from(["http", "tcp"]),
        "address": st.sampled_from(["node", "any"]),
        "balance": _balances,
    }
    plain = {
        "transport": st.sampled_from(["tcp", "udp"]),
        "address": st.sampled_from(["node", "loopback", "any"]),
    }
    return st.builds(Listener, **common, **balanced) | st.builds(Listener, **common, **plain)
