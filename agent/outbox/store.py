"""The outbox's file: an SQLite table of records that survives power cuts.

SQLite in WAL mode with `synchronous=FULL` syncs the log at every commit: what was committed is there after a cut.
One connection only: SQLite before 3.51.3 can damage a WAL database that two connections checkpoint at once, and
Debian 12 has 3.40. `locking_mode=EXCLUSIVE` sees to that, also against a second agent.

The newest record stays in the file, marked `done`, until there is a newer one: that is how the sequence and the
chain of hashes go on after everything was delivered. Everything here belongs to one thread.

A record's key is its sequence. One that was saved from a damaged file is of an earlier epoch: its key is the
sequence less an `EPOCH_SPAN` for each file since. So it goes out before all newer ones and is still found by its
sequence.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from agent.model import Record
from agent.model.lazy import dataclass
from agent.outbox.compression import CorruptRecord, compress, decompress
from agent.platform.files import move_file, sync_folder
from agent.platform.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence
    from pathlib import Path

    from agent.model import Mark

SYNCHRONOUS = "FULL"
"""SQLite's `synchronous`: each commit waits until the log is on the disk."""
PAGE_BYTES = 2048
"""A commit logs whole pages, each with a 24-byte header: pages of 2 KB touch the fewest blocks of the card."""
LOG_PAGES = 2000
"""Pages in the log before they are copied to the table; what was delivered meanwhile is never copied."""
BACKLOG = 200
"""After so many waited at once and all are gone, SQLite gives up the pages that it keeps: up to half a megabyte."""
UNMEASURED = 32
"""Records come and gone before the room they take is looked up again."""
EPOCH_SPAN = 1 << 40
"""More records than any file will see."""
COPY_BATCH = 500
SECRET_BYTES = 16

SCHEMA = """
CREATE TABLE IF NOT EXISTS store (epoch TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS record (
    key INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    rank INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    packed BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS ledger (id INTEGER PRIMARY KEY, entries BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS proof (secret TEXT NOT NULL);
"""

INSERT = "INSERT INTO record (key, kind, rank, packed) VALUES (?, ?, ?, ?)"

DAMAGE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR))


def proof_of(secret: str, epoch: str, last: int) -> str:
    """What only the store can say of how far it has come."""
    return hmac.new(secret.encode(), f"{epoch}:{last}".encode(), hashlib.sha256).hexdigest()[: 2 * SECRET_BYTES]


@dataclass(frozen=True, slots=True)
class RecoveredStore:
    """What came of a damaged file."""

    epoch: str
    """Empty when even that was unreadable."""
    saved: int
    first: int
    """Lowest and highest sequence that could be read; 0 when none."""
    last: int
    missing: int
    """Sequences between them that could not be read and were not done. What was beyond nobody knows."""


