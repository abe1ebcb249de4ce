"""A plug is pulled: the central server is told, the other lane goes on, and with the plug back in so does this
one."""

import pytest

from agent.cli.demo.kiosk import is_online

LANES = {"entry": "exit", "exit": "entry"}
PARTS = ("scanner", "thermometer", "gate")


def told(server, lane, part):
    """The latest that the central server was told of a device, as event."""
    return next((d for d in reversed(server.devices) if (d["lane"], d["role"]) == (lane, part)), None)


def retained(server, lane, part):
    """The same from the retained state."""
    return next(d for d in server.state["devices"] if (d["lane"], d["role"]) == (lane, part))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("lane", LANES)
def test_unplugged_and_back(running, wait_until, lane, part):
    server, there = running.server, running.kiosk.lanes[lane]
    pid = running.kiosk.report()["pid"]
    wait_until(lambda: told(server, lane, part) and told(server, lane, part)["up"], "up at first")

    there.unplug(part)
    wait_until(lambda: not told(server, lane, part)["up"], "the central server is told that it is gone")
    assert told(server, lane, part)["error"], "why, and what to do"
    wait_until(lambda: not retained(server, lane, part)["up"], "the retained state says so")
    assert running.pass_by(LANES[lane])["decision"] == "admit"
    if part == "thermometer":
        passage = running.pass_by(lane)
        assert passage["screening"] == "device_fault"
        assert passage["decision"] == ("refer" if lane == "entry" else "admit")

    there.plug(part)
    wait_until(lambda: told(server, lane, part)["up"], "the central server is told that it is back")
    wait_until(lambda: retained(server, lane, part)["up"], "the retained state says so")
    running.kiosk.wait(is_online)  # or the next person does not wait to be seen by the thermometer
    gate = there.device("gate")
    pulses = len(gate.pulses())
    assert running.pass_by(lane)["decision"] == "admit"
    wait_until(lambda: len(gate.pulses()) > pulses, "the gate opens and shuts")
    report = running.kiosk.report()
    assert report["pid"] == pid
    assert report["condition"] == "ok"


def test_all_at_once(running, wait_until):
    server = running.server
    both = [(lane, part) for lane in LANES for part in PARTS]
    for lane in running.kiosk.lanes.values():
        lane.unplug()
    wait_until(lambda: all(not told(server, *device)["up"] for device in both), "all gone")
    for lane in running.kiosk.lanes.values():
        lane.plug()
    wait_until(lambda: all(told(server, *device)["up"] for device in both), "all back")
    running.kiosk.wait(is_online)
    assert running.pass_by("entry")["decision"] == running.pass_by("exit")["decision"] == "admit"
    running.all_delivered()
    server.judge()
