"""What is inside the built image, and what must not be."""

import json
import re
from typing import Any

import pytest
import yaml

from tripleo_ha import paths, table
from tripleo_ha.node.image import made_units

SERVICE_ELEMENTS = sorted(path.parent.name for path in paths.elements().glob("*/service.yaml"))
WANTS = re.compile(r"^etc/systemd/system/[^/]+\.(wants|requires)/(?P<unit>[^/]+)$")


def test_every_element_of_the_tree_left_its_row(image: Any) -> None:
    """The table on a controller is the table of the tree."""
    rows = {name.rpartition("/")[2].removesuffix(".yaml") for name in image.below("usr/share/tripleo-ha/services")}
    assert rows == set(SERVICE_ELEMENTS)


@pytest.mark.parametrize("element", SERVICE_ELEMENTS)
def test_packages_of_an_element_are_installed(packages: dict[str, str], element: str) -> None:
    """package-installs.yaml was honoured, however the packages came in."""
    file = paths.elements() / element / "package-installs.yaml"
    wanted = yaml.safe_load(file.read_text()) if file.exists() else {}
    installed = {name.partition(":")[0] for name in packages}
    assert set(wanted) <= installed


def test_nothing_of_a_service_starts_at_boot(image: Any) -> None:
    """A converge run starts services; at boot only the agent that brings the metadata does."""
    wanted = {found["unit"] for name in image.members if (found := WANTS.match(name))}
    units = {unit.name for row in table.load(None) for unit in row.units}
    assert wanted & units == set()
    assert "os-collect-config.service" in wanted


def test_units_of_apis_are_made_from_their_rows(image: Any) -> None:
    """Each stands before the packaged one, whose Wants= would start other services."""
    wanted = made_units(table.load(None))
    assert wanted
    for name, text in wanted.items():
        assert image.text(f"etc/systemd/system/{name}") == text


def test_state_is_on_its_own_volume(image: Any) -> None:
    """Every directory of state is a link into the state volume, which is empty."""
    for row in table.load(None):
        for state in row.state:
            member = image.members[state.path.lstrip("/")]
            assert member.issym(), state.path
            assert member.linkname == f"{paths.STATE}{state.path}"
    assert image.below("mnt/state") == []


def test_state_directories_are_made_at_boot(image: Any) -> None:
    """tmpfiles.d names each with its owner and mode."""
    lines = image.text("usr/lib/tmpfiles.d/tripleo-ha-state.conf").splitlines()
    for row in table.load(None):
        for state in row.state:
            assert f"d {paths.STATE}{state.path} {state.mode} {state.owner} {state.group} -" in lines


def test_the_dashboard_has_the_policy_of_heat(image: Any) -> None:
    for name in ("heat_policy.yaml", "default_policies/heat.yaml"):
        link = image.members[f"etc/openstack-dashboard/policy/{name}"]
        assert link.linkname.removeprefix("/") in image.members


def test_no_secret_and_no_identity_is_baked_in(image: Any) -> None:
    """No accepted metadata, no collected data, no cookie, no key; the machine id is given at the first boot."""
    assert image.below("run/tripleo-ha") == []
    assert image.below("var/lib/os-collect-config/local-data") == []
    secrets = ("var/lib/rabbitmq/.erlang.cookie", "etc/corosync/authkey", "etc/keystone/fernet-keys/0")
    assert [name for name in secrets if name in image.members] == []
    assert image.text("etc/machine-id").strip() in ("", "uninitialized") if "etc/machine-id" in image.members else True


def test_no_mirror_setting_of_pip_is_left(image: Any) -> None:
    """Wheels came from the build host's index; the image knows nothing of it."""
    assert [name for name in image.members if name.endswith(("/pip.conf", "/.pip", "/pip/pip.conf"))] == []


def test_hooks_are_executable_and_named_for_dib_run_parts(image: Any) -> None:
    """dib-run-parts silently skips a name with a dot, and a file that is not executable."""
    hooks = image.below("usr/libexec/os-refresh-config")
    files = [name for name in hooks if image.members[name].isfile()]
    assert files
    for name in files:
        assert re.fullmatch(r"[0-9A-Za-z_-]+", name.rpartition("/")[2]), name
        assert image.mode(name) & 0o111, name


def test_templates_are_those_of_the_tree(image: Any) -> None:
    """Two elements with one template path would overwrite each other without a word."""
    tree = [
        path.relative_to(element / "os-apply-config")
        for element in paths.elements().iterdir()
        for path in (element / "os-apply-config").rglob("*")
        if path.is_file()
    ]
    assert len(tree) == len(set(tree))
    baked = {name for name in image.below("usr/libexec/os-apply-config/templates") if image.members[name].isfile()}
    assert baked == {f"usr/libexec/os-apply-config/templates/{path}" for path in tree}


def test_the_image_knows_who_it_is(image: Any) -> None:
    """Its identity is a digest of what is in it."""
    identity = json.loads(image.text("usr/share/tripleo-ha/image.json"))
    assert re.fullmatch(r"[0-9a-f]{32}", identity["id"])
    assert "Debian" in identity["os"]


def test_versions_of_the_agents(image: Any) -> None:
    """The three agents are the release the project is written for."""
    site = [name for name in image.below("opt/tripleo-ha/venv/lib") if "/site-packages/os_" in name]
    for agent in ("os_apply_config", "os_collect_config", "os_refresh_config"):
        assert any(f"/{agent}-14.1.0.dist-info" in name for name in site), agent
