"""What was accepted last, remembered apart from the files themselves: a lost or an older file is then noticed.

One JSON file (`KeptJson`). Where there never was one, nothing is remembered. Where it was damaged, what is accepted
since is remembered; of all else it stays unknown, until somebody removes the file, whether there was any.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from agent.platform.kept_json import KeptJson, LostFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_WRITING = threading.Lock()
_DAMAGED = "!"
"""Entry of a file that was started over: no name is like it."""


class BadRecord(ValueError):
    """The file of accepted versions cannot be used; `str()` is one sentence."""


class AcceptedVersions:
    """Name → the members that were kept of it."""

    def __init__(self, file: Path) -> None:
        self._file = KeptJson(file)

    def get(self, name: str) -> dict[str, object] | None:
        """What was kept of a name; None: nothing ever was. Raises BadRecord, or OSError."""
        entries = self._read()
        if name not in entries and _DAMAGED in entries:
            raise BadRecord(f"{self._file.path} was damaged: {self._remedy}")
        return entries.get(name)

    def get_all(self, names: Iterable[str]) -> dict[str, dict[str, object]]:
        """What was kept of these, as far as anything was. Raises BadRecord, or OSError."""
        entries = self._read()
        return {name: entries[name] for name in names if name in entries}

    def store(self, name: str, members: dict[str, object]) -> None:
        """Keep this of a name, durably. Raises OSError. A damaged file is started over, and says so."""
        self.store_all({name: members})

    def store_all(self, changed: Mapping[str, dict[str, object]]) -> None:
        """Keep this of each of these names, in one step."""
        with _WRITING:
            try:
                entries = self._read()
            except BadRecord:
                entries = {_DAMAGED: {}}
            if any(entries.get(name) != members for name, members in changed.items()):
                self._file.write({**entries, **changed})

    def change_all(self, members: dict[str, object]) -> None:
        """Set these members of every entry. Raises OSError. A damaged file stays, and is told when it is read."""
        try:
            names = list(self._read())
        except BadRecord:
            return
        for name in names:
            if name == _DAMAGED:
                continue
            self.store(name, {**(self.get(name) or {}), **members})

    def _read(self) -> dict[str, dict[str, object]]:
        try:
            return dict(self._file.read() or {})
        except LostFile as error:
            raise BadRecord(f"{error}: {self._remedy}") from None

    @property
    def _remedy(self) -> str:
        path = self._file.path
        return f"what was accepted last is not known (is all here the newest, then remove {path}*)"
