"""The pages about the table of services say what the table says."""

import dataclasses
import json
from pathlib import Path

import pytest

from tripleo_ha import paths, table
from tripleo_ha.cli import main
from tripleo_ha.cli.services import PAGE, reference, sources
from tripleo_ha.table import Balance, Check, Listener, Row

GUIDE = paths.CHECKOUT / "docs" / "service-table.rst"


def test_reference_page_is_what_the_rows_say() -> None:
    made = reference(table.load(None))
    assert (paths.CHECKOUT / PAGE).read_text() == made, "tripleo-ha services reference --write"


@pytest.mark.parametrize(
    "kind",
    [table.Row, table.Unit, table.Listener, table.Balance, table.Check, table.Once, table.State, table.Database,
     table.Broker, table.Identity, table.Catalogued, table.Wsgi, table.Oslo],
)  # fmt: skip
def test_guide_names_every_key(kind: type) -> None:
    text = GUIDE.read_text()
    assert [field.name for field in dataclasses.fields(kind) if f"``{field.name}``" not in text] == []


def test_check_fails_on_a_stale_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paths, "CHECKOUT", tmp_path)
    assert _exit(["services", "reference", "--check"]) == 1
    assert capsys.readouterr().err == "docs/services.rst is stale: tripleo-ha services reference --write\n"
    assert _exit(["services", "reference", "--write"]) == 0
    assert _exit(["services", "reference", "--check"]) == 0
    (tmp_path / PAGE).write_text("old")
    assert _exit(["services", "reference", "--check"]) == 1


def test_list_as_json_holds_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit(["services", "list", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["service"] for row in told] == [row.service for row in table.load()]


def test_list_as_table_shows_ports(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit(["services", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["SERVICE", "METADATA", "MANAGER", "PORTS", "BALANCED"]
    assert next(line for line in lines if line.startswith("haproxy")).split()[3:] == ["9591/tcp", "1993/tcp", "-"]


def test_public_virtual_ip_is_said_to_be_open_to_all() -> None:
    open_to_all = Listener("api", 80, ("api",), balance=Balance(("control", "public"), Check("/")))
    inside = Listener("api", 80, ("api",), balance=Balance(("control",), Check("/")))
    assert "anywhere by the public virtual IP" in sources(open_to_all)
    assert not [source for source in sources(inside) if "anywhere" in source]


def test_reference_shows_an_added_row() -> None:
    row = Row("painter", "paint", "Paints", listeners=(Listener("paint", 4711, ("painter",), transport="udp"),))
    page = reference([row])
    assert "4711/udp" in page
    assert "painter" in page


def _exit(argv: list[str]) -> int:
    with pytest.raises(SystemExit) as stop:
        main.main(argv)
    return int(stop.value.code or 0)
