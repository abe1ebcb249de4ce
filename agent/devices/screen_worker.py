"""The screen of a lane as a device: up while it paints, down when it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.devices import DeviceWorker, WorkerThread
from agent.model import Role
from drivers.contract import BadReply, DeviceGone

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.model import Observation

DRIVER = "web"
_LOOK_S = 0.25
_REMEDY = "systemctl status gatepost-screen 'gatepost-display@*'"


class Screen:
    """A screen that another process paints."""

    simulated = False

    def __init__(self, trouble: Callable[[], str]) -> None:
        """`trouble`: why it cannot be relied on now."""
        self._trouble = trouble

    def open(self) -> None:
        """See whether it paints. Raises DeviceGone."""
        if trouble := self._trouble():
            raise DeviceGone("screen", trouble, _REMEDY)

    def check(self) -> None:
        """See whether it still paints. Raises BadReply."""
        if trouble := self._trouble():
            raise BadReply("screen", trouble, _REMEDY)

    def close(self) -> None:
        """Nothing is held."""


class ScreenWorker(DeviceWorker[Screen]):
    """Looks after a lane's screen."""

    def __init__(self, lane: str, trouble: Callable[[], str], put: Callable[[Observation], None]) -> None:
        """`trouble`: see Screen."""
        super().__init__(lane, Role.SCREEN, DRIVER, lambda: Screen(trouble), put)

    def _use(self, thread: WorkerThread, device: Screen) -> None:
        while thread.goes_on:
            thread.wait(_LOOK_S)
            device.check()
