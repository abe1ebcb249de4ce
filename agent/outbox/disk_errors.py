"""What an error of the outbox's file means for its records, and its message for the technician."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from agent.model.problems import Finding, ProblemCode

if TYPE_CHECKING:
    from pathlib import Path


def is_full(error: Exception) -> bool:
    """Whether there is just no room."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def may_be_there(error: sqlite3.Error) -> bool:
    """Whether a commit that failed so may have reached the file all the same: a sync failed, not a write."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_IOERR and code != sqlite3.SQLITE_IOERR_WRITE


def finding(error: Exception, path: Path) -> Finding:
    """What is wrong with the disk, and what to do."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            text = f"disk full: events wait in memory (free some space where {path} is)"
            return Finding(ProblemCode.STORAGE_FULL, text)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
            text = f"cannot write {path}: events wait in memory (is the card read-only, the directory ours?)"
            return Finding(ProblemCode.STORAGE_NOT_WRITABLE, text)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            text = f"{path} is held by another process: events wait in memory (is a second agent running?)"
            return Finding(ProblemCode.STORAGE_LOCKED, text)
        case _:
            text = f"{path}: {error}: events wait in memory (the card may be failing)"
            return Finding(ProblemCode.STORAGE_ERROR, text)
