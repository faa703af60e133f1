"""A cloud's own authority and certificate: made once, kept, renewed when asked, and never where one is brought."""

import copy
import json
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tripleo_ha import endpoints
from tripleo_ha.files import write_file
from tripleo_ha.metadata import authority, check, generate, masking, passwords
from tripleo_ha.metadata.authority import certified
from tripleo_ha.metadata.generate import CORE, Description, numbered
from tripleo_ha.metadata.passwords import Passwords, Unfit

NOW = datetime(2030, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SECRETS = Passwords({}).completed(CORE)
CLOUD = Description(numbered(3))
KNOWN = certified(SECRETS, CLOUD, NOW)


def described(**overrides: Any) -> Description:
    return Description(numbered(3), overrides=overrides)


def document(description: Description = CLOUD, known: Passwords = KNOWN) -> dict[str, Any]:
    return next(iter(generate.generate(description, known).values()))


def findings(given: dict[str, Any], now: datetime = NOW) -> list[str]:
    return [found.rule for found in check.check_document(given, now) if found.rule != "THA212"]


def test_what_is_made_passes_the_checker_until_shortly_before_it_ends() -> None:
    given = document()
    assert findings(given) == []
    assert findings(given, NOW + authority.CERTIFICATE - 31 * DAY) == []
    assert findings(given, NOW + authority.CERTIFICATE - 29 * DAY) == ["THA229"]
    assert findings(given, NOW + authority.CERTIFICATE) == ["THA228"]


def test_strict_clients_take_the_authority() -> None:
    context = ssl.create_default_context(cadata=document()["tls"]["ca"])
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    (trusted,) = context.get_ca_certs()
    assert "overcloud authority" in str(trusted["subject"])


def test_the_authoritys_key_stays_with_the_passwords() -> None:
    kept = KNOWN.of("tls")["ca_key"]
    assert kept.splitlines()[1] not in json.dumps(document())
    assert set(document()["tls"]) == {"ca", "control", "public"}


def test_a_second_time_changes_nothing() -> None:
    assert certified(KNOWN, CLOUD, NOW + 100 * DAY).values == KNOWN.values


def test_renewing_has_the_same_authority_issue_another_with_another_key() -> None:
    old, new = KNOWN.of("tls"), certified(KNOWN, CLOUD, NOW + 300 * DAY, renew=True).of("tls")
    assert (new["ca"], new["ca_key"]) == (old["ca"], old["ca_key"])
    for vip in endpoints.ENCRYPTED:
        assert new[vip]["certificate"] != old[vip]["certificate"]
        assert new[vip]["key"] != old[vip]["key"]


def test_an_authority_that_ends_too_soon_is_renewed_as_well() -> None:
    late = NOW + authority.AUTHORITY - 30 * DAY
    renewed = certified(KNOWN, CLOUD, late, renew=True)
    assert renewed.of("tls")["ca"] != KNOWN.of("tls")["ca"]
    assert findings(document(known=renewed), late) == []


@pytest.mark.parametrize("missing", ["ca", "ca_key"])
@pytest.mark.parametrize("renew", [False, True])
def test_half_an_authority_is_refused_and_not_replaced(missing: str, renew: bool) -> None:
    kept = {key: value for key, value in KNOWN.of("tls").items() if key != missing}
    with pytest.raises(Unfit, match=f"and tls.{missing} is not"):
        certified(Passwords({**KNOWN.values, "tls": kept}), CLOUD, NOW, renew=renew)


@pytest.mark.parametrize("key", ["x", 5, KNOWN.of("tls")["public"]["key"], KNOWN.of("tls")["ca"]])
def test_a_key_that_is_not_the_authoritys_issues_nothing(key: object) -> None:
    values = {**KNOWN.values, "tls": {**KNOWN.of("tls"), "ca_key": key}}
    with pytest.raises(Unfit, match=r"tls\.ca_key") as caught:
        certified(Passwords(values), CLOUD, NOW, renew=True)
    assert str(key) not in str(caught.value).split()


def test_what_took_the_place_of_another_is_told() -> None:
    assert authority.news(SECRETS, KNOWN) == []
    assert authority.news(KNOWN, certified(KNOWN, CLOUD, NOW)) == []
    moved = certified(KNOWN, described(tls={"public": {"name": "cloud.example.com"}}), NOW)
    assert authority.news(KNOWN, moved) == ["issued anew: tls.public.certificate, with another key"]
    brought = described(tls={"control": KNOWN.of("tls")["control"]})
    alone = certified(KNOWN, brought, NOW + authority.AUTHORITY, renew=True)
    assert [line.split(",")[0] for line in authority.news(KNOWN, alone)] == [
        "made anew: tls.ca",
        "issued anew: tls.public.certificate",
    ]
    late = certified(KNOWN, CLOUD, NOW + authority.AUTHORITY, renew=True)
    assert [line.split(",")[0] for line in authority.news(KNOWN, late)] == [
        "made anew: tls.ca",
        "issued anew: tls.control.certificate",
        "issued anew: tls.public.certificate",
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        {"tls": {"public": {"name": "cloud.example.com"}}},
        {"cluster": {"virtual_ips": {"public": {"ip": "198.51.100.9"}}}},
        {"tls": {"control": {"enabled": True, "name": "internal.example.com"}}},
        {"cluster": {"virtual_ips": {"control": {"ip": "192.0.2.9"}}}, "tls": {"control": {"enabled": True}}},
    ],
)
def test_endpoints_at_another_place_get_another_certificate_of_the_same_authority(overrides: dict[str, Any]) -> None:
    moved = described(**overrides)
    assert findings(document(moved)) == ["THA225"]
    known = certified(KNOWN, moved, NOW)
    assert known.of("tls")["ca"] == KNOWN.of("tls")["ca"]
    assert findings(document(moved, known)) == []


