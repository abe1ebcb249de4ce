"""The pages' end of the watch socket: the pictures as they are now, for every page that follows them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from agent.web.options import PanelOptions
from agent.web.pictures import STAFF, compose

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

log = logging.getLogger(__name__)

SILENT_S = 0.8
"""So long without a beat of the agent, and every screen sends people to the staff."""
RETRY_S = 0.25
_MOST_BYTES = 65536


class Feed:
    """Follows the agent's pictures; comes back when the agent does."""

    def __init__(self, socket: Path, port: int) -> None:
        """`socket`: the watch door; `port`: where a browser on this machine finds the pages."""
        self._socket, self._port = socket, port
        self._panels: dict[str, PanelOptions] = {}
        self._pictures: dict[str, dict[str, Any]] = {}
        self._unknown = {"picture": "starting"}
        """What lanes show of which nothing is known."""
        self._beat_s = float("-inf")
        self._beats = 0
        self._changed = asyncio.Condition()
        self._writer: asyncio.StreamWriter | None = None

    @property
    def lanes(self) -> tuple[str, ...]:
        """Lanes of the agent that was there last."""
        return tuple(self._panels)

    def picture(self, lane: str) -> dict[str, Any]:
        """What the lane's page shows now."""
        return compose(self._pictures.get(lane, self._unknown), self._panels.get(lane, PanelOptions()))

    async def follow(self, lane: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """(`picture`, …) whenever it changes and (`beat`, {}) as the agent beats: the latest, never a queue."""
        told: dict[str, Any] = {}
        beats = self._beats
        while True:
            picture = self.picture(lane)
            if picture != told:
                told = picture
                yield "picture", picture
            if self._beats != beats:
                beats = self._beats
                yield "beat", {}
            async with self._changed:
                if self.picture(lane) == told and self._beats == beats:
                    await self._changed.wait()

    async def painted(self, lane: str, number: int) -> None:
        """Tell the agent that the screen shows a picture."""
        if self._writer is not None and lane in self._panels:
            with contextlib.suppress(OSError):
                self._writer.write(_line({"lane": lane, "painted": number}))

    async def run(self) -> None:
        """Follow, for ever."""
        while True:
            with contextlib.suppress(OSError, ValueError, TimeoutError):
                await self._session()
            await self._forget()
            await asyncio.sleep(RETRY_S)

    async def _session(self) -> None:
        """One connection, until it ends or is silent for too long."""
        reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=_MOST_BYTES)
        try:
            writer.write(_line({"port": self._port}))
            self._writer = writer
            self._beat_s = time.monotonic()
            while True:
                line = await asyncio.wait_for(
                    reader.readline(), max(0.05, self._beat_s + SILENT_S - time.monotonic())
                )
                if not line:
                    return
                await self._on_line(json.loads(line))
        finally:
            self._writer = None
            writer.close()

    async def _on_line(self, said: dict[str, Any]) -> None:
        match said:
            case {"beat": True}:
                self._beat_s, self._beats = time.monotonic(), self._beats + 1
            case {"lanes": dict() as lanes}:
                self._panels = {lane: PanelOptions(**panel) for lane, panel in lanes.items()}
            case {"lane": str() as lane, "number": int()}:
                self._pictures[lane] = said
        async with self._changed:
            self._changed.notify_all()

    async def _forget(self) -> None:
        """The agent is not there, or does not move: pages get none of its earlier pictures."""
        if self._pictures:
            log.warning("the agent does not answer: every screen sends people to the staff")
            self._pictures, self._unknown = {}, {"picture": STAFF}
        async with self._changed:
            self._changed.notify_all()


def _line(said: dict[str, Any]) -> bytes:
    """As the door expects it."""
    return json.dumps(said).encode() + b"\n"
