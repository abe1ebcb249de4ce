"""Bundles on disk: taken by the rules, kept across restarts, and nothing changes when one is refused."""

from __future__ import annotations

import json
import os
import threading
from base64 import b64encode
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from agent import credentials, policy
from agent.credentials import bundle, lists
from agent.credentials.bundle import BadBundle, Rejection
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import ClockState, CodeStatus, Colour, ListAge, TimeBounds
from agent.model.problems import ProblemCode, in_words
from agent.policy.table import BadTable
from agent.ruleset import bundle_store, load
from agent.ruleset.bundle_store import list_word

UTC = 1_700_000_000
DAY = 86_400
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
SERVER, ISSUER = signing.new_private_key(), signing.new_private_key()
KID = SERVER.public.kid.hex()
ROLE = {"threshold": 1, "keyids": [KID]}


def keys_file(key: signing.PrivateKey) -> str:
    return f'[[key]]\nissuer = "demo"\npublic = "{b64encode(key.public.spki).decode()}"\n'


def made(kind: str, content: Any, version: int = 1, name: str = "", **changes: Any) -> bytes:
    members = {
        "type": kind,
        "name": name,
        "fleet": "city",
        "version": version,
        "issued_at": UTC - 10,
        "expires_at": UTC + DAY,
        "warn_age_s": 1000,
        "max_age_s": 2000,
        "content": content,
    }
    return bundle.sign(members | changes, [SERVER])


def root(version: int = 1, **changes: Any) -> bytes:
    roles = dict.fromkeys(("root", "keys", "policy", "list"), ROLE)
    return made("root", {"keys": {KID: b64encode(SERVER.public.spki).decode()}, "roles": roles}, version, **changes)


@pytest.fixture
def store(tmp_path: Path) -> load.BundleStore:
    (tmp_path / "issuers.toml").write_text("")
    found = load.BundleStore(tmp_path / "bundles")
    found.install(root())
    return found


HEAD = asdict(lists.ListHeader("status", "demo", 1, UTC, 1, 2))
OPTIONS = credentials.Options(bundles="bundles", lists=())


def code() -> bytes:
    claims = gatepost.claims("demo", "anna", Colour.GREEN, issued_utc=UTC - 100, expires_utc=UTC + 100)
    return gatepost.issue(ISSUER, claims).encode()


def test_keys_from_the_server(tmp_path: Path, store: load.BundleStore) -> None:
    assert credentials.check(code(), load.load_trust(OPTIONS, tmp_path), NOW).status is CodeStatus.UNKNOWN_ISSUER
    store.accept(made("keys", keys_file(ISSUER)), NOW)
    trust = load.load_trust(OPTIONS, tmp_path)
    assert credentials.check(code(), trust, NOW).status is CodeStatus.VALID
    later = TimeBounds(UTC + 1500, UTC + 1500, ClockState.SYNCED)
    assert [age.staleness(NOW) for age in trust.ages] == [ListAge.FRESH]
    assert [age.staleness(later) for age in trust.ages] == [ListAge.STALE]


@pytest.mark.parametrize(
    ("left_s", "said"),
    [(15 * DAY, ""), (13.6 * DAY, "expires in 14 days"), (0.4 * DAY, "expires in 0 days"), (-1, "has expired")],
)
def test_the_end_of_the_root_is_said_before(tmp_path: Path, left_s: float, said: str) -> None:
    store = load.BundleStore(tmp_path)
    assert in_words(store.root_findings(NOW)) == "", "a kiosk without a central server lacks nothing"
    store.install(root(expires_at=int(NOW.earliest_utc + left_s)))
    assert in_words(store.root_findings(NOW)).startswith(said)
    assert bool(in_words(store.root_findings(NOW))) is bool(said)
    (tmp_path / "root.bundle").write_bytes(b"spoilt by a card")
    assert "install the root again" in in_words(store.root_findings(NOW))


