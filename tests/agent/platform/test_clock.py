"""What time it is, as an interval: never earlier than the floor, never surer than the kernel."""

import math
import os
import time
import uuid

import pytest
from clock_bench import Kept
from hypothesis import given
from hypothesis import strategies as st

from agent.model import ClockState
from agent.model.problems import in_words
from agent.platform import clock
from agent.platform.clock import BUILT_UTC, Clock, KernelTime, Options, Sources, TimeSource
from agent.platform.periodic import Housekeeping, Job


def test_a_synchronised_clock_is_an_interval_around_the_wall(file):
    before = time.time()
    now = Clock(Options(last_known_time_file=file, error_s=1.0), Sources(word=lambda: KernelTime(0.01))).now()
    after = time.time()
    assert now.state is ClockState.SYNCED
    assert now.earliest_utc <= before - 1.0 + 0.5
    assert now.earliest_utc <= after <= now.latest_utc + 0.001
    assert now.latest_utc - now.earliest_utc == pytest.approx(2 * 1.01)


def test_without_synchronisation_there_is_a_floor_and_no_ceiling(kernel, make):
    kernel.error_s = None
    now = make().now()
    assert (now.earliest_utc, now.latest_utc, now.state) == (BUILT_UTC, math.inf, ClockState.FLOOR)


def test_the_floor_rises_with_the_time_since_boot(kernel, make):
    kernel.error_s = None
    asked = make()
    kernel.here_s += 50
    assert BUILT_UTC + 49.99 < asked.now().earliest_utc < BUILT_UTC + 50, "but for what a crystal may be off"


def test_the_floor_outlives_a_power_cut_once_it_is_proved(kernel, make):
    asked = make()
    asked.now()
    kernel.pass_by(asked, 1800)
    kernel.error_s = None
    assert make().now().earliest_utc == pytest.approx(BUILT_UTC, abs=4000), "half an hour proves nothing"
    kernel.error_s = 0.01
    asked = make()
    asked.now()
    synced = kernel.pass_by(asked, 3700)
    asked.save()
    kernel.error_s = None
    again = make().now()
    assert again.state is ClockState.FLOOR
    assert again.earliest_utc == pytest.approx(synced.earliest_utc, abs=1.0)


def test_an_hour_without_another_answer_proves_nothing(kernel, make):
    """The kernel calls itself synchronised for hours after a single one."""
    asked = make()
    asked.now()
    for _ in range(10):
        kernel.here_s += 600
        kernel.error_s += 0.3
        assert asked.now().state is ClockState.SYNCED
    asked.save()
    kernel.error_s = None
    assert make().now().earliest_utc == pytest.approx(BUILT_UTC, abs=10_000)


def test_a_lost_synchronisation_is_held_over_and_widens(kernel, make):
    asked = make()
    synced = asked.now()
    kernel.error_s = None
    kernel.here_s += 1000
    held = asked.now()
    assert held.state is ClockState.HOLDOVER
    assert held.earliest_utc < synced.earliest_utc + 1000 < synced.latest_utc + 1000 < held.latest_utc
    width = synced.latest_utc - synced.earliest_utc
    assert held.latest_utc - held.earliest_utc == pytest.approx(width + 0.2, abs=0.001)


def test_a_synchronised_clock_before_the_floor_is_suspect(make, file):
    file.parent.mkdir()
    file.touch()
    tomorrow = time.time() + 86400
    os.utime(file, (tomorrow, tomorrow))
    now = make().now()
    assert (now.state, now.latest_utc) == (ClockState.SUSPECT, math.inf)
    assert now.earliest_utc == pytest.approx(tomorrow, abs=1.0)


def test_the_kernel_is_asked_once_a_second(kernel, make):
    asked = make()
    assert asked.now().state is ClockState.SYNCED
    kernel.error_s = None
    kernel.here_s += 0.9
    assert asked.now().state is ClockState.SYNCED
    kernel.here_s += 0.2
    assert asked.now().state is ClockState.HOLDOVER


def test_a_trusted_system_clock_needs_no_kernel(kernel, make):
    kernel.error_s = None
    now = make(source=TimeSource.SYSTEM, error_s=3.0).now()
    assert now.state is ClockState.SYNCED
    assert now.latest_utc - now.earliest_utc == pytest.approx(6.0)


def test_a_card_that_cannot_be_written_harms_nothing(kernel, tmp_path):
    (tmp_path / "occupied").write_text("a file where a folder should be")
    asked = Kept(Options(last_known_time_file=tmp_path / "occupied" / "clock"), kernel.sources)
    assert asked.now().state is ClockState.SYNCED


@given(wall=st.floats(1.8e9, 1.9e9), age_s=st.floats(-1e6, 1e6))
def test_an_old_success_is_worth_less(wall, age_s):
    error_s = clock.timesync_error_s(wall, wall - age_s)
    if age_s < -1e-3 or age_s > 31_100:
        assert error_s is None
    elif 0.01 < age_s < 30_900:
        assert error_s == pytest.approx(0.5 + age_s * 500e-6, abs=1e-3)


def test_a_clock_that_begins_in_1970_was_never_synchronised():
    assert clock.timesync_error_s(5.0, 0.0) is None


def test_the_boot_has_an_id(monkeypatch):
    assert str(uuid.UUID(clock.boot_id())) == clock.boot_id()
    monkeypatch.setenv("GATEPOST_BOOT_ID", "0" * 32)
    assert clock.boot_id() == "00000000-0000-0000-0000-000000000000"
    monkeypatch.setenv("GATEPOST_BOOT_ID", "nonsense")
    assert clock.boot_id() == ""


