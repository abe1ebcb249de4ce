"""A long day in short: people at both lanes while plugs are pulled, the broker stops and the agent is killed.

`make soak` runs this (GATEPOST_SOAK_MINUTES, default 10; GATEPOST_SOAK_SEED to repeat a day); `make test` does not.
"""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

MINUTES = float(os.environ.get("GATEPOST_SOAK_MINUTES", "10"))
SEED = int(os.environ.get("GATEPOST_SOAK_SEED", "0")) or random.randrange(1, 10**6)
WARM_S = 30.0
GROWTH_MB, GROWTH_FILES, GROWTH_THREADS = 15.0, 8, 3
CODES = ("green", "green", "green", "yellow", "red", "expired", "forged", "other", "none")
PARTS = ("scanner", "thermometer", "gate")


class Day:
    """One day at one kiosk: chance decides what happens next."""

    def __init__(self, site):
        self.site = site
        self.chance = random.Random(SEED)
        self.people = self.decided = self.troubles = 0

    def person(self):
        lane = self.chance.choice(("entry", "exit"))
        skin_c = self.chance.choice((34.2, 34.5, 34.8, 36.9, 31.5))
        self.people += 1
        with contextlib.suppress(AssertionError):  # amid a fault nobody promises a decision for everyone
            self.site.pass_by(lane, self.chance.choice(CODES), skin_c, limit_s=8)
            self.decided += 1

    @contextlib.contextmanager
    def trouble(self, *, deadly):
        """Something is broken for a while; afterwards it is whole again."""
        self.troubles += 1
        kiosk = self.site.kiosk
        match self.chance.choice(("unplug", "unplug", "broker", "pause", *(("kill", "end") if deadly else ()))):
            case "unplug":
                lane, part = self.chance.choice(("entry", "exit")), self.chance.choice(PARTS)
                kiosk.lanes[lane].unplug(part)
                yield
                kiosk.lanes[lane].plug(part)
            case "broker":
                self.site.broker.stop()
                yield
                self.site.broker.start()
            case "pause":
                os.kill(kiosk.pid, signal.SIGSTOP)
                time.sleep(self.chance.uniform(0.1, 2))
                os.kill(kiosk.pid, signal.SIGCONT)
                yield
            case how:
                kiosk.stop(signal.SIGKILL if how == "kill" else signal.SIGTERM)
                kiosk.start(until=bool)
                yield

    def live(self, seconds, *, deadly):
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            if self.chance.random() < 0.3:
                with self.trouble(deadly=deadly):
                    self.person()
            else:
                self.person()


def weigh(pid):
    """(megabytes, open files, threads) of the agent and the processes it has started."""
    children = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")]
    family = [pid, *map(int, " ".join(children).split())]
    kilobytes = threads = files = 0
    for one in family:
        facts = dict(line.split(":", 1) for line in Path(f"/proc/{one}/status").read_text().splitlines())
        kilobytes += int(facts.get("VmRSS", "0").split()[0])  # none: a child that has ended, not yet asked how
        threads += int(facts["Threads"])
        files += len(list(Path(f"/proc/{one}/fd").iterdir()))
    return kilobytes / 1024, files, threads


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_long_day(site):
    day, kiosk = Day(site), site.kiosk
    print(f"\nseed {SEED}, {MINUTES:g} minutes")
    kiosk.start()
    day.live(WARM_S, deadly=False)
    young = weigh(kiosk.pid)
    day.live(MINUTES * 60 * 2 / 3, deadly=False)
    kiosk.wait(lambda report: all(device["up"] for device in report["devices"]))
    old = weigh(kiosk.pid)
    for age, (megabytes, files, threads) in (("young", young), ("old", old)):
        print(f"{age}: {megabytes:.0f} MB, {files} files, {threads} threads")
    day.live(MINUTES * 60 / 3, deadly=True)
    site.all_delivered()
    site.centre.has_all(kiosk.report())
    passages = site.centre.passages
    print(f"{day.people} people, {day.decided} decided, {day.troubles} troubles, {len(site.centre.events)} events")

    site.centre.judge()
    assert len(passages) >= day.decided
    for passage in passages:
        if passage["lane"] == "entry" and passage["opened"]:
            assert (passage["code"]["status"], passage["code"]["colour"]) == ("valid", "green"), passage
            assert passage["temperature"]["outcome"] == "normal", passage
    growth = [after - before for before, after in zip(young, old, strict=True)]
    assert growth[0] <= GROWTH_MB, growth
    assert growth[1] <= GROWTH_FILES, growth
    assert growth[2] <= GROWTH_THREADS, growth
