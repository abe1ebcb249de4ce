"""Exact lists: what is on them is found, what is not is not, and damage is seen."""

from __future__ import annotations

import json
import shutil
import zlib
from base64 import b64encode
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import credentials
from agent.credentials import lists
from agent.credentials.formats import gatepost, health_card
from agent.credentials.freshness import Age
from agent.credentials.trust import TrustStore
from agent.crypto import digest, signing
from agent.model import ClockState, CodeStatus, Colour, ListAge, TimeBounds
from agent.ruleset import load as vault

UTC = 1_700_000_000.0
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
KEYS = st.binary(min_size=16, max_size=16)


def head(kind: str = "status", version: int = 1, issued_utc: float = UTC) -> lists.ListHeader:
    return lists.ListHeader(kind, "demo", version, issued_utc, warn_age_s=100, max_age_s=1000)


def listed(head: lists.ListHeader, entries: dict[bytes, int]) -> lists.ListFile:
    values = bytes(entries.values()) if head.kind == "status" else None
    built = lists.build(head, b"".join(entries), values)
    return lists.parse(b"".join(built.chunks))


@given(st.dictionaries(KEYS, st.integers(0, 255), max_size=200), st.lists(KEYS, max_size=20))
@settings(max_examples=50, deadline=None)
def test_finds_exactly_what_is_on_it(entries: dict[bytes, int], others: list[bytes]) -> None:
    found = listed(head(), entries)
    assert {key: found.find(key) for key in entries} == entries
    assert all(found.find(key) is None for key in others if key not in entries)
    assert lists.entries(found) == entries
    assert found.is_sound()


def test_keys_that_share_a_bucket_and_overlap() -> None:
    """Records are found at their own places only, not across two of them."""
    near = {b"\0\0" + bytes([7]) * 14: 7, b"\0\0" + bytes([7]) * 13 + b"\x08": 8}
    found = listed(head(), near)
    assert {key: found.find(key) for key in near} == near
    assert found.find(b"\0\0" + bytes([7]) * 12 + b"\x08\x07") is None


@pytest.mark.parametrize("key", [b"", b"\0\0", bytes(15), bytes(17)])
def test_what_is_no_key_is_on_no_list(key: bytes) -> None:
    """A code that names no holder must not find somebody else's colour."""
    assert listed(head(), {bytes(16): 1}).find(key) is None


def test_a_key_that_is_repeated_has_one_value() -> None:
    key, other = bytes(16), bytes(15) + b"\1"
    built = lists.build(head(), key * 2, bytes([3, 3]))
    found = lists.parse(b"".join(built.chunks))
    assert (found.head.count, found.find(key)) == (1, 3)
    with pytest.raises(lists.TwoValues) as refused:
        lists.build(head(), other + key + other + key, bytes([2, 1, 2, 3]))
    assert (refused.value.first, refused.value.second) == (1, 3)


def test_a_large_list_has_small_buckets() -> None:
    keys = b"".join(digest.of_code("x", number.to_bytes(4)) for number in range(200_000))
    found = lists.parse(b"".join(lists.build(head("revoked"), keys).chunks))
    assert all(found.find(keys[at : at + 16]) == 1 for at in range(0, len(keys), 16 * 1000))
    assert found.find(bytes(16)) is None


@pytest.mark.parametrize("keys", [b"x" * 15, b"x" * 17])
def test_keys_have_one_length(keys: bytes) -> None:
    with pytest.raises(lists.BadList):
        lists.build(head(), keys)


def test_a_head_that_does_not_fit() -> None:
    with pytest.raises(lists.BadList):
        lists.build(lists.ListHeader("revoked", "x" * 600, 1, 0, 0, 0), b"")


@pytest.mark.parametrize("cut", [0, 100, 511, 600, -1])
def test_a_list_that_was_cut_off(cut: int) -> None:
    whole = b"".join(lists.build(head(), bytes(16), b"\1").chunks)
    with pytest.raises(lists.BadList):
        lists.parse(whole[:cut])


