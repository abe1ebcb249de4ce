"""A person at the gate has an answer in light and sound; what goes wrong with that harms nothing else."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.simulators.lane import Lane

BOARDS = {"entry": "serial_relay", "exit": "modbus_relay"}
READY, DARK = frozenset({"amber"}), frozenset()
GATE, RED, AMBER, GREEN, SOUND = range(1, 6)


def lamps(folder):
    return {name: Lane(folder / name, gate=board, lamp=True) for name, board in BOARDS.items()}


@pytest.fixture(scope="module")
def site(build):
    made = build(lamps, {"lanes.entry": {"release_s": 4.0}})  # time to kill the agent meanwhile
    made.kiosk.start()
    return made


@pytest.fixture
def ready(site, wait_until):
    """Both lamps say that a code may be shown."""
    for name, lane in site.kiosk.lanes.items():
        wait_until(lambda lane=lane: lane.shown() == READY, f"{name} is ready")
    return site


def lengths(lane, relay, since):
    return [length_s for _, length_s in lane.device("gate").pulses(relay)[since:]]


def count(lane, relay):
    return len(lane.device("gate").pulses(relay))


def test_admitted_is_green_and_one_short_note(ready, wait_until):
    lane = ready.kiosk.lanes["entry"]
    relays = (GATE, RED, GREEN, SOUND)
    greens, before = lane.greens(), [count(lane, relay) for relay in relays]
    assert ready.pass_by("entry")["decision"] == "admit"
    wait_until(lambda: lane.greens() == greens + 1, "green")
    wait_until(lambda: lane.shown() == READY and not lane.device("gate").is_on(GATE), "ready for the next")
    assert [count(lane, relay) - was for relay, was in zip(relays, before, strict=True)] == [1, 0, 1, 1]


def test_refused_looks_and_sounds_like_referred_unless_it_is_to_be_told(ready, wait_until):
    lane = ready.kiosk.lanes["entry"]
    before = {relay: count(lane, relay) for relay in (GATE, GREEN)}
    red, sound = count(lane, RED), count(lane, SOUND)
    assert ready.pass_by("entry", "red")["decision"] == "refuse"
    wait_until(lambda: count(lane, SOUND) == sound + 2, "two notes")
    wait_until(lambda: lane.shown() == READY, "ready for the next")
    assert all(length_s < 0.4 for length_s in lengths(lane, SOUND, sound))
    assert 3 <= count(lane, RED) - red <= 4, "slow"
    assert {relay: count(lane, relay) for relay in before} == before, "neither gate nor green"


def test_a_code_alone_has_an_answer_too(build, wait_until):
    site = build(lamps, {"checkpoint": {"temperature_timeout_s": 6.0}})
    site.kiosk.start()
    lane = site.kiosk.lanes["entry"]
    wait_until(lambda: lane.shown() == READY, "entry is ready")
    flashes, notes = count(lane, AMBER), count(lane, SOUND)
    lane.show(site.issuer.code("green"))
    wait_until(lambda: count(lane, AMBER) >= flashes + 3, "blinks: step up to the thermometer")
    wait_until(lambda: count(lane, SOUND) == notes + 1, "once more, since nobody was measured")
    assert lengths(lane, SOUND, notes)[0] > 0.4
    site.kiosk.close()


def test_an_exit_is_green_whatever_the_code(ready, wait_until):
    lane = ready.kiosk.lanes["exit"]
    greens, reds = lane.greens(), count(lane, RED)
    ready.pass_by("exit", "red")
    wait_until(lambda: lane.greens() == greens + 1, "green")
    wait_until(lambda: lane.shown() == READY, "ready for the next")
    assert count(lane, RED) == reds


def test_a_lane_without_its_thermometer_says_so(ready, wait_until):
    lane = ready.kiosk.lanes["entry"]
    lane.unplug("thermometer")
    wait_until(lambda: lane.shown() == {"red", "amber"}, "out of service")
    lane.plug("thermometer")
    wait_until(lambda: lane.shown() == READY, "back in service")


def test_a_board_that_is_pulled_holds_nothing_up(ready, wait_until):
    lane, server = ready.kiosk.lanes["entry"], ready.server
    lane.unplug("gate")

    def told(part, *, up):
        said = [d["up"] for d in server.devices if (d["lane"], d["role"]) == ("entry", part)]
        return said and said[-1] is up

    for part in ("gate", "lamp", "buzzer"):
        wait_until(lambda part=part: told(part, up=False), f"the central server is told of the {part}")
    refused = ready.pass_by("entry")
    assert (refused["decision"], refused["reasons"], refused["gate_opened"]) == ("refer", ["gate_fault"], False)
    assert ready.pass_by("exit")["decision"] == "admit"
    for relay in range(GATE, SOUND + 1):
        lane.device("gate").switch(relay, on=False)  # a board without power drops its relays
    lane.plug("gate")
    for part in ("gate", "lamp", "buzzer"):
        wait_until(lambda part=part: told(part, up=True), f"the {part} is back")
    wait_until(lambda: lane.shown() == READY, "and says that it is ready")
    ready.all_delivered()


def test_what_a_killed_agent_leaves_on_is_switched_off(ready, wait_until):
    entry, exit_ = ready.kiosk.lanes["entry"], ready.kiosk.lanes["exit"]
    with ready.visitor("entry"):
        wait_until(lambda: "green" in entry.shown(), "green")
        ready.kiosk.stop(signal.SIGKILL)
    assert "green" in entry.shown(), "this board latches"
    wait_until(lambda: exit_.shown() == DARK, "the board that counts for itself is dark by itself")
    program = Path(sys.executable).with_name("gatepost")
    subprocess.run([program, "devices", "off", "--config", ready.kiosk.config], check=True, timeout=120)
    wait_until(lambda: entry.shown() == DARK, "dark")
    assert not entry.device("gate").is_on(GATE)
    ready.kiosk.start()
    wait_until(lambda: entry.shown() == READY, "ready again")


def test_an_agent_that_stops_leaves_everything_dark(ready, wait_until):
    ready.kiosk.stop()
    for lane in ready.kiosk.lanes.values():
        wait_until(lambda lane=lane: lane.shown() == DARK, "dark")
    ready.kiosk.start()
    ready.all_delivered()
    ready.server.judge()
