"""A long day in short: people at both lanes while everything that can go wrong does.

`make soak` runs this (GATEPOST_SOAK_MINUTES, default 10; GATEPOST_SOAK_SEED to repeat a day; GATEPOST_SOAK_WITHOUT
names faults to leave out, with commas between); `make test` does not.

First one long life of the agent, in the environment that its service unit sets, under every fault that it must live
through. What it holds (memory, open files, threads) is sampled. Memory is what the processes have written for
themselves, in RAM or swapped out: pages of files come and go as the kernel likes. After `WARM_UP_FAULTS` faults,
since memory fills with what faults leave behind and not with time, a line is laid through the lowest memory of each
window: what is in use, whatever a fault takes for a moment. Until then faults come one upon the other, and are
short; then each kind comes in its whole length, `FULL_ROUNDS` times, since a long outage fills what a short one
does not (pages that SQLite keeps, the heap of a thousand events that wait). The life ends once the slope and its
interval lie below the bar, or after eleven twelfths of the time. Then short lives: killed and ended in between. All
that was decided must have arrived. Faults of the card need root and a loop device.
"""

import contextlib
import itertools
import math
import os
import random
import shlex
import signal
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from faults import Card, NotPossibleHere, Shim

from agent.cli.demo.kiosk import has_devices
from tests.processes import family

MINUTES = float(os.environ.get("GATEPOST_SOAK_MINUTES", "10"))
SEED = int(os.environ.get("GATEPOST_SOAK_SEED", "0")) or random.randrange(1, 10**6)
WITHOUT = os.environ.get("GATEPOST_SOAK_WITHOUT", "").split(",")
LONG_LIFE = 11 / 12
WARM_UP_FAULTS = 500 if MINUTES >= 60 else round(2 * MINUTES)
"""Within so many all has filled that has a bound: people recently, names that Python knows, the last log."""
FULL_ROUNDS = 3
WINDOW_S, LEAST_WINDOWS = (600.0 if MINUTES >= 120 else MINUTES * 2), 8
SAMPLE_S, SAY_S = 2.0, 300.0
SLOPE_MB_PER_H, GROWTH_FILES, GROWTH_THREADS = 0.3, 8, 3
UNIT = Path(__file__).parents[2] / "systemd" / "gatepost.service"
CODES = ("green", "green", "green", "yellow", "red", "expired", "forged", "other", "none")
LANES = ("entry", "exit")
PARTS = ("scanner", "thermometer", "gate")
DAY_S = 86400.0
FAULT_SHARE, WARM_UP_SHARE = 0.3, 0.9
"""How often something goes wrong rather than that somebody comes; each fault has people of its own."""
WARM_UP_HASTE = 0.15
"""The share of its usual time that a fault lasts while memory warms up."""