def test_a_flipped_bit_is_seen_at_once_in_the_head_and_by_verifying_elsewhere() -> None:
    whole = b"".join(lists.build(head(), bytes(range(16)), b"\1").chunks)
    for at in (0, 20, 500, 511):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        with pytest.raises(lists.BadList):
            lists.parse(bytes(damaged))
    damaged = bytearray(whole)
    damaged[-3] ^= 1
    assert not lists.parse(bytes(damaged)).is_sound()


# -- on disk


def test_changes_on_top(tmp_path: Path) -> None:
    path, (a, b, c) = tmp_path / "s.gpl", (bytes([n]) * 16 for n in range(3))
    vault.write_list(path, head(), a + b, bytes([1, 3]))
    before = vault.open_list(path)
    after = vault.change_list(path, head(version=2), {a: lists.GONE, c: 2})
    assert [before.find(key) for key in (a, b, c)] == [1, 3, None]
    assert [after.find(key) for key in (a, b, c)] == [None, 3, 2]
    again = vault.change_list(path, head(version=3), {a: 2})
    assert [again.find(key) for key in (a, b, c)] == [2, 3, 2]
    assert again.head.version == 3


def test_a_new_base_makes_old_changes_void(tmp_path: Path) -> None:
    path, key = tmp_path / "s.gpl", bytes(16)
    vault.write_list(path, head(), key, b"\1")
    vault.change_list(path, head(version=2), {key: 3})
    vault.write_list(path, head(version=3), key, b"\2")
    assert vault.open_list(path).find(key) == 2


def test_changes_stand_on_the_base_for_which_they_were_made(tmp_path: Path) -> None:
    """Copied before it, or by a copy that stops between the two, they would hide whom the new base has revoked."""
    here, there = tmp_path / "s.gpl", tmp_path / "server" / "s.gpl"
    there.parent.mkdir()
    gone, other = bytes([1]) * 16, bytes([2]) * 16
    vault.write_list(here, head(kind="revoked"), b"")
    vault.write_list(there, head(kind="revoked", version=2), gone)
    vault.change_list(there, head(kind="revoked", version=3), {other: 1})
    delta = "s.gpl.delta"
    shutil.copy(there.with_name(delta), here.with_name(delta))
    with pytest.raises(lists.BadList, match="changes of another base"):
        vault.open_list(here)
    shutil.copy(there, here)
    assert [vault.open_list(here).find(key) for key in (gone, other)] == [1, 1]


def test_changes_of_an_earlier_release_name_no_base_and_count(tmp_path: Path) -> None:
    path, key = tmp_path / "s.gpl", bytes(16)
    vault.write_list(path, head(), key, b"\1")
    assert b'"base"' not in path.read_bytes()[: lists.HEAD_BYTES], "which earlier releases read"
    built = lists.build(head(version=2), key, b"\3")
    path.with_name("s.gpl.delta").write_bytes(b"".join(built.chunks))
    assert vault.open_list(path).find(key) == 3
    assert vault.change_list(path, head(version=3), {}).find(key) == 3


def test_damaged_changes_are_no_list(tmp_path: Path) -> None:
    """What they revoked would be forgotten: neither looked up nor built upon, until all changes are there again."""
    path, key = tmp_path / "s.gpl", bytes(16)
    vault.write_list(path, head(), key, b"\1")
    vault.change_list(path, head(version=2), {key: 3})
    delta = path.with_name("s.gpl.delta")
    delta.write_bytes(delta.read_bytes()[:-1])
    with pytest.raises(lists.BadList, match=r"s\.gpl\.delta: damaged"):
        vault.open_list(path)
    with pytest.raises(lists.BadList):
        vault.change_list(path, head(version=3), {key: 2})
    vault.write_list(path, head(version=4), key, b"\2")
    delta.unlink()
    assert vault.open_list(path).find(key) == 2


def test_a_write_that_died_leaves_the_old_list(tmp_path: Path) -> None:
    path, key = tmp_path / "s.gpl", bytes(16)
    vault.write_list(path, head(), key, b"\1")
    path.with_name("s.gpl.new").write_bytes(b"half")
    assert vault.open_list(path).find(key) == 1
    vault.write_list(path, head(version=2), key, b"\2")
    assert vault.open_list(path).find(key) == 2


# -- as the gate uses them