def test_a_certificate_of_the_deployers_own_wins() -> None:
    brought = document()["tls"]
    own = described(tls=brought)
    assert certified(SECRETS, own, NOW).values == SECRETS.values
    assert document(own, SECRETS)["tls"] == brought
    assert document(own, certified(SECRETS, CLOUD, NOW))["tls"] == brought


def test_one_value_switches_it_off() -> None:
    off = described(tls={"public": {"enabled": False}})
    assert document(off)["tls"]["public"]["enabled"] is False
    assert findings(document(off), NOW + 10 * authority.CERTIFICATE) == []


def test_one_value_switches_it_on_inside() -> None:
    inside = document(described(tls={"control": {"enabled": True}}))
    assert findings(inside) == []
    assert endpoints.tls_of(inside, "control")
    assert endpoints.tls_of(document(), "control") is None
    assert inside["tls"]["control"]["certificate"] != inside["tls"]["public"]["certificate"]


def test_what_is_inside_is_judged_where_it_is_switched_on_and_by_its_own_path() -> None:
    swapped = document(described(tls={"control": {"enabled": True}}))
    swapped["tls"]["control"]["key"] = swapped["tls"]["public"]["key"]
    paths = {found.rule: found.path for found in check.check_document(swapped, NOW) if found.rule != "THA212"}
    assert paths == {"THA224": ("tls", "control", "key")}
    swapped["tls"]["control"] = {**swapped["tls"]["public"], "enabled": True}
    found = [each for each in check.check_document(swapped, NOW) if each.rule != "THA212"]
    assert [(each.rule, each.path) for each in found] == [("THA225", ("tls", "control", "certificate"))]
    assert "cluster.virtual_ips.control.ip" in str(found[0])
    swapped["tls"]["control"]["enabled"] = False
    assert findings(swapped) == []


def test_what_ends_inside_is_told_of() -> None:
    inside = document(described(tls={"control": {"enabled": True}}))
    told = [found.path for found in check.check_document(inside, NOW + authority.CERTIFICATE) if found.rule == "THA228"]
    assert told == [("tls", "control", "certificate"), ("tls", "public", "certificate")]


@pytest.mark.parametrize("lacking", ["control", "public"])
def test_what_is_not_there_yet_is_added_and_what_is_there_stays(lacking: str) -> None:
    kept = {key: value for key, value in KNOWN.of("tls").items() if key != lacking}
    former = Passwords({**KNOWN.values, "tls": kept})
    assert set(document(known=former)["tls"]) == {"ca", "control", "public"} - {lacking}
    known = certified(former, CLOUD, NOW)
    assert {key: value for key, value in known.of("tls").items() if key != lacking} == kept
    assert findings(document(described(tls={"control": {"enabled": True}}), known)) == []


@pytest.mark.parametrize("beside", [("control",), ()])
def test_a_public_certificate_is_found_where_it_stood_before(beside: tuple[str, ...], tmp_path: Path) -> None:
    now = KNOWN.of("tls")
    kept = {key: now[key] for key in ("ca", "ca_key", *beside)}
    file = tmp_path / "passwords.yaml"
    write_file(file, yaml.safe_dump({**KNOWN.values, "tls": {**kept, **now["public"]}}), mode=0o600)
    assert passwords.read(file).of("tls") == {**kept, "public": now["public"]}
    known = authority.ensure(file, CLOUD, NOW, renew=True).of("tls")
    assert set(known) == {"ca", "ca_key", "control", "public"}
    assert passwords.read(file).of("tls") == known
    assert set(yaml.safe_load(file.read_text())["tls"]) == set(known)


@pytest.mark.parametrize("left", [("tls",), ("tls", "control"), ("tls", "public", "key")])
def test_what_is_left_empty_is_filled(left: tuple[str, ...], tmp_path: Path) -> None:
    values = copy.deepcopy(KNOWN.values)
    section: dict[str, Any] = values
    for key in left[:-1]:
        section = section[key]
    section[left[-1]] = None
    file = tmp_path / "passwords.yaml"
    write_file(file, yaml.safe_dump(values))
    assert findings(document(known=authority.ensure(file, CLOUD, NOW))) == []


def test_nothing_is_made_where_nothing_is_balanced() -> None:
    alone = Description(numbered(1), services=("mysql",))
    assert certified(SECRETS, alone, NOW).values == SECRETS.values


def test_it_is_kept_from_others_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "passwords.yaml"
    known = authority.ensure(file, CLOUD, NOW)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert authority.ensure(file, CLOUD, NOW) == known
    renewed = authority.ensure(file, CLOUD, NOW, renew=True)
    assert renewed.of("tls")["public"]["key"] != known.of("tls")["public"]["key"]


def test_keys_are_masked_as_they_stand_and_as_json_has_them() -> None:
    given = document()
    key = given["tls"]["public"]["key"]
    shown = masking.Mask(given=given)(f"{key}{json.dumps(given)}")
    assert key.splitlines()[1] not in shown
    assert "<tls.public.key>" in shown
    assert "BEGIN CERTIFICATE" in shown
