"""What was accepted last, remembered apart from the files themselves: a lost or an older file is then noticed.

One JSON file with a digest over its entries. Where there is none yet, nothing is remembered.
"""

from __future__ import annotations

import json
import threading
from hashlib import sha256
from typing import TYPE_CHECKING

from agent.platform.files import replace_file

if TYPE_CHECKING:
    from pathlib import Path

_WRITING = threading.Lock()


class BadRecord(ValueError):
    """The file of accepted versions cannot be used; `str()` is one sentence."""


class AcceptedVersions:
    """Name → the members that were kept of it."""

    def __init__(self, file: Path) -> None:
        self._file = file

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
            text = json.dumps(entries | {name: members}, sort_keys=True)
            whole = {"entries": text, "sha256": sha256(text.encode()).hexdigest()}
            self._file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._file, (json.dumps(whole).encode(),))

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
            match json.loads(self._file.read_bytes()):
                case {"entries": str(text), "sha256": digest} if sha256(text.encode()).hexdigest() == digest:
                    found = json.loads(text)
                    return dict(found)
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            pass
        raise BadRecord(f"{self._file} is damaged: what was accepted last is not known")