def test_a_refused_bundle_changes_nothing(tmp_path: Path, store: load.BundleStore) -> None:
    store.accept(made("keys", keys_file(ISSUER), version=5), NOW)
    before = sorted((path.name, path.read_bytes()) for path in (tmp_path / "bundles").iterdir())
    refused = {
        Rejection.ROLLBACK: made("keys", keys_file(SERVER), version=4),
        Rejection.VERSION_CONFLICT: made("keys", keys_file(SERVER), version=5),
        Rejection.BAD_CONTENT: made("keys", "not TOML", version=6),
        Rejection.WRONG_FLEET: made("keys", keys_file(SERVER), version=6, fleet="other"),
        Rejection.EXPIRED: made("keys", keys_file(SERVER), version=6, expires_at=UTC - 1),
        Rejection.WRONG_NAME: made("policy", "", name="../../etc/passwd"),
        Rejection.INVALID_ENVELOPE: b"junk",
    }
    for fault, data in refused.items():
        with pytest.raises(BadBundle) as caught:
            store.accept(data, NOW)
        assert caught.value.fault is fault
    assert sorted((path.name, path.read_bytes()) for path in (tmp_path / "bundles").iterdir()) == before


@pytest.mark.parametrize("content", [7, None, {}, ["x"]])
@pytest.mark.parametrize("kind", ["keys", "policy", "list"])
def test_content_of_a_wrong_type(store: load.BundleStore, kind: str, content: Any) -> None:
    with pytest.raises(BadBundle) as caught:
        store.accept(made(kind, content, name="" if kind == "keys" else "x"), NOW)
    assert caught.value.fault is Rejection.BAD_CONTENT


def test_a_kiosk_with_a_root_needs_no_keys_file_and_believes_nobody_until_keys_come(
    tmp_path: Path, store: load.BundleStore
) -> None:
    (tmp_path / "issuers.toml").unlink()
    trust = load.load_trust(OPTIONS, tmp_path)
    assert (trust.keys, [age.name for age in trust.ages]) == ({}, ["keys from the central server"])
    store.accept(made("keys", keys_file(ISSUER), version=5), NOW)
    trust = load.load_trust(OPTIONS, tmp_path)
    assert len(trust.keys) == 1
    assert [age.name for age in trust.ages] == ["keys"]
    (tmp_path / "bundles/root.bundle").unlink()
    with pytest.raises(load.BadTrustStore, match="is not there"):
        load.load_trust(OPTIONS, tmp_path)


def test_a_damaged_bundle_lets_no_older_keys_back_in_silently(tmp_path: Path, store: load.BundleStore) -> None:
    (tmp_path / "issuers.toml").write_text(keys_file(ISSUER))
    store.accept(made("keys", keys_file(ISSUER)), NOW)
    path = tmp_path / "bundles" / "keys.bundle"
    path.write_bytes(path.read_bytes()[:-5])
    verdict = credentials.check(code(), load.load_trust(OPTIONS, tmp_path), NOW)
    assert (verdict.status, verdict.list_age) == (CodeStatus.VALID, ListAge.EXPIRED)


@pytest.mark.parametrize("name", ["keys.bundle", "root.bundle"])
def test_a_pipe_in_place_of_a_bundle_holds_nobody_up(tmp_path: Path, store: load.BundleStore, name: str) -> None:
    """Into which nobody ever writes: it would stop the gates, and the report of it."""
    (tmp_path / "issuers.toml").write_text(keys_file(ISSUER))
    store.accept(made("keys", keys_file(ISSUER)), NOW)
    path = tmp_path / "bundles" / name
    path.unlink()
    os.mkfifo(path)
    found: list[ListAge] = []
    reader = threading.Thread(
        target=lambda: found.append(credentials.check(code(), load.load_trust(OPTIONS, tmp_path), NOW).list_age),
        daemon=True,
    )
    reader.start()
    reader.join(60)
    assert found == [ListAge.EXPIRED]
    told = store.root_findings(NOW)[0].code
    assert (told is ProblemCode.ROOT_INVALID) is (name == "root.bundle"), told


def test_a_bundle_that_was_put_in_anothers_place(tmp_path: Path, store: load.BundleStore) -> None:
    store.accept(made("list", {"base": HEAD, "changes": ""}, name="a"), NOW)
    folder = tmp_path / "bundles"
    (folder / "list-a.bundle").rename(folder / "list-b.bundle")
    with pytest.raises(BadBundle):
        store.current("list", "b")


