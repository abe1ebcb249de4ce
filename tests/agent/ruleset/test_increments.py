"""Increments of a list: changes after one whole bundle. Whatever is lost, late or repeated, no change is."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import credentials, policy
from agent.credentials import bundle, lists
from agent.credentials.bundle import BadBundle, Rejection
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import ClockState, CodeStatus, ListAge, TimeBounds, Verdict
from agent.ruleset import Ruleset, load
from agent.ruleset.bundle_store import list_word, word_content

if TYPE_CHECKING:
    from collections.abc import Mapping

UTC = 1_700_000_000
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
SERVER, ISSUER = signing.new_private_key(), signing.new_private_key()
NAMES = ("anna", "ben", "cleo")
ANNA, BEN, CLEO = (gatepost.subject_key("demo", name) for name in NAMES)


def signed(kind: str, content: Any, version: int, name: str = "", **more: Any) -> bytes:
    members = {"type": kind, "name": name, "fleet": "city", "version": version, "issued_at": UTC - 10}
    members |= {"expires_at": UTC + 86_400, "warn_age_s": 1000, "max_age_s": 2000, "content": content}
    return bundle.sign(members | more, [SERVER])


class Kiosk:
    """A revoked list and its bundles."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.bundles = folder, folder / "people.gpl", folder / "bundles"
        public = b64encode(ISSUER.public.spki).decode()
        (folder / "issuers.toml").write_text(f'[[key]]\nissuer = "demo"\npublic = "{public}"\n')
        self.write(self.path, 1, b"")
        self.store = load.BundleStore(self.bundles)
        keyid = SERVER.public.kid.hex()
        roles = {kind: {"threshold": 1, "keyids": [keyid]} for kind in ("root", "keys", "list")}
        self.store.install(signed("root", {"keys": {keyid: public_of(SERVER)}, "roles": roles}, 1))
        self.base = load.open_list(self.path).base.head
        self.options = credentials.Options(bundles="bundles", lists=("people.gpl",))
        self.running = Ruleset(self.options, policy.Options(), folder)

    def write(self, path: Path, version: int, keys: bytes) -> None:
        load.write_list(path, lists.ListHeader("revoked", "demo", version, UTC - 50, 1000, 2000), keys)

    def whole(self, version: int, changes: Mapping[bytes, int], base: lists.ListHeader | None = None) -> bytes:
        return signed("list", word_content(base or self.base, changes), version, "people")

    def take(self, data: bytes) -> bundle.Bundle:
        return self.store.accept(data, NOW)

    def revoked(self) -> set[str]:
        """Who is, by a kiosk that starts now and by one that has run all the time."""
        self.running.refresh()
        found, again = (
            {name for name in NAMES if check(rules, name).status is CodeStatus.REVOKED}
            for rules in (self.running, Ruleset(self.options, policy.Options(), self.folder))
        )
        assert found == again
        return found

    def version(self) -> int:
        current = self.store.current("list", "people")
        assert current is not None
        return current.version


def public_of(key: signing.PrivateKey) -> str:
    return b64encode(key.public.spki).decode()


def increment(whole: bytes, version: int, changes: Mapping[bytes, int], **more: Any) -> bytes:
    said = bundle.unverified_header(whole)
    after = {"after": {"version": said.version, "sha256": said.digest}}
    return signed("list", word_content(list_word(said.content).base, changes) | after | more, version, "people")


def check(rules: Ruleset, name: str) -> Verdict:
    claims = gatepost.claims("demo", name, credentials.Colour.GREEN, issued_utc=UTC - 100, expires_utc=UTC + 100)
    return rules.check([gatepost.issue(ISSUER, claims).encode()], NOW)


@pytest.fixture
def kiosk(tmp_path: Path) -> Kiosk:
    return Kiosk(tmp_path)


def test_an_increment_is_put_on_top_of_its_whole_bundle(kiosk: Kiosk) -> None:
    whole = kiosk.whole(5, {ANNA: 1})
    kiosk.take(whole)
    kiosk.take(increment(whole, 6, {BEN: 1}))
    assert kiosk.revoked() == {"anna", "ben"}
    kiosk.take(increment(whole, 9, {BEN: lists.GONE, CLEO: 1}))
    assert kiosk.revoked() == {"anna", "cleo"}
    assert kiosk.version() == 9
    assert len(list(kiosk.bundles.glob("*.increment"))) == 1


