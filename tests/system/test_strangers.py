"""The agent killed and unplugged while somebody stands there: no other code opens for him, no reading is his."""

import os
import signal

import pytest

from agent.cli import running
from drivers.simulators.lane import Lane
from drivers.simulators.world import World

NORMAL_C, FEVER_C = 34.4, 36.9
LOOKS = 40
"""Of the thermometer: some seconds."""
QUICK = {"checkpoint": {"temperature_timeout_s": 5.0, "presence_timeout_s": 3.0, "rescan_after_refusal_s": 0.2}}


def one_lane(folder):
    """Serial devices at one entry."""
    return {"entry": Lane(folder / "entry", thermometer="gy_mcu", world=World(noise_c=0.03, seed=3))}


@pytest.fixture
def entry(build):
    site = build(one_lane, QUICK)
    site.kiosk.start()
    return site


def show(site, wait_until, code, after=0):
    """A code is held to the scanner until it is decided about; what the agent says of it."""
    seen, lane = len(site.lines), site.kiosk.lanes["entry"]

    def decided():
        passages = [line for line in list(site.lines)[seen:] if line.get("event") == "passage"]
        if not passages[after:]:
            lane.show(code)
        return passages[after:]

    return wait_until(decided, "a decision", every_s=1.0)[0]


def is_up(role):
    return lambda report: any(each["role"] == role and each["up"] for each in report["devices"])


def is_down(role):
    return lambda report: not is_up(role)(report)


@pytest.mark.parametrize("fault", ["killed", "unplugged"])
def test_nobody_is_let_in_on_a_code_over_his_shoulder(entry, wait_until, fault):
    lane, kiosk = entry.kiosk.lanes["entry"], entry.kiosk
    entry.step_aside("entry")
    lane.world.stand(NORMAL_C)
    assert show(entry, wait_until, entry.issuer.code("red"))["decision"] == "refuse"
    if fault == "killed":
        kiosk.stop(signal.SIGKILL)
        kiosk.start()
    else:
        lane.unplug("thermometer")
        kiosk.wait(is_down("thermometer"))
        lane.plug("thermometer")
        kiosk.wait(is_up("thermometer"))
    other = entry.issuer.code("green")
    assert show(entry, wait_until, other)["gate_opened"] is False
    assert lane.device("gate").pulses() == []
    lane.world.leave()
    assert entry.pass_by("entry")["gate_opened"] is True
    assert len(lane.device("gate").pulses()) <= 1


def test_a_reading_after_a_restart_is_of_nobody_without_a_number(entry, wait_until):
    lane, kiosk, folder = entry.kiosk.lanes["entry"], entry.kiosk, entry.folder / "run"
    entry.pass_by("entry", skin_c=FEVER_C)
    kiosk.stop(signal.SIGKILL)
    kiosk.start()
    assert entry.pass_by("entry", skin_c=FEVER_C)["decision"] == "refer"
    entry.step_aside("entry")
    with pytest.raises(running.RequestRefused, match="--for NUMBER"):
        running.temperature(folder, "entry", 36.5)
    (waits,) = running.waiting(folder, "entry")
    assert running.temperature(folder, "entry", 36.5, waits["number"])["gate_opened"] is True
    wait_until(lambda: len(lane.device("gate").pulses()) == 1, "the gate opens and shuts")


def test_a_code_that_waited_while_the_agent_was_stopped_is_of_nobody_who_came_meanwhile(entry, wait_until):
    lane, pid = entry.kiosk.lanes["entry"], entry.kiosk.pid
    entry.step_aside("entry")
    os.kill(pid, signal.SIGSTOP)
    lane.world.stand(NORMAL_C)
    lane.show(entry.issuer.code("green"))
    wait_until(lambda: lane.world.looks > LOOKS, "somebody is measured, and shows a code")
    lane.world.leave()
    wait_until(lambda: lane.world.looks > LOOKS, "he leaves")
    lane.world.stand(NORMAL_C)
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: lane.world.looks > LOOKS, "another is measured")
    lane.world.leave()
    assert entry.pass_by("entry")["gate_opened"] is True
    assert sum(line.get("gate_opened", False) for line in list(entry.lines)) == 1
