"""New lists and tables come into force while the gate works; what does not hold changes nothing."""

from __future__ import annotations

import dataclasses
import time
from base64 import b64encode
from pathlib import Path

import pytest

from agent import credentials, policy, privacy
from agent.cli.demo.authority import DemoAuthority
from agent.credentials import bundle, lists
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import (
    ClockState,
    CodeStatus,
    Colour,
    DecisionInput,
    Direction,
    LaneSpec,
    LaneType,
    ListAge,
    Outcome,
    RecordState,
    Role,
    Screening,
    Temperature,
    TimeBounds,
    VenueFacts,
)
from agent.model.problems import in_words
from agent.platform.packaged import packaged
from agent.privacy import hpke
from agent.ruleset import Ruleset, load
from agent.ruleset.calibration_files import save_sites
from agent.ruleset.venue_files import VenueOptions
from agent.screening import ReferenceCheck, ThermometerSite

UTC = 1_700_000_000
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
KEY = signing.new_private_key()
JUDGED = credentials.Options(lists=("status.gpl",))
DECIDED = policy.Options("table.toml")


def keys_file() -> str:
    return f'[[key]]\nissuer = "demo"\npublic = "{b64encode(KEY.public.spki).decode()}"\n'


def code() -> bytes:
    claims = gatepost.claims("demo", "anna", Colour.GREEN, issued_utc=UTC - 100, expires_utc=UTC + 100)
    return gatepost.issue(KEY, claims).encode()


def put_list(root: Path, version: int, entries: dict[bytes, int]) -> None:
    head = lists.ListHeader("status", "demo", version, UTC - 10, 1000, 2000)
    load.write_list(root / "status.gpl", head, b"".join(entries), bytes(entries.values()))


@pytest.fixture
def ruleset(tmp_path: Path) -> Ruleset:
    (tmp_path / "issuers.toml").write_text(keys_file())
    (tmp_path / "table.toml").write_text(packaged("policy/default.toml").read_text())
    put_list(tmp_path, 1, {})
    return Ruleset(JUDGED, DECIDED, tmp_path)


def test_nothing_new_is_not_read(ruleset: Ruleset) -> None:
    assert not ruleset.refresh()


def test_a_new_list_binds(tmp_path: Path, ruleset: Ruleset) -> None:
    assert ruleset.check([code()], NOW).colour is Colour.GREEN
    put_list(tmp_path, 2, {gatepost.subject_key("demo", "anna"): 3})
    assert ruleset.refresh()
    assert ruleset.check([code()], NOW).colour is Colour.RED
    assert not ruleset.fault


def test_changes_beside_it_bind(tmp_path: Path, ruleset: Ruleset) -> None:
    head = lists.ListHeader("status", "demo", 2, UTC - 10, 1000, 2000)
    load.change_list(tmp_path / "status.gpl", head, {gatepost.subject_key("demo", "anna"): 3})
    assert ruleset.refresh()
    assert ruleset.check([code()], NOW).colour is Colour.RED


def test_wrong_keys_are_refused_and_the_old_ones_stay(tmp_path: Path, ruleset: Ruleset) -> None:
    (tmp_path / "issuers.toml").write_text("not TOML")
    assert ruleset.refresh()
    assert "the old ones stay" in ruleset.fault
    assert ruleset.check([code()], NOW).status is CodeStatus.VALID
    (tmp_path / "issuers.toml").write_text(keys_file() + "\n")
    assert ruleset.refresh()
    assert not ruleset.fault


def test_a_new_list_binds_also_while_a_keys_file_is_refused(tmp_path: Path, ruleset: Ruleset) -> None:
    (tmp_path / "issuers.toml").write_text("not TOML")
    put_list(tmp_path, 2, {gatepost.subject_key("demo", "anna"): 3})
    assert ruleset.refresh()
    assert "the old ones stay" in ruleset.fault
    assert ruleset.check([code()], NOW).colour is Colour.RED


