"""Lists on a bad card: a byte that changes, before the start or while it works, never makes anybody green."""

from __future__ import annotations

import os
import shutil
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import credentials, policy
from agent.credentials import lists
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import ClockState, CodeStatus, Colour, ListAge, TimeBounds
from agent.ruleset import Ruleset, load

if TYPE_CHECKING:
    from collections.abc import Callable

UTC = 1_700_000_000
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
KEY = signing.new_private_key()
ANNA = gatepost.subject_key("demo", "anna")
OPTIONS = credentials.Options(lists=("revoked.gpl", "status.gpl"))
SHORT = 512 + 4 * ((1 << 16) + 1) + 15
"""Length of a file with one record and a value."""


def head(kind: str, version: int = 1) -> lists.ListHeader:
    return lists.ListHeader(kind, "demo", version, UTC - 50, 10_000, 20_000)


def code() -> bytes:
    claims = gatepost.claims("demo", "anna", Colour.GREEN, issued_utc=UTC - 100, expires_utc=UTC + 100)
    return gatepost.issue(KEY, claims).encode()


CODE = code()


def kiosk(folder: Path, where: str) -> Path:
    """Anna is red or revoked, by a base or by changes; the file that says it."""
    (folder / "issuers.toml").write_text(
        f'[[key]]\nissuer = "demo"\npublic = "{b64encode(KEY.public.spki).decode()}"\n'
    )
    load.write_list(folder / "revoked.gpl", head("revoked"), ANNA if where == "revoked" else b"")
    red = where == "status"
    load.write_list(folder / "status.gpl", head("status"), ANNA if red else b"", b"\3" if red else b"")
    if where == "changes":
        load.change_list(folder / "revoked.gpl", head("revoked", 2), {ANNA: 1})
        return folder / "revoked.gpl.delta"
    return folder / f"{where}.gpl"


def ruleset(folder: Path) -> Ruleset:
    return Ruleset(OPTIONS, policy.Options(), folder)


def is_green(found: Ruleset) -> bool:
    verdict = found.check([CODE], NOW)
    fine = verdict.status is CodeStatus.VALID and verdict.colour is Colour.GREEN
    return fine and verdict.list_age is not ListAge.EXPIRED


def is_told(found: Ruleset) -> bool:
    return any(age.fault(NOW) for age in found.ages)


WHERE = ("revoked", "status", "changes")
# The head, the directory, the last record: each as likely as the others.
PLACES = st.one_of(st.integers(0, 511), st.integers(512, SHORT - 16), st.integers(-14, -1))


