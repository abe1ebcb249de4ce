"""The tap between sensors and loop: who reads a lane's sensors, and what the loop gets meanwhile."""

from __future__ import annotations

import pytest

from agent.devices.sensor_tap import DIVERTED, MAX_UNREAD, LaneBusy, SensorTap
from agent.model import DeviceDown, DeviceUp, Observation, Role
from drivers.contract import Reading, Sighting

UP = Observation("entry", Role.THERMOMETER, DeviceUp(1.0, "gy_mcu"))
WARM = Observation("entry", Role.THERMOMETER, Reading(37.0, 2.0, 0.5, sensor_c=24.0))
CODE = Observation("entry", Role.SCANNER, Sighting(b"GATEPOST:secret", 2.0))


@pytest.fixture
def seen() -> list[Observation]:
    """What the loop gets."""
    return []


@pytest.fixture
def tap(seen: list[Observation]) -> SensorTap:
    return SensorTap(seen.append)


def test_everything_goes_to_the_loop_while_nobody_reads(tap: SensorTap, seen: list[Observation]) -> None:
    for each in (UP, WARM, CODE):
        tap.publish(each)
    assert seen == [UP, WARM, CODE]


def test_a_reader_gets_state_and_readings_and_no_codes(tap: SensorTap, seen: list[Observation]) -> None:
    tap.publish(UP)
    with tap.divert("entry") as readings:
        assert tap.diverted == {"entry"}
        tap.publish(WARM)
        tap.publish(CODE)
        assert [readings.get_nowait() for _ in range(2)] == [UP, WARM]
        assert readings.empty()
    assert seen[0] == UP
    assert isinstance(seen[1].item, DeviceDown)
    assert seen[1].item.error == DIVERTED
    assert seen[2] == CODE, "codes go to the loop"
    assert isinstance(seen[3].item, DeviceUp)
    assert not tap.diverted


def test_one_reader_a_lane(tap: SensorTap) -> None:
    with tap.divert("entry"), pytest.raises(LaneBusy), tap.divert("entry"):
        pytest.fail("two readers")
    with tap.divert("entry"), tap.divert("exit"):
        assert tap.diverted == {"entry", "exit"}


def test_a_slow_reader_loses_the_latest_and_holds_nobody_up(tap: SensorTap) -> None:
    with tap.divert("entry") as readings:
        for _ in range(MAX_UNREAD + 5):
            tap.publish(WARM)
        assert readings.qsize() == MAX_UNREAD
