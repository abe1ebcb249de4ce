"""Invitations that are held before a camera of a kiosk that has no configuration yet."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from drivers import discovery, registry
from drivers.contract import DriverError, Sighting

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK_S = 0.5
_SEARCH_EVERY = 10
"""Looks without a camera, until one is searched for again."""


class Cameras:
    """All that are plugged in. One thread."""

    def __init__(self) -> None:
        self._open: list[Any] = []
        self._looks = 0

    def read(self) -> Iterator[bytes]:
        """What each sees now."""
        if not self._open and self._looks % _SEARCH_EVERY == 0:
            self._search()
        self._looks += 1
        for camera in list(self._open):
            try:
                item = camera.read(_LOOK_S)
            except (DriverError, OSError):
                self._open.remove(camera)
                with suppress(Exception):
                    camera.close()
                continue
            if isinstance(item, Sighting):
                yield item.payload

    def close(self) -> None:
        """Let go of them."""
        for camera in self._open:
            with suppress(Exception):
                camera.close()
        self._open.clear()

    def _search(self) -> None:
        module = registry.load("scanners", "camera")
        for found in discovery.cameras():
            camera = module.Driver(module.Options(device=found.name))
            with suppress(DriverError, OSError):
                camera.open()
                self._open.append(camera)
