"""Uses of tickets on disk: SQLite, each use written through before anybody is let in on it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from agent.platform.files import move_file, replace_file, sync_folder
from agent.platform.high_water import HighWater
from agent.tickets.exchange import Use

if TYPE_CHECKING:
    from pathlib import Path

FOREVER_S = 400 * 86_400.0
"""A use of a ticket without an end is forgotten after this."""
_OURS_ALONE = 0o600
_SCHEMA = """
CREATE TABLE IF NOT EXISTS source(name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS use(
    source TEXT, number INTEGER, key BLOB NOT NULL, utc REAL NOT NULL, ends REAL NOT NULL,
    reported INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(source, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_key ON use(key);
CREATE INDEX IF NOT EXISTS by_end ON use(ends);
"""
_COLUMNS = "utc, source, number, key, ends"


class SqliteUses:
    """A `UseStore` in a file. Any thread, one at a time. Raises sqlite3.Error where the disk fails."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises OSError, sqlite3.Error.

        A file that is damaged is put aside and started over. How many uses were ever kept is told by a second file
        (`HighWater`), so that a lost or an older one, and uses that rot has taken from it, are noticed (`lost`).
        """
        self._path, self._lost = path, path.with_name(path.name + ".lost")
        self._high_water = HighWater(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            known = self._known()
            if known is not None and not path.exists():
                self._begin_again(path, "is not there any more")
                known = None
            self._open(path)
            if known is not None and self._ever < known:
                self.note_lost(f"{known} uses were kept, and {self._ever} are known here")
                self._set_ever(known)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # locked, full, not readable: the file itself may be whole
            self._begin_again(path, str(error))
            self._open(path)
        self._high_water.write(self._ever)
        sync_folder(path.parent)

    def _known(self) -> int | None:
        """How many uses were ever kept; None: there was no store before. Raises OSError."""
        try:
            return self._high_water.read()
        except ValueError as error:
            self.note_lost(str(error))
            return 0

    @property
    def lost(self) -> str:
        """What is wrong when uses were lost, until somebody removes the file that says so; empty: nothing."""
        return f"{self._lost} says what was lost" if self._lost.exists() else ""

    def note_lost(self, why: str) -> None:
        """Keep a note that uses were lost. Raises OSError."""
        replace_file(self._lost, (f"{self._path}: {why}\n".encode(),))

    def _begin_again(self, path: Path, why: str) -> None:
        """Keep a note that uses were lost, and what is left of them."""
        self.note_lost(why)
        for suffix in ("", "-wal", "-shm"):
            left = path.with_name(path.name + suffix)
            if left.exists():
                move_file(left, path.with_name(f"{path.name}.damaged{suffix}"))

    def _open(self, path: Path) -> None:
        path.touch(_OURS_ALONE)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL").fetchall()
        self._db.execute("PRAGMA synchronous=FULL")
        # each key stands in the table and in an index: a bit that has changed in one of them is found
        ((sound,),) = self._db.execute("PRAGMA integrity_check(1)").fetchall()
        if sound != "ok":
            self._db.close()
            raise sqlite3.DatabaseError(str(sound))
        self._db.executescript(_SCHEMA)
        ((self._ever,),) = self._db.execute("PRAGMA user_version").fetchall()
        self._count()

    def _set_ever(self, count: int) -> None:
        """How many uses were ever kept, as part of the file."""
        self._db.execute(f"PRAGMA user_version = {count}")
        self._ever = count

    def _count(self) -> None:
        self._last: dict[str, int] = dict(self._db.execute("SELECT name, last FROM source"))
        self._have: dict[str, int] = dict(self._db.execute("SELECT source, max(number) FROM use GROUP BY source"))

    def add(self, use: Use) -> None:
        """Keep a use, on the disk when this returns."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT OR REPLACE INTO source VALUES(?, ?)", (use.source, use.number))
            self._db.execute(
                "INSERT INTO use(source, number, key, utc, ends) VALUES(?, ?, ?, ?, ?)",
                (use.source, use.number, use.key, use.utc, use.ends_utc),
            )
            self._db.execute(f"PRAGMA user_version = {self._ever + 1}")
        self._ever += 1
        self._high_water.write(self._ever)
        self._have[use.source] = self._last[use.source] = use.number

    def of(self, key: bytes) -> list[Use]:
        """All uses of a ticket."""
        return [Use(*row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM use WHERE key = ?", (key,))]  # noqa: S608

    def have(self) -> dict[str, int]:
        """See `UseStore`."""
        return dict(self._have)

    def last(self, source: str) -> int:
        """See `UseStore`."""
        return self._last.get(source, 0)

    def since(self, source: str, number: int, most: int) -> list[Use]:
        """The uses of a source after that number, in order."""
        found = self._db.execute(
            f"SELECT {_COLUMNS} FROM use WHERE source = ? AND number > ? ORDER BY number LIMIT ?",  # noqa: S608
            (source, number, most),
        )
        return [Use(*row) for row in found]

    def unreported(self) -> list[Use]:
        """Uses of which it was not told yet whether they were second ones."""
        return [Use(*row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM use WHERE reported = 0")]  # noqa: S608

    def reported(self, use: Use) -> bool:
        """Mark a use as told of; whether it was not yet."""
        changed = self._db.execute(
            "UPDATE use SET reported = 1 WHERE source = ? AND number = ? AND reported = 0", (use.source, use.number)
        )
        return changed.rowcount > 0

    def expire(self, utc: float, current: str) -> None:
        """Forget the uses of tickets that have ended, and sources that have none left but `current`."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM use WHERE ends < ?", (utc,))
            self._db.execute(
                "DELETE FROM source WHERE name != ? AND name NOT IN (SELECT source FROM use)", (current,)
            )
        self._count()

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class NoStore:
    """In place of a store that cannot be opened: nothing is known, and nothing can be kept."""

    lost = ""

    def __init__(self, why: Exception) -> None:
        self._why = why

    def _fail(self, *_: object) -> Any:
        raise sqlite3.OperationalError(str(self._why))

    add = of = have = last = since = unreported = reported = expire = note_lost = _fail

    def close(self) -> None:
        """There is nothing to close."""