def test_the_real_kernel_answers():
    error_s = clock.kernel_time().error_s
    assert error_s is None or 0 <= error_s < 60


def test_a_jump_of_the_wall_has_the_kernel_asked_at_once(kernel, make):
    asked = make()
    asked.now()
    kernel.booted_utc -= 100
    kernel.error_s = None
    kernel.here_s += 0.1
    assert asked.now().state is ClockState.HOLDOVER


def test_a_pause_between_two_looks_at_the_clocks_is_no_jump(kernel, make):
    kernel.timesyncd()
    asked = make()
    assert asked.now().state is ClockState.SYNCED
    for _ in range(2):
        kernel.here_s, kernel.held_up_s = kernel.here_s + 5, 0.3
        assert asked.now().state is ClockState.SYNCED


def test_a_clock_that_is_drawn_slowly_is_not_one_that_jumps(kernel, make):
    kernel.timesyncd()
    asked = make()
    for _ in range(100):
        assert asked.now().state is ClockState.SYNCED
        kernel.here_s += 0.5
        kernel.booted_utc += 0.5 * 500e-6


@pytest.mark.parametrize("by_s", [-3600, -0.1, 0.1, 3600])
def test_what_timesyncd_said_before_somebody_set_the_clock_does_not_count(kernel, make, by_s):
    kernel.timesyncd()
    asked = make()
    true = asked.now()
    kernel.here_s += 0.5
    kernel.booted_utc += by_s
    for _ in range(2):  # nor when the agent is restarted
        held = asked.now()
        assert held.state is not ClockState.SYNCED
        assert held.earliest_utc <= true.earliest_utc + 0.5
        asked = make()
    asked.now()
    kernel.here_s += 10
    kernel.booted_utc -= by_s
    kernel.timesyncd()
    assert asked.now().state is ClockState.SYNCED


def test_a_step_of_timesyncd_itself_counts_at_once(kernel, make):
    asked = make()
    kernel.booted_utc -= 1e6
    kernel.error_s = None
    assert asked.now().state is ClockState.FLOOR
    kernel.here_s += 0.5
    kernel.booted_utc += 1e6
    kernel.error_s = 0.5
    kernel.timesyncd()
    kernel.here_s += 0.2
    assert asked.now().state is ClockState.SYNCED


def test_a_clock_that_was_set_while_the_agent_was_away_is_noticed(kernel, make):
    kernel.timesyncd()
    asked = make()
    asked.now()
    asked.save()
    kernel.here_s += 60
    kernel.booted_utc += 3600
    assert make().now().state is ClockState.FLOOR
    kernel.boot_id = "another-boot"  # of that nothing is known
    assert make().now().state is ClockState.SYNCED


def test_a_kiosk_that_starts_without_a_network_is_not_ill_at_once(kernel, make):
    kernel.here_s, kernel.error_s = 20.0, None
    asked = make()
    assert in_words(asked.findings()) == ""
    kernel.here_s = 310.0
    assert "the time is not known: codes that end go to staff" in in_words(asked.findings())
    kernel.error_s = 0.01
    kernel.here_s += 2
    assert in_words(asked.findings()) == ""
    kernel.error_s = None
    for _ in range(5):  # held over: once known, it does not come and go with the network
        kernel.here_s += 80_000
        assert in_words(asked.findings()) == ""


def test_doubts_are_said_with_their_remedy(kernel, make, file):
    asked = make()
    asked.now()
    kernel.booted_utc += 1000
    kernel.here_s += 2
    assert "systemctl restart gatepost" in in_words(asked.findings())
    kernel.booted_utc = BUILT_UTC - 86_400
    kernel.here_s += 2
    assert f"rm {file}" in in_words(asked.findings())


def test_the_floor_is_saved_once_an_hour_and_when_told_whatever_the_state(kernel, make, file):
    kernel.error_s = None
    asked = make()
    asked.now()
    assert file.stat().st_mtime == pytest.approx(BUILT_UTC)
    kernel.here_s += 3599
    asked.now()
    assert file.stat().st_mtime == pytest.approx(BUILT_UTC)
    kernel.here_s += 1
    asked.now()
    assert file.stat().st_mtime == pytest.approx(BUILT_UTC + 3600, abs=1)
    kernel.here_s += 100
    asked.now()
    asked.save()
    assert file.stat().st_mtime == pytest.approx(BUILT_UTC + 3700, abs=1)


def test_a_file_of_an_older_release_is_a_floor_too(kernel, make, file):
    kernel.error_s = None
    file.parent.mkdir()
    file.touch()
    os.utime(file, (BUILT_UTC + 5000, BUILT_UTC + 5000))
    assert make().now().earliest_utc == pytest.approx(BUILT_UTC + 5000)


def test_housekeeping_keeps_it_and_has_the_last_word(kernel, file, wait_for):
    asked = Clock(Options(last_known_time_file=file), kernel.sources)
    keeper = Housekeeping([Job("clock", 0.01, asked.save_if_due, asked.save)])
    asked.now()
    assert not file.exists(), "asking for the time writes nothing"
    keeper.start()
    wait_for(file.exists)
    last = kernel.pass_by(asked, 4000)
    keeper.stop()
    assert file.stat().st_mtime == pytest.approx(last.earliest_utc, abs=0.001)