def test_a_wrong_table_is_refused_and_the_old_one_stays(tmp_path: Path, ruleset: Ruleset) -> None:
    table = tmp_path / "table.toml"
    good = table.read_text()
    table.write_text(good.replace('name = "green"\n', 'name = "green"\nwhen = { code = "red" }\n'))
    assert ruleset.refresh()
    assert "the old one stays" in ruleset.fault
    table.write_text(good + "\n# better\n")
    assert ruleset.refresh()
    assert not ruleset.fault


def test_a_list_that_went_away_is_told(tmp_path: Path, ruleset: Ruleset) -> None:
    (tmp_path / "status.gpl").unlink()
    assert ruleset.refresh()
    assert [bool(age.fault(NOW)) for age in ruleset.ages] == [True]


def test_a_new_check_of_a_thermometer_binds_and_a_wrong_file_does_not(tmp_path: Path) -> None:
    (tmp_path / "issuers.toml").write_text(keys_file())
    file = tmp_path / "calibration.toml"
    save_sites(file, {"entry": ThermometerSite(check=ReferenceCheck(0.1, UTC, "black body", "Li Wei"))})
    ruleset = Ruleset(credentials.Options(), policy.Options(), tmp_path, file)
    assert ruleset.thermometer("entry").why_unusable(0.0, UTC) == ""
    assert ruleset.thermometer("exit") == ThermometerSite()
    save_sites(file, {"entry": ThermometerSite(check=ReferenceCheck(0.4, UTC, "black body", "Li Wei"))})
    assert ruleset.refresh()
    assert ruleset.thermometer("entry").why_unusable(0.0, UTC) == "drift"
    file.write_text("lanes = 5")
    assert ruleset.refresh()
    assert "the old one stays" in ruleset.fault
    assert ruleset.thermometer("entry").why_unusable(0.0, UTC) == "drift"
    save_sites(file, {"entry": ThermometerSite(check=ReferenceCheck(0.0, UTC, "black body", "Li Wei"))})
    assert ruleset.refresh()
    assert not ruleset.fault
    assert ruleset.thermometer("entry").why_unusable(0.0, UTC) == ""


def test_a_table_may_ask_who_uses_the_lane(tmp_path: Path) -> None:
    (tmp_path / "issuers.toml").write_text(keys_file())
    put_list(tmp_path, 1, {})
    ruleset = Ruleset(JUDGED, policy.Options("school", venue=policy.VenueKind.SCHOOL), tmp_path)
    decided = {
        lane_type: ruleset.decide(
            DecisionInput(
                LaneSpec(Direction.ENTRY, lane_type),
                ruleset.check([code()], NOW),
                Temperature(Screening.NORMAL),
                scanner_works=True,
                shown_again=False,
                now=NOW,
            )
        )
        for lane_type in LaneType
    }
    assert decided[LaneType.PEDESTRIAN].outcome is Outcome.ADMIT
    assert decided[LaneType.VEHICLE] != decided[LaneType.PEDESTRIAN]


def test_what_the_venue_is_run_by_stands_among_the_versions(tmp_path: Path) -> None:
    (tmp_path / "issuers.toml").write_text(keys_file())
    (tmp_path / "venue.toml").write_text('name = "hall"\n')
    authority = DemoAuthority()
    authority.install(tmp_path / "bundles")
    judged = credentials.Options(bundles="bundles")
    ruleset = Ruleset(judged, policy.Options(), tmp_path, venue=VenueOptions(file="venue.toml"))

    def versions() -> set[tuple[str, int, str]]:
        kinds = ("venue", "roster", "zones")
        return {(each.type, each.version, each.source) for each in ruleset.in_force() if each.type in kinds}

    assert versions() == {("venue", 0, "file")}
    store, numbers = load.BundleStore(tmp_path / "bundles"), []
    now = TimeBounds(time.time(), time.time(), ClockState.SYNCED)
    for kind, content in (("zones", ""), ("venue", 'name = "hall"\n')):
        numbers.append(store.accept(authority.bundle(kind, content), now).version)
    assert ruleset.refresh()
    assert versions() == {("zones", numbers[0], "bundle"), ("venue", numbers[1], "bundle")}


@pytest.mark.parametrize("name", ["issuers.toml", "table.toml"])
def test_whatever_is_in_a_file_the_old_rules_stay(tmp_path: Path, ruleset: Ruleset, name: str) -> None:
    (tmp_path / name).write_text("a = " + "[" * 5000)
    assert ruleset.refresh()
    assert "stay" in ruleset.fault
    assert ruleset.check((code(),), NOW).status is CodeStatus.VALID


