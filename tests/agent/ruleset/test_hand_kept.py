"""An older copy of a file that people keep by hand is noticed, before the start and while the agent works."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from agent import credentials, policy
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import (
    ClockState,
    Colour,
    DecisionInput,
    Direction,
    LaneSpec,
    LaneType,
    Outcome,
    Screening,
    Temperature,
    TimeBounds,
)
from agent.model.problems import ProblemCode
from agent.platform.packaged import packaged
from agent.ruleset import Ruleset, hand_kept, load
from agent.ruleset.calibration_files import save_sites
from agent.ruleset.venue_files import VenueOptions
from agent.screening import ThermometerSite
from agent.screening.calibration import ReferenceCheck
from agent.venue.permits import build_roster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UTC = 1_800_000_000
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
GOOD, STOLEN = signing.new_private_key(), signing.new_private_key()


def line(version: int) -> str:
    return f"version = {version}\n" if version else ""


def keys(version: int, *, old: bool) -> str:
    private = (GOOD, STOLEN) if old else (GOOD,)
    tables = (f'[[key]]\nissuer = "demo"\npublic = "{b64encode(key.public.spki).decode()}"\n' for key in private)
    return line(version) + "".join(tables)


def table(version: int, *, old: bool) -> str:
    text = packaged("policy/default.toml").read_text().replace("version = 1\n", line(version or 1))
    return text.replace('title.en = "', 'title.en = "old ') if old else text


def venue(version: int, *, old: bool) -> str:
    return line(version) + f'name = "{"old" if old else "new"}"\n'


def roster(version: int, *, old: bool) -> str:
    content = {**build_roster([]), "groups": ["old"] if old else []}
    return json.dumps(content | ({"version": version} if version else {}))


FILES: dict[str, tuple[str, Callable[..., str]]] = {
    "keys": ("issuers.toml", keys),
    "policy": ("ours.toml", table),
    "venue": ("venue.toml", venue),
    "roster": ("roster.json", roster),
}


def ruleset(folder: Path, calibration: Path | None = None) -> Ruleset:
    judged, venue = credentials.Options(keys="issuers.toml"), VenueOptions("venue.toml", "roster.json")
    return Ruleset(judged, policy.Options("ours.toml"), folder, calibration, venue=venue)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A kiosk that has worked with version 7 of each file."""
    for name, text in FILES.values():
        (tmp_path / name).write_text(text(7, old=False))
    assert outcome(ruleset(tmp_path)) is Outcome.ADMIT
    return tmp_path


def outcome(found: Ruleset, key: signing.PrivateKey = GOOD, direction: Direction = Direction.ENTRY) -> Outcome:
    """Of somebody with a green code and a normal temperature."""
    claims = gatepost.claims("demo", "anna", Colour.GREEN, issued_utc=UTC - 100, expires_utc=UTC + 100)
    verdict = found.check([gatepost.issue(key, claims).encode()], NOW)
    lane = LaneSpec(direction, LaneType.PEDESTRIAN)
    return found.decide(DecisionInput(lane, verdict, Temperature(Screening.NORMAL), True, False, NOW)).outcome


def told(found: Ruleset) -> list[str]:
    return [finding.text for part in found.health(NOW) for finding in part.findings]


WRONG = [
    pytest.param(6, True, "version 6, and 7 was in force", id="older"),
    pytest.param(7, True, "another version 7", id="not raised"),
    pytest.param(0, True, "no version, and 7 was in force", id="none"),
]


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize(("version", "old", "why"), WRONG)
@pytest.mark.parametrize("kind", FILES)
def test_an_older_copy_lets_nobody_in(
    folder: Path, kind: str, version: int, old: bool, why: str, running: bool
) -> None:
    name, text = FILES[kind]
    found = ruleset(folder)
    if kind == "policy" and not version:
        version, why = 1, "version 1, and 7 was in force"  # a table has one
    (folder / name).write_text(text(version, old=old))
    if running:
        assert found.refresh()
    else:
        found = ruleset(folder)
    for key in (GOOD, STOLEN):
        assert outcome(found, key) is Outcome.REFER or (kind != "keys" and key is STOLEN)
    assert outcome(found, direction=Direction.EXIT) is Outcome.ADMIT
    assert any(why in each for each in told(found)), told(found)
    assert ProblemCode.LIST_MISSING in {each.code for part in found.health(NOW) for each in part.findings}
    (folder / name).write_text(text(8, old=old))
    assert found.refresh()
    assert not told(found)
    assert outcome(found) is Outcome.ADMIT


@pytest.mark.parametrize("kind", FILES)
def test_space_order_and_comments_are_no_content(folder: Path, kind: str) -> None:
    name, text = FILES[kind]
    (folder / name).write_text("\n" + text(7, old=False) + "\n")
    found = ruleset(folder)
    assert (outcome(found), told(found)) == (Outcome.ADMIT, [])


@pytest.mark.parametrize("kind", ["keys", "venue", "roster"])
def test_a_file_without_a_version_is_as_it_ever_was(tmp_path: Path, kind: str) -> None:
    for name, text in FILES.values():
        (tmp_path / name).write_text(text(0, old=False))
    found = ruleset(tmp_path)
    name, text = FILES[kind]
    (tmp_path / name).write_text(text(0, old=True))
    found.refresh()
    assert (outcome(found), told(found)) == (Outcome.ADMIT, [])


def test_the_versions_are_told_and_in_force(folder: Path) -> None:
    found = {each.type: each.version for each in ruleset(folder).in_force() if each.source == "file"}
    assert found == dict.fromkeys(FILES, 7)


def test_a_lost_record_lets_nobody_in_until_somebody_has_looked(folder: Path) -> None:
    (folder / load.FILES_ACCEPTED).unlink()
    found = ruleset(folder)
    assert outcome(found) is Outcome.REFER
    assert any("files.accepted*" in each for each in told(found))
    for each in folder.glob("files.accepted*"):
        each.unlink()
    assert outcome(ruleset(folder)) is Outcome.ADMIT


def test_an_older_calibration(folder: Path) -> None:
    file = folder / "calibration.toml"
    check = ReferenceCheck(0.1, UTC, "black body", "Li Wei")
    save_sites(file, {"entry": ThermometerSite(check=check)})
    old = file.read_bytes()
    save_sites(file, {"entry": ThermometerSite(check=ReferenceCheck(0.4, UTC, "black body", "Li Wei"))})
    found = ruleset(folder, file)
    assert not told(found)
    file.write_bytes(old)
    found.refresh()
    assert outcome(found) is Outcome.REFER
    assert any("was in force" in each for each in told(found))
    save_sites(file, {"entry": ThermometerSite(check=check)})
    found.refresh()
    assert (outcome(found), told(found)) == (Outcome.ADMIT, [])


@pytest.mark.parametrize("version", ["0", "-1", '"7"', "1.0", "true", "[1]"])
def test_what_is_no_version_is_refused_where_it_is_read(folder: Path, version: str) -> None:
    (folder / "issuers.toml").write_text(f"version = {version}\n" + keys(0, old=True))
    with pytest.raises(credentials.BadTrustStore, match="higher with each change"):
        ruleset(folder)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# ours\nversion = 9\n[[key]]\nx = 1\n", "# ours\nversion = 10\n[[key]]\nx = 1\n"),
        ("[[key]]\nversion = 9\n", "[[key]]\nversion = 9\n"),
        ("", ""),
    ],
)
def test_a_command_that_changes_a_file_raises_its_version(before: str, after: str) -> None:
    assert hand_kept.raised(before) == after
