"""Lamps and buzzers on their wires: what the boards do when a lane speaks, and what becomes of it when they go."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent import indicators
from agent.config.outputs import Device, Lamp, lamp_class, output_of
from agent.devices import GateWorker
from agent.devices.indicator_worker import IndicatorWorker
from agent.indicators import BuzzerPanel, LampPanel, Light
from agent.model import DeviceDown, DeviceUp, Observation, Role
from agent.model.effects import Cue
from drivers import registry
from drivers.contract import DeviceGone
from drivers.simulators.stand_ins import MAKERS, StandIn, stand_in
from drivers.simulators.world import World
from tests.fair_clock import FairClock

LIMIT_S = 60.0
BOARDS = sorted(name for kind, name in MAKERS if kind == "outputs")
GREEN_S, ANSWER_S = 0.8, 1.0
LATE_S = 1.0
"""A busy machine, on which the simulator runs as well, begins and ends late."""


class Board:
    """A simulated board, and lanes that use it: outputs 1–5 are gate, red, amber, green and buzzer of the first."""

    def __init__(self, stand: StandIn, driver: str) -> None:
        self.plugged, self.device = stand.plugged, stand.device
        self.inbox: queue.Queue[Observation] = queue.Queue()
        self._driver, self._options = driver, stand.options
        self._feeds: list[IndicatorWorker | GateWorker] = []
        self.first = 1 if "relay" in driver else 0
        self.skipped_s = 0.0
        """How far the clock of lamps and buzzers has been put forward."""

    def begin(self, feed: Any) -> Any:
        self._feeds.append(feed)
        feed.start()
        while not isinstance(self.inbox.get(timeout=LIMIT_S).item, DeviceUp):
            pass
        return feed

    def _maker(self, number: int) -> Callable[[], Any]:
        module = registry.load("outputs", self._driver)
        options = module.Options(**self._options, **{output_of(module.Options): number + self.first - 1})
        return partial(module.Driver, options)

    def gate(self, lane: str = "in", at: int = 1) -> GateWorker:
        return self.begin(GateWorker(lane, Role.GATE, self._driver, self._maker(at), self.inbox.put, GREEN_S))

    def lamp(self, lane: str = "in", at: int = 1) -> IndicatorWorker:
        numbers = {light: at + place + self.first for place, light in enumerate(indicators.COLUMN)}
        cls = lamp_class(registry.options_class("outputs", self._driver))
        lamp = Lamp("outputs", self._driver, cls(**self._options, **{str(k): v for k, v in numbers.items()}))
        module = registry.load("outputs", self._driver)
        makes = {Light(light): partial(module.Driver, each.options) for light, each in lamp.lights.items()}
        return self._signal(lane, Role.LAMP, makes, LampPanel(GREEN_S, ANSWER_S))

    def buzzer(self, lane: str = "in", at: int = 5) -> IndicatorWorker:
        return self._signal(lane, Role.BUZZER, {Light.SOUND: self._maker(at)}, BuzzerPanel())

    def _signal(self, lane: str, part: Role, makes: Any, panel: indicators.Panel) -> IndicatorWorker:
        return self.begin(IndicatorWorker(lane, part, self._driver, makes, self.inbox.put, panel, self._clock))

    def _clock(self) -> float:
        return time.monotonic() + self.skipped_s

    def until(self, holds: Callable[[], object]) -> None:
        with self.device.changed:
            assert self.device.changed.wait_for(holds, LIMIT_S)

    def lit(self) -> set[int]:
        return {channel for channel in range(1, 9) if self.device.is_on(channel)}

    def flashes(self, channel: int, since_s: float) -> list[float]:
        """How long each flash that began since was, seconds."""
        return [round(length, 1) for begin_s, length in self.device.pulses(channel) if begin_s >= since_s]

    def close(self) -> None:
        for feed in self._feeds:
            feed.request_stop()
        for feed in self._feeds:
            feed.join(LIMIT_S)
            assert not feed.is_alive()


def assert_lengths(flashes: list[float], wanted: list[float]) -> None:
    assert len(flashes) == len(wanted)
    for length_s, wanted_s in zip(flashes, wanted, strict=True):
        assert 0 < length_s <= wanted_s + LATE_S


GATE, RED, AMBER, GREEN, SOUND = range(1, 6)


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    stand = stand_in("outputs", request.param, World(noise_c=0.0), tmp_path)
    with stand.here():
        made = Board(stand, request.param)
        yield made
        made.close()


def test_the_wire_carries_the_way_of_a_person(board: Board) -> None:
    lamp = board.lamp()
    board.until(lambda: board.lit() == {RED, AMBER})
    lamp.show(Cue.READY)
    board.until(lambda: board.lit() == {AMBER})
    lamp.show(Cue.MEASURE)
    board.until(lambda: board.lit() == set())
    lamp.show(Cue.WAIT)
    begun_s = time.monotonic()
    board.until(lambda: len(board.flashes(AMBER, begun_s)) >= 3)
    lamp.show(Cue.ADMIT)
    lamp.show(Cue.READY)
    board.until(lambda: board.lit() == {GREEN})
    board.until(lambda: board.lit() == {AMBER})
    ((green_s, length_s),) = board.device.pulses(GREEN)
    assert_lengths([length_s], [GREEN_S])
    assert not board.flashes(RED, green_s)


def test_each_answer_sounds_as_it_should(board: Board) -> None:
    buzzer = board.buzzer()
    for cue in (Cue.ADMIT, Cue.REFER, Cue.REFUSE):
        begun_s = time.monotonic()
        buzzer.show(cue)
        rhythm = indicators.PATTERNS[cue].sound[::2]
        board.until(lambda since_s=begun_s, rhythm=rhythm: len(board.flashes(SOUND, since_s)) == len(rhythm))
        assert_lengths(board.flashes(SOUND, begun_s), list(rhythm))


def test_gate_lamp_and_buzzer_of_a_lane_share_a_board(board: Board) -> None:
    gate, lamp, buzzer = board.gate(), board.lamp(), board.buzzer()
    lamp.show(Cue.READY)
    board.until(lambda: board.lit() == {AMBER})
    begun_s = time.monotonic()
    gate.open_gate()
    for feed in (lamp, buzzer):
        feed.show(Cue.ADMIT)
    board.until(lambda: {GATE, GREEN} <= board.lit())
    board.until(lambda: board.lit() == {AMBER})
    for channel in (GATE, GREEN):
        assert_lengths(board.flashes(channel, begun_s), [GREEN_S])
    assert len(board.flashes(SOUND, begun_s)) == 1


def test_stopping_leaves_everything_dark_and_quiet(board: Board) -> None:
    lamp, buzzer = board.lamp(), board.buzzer()
    lamp.show(Cue.REFUSE)
    buzzer.show(Cue.REFUSE)
    board.until(lambda: {RED, SOUND} <= board.lit())
    board.close()
    board.until(lambda: board.lit() == set())


def test_a_lamp_that_was_pulled_comes_back_and_shows_what_holds_then(board: Board) -> None:
    lamp = board.lamp()
    lamp.show(Cue.READY)
    board.until(lambda: board.lit() == {AMBER})
    board.plugged.unplug()
    while not isinstance((seen := board.inbox.get(timeout=LIMIT_S)).item, DeviceDown):
        pass
    assert (seen.lane, seen.role) == ("in", Role.LAMP)
    assert not lamp.status().up
    lamp.show(Cue.ADMIT)
    lamp.show(Cue.READY)
    pulled_s = time.monotonic()
    board.skipped_s += GREEN_S + 0.1  # longer than the answer is worth
    for channel in (RED, AMBER, GREEN):
        board.device.switch(channel, on=False)  # a board without power drops its relays
    board.plugged.plug()
    board.until(lambda: board.lit() == {AMBER})
    assert not board.flashes(GREEN, pulled_s), "green for somebody who had gone"


def test_telling_never_waits_for_a_lamp_that_hangs(fair_clock: FairClock) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Hanging:
        simulated = True

        def open(self) -> None:
            pass

        def pulse(self, seconds: float) -> None:
            entered.set()
            leave.wait(LIMIT_S)

        def off(self) -> None:
            pass

        check = close = off

    feed = IndicatorWorker(
        "in",
        Role.LAMP,
        "hanging",
        dict.fromkeys(indicators.COLUMN, Hanging),
        lambda _: None,
        LampPanel(1, 1),
    )
    feed.start()
    assert entered.wait(LIMIT_S)
    begun_s = fair_clock()
    for cue in itertools.islice(itertools.cycle(Cue), 1000):
        feed.show(cue)
    assert fair_clock() - begun_s < 1.0
    leave.set()
    feed.request_stop()
    feed.join(LIMIT_S)
    assert not feed.is_alive()


def test_a_light_that_cannot_be_opened_is_a_lamp_that_is_down() -> None:
    class Gone:
        simulated = True

        def open(self) -> None:
            raise DeviceGone("board", "is not there", "plug it in")

        def close(self) -> None:
            pass

    inbox: queue.Queue[Observation] = queue.Queue()
    feed = IndicatorWorker(
        "in",
        Role.LAMP,
        "gone",
        dict.fromkeys(indicators.COLUMN, Gone),  # type: ignore[arg-type] # only what is called
        inbox.put,
        LampPanel(1, 1),
    )
    feed.start()
    down = inbox.get(timeout=LIMIT_S).item
    assert isinstance(down, DeviceDown)
    assert "plug it in" in down.error
    feed.request_stop()
    feed.join(LIMIT_S)


def test_two_lanes_share_one_board_of_eight(tmp_path: Path) -> None:
    stand = stand_in("outputs", "serial_relay", World(noise_c=0.0), tmp_path)
    with stand.here():
        board = Board(stand, "serial_relay")
        left, right = board.lamp("left", 1), board.lamp("right", 5)
        for lamp in (left, right):
            lamp.show(Cue.READY)
        board.until(lambda: board.lit() == {3, 7})
        right.show(Cue.REFUSE)
        left.show(Cue.ADMIT)
        board.until(lambda: board.lit() == {4, 6})
        assert not board.device.pulses(8)
        assert not [True for _, channel, on in board.device.changes if channel == 8 and on]
        board.close()
        board.until(lambda: board.lit() == set())


def test_a_device_of_a_lamp_is_an_output_of_its_driver() -> None:
    cls = lamp_class(registry.options_class("outputs", "pcf8574"))
    lamp = Lamp("outputs", "pcf8574", cls(red=5, amber=6, green=7, address=0x21))
    assert lamp.lights["green"] == Device(
        "outputs", "pcf8574", registry.options_class("outputs", "pcf8574")(pin=7, address=0x21)
    )