TABLE = """
[table]
name = "office"
version = 9
[[row]]
name = "out"
when = { direction = "exit" }
outcome = "admit"
reasons = ["egress_free"]
[[row]]
name = "nobody today"
outcome = "refer"
reasons = ["code_undecided"]
"""


def test_a_table_from_the_server_comes_before_the_agents_own(tmp_path: Path, store: load.BundleStore) -> None:
    options = policy.Options("office")
    assert load.load_table(options, tmp_path, "bundles").version == 1
    store.accept(made("policy", TABLE, name="office"), NOW)
    assert load.load_table(options, tmp_path, "bundles").version == 9
    with pytest.raises(BadBundle):
        store.accept(made("policy", TABLE.replace("refer", "admit"), version=2, name="office"), NOW)
    assert load.load_table(options, tmp_path, "bundles").version == 9
    (tmp_path / "bundles" / "policy-office.bundle").write_bytes(b"damaged")
    with pytest.raises(BadTable):
        load.load_table(options, tmp_path, "bundles")


def test_changes_of_a_list(tmp_path: Path, store: load.BundleStore) -> None:
    anna = gatepost.subject_key("demo", "anna")
    head = lists.ListHeader("status", "demo", 1, UTC - 50, 10_000, 20_000)
    load.write_list(tmp_path / "status.gpl", head, b"", b"")
    store.accept(made("keys", keys_file(ISSUER)), NOW)
    options = credentials.Options(bundles="bundles", lists=("status.gpl",))
    assert credentials.check(code(), load.load_trust(options, tmp_path), NOW).colour is Colour.GREEN
    base = asdict(load.open_list(tmp_path / "status.gpl").base.head)

    def sent(changes: bytes, version: int) -> bytes:
        return made("list", {"base": base, "changes": b64encode(changes).decode()}, version, name="status")

    store.accept(sent(anna + b"\3", 2), NOW)
    trust = load.load_trust(options, tmp_path)
    assert credentials.check(code(), trust, NOW).colour is Colour.RED
    assert trust.ages[-1].max_age_s == 2000
    (tmp_path / "status.gpl.delta").write_bytes(b"damaged")
    assert credentials.check(code(), load.load_trust(options, tmp_path), NOW).colour is Colour.RED
    store.accept(sent(b"", 3), NOW)
    assert credentials.check(code(), load.load_trust(options, tmp_path), NOW).colour is Colour.GREEN
    load.write_list(
        tmp_path / "status.gpl", lists.ListHeader("status", "demo", 9, UTC, 10_000, 20_000), anna, b"\1"
    )
    assert load.load_trust(options, tmp_path).ages[-1].staleness(NOW) is ListAge.EXPIRED, "a base nobody signed"


def test_what_the_server_signs_of_a_list_is_what_a_gate_applies(tmp_path: Path) -> None:
    path, (a, b) = tmp_path / "x.gpl", (bytes([n]) * 16 for n in (1, 2))
    load.write_list(path, lists.ListHeader("status", "demo", 1, UTC, 1, 2), a, b"\1")
    load.change_list(path, lists.ListHeader("status", "demo", 2, UTC, 1, 2), {a: lists.GONE, b: 3})
    found = load.open_list(path)
    word = list_word(json.loads(json.dumps(load.list_content(found))))
    assert (word.base, word.changes) == (found.base.head, {a: lists.GONE, b: 3})


@pytest.mark.parametrize(
    "content", [{}, {"base": {}, "changes": ""}, {"base": None, "changes": ""}, {"base": HEAD, "changes": "AA=="}]
)
def test_a_word_on_a_list_that_makes_no_sense(store: load.BundleStore, content: Any) -> None:
    with pytest.raises(BadBundle) as caught:
        store.accept(made("list", content, name="x"), NOW)
    assert caught.value.fault is Rejection.BAD_CONTENT


def test_roots_follow_and_the_first_is_installed_once(tmp_path: Path, store: load.BundleStore) -> None:
    with pytest.raises(FileExistsError):
        store.install(root())
    store.accept(root(version=2), NOW)
    assert store.root().bundle.version == 2
    with pytest.raises(BadBundle):
        store.accept(root(version=4), NOW)


