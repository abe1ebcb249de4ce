"""What was accepted last, remembered apart from the files themselves: a lost or an older file is then noticed.

One JSON file (`KeptJson`). Where there never was one, nothing is remembered.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from agent.platform.kept_json import KeptJson, LostFile

if TYPE_CHECKING:
    from pathlib import Path

_WRITING = threading.Lock()


class BadRecord(ValueError):
    """The file of accepted versions cannot be used; `str()` is one sentence."""


class AcceptedVersions:
    """Name → the members that were kept of it."""

    def __init__(self, file: Path) -> None:
        self._file = KeptJson(file)

    def get(self, name: str) -> dict[str, object] | None:
        """What was kept of a name. Raises BadRecord, or OSError."""
        return self._read().get(name)

    def store(self, name: str, members: dict[str, object]) -> None:
        """Keep this of a name, durably. Raises OSError. A damaged file is started over."""
        with _WRITING:
            try:
                entries = self._read()
            except BadRecord:
                entries = {}
            if entries.get(name) == members:
                return
            self._file.write(entries | {name: members})

    def change_all(self, members: dict[str, object]) -> None:
        """Set these members of every entry. Raises OSError. A damaged file stays, and is told when it is read."""
        try:
            names = list(self._read())
        except BadRecord:
            return
        for name in names:
            self.store(name, {**(self.get(name) or {}), **members})

    def _read(self) -> dict[str, dict[str, object]]:
        try:
            return dict(self._file.read() or {})
        except LostFile as error:
            path = self._file.path
            raise BadRecord(
                f"{error}: what was accepted last is not known (is all here the newest, then remove {path}*)"
            ) from None