def test_a_lost_or_late_increment_does_no_harm(kiosk: Kiosk) -> None:
    whole = kiosk.whole(5, {})
    first, second = increment(whole, 6, {ANNA: 1}), increment(whole, 7, {ANNA: 1, BEN: 1})
    kiosk.take(whole)
    kiosk.take(second)
    with pytest.raises(BadBundle) as caught:
        kiosk.take(first)
    assert caught.value.fault is Rejection.ROLLBACK
    assert kiosk.revoked() == {"anna", "ben"}
    kiosk.take(second)
    with pytest.raises(BadBundle):
        kiosk.take(whole)
    assert kiosk.store.is_in_force(bundle.unverified_header(whole)), "it is retained, and comes at each connection"
    assert kiosk.revoked() == {"anna", "ben"}


def test_the_next_whole_bundle_takes_the_place_of_both(kiosk: Kiosk) -> None:
    whole = kiosk.whole(5, {})
    kiosk.take(whole)
    kiosk.take(increment(whole, 6, {ANNA: 1}))
    kiosk.take(kiosk.whole(7, {ANNA: 1, CLEO: 1}))
    assert kiosk.revoked() == {"anna", "cleo"}
    assert not list(kiosk.bundles.glob("*.increment"))


def test_without_its_whole_bundle_an_increment_changes_nothing(kiosk: Kiosk) -> None:
    whole = kiosk.whole(5, {ANNA: 1})
    other = kiosk.whole(5, {BEN: 1})
    for here in (None, kiosk.whole(4, {BEN: 1}), other):
        if here is not None:
            kiosk.take(here)
        before = sorted((path.name, path.read_bytes()) for path in kiosk.bundles.iterdir())
        with pytest.raises(BadBundle) as caught:
            kiosk.take(increment(whole, 6, {CLEO: 1}))
        assert caught.value.fault is Rejection.INCREMENT_GAP
        assert "after version 5" in str(caught.value)
        assert sorted((path.name, path.read_bytes()) for path in kiosk.bundles.iterdir()) == before
    kiosk.take(increment(other, 6, {CLEO: 1}))
    with pytest.raises(BadBundle) as caught:
        kiosk.take(increment(increment(other, 6, {CLEO: 1}), 7, {}))
    assert caught.value.fault is Rejection.INCREMENT_GAP, "not after another increment"


def test_an_increment_that_is_lost_or_rots_on_the_card_is_a_fault(kiosk: Kiosk) -> None:
    whole = kiosk.whole(5, {})
    kiosk.take(whole)
    later = increment(whole, 6, {ANNA: 1})
    kiosk.take(later)
    (file,) = kiosk.bundles.glob("*.increment")
    for damage in (file.unlink, lambda: file.write_bytes(later[:-9]), lambda: file.write_bytes(b"")):
        damage()
        rules = Ruleset(kiosk.options, policy.Options(), kiosk.folder)
        assert check(rules, "ben").list_age is ListAge.EXPIRED, "everybody goes to staff"
        kiosk.store.accept(later, NOW)
        assert kiosk.revoked() == {"anna"}, "the retained copy heals it"


def test_an_older_increment_put_back_by_hand_does_not_count(kiosk: Kiosk) -> None:
    whole = kiosk.whole(5, {})
    old = increment(whole, 6, {})
    kiosk.take(whole)
    kiosk.take(old)
    kiosk.take(increment(whole, 7, {ANNA: 1}))
    (file,) = kiosk.bundles.glob("*.increment")
    file.write_bytes(old)
    rules = Ruleset(kiosk.options, policy.Options(), kiosk.folder)
    assert check(rules, "anna").list_age is ListAge.EXPIRED


def test_while_a_new_base_is_awaited_the_old_list_counts_with_its_increment(kiosk: Kiosk) -> None:
    whole = kiosk.whole(5, {})
    kiosk.take(whole)
    kiosk.take(increment(whole, 6, {ANNA: 1}))
    new = kiosk.folder / "server.gpl"
    kiosk.write(new, 2, BEN)
    head = load.open_list(new).base.head
    kiosk.take(kiosk.whole(7, {}, head))
    assert kiosk.revoked() == {"anna"}
    again = kiosk.whole(8, {}, head)
    kiosk.take(again)
    kiosk.take(increment(again, 9, {CLEO: 1}))
    assert kiosk.revoked() == {"anna", "cleo"}, "what is stricter counts at once"
    new.replace(kiosk.path)
    assert kiosk.revoked() == {"ben", "cleo"}
    assert sorted(path.name for path in kiosk.bundles.iterdir() if path.name.startswith("list")) == [
        "list-people.bundle",
        "list-people.increment",
    ]


