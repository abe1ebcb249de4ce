"""What was accepted for a group counts as long as the kiosk belongs to it, and keeps nothing else out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent import credentials, policy, privacy
from agent.credentials import bundle
from agent.credentials.bundle import BadBundle
from agent.model import (
    ClockState,
    DecisionInput,
    Direction,
    LaneSpec,
    LaneType,
    ListAge,
    Outcome,
    Screening,
    Temperature,
    TimeBounds,
)
from agent.model.problems import ProblemCode
from agent.model.reasons import Rejection
from agent.platform.packaged import packaged
from agent.ruleset import Ruleset, load
from tests.agent.ruleset.test_accepted import SERVER, TABLE, UTC, code, keys_text, root

NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
OUTSIDE = ("s/k", "s/*", "*/*")
NORTH = (*OUTSIDE, "@north")
OPTIONS = credentials.Options(bundles="bundles", lists=("revoked.gpl",))


def signed(kind: str, content: Any, version: int, name: str = "", target: str = "") -> bytes:
    members = {"type": kind, "name": name, "fleet": "city", "version": version, "issued_at": UTC - 10}
    members |= {"expires_at": UTC + 86_400, "warn_age_s": 1000, "max_age_s": 2000, "content": content}
    return bundle.sign(members | ({"target": target} if target else {}), [SERVER])


def table(version: int, target: str = "") -> bytes:
    return signed("policy", TABLE + f"# {version}\n", version, "office", target)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "issuers.toml").write_text(keys_text())
    started(tmp_path, NORTH).install(root())
    return tmp_path


def started(folder: Path, targets: tuple[str, ...]) -> load.BundleStore:
    """The store of an agent that has started with these."""
    made = load.BundleStore(folder / "bundles")
    made.serve(targets)
    return made


def version(store: load.BundleStore) -> int | Rejection:
    try:
        found = store.current("policy", "office")
    except BadBundle as error:
        return error.fault
    return 0 if found is None else found.version


def test_what_was_for_a_group_counts_no_more_when_the_kiosk_has_left_it(folder: Path) -> None:
    store = started(folder, NORTH)
    store.accept(table(7), NOW, NORTH)
    store.accept(table(8, "@north"), NOW, NORTH)
    assert version(store) == 8
    store = started(folder, OUTSIDE)
    assert version(store) is Rejection.WRONG_TARGET
    assert version(load.BundleStore(folder / "bundles")) is Rejection.WRONG_TARGET, (
        "also for who looks from outside"
    )
    assert "@north" in "".join(store.of_others(OUTSIDE))
    store.accept(table(7), NOW, OUTSIDE)
    assert version(store) == 7
    assert not list(store.of_others(OUTSIDE))


def test_nothing_older_comes_back_than_was_in_force_or_was_seen(folder: Path) -> None:
    store = started(folder, NORTH)
    store.accept(table(5), NOW, NORTH)
    store.accept(table(8, "@north"), NOW, NORTH)
    with pytest.raises(BadBundle, match="older than 8"):
        store.accept(table(7), NOW, NORTH)
    store = started(folder, OUTSIDE)
    for older in (5, 6):
        with pytest.raises(BadBundle, match="older than 7"):
            store.accept(table(older), NOW, OUTSIDE)
    assert version(store) is Rejection.WRONG_TARGET
    store.accept(table(7), NOW, OUTSIDE)
    assert version(store) == 7


def test_who_comes_back_to_a_group_goes_on_where_it_was(folder: Path) -> None:
    store = started(folder, NORTH)
    store.accept(table(8, "@north"), NOW, NORTH)
    store = started(folder, OUTSIDE)
    store.accept(table(7), NOW, OUTSIDE)
    store = started(folder, NORTH)
    assert version(store) is Rejection.WRONG_TARGET, "version 8 counts here, and is not here"
    with pytest.raises(BadBundle, match="older than 8"):
        store.accept(table(6, "@north"), NOW, NORTH)
    store.accept(table(8, "@north"), NOW, NORTH)
    assert version(store) == 8


def test_what_is_for_the_kiosk_now_stays(folder: Path) -> None:
    store = started(folder, NORTH)
    for number, target in enumerate(("", "*/*", "s/*", "s/k", "@north"), 1):
        store.accept(table(number, target), NOW, NORTH)
        assert version(started(folder, NORTH)) == number
        assert version(started(folder, OUTSIDE)) == (number if target != "@north" else Rejection.WRONG_TARGET)


def test_a_kiosk_that_was_renamed(folder: Path) -> None:
    store = started(folder, NORTH)
    store.accept(table(3, "s/k"), NOW, NORTH)
    assert version(started(folder, ("s/other", "s/*", "*/*"))) is Rejection.WRONG_TARGET


def test_who_brings_a_bundle_by_hand_has_chosen_the_kiosk(folder: Path) -> None:
    store = started(folder, OUTSIDE)
    store.accept(table(3, "@south"), NOW)
    assert version(store) == 3
    store.accept(root(2), NOW)
    assert version(started(folder, OUTSIDE)) == 3, "under the next root, too"


def test_one_that_was_accepted_before_targets_were_remembered(folder: Path) -> None:
    store = started(folder, NORTH)
    store.accept(table(8, "@north"), NOW, NORTH)
    for kept in folder.glob("bundles.accepted*"):
        kept.unlink()
    store = started(folder, NORTH)
    floor = {"version": 8, "digest": bundle.unverified_header(table(8, "@north")).digest, "issued_utc": UTC - 10}
    store._accepted.store("policy-office", floor | {"root": 1})
    store = started(folder, OUTSIDE)
    store.remember_all()
    store.accept(table(7), NOW, OUTSIDE)
    assert version(store) == 7


def test_keys_lists_and_rules_on_privacy_of_a_group_that_was_left(folder: Path) -> None:
    store = started(folder, NORTH)
    load.write_list(
        folder / "revoked.gpl", load.lists.ListHeader("revoked", "demo", 1, UTC - 50, 10_000, 20_000), b""
    )
    base = load.open_list(folder / "revoked.gpl").base.head
    store.accept(signed("keys", keys_text(), 2, "", "@north"), NOW, NORTH)
    store.accept(signed("privacy", 'mode = "verify-only"\n', 2, "", "@north"), NOW, NORTH)
    store.accept(signed("list", load.word_content(base, {}), 2, "revoked", "@north"), NOW, NORTH)
    load.bundle_store(folder / "bundles").serve(NORTH)
    ages = [age.staleness(NOW) for age in load.load_trust(OPTIONS, folder).ages]
    assert ages == [ListAge.FRESH] * 2
    load.bundle_store(folder / "bundles").serve(OUTSIDE)
    ages = [age.staleness(NOW) for age in load.load_trust(OPTIONS, folder).ages]
    assert ages == [ListAge.EXPIRED] * 2
    assert load.load_privacy(OPTIONS, folder).at(NOW) == privacy.CLOSED


def test_an_increment_for_a_group_leaves_with_it_and_the_whole_list_comes_back(folder: Path) -> None:
    store = started(folder, NORTH)
    load.write_list(
        folder / "revoked.gpl", load.lists.ListHeader("revoked", "demo", 1, UTC - 50, 10_000, 20_000), b""
    )
    base = load.open_list(folder / "revoked.gpl").base.head
    whole = signed("list", load.word_content(base, {}), 2, "revoked")
    after = {"after": {"version": 2, "sha256": bundle.unverified_header(whole).digest}}
    store.accept(whole, NOW, NORTH)
    store.accept(
        signed("list", load.word_content(base, {bytes(16): 1}) | after, 3, "revoked", "@north"), NOW, NORTH
    )
    store = started(folder, OUTSIDE)
    with pytest.raises(BadBundle) as caught:
        store.current("list", "revoked")
    assert caught.value.fault is Rejection.WRONG_TARGET
    store.accept(whole, NOW, OUTSIDE)
    found = store.current("list", "revoked")
    assert found is not None
    assert found.version == 2


@pytest.mark.parametrize("is_late", [False, True])
def test_an_increment_for_all_keeps_no_list_of_a_group_in_force(folder: Path, *, is_late: bool) -> None:
    store = started(folder, NORTH)
    load.write_list(
        folder / "revoked.gpl", load.lists.ListHeader("revoked", "demo", 1, UTC - 50, 10_000, 20_000), b""
    )
    base = load.open_list(folder / "revoked.gpl").base.head
    whole = signed("list", load.word_content(base, {}), 2, "revoked", "@north")
    after = {"after": {"version": 2, "sha256": bundle.unverified_header(whole).digest}}
    later = signed("list", load.word_content(base, {bytes(16): 1}) | after, 3, "revoked")
    store.accept(whole, NOW, NORTH)
    if is_late:
        store = started(folder, OUTSIDE)
        with pytest.raises(BadBundle, match="after version 2"):
            store.accept(later, NOW, OUTSIDE)
    else:
        store.accept(later, NOW, NORTH)
        store = started(folder, OUTSIDE)
    with pytest.raises(BadBundle, match="@north"):
        store.current("list", "revoked")
    store.accept(signed("list", load.word_content(base, {}), 4, "revoked"), NOW, OUTSIDE)
    assert store.current("list", "revoked") is not None


def test_the_agent_starts_with_the_table_of_a_group_that_was_left_and_lets_nobody_in(folder: Path) -> None:
    """It must not end: who is inside goes out by the rows of that table."""

    def outcome(rules: Ruleset, direction: Direction) -> Outcome:
        verdict, temperature = rules.check([code()], NOW), Temperature(Screening.NORMAL)
        case = DecisionInput(LaneSpec(direction, LaneType.PEDESTRIAN), verdict, temperature, True, False, NOW)
        return rules.decide(case).outcome

    def sent(version: int, target: str = "") -> bytes:
        return signed("policy", f"{school}\n# {version}\n", version, "school", target)

    school = load.whole_table(packaged("policy/school.toml"))
    options = (
        credentials.Options(bundles="bundles"),
        policy.Options("school", venue=policy.VenueKind.SCHOOL),
        folder,
    )
    store = load.bundle_store(folder / "bundles")
    store.serve(NORTH)
    store.accept(sent(3, "@north"), NOW, NORTH)
    rules = Ruleset(*options)
    assert outcome(rules, Direction.ENTRY) is Outcome.ADMIT
    store.serve(OUTSIDE)
    rules = Ruleset(*options)
    assert [finding.code for finding in rules.findings] == [ProblemCode.POLICY_REJECTED]
    assert "@north" in rules.fault
    assert outcome(rules, Direction.ENTRY) is Outcome.REFER
    assert outcome(rules, Direction.EXIT) is Outcome.ADMIT
    assert not [each for each in rules.in_force() if each.type == "policy"]
    store.accept(sent(2), NOW, OUTSIDE)
    assert rules.refresh()
    assert not rules.findings
    assert outcome(rules, Direction.ENTRY) is Outcome.ADMIT


class Overtaken(load.BundleStore):
    """Another thread takes the next version while this one verifies what lay here."""

    waits = True

    def _verify(self, *words: Any, **names: Any) -> bundle.Bundle:
        if self.waits:
            self.waits = False
            started(self._folder.parent, NORTH).accept(table(8), NOW, NORTH)
        return super()._verify(*words, **names)


def test_what_is_taken_while_one_reads_is_no_loss(folder: Path) -> None:
    started(folder, NORTH).accept(table(7), NOW, NORTH)
    store = Overtaken(folder / "bundles")
    assert version(store) == 7
    assert version(store) == 8
