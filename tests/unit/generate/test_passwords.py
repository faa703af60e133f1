"""The passwords file: invented once, kept for ever, private, never shown."""

import base64
import re
import stat
import threading
from pathlib import Path

import pytest
import yaml

from tripleo_ha.errors import Failure, UsageError
from tripleo_ha.metadata import check, generate, passwords, schema
from tripleo_ha.metadata.passwords import Passwords


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "passwords.yaml"


def test_it_is_made_on_first_use_and_kept_from_then_on(file: Path) -> None:
    first = passwords.ensure(file, generate.CORE)
    content = file.read_bytes()
    assert passwords.ensure(file, generate.CORE) == first
    assert file.read_bytes() == content


def test_nobody_else_may_read_it(file: Path) -> None:
    passwords.ensure(file, generate.CORE)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["passwords.yaml"]


def test_two_files_have_no_value_in_common(tmp_path: Path) -> None:
    found = [str(passwords.ensure(tmp_path / name, generate.CORE).values) for name in ("a", "b")]
    long_words = [set(re.findall(r"[A-Za-z0-9+/_=-]{20,}", text)) for text in found]
    assert not long_words[0] & long_words[1]


def test_values_are_strong_and_of_the_form_each_engine_wants(file: Path) -> None:
    known = passwords.ensure(file, generate.CORE)
    assert len(known.of("haproxy")["stats_password"]) == 32
    assert len(base64.b64decode(known.of("pacemaker")["corosync_authkey"])) == 256
    assert re.fullmatch(r"[A-Z]{32}", known.of("rabbit")["erlang_cookie"])
    for keys in ("fernet_keys", "credential_keys"):
        items = known.of("keystone")[keys]
        assert [item["index"] for item in items] == [0, 1]
        assert all(len(base64.urlsafe_b64decode(item["key"])) == 32 for item in items)


def test_whatever_secret_a_schema_requires_is_invented() -> None:
    for name in generate.services():
        declared = schema.read(name)
        required = {key for key in declared.get("required", ()) if declared["properties"][key].get("x-secret")}
        assert required <= set(passwords.wanted(name))


def test_what_a_new_service_lacks_is_added_and_nothing_else_touched(file: Path) -> None:
    before = passwords.ensure(file, ["rabbit"])
    after = passwords.ensure(file, ["rabbit", "keystone"])
    assert after.of("rabbit") == before.of("rabbit")
    assert before.missing(["keystone"]) and not after.missing(["keystone"])


def test_a_hand_written_value_stays(file: Path) -> None:
    file.parent.mkdir()
    file.touch(mode=0o600)
    file.write_text("rabbit: {admin_password: chosen-by-somebody, note: x}\n")
    known = passwords.ensure(file, ["rabbit"]).of("rabbit")
    assert (known["admin_password"], known["note"]) == ("chosen-by-somebody", "x")
    assert len(known["monitor_password"]) == 32


def test_an_empty_file_is_filled(file: Path) -> None:
    file.parent.mkdir()
    file.touch(mode=0o600)
    assert passwords.ensure(file, ["haproxy"]).of("haproxy")


def test_a_key_that_is_left_without_a_value_gets_one(file: Path) -> None:
    before = passwords.ensure(file, ["rabbit"]).of("rabbit")
    file.write_text(yaml.safe_dump({"rabbit": {**before, "admin_password": None}}))
    after = passwords.ensure(file, ["rabbit"]).of("rabbit")
    assert after["admin_password"] not in (None, before["admin_password"])
    assert {**after, "admin_password": 0} == {**before, "admin_password": 0}


def test_a_section_that_is_left_empty_is_filled(file: Path) -> None:
    before = passwords.ensure(file, ["haproxy", "rabbit"])
    file.write_text(yaml.safe_dump({"haproxy": None, "rabbit": before.of("rabbit")}))
    after = passwords.ensure(file, ["haproxy", "rabbit"])
    assert after.of("rabbit") == before.of("rabbit")
    assert after.missing(["haproxy"]) == []
    assert after.of("haproxy") != before.of("haproxy")


