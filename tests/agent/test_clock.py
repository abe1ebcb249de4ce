"""What time it is, as an interval: never earlier than the floor, never surer than the kernel."""

import math
import os
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import clock
from agent.clock import BUILT_UTC, Clock, Options, Trust
from agent.model import ClockState


@pytest.fixture
def kernel(monkeypatch):
    """What the kernel says of its clock; it may be changed at any time, and is asked again at once."""

    class Kernel:
        error_s = 0.01
        here_s = 1000.0

    monkeypatch.setattr(clock, "kernel_error_s", lambda: Kernel.error_s)
    monkeypatch.setattr(clock, "boottime_s", lambda: Kernel.here_s)
    return Kernel


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state" / "clock"


def test_a_synchronised_clock_is_an_interval_around_the_wall(kernel, file):
    before = time.time()
    now = Clock(Options(floor_file=file, error_s=1.0)).now()
    after = time.time()
    assert now.state is ClockState.SYNCED
    assert now.lo_utc <= before - 1.0 + 0.5
    assert now.lo_utc <= after <= now.hi_utc + 0.001
    assert now.hi_utc - now.lo_utc == pytest.approx(2 * 1.01)


def test_without_synchronisation_there_is_a_floor_and_no_ceiling(kernel, file):
    kernel.error_s = None
    now = Clock(Options(floor_file=file)).now()
    assert (now.lo_utc, now.hi_utc, now.state) == (BUILT_UTC, math.inf, ClockState.FLOOR)


def test_the_floor_rises_with_the_time_since_boot(kernel, file):
    kernel.error_s = None
    asked = Clock(Options(floor_file=file))
    kernel.here_s += 50
    assert BUILT_UTC + 49.99 < asked.now().lo_utc < BUILT_UTC + 50, "but for what a crystal may be off"


def test_the_floor_outlives_a_power_cut(kernel, file):
    synced = Clock(Options(floor_file=file)).now()
    kernel.error_s = None
    again = Clock(Options(floor_file=file)).now()
    assert again.state is ClockState.FLOOR
    assert again.lo_utc == pytest.approx(synced.lo_utc, abs=1.0)


def test_a_lost_synchronisation_is_held_over_and_widens(kernel, file):
    asked = Clock(Options(floor_file=file))
    synced = asked.now()
    kernel.error_s = None
    kernel.here_s += 1000
    held = asked.now()
    assert held.state is ClockState.HOLDOVER
    assert held.lo_utc < synced.lo_utc + 1000 < synced.hi_utc + 1000 < held.hi_utc
    assert held.hi_utc - held.lo_utc == pytest.approx(synced.hi_utc - synced.lo_utc + 0.2, abs=0.001)


def test_a_synchronised_clock_before_the_floor_is_suspect(kernel, file):
    file.parent.mkdir()
    file.touch()
    tomorrow = time.time() + 86400
    os.utime(file, (tomorrow, tomorrow))
    now = Clock(Options(floor_file=file)).now()
    assert (now.state, now.hi_utc) == (ClockState.SUSPECT, math.inf)
    assert now.lo_utc == pytest.approx(tomorrow, abs=1.0)


def test_the_kernel_is_asked_once_a_second(kernel, file):
    asked = Clock(Options(floor_file=file))
    assert asked.now().state is ClockState.SYNCED
    kernel.error_s = None
    kernel.here_s += 0.9
    assert asked.now().state is ClockState.SYNCED
    kernel.here_s += 0.2
    assert asked.now().state is ClockState.HOLDOVER


def test_a_trusted_system_clock_needs_no_kernel(kernel, file):
    kernel.error_s = None
    now = Clock(Options(trust=Trust.SYSTEM, floor_file=file, error_s=3.0)).now()
    assert now.state is ClockState.SYNCED
    assert now.hi_utc - now.lo_utc == pytest.approx(6.0)


def test_a_card_that_cannot_be_written_harms_nothing(kernel, tmp_path):
    (tmp_path / "occupied").write_text("a file where a folder should be")
    asked = Clock(Options(floor_file=tmp_path / "occupied" / "clock"))
    assert asked.now().state is ClockState.SYNCED


@given(wall=st.floats(1.8e9, 1.9e9), age_s=st.floats(-1e6, 1e6))
def test_an_old_success_is_worth_less(wall, age_s):
    error_s = clock.timesync_error_s(wall, wall - age_s)
    if age_s < -1e-3 or age_s > 31_100:
        assert error_s is None
    elif 0.01 < age_s < 30_900:
        assert error_s == pytest.approx(0.5 + age_s * 500e-6, abs=1e-3)


def test_the_boot_has_an_id(monkeypatch):
    assert str(uuid.UUID(clock.boot_id())) == clock.boot_id()
    monkeypatch.setenv("GATEPOST_BOOT_ID", "0" * 32)
    assert clock.boot_id() == "00000000-0000-0000-0000-000000000000"
    monkeypatch.setenv("GATEPOST_BOOT_ID", "nonsense")
    assert clock.boot_id() == ""


def test_the_real_kernel_answers():
    error_s = clock.kernel_error_s()
    assert error_s is None or 0 <= error_s < 60
