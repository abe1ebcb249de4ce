"""What a backlog has taken of the memory is given up once it is delivered."""

from __future__ import annotations

import _sqlite3
import ctypes
import os
from pathlib import Path

import pytest

from agent.model import Record
from agent.outbox.store import BACKLOG, Store

WAITED = 1_500


@pytest.fixture
def kept_bytes():
    """Asks SQLite how much it holds."""
    try:
        ask = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
    except (AttributeError, OSError):
        pytest.skip("this Python does not show what SQLite holds")
    ask.restype = ctypes.c_int64
    return ask


def waits(store: Store, count: int) -> None:
    """So many are written, which cannot be compressed."""
    for _ in range(count):
        store.write([Record(store.last + 1, "passage", 1, os.urandom(500))])


@pytest.mark.parametrize("again", [False, True], ids=["in one life", "found at the start"])
def test_sqlite_keeps_nothing_of_a_backlog(tmp_path: Path, kept_bytes, again: bool) -> None:
    store = Store(tmp_path / "outbox.db")
    waits(store, 1)
    before = kept_bytes()
    waits(store, WAITED)
    if again:
        store.close()
        store = Store(tmp_path / "outbox.db")
        assert len(store.after(0, WAITED)) == WAITED
    full = kept_bytes()
    store.write([], [(1, WAITED // 2)])
    store.write([], [(1, store.last)])
    assert full > before + 200_000, "else this measures nothing"
    assert kept_bytes() < before + 20_000
    assert [record.key for record in store.after(0, 10)] == []
    waits(store, 1)
    assert [record.key for record in store.after(0, 10)] == [WAITED + 2]
    store.close()


def test_one_that_comes_and_goes_costs_no_memory_to_be_given_up(tmp_path: Path, kept_bytes) -> None:
    """At every event that would be work: the pages are read again for the next."""
    store = Store(tmp_path / "outbox.db")
    for _ in range(2):
        waits(store, BACKLOG - 1)
        full = kept_bytes()
        store.write([], [(1, store.last)])
        assert kept_bytes() >= full - 5_000
    store.close()