@pytest.mark.parametrize(
    "content",
    [
        "- a\n",
        "rabbit: s3cretword\n",
        "s3cretword",
        "{a: *s3cretword}",
        "a: [s3cretword",
        "a: 's3cretword\n b: c",
        "\x00",
    ],
)
def test_another_files_content_is_refused_and_never_shown(content: str, file: Path) -> None:
    file.parent.mkdir()
    file.touch(mode=0o600)
    file.write_text(content)
    with pytest.raises(Failure) as caught:
        passwords.ensure(file, generate.CORE)
    assert "s3cret" not in str(caught.value)
    assert file.read_text() == content


def test_bytes_that_are_no_text_are_refused(file: Path) -> None:
    file.parent.mkdir()
    file.touch(mode=0o600)
    file.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(Failure, match=r"passwords\.yaml:1:1: not text in UTF-8"):
        passwords.read(file)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_may_read_is_refused(mode: int, file: Path) -> None:
    passwords.ensure(file, ["rabbit"])
    file.chmod(mode)
    with pytest.raises(Failure, match="others may read"):
        passwords.ensure(file, ["rabbit"])


def test_a_file_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(Failure):
        passwords.ensure(tmp_path / "f" / "passwords.yaml", ["rabbit"])
    with pytest.raises(Failure):
        passwords.read(tmp_path / "absent")
    with pytest.raises(Failure):
        passwords.ensure(tmp_path, ["rabbit"])


def test_its_repr_shows_no_secret(file: Path) -> None:
    known = passwords.ensure(file, ["haproxy"])
    assert repr(known) == "Passwords(of haproxy)"
    assert repr(Passwords({})) == "Passwords(of nothing)"


def test_two_at_once_agree_on_one_set(file: Path) -> None:
    found: list[Passwords] = []
    threads = [threading.Thread(target=lambda: found.append(passwords.ensure(file, generate.CORE))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(known == found[0] for known in found)


def keys(known: Passwords) -> dict[int, str]:
    return {item["index"]: item["key"] for item in known.of("keystone")["fernet_keys"]}


def test_a_rotation_promotes_the_staged_key_that_every_node_has() -> None:
    before = Passwords({}).completed(["keystone"])
    after = before.rotated()
    assert keys(after)[2] == keys(before)[0]
    assert keys(after)[1] == keys(before)[1]
    assert keys(after)[0] not in keys(before).values()
    assert before.of("keystone")["credential_keys"] == after.of("keystone")["credential_keys"]


@pytest.mark.parametrize("most", [3, 5])
def test_rotations_keep_the_latest_keys_and_never_reuse_an_index(most: int) -> None:
    known = Passwords({}).completed(["keystone"])
    for turn in range(1, 8):
        before, known = keys(known), known.rotated(most)
        assert max(keys(known)) == turn + 1
        assert len(keys(known)) == min(turn + 2, most)
        # Tokens of the last period were made with the old primary: it must be there still.
        assert before[max(before)] in keys(known).values()


def test_a_rotation_needs_keys_and_room_for_them() -> None:
    with pytest.raises(Failure, match="no staged and primary"):
        Passwords({}).rotated()
    with pytest.raises(UsageError, match="too few"):
        Passwords({}).completed(["keystone"]).rotated(2)


def test_the_file_is_plain_yaml_in_the_shape_of_the_metadata(file: Path) -> None:
    known = passwords.ensure(file, generate.CORE)
    assert yaml.safe_load(file.read_text()) == known.values


def test_what_is_invented_passes_the_checker(file: Path) -> None:
    documents = generate.generate(generate.Description(generate.numbered(1)), passwords.ensure(file, generate.CORE))
    assert not [f for d in documents.values() for f in check.check_document(d) if f.severity == "error"]
