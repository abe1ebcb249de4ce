"""For `gatepost devices`: play a lamp's or a buzzer's patterns in turn; switch every output off."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from agent.config.outputs import Lamp
from agent.devices.indicator_worker import obey
from agent.indicators import COLUMN, PATTERNS, BuzzerPanel, CuePlayer, LampPanel, Light, Panel
from agent.model.effects import Cue
from agent.texts import CATALOGUE
from drivers import registry
from drivers.contract import DriverError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.config.outputs import Device
    from drivers.contract import Sink

_LIGHT_S, _CUE_S, _PAUSE_S = 1.0, 4.0, 0.3
_PLACES = {Light.RED: "above", Light.AMBER: "in the middle", Light.GREEN: "below"}


def show(device: Device, seconds: float) -> int:
    """Every light by itself, then every cue, until all were shown or the time is up; 1 when the device fails."""
    end_s = time.monotonic() + seconds if seconds else float("inf")
    with ExitStack() as stack:
        try:
            if isinstance(device, Lamp):
                sinks = _open(device.lights, stack)
                _show_lights(sinks, end_s)
                _show_cues(list(Cue), sinks, LampPanel(_CUE_S, _CUE_S), end_s)
            else:
                sinks = _open({Light.SOUND: device}, stack)
                _show_cues([cue for cue in Cue if PATTERNS[cue].sound], sinks, BuzzerPanel(), end_s)
        except KeyboardInterrupt:
            print()
        except DriverError as trouble:
            print(trouble, file=sys.stderr)
            return 1
    return 0


def switch_off(outputs: Mapping[str, Device], *, quiet: bool = False) -> int:
    """Open every output, which brings it to its safe state, and close it; 1 when one could not be reached.
    `quiet`: only those are named.
    """
    status = 0
    for name, device in outputs.items():
        with ExitStack() as stack:
            try:
                _open({name: device}, stack)
                if not quiet:
                    print(f"{name}: off")
            except DriverError as trouble:
                print(f"{name}: {trouble}", file=sys.stderr)
                status = 1
    return status


def _open(outputs: Mapping[str, Device], stack: ExitStack) -> dict[str, Sink]:
    sinks = {}
    for name, device in outputs.items():
        sink: Sink = registry.load(device.kind, device.driver).Driver(device.options)
        stack.callback(sink.close)
        sink.open()
        sinks[str(name)] = sink
    return sinks


def _show_lights(sinks: Mapping[str, Sink], end_s: float) -> None:
    for light in COLUMN:
        if time.monotonic() < end_s:
            print(f"the {light} light, {_PLACES[light]}, and no other", flush=True)
            sinks[light].pulse(_LIGHT_S)
            time.sleep(_LIGHT_S + _PAUSE_S)


def _show_cues(cues: list[Cue], sinks: Mapping[str, Sink], panel: Panel, end_s: float) -> None:
    player = CuePlayer(panel)
    for cue in cues:
        at_s = time.monotonic()
        until_s = min(at_s + _CUE_S, end_s)
        if at_s < until_s:
            print(f"{cue}: {' '.join(CATALOGUE['cue'][cue])}", flush=True)
            panel.show(cue, at_s)
        while (at_s := time.monotonic()) < until_s:
            obey(player.commands(at_s), sinks)
            time.sleep(max(0.0, min(player.due_s, until_s) - time.monotonic()))