class Store:
    """The open file. Every method raises sqlite3.Error (or OSError for the directory) when the disk will not."""

    def __init__(self, path: Path, took: Histogram | None = None) -> None:
        """`took`: what to count the time of each commit into."""
        self._path = path
        self._took = took or Histogram()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=0)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        for pragma in (
            "locking_mode=EXCLUSIVE",
            f"page_size={PAGE_BYTES}",
            "journal_mode=WAL",
            f"synchronous={SYNCHRONOUS}",
            f"wal_autocheckpoint={LOG_PAGES}",
            "cache_size=-512",
            "temp_store=MEMORY",
        ):
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"database disk image is malformed: {verdict}")
        self._sync_what_is_there()
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            for statement in SCHEMA.split(";"):
                self._db.execute(statement)
            row = self._db.execute("SELECT epoch FROM store").fetchone()
            self.epoch: str = row[0] if row else secrets.token_hex(4)
            if row is None:
                self._db.execute("INSERT INTO store VALUES (?)", (self.epoch,))
            found = self._db.execute("SELECT secret FROM proof").fetchone()
            self.secret: str = found[0] if found else secrets.token_hex(SECRET_BYTES)
            """Made with the epoch: an image of the card has it too."""
            self._was_unproved = row is not None and found is None
            """It comes from a release that proved nothing."""
            if found is None:
                self._db.execute("INSERT INTO proof VALUES (?)", (self.secret,))
        (self.count,) = self._db.execute("SELECT COUNT(*) FROM record WHERE NOT done").fetchone()
        self._most = self.count
        """Waited at once since the memory was last given up."""
        self._measure()
        self._bases = self._earlier_lives()
        self.last, self.last_hash, self._marked = 0, "", False
        newest = self._db.execute("SELECT key, packed, done FROM record WHERE key > 0 ORDER BY key DESC LIMIT 1")
        for key, packed, done in newest:
            self.last, self.last_hash, self._marked = key, _hash(decompress(packed)), bool(done)

    def proves(self, mark: Mark) -> bool:
        """Whether this mark is no stranger's: of this very store, or of the central server."""
        own = proof_of(self.secret, mark.epoch, mark.last)
        return (
            mark.is_signed
            or self._was_unproved
            or hmac.compare_digest(own.encode(), mark.proof.encode(errors="replace"))
        )

    def write(
        self,
        records: Sequence[Record],
        done: Sequence[tuple[int, int]] = (),
        ledger: bytes = b"",
        *,
        replaces_ledger: bool = False,
    ) -> None:
        """Add `records` and ledger entries, let go of the ranges of keys `done`: one commit, on the card when this
        returns. `replaces_ledger`: the entries take the place of all that are there.
        """
        rows = [(record.key, record.kind, record.rank, compress(record.payload)) for record in records]
        newest = records[-1].key if records and records[-1].key > 0 else self.last
        marks, gone = self._marked and newest == self.last, 0
        unmarks = self._marked and newest != self.last
        is_alone = len(rows) == 1 and not (done or ledger or replaces_ledger or unmarks)
        began_s = monotonic()
        if not is_alone:  # a statement alone is a transaction by itself
            self._db.execute("BEGIN IMMEDIATE")
        with self._db:  # ends with COMMIT, or with ROLLBACK when anything is raised, the commit itself included
            self._db.executemany(INSERT, rows)
            if replaces_ledger:
                self._db.execute("DELETE FROM ledger")
            if ledger:
                self._db.execute("INSERT INTO ledger (entries) VALUES (?)", (ledger,))
            if unmarks:
                self._db.execute("DELETE FROM record WHERE key = ?", (self.last,))
            for low, high in done:
                gone += self._db.execute(
                    "DELETE FROM record WHERE key BETWEEN ? AND ? AND key <> ?", (low, high, newest)
                ).rowcount
                if low <= newest <= high and not marks:
                    gone += self._db.execute("UPDATE record SET done = 1 WHERE key = ?", (newest,)).rowcount
                    marks = True
        self._took.add(monotonic() - began_s)
        self._marked = marks
        self.count += len(records) - gone
        self._most = max(self._most, self.count)
        if self._most >= BACKLOG and not self.count:
            self._db.execute("PRAGMA shrink_memory")
            self._most = 0
        self._unmeasured += len(records) + gone
        if self._unmeasured >= UNMEASURED:
            self._measure()
        if newest != self.last:
            self.last, self.last_hash = newest, _hash(records[-1].payload)

    def ledger(self) -> bytes:
        """All ledger entries, in order."""
        return b"".join(entries for (entries,) in self._db.execute("SELECT entries FROM ledger ORDER BY id"))

    def _measure(self) -> None:
        """`bytes`: pages of the table in use."""
        self._unmeasured = 0
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        self.bytes: int = (pages - free) * PAGE_BYTES

    def after(self, key: int, limit: int) -> list[Record]:
        """Up to `limit` records beyond `key`, oldest first."""
        rows = self._db.execute(
            "SELECT key, kind, rank, packed FROM record WHERE key > ? AND NOT done ORDER BY key LIMIT ?",
            (key, limit),
        )
        return [Record(key, kind, rank, decompress(packed)) for key, kind, rank, packed in rows]

    def least_worth(self, limit: int, acked_to: int) -> list[int]:
        """Keys of up to `limit` records: the oldest up to `acked_to`, then the lowest ranks beyond."""
        rows = self._db.execute(
            "SELECT key FROM record WHERE NOT done ORDER BY key > ?1, (key > ?1) * rank, key LIMIT ?2",
            (acked_to, limit),
        )
        return [key for (key,) in rows]

    def base(self, epoch: str) -> int | None:
        """What to add to a sequence of `epoch` to have its key; None when nothing of that epoch is here."""
        return 0 if epoch == self.epoch else self._bases.get(epoch)

    def hash_at(self, key: int) -> str:
        """SHA-256 (hex) of the payload of a record; empty when neither it is here nor the next, which names it."""
        rows = dict(self._db.execute("SELECT key, packed FROM record WHERE key IN (?, ?)", (key, key + 1)))
        if key in rows:
            return _hash(decompress(rows[key]))
        return str(json.loads(decompress(rows[key + 1]))["previoussha256"]) if rows else ""

    def count_of(self, low: int, high: int) -> int:
        """How many records from `low` to `high` are not done."""
        count: int = self._db.execute(
            "SELECT COUNT(*) FROM record WHERE key BETWEEN ? AND ? AND NOT done", (low, high)
        ).fetchone()[0]
        return count

    def first_after(self, key: int) -> int | None:
        """The lowest key beyond `key` of a record that is not done."""
        row = self._db.execute(
            "SELECT key FROM record WHERE key > ? AND NOT done ORDER BY key LIMIT 1", (key,)
        ).fetchone()
        return None if row is None else row[0]

    def _earlier_lives(self) -> dict[str, int]:
        """The bases of epochs that were saved from damaged files: what was saved says itself of which it is."""
        bases: dict[str, int] = {}
        key = self.first_after(-(1 << 62))
        while key is not None and key < 0:
            base = key // EPOCH_SPAN * EPOCH_SPAN
            (packed,) = self._db.execute("SELECT packed FROM record WHERE key = ?", (key,)).fetchone()
            with suppress(ValueError, KeyError, TypeError):
                bases[json.loads(decompress(packed))["epoch"]] = base
            key = self.first_after(base + EPOCH_SPAN)
        return bases

    def shrink(self) -> None:
        """Fold the log into the table: on a full disk that may be the room that is missing."""
        with suppress(sqlite3.Error):
            self._fold()

    def _fold(self) -> None:
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _sync_what_is_there(self) -> None:
        """A log that is found may never have reached the card: its process was killed before the sync, or the sync
        failed, and then the system believes its copy in memory to be clean. So it is written again, into the table.
        """
        try:
            self._fold()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            with self._path.with_name(self._path.name + "-wal").open("rb") as log:
                os.fsync(log.fileno())  # no room to write it again

    def close(self) -> None:
        """Close; never raises. SQLite folds the log into the file if it can."""
        with suppress(sqlite3.Error):
            self._db.close()


