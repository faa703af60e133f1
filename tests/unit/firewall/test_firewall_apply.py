"""Putting the firewall in place: in the file and in the kernel, or neither."""

import os
from pathlib import Path

import pytest
import service_tables as tables

from tripleo_ha.errors import Failure
from tripleo_ha.node import firewall
from tripleo_ha.node.context import Context

NFT = """#!/bin/sh
cd "$NFT_DIR"
echo "$@" >> calls
case "$1" in
-c) cat > seen; if grep -q 203.0.113.66 seen; then echo "Error: no such thing" >&2; exit 1; fi;;
-f) cp "$2" kernel;;
-t) cat kernel;;
esac
"""


@pytest.fixture
def nft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "nft"
    program.parent.mkdir()
    program.write_text(NFT)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("NFT_DIR", os.fspath(tmp_path))
    monkeypatch.setattr(firewall, "RULES", tmp_path / "nftables.conf")
    return tmp_path


def apply(*ssh_sources: str) -> list[str]:
    told = tables.metadata(base={"ssh_sources": list(ssh_sources)})
    context = Context(told, tables.of(told), (tables.HAPROXY,))
    firewall.apply(context)
    return context.changes


def calls(nft: Path) -> list[str]:
    file = nft / "calls"
    lines = [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def test_first_run_checks_writes_and_loads(nft: Path) -> None:
    assert apply() == ["firewall: rules loaded"]
    assert calls(nft) == ["-c", "-t", "-f"]
    assert (nft / "kernel").read_text() == (nft / "nftables.conf").read_text()


def test_second_run_only_looks(nft: Path) -> None:
    apply()
    calls(nft)
    assert apply() == []
    assert calls(nft) == ["-t"]


def test_rules_that_somebody_removed_are_loaded_again(nft: Path) -> None:
    apply()
    (nft / "kernel").write_text("table inet tripleo_ha {\n}\n")
    assert apply() == ["firewall: rules loaded"]


def test_change_is_loaded(nft: Path) -> None:
    apply()
    assert apply("10.0.0.0/8") == ["firewall: rules loaded"]
    assert "10.0.0.0/8" in (nft / "kernel").read_text()


def test_refused_rules_leave_file_and_kernel_alone(nft: Path) -> None:
    apply()
    before = (nft / "kernel").read_text()
    with pytest.raises(Failure, match="no such thing"):
        apply("203.0.113.66/32")
    assert (nft / "kernel").read_text() == (nft / "nftables.conf").read_text() == before
