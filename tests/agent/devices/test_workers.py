"""The life of a device: opened, used, lost, opened again; and one device's fault is nobody else's."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent import devices as feeds
from agent.devices import GateWorker, SensorWorker
from agent.devices.backoff import Backoff
from agent.model import DeviceDown, DeviceUp, Observation, Role
from drivers.contract import BadReply, DeviceGone, Distance, Frozen, Item, Reading, Sighting

LIMIT_S = 60.0


class Script:
    """A source that plays a list: an item, None, or an error to raise. After the list it is silent."""

    simulated = True

    def __init__(self, *plays: Item | Exception | None) -> None:
        self.plays = iter(plays)
        self.closed = 0

    def open(self) -> None:
        pass

    def read(self, limit_s: float) -> Item | None:
        play = next(self.plays, None)
        if isinstance(play, Exception):
            raise play
        return play

    def close(self) -> None:
        self.closed += 1


class Relay:
    """A gate that remembers; `broken` makes it go."""

    simulated = False

    def __init__(self) -> None:
        self.pulses: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.broken = threading.Event()

    def open(self) -> None:
        if self.broken.is_set():
            raise DeviceGone("relay", "is not there", "plug it in")

    def pulse(self, seconds: float) -> None:
        self.pulses.put(seconds)

    def check(self) -> None:
        self.open()

    def close(self) -> None:
        pass


@pytest.fixture
def inbox() -> queue.Queue[Observation]:
    return queue.Queue()


Start = Callable[[SensorWorker | GateWorker], None]


@pytest.fixture
def start() -> Iterator[Start]:
    feeds: list[SensorWorker | GateWorker] = []

    def begin(feed: SensorWorker | GateWorker) -> None:
        feeds.append(feed)
        feed.start()

    yield begin
    for feed in feeds:
        feed.request_stop()
    for feed in feeds:
        feed.join(LIMIT_S)
        assert not feed.is_alive()


def next_of(inbox: queue.Queue[Observation], kind: type) -> Observation:
    deadline_s = time.monotonic() + LIMIT_S
    while True:
        seen = inbox.get(timeout=max(0.01, deadline_s - time.monotonic()))
        if isinstance(seen.item, kind):
            return seen


def test_items_come_out_with_their_lane(inbox: queue.Queue[Observation], start: Start) -> None:
    reading = Reading(34.4, 1.0, 0.5)
    start(SensorWorker("in", Role.THERMOMETER, "script", lambda: Script(None, reading), inbox.put))
    up = next_of(inbox, DeviceUp)
    assert up.item == DeviceUp(up.item.at_s, "script", simulated=True)
    assert next_of(inbox, Reading) == Observation("in", Role.THERMOMETER, reading)


def test_the_page_about_health_says_what_counts_as_a_flood() -> None:
    page = (Path(__file__).parents[3] / "docs" / "health.md").read_text(encoding="utf-8")
    at_once = f"more than {feeds.CODES_AT_ONCE} codes (or {feeds.READINGS_AT_ONCE} readings) at once"
    assert f"{at_once} and then more than {feeds.CODES_PER_S:.0f} ({feeds.READINGS_PER_S:.0f}) a second" in page


@pytest.mark.parametrize(
    ("item", "what", "most"),
    [
        (Sighting(b"x", 1.0), "codes", feeds.CODES_AT_ONCE),
        (Reading(34.0, 1.0, 0.5), "readings", feeds.READINGS_AT_ONCE),
        (Distance(0.5, 1.0), "readings", feeds.READINGS_AT_ONCE),
    ],
)
def test_a_flood_is_a_fault_of_its_device(
    inbox: queue.Queue[Observation], start: Start, item: Item, what: str, most: int
) -> None:
    scripts = iter((Script(*[item] * 5000), Script(*[item] * 10)))
    feed = SensorWorker("in", Role.SCANNER, "script", lambda: next(scripts), inbox.put)
    start(feed)
    next_of(inbox, DeviceUp)
    down = next_of(inbox, DeviceDown)
    assert isinstance(down.item, DeviceDown)
    assert f"floods: more than {most} {what}" in down.item.error
    assert most <= feed.status().items < most + 1000, "and it was closed there"
    next_of(inbox, DeviceUp)
    next_of(inbox, type(item))


class Line(Script):
    """Plays what has come by now when it is asked without a limit; else waits for the next."""

    def __init__(self, *plays: Item | Exception | None) -> None:
        super().__init__(*plays)
        self.limits: list[float] = []

    def read(self, limit_s: float) -> Item | None:
        self.limits.append(limit_s)
        return super().read(limit_s)


def test_after_a_nap_only_the_newest_of_what_was_measured_meanwhile_counts(
    inbox: queue.Queue[Observation], start: Start
) -> None:
    first, old, newest, warm = (Reading(surface_c, 1.0, 0.5) for surface_c in (22.0, 22.1, 22.2, 34.0))
    naps = iter((True, False))  # nobody there, then somebody has come
    line = Line(first, old, newest, None, warm)
    start(SensorWorker("in", Role.THERMOMETER, "script", lambda: line, inbox.put, lambda _: next(naps, False)))
    assert [next_of(inbox, Reading).item for _ in range(3)] == [first, newest, warm]
    assert line.limits[:5] == [feeds.READ_LIMIT_S, 0.0, 0.0, 0.0, feeds.READ_LIMIT_S]


def test_a_device_that_is_lost_during_a_nap_is_told(inbox: queue.Queue[Observation], start: Start) -> None:
    scripts = iter([Script(Reading(22.0, 1.0, 0.5), DeviceGone("ttyUSB0", "was unplugged"), None)])
    start(SensorWorker("in", Role.THERMOMETER, "script", lambda: next(scripts), inbox.put, lambda _: True))
    down = next_of(inbox, DeviceDown)
    assert "was unplugged" in down.item.error  # type: ignore[union-attr]


def test_a_thermometer_that_was_found_hung_is_believed_once_it_says_something_else(
    inbox: queue.Queue[Observation], start: Start
) -> None:
    hung, alive = Reading(34.4, 1.0, 0.5, sensor_c=25.0), Reading(34.4, 3.0, 0.5, sensor_c=25.1)
    frozen = Frozen("ttyUSB0", "repeats one value")
    scripts = iter([Script(hung, frozen), Script(hung, hung, frozen), Script(hung, alive, hung)])
    start(SensorWorker("in", Role.THERMOMETER, "script", lambda: next(scripts), inbox.put))
    assert [next_of(inbox, Reading).item for _ in range(3)] == [hung, alive, hung]


def test_one_that_hangs_still_is_soon_down_again(inbox: queue.Queue[Observation], start: Start) -> None:
    hung, later = (Reading(34.4, at_s, 0.5) for at_s in (1.0, time.monotonic() + 1000))
    frozen = Frozen("ttyUSB0", "repeats one value")
    scripts = iter([Script(hung, frozen), Script(hung, later), Script()])
    start(SensorWorker("in", Role.THERMOMETER, "script", lambda: next(scripts), inbox.put))
    downs = [next_of(inbox, DeviceDown).item.error for _ in range(2)]  # type: ignore[union-attr]
    assert "still repeats one value" in downs[1]


def test_a_lost_device_is_said_once_and_comes_back(inbox: queue.Queue[Observation], start: Start) -> None:
    gone = DeviceGone("ttyUSB0", "was unplugged", "plug it in again")
    scripts = iter([Script(gone), Script(gone), Script(Reading(34.0, 2.0, 0.5))])
    start(SensorWorker("in", Role.THERMOMETER, "script", lambda: next(scripts), inbox.put))
    next_of(inbox, DeviceUp)
    down = next_of(inbox, DeviceDown)
    assert "plug it in again" in down.item.error  # type: ignore[union-attr]
    next_of(inbox, DeviceUp)
    next_of(inbox, Reading)


def test_a_device_that_cannot_be_opened_is_not_said_every_time(
    inbox: queue.Queue[Observation], start: Start
) -> None:
    tries = threading.Semaphore(0)

    def make() -> Script:
        tries.release()
        raise DeviceGone("ttyUSB0", "is not there")

    start(SensorWorker("in", Role.SCANNER, "script", make, inbox.put))
    for _ in range(3):
        assert tries.acquire(timeout=LIMIT_S)
    assert isinstance(inbox.get(timeout=LIMIT_S).item, DeviceDown)
    assert inbox.empty()


@pytest.mark.parametrize("fault", [BadReply("ttyUSB0", "talks nonsense"), ZeroDivisionError("a driver's bug")])
def test_any_fault_leads_back_to_opening(
    inbox: queue.Queue[Observation], start: Start, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    first = Script(fault)
    scripts = iter([first, Script()])
    start(SensorWorker("in", Role.SCANNER, "script", lambda: next(scripts), inbox.put))
    next_of(inbox, DeviceDown)
    next_of(inbox, DeviceUp)
    assert first.closed == 1
    assert ("driver failed" in caplog.text) == isinstance(fault, ZeroDivisionError)


def test_a_gate_obeys_at_once(inbox: queue.Queue[Observation], start: Start) -> None:
    relay = Relay()
    gate = GateWorker("in", Role.GATE, "relay", lambda: relay, inbox.put, release_s=1.5)
    start(gate)
    next_of(inbox, DeviceUp)
    gate.open_gate()
    assert relay.pulses.get(timeout=LIMIT_S) == 1.5


def test_an_opening_commanded_while_the_gate_was_away_lapses(inbox: queue.Queue[Observation], start: Start) -> None:
    relay, now = Relay(), [100.0]
    relay.broken.set()
    gate = GateWorker("in", Role.GATE, "relay", lambda: relay, inbox.put, release_s=1.5, clock=lambda: now[0])
    start(gate)
    next_of(inbox, DeviceDown)
    gate.open_gate()
    assert not gate.status().up
    now[0] += 1.1  # longer than a command lives
    relay.broken.clear()
    next_of(inbox, DeviceUp)
    gate.open_gate()
    assert relay.pulses.get(timeout=LIMIT_S) == 1.5
    assert relay.pulses.empty(), "the command from before was carried out for somebody who had gone"


@pytest.mark.parametrize(("lapse_s", "opens"), [(feeds.LATE_ENTRY_S, False), (feeds.LATE_EXIT_S, True)])
def test_a_gate_that_is_busy_opens_late_for_who_leaves_and_not_for_who_comes(
    inbox: queue.Queue[Observation], start: Start, monkeypatch: pytest.MonkeyPatch, lapse_s: float, opens: bool
) -> None:
    relay, now, checks, is_free = Relay(), [100.0], threading.Event(), threading.Event()

    def check() -> None:
        checks.set()
        is_free.wait(LIMIT_S)

    monkeypatch.setattr(relay, "check", check)
    gate = GateWorker(
        "out", Role.GATE, "relay", lambda: relay, inbox.put, 1.5, clock=lambda: now[0], lapse_s=lapse_s
    )
    start(gate)
    assert checks.wait(LIMIT_S)
    done = gate.open_gate()
    now[0] += feeds.USE_LIMIT_S  # the board has taken so long to answer
    is_free.set()
    assert done.result(LIMIT_S) is opens


def test_what_was_commanded_before_the_gate_was_lost_is_not_carried_out_when_it_is_back(
    inbox: queue.Queue[Observation], start: Start
) -> None:
    relay, now = Relay(), [100.0]
    relay.broken.set()
    gate = GateWorker(
        "out", Role.GATE, "relay", lambda: relay, inbox.put, 1.5, clock=lambda: now[0], lapse_s=feeds.LATE_EXIT_S
    )
    start(gate)
    next_of(inbox, DeviceDown)
    before = gate.open_gate()
    now[0] += 0.1
    relay.broken.clear()
    next_of(inbox, DeviceUp)
    assert gate.open_gate().result(LIMIT_S)
    assert not before.result(LIMIT_S), "who asked may have left; the checkpoint knows, and commands again"


def test_stopping_a_gate_is_no_lapsed_opening(
    inbox: queue.Queue[Observation], caplog: pytest.LogCaptureFixture
) -> None:
    feed = GateWorker("in", Role.GATE, "relay", Relay, inbox.put, 1.0)
    feed.start()
    next_of(inbox, DeviceUp)
    feed.request_stop()
    feed.join(LIMIT_S)
    assert not feed.is_alive()
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_gate_that_goes_is_noticed_without_a_command(inbox: queue.Queue[Observation], start: Start) -> None:
    relay = Relay()
    start(GateWorker("in", Role.GATE, "relay", lambda: relay, inbox.put, release_s=1.0))
    next_of(inbox, DeviceUp)
    relay.broken.set()
    next_of(inbox, DeviceDown)


def test_a_driver_that_cannot_say_whether_it_is_simulated_harms_only_itself(
    start: Start, inbox: queue.Queue[Observation]
) -> None:
    class Unfinished(Script):
        @property
        def simulated(self) -> bool:  # type: ignore[override]
            raise AttributeError("not written yet")

    feed = SensorWorker("entry", Role.SCANNER, "unfinished", Unfinished, inbox.put)
    start(feed)
    down = inbox.get(timeout=LIMIT_S).item
    assert isinstance(down, DeviceDown)
    assert "AttributeError" in down.error
    assert not feed.status().up


class Stuck(Script):
    """Hangs in a call that nothing can end from outside but `freed`; then it plays its list."""

    def __init__(self, *plays: Item | Exception | None, freed: threading.Event) -> None:
        super().__init__(*plays)
        self.freed = freed
        self.inside = threading.Event()

    def read(self, limit_s: float) -> Item | None:
        self.inside.set()
        self.freed.wait(LIMIT_S)
        return super().read(limit_s)


@pytest.fixture
def freed() -> Iterator[threading.Event]:
    """Lets all threads go that hang, at the end at the latest."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits and pauses that a test can wait for."""
    monkeypatch.setattr(feeds, "USE_LIMIT_S", 0.05)
    monkeypatch.setattr(feeds, "FAULT_BACKOFF", Backoff((0.01,), healthy_s=600.0))
    monkeypatch.setattr(feeds, "OPEN_LIMIT_S", 0.1)