# -- what the central server says of personal data


SEALING = hpke.new_private_key()
TRACE = f"""mode = "trace"
[[key]]
keyid = "week"
public = "{b64encode(hpke.public_bytes(SEALING)).decode()}"
from = 2023-11-01T00:00:00Z
until = 2023-12-01T00:00:00Z
"""


def say(root: Path, version: int, content: str, expires: int = UTC + 1000) -> None:
    """The central server's word on personal data takes the place of the last one."""
    store = load.BundleStore(root / "bundles")
    if not (root / "bundles").exists():
        kid = KEY.public.kid.hex()
        role = {"threshold": 1, "keyids": [kid]}
        roles = {"root": role, "privacy": role, "zones": role}
        content_of_root = {"keys": {kid: b64encode(KEY.public.spki).decode()}, "roles": roles}
        store.install(signed("root", 1, content_of_root, UTC + 10_000))
    store.accept(signed("privacy", version, content, expires), NOW)


@pytest.mark.parametrize("keys", ["", "not TOML"])
def test_lost_zones_count_also_while_a_keys_file_is_refused(tmp_path: Path, keys: str) -> None:
    (tmp_path / "issuers.toml").write_text(keys_file())
    say(tmp_path, 1, 'mode = "verify-only"')
    zones = '[[zone]]\nregion = "5323"\nlevel = "locked"\n'
    load.BundleStore(tmp_path / "bundles").accept(signed("zones", 1, zones, UTC + 1000), NOW)
    ruleset = Ruleset(credentials.Options(bundles="bundles"), policy.Options(), tmp_path)
    (tmp_path / "bundles" / "zones.bundle").write_bytes(b"damaged")
    (tmp_path / "issuers.toml").write_text(keys or keys_file())
    assert ruleset.refresh()
    assert ruleset.check([code()], NOW).list_age is ListAge.EXPIRED
    assert "zones from the central server" in [age.name for age in ruleset.ages]


@pytest.mark.parametrize("how", ["damaged", "gone", "old"])
def test_who_comes_in_without_a_code_comes_in_by_no_old_or_lost_word_of_the_zones(tmp_path: Path, how: str) -> None:
    (tmp_path / "issuers.toml").write_text(keys_file())
    say(tmp_path, 1, 'mode = "verify-only"')
    zones = '[[zone]]\nregion = "5323"\nlevel = "locked"\n'
    load.BundleStore(tmp_path / "bundles").accept(signed("zones", 1, zones, UTC + 1000), NOW)
    ruleset = Ruleset(credentials.Options(bundles="bundles"), policy.Options(), tmp_path)
    heat, both = frozenset({Role.THERMOMETER, Role.GATE}), frozenset({Role.SCANNER, Role.THERMOMETER, Role.GATE})
    vouched = VenueFacts(vouched=True, record=RecordState.DONE)

    def case(parts: frozenset[Role], facts: VenueFacts) -> DecisionInput:
        lane = LaneSpec(Direction.ENTRY, parts=parts)
        return DecisionInput(lane, None, Temperature(Screening.NORMAL), True, False, now, facts=facts)

    now, file = NOW, tmp_path / "bundles" / "zones.bundle"
    assert ruleset.decide(case(both, vouched)).outcome is Outcome.ADMIT_WITH_NOTICE
    if how == "damaged":
        file.write_bytes(file.read_bytes()[:-40])
    elif how == "gone":
        file.unlink()
    else:
        now = TimeBounds(UTC + 300, UTC + 301, ClockState.SYNCED)
    ruleset.refresh()
    for parts, facts in ((heat, VenueFacts()), (both, vouched)):
        assert ruleset._facts(case(parts, facts)).list_age is policy.facts.ListAgeFact.EXPIRED
        assert ruleset.decide(case(parts, facts)).outcome is Outcome.REFER


def signed(kind: str, version: int, content: object, expires: int) -> bytes:
    members = {"type": kind, "name": "", "fleet": "city", "version": version, "issued_at": UTC - 10}
    members |= {"expires_at": expires, "warn_age_s": 100, "max_age_s": 200, "content": content}
    return bundle.sign(members, [KEY])


