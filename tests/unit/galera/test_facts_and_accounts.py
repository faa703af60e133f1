"""What is read from Galera's files and peers, what the health check makes of a status, and the accounts' statements."""

from pathlib import Path

import pytest

from tripleo_ha.node import databases, galera_facts
from tripleo_ha.node.databases import Account
from tripleo_ha.node.galera_facts import Files
from tripleo_ha.node.health.galera import ailment
from tripleo_ha.topology import galera_config
from tripleo_ha.topology.galera import NULL_UUID, Facts, Phase, View

UUID = "2f6e3b20-e69a-11f1-990c-6f3410f6ebf8"
GRASTATE = "# GALERA saved state\nversion: 2.1\nuuid:    {}\nseqno:   {}\nsafe_to_bootstrap: {}\n"
GVWSTATE = """my_uuid: dc8164ed
#vwbeg
view_id: 3 dc8164ed 12
bootstrap: 0
member: dc8164ed 0
member: e2712531 0
#vwend
"""


def on_disk(root: Path, recovered: tuple[str, int] = (NULL_UUID, -1)) -> Facts:
    return galera_facts.on_disk(Files(root), recover=lambda: recovered)


def member_files(root: Path, uuid: str = UUID, seqno: int = -1, safe: int = 0) -> Files:
    (root / "mysql").mkdir()
    (root / "grastate.dat").write_text(GRASTATE.format(uuid, seqno, safe))
    return Files(root)


def test_an_empty_or_freshly_initialised_directory_never_held_data(tmp_path: Path) -> None:
    assert on_disk(tmp_path).phase is Phase.BLANK
    (tmp_path / "mysql").mkdir()
    assert on_disk(tmp_path).phase is Phase.DOWN
    (tmp_path / "tripleo-ha-fresh").touch()
    assert on_disk(tmp_path).phase is Phase.BLANK


def test_after_a_crash_the_position_comes_from_the_redo_log_and_the_view_from_its_file(tmp_path: Path) -> None:
    member_files(tmp_path).gvwstate.write_text(GVWSTATE)
    told = on_disk(tmp_path, (UUID, 41))
    view = View("3 dc8164ed 12", frozenset({"dc8164ed", "e2712531"}))
    assert told == Facts(Phase.DOWN, UUID, 41, member="dc8164ed", view=view)
    assert told.eligible


def test_a_torn_view_file_is_no_view(tmp_path: Path) -> None:
    member_files(tmp_path).gvwstate.write_text(GVWSTATE.replace("#vwend", ""))
    assert on_disk(tmp_path, (UUID, 41)).view is None


@pytest.mark.parametrize(("seqno", "elected", "believed"), [(7, False, True), (-1, False, False), (7, True, False)])
def test_the_flag_counts_only_after_a_graceful_stop(tmp_path: Path, seqno: int, elected: bool, believed: bool) -> None:
    files = member_files(tmp_path, seqno=seqno, safe=1)
    if elected:
        files.elected.touch()
    assert on_disk(tmp_path, (UUID, 7)).safe_to_bootstrap is believed


def test_a_transfer_cut_short_and_a_missing_grastate_are_not_eligible(tmp_path: Path) -> None:
    files = member_files(tmp_path, seqno=7)
    files.transfer.touch()
    assert not on_disk(tmp_path).eligible
    files.transfer.unlink()
    assert on_disk(tmp_path).eligible
    files.grastate.unlink()
    assert not on_disk(tmp_path, (UUID, 7)).eligible


def test_facts_travel_through_json() -> None:
    facts = Facts(Phase.DOWN, UUID, 7, True, False, "m", View("1", frozenset({"m", "n"})), "a")
    assert galera_facts.from_published(galera_facts.to_publish(facts)) == facts


def told(state: Facts | None, **live: str) -> dict[str, object]:
    published = {"mariadb-galera": {"state": galera_facts.to_publish(state)}} if state else {}
    return {"published": published, "checks": {"galera": {"facts": live}}}


def test_a_running_server_speaks_for_itself() -> None:
    stopped = Facts(Phase.DOWN, UUID, 7)
    assert galera_facts.of_peer(told(stopped)) == stopped
    live = galera_facts.of_peer(told(stopped, cluster_status="Primary", local_state_uuid=UUID, last_committed="9"))
    assert live is not None
    assert (live.phase, live.seqno) == (Phase.PRIMARY, 9)


def test_a_peer_that_was_started_and_does_not_answer_is_starting_and_a_silent_one_unknown() -> None:
    started = galera_facts.of_peer(told(Facts(Phase.PRIMARY)))
    assert started is not None
    assert started.phase is Phase.STARTING
    assert galera_facts.of_peer(None) is None
    assert galera_facts.of_peer(told(None)) is None


HEALTHY = {"cluster_status": "Primary", "local_state": "4", "ready": "ON"}


@pytest.mark.parametrize(
    ("changed", "read_only", "word"),
    [
        ({}, False, ""),
        ({}, True, "read_only"),
        ({"local_state": "2"}, False, ""),
        ({"local_state": "1"}, False, "Joining"),
        ({"cluster_status": "non-Primary"}, False, "non-Primary"),
        ({"ready": "OFF"}, False, "not ready"),
    ],
)
def test_only_a_writable_member_with_whole_data_is_healthy(changed: dict[str, str], read_only: bool, word: str) -> None:
    reason = ailment({**HEALTHY, **changed}, read_only)
    assert (word in reason) if word else reason == ""


def test_the_hash_is_the_servers() -> None:
    # SELECT PASSWORD('password') on a MariaDB server.
    assert databases.native_hash("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


def test_statements_bring_an_account_from_nothing_to_the_grants_it_would_show() -> None:
    account = Account("keystone", "%", "BY PASSWORD '*AB'", schema="key_stone")
    assert [statement for statement, _ in databases._account(account, ())] == [
        "CREATE USER `keystone`@`%` IDENTIFIED BY PASSWORD '*AB'",
        "GRANT ALL PRIVILEGES ON `key\\_stone`.* TO `keystone`@`%`",
    ]
    assert databases._account(account, account.grants) == []


def test_a_new_password_takes_no_right_away_and_a_right_too_many_is_revoked() -> None:
    old, new = (Account("keystone", "%", f"BY PASSWORD '*{text}'", schema="keystone") for text in ("OLD", "NEW"))
    assert [statement.split()[0] for statement, _ in databases._account(new, old.grants)] == ["ALTER"]
    wide = (*new.grants, "GRANT ALL PRIVILEGES ON `nova`.* TO `keystone`@`%`")
    assert [statement.split()[0] for statement, _ in databases._account(new, wide)] == ["REVOKE", "GRANT"]


def test_timeouts_keep_the_order_that_the_engine_demands() -> None:
    for seconds in (0.5, 1.5, 5.0, 60.0):
        value = {name: float(text[2:-1]) for name, text in galera_config.timings(seconds).items()}
        assert value["evs.keepalive_period"] < value["evs.suspect_timeout"] < value["evs.inactive_timeout"]
        assert value["evs.inactive_check_period"] <= value["evs.suspect_timeout"]
        assert value["evs.join_retrans_period"] < value["evs.install_timeout"]
