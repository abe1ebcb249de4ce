"""Killed, cut off, told to stop: what was decided is delivered, once the other side is there again."""

import random
import signal
import threading
import time

import pytest

from agent.cli.demo.kiosk import has_devices, is_online
from tests.system.conftest import built, two_lanes

HURRIED = {"checkpoint": {"temperature_timeout_s": 6.0}}
"""Who has stood there since before a kill is measured for nobody, and sent to staff after so long."""


@pytest.fixture
def site(lanes):
    with built(lanes, HURRIED) as made:
        yield made


class Traffic:
    """Codes at the exit, 20 a second, and people at the entry; until stopped."""

    def __init__(self, site):
        self._site = site
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._exit, self._entry)]

    def __enter__(self):
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for each in self._threads:
            each.join()

    def _exit(self):
        lane = self._site.kiosk.lanes["exit"]
        lane.world.stand(34.3)
        while not self._stopping.wait(0.05):
            lane.show(self._site.issuer.code("green"))
        lane.world.leave()

    def _entry(self):
        """Each stays until decided upon, over kills and restarts; the last one too, so that nothing is pending."""
        while not self._stopping.wait(1.0):
            seen = len(self._site.lines)
            with self._site.visitor("entry"):
                while not self._is_decided(seen) and (self._site.kiosk.is_running or not self._stopping.is_set()):
                    time.sleep(0.02)

    def _is_decided(self, seen):
        return any(line.get("lane") == "entry" and line["event"] == "passage" for line in self._site.lines[seen:])


@pytest.fixture
def traffic(site):
    return Traffic(site)


def lives(items, is_start):
    """Cut a list where the agent started."""
    cut = []
    for item in items:
        if is_start(item):
            cut.append([])
        if cut:
            cut[-1].append(item)
    return cut


def logged_lives(lines):
    return lives(list(lines), lambda line: line.get("event") == "agent" and line["type"] == "started")


def delivered_lives(events):
    return lives(events, lambda event: event["data"].get("type") == "started")


def told(line):
    """What makes a passage recognisable, from the agent's log."""
    names = ("lane", "decision", "reasons", "gate_opened", "surface_c", "duration_ms")
    return [line[name] for name in names]


def got(event):
    """The same from an event."""
    data = event["data"]
    return [
        *(data["lane"], data["decision"], data["reasons"], data["gate_opened"]),
        *(data["temperature"]["surface_c"], data["duration_ms"]),
    ]


def check_nothing_lost(logged, delivered, *, killed_at=None):
    """What was told in one life against what was delivered of it.

    A decision is told to the gate and the log while its event is being written, so near to a kill it may be lost.
    `killed_at`: how many events were on disk by the agent's own word before it was killed; None if it was not.
    """
    lines = [line for line in logged if line.get("event") == "passage"]
    events = [event for event in delivered if event["type"] == "gatepost.passage.v1"]
    common = min(len(lines), len(events))
    assert [told(line) for line in lines[:common]] == [got(event) for event in events[:common]]
    if killed_at is None:
        assert len(events) == len(lines)
        return
    assert len(events) <= len(lines) + 1, "a passage that was never told"
    assert len(delivered) >= killed_at, "an event lost that was on disk"


def more_lines(site, count, wait_until):
    """Wait until the agent has logged so many more passages."""
    begin = len(site.lines)
    wait_until(
        lambda: sum(line.get("event") == "passage" for line in site.lines[begin:]) >= count, f"{count} passages"
    )


@pytest.mark.parametrize("lanes", [two_lanes], ids=["camera"])
def test_killed_again_and_again_with_the_broker_down_in_between(site, traffic, wait_until):
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    site.kiosk.start()
    on_disk = []
    with traffic:
        for turn in range(4):
            broker_down = turn in (1, 2)
            more_lines(site, chance.randint(5, 40), wait_until)
            if turn == 1:
                site.broker.stop()
                more_lines(site, chance.randint(5, 40), wait_until)
            time.sleep(chance.uniform(0, 0.1))  # anywhere in a commit, not where a line was heard
            on_disk.append(site.kiosk.report()["outbox"]["stored"])
            assert site.kiosk.stop(signal.SIGKILL) == -signal.SIGKILL
            site.kiosk.start(has_devices if broker_down else is_online)
            if turn == 2:
                more_lines(site, chance.randint(5, 40), wait_until)
                site.broker.start()
                site.kiosk.wait(is_online)
        more_lines(site, 20, wait_until)
    site.all_delivered()
    assert site.kiosk.stop() == 0
    wait_until(lambda: site.server.events[-1]["data"].get("type") == "stopped", "the last word")
    site.server.judge()
    logged, delivered = logged_lives(site.lines), delivered_lives(site.server.events)
    assert len(logged) == len(delivered) == 5, f"seed {seed}"
    for lines, events, killed_at in zip(logged, delivered, [*on_disk, None], strict=True):
        check_nothing_lost(lines, events, killed_at=killed_at)
    assert sum(on_disk) >= 20, "or this shows nothing"
    assert sum(line.get("event") == "passage" for line in site.lines) >= 100


def test_a_gate_that_a_kill_left_open_is_shut_at_the_next_start(build, scan_engines, wait_until):
    site = build(scan_engines, settings={"lanes.exit": {"release_s": 10.0}})  # time to kill the agent meanwhile
    site.kiosk.start()
    relay = site.kiosk.lanes["exit"].device("gate")
    with site.visitor("exit"):
        wait_until(relay.is_on, "the gate opens")
        site.kiosk.stop(signal.SIGKILL)
    assert relay.is_on(), "a latching board stays as it is when its master dies"
    site.kiosk.start()
    wait_until(lambda: not relay.is_on(), "the gate is shut")


def test_broker_restart_under_traffic(site, traffic, wait_until):
    site.kiosk.start()
    with traffic:
        for _ in range(2):
            more_lines(site, 20, wait_until)
            site.broker.stop()
            more_lines(site, 20, wait_until)
            site.broker.start()
            site.kiosk.wait(is_online)
    site.all_delivered()

    def all_counted(report):
        outbox = report["outbox"]
        return outbox["decided"] == outbox["stored"] == outbox["delivered"] == len(site.server.events)

    report = site.kiosk.wait(all_counted)
    site.server.judge()
    check_nothing_lost(site.lines, site.server.events)
    assert report["outbox"]["lost"] == 0


def test_sigterm_drains(site, traffic, wait_until):
    site.kiosk.start()
    with traffic:
        more_lines(site, 30, wait_until)
        assert site.kiosk.stop(signal.SIGTERM) == 0
    wait_until(lambda: site.server.state.get("state") == "offline", "the retained state says offline")
    wait_until(lambda: site.server.events[-1]["data"].get("type") == "stopped", "the last word")
    site.server.judge()
    check_nothing_lost(site.lines, site.server.events)
    assert not (site.folder / "run" / "status.json").exists()
    for lane in site.kiosk.lanes.values():
        assert not lane.device("gate").is_on()


def test_the_last_will_speaks_for_the_dead(site, wait_until):
    site.kiosk.start()
    wait_until(lambda: site.server.state.get("state") == "online", "the retained state says online")
    site.kiosk.stop(signal.SIGKILL)
    wait_until(lambda: site.server.state.get("state") == "offline", "the last will")
