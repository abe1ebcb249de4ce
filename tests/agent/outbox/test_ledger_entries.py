"""Ledger entries are in the outbox's file: in the commit of their event, or alone; never twice, always in order."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from agent.events import Encoder, Topics
from agent.model import AgentChange, ClockState, Event, TimeBounds
from agent.outbox import Options, Outbox
from agent.outbox.store import Store
from tests.conftest import wait_for

NOW = TimeBounds(1_800_000_000.0, 1_800_000_001.0, ClockState.SYNCED)


def event(entries: bytes = b"", *, replaces: bool = False) -> Event:
    return Event(AgentChange("started", "1"), 1.0, NOW, "boot", entries, replaces)


class Found:
    """What the writer tells of the ledger."""

    def __init__(self, path: Path, memory_events: int = 10_000) -> None:
        self.told: list[tuple[bytes, bool]] = []
        self.outbox = Outbox(
            Options(path=path, memory_events=memory_events),
            Encoder(Topics("site", "gate")),
            on_ledger=lambda data, lost: self.told.append((data, lost)),
            lag_file=path.with_name("lags"),
        )
        self.outbox.start()

    def close(self) -> bytes:
        """What the file has after a clean end."""
        self.outbox.flush(10.0)
        self.outbox.stop(10.0)
        return saved(self.outbox._path)


def stub_writes(outbox: Outbox) -> list[bool]:
    """Have the disk be full while the list that is returned is not empty."""
    store = outbox._store
    assert store is not None
    is_bad, write = [True], store.write

    def fails(*given: object, **how: object) -> None:
        if is_bad:
            raise sqlite3.OperationalError("database or disk is full")
        write(*given, **how)  # type: ignore[arg-type]

    store.write = fails  # type: ignore[method-assign]
    return is_bad


def saved(path: Path) -> bytes:
    store = Store(path)
    try:
        return store.ledger()
    finally:
        store.close()


def test_entries_come_back_in_the_order_in_which_they_were_put(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    first = Found(path)
    first.outbox.store(event(b"a"))
    first.outbox.store_entries(b"b")
    first.outbox.store(event(b"c"))
    first.outbox.store_entries(b"d")
    assert first.close() == b"abcd"
    again = Found(path)
    assert again.close() == b"abcd"
    assert (first.told, again.told) == ([(b"", False)], [(b"abcd", False)])


def test_entries_alone_need_no_event(tmp_path: Path) -> None:
    found = Found(tmp_path / "events.db")
    found.outbox.store_entries(b"x")
    assert found.close() == b"x"
    assert found.outbox.status().decided == 0


def test_where_there_are_no_entries_nothing_is_waited_for(tmp_path: Path) -> None:
    found = Found(tmp_path / "events.db")
    found.outbox.store_entries(b"")
    assert found.outbox.has_ledger()
    assert found.close() == b""


def test_a_compacted_ledger_takes_the_place_of_all_before(tmp_path: Path) -> None:
    found = Found(tmp_path / "events.db")
    found.outbox.store(event(b"abc"))
    found.outbox.store_entries(b"d")
    found.outbox.store(event(b"S", replaces=True))
    found.outbox.store(event(b"e"))
    assert found.close() == b"Se"


def test_loose_entries_that_replace_hold_all_that_went_before(tmp_path: Path) -> None:
    found = Found(tmp_path / "events.db")
    found.outbox.store(event(b"abc"))
    found.outbox.store_entries(b"S", replaces=True)
    found.outbox.store_entries(b"e")
    assert found.close() == b"Se"


def test_the_event_and_its_entries_are_there_both_or_neither(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = Store(path)
    record = Encoder(Topics("site", "gate"))
    from agent.model import ChainPosition  # noqa: PLC0415

    made = record(event(), ChainPosition(store.epoch, 1, "0" * 64))
    store._db.execute("CREATE TRIGGER no BEFORE INSERT ON record BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(sqlite3.Error):
        store.write([made], ledger=b"a")
    assert store.ledger() == b""
    store._db.execute("DROP TRIGGER no")
    store.write([made], ledger=b"a")
    store.close()
    assert saved(path) == b"a"


def test_a_damaged_file_keeps_what_can_be_read_and_says_that_some_may_be_lost(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    first = Found(path)
    first.outbox.store(event(b"abc"))
    first.close()
    with path.open("r+b") as file:
        file.seek(0)
        file.write(b"\0" * 100)
    again = Found(path)
    again.close()
    ((_, lost),) = again.told
    assert lost


@pytest.mark.parametrize("is_emptied", [False, True])
def test_a_file_that_is_gone_is_none_that_never_was(tmp_path: Path, is_emptied: bool) -> None:
    path = tmp_path / "events.db"
    first = Found(path)
    first.outbox.store_entries(b"shut")
    first.close()
    for each in tmp_path.glob("events.db*"):
        if each.suffix != ".known":
            each.unlink()
    if is_emptied:
        path.touch()
    again = Found(path)
    again.close()
    assert (first.told, again.told) == ([(b"", False)], [(b"", True)])


def test_a_run_after_one_whose_disk_failed_knows_that_entries_are_missing(tmp_path: Path) -> None:
    path, lags = tmp_path / "events.db", tmp_path / "lags"

    def spoil(sql: str) -> None:
        store = Store(path)
        store._db.execute(sql)
        store.close()

    first = Found(path)
    first.outbox.store_entries(b"a")
    assert first.close() == b"a"
    assert not lags.exists()
    spoil("CREATE TRIGGER no BEFORE INSERT ON ledger BEGIN SELECT RAISE(ABORT, 'no'); END")
    failing = Found(path)
    assert not failing.outbox.remembers_lag()
    failing.outbox.store_entries(b"b")
    wait_for(failing.outbox.remembers_lag)
    failing.outbox.stop()
    spoil("DROP TRIGGER no")
    after = Found(path)
    after.outbox.store_entries(b"c")
    assert after.close() == b"ac"
    assert after.told == [(b"a", True)]
    assert not lags.exists(), "what is missing was told, and that is on disk"
    again = Found(path)
    again.close()
    assert again.told == [(b"ac", False)]


def test_a_disk_that_takes_the_entries_after_all_leaves_nothing_to_remember(tmp_path: Path) -> None:
    found = Found(tmp_path / "events.db")
    found.outbox.flush(10.0)
    wait_for(lambda: found.told)
    is_bad = stub_writes(found.outbox)
    found.outbox.store_entries(b"x")
    wait_for(found.outbox.remembers_lag)
    is_bad.clear()
    wait_for(found.outbox.has_ledger)
    wait_for(lambda: not found.outbox.remembers_lag())
    assert not (tmp_path / "lags").exists()
    assert found.close() == b"x"


FEW = 100


@pytest.mark.parametrize("as_event", [False, True])
def test_events_that_memory_has_no_room_for_leave_their_entries_and_their_order(
    tmp_path: Path, as_event: bool
) -> None:
    found = Found(tmp_path / "events.db", memory_events=FEW)
    found.outbox.store(event(b"a"))
    found.outbox.flush(10.0)
    is_bad = stub_writes(found.outbox)
    found.outbox.store_entries(b"b")
    wait_for(found.outbox.remembers_lag)
    each = [event(number.to_bytes(2)) for number in range(800)]  # more than the writer takes at once, too
    for before in each[:500]:
        found.outbox.store(before)
    if as_event:
        found.outbox.store(event(b"S", replaces=True))
    else:
        found.outbox.store_entries(b"S", replaces=True)
    for after in each[500:]:
        found.outbox.store(after)
    assert len(found.outbox._inbox) <= FEW + 1
    is_bad.clear()
    wait_for(found.outbox.has_ledger)
    kept = found.close()
    assert kept.startswith(b"S"), "what it replaces is gone"
    pairs = {kept[at : at + 2] for at in range(1, len(kept), 2)}
    assert len(pairs) * 2 + 1 == len(kept), "none is there twice"
    assert pairs == {after.entries for after in each[500:]}
    assert found.outbox.status().lost