def is_damage(error: Exception) -> bool:
    """Whether the file itself is broken, rather than the disk full, read-only or failing.

    Our statements do not change: if SQLite knows a table or column no more, its name was spoilt. That a text is
    none Python says itself, without a code.
    """
    if isinstance(error, CorruptRecord):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.ProgrammingError)
    return code & 0xFF in DAMAGE


def ranges(keys: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Sorted keys as inclusive ranges without holes."""
    start = 0
    for index in range(1, len(keys) + 1):
        if index == len(keys) or keys[index] != keys[index - 1] + 1:
            yield keys[start], keys[index - 1]
            start = index


def salvage(
    path: Path, spare: Iterable[Record], done: Container[int], alive: Callable[[], None] = lambda: None
) -> RecoveredStore:
    """Put a new store in the place of a damaged one, with all records that can still be read.

    The new file is complete before it takes the place, so a cut at any point loses nothing. Records keep their
    payload, and so their id, but their keys go down by an `EPOCH_SPAN`. `spare`: what memory has; `done`: not
    wanted; `alive`: called again and again, as this may take minutes.
    """
    fresh = path.with_name(path.name + ".new")
    _remove(fresh)
    seen: set[int] = set()
    epoch = ""
    with closing(Store(fresh)) as store:
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            with suppress(sqlite3.Error):
                epoch = str(db.execute("SELECT epoch FROM store").fetchone()[0])
            with suppress(sqlite3.Error, TypeError):
                store.write(
                    [], ledger=b"".join(row[0] for row in db.execute("SELECT entries FROM ledger ORDER BY id"))
                )
            _copy(_readable(db, seen), store, done, alive)
        _copy((record for record in spare if record.key not in seen), store, done, alive)
        saved = store.count
    _swap_in(path, fresh)
    own = [key for key in seen if key > 0]
    first, last = (min(own), max(own)) if own else (0, 0)
    missing = sum(key not in seen and key not in done for key in range(first, last)) if own else 0
    return RecoveredStore(epoch, saved, first, last, missing)


def renew(path: Path, old: Store, done: Container[int], alive: Callable[[], None] = lambda: None) -> None:
    """Put a new store, of a new epoch, in the place of one that is an older copy of itself. What waits in it gets
    new places: the ids that it has may have been given to other events. Closes `old`.
    """
    fresh = path.with_name(path.name + ".new")
    _remove(fresh)
    with closing(Store(fresh)) as store:
        key = -(1 << 62)
        while batch := old.after(key, COPY_BATCH):
            key = batch[-1].key
            moved: list[Record] = []
            for record in batch:
                if record.key not in done:
                    last, head = (
                        (moved[-1].key, _hash(moved[-1].payload)) if moved else (store.last, store.last_hash)
                    )
                    moved.append(_moved(record, store.epoch, last + 1, head or "0" * 64))
            if moved:
                store.write(moved)
            alive()
        store.write([], ledger=old.ledger())
    old.close()
    _swap_in(path, fresh)


def _moved(record: Record, epoch: str, sequence: int, previous: str) -> Record:
    """The same event at another place."""
    envelope = json.loads(record.payload)
    envelope["id"] = f"{envelope['id'].split(':', 1)[0]}:{epoch}:{sequence}"
    envelope |= {"epoch": epoch, "sequence": f"{sequence:012d}", "previoussha256": previous}
    payload = json.dumps(envelope, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return replace(record, key=sequence, payload=payload)


def finish_salvage(path: Path) -> None:
    """If a cut came while a new store was put in place, complete that; before opening. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    if fresh.exists():
        if path.exists():
            _remove(fresh)  # it may be incomplete; the damaged one is still there to be read again
        else:
            move_file(fresh, path)


def _swap_in(path: Path, fresh: Path) -> None:
    """The damaged file goes aside (over an earlier one), the new one to its place."""
    aside = path.with_name(path.name + ".damaged")
    for suffix in ("-wal", ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.replace(aside.with_name(aside.name + suffix))
    sync_folder(path.parent)
    move_file(fresh, path)


def _copy(records: Iterable[Record], store: Store, done: Container[int], alive: Callable[[], None]) -> None:
    """Add records as those of an earlier epoch, in commits of a few hundred."""
    batch: list[Record] = []
    for record in records:
        if record.key not in done:
            batch.append(replace(record, key=record.key - EPOCH_SPAN))
        if len(batch) == COPY_BATCH:
            store.write(batch)
            alive()
            batch = []
    if batch:
        store.write(batch)


def _readable(db: sqlite3.Connection, seen: set[int]) -> Iterator[Record]:
    """Whole rows from the start up to the damage, then those from the end back to it, in order of their keys."""
    rows = "SELECT key, kind, rank, packed, done FROM record"
    with suppress(sqlite3.Error):
        for *row, done in db.execute(f"{rows} ORDER BY key"):
            record = _whole(*row)
            if record is not None:
                seen.add(record.key)
                if not done:
                    yield record
    behind: list[int] = []
    with suppress(sqlite3.Error):
        for (key,) in db.execute("SELECT key FROM record ORDER BY key DESC"):
            if key in seen:
                break
            behind.append(key)
    for key in reversed(behind):
        with suppress(sqlite3.Error):
            for *row, done in db.execute(f"{rows} WHERE key = ?", (key,)):  # none, where the way to it is damaged
                record = _whole(*row)
                if record is not None:
                    seen.add(key)
                    if not done:
                        yield record


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _whole(key: Any, kind: Any, rank: Any, packed: Any) -> Record | None:
    """A row from a damaged file, if it can be a record at all."""
    if not (isinstance(key, int) and isinstance(kind, str) and isinstance(rank, int) and isinstance(packed, bytes)):
        return None
    with suppress(CorruptRecord):
        return Record(key, kind, rank, decompress(packed))
    return None


def _hash(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()