@pytest.fixture
def told(tmp_path: Path, ruleset: Ruleset) -> Ruleset:
    """A ruleset with a folder for what the central server sends."""
    assert ruleset.privacy_rules(NOW) == privacy.DEFAULT
    say(tmp_path, 1, 'mode = "verify-only"')
    return Ruleset(credentials.Options(lists=("status.gpl",), bundles="bundles"), DECIDED, tmp_path)


def test_a_change_of_mode_is_in_force_at_once(tmp_path: Path, told: Ruleset) -> None:
    assert told.privacy_rules(NOW).mode is privacy.Mode.VERIFY_ONLY
    say(tmp_path, 2, TRACE)
    assert told.refresh()
    assert told.privacy_rules(NOW).mode is privacy.Mode.TRACE
    assert told.privacy_rules(NOW).key_at(NOW) is not None
    say(tmp_path, 3, 'mode = "verify-only"')
    told.refresh()
    assert told.privacy_rules(NOW).mode is privacy.Mode.VERIFY_ONLY
    assert not in_words(told.privacy_findings(NOW))


def test_an_expired_word_keeps_nothing(tmp_path: Path, told: Ruleset) -> None:
    say(tmp_path, 2, TRACE, expires=UTC + 50)
    told.refresh()
    later = TimeBounds(UTC + 60, UTC + 61, ClockState.SYNCED)
    assert told.privacy_rules(NOW).mode is privacy.Mode.TRACE
    assert told.privacy_rules(later) == privacy.CLOSED
    assert "expired" in in_words(told.privacy_findings(later))


def test_a_damaged_word_keeps_nothing(tmp_path: Path, told: Ruleset) -> None:
    say(tmp_path, 2, TRACE)
    file = tmp_path / "bundles" / "privacy.bundle"
    file.write_bytes(file.read_bytes()[:-40])
    told.refresh()
    assert told.privacy_rules(NOW) == privacy.CLOSED
    assert "nothing personal is kept" in in_words(told.privacy_findings(NOW))


def test_a_word_that_cannot_be_used_is_not_taken(tmp_path: Path, told: Ruleset) -> None:
    with pytest.raises(bundle.BadBundle, match="mode trace needs a key"):
        say(tmp_path, 2, 'mode = "trace"')
    assert not told.refresh()


def test_a_code_that_the_agent_fails_on_goes_to_staff_and_health_says_so(
    ruleset: Ruleset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise TypeError("an internal error")

    monkeypatch.setattr(gatepost, "check", failing)
    verdict = ruleset.check([code()], NOW)
    assert verdict.status is CodeStatus.INTERNAL_ERROR
    assert "an internal error in checking a code" in "; ".join(
        in_words(part.findings) for part in ruleset.health(NOW) if part.name == "rules"
    )
    case = DecisionInput(
        LaneSpec(Direction.ENTRY, LaneType.PEDESTRIAN),
        verdict,
        Temperature(Screening.NORMAL),
        scanner_works=True,
        shown_again=False,
        now=NOW,
    )
    assert ruleset.decide(case).outcome is Outcome.REFER


def test_two_status_lists_of_one_issuer_leave_everybody_to_staff(tmp_path: Path) -> None:
    """Which of them counts is not known, and one of them would be passed over in silence."""
    (tmp_path / "issuers.toml").write_text("")
    head = lists.ListHeader("status", "demo", 1, time.time(), 9e6, 9e6)
    load.write_list(tmp_path / "a.gpl", head, bytes(16), b"\3")
    load.write_list(tmp_path / "b.gpl", dataclasses.replace(head, issuer="demo "), bytes(16), b"\1")
    one = load.load_trust(credentials.Options(lists=("a.gpl",)), tmp_path)
    assert set(one.lists.status) == {"demo"}
    both = load.load_trust(credentials.Options(lists=("a.gpl", "b.gpl")), tmp_path)
    assert [age.issued_utc > 0 for age in both.ages] == [True, False]
    assert both.lists.status["demo"].find(bytes(16)) == 3