@pytest.mark.parametrize(
    "after",
    [7, {}, {"version": 5}, {"version": "5", "sha256": "0" * 64}, {"version": 5, "sha256": "0"}],
)
def test_what_makes_no_sense_is_refused(kiosk: Kiosk, after: object) -> None:
    whole = kiosk.whole(5, {})
    kiosk.take(whole)
    for more in ({"after": after}, {"chunks": {"bytes": 4096, "sha256": ""}}):
        with pytest.raises(BadBundle) as caught:
            kiosk.take(increment(whole, 6, {}, **more))
        assert caught.value.fault is Rejection.BAD_CONTENT


changes = st.dictionaries(st.sampled_from([ANNA, BEN, CLEO]), st.sampled_from([lists.GONE, 1]))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), changes, st.booleans()), max_size=8), st.randoms(use_true_random=False))
def test_in_whatever_order_they_come_the_newest_that_is_whole_counts(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, dict[bytes, int], bool]], random: Any
) -> None:
    """Each day's whole bundle and its increments, some never delivered, some twice, in any order; when all of the
    last day has come, the kiosk says what the central server says.
    """
    kiosk = Kiosk(tmp_path_factory.mktemp("kiosk"))
    now: dict[bytes, int] = {}
    folded: dict[bytes, int] = {}
    last_whole, messages = kiosk.whole(1, {}), []
    newest = last_whole
    for version, (is_fold, more, arrives) in enumerate(steps, 2):
        now = now | more
        if is_fold:
            newest = last_whole = kiosk.whole(version, now)
            folded = now
        else:
            newest = increment(
                last_whole, version, {key: value for key, value in now.items() if folded.get(key) != value}
            )
        messages += [newest] * arrives
    messages += messages[: len(messages) // 2]
    random.shuffle(messages)
    faults = []
    for message in [*messages, last_whole, newest]:
        try:
            kiosk.take(message)
        except BadBundle as error:
            faults.append(error.fault)
    assert set(faults) <= {Rejection.ROLLBACK, Rejection.INCREMENT_GAP}
    assert kiosk.version() == bundle.unverified_header(newest).version
    assert kiosk.revoked() == {
        name for name, key in zip(NAMES, (ANNA, BEN, CLEO), strict=True) if now.get(key, lists.GONE) == 1
    }


def test_what_the_central_server_signs_of_the_changes_since_a_bundle(tmp_path: Path) -> None:
    path = tmp_path / "people.gpl"
    head = lists.ListHeader("revoked", "demo", 1, UTC - 50, 1000, 2000)
    load.write_list(path, head, b"")
    load.change_list(path, lists.ListHeader("revoked", "demo", 2, UTC, 1000, 2000), {ANNA: 1, BEN: 1})
    whole = bundle.unverified_header(signed("list", load.list_content(load.open_list(path)), 3, "people"))
    load.change_list(path, lists.ListHeader("revoked", "demo", 3, UTC, 1000, 2000), {BEN: lists.GONE, CLEO: 1})
    content = load.increment_content(load.open_list(path), whole)
    word = list_word(content)
    assert word.changes == {BEN: lists.GONE, CLEO: 1}
    assert word.after is not None
    assert (word.after.version, word.after.digest) == (3, whole.digest)
    with pytest.raises(ValueError, match="itself an increment"):
        load.increment_content(load.open_list(path), bundle.unverified_header(signed("list", content, 4, "people")))
    load.set_changes(path, lists.ListHeader("revoked", "demo", 4, UTC, 1000, 2000), {CLEO: 1})
    with pytest.raises(ValueError, match="has no more"):
        load.increment_content(load.open_list(path), whole)
    load.write_list(path, lists.ListHeader("revoked", "demo", 5, UTC, 1000, 2000), ANNA)
    with pytest.raises(ValueError, match="another base"):
        load.increment_content(load.open_list(path), whole)
