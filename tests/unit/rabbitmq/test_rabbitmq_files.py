"""The element's templates: what a change of the cluster's size may touch, and who listens where."""

from pathlib import Path
from typing import Any

import pytest
from os_apply_config.renderers import JsonRenderer

from tripleo_ha import paths, table

ELEMENT = paths.elements() / "rabbitmq-cluster"
TEMPLATES = ELEMENT / "os-apply-config"


def metadata(size: int, **rabbit: Any) -> dict[str, Any]:
    nodes = [
        {"name": f"c-{index}", "ip": f"192.0.2.{11 + index}", "index": index, "id": index + 1} for index in range(size)
    ]
    return {
        "cluster": {"name": "overcloud"},
        "rabbit": {"net_ticktime_s": 8, **rabbit},
        "derived": {
            "node": nodes[0],
            "nodes": nodes,
            "cluster_size": size,
            "quorum_cluster_size": min(size, 5),
            "extra": {"rabbit": [{"section": "rabbitmq.conf", "options": [{"option": "heartbeat", "value": 30}]}]},
        },
    }


def rendered(name: str, values: dict[str, Any]) -> str:
    renderer = JsonRenderer(missing_tags="strict")
    return str(renderer.render((TEMPLATES / name.lstrip("/")).read_text(), values))


def row() -> table.Row:
    return table.load_row(ELEMENT / "service.yaml")


def test_a_change_of_size_changes_no_file_that_restarts_the_broker() -> None:
    templates = [name for name in row().units[0].files if (TEMPLATES / name.lstrip("/")).exists()]
    assert len(templates) == 2
    for name in templates:
        assert rendered(name, metadata(1)) == rendered(name, metadata(5))


@pytest.mark.parametrize(("size", "copies"), [(1, 1), (3, 3), (5, 5), (7, 5)])
def test_the_size_is_in_the_other_files(size: int, copies: int) -> None:
    members = rendered("etc/rabbitmq/conf.d/members.conf", metadata(size))
    assert members.count("= rabbit@c-") == size
    assert f"target_group_size = {copies}\n" in members
    assert f"{{quorum_cluster_size, {copies}}}," in rendered("etc/rabbitmq/advanced.config", metadata(size))


def test_extra_settings_are_in_the_file_that_restarts_the_broker() -> None:
    assert rendered("etc/rabbitmq/rabbitmq.conf", metadata(3)).rstrip().endswith("heartbeat = 30")


def test_nothing_listens_on_every_address() -> None:
    conf = rendered("etc/rabbitmq/rabbitmq.conf", metadata(3))
    assert "listeners.tcp.1 = 192.0.2.11:5672\n" in conf
    assert "distribution.listener.interface = 192.0.2.11\n" in conf
    assert "management.tcp.ip = 127.0.0.1\n" in conf
    assert rendered("etc/rabbitmq/epmd.env", metadata(3)) == "ERL_EPMD_ADDRESS=192.0.2.11\n"
    everywhere = [listener for listener in row().listeners if listener.address not in ("node", "loopback")]
    # The broker takes no address for these; the firewall leaves them to the controllers.
    streams, tools = everywhere
    assert streams.sources == tools.sources == ("cluster",)
    assert tools.ports.start == 25672 + 10000, "where rabbitmqctl listens unless it is told"
    assert f"stream.replication.port_range.min = {streams.ports[0]}\n" in conf
    assert f"stream.replication.port_range.max = {streams.ports[-1]}\n" in conf


def test_nothing_is_configured_where_there_is_no_broker() -> None:
    values = metadata(3)
    del values["rabbit"]
    values["rabbit"] = None
    for template in TEMPLATES.rglob("*"):
        if template.is_file():
            assert rendered(str(template.relative_to(TEMPLATES)), values).strip() == ""


def test_no_template_holds_a_secret() -> None:
    text = "".join(path.read_text() for path in Path(TEMPLATES).rglob("*") if path.is_file())
    assert "password" not in text
    assert "cookie" not in text
