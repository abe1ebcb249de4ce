"""The thread of a lamp or a buzzer: it plays cues on the outputs, and checks the device meanwhile."""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait
from typing import TYPE_CHECKING

from agent.devices import CHECK_EVERY_S, DeviceWorker, WorkerThread
from agent.indicators import CuePlayer, LampPanel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Future

    from agent.indicators import Light, Panel
    from agent.model import Observation, Role
    from agent.model.effects import Cue
    from drivers.contract import Sink


GATE_FIRST_S = 0.05
"""Longer than a relay board takes to answer, shorter than people notice."""


class _Outputs:
    """The outputs of one signal, as one device."""

    def __init__(self, sinks: Mapping[str, Sink]) -> None:
        self.sinks = sinks

    @property
    def simulated(self) -> bool:
        return any(sink.simulated for sink in self.sinks.values())

    def open(self) -> None:
        for sink in self.sinks.values():
            sink.open()

    def check(self) -> None:
        for sink in self.sinks.values():
            sink.check()

    def close(self) -> None:
        for sink in self.sinks.values():
            sink.close()


class IndicatorWorker(DeviceWorker[_Outputs]):
    """Plays a lane's cues on a lamp or a buzzer.

    Every flash is a pulse that the driver, or the board, ends: a thread that stops leaves no light on.
    """

    def __init__(
        self,
        lane: str,
        part: Role,
        driver: str,
        makes: Mapping[str, Callable[[], Sink]],
        put: Callable[[Observation], None],
        panel: Panel,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`panel`: of this feed alone; `clock`: what it plays by, seconds."""
        super().__init__(lane, part, driver, lambda: _Outputs({of: make() for of, make in makes.items()}), put)
        self._panel = panel
        self._clock = clock
        self._told = threading.Condition()
        self._after: Future[bool] | None = None
        """An opening of the gate that goes first."""

    def show(self, cue: Cue, after: Future[bool] | None = None) -> None:
        """Show it from now on; returns at once. `after`: an opening of the gate that goes first, where both are on
        one wire.
        """
        with self._told:
            self._panel.show(cue, self._clock())
            self._after = after
            self._told.notify_all()

    def call_staff(self, *, is_on: bool) -> None:
        """Have a lamp ask for the staff while nobody is being answered, or no longer; returns at once."""
        if isinstance(self._panel, LampPanel):
            with self._told:
                self._panel.call_staff(self._clock(), is_on=is_on)
                self._told.notify_all()

    def request_stop(self) -> None:
        """Tell the thread to end, also out of its wait for the next flash."""
        super().request_stop()
        with self._told:
            self._told.notify_all()

    def reopen(self) -> None:
        """Close and open again, also out of its wait for the next flash."""
        super().reopen()
        with self._told:
            self._told.notify_all()

    def _use(self, thread: WorkerThread, device: _Outputs) -> None:
        player, check_s = CuePlayer(self._panel), 0.0
        while thread.goes_on:
            thread.heartbeat()
            self._await_gate()
            at_s = self._clock()
            self._items += obey(player.commands(at_s), device.sinks)
            if (at_s := self._clock()) >= check_s:
                device.check()
                check_s = at_s + CHECK_EVERY_S
            with self._told:
                at_s = self._clock()
                if not player.is_due(at_s) and thread.goes_on:
                    self._told.wait(max(0.0, min(player.due_s, check_s) - at_s))

    def _await_gate(self) -> None:
        """Let the gate's thread speak first, but not for long: it may be down."""
        with self._told:
            after, self._after = self._after, None
        if after is not None:
            wait((after,), GATE_FIRST_S)


def obey(commands: Iterable[tuple[Light, float]], sinks: Mapping[str, Sink]) -> int:
    """Carry a player's commands out; how many flashes there were. Raises DriverError."""
    count = 0
    for light, seconds in commands:
        if seconds:
            sinks[light].pulse(seconds)
            count += 1
        else:
            sinks[light].off()
    return count
