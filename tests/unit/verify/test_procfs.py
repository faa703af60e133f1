from pathlib import Path

import pytest

from tripleo_ha.node import procfs
from tripleo_ha.node.facts import Process, Socket

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def table_line(local: str, state: str, inode: int) -> str:
    return (
        f"   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0 100\n"
    )


def add_process(proc: Path, pid: int, name: str, command: str, unit: str = "", inode: int | None = None) -> None:
    entry = proc / str(pid)
    (entry / "fd").mkdir(parents=True)
    (entry / "cmdline").write_bytes(command.replace(" ", "\0").encode())
    (entry / "stat").write_text(f"{pid} ({name}) S 1 " + " ".join(str(n) for n in range(5, 22)) + f" {pid * 100} 9\n")
    (entry / "cgroup").write_text(f"1:name=systemd:/elsewhere.service\n0::/system.slice/{unit}\n")
    if inode is not None:
        (entry / "fd" / "3").symlink_to(f"socket:[{inode}]")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    add_process(tmp_path, 10, "mariadbd", "/usr/sbin/mariadbd --x", "mariadb.service", 501)
    add_process(tmp_path, 11, "odd (name)", "python odd", "", 502)
    add_process(tmp_path, 12, "kthreadd", "")
    (tmp_path / "net" / "tcp").write_text(
        HEADER
        + table_line("0B0200C0:0CEA", "0A", 501)
        + table_line("0B0200C0:0CEA", "01", 777)
        + table_line("0100007F:0050", "0A", 502)
    )
    (tmp_path / "net" / "tcp6").write_text(HEADER + table_line("0" * 32 + ":1111", "0A", 900))
    (tmp_path / "net" / "udp").write_text(
        HEADER + table_line("0100007F:0143", "07", 502) + table_line("0100007F:0200", "01", 502)
    )
    return tmp_path


def test_only_waiting_sockets_are_told_with_their_owners(proc: Path) -> None:
    assert procfs.sockets(proc) == (
        Socket("tcp", "127.0.0.1", 80, ("odd (name)",)),
        Socket("tcp", "192.0.2.11", 3306, ("mariadbd",)),
        Socket("tcp", "::", 4369, ()),
        Socket("udp", "127.0.0.1", 323, ("odd (name)",)),
    )


def test_a_file_closed_meanwhile_hides_no_socket_of_its_process(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (proc / "10" / "fd" / "4").symlink_to("socket:[501]")
    first, _ = (proc / "10" / "fd").iterdir()
    readlink = Path.readlink

    def vanished(path: Path) -> Path:
        if path == first:
            raise FileNotFoundError
        return readlink(path)

    monkeypatch.setattr(Path, "readlink", vanished)
    assert Socket("tcp", "192.0.2.11", 3306, ("mariadbd",)) in procfs.sockets(proc)


def test_an_ipv4_address_on_an_ipv6_socket_is_told_as_ipv4(proc: Path) -> None:
    mapped = "0000000000000000FFFF00000B0200C0"
    (proc / "net" / "tcp6").write_text(HEADER + table_line(f"{mapped}:0016", "0A", 900))
    assert Socket("tcp", "192.0.2.11", 22, ()) in procfs.sockets(proc)


def test_service_processes_have_unit_and_start(proc: Path) -> None:
    seen = tuple(procfs.processes(proc))
    assert {each.pid for each in seen} == {10, 11}
    assert procfs.of_services(seen) == (Process(10, "mariadbd", "mariadb.service", 1000),)


def test_workers_of_one_unit_are_one_instance(proc: Path) -> None:
    add_process(proc, 20, "polling", "ceilometer-polling --central", "agent.service")
    add_process(proc, 21, "polling", "ceilometer-polling --central worker", "agent.service")
    add_process(proc, 22, "polling", "ceilometer-polling --central", "")
    assert procfs.matching(procfs.processes(proc), r"ceilometer-polling .*--?central") == (20, 22)


def test_this_machine_is_readable() -> None:
    import os
    import socket

    with socket.socket() as waiting:
        waiting.bind(("127.0.0.1", 0))
        waiting.listen()
        port = waiting.getsockname()[1]
        found = [each for each in procfs.sockets() if each.port == port]
    assert [(each.transport, each.address) for each in found] == [("tcp", "127.0.0.1")]
    assert found[0].processes
    assert os.getpid() in {each.pid for each in procfs.processes()}
