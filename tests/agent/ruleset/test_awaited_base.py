"""A list whose new base is not here yet: the one before counts within its own age, and what is stricter at once."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import credentials, policy
from agent.commands import CommandFailed
from agent.control.commands import Commands
from agent.credentials import bundle, lists
from agent.credentials.bundle import BadBundle, Rejection
from agent.credentials.formats import gatepost
from agent.crypto import dsse, signing
from agent.model import ClockState, CodeStatus, Colour, CommandStatus, ListAge, TimeBounds, Verdict
from agent.ruleset import Ruleset, load
from agent.ruleset.bundle_store import word_content

if TYPE_CHECKING:
    from collections.abc import Mapping

UTC = 1_700_000_000
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
LATER = TimeBounds(UTC + 2100, UTC + 2101, ClockState.SYNCED)
SERVER, OTHER, ISSUER = (signing.new_private_key() for _ in range(3))
ANNA, BEN = (gatepost.subject_key("demo", name) for name in ("anna", "ben"))
DOCS = Path(__file__).parents[3] / "docs"


def signed(kind: str, content: Any, version: int, name: str = "", *, issued: int = UTC - 10) -> bytes:
    members = {"type": kind, "name": name, "fleet": "city", "version": version, "issued_at": issued}
    members |= {"expires_at": UTC + 86_400, "warn_age_s": 1000, "max_age_s": 2000, "content": content}
    return bundle.sign(members, [SERVER])


def root(version: int, lists_key: signing.PrivateKey) -> bytes:
    keys = {each.public.kid.hex(): b64encode(each.public.spki).decode() for each in (SERVER, OTHER)}
    roles = {kind: {"threshold": 1, "keyids": [SERVER.public.kid.hex()]} for kind in ("root", "keys")}
    roles["list"] = {"threshold": 1, "keyids": [lists_key.public.kid.hex()]}
    return signed("root", {"keys": keys, "roles": roles}, version)


def code(holder: str, *, valid_s: int = 100, colour: Colour = Colour.GREEN) -> bytes:
    claims = gatepost.claims("demo", holder, colour, issued_utc=UTC - 100, expires_utc=UTC + valid_s)
    return gatepost.issue(ISSUER, claims).encode()


class Kiosk:
    """One list, in force by its first bundle; a second base is at the central server."""

    def __init__(self, folder: Path, kind: str, first: Mapping[bytes, int] | None) -> None:
        """`first`: what the central server has changed on the first base; None: it has not spoken of the list
        yet."""
        self.folder, self.kind = folder, kind
        self.path, self.new = folder / "people.gpl", folder / "server.gpl"
        public = b64encode(ISSUER.public.spki).decode()
        (folder / "issuers.toml").write_text(f'[[key]]\nissuer = "demo"\npublic = "{public}"\n')
        self.write(self.path, 1, {})
        self.write(self.new, 2, {bytes(16): 1})
        self.store = load.BundleStore(folder / "bundles")
        self.store.install(root(1, SERVER))
        self.options = credentials.Options(bundles="bundles", lists=("people.gpl",))
        self.old_base, self.new_base = (load.open_list(path).base.head for path in (self.path, self.new))
        if first is not None:
            self.take(1, self.old_base, first)
        self.ruleset = Ruleset(self.options, policy.Options(), folder)

    def write(self, path: Path, version: int, entries: Mapping[bytes, int]) -> None:
        head = lists.ListHeader(self.kind, "demo", version, UTC - 50, 1000, 2000)
        values = bytes(entries.values()) if self.kind == "status" else None
        load.write_list(path, head, b"".join(entries), values)

    def take(
        self, version: int, base: lists.ListHeader, changes: Mapping[bytes, int], *, issued: int = UTC - 10
    ) -> None:
        self.store.accept(signed("list", word_content(base, changes), version, "people", issued=issued), NOW)

    def check(self, holder: str = "anna", now: TimeBounds = NOW, **of_code: Any) -> Verdict:
        """The same by the running kiosk and by one that starts now."""
        self.ruleset.refresh()
        found = self.ruleset.check([code(holder, **of_code)], now)
        again = Ruleset(self.options, policy.Options(), self.folder).check([code(holder, **of_code)], now)
        assert replace(again, code=b"") == replace(found, code=b"")
        return found

    def judge(self, version: int) -> dict[str, object]:
        nothing = cast("Any", None)
        made = Commands(
            (), nothing, self.ruleset, nothing,
            ask=nothing, flush=nothing, waiting=nothing, report=nothing, recent_log=nothing, restart=nothing,
            now=nothing,
        )  # fmt: skip
        taken = self.store.current("list", "people")
        assert taken is not None
        assert taken.version == version
        return made.apply_bundle(taken)


def test_the_old_list_stays_in_force_until_the_new_base_is_here(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, "revoked", {BEN: 1})
    assert kiosk.check().list_age is ListAge.FRESH
    kiosk.take(2, kiosk.new_base, {})
    verdict = kiosk.check()
    assert (verdict.status, verdict.list_age) == (CodeStatus.VALID, ListAge.STALE)
    assert kiosk.check("ben").status is CodeStatus.REVOKED, "by the changes that the older bundle told of"
    with pytest.raises(CommandFailed) as caught:
        kiosk.judge(2)
    assert (caught.value.outcome, caught.value.reason) == (CommandStatus.FAILED, "base_awaited")
    kiosk.new.replace(kiosk.path)
    verdict = kiosk.check()
    assert (verdict.status, verdict.list_age) == (CodeStatus.VALID, ListAge.FRESH)
    assert kiosk.check("ben").status is CodeStatus.VALID, "the new base says so"
    assert kiosk.judge(2) == {"in_use": True}


def test_its_state_says_which_version_is_in_force_and_which_is_awaited(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, "revoked", {})
    kiosk.take(7, kiosk.new_base, {})
    kiosk.check()
    (fault,) = (age.fault(NOW) for age in kiosk.ruleset.ages)
    in_force = load.open_list(kiosk.path).head.version
    assert f"version {in_force} is in force, 7 is awaited: its base of 1 keys (sha256 " in fault
    assert kiosk.new_base.sha256[:16] in fault
    assert "people are admitted with a notice" in fault


def test_after_its_own_age_everybody_goes_to_staff_however_new_the_awaited_one_is(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, "revoked", {})
    kiosk.take(2, kiosk.new_base, {})
    kiosk.take(3, kiosk.new_base, {}, issued=UTC + 2000)
    assert kiosk.check(valid_s=5000).list_age is ListAge.STALE
    assert kiosk.check(now=LATER, valid_s=5000).list_age is ListAge.EXPIRED
    (fault,) = (age.fault(LATER) for age in kiosk.ruleset.ages)
    assert "everybody goes to staff" in fault


@pytest.mark.parametrize("signed_colour", Colour)
@pytest.mark.parametrize("old", [None, 1, 2, 3])
@pytest.mark.parametrize("new", [lists.GONE, 1, 2, 3])
def test_what_the_awaited_changes_make_stricter_counts_at_once_and_nothing_milder(
    tmp_path: Path, signed_colour: Colour, old: int | None, new: int
) -> None:
    kiosk = Kiosk(tmp_path, "status", {} if old is None else {ANNA: old})
    kiosk.take(2, kiosk.new_base, {ANNA: new})
    own = lists.VALUES[signed_colour]
    assert kiosk.check(colour=signed_colour).colour is lists.COLOURS[max(old or own, new or own)]


@pytest.mark.parametrize("kind", ["revoked", "watched"])
def test_whoever_is_put_on_a_list_is_on_it_at_once_and_taken_off_with_the_base(tmp_path: Path, kind: str) -> None:
    kiosk = Kiosk(tmp_path, kind, {BEN: 1})
    kiosk.take(2, kiosk.new_base, {ANNA: 1, BEN: lists.GONE})
    for holder in ("anna", "ben"):
        verdict = kiosk.check(holder)
        assert verdict.watched or verdict.status is CodeStatus.REVOKED


@given(st.sampled_from([None, *Colour]), st.sampled_from([None, *Colour]), st.sampled_from(list(CodeStatus)))
def test_of_two_verdicts_none_is_milder_than_either(
    one: Colour | None, other: Colour | None, status: CodeStatus
) -> None:
    pair = [Verdict(CodeStatus.VALID, "x", colour=one), Verdict(status, "x", colour=other)]
    for first, second in (pair, pair[::-1]):
        found = credentials._stricter(first, second)
        if Colour.RED in (one, other):
            assert found.colour is Colour.RED
        elif found.status is CodeStatus.VALID:
            assert status is CodeStatus.VALID
            assert found.colour is (Colour.YELLOW if Colour.YELLOW in (one, other) else one)
            assert (one is None) == (other is None)


def test_several_pushes_before_the_base_comes(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, "revoked", {BEN: 1})
    third = tmp_path / "third.gpl"
    kiosk.write(third, 3, {bytes(16): 1, b"\1" * 16: 1})
    kiosk.take(2, kiosk.new_base, {ANNA: 1})
    kiosk.take(3, load.open_list(third).base.head, {})
    assert kiosk.check("ben").status is CodeStatus.REVOKED
    assert kiosk.check().list_age is ListAge.STALE
    kiosk.take(4, kiosk.old_base, {})
    assert kiosk.check("ben").status is CodeStatus.VALID, "the central server goes back to the old base"
    assert kiosk.check("ben").list_age is ListAge.FRESH
    assert not list((tmp_path / "bundles").glob("*.previous"))


def test_a_base_may_lie_beside_before_the_server_speaks_of_it(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, "revoked", {BEN: 1})
    beside = load.next_path(kiosk.path)
    whole = kiosk.new.read_bytes()
    beside.write_bytes(whole[:-3])
    assert kiosk.check().list_age is ListAge.FRESH
    kiosk.take(2, kiosk.new_base, {})
    assert kiosk.check().list_age is ListAge.STALE, "it is not whole"
    beside.write_bytes(whole[:-1] + bytes((whole[-1] ^ 1,)))
    assert kiosk.check().list_age is ListAge.STALE, "a byte of it is another"
    beside.write_bytes(whole)
    assert kiosk.check("ben").status is CodeStatus.VALID
    assert kiosk.check().list_age is ListAge.FRESH
    assert not beside.exists()


def test_a_base_that_nobody_signed_is_never_in_force(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, "revoked", {BEN: 1})
    kiosk.write(kiosk.path, 9, {})
    assert kiosk.check("ben").list_age is ListAge.EXPIRED
    kiosk.take(2, kiosk.new_base, {})
    assert kiosk.check("ben").list_age is ListAge.EXPIRED


def test_an_old_bundle_and_base_put_back_by_hand_do_not_count(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, "revoked", {})
    old_bundle, old_base = (tmp_path / "bundles" / "list-people.bundle").read_bytes(), kiosk.path.read_bytes()
    kiosk.take(2, kiosk.new_base, {ANNA: 1})
    previous = tmp_path / "bundles" / "list-people.previous"
    kept = previous.read_bytes()
    assert kept == old_bundle
    kiosk.new.replace(kiosk.path)
    assert kiosk.check().status is CodeStatus.REVOKED
    previous.write_bytes(kept)
    kiosk.path.write_bytes(old_base)
    assert kiosk.check().list_age is ListAge.EXPIRED


def test_the_list_before_counts_no_more_when_the_root_does_not_stand_by_it(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, "revoked", {})
    kiosk.take(2, kiosk.new_base, {})
    kiosk.store.accept(root(2, OTHER), NOW)
    assert kiosk.check().list_age is ListAge.EXPIRED


def test_a_list_of_another_kind_does_not_leave_the_old_one_in_force(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, "revoked", {})
    kiosk.take(2, replace(kiosk.new_base, kind="watched"), {})
    assert kiosk.check().list_age is ListAge.EXPIRED


def test_a_list_that_was_only_configured_stays_until_the_first_signed_base_is_here(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, "revoked", None)
    assert kiosk.check().list_age is ListAge.FRESH
    kiosk.take(1, kiosk.new_base, {BEN: 1})
    verdict = kiosk.check()
    assert (verdict.status, verdict.list_age) == (CodeStatus.VALID, ListAge.STALE)
    assert kiosk.check("ben").status is CodeStatus.REVOKED, "what is stricter counts at once"
    with pytest.raises(CommandFailed) as caught:
        kiosk.judge(1)
    assert caught.value.reason == "base_awaited"
    (in_force,) = (each for each in kiosk.ruleset.in_force() if each.type == "list")
    assert (in_force.version, in_force.source) == (1, "file")
    kiosk.take(2, replace(kiosk.new_base, count=7), {ANNA: 1})
    assert kiosk.check().status is CodeStatus.REVOKED, "one push after the other"
    assert kiosk.check("ben").list_age is ListAge.STALE
    kiosk.take(3, kiosk.new_base, {})
    kiosk.new.replace(kiosk.path)
    assert kiosk.check().list_age is ListAge.FRESH
    assert kiosk.judge(3) == {"in_use": True}


def test_it_stays_no_longer_than_its_own_age(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, "revoked", None)
    kiosk.take(1, kiosk.new_base, {}, issued=UTC - 5)
    assert kiosk.check(now=LATER, valid_s=5000).list_age is ListAge.EXPIRED


def test_another_list_in_its_place_does_not_count(tmp_path: Path) -> None:
    """Nor changes that are lost, nor another kind, nor what nobody remembers."""
    kiosk = Kiosk(tmp_path, "revoked", None)
    whole = kiosk.path.read_bytes()
    kiosk.take(1, kiosk.new_base, {})
    kiosk.write(kiosk.path, 9, {})
    assert kiosk.check().list_age is ListAge.EXPIRED
    kiosk.path.write_bytes(whole)
    assert kiosk.check().list_age is ListAge.STALE
    kiosk.path.write_bytes(whole[:-1] + bytes((whole[-1] ^ 1,)))
    assert kiosk.check().list_age is ListAge.EXPIRED
    kiosk.path.write_bytes(whole)
    kiosk.take(2, replace(kiosk.new_base, kind="watched"), {})
    assert kiosk.check().list_age is ListAge.EXPIRED
    kiosk.take(3, kiosk.new_base, {})
    for kept in tmp_path.glob("files.accepted*"):
        kept.unlink()
    assert kiosk.check().list_age is ListAge.EXPIRED


def test_changes_of_a_configured_list_are_not_lost_by_a_push(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, "revoked", None)
    load.change_list(kiosk.path, lists.ListHeader("revoked", "demo", 2, UTC - 40, 1000, 2000), {BEN: 1})
    assert kiosk.check("ben").status is CodeStatus.REVOKED
    kiosk.take(1, kiosk.new_base, {})
    assert kiosk.check("ben").status is CodeStatus.REVOKED
    kiosk.path.with_name("people.gpl.delta").unlink()
    assert kiosk.check("ben").list_age is ListAge.EXPIRED


def test_once_a_signed_one_was_in_force_the_configured_one_never_counts_again(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, "revoked", None)
    whole = kiosk.path.read_bytes()
    kiosk.take(1, kiosk.new_base, {})
    kiosk.path.write_bytes(kiosk.new.read_bytes())
    assert kiosk.check().list_age is ListAge.FRESH
    kiosk.path.write_bytes(whole)
    assert kiosk.check().list_age is ListAge.EXPIRED
    kiosk.take(2, replace(kiosk.new_base, count=7), {})
    assert kiosk.check().list_age is ListAge.EXPIRED


def test_as_many_changes_fit_in_a_message_as_the_documents_say() -> None:
    most = 34_000
    base = asdict(lists.ListHeader("status", "i" * 200, 1 << 52, UTC, 1e9, 1e9, 1 << 52, sha256="0" * 64))
    head = lists.ListHeader(**base)
    for name in ("codes.md", "commands.md"):
        assert f"{most:,} changes" in (DOCS / name).read_text()

    def message(count: int) -> bytes:
        changes = {number.to_bytes(16): 3 for number in range(count)}
        members = {"type": "list", "name": "n" * 64, "fleet": "f" * 64, "version": 1 << 52, "issued_at": UTC}
        members |= {"expires_at": UTC + 1, "warn_age_s": 1, "max_age_s": 2, "content": word_content(head, changes)}
        return bundle.sign(members, [SERVER] * dsse.MAX_SIGNATURES)

    assert bundle.unverified_header(message(most)).name
    with pytest.raises(BadBundle) as caught:
        bundle.unverified_header(message(most + 1000))
    assert caught.value.fault is Rejection.TOO_LARGE
    assert (len(message(2000)) - len(message(1000))) / 1000 == pytest.approx(17 * 16 / 9, rel=0.01)
