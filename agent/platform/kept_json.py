"""A JSON file that a kiosk keeps for itself, and that tells "never there" from lost: gone, emptied, damaged, older.

The file carries a digest and how often it was written; a small file beside it (`HighWater`) carries that number
too. So no single loss goes unnoticed. Who goes back on purpose removes both.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from agent.platform import checked_json
from agent.platform.files import MOST_TEXT_BYTES, read_bytes, replace_file
from agent.platform.high_water import HighWater

if TYPE_CHECKING:
    from pathlib import Path


class LostFile(ValueError):
    """What was kept is not here, or not as it was written last; `str()` is one sentence."""


class KeptJson:
    """One file. Not thread-safe."""

    def __init__(self, path: Path, mode: int = 0o666) -> None:
        """`mode`: less the umask."""
        self.path, self._mode = path, mode
        self._high_water = HighWater(path)
        self._count = 0

    def read(self) -> Any:
        """What was written last; None: nothing ever was. Raises LostFile, OSError."""
        try:
            known = self._high_water.read()
        except ValueError as error:
            raise LostFile(str(error)) from None
        try:
            document = checked_json.unpack(read_bytes(self.path, MOST_TEXT_BYTES))
        except FileNotFoundError:
            if known is None:
                return None
            raise LostFile(f"{self.path} was there before and is gone") from None
        except ValueError as error:
            raise LostFile(f"{self.path} is damaged ({error})") from None
        except OSError as error:
            if error.errno == errno.EFBIG:
                raise LostFile(f"{self.path} is damaged ({error.strerror})") from None
            raise
        match document:
            case {"count": int(count), "kept": kept} if count >= (known or 0):
                self._count = count
                if count != known:
                    self._high_water.write(count)  # it was lost, or a power cut came before it
                return kept
            case {"count": int(count), "kept": _}:
                raise LostFile(f"{self.path} is an older one: it was written {known} times, this is number {count}")
        raise LostFile(f"{self.path} is not as it was written")

    def write(self, content: object) -> None:
        """Keep it, durably. Raises OSError; then what was there stays."""
        count = max(self._count, self._marked()) + 1
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.path, (checked_json.pack({"count": count, "kept": content}),), self._mode)
        self._count = count
        self._high_water.write(count)

    def _marked(self) -> int:
        try:
            return self._high_water.read() or 0
        except (ValueError, OSError):
            return 0