def test_without_a_root_nothing_is_taken(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"root\.bundle"):
        load.BundleStore(tmp_path).accept(made("keys", ""), NOW)


def test_the_envelope_is_kept_as_it_came(tmp_path: Path, store: load.BundleStore) -> None:
    data = json.dumps(json.loads(made("keys", keys_file(ISSUER))), indent=3).encode()
    store.accept(data, NOW)
    assert (tmp_path / "bundles" / "keys.bundle").read_bytes() == data


def test_a_list_whose_content_is_not_what_the_server_signed(tmp_path: Path, store: load.BundleStore) -> None:
    path, anna = tmp_path / "revoked.gpl", gatepost.subject_key("demo", "anna")
    load.write_list(path, lists.ListHeader("revoked", "demo", 1, UTC - 50, 10_000, 20_000), anna)
    store.accept(made("keys", keys_file(ISSUER)), NOW)
    store.accept(made("list", load.list_content(load.open_list(path)), name="revoked"), NOW)
    options = credentials.Options(bundles="bundles", lists=("revoked.gpl",))
    assert credentials.check(code(), load.load_trust(options, tmp_path), NOW).status is CodeStatus.REVOKED
    altered = bytearray(path.read_bytes())
    altered[-1] ^= 1
    path.write_bytes(altered)
    assert load.load_trust(options, tmp_path).ages[-1].staleness(NOW) is ListAge.EXPIRED


def test_only_signed_changes_count_where_the_server_has_spoken(tmp_path: Path, store: load.BundleStore) -> None:
    path, anna = tmp_path / "revoked.gpl", gatepost.subject_key("demo", "anna")
    head = lists.ListHeader("revoked", "demo", 31, UTC - 50, 10_000, 20_000)
    load.write_list(path, head, b"")
    store.accept(made("keys", keys_file(ISSUER)), NOW)
    word = load.list_content(load.open_list(path)) | {"changes": b64encode(anna + b"\1").decode()}
    store.accept(made("list", word, version=2, name="revoked"), NOW)  # bundles count for themselves
    options = credentials.Options(bundles="bundles", lists=("revoked.gpl",))
    assert credentials.check(code(), load.load_trust(options, tmp_path), NOW).status is CodeStatus.REVOKED
    written = (path.parent / "revoked.gpl.delta").stat().st_mtime_ns
    load.load_trust(options, tmp_path)
    assert (path.parent / "revoked.gpl.delta").stat().st_mtime_ns == written, "nothing new, nothing written"
    load.change_list(path, replace(head, version=99), {anna: lists.GONE})
    assert credentials.check(code(), load.load_trust(options, tmp_path), NOW).status is CodeStatus.REVOKED


def test_what_lies_here_is_verified_and_parsed_once(
    tmp_path: Path, store: load.BundleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pushed, copied or imported: one road, walked once for each bundle and each root."""
    counts = {"verified": 0, "parsed": 0}
    verify, parse = bundle.verify_stored, bundle_store.PARSERS["keys"]

    def counted_verify(*args: Any, **how: Any) -> bundle.Bundle:
        counts["verified"] += 1
        return verify(*args, **how)

    def counted_parse(taken: bundle.Bundle) -> object:
        counts["parsed"] += 1
        return parse(taken)

    monkeypatch.setattr(bundle, "verify_stored", counted_verify)
    monkeypatch.setitem(bundle_store.PARSERS, "keys", counted_parse)
    shared = load.bundle_store(tmp_path / "bundles")
    shared.accept(made("keys", keys_file(ISSUER)), NOW)
    assert shared is load.bundle_store(tmp_path / "bundles")
    before = counts["verified"]
    for _ in range(3):
        load.load_trust(OPTIONS, tmp_path)
    assert counts["verified"] - before <= 1
    assert counts["parsed"] == 1
    (tmp_path / "bundles" / "keys.bundle").write_bytes(b"damaged")
    assert load.load_trust(OPTIONS, tmp_path).ages[-1].staleness(NOW) is ListAge.EXPIRED, (
        "another file is read again"
    )
