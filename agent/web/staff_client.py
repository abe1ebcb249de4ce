"""The pages' end of the staff socket: one request, one answer. An unknown request is refused."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 6.0
_MOST_BYTES = 1 << 18


class StaffClient:
    """Asks the agent. It decides; nothing is decided here."""

    def __init__(self, socket: Path) -> None:
        """`socket`: the staff door."""
        self._socket = socket

    async def request(self, said: dict[str, Any]) -> dict[str, Any]:
        """The agent's answer; `timeout` when it gives none."""
        try:
            async with asyncio.timeout(LIMIT_S):
                reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=_MOST_BYTES)
                try:
                    writer.write(json.dumps(said, ensure_ascii=False).encode() + b"\n")
                    answer = json.loads(await reader.readline())
                finally:
                    writer.close()
        except (OSError, ValueError, TimeoutError):
            return {"refused": "timeout"}
        return answer if isinstance(answer, dict) else {"refused": "timeout"}
