"""What is read from Galera's files and peers, what the health check makes of a status, and the accounts' statements."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tripleo_ha.node import databases, galera_actions, galera_facts
from tripleo_ha.node.databases import Account
from tripleo_ha.node.galera_facts import Files
from tripleo_ha.node.health.galera import ailment
from tripleo_ha.run import CommandFailed, run
from tripleo_ha.table import Database, Row, Unit
from tripleo_ha.topology import galera_config
from tripleo_ha.topology.galera import NOWHERE, NULL_UUID, Facts, Phase, View

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
    assert told == Facts(Phase.DOWN, UUID, 41, member="dc8164ed", view=view, behind=True)
    assert told.eligible
    galera_facts.Files(tmp_path).caught_up.touch()
    assert not on_disk(tmp_path, (UUID, 41)).behind


LIBEXEC = Path(__file__).parents[3] / "elements/mariadb-galera/static/usr/local/libexec"


def start(root: Path, *told: str) -> None:
    """Have the server of a data directory started, or tell what it tells."""
    environment = {"PATH": "/usr/bin:/bin", "TRIPLEO_HA_DATADIR": str(root)}
    run(["sh", str(LIBEXEC / "tripleo-ha-galera-evidence"), *told], timeout=10, env=environment)


def test_a_start_that_enters_no_component_leaves_the_evidence_whole(tmp_path: Path) -> None:
    files = member_files(tmp_path)
    files.gvwstate.write_text(GVWSTATE)
    files.caught_up.touch()
    for _ in range(3):
        start(tmp_path)
        assert files.gvwstate.exists()
        assert not files.caught_up.exists()
        assert not on_disk(tmp_path, (UUID, 41)).behind


def test_a_joiner_that_never_caught_up_does_not_form_its_view_again(tmp_path: Path) -> None:
    files = member_files(tmp_path)
    files.gvwstate.write_text(GVWSTATE)
    files.caught_up.touch()
    start(tmp_path)
    files.gvwstate.write_text(GVWSTATE.replace("12", "14"))
    assert on_disk(tmp_path, (UUID, 41)).behind
    start(tmp_path)
    assert on_disk(tmp_path, (UUID, 41)).view is None
    start(tmp_path)


def test_a_server_that_is_cut_off_and_back_is_behind_until_it_has_caught_up(tmp_path: Path) -> None:
    files = member_files(tmp_path)
    files.gvwstate.write_text(GVWSTATE)
    tells = ("--uuid", UUID, "--index", "0", "--members", "dc8164ed/a/192.0.2.11:3306")
    start(tmp_path, "--status", "synced", "--primary", "yes", *tells)
    start(tmp_path, "--status", "connected", "--primary", "no", *tells)
    assert not on_disk(tmp_path, (UUID, 41)).behind
    files.gvwstate.write_text(GVWSTATE.replace("12", "14"))
    for status in ("initialized", "joined"):
        start(tmp_path, "--status", status, "--primary", "yes", *tells)
        assert on_disk(tmp_path, (UUID, 41)).behind
    start(tmp_path, "--status", "synced", "--primary", "yes", *tells)
    assert not on_disk(tmp_path, (UUID, 41)).behind


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({}, f"<--wsrep_start_position={UUID}:41>"),
        ({"galera-new-cluster": ""}, f"<--wsrep-new-cluster><--wsrep_start_position={UUID}:41>"),
        ({"galera-position": f"--wsrep_start_position={UUID}:7\n"}, f"<--wsrep_start_position={UUID}:7>"),
        ({"galera-new-cluster": "", "galera-position": ""}, "<--wsrep-new-cluster>"),
    ],
)
def test_a_start_does_as_it_was_asked_and_looks_for_its_position_otherwise(
    tmp_path: Path, asked: Mapping[str, str], given: str
) -> None:
    for name, does in (
        ("galera_recovery", f"echo --wsrep_start_position={UUID}:41"),
        ("mariadbd", 'printf "<%s>" "$@"'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    for name, text in asked.items():
        (tmp_path / name).write_text(text)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    argv = ["sh", str(LIBEXEC / "tripleo-ha-galera-start"), str(tmp_path)]
    assert run(argv, timeout=10, env=environment).stdout == given


def test_the_next_start_is_told_a_position_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PERMISSION", "BOOTSTRAP_ONCE", "POSITION_ONCE"):
        monkeypatch.setattr(galera_actions, name, tmp_path / name)
    monkeypatch.setattr(galera_actions, "run", lambda *argv, **options: None)
    monkeypatch.setattr(galera_actions.applied, "note", lambda unit: None)
    told = tmp_path / "POSITION_ONCE"
    stopped_in_order = on_disk(member_files(tmp_path, seqno=7).root)
    for position, expected in (
        (stopped_in_order.position, f"--wsrep_start_position={UUID}:7\n"),
        (replace(stopped_in_order, aborted=True).position, ""),
        (Facts(Phase.BLANK).position, ""),
    ):
        galera_actions.start(Unit("mariadb.service"), position)
        assert told.read_text() == expected
    galera_actions.start(Unit("mariadb.service"), replace(stopped_in_order, seqno=-1).position)
    assert not told.exists()


def test_a_position_that_cannot_be_recovered_is_no_start(tmp_path: Path) -> None:
    (tmp_path / "galera_recovery").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "galera_recovery").chmod(0o755)
    argv = ["sh", str(LIBEXEC / "tripleo-ha-galera-start"), str(tmp_path)]
    told = run(argv, timeout=10, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert (told.returncode, told.stdout) == (1, "")


def test_what_a_state_left_behind_is_kept_beside_it(tmp_path: Path) -> None:
    member_files(tmp_path).history.write_text('["old"]')
    assert on_disk(tmp_path, (UUID, 41)).history == ("old",)


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


@pytest.mark.parametrize("cut_short", ["first start", "first start of a founder", "transfer", "transfer that said so"])
def test_the_redo_log_of_what_was_cut_short_is_never_asked(tmp_path: Path, cut_short: str) -> None:
    def recover() -> tuple[str, int]:
        raise CommandFailed(["galera_recovery"], "exit code 1", "InnoDB: File ./ib_logfile0 was not found")

    files = Files(tmp_path)
    if cut_short != "first start":
        member_files(tmp_path, NULL_UUID)
    {"first start of a founder": files.fresh, "transfer that said so": files.transfer}.get(
        cut_short, files.grastate
    ).touch()
    assert galera_facts.on_disk(files, recover).position == NOWHERE


def test_a_bootstrap_under_a_new_uuid_that_was_cut_short_can_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(galera_actions, "_mysql", lambda: None)
    files = member_files(tmp_path, seqno=7)
    before = on_disk(tmp_path)
    galera_actions.prepare_bootstrap(files, leaves=before)
    assert not files.grastate.exists()
    after = on_disk(tmp_path, (UUID, 7))
    assert (after.eligible, after.uuid, after.seqno, after.history) == (True, UUID, 7, ())
    galera_actions.note_elected(files, "new")
    assert not files.elected.exists()
    member_files_again = GRASTATE.format("2f6e3b20-e69a-11f1-990c-000000000000", 3, 0)
    files.grastate.write_text(member_files_again)
    assert on_disk(tmp_path).history == (UUID,)


@pytest.mark.parametrize("left_behind", ["", "[]", f'["{UUID}"]'])
def test_a_state_that_kept_its_uuid_left_nothing_behind(tmp_path: Path, left_behind: str) -> None:
    files = member_files(tmp_path)
    files.elected.write_text(left_behind)
    galera_actions.note_elected(files, UUID)
    assert not files.elected.exists()
    assert not files.history.exists()


def test_facts_travel_through_json() -> None:
    view = View("1", frozenset({"m", "n"}))
    facts = Facts(Phase.DOWN, UUID, 7, True, False, True, "m", view, "a", ("old",), "g")
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


def test_a_server_that_left_its_group_is_neither_a_member_nor_down() -> None:
    live = {"cluster_status": "Disconnected", "connected": "OFF", "local_state_uuid": UUID, "last_committed": "9"}
    for state in (None, Facts(Phase.PRIMARY, UUID, 7), Facts(Phase.LEFT, UUID, 7)):
        known = galera_facts.of_peer(told(state, **live))
        assert known is not None
        assert (known.phase, known.eligible) == (Phase.LEFT, False)
    ended = galera_facts.of_peer(told(Facts(Phase.LEFT, UUID, 7)))
    assert ended is not None
    assert ended.phase is Phase.LEFT


def test_a_peer_that_was_started_and_does_not_answer_is_starting_and_a_silent_one_unknown() -> None:
    started = galera_facts.of_peer(told(Facts(Phase.PRIMARY)))
    assert started is not None
    assert started.phase is Phase.STARTING
    assert galera_facts.of_peer(None) is None
    assert galera_facts.of_peer(told(None)) is None


def test_an_older_image_tells_less() -> None:
    published = galera_facts.to_publish(Facts(Phase.DOWN, UUID, 7))
    for name in ("behind", "history", "generation"):
        del published[name]
    assert galera_facts.from_published(published) == Facts(Phase.DOWN, UUID, 7)


def test_the_last_view_of_a_running_server_counts_while_it_is_the_same_server() -> None:
    view = View("1", frozenset({"m", "n"}))
    stated = Facts(Phase.NON_PRIMARY, UUID, 7, member="m", view=view, history=("old",), generation="g")
    live = {"cluster_status": "non-Primary", "local_state_uuid": UUID, "last_committed": "9"}
    same, another = (galera_facts.of_peer(told(stated, **live, gcomm_uuid=member)) for member in ("m", "x"))
    assert same
    assert another
    assert (same.view, same.history, same.generation) == (view, ("old",), "g")
    assert (another.view, another.history) == (None, ("old",))


HEALTHY = {"cluster_status": "Primary", "local_state": "4", "ready": "ON"}


@pytest.mark.parametrize(
    ("changed", "read_only", "word"),
    [
        ({}, False, ""),
        ({}, True, "read_only"),
        ({"local_state": "2"}, False, ""),
        ({"local_state": "1"}, False, "Joining"),
        ({"cluster_status": "non-Primary"}, False, "non-Primary"),
        ({"cluster_status": "Disconnected", "connected": "OFF"}, False, "left the group"),
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
    account = Account("keystone", "%", "BY PASSWORD '*AB'", schemas=("key_stone",))
    assert [statement for statement, _ in databases._account(account, ())] == [
        "CREATE USER `keystone`@`%` IDENTIFIED BY PASSWORD '*AB'",
        "GRANT ALL PRIVILEGES ON `key\\_stone`.* TO `keystone`@`%`",
    ]
    assert databases._account(account, account.grants) == []


def test_a_new_password_takes_no_right_away_and_a_right_too_many_is_revoked() -> None:
    one = Account("keystone", "%", "", schemas=("keystone",))
    old, new = (replace(one, proof=f"BY PASSWORD '*{text}'") for text in ("OLD", "NEW"))
    assert [statement.split()[0] for statement, _ in databases._account(new, old.grants)] == ["ALTER"]
    wide = (*new.grants, "GRANT ALL PRIVILEGES ON `nova`.* TO `keystone`@`%`")
    assert [statement.split()[0] for statement, _ in databases._account(new, wide)] == ["REVOKE", "GRANT"]


def test_a_user_of_several_databases_has_rights_on_all_of_them_and_one_password() -> None:
    row = Row("some", "some", "", databases=tuple(Database(name, "user") for name in ("one", "two")))
    (account,) = databases.wanted_accounts([row], {"some": {"database_password": "password"}})
    assert [line.partition(" TO ")[0] for line in account.grants] == [
        "GRANT USAGE ON *.*",
        "GRANT ALL PRIVILEGES ON `one`.*",
        "GRANT ALL PRIVILEGES ON `two`.*",
    ]
    # Another schema comes with an upgrade.
    assert [statement for statement, _ in databases._account(account, account.grants[:2])] == [account.grants[2]]


def test_timeouts_keep_the_order_that_the_engine_demands() -> None:
    for seconds in (0.5, 1.5, 5.0, 60.0):
        value = {name: float(text[2:-1]) for name, text in galera_config.timings(seconds).items()}
        assert value["evs.keepalive_period"] < value["evs.suspect_timeout"] < value["evs.inactive_timeout"]
        assert value["evs.inactive_check_period"] <= value["evs.suspect_timeout"]
        assert value["evs.join_retrans_period"] < value["evs.install_timeout"]