@dataclass
class Weight:
    """What a process holds, sampled: (hours, megabytes, files, threads, megabytes of its children) each."""

    pid: int
    samples: list[tuple[float, float, int, int, float]] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)
    _warm_h: float | None = None

    def __enter__(self):
        self._begun_s = time.monotonic()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _watch(self):
        said_s = time.monotonic()
        while not self._done.wait(SAMPLE_S):
            with contextlib.suppress(OSError, KeyError):  # a child that ends while it is looked at
                self.samples.append(((time.monotonic() - self._begun_s) / 3600, *weigh(self.pid)))
            if time.monotonic() - said_s > SAY_S:
                said_s = time.monotonic()
                self.say()

    def warm_up_over(self):
        """From here on samples count."""
        if self._warm_h is None:
            self._warm_h = (time.monotonic() - self._begun_s) / 3600

    def _warm(self, column):
        """(hours, value) of the samples after the warm-up."""
        since_h = math.inf if self._warm_h is None else self._warm_h
        return [(each[0], each[column]) for each in self.samples if each[0] >= since_h]

    def minima(self):
        """(hours, megabytes) of the lowest sample of each whole window after the warm-up."""
        windows = {}
        for hours, megabytes in self._warm(1):
            number = int((hours - self._warm_h) * 3600 / WINDOW_S)
            windows[number] = min(windows.get(number, (hours, megabytes)), (hours, megabytes), key=lambda at: at[1])
        return [windows[number] for number in sorted(windows)][:-1]

    def slope(self):
        """(megabytes per hour, half width of its 95 % interval); None: too few windows yet."""
        points = self.minima()
        return slope(points) if len(points) >= LEAST_WINDOWS else None

    def is_decided(self):
        """Whether memory is shown to stand still. What grows may still be warming up: that takes the whole day."""
        found = self.slope()
        return found is not None and sum(found) <= SLOPE_MB_PER_H

    def ends(self, column):
        """The medians of the first and the last tenth."""
        values = [value for _, value in self._warm(column)] or [each[column] for each in self.samples]
        some = max(1, len(values) // 10)
        return statistics.median(values[:some]), statistics.median(values[-some:])

    def say(self):
        """What there is so far."""
        if not self.samples:
            return
        warm = "warming up" if self._warm_h is None else f"warm since minute {self._warm_h * 60:.0f}"
        print(f"after {self.samples[-1][0] * 60:.0f} minutes, {warm}:", flush=True)
        for column, name in ((1, "MB"), (2, "files"), (3, "threads"), (4, "MB of children")):
            young, old = self.ends(column)
            print(f"  {name}: {young:.1f} to {old:.1f}", flush=True)
        print(f"  lowest of each {WINDOW_S / 60:g} minutes: {' '.join(f'{mb:.1f}' for _, mb in self.minima())} MB")
        if (found := self.slope()) is not None:
            print(f"  slope of these: {found[0]:+.2f} ± {found[1]:.2f} MB an hour (95 %)", flush=True)


def slope(points):
    """A straight line by least squares: (slope, half width of its 95 % interval).

    Neighbouring samples say much the same: the interval counts only as many as are independent, by the residuals'
    correlation with the next (an AR(1) process).
    """
    xs, ys = zip(*points, strict=True)
    fit = statistics.linear_regression(xs, ys)
    rest = [y - fit.slope * x - fit.intercept for x, y in points]
    power = sum(r * r for r in rest)
    if not power:
        return fit.slope, 0.0
    alike = max(0.0, min(0.99, sum(a * b for a, b in itertools.pairwise(rest)) / power))
    independent = max(3.0, len(points) * (1 - alike) / (1 + alike))
    spread = sum((x - statistics.fmean(xs)) ** 2 for x in xs) * independent / len(points)
    variance = power / len(points) * independent / (independent - 2) / spread
    return fit.slope, t_975(independent - 2) * math.sqrt(variance)


def t_975(freedom):
    """Student's t for a 95 % interval: with few windows the normal 1.96 says too much (Hill's expansion)."""
    z = 1.96
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def unit_environment():
    """What the service unit sets, but for what systemd fills in."""
    words = [
        word
        for line in UNIT.read_text().splitlines()
        if line.startswith("Environment=")
        for word in shlex.split(line.partition("=")[2])
    ]
    return dict(word.split("=", 1) for word in words if "%" not in word)


def weigh(pid):
    """(megabytes, open files, threads, megabytes of children): files and threads with those of the processes that
    the agent has started. These are new after each fault of a camera, and at times there are none.
    """
    kilobytes, threads, files = dict.fromkeys((False, True), 0), 0, 0
    for one in family(pid):
        with contextlib.suppress(OSError):  # it has just ended
            facts = dict(line.split(":", 1) for line in Path(f"/proc/{one}/status").read_text().splitlines())
            for kind in ("RssAnon", "VmSwap"):
                kilobytes[one == pid] += int(facts.get(kind, "0").split()[0])
            threads += int(facts["Threads"])
            files += len(list(Path(f"/proc/{one}/fd").iterdir()))
    return kilobytes[True] / 1024, files, threads, kilobytes[False] / 1024


class Day:
    """One day at one kiosk: chance decides what happens next."""

    def __init__(self, site, shim, card):
        self.site, self.shim, self.card = site, shim, card
        self.chance = random.Random(SEED)
        self.people = self.decided = 0
        self.troubles = Counter()
        self.haste = WARM_UP_HASTE
        self._printed = 0
        self._restless = [self.unplug, self.junk, self.noise, self.crowd, self.broker, self.killed_broker]
        self._restless += [self.frozen_broker, self.pause]
        if shim is not None:
            self._restless += [self.slow_syncs, self.failing_syncs, self.clock]
        if card is not None:
            self._restless += [self.full_card, self.frozen_card, self.dying_card]
        self._restless = [fault for fault in self._restless if fault.__name__ not in WITHOUT]

    def person(self):
        lane = self.chance.choice(LANES)
        skin_c = self.chance.choice((34.2, 34.5, 34.8, 36.9, 31.5))
        self.people += 1
        with contextlib.suppress(AssertionError):  # amid a fault nobody promises a decision for everyone
            self.site.pass_by(lane, self.chance.choice(CODES), skin_c, limit_s=8)
            self.decided += 1

    def people_for(self, least_s, most_s):
        """Somebody comes in any case."""
        end_s = time.monotonic() + self.haste * self.chance.uniform(least_s, most_s)
        self.person()
        while time.monotonic() < end_s:
            self.person()

    def live(self, seconds, troubles=(), is_over=lambda: False):
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and not is_over():
            if self.chance.random() < (FAULT_SHARE if self.haste == 1.0 else WARM_UP_SHARE):
                self._have(self.chance.choice((*self._restless, *troubles)))
            else:
                self.person()

    def every_fault(self):
        """Each kind once, in its whole length."""
        self.haste = 1.0
        for trouble in self.chance.sample(self._restless, len(self._restless)):
            self._have(trouble)
            self.person()

    def _have(self, trouble):
        self.troubles[trouble.__name__] += 1
        print(f"{time.strftime('%T')} {trouble.__name__}", flush=True)
        trouble()
        self._print_complaints()

    def _print_complaints(self):
        """What the agent itself has said against it since the last fault, of its disk above all."""
        lines = self.site.lines[self._printed :]
        self._printed += len(lines)
        for line in lines:
            if "event" not in line and line.get("level") in ("warning", "error", "critical"):
                print("   ", line["at"], line["message"], flush=True)

    # ---- something is broken for a while, and then whole again

    def unplug(self):
        lane, part = self.site.kiosk.lanes[self.chance.choice(LANES)], self.chance.choice(PARTS)
        lane.unplug(part)
        self.person()
        lane.plug(part)

    def junk(self):
        """A scan engine gone mad."""
        wire = self.site.kiosk.lanes["exit"]._wire("scanner")
        for _ in range(20):
            wire.send(self.chance.randbytes(self.chance.randrange(1, 600)))
        wire.send(b"\r\n")
        self.person()

    def noise(self):
        """A bad contact at the exit's devices, and at the entry's thermometer."""
        ports = [self.site.kiosk.lanes["exit"]._wire(part) for part in PARTS]
        chip = self.site.kiosk.lanes["entry"].device("thermometer")
        for port in ports:
            port.faults.prefix = self.chance.randbytes(self.chance.randrange(9))
            port.faults.flip = self.chance.choice((0, 1, 128))
            port.faults.mute = self.chance.random() < 0.3
        chip.faults.nack, chip.faults.bad_pec = self.chance.random() < 0.5, self.chance.random() < 0.5
        self.person()
        for port in ports:
            port.faults.prefix, port.faults.flip, port.faults.mute = b"", 0, False
        chip.faults.nack = chip.faults.bad_pec = False

    def crowd(self):
        """Three hundred codes within fifteen seconds."""
        lane = self.site.kiosk.lanes["exit"]
        lane.world.stand(34.3)
        for _ in range(round(300 * self.haste)):
            lane.show(self.site.issuer.code("green"))
            time.sleep(0.05)
        lane.world.leave()

    def broker(self):
        self.site.broker.stop()
        self.person()
        self.site.broker.start()

    def killed_broker(self):
        """It forgets what it has acknowledged within its last second: let it have nothing on its hands."""
        with contextlib.suppress(TimeoutError):
            all_arrived(self.site, lambda r: r["link"]["connected"] and not r["outbox"]["waiting"])
            time.sleep(3)
            self.site.broker.kill()
            self.person()
            self.site.broker.stop()
            self.site.broker.start()

    def frozen_broker(self):
        self.site.broker.send_signal(signal.SIGSTOP)
        self.people_for(1, 30)
        self.site.broker.send_signal(signal.SIGCONT)

    def pause(self):
        os.kill(self.site.kiosk.pid, signal.SIGSTOP)
        time.sleep(self.haste * self.chance.uniform(0.1, 4))
        os.kill(self.site.kiosk.pid, signal.SIGCONT)

    def slow_syncs(self):
        self.shim.slow(self.chance.choice((30, 200, 2000)))
        self.people_for(1, 10)
        self.shim.slow(0)

    def failing_syncs(self):
        self.shim.fail(self.chance.choice((1, 2, 5, 1000)))
        self.people_for(1, 20)
        self.shim.fail(0)

    def clock(self):
        """Back by anything; forward by little: for so long codes with an end go to staff afterwards."""
        self.shim.jump(self.chance.choice((-3650 * DAY_S, -DAY_S, -600, -3, 3, 20)))
        self.people_for(1, 5)
        self.shim.jump(0)

    def full_card(self):
        self.card.fill()
        self.people_for(1, 20)
        self.card.clear()

    def frozen_card(self):
        self.card.freeze()
        self.people_for(1, 10)
        self.card.thaw()

    def dying_card(self):
        """Read-only by its own decision; mended once the agent has let go of it, as the next event makes it do."""
        self.card.give_up()
        self.people_for(1, 5)
        while self._holds_card():
            self.person()
        self.card.repair()

    def _holds_card(self):
        """Whether the agent has a file on it open. Its report may still tell the fault before."""
        with contextlib.suppress(FileNotFoundError):  # closed as it is looked at
            for each in Path(f"/proc/{self.site.kiosk.pid}/fd").iterdir():
                if each.readlink().is_relative_to(self.card.path):
                    return True
        return False

    def killed(self):
        self.site.kiosk.stop(signal.SIGKILL)
        self.site.kiosk.start(has_devices, **self.environment())

    def ended(self):
        self.site.kiosk.stop()
        self.site.kiosk.start(has_devices, **self.environment())

    def environment(self):
        return unit_environment() | ({} if self.shim is None else dict(self.shim.environment))

    def only_harmless(self):
        """Short lives: what waits in memory while a card fails dies with the agent, as the documents say."""
        harmless = (self.unplug, self.junk, self.noise, self.crowd, self.broker, self.pause)
        self._restless = [fault for fault in harmless if fault.__name__ not in WITHOUT]


@contextlib.contextmanager
def bad_luck(folder):
    """(shim, card): what of both this machine can make."""
    found = []
    for kind in (Shim, Card):
        try:
            found.append(kind(folder))
        except NotPossibleHere as missing:
            print(f"without {kind.__name__}: {missing}")
            found.append(None)
    try:
        yield found
    finally:
        if found[1] is not None:
            found[1].close()


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_long_day(build):
    print(f"\nseed {SEED}, {MINUTES:g} minutes")
    site = build(settings={"outbox": {"path": "card/outbox.db"}})
    with bad_luck(site.folder) as (shim, card):
        day, kiosk = Day(site, shim, card), site.kiosk
        kiosk.start(**day.environment())
        with Weight(kiosk.pid) as weight:
            end_s = time.monotonic() + MINUTES * 60 * LONG_LIFE
            day.live(end_s - time.monotonic(), is_over=lambda: day.troubles.total() >= WARM_UP_FAULTS)
            for _ in range(FULL_ROUNDS):
                day.every_fault()
            weight.warm_up_over()
            day.live(end_s - time.monotonic(), is_over=weight.is_decided)
        told = list(site.lines)
        say(day, weight)
        report = all_arrived(site, all_sent(site))
        print(f"long life: {report['outbox']}, {sum(day.troubles.values())} troubles")
        day.only_harmless()
        day.live(MINUTES * 60 * (1 - LONG_LIFE), (day.killed, day.ended))
        kiosk.wait(has_devices)
        all_arrived(site, all_sent(site))
    print(f"{day.people} people, {day.decided} decided; {len(site.server.events)} events arrived")

    site.server.judge(memory=True)
    passages = site.server.passages
    twice = Counter(map(recognised_event, passages)) - Counter(map(recognised, lines_of(site.lines)))
    print(f"{twice.total()} passages arrived under two ids")  # a sync that fails for over half a minute may do that
    unheard = Counter(map(recognised, lines_of(told))) - Counter(map(recognised_event, passages))
    assert not unheard, f"decided in the long life and never delivered: {unheard}"
    for passage in passages:
        if passage["lane"] == "entry" and passage["gate_opened"]:
            assert (passage["credential"]["status"], passage["credential"]["colour"]) == ("valid", "green"), passage
            assert passage["temperature"]["outcome"] == "normal", passage
    if (found := weight.slope()) is None:
        print("too short to say whether memory stands still")
    else:
        per_hour, within = found
        assert per_hour - within <= SLOPE_MB_PER_H, f"{per_hour:+.2f} ± {within:.2f} MB/h"
    for column, most in ((2, GROWTH_FILES), (3, GROWTH_THREADS)):
        young, old = weight.ends(column)
        assert old - young <= most


def all_sent(site):
    """A condition for the agent's report: nothing is left to send."""
    return lambda r: r["link"]["connected"] and not r["outbox"]["waiting"] and r["outbox"]["decided"] >= site.told()


def all_arrived(site, condition):
    """Wait for the agent's report, and until so many messages are here as it counts as delivered. What a failing
    card made it send twice, under one id, it counts twice.
    """
    report = site.kiosk.wait(condition, 60)
    delivered = report["outbox"]["delivered"]
    site.wait_until(
        lambda: sum("/event/" in topic for topic, _ in list(site.server.raw)) >= delivered, f"{delivered} messages"
    )
    return report


def say(day, weight):
    """The figures of the day."""
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(day.troubles.items()))
    print(f"{day.people} people, {day.decided} decided; troubles: {kinds}")
    weight.say()


def lines_of(logged):
    return [line for line in logged if line.get("event") == "passage"]


def recognised(line):
    """What makes a passage recognisable, from the agent's log."""
    return (line["lane"], line["decision"], line["gate_opened"], line["surface_c"], line["duration_ms"])


def recognised_event(data):
    """The same from an event's data."""
    return (
        data["lane"],
        data["decision"],
        data["gate_opened"],
        data["temperature"]["surface_c"],
        data["duration_ms"],
    )
