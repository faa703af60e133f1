"""What a cloud does for itself over the months: what was deleted leaves its databases, and policies are as asked."""

import copy
from collections.abc import Iterator

import pytest
from beds import Summary
from clouds import endpoint, invent, is_, needs, removed, until
from openstack.connection import Connection

from tripleo_ha import table
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify.runner import Target

STATE_S = 120.0
LONG_AGO = "UTC_TIMESTAMP() - INTERVAL 90 DAY"
PURGE_S = 300.0
ROLL_S = 600.0
SUFFIX = "-purge.timer"


def sql(bed: Bed, statement: str) -> str:
    """Return what MariaDB answers on the first controller, as root there."""
    told = bed.exec("0", ["mariadb", "--batch", "--skip-column-names"], input=statement, timeout=60)
    return told.stdout.strip()


@pytest.fixture
def deleted_server(bed: Bed, cloud: Connection, image: str) -> Iterator[str]:
    """The id of a server that no host could take, and that was deleted long ago."""
    needs(bed, "nova")
    compute = cloud.compute
    flavor = compute.create_flavor(name=invent(), ram=64, vcpus=1, disk=10**7)
    try:
        server = compute.create_server(name=invent(), flavor_id=flavor.id, image_id=image, networks="none")
        until("no host", lambda: compute.get_server(server.id).status, is_("ERROR"), timeout=STATE_S)
        removed("the server", lambda: compute.delete_server(server.id))
        found = f"SELECT COUNT(*) FROM nova_cell0.instances WHERE uuid = '{server.id}' AND deleted <> 0"
        until("the server to be deleted", lambda: sql(bed, found), is_("1"), timeout=STATE_S)
        sql(bed, f"UPDATE nova_cell0.instances SET deleted_at = {LONG_AGO} WHERE uuid = '{server.id}'")
        yield server.id
    finally:
        removed("the flavor", lambda: compute.delete_flavor(flavor.id))


@pytest.fixture
def deleted_stack(bed: Bed, cloud: Connection) -> str:
    """The id of a stack that was deleted long ago."""
    needs(bed, "heat")
    template = {"heat_template_version": "2021-04-16", "resources": {"one": {"type": "OS::Heat::None"}}}
    stack = cloud.orchestration.create_stack(name=invent(), template=template)
    until("the stack", lambda: cloud.orchestration.get_stack(stack.id).status, is_("CREATE_COMPLETE"), timeout=STATE_S)
    cloud.orchestration.delete_stack(stack.id)
    found = f"SELECT COUNT(*) FROM heat.stack WHERE id = '{stack.id}' AND deleted_at IS NOT NULL"
    until("the stack to be deleted", lambda: sql(bed, found), is_("1"), timeout=STATE_S)
    sql(bed, f"UPDATE heat.stack SET deleted_at = {LONG_AGO} WHERE id = '{stack.id}'")
    return str(stack.id)


@pytest.mark.quick
def test_what_was_deleted_long_ago_leaves_the_databases(
    target: Target, bed: Bed, deleted_server: str, deleted_stack: str, summary: Summary
) -> None:
    units = {unit.name for row in table.active(table.load(), target.metadata) for unit in row.units}
    purges = sorted(name.removesuffix(".timer") for name in units if name.endswith(SUFFIX))
    assert len(purges) == 6
    for purge in purges:
        bed.exec("0", ["systemctl", "start", f"{purge}.service"], timeout=PURGE_S)
        told = bed.exec("0", ["systemctl", "show", "--property=ExecMainStatus", "--value", purge], timeout=30)
        # Nova's says with 1 that it has archived something.
        assert int(told.stdout) <= (purge == "nova-purge"), bed.exec("0", ["journalctl", "-n50", "-u", purge]).stdout
    left = {
        "instances": f"SELECT COUNT(*) FROM nova_cell0.instances WHERE uuid = '{deleted_server}'",
        "shadows": f"SELECT COUNT(*) FROM nova_cell0.shadow_instances WHERE uuid = '{deleted_server}'",
        "requests": f"SELECT COUNT(*) FROM nova_api.request_specs WHERE instance_uuid = '{deleted_server}'",
        "stacks": f"SELECT COUNT(*) FROM heat.stack WHERE id = '{deleted_stack}'",
    }
    assert {what: sql(bed, statement) for what, statement in left.items()} == dict.fromkeys(left, "0")
    summary.tell("purged", ", ".join(purges))


def test_a_policy_rules_on_every_controller_and_leaves_again(target: Target, bed: Bed, cloud: Connection) -> None:
    needs(bed, "glance")
    url = f"{endpoint(cloud, 'image')}/v2/images"
    before = {node.name: bed.metadata(node.name) for node in bed.nodes}

    def answers() -> set[int]:
        # As many as there are controllers, of which each is asked in its turn.
        return {cloud.session.get(url, raise_exc=False).status_code for _ in before}

    assert answers() == {200}
    try:
        for name, document in before.items():
            changed = copy.deepcopy(document)
            changed["glance"]["policy"] = {"get_images": "role:nobody"}
            bed.push(name, changed)
        bed.wait_converged(timeout=ROLL_S)
        assert answers() == {403}
    finally:
        for name, document in before.items():
            bed.push(name, document)
        bed.wait_converged(timeout=ROLL_S)
    assert answers() == {200}