@given(st.sampled_from(WHERE), PLACES, st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_any_byte_changed_before_the_start(
    tmp_path_factory: pytest.TempPathFactory, where: str, at: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("kiosk")
    path = kiosk(folder, where)
    data = bytearray(path.read_bytes())
    data[at] ^= flip
    path.write_bytes(data)
    found = ruleset(folder)
    assert not is_green(found)
    assert is_told(found)


@given(st.sampled_from(("revoked", "status")), PLACES, st.integers(1, 255))
@settings(max_examples=40, deadline=None)
def test_any_byte_changed_while_it_works(
    tmp_path_factory: pytest.TempPathFactory, where: str, at: int, flip: int
) -> None:
    """A card rots without a new time of change: nothing but reading tells."""
    folder = tmp_path_factory.mktemp("kiosk")
    path = kiosk(folder, where)
    found = ruleset(folder)
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes((byte ^ flip,)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not is_green(found)
    found.scrub(1 << 22)
    in_records = at < 0
    assert is_told(found) is in_records, "head and directory are in memory"
    if in_records:
        assert found.refresh(), "it is read again"
        assert not is_green(found)
        assert is_told(found)


def cut(path: Path) -> None:
    os.truncate(path, 600)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def copied_over(path: Path) -> None:
    """As `cp` does it: the same file, cut off and written again."""
    other = path.with_name("other")
    load.write_list(other, head("revoked", 2), b"")
    shutil.copyfile(other, path)


@pytest.mark.parametrize("harm", [cut, empty, copied_over])
def test_a_file_written_over_while_it_is_in_use(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    path = kiosk(tmp_path, "revoked")
    found = ruleset(tmp_path)
    assert found.check([CODE], NOW).status is CodeStatus.REVOKED
    harm(path)
    assert not is_green(found)
    assert is_told(found)
    found.refresh()
    assert is_green(found) is is_good(path)
    assert is_told(found) is not is_good(path)


def is_good(path: Path) -> bool:
    try:
        return load.open_list(path).base.is_sound()
    except lists.BadList:
        return False


def lose_changes(path: Path) -> None:
    path.with_name("revoked.gpl.delta").unlink()


def changes_are_a_folder(path: Path) -> None:
    lose_changes(path)
    path.with_name("revoked.gpl.delta").mkdir()


def changes_are_a_pipe(path: Path) -> None:
    """Into which nobody ever writes."""
    lose_changes(path)
    os.mkfifo(path.with_name("revoked.gpl.delta"))


def changes_are_endless(path: Path) -> None:
    os.truncate(path.with_name("revoked.gpl.delta"), 1 << 40)


def base_is_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def older_changes(path: Path) -> None:
    load.set_changes(path, head("revoked", 1), {})


def another_kind(path: Path) -> None:
    lose_changes(path)
    load.write_list(path, head("watched", 9), ANNA)


def another_issuer(path: Path) -> None:
    lose_changes(path)
    load.write_list(path, lists.ListHeader("revoked", "other", 9, UTC - 50, 10_000, 20_000), b"")


def older_base(path: Path) -> None:
    """Under the changes that are there still: what came between the two bases is lost."""
    load.write_list(path, head("revoked", 1), b"")


def another_base(path: Path) -> None:
    load.write_list(path, head("revoked", 3), b"")


def other_changes(path: Path) -> None:
    load.set_changes(path, head("revoked", 4), {bytes(16): 1})


@pytest.mark.parametrize("started_again", [False, True])
@pytest.mark.parametrize("harm", [older_base, another_base, other_changes])
def test_a_base_or_changes_that_went_back_by_themselves(
    tmp_path: Path, harm: Callable[[Path], None], *, started_again: bool
) -> None:
    kiosk(tmp_path, "nobody")
    path = tmp_path / "revoked.gpl"
    on_base = harm is not other_changes
    load.write_list(path, head("revoked", 3), ANNA if on_base else b"")
    load.change_list(path, head("revoked", 4), {} if on_base else {ANNA: 1})
    found = ruleset(tmp_path)
    assert found.check([CODE], NOW).status is CodeStatus.REVOKED
    harm(path)
    if started_again:
        found = ruleset(tmp_path)
    else:
        found.refresh()
    assert not is_green(found)
    assert is_told(found)


@pytest.mark.parametrize("started_again", [False, True])
@pytest.mark.parametrize(
    "harm",
    [
        lose_changes,
        changes_are_a_folder,
        changes_are_a_pipe,
        changes_are_endless,
        base_is_a_pipe,
        older_changes,
        another_kind,
        another_issuer,
    ],
)
def test_what_was_in_force_and_is_not_there_any_more(
    tmp_path: Path, harm: Callable[[Path], None], *, started_again: bool
) -> None:
    kiosk(tmp_path, "changes")
    found = ruleset(tmp_path)
    assert found.check([CODE], NOW).status is CodeStatus.REVOKED
    harm(tmp_path / "revoked.gpl")
    if started_again:
        found = ruleset(tmp_path)
    else:
        found.refresh()
    assert not is_green(found)
    assert is_told(found)
    load.write_list(tmp_path / "revoked.gpl", head("revoked", 10), b"")
    delta = tmp_path / "revoked.gpl.delta"
    shutil.rmtree(delta) if delta.is_dir() else delta.unlink(missing_ok=True)
    found.refresh()
    assert is_green(found), "a later base heals it"
    assert not is_told(found)