@pytest.fixture
def files(tmp_path: Path, key: signing.PrivateKey) -> Path:
    text = b64encode(key.public.spki).decode()
    (tmp_path / "issuers.toml").write_text(
        f'[[key]]\nissuer = "demo"\npublic = "{text}"\n'
        "[[opaque]]\nissuer = 'city'\npattern = 'https://code\\.example/(?P<id>[0-9a-f]{8})'\n"
    )
    return tmp_path


def test_a_code_that_a_pattern_could_be_tried_against_for_hours_is_nobodys(files: Path) -> None:
    with (files / "issuers.toml").open("a") as file:
        file.write("[[opaque]]\nissuer = 'city'\npattern = 'https://(?:[a-z]+\\.?)+/(?P<id>[0-9a-f]{8})'\n")
        file.write("[[opaque]]\nissuer = 'town'\npattern = '(?P<id>(a|aa)+b|https://(a|aa)+b)'\n")
    found = credentials.check(b"https://" + b"a" * 400 + b"!!!!!!!!!!", load(files), NOW)
    assert (found.status, found.issuer) == (CodeStatus.UNRECOGNISED, "")


def load(files: Path, *names: str) -> TrustStore:
    return vault.load_trust(credentials.Options(lists=names), files)


@pytest.mark.parametrize(
    ("value", "issued_utc", "colour"),
    [(3, UTC, Colour.RED), (3, UTC - 900, Colour.GREEN), (None, UTC, Colour.GREEN)],
    ids=["newer list", "newer code", "not listed"],
)
def test_the_newer_word_on_a_holder_counts(
    files: Path, code: bytes, value: int | None, issued_utc: float, colour: Colour
) -> None:
    subject = gatepost.subject_key("demo", "holder-1")
    entries = {subject: value} if value is not None else {}
    vault.write_list(files / "s.gpl", head(issued_utc=issued_utc), b"".join(entries), bytes(entries.values()))
    assert credentials.check(code, load(files, "s.gpl"), NOW).colour is colour


@pytest.mark.parametrize("by", ["code", "subject"])
def test_revoked(files: Path, code: bytes, by: str) -> None:
    verdict = credentials.check(code, load(files), NOW)
    assert verdict.status is CodeStatus.VALID
    vault.write_list(files / "r.gpl", head("revoked"), getattr(verdict, by))
    assert credentials.check(code, load(files, "r.gpl"), NOW).status is CodeStatus.REVOKED


def test_watched(files: Path, code: bytes) -> None:
    vault.write_list(files / "w.gpl", head("watched"), gatepost.subject_key("demo", "holder-1"))
    verdict = credentials.check(code, load(files, "w.gpl"), NOW)
    assert (verdict.status, verdict.watched) == (CodeStatus.VALID, True)


@pytest.mark.parametrize(
    ("age_s", "staleness"), [(50, ListAge.FRESH), (500, ListAge.STALE), (5000, ListAge.EXPIRED)]
)
def test_the_lists_age_is_part_of_the_verdict(files: Path, code: bytes, age_s: float, staleness: ListAge) -> None:
    vault.write_list(files / "r.gpl", head("revoked", issued_utc=UTC - age_s), b"")
    assert credentials.check(code, load(files, "r.gpl"), NOW).list_age is staleness


def test_a_missing_list_is_too_old(files: Path, code: bytes) -> None:
    assert credentials.check(code, load(files, "nowhere.gpl"), NOW).list_age is ListAge.EXPIRED


def test_an_unsure_clock_makes_old() -> None:
    age = Age("x", UTC, 100, 1000)
    assert age.staleness(TimeBounds(UTC, float("inf"), ClockState.FLOOR)) is ListAge.EXPIRED


def test_an_opaque_code_is_decided_by_its_issuers_list(files: Path) -> None:
    code = b"https://code.example/0123abcd"
    verdict = credentials.check(code, load(files), NOW)
    assert (verdict.status, verdict.issuer, verdict.colour) == (CodeStatus.UNDECIDED, "city", None)
    subject = digest.of_subject("city", "0123abcd")
    vault.write_list(files / "c.gpl", lists.ListHeader("status", "city", 1, UTC, 100, 1000), subject, b"\1")
    verdict = credentials.check(code, load(files, "c.gpl"), NOW)
    assert (verdict.status, verdict.colour, verdict.reason) == (CodeStatus.VALID, Colour.GREEN, "")


