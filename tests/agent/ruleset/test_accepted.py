"""What was accepted once is remembered: a bundle that is lost, or put back, never counts as one never sent."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import credentials, policy, privacy
from agent.credentials import bundle, lists
from agent.credentials.bundle import BadBundle
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import ClockState, CodeStatus, Colour, ListAge, TimeBounds
from agent.model.problems import in_words
from agent.policy.table import BadTable
from agent.ruleset import load
from agent.ruleset.accepted import AcceptedVersions, BadRecord

if TYPE_CHECKING:
    from collections.abc import Callable

UTC = 1_700_000_000
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
SERVER, ISSUER = signing.new_private_key(), signing.new_private_key()
OPTIONS = credentials.Options(bundles="bundles", lists=("revoked.gpl",))
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


def signed(kind: str, content: Any, version: int, name: str = "") -> bytes:
    members = {"type": kind, "name": name, "fleet": "city", "version": version, "issued_at": UTC - 10}
    members |= {"expires_at": UTC + 86_400, "warn_age_s": 1000, "max_age_s": 2000, "content": content}
    return bundle.sign(members, [SERVER])


def root(version: int = 1) -> bytes:
    kid = SERVER.public.kid.hex()
    role = {"threshold": 1, "keyids": [kid]}
    roles = dict.fromkeys(("root", "keys", "policy", "list", "privacy", "config"), role)
    keys = {kid: b64encode(SERVER.public.spki).decode()}
    return signed("root", {"keys": keys, "roles": roles}, version)


def keys_text() -> str:
    return f'[[key]]\nissuer = "demo"\npublic = "{b64encode(ISSUER.public.spki).decode()}"\n'


ANNA = gatepost.subject_key("demo", "anna")


def code() -> bytes:
    claims = gatepost.claims("demo", "anna", Colour.GREEN, issued_utc=UTC - 100, expires_utc=UTC + 100)
    return gatepost.issue(ISSUER, claims).encode()


@pytest.fixture
def store(tmp_path: Path) -> load.BundleStore:
    """A kiosk that has taken version 2 of everything; anna is revoked in it."""
    (tmp_path / "issuers.toml").write_text(keys_text())
    path = tmp_path / "revoked.gpl"
    load.write_list(path, lists.ListHeader("revoked", "demo", 1, UTC - 50, 10_000, 20_000), b"")
    found = load.BundleStore(tmp_path / "bundles")
    found.install(root())
    base = load.open_list(path).base.head
    for version, changes in ((1, {}), (2, {ANNA: 1})):
        found.accept(signed("keys", keys_text() + f"# {version}\n", version), NOW)
        found.accept(signed("policy", TABLE + f"# {version}\n", version, "office"), NOW)
        found.accept(signed("privacy", f'mode = "verify-only"\ndetails = false\n# {version}\n', version), NOW)
        found.accept(signed("config", f"# {version}\n", version), NOW)
        found.accept(signed("list", load.word_content(base, changes), version, "revoked"), NOW)
        if version == 1:
            keep = tmp_path / "old"
            keep.mkdir()
            for each in (tmp_path / "bundles").glob("*.bundle"):
                (keep / each.name).write_bytes(each.read_bytes())
    return found


NAMES = ("keys", "privacy", "policy-office", "list-revoked", "config")


def lose(path: Path, _old: Path) -> None:
    path.unlink()


def cut(path: Path, _old: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def empty(path: Path, _old: Path) -> None:
    path.write_bytes(b"")


def put_back(path: Path, old: Path) -> None:
    path.write_bytes(old.read_bytes())


def swell(path: Path, _old: Path) -> None:
    """As long as no memory: what is not there takes no room on the disk."""
    os.truncate(path, 1 << 40)


def folder(path: Path, _old: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [lose, cut, empty, put_back, swell, folder])
@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_that_is_not_the_one_accepted_last(
    tmp_path: Path, store: load.BundleStore, name: str, harm: Callable[[Path, Path], None]
) -> None:
    path = tmp_path / "bundles" / f"{name}.bundle"
    good = path.read_bytes()
    harm(path, tmp_path / "old" / path.name)
    kind, _, which = name.partition("-")
    with pytest.raises((BadBundle, OSError)):
        store.current(kind, which)
    trust = load.load_trust(OPTIONS, tmp_path)
    if kind in {"keys", "list"}:
        assert credentials.check(code(), trust, NOW).list_age is ListAge.EXPIRED
    if kind == "privacy":
        in_force = load.load_privacy(OPTIONS, tmp_path)
        assert in_force.at(NOW) == privacy.CLOSED
        assert in_words(in_force.findings(NOW))
    if kind == "policy":
        with pytest.raises(BadTable):
            load.load_table(policy.Options("office"), tmp_path, "bundles")
    if harm is not folder:  # a folder in its place is for hands to remove
        claimed = bundle.unverified_header(good)
        try:
            known = store.is_in_force(claimed)
        except OSError:
            known = False
        assert not known, "the broker's retained copy heals it"
        store.accept(good, NOW)
        assert store.current(kind, which) is not None


def test_with_everything_there_nothing_is_told(tmp_path: Path, store: load.BundleStore) -> None:
    assert credentials.check(code(), load.load_trust(OPTIONS, tmp_path), NOW).status is CodeStatus.REVOKED
    assert [age.staleness(NOW) for age in load.load_trust(OPTIONS, tmp_path).ages] == [ListAge.FRESH] * 2


def test_the_whole_folder_lost(tmp_path: Path, store: load.BundleStore) -> None:
    rmtree(tmp_path / "bundles")
    verdict = credentials.check(code(), load.load_trust(OPTIONS, tmp_path), NOW)
    assert verdict.list_age is ListAge.EXPIRED
    assert load.load_privacy(OPTIONS, tmp_path).at(NOW) == privacy.CLOSED
    load.BundleStore(tmp_path / "bundles").install(root())
    assert load.load_privacy(OPTIONS, tmp_path).at(NOW) == privacy.CLOSED, "the root alone brings nothing back"


def test_an_older_root_put_back_lets_nothing_older_in(tmp_path: Path, store: load.BundleStore) -> None:
    first = (tmp_path / "bundles" / "root.bundle").read_bytes()
    store.accept(root(2), NOW)
    store.accept(signed("keys", keys_text(), 3), NOW)
    (tmp_path / "bundles" / "root.bundle").write_bytes(first)
    put_back(tmp_path / "bundles" / "keys.bundle", tmp_path / "old" / "keys.bundle")
    with pytest.raises(BadBundle):
        load.BundleStore(tmp_path / "bundles").current("keys")


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_record_itself_damaged(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = tmp_path_factory.mktemp("r") / "bundles.accepted"
    record = AcceptedVersions(file)
    record.store("keys", {"version": 2})
    whole = bytearray(file.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(whole)
    try:
        assert record.get("keys") == {"version": 2}
    except BadRecord:
        record.store("keys", {"version": 3})
        assert record.get("keys") == {"version": 3}


def test_what_is_accepted_after_the_record_was_damaged_heals_nothing_else(
    tmp_path: Path, store: load.BundleStore
) -> None:
    def age() -> ListAge:
        return credentials.check(code(), load.load_trust(OPTIONS, tmp_path), NOW).list_age

    (tmp_path / "bundles.accepted").write_bytes(b"")
    (tmp_path / "bundles" / "keys.bundle").unlink()
    assert age() is ListAge.EXPIRED
    base = load.open_list(tmp_path / "revoked.gpl").base.head
    store.accept(signed("list", load.word_content(base, {}), 3, "revoked"), NOW)
    assert age() is ListAge.EXPIRED, "the configured keys are older than those that were lost"
    store.accept(signed("keys", keys_text(), 3), NOW)
    assert age() is ListAge.FRESH, "each that is sent again counts"


def test_bundles_from_before_are_remembered(tmp_path: Path, store: load.BundleStore) -> None:
    for kept in tmp_path.glob("bundles.accepted*"):
        kept.unlink()
    store.remember_all()
    (tmp_path / "bundles" / "privacy.bundle").unlink()
    assert load.load_privacy(OPTIONS, tmp_path).at(NOW) == privacy.CLOSED


def test_a_bundle_that_was_copied_here_and_counted_is_not_followed_by_the_one_before(
    tmp_path: Path, store: load.BundleStore
) -> None:
    path = tmp_path / "bundles" / "keys.bundle"
    second = path.read_bytes()
    path.write_bytes(signed("keys", keys_text() + "# 3\n", 3))
    found = store.current("keys")
    assert found is not None
    assert found.version == 3
    path.write_bytes(second)
    with pytest.raises(BadBundle, match="older than 3"):
        store.current("keys")
    path.write_bytes(signed("keys", "no keys", 4))
    store.current("keys")
    path.write_bytes(signed("keys", keys_text() + "# 3\n", 3))
    assert store.current("keys") is not None, "one that cannot be used is not remembered"


def test_the_first_that_is_copied_here_is_remembered_at_once(tmp_path: Path, store: load.BundleStore) -> None:
    path = tmp_path / "bundles" / "policy-school.bundle"
    path.write_bytes(signed("policy", TABLE.replace("office", "school"), 1, "school"))
    assert store.current("policy", "school") is not None
    path.unlink()
    with pytest.raises(BadBundle, match="accepted before"):
        store.current("policy", "school")