def wait(until: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not until():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def watched(feed: SensorWorker | GateWorker, until: Callable[[], object]) -> None:
    """Look after it as health does, until something holds."""

    def look() -> object:
        feed.replace_if_hung()
        return until()

    wait(look)


@pytest.mark.usefixtures("hurried")
def test_a_hanging_driver_is_closed_and_opened_again(
    inbox: queue.Queue[Observation], start: Start, freed: threading.Event
) -> None:
    stuck, sound = Stuck(Reading(99.0, 1.0, 0.5), freed=freed), Script(Reading(34.0, 2.0, 0.5))
    scripts = iter([stuck, sound])
    feed = SensorWorker("in", Role.THERMOMETER, "script", lambda: next(scripts), inbox.put)
    start(feed)
    next_of(inbox, DeviceUp)
    assert stuck.inside.wait(LIMIT_S)
    watched(feed, lambda: feed.status().restarts)
    down = next_of(inbox, DeviceDown).item
    assert "hangs" in down.error  # type: ignore[union-attr]
    next_of(inbox, DeviceUp)
    assert next_of(inbox, Reading).item == Reading(34.0, 2.0, 0.5)
    assert stuck.closed == 1
    assert feed.status().abandoned == 1
    freed.set()
    wait(lambda: not feed.status().abandoned)
    assert inbox.empty(), "what the given-up thread read after all counts for nobody"
    assert feed.status().up


@pytest.mark.usefixtures("hurried")
def test_a_device_that_hangs_each_time_is_left_alone_after_some_threads(
    inbox: queue.Queue[Observation], start: Start, freed: threading.Event
) -> None:
    feed = SensorWorker("in", Role.SCANNER, "script", lambda: Stuck(freed=freed), inbox.put)
    start(feed)
    watched(feed, lambda: "do not help" in feed.status().error)
    before = threading.active_count()
    for _ in range(20):
        feed.replace_if_hung()
    assert threading.active_count() <= before
    status = feed.status()
    assert (status.up, status.abandoned) == (False, feeds.MAX_ABANDONED)
    watched(feed, lambda: (status := feed.status()).silent_s > status.limit_s)
    freed.set()
    watched(feed, lambda: feed.status().up)


@pytest.mark.usefixtures("hurried")
def test_a_pause_of_the_whole_machine_is_no_silence(
    inbox: queue.Queue[Observation], start: Start, freed: threading.Event
) -> None:
    feed = SensorWorker("in", Role.SCANNER, "script", lambda: Stuck(freed=freed), inbox.put)
    start(feed)
    next_of(inbox, DeviceUp)
    wait(lambda: feed.status().silent_s >= 0.2)
    feed.replace_if_hung(paused_s=LIMIT_S)
    assert not feed.status().restarts


def test_a_driver_that_fails_to_close_does_not_end_its_thread(
    inbox: queue.Queue[Observation], start: Start
) -> None:
    class Rude(Script):
        def close(self) -> None:
            super().close()
            raise OSError("no")

    scripts = iter([Rude(DeviceGone("ttyUSB0", "was unplugged")), Script(Reading(34.0, 2.0, 0.5))])
    start(SensorWorker("in", Role.SCANNER, "script", lambda: next(scripts), inbox.put))
    next_of(inbox, Reading)


@pytest.mark.parametrize("kind", ["source", "gate"])
def test_a_device_can_be_opened_again_on_demand(inbox: queue.Queue[Observation], start: Start, kind: str) -> None:
    feed = (
        SensorWorker("in", Role.SCANNER, "script", Script, inbox.put)
        if kind == "source"
        else GateWorker("in", Role.GATE, "relay", Relay, inbox.put, release_s=1.0)
    )
    start(feed)
    next_of(inbox, DeviceUp)
    feed.reopen()
    next_of(inbox, DeviceUp)


def test_a_demand_ends_a_pause(
    inbox: queue.Queue[Observation], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "FAULT_BACKOFF", Backoff((1000.0,), healthy_s=600.0))
    scripts = iter([Script(BadReply("ttyUSB0", "talks nonsense")), Script()])
    feed = SensorWorker("in", Role.SCANNER, "script", lambda: next(scripts), inbox.put)
    start(feed)
    next_of(inbox, DeviceDown)
    feed.reopen()
    next_of(inbox, DeviceUp)