@pytest.mark.parametrize("listed", ["a/b c", "a%2Fb%20c", "a%2Fb c"])
def test_an_opaque_code_is_revoked_with_its_id_as_it_is_written_or_escaped(files: Path, listed: str) -> None:
    (files / "issuers.toml").write_text("[[opaque]]\nissuer = 'city'\npattern = 'https://c/(?P<id>.+)'\n")
    code, subject = b"https://c/a%2Fb c", digest.of_subject("city", "a%2Fb c")
    status = lists.ListHeader("status", "city", 1, UTC, 100, 1000)
    vault.write_list(files / "c.gpl", status, subject, b"\1")
    assert credentials.check(code, load(files, "c.gpl"), NOW).status is CodeStatus.VALID
    revoked = lists.ListHeader("revoked", "city", 1, UTC, 100, 1000)
    vault.write_list(files / "r.gpl", revoked, digest.of_subject("city", listed))
    assert credentials.check(code, load(files, "c.gpl", "r.gpl"), NOW).status is CodeStatus.REVOKED


@pytest.mark.parametrize(
    "code", [b"https://code.example/0123abcd/", b"https://code.example/", b"http://other", b"\xff"]
)
def test_what_is_nobodys(files: Path, code: bytes) -> None:
    assert credentials.check(code, load(files), NOW).status is CodeStatus.UNRECOGNISED


@pytest.mark.parametrize("form", ["{}:1", "{}:0:" + "ab" * 16])
def test_a_health_card_is_decided_by_its_list(files: Path, form: str) -> None:
    identity = "0F" * 32
    code = form.format(identity).encode()
    assert credentials.check(code, load(files), NOW).status is CodeStatus.UNDECIDED
    vault.write_list(
        files / "h.gpl",
        lists.ListHeader("status", "health-card", 1, UTC, 100, 1000),
        health_card.subject_key(identity),
        b"\3",
    )
    verdict = credentials.check(code, load(files, "h.gpl"), NOW)
    assert (verdict.status, verdict.colour) == (CodeStatus.VALID, Colour.RED)


@pytest.mark.parametrize("tail", [":2", ":0", ":0:12", "", ":1 "])
def test_no_other_form_of_health_card(files: Path, tail: str) -> None:
    verdict = credentials.check(("0f" * 32 + tail).encode(), load(files), NOW)
    assert verdict.status in {CodeStatus.MALFORMED, CodeStatus.UNRECOGNISED}


@pytest.mark.parametrize(
    "wrong",
    [
        {"bits": -1},
        {"bits": 60},
        {"bits": "16"},
        {"count": -1},
        {"warn_age_s": float("nan")},
        {"max_age_s": float("inf")},
        {"issued_at": 1e300},
        {"issued_at": None},
        {"version": True},
        {"kind": "other"},
        {"values": 1},
        {"more": 1},
    ],
    ids=str,
)
def test_a_head_that_makes_no_sense(wrong: dict[str, object]) -> None:
    text = lists.MAGIC + json.dumps(asdict(head()) | wrong).encode()
    block = text.ljust(lists.HEAD_BYTES - 4)
    with pytest.raises(lists.BadList):
        lists.parse(block + zlib.crc32(block).to_bytes(4) + bytes(4 * ((1 << 16) + 1)))


def test_a_status_list_without_colours_makes_nobody_green() -> None:
    with pytest.raises(lists.BadList):
        lists.build(head(), bytes(16))
    built = lists.build(head("revoked"), bytes(16))
    text = lists.MAGIC + json.dumps(asdict(built.head) | {"kind": "status"}).encode()
    block = text.ljust(lists.HEAD_BYTES - 4)
    with pytest.raises(lists.BadList):
        lists.parse(b"".join((block + zlib.crc32(block).to_bytes(4), *built.chunks[1:])))


def test_a_list_dated_ahead_does_not_stay_fresh_for_ever() -> None:
    age = Age("x", UTC + 2 * 86_400, 100, 1000)
    assert age.staleness(NOW) is ListAge.EXPIRED
    assert "dated ahead" in age.fault(NOW)
    assert Age("x", UTC + 3600, 100, 1000).staleness(NOW) is ListAge.FRESH
