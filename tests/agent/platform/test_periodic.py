"""Housekeeping: each job when it is due, one after the other, whatever another one does."""

from __future__ import annotations

import math
import threading
import time

import pytest

from agent.platform.periodic import LIMIT_S, Housekeeping, Job, aligned_wait_s


class Time:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_job_runs_each_time_its_period_has_passed() -> None:
    clock, done = Time(), list[str]()
    jobs = Housekeeping(
        [Job("often", 1.0, lambda: done.append("often")), Job("rare", 60.0, lambda: done.append("rare"))], clock
    )
    jobs.step()
    assert done == [], "the first time when the period has passed"
    for _ in range(60):
        clock.now_s += 1.0
        jobs.step()
    assert (done.count("often"), done.count("rare")) == (60, 1)


def test_jobs_that_are_due_at_nearly_the_same_time_run_together() -> None:
    clock, done = Time(), list[str]()

    def slow() -> None:
        clock.now_s += 0.1
        done.append("slow")

    jobs = Housekeeping([Job("slow", 1.0, slow), Job("after", 1.0, lambda: done.append("after"))], clock)
    for second in range(101, 104):
        clock.now_s = float(second)
        jobs.step()
    assert done == ["slow", "after"] * 3


@pytest.mark.parametrize("period_s", [0.2, 0.5, 1.0])
def test_all_that_wait_for_a_beat_wait_for_the_same_moment(period_s: float) -> None:
    before_s, left_s, after_s = time.monotonic(), aligned_wait_s(period_s), time.monotonic()
    assert 0 < left_s <= period_s
    first, last = ((at_s + left_s) / period_s for at_s in (before_s, after_s))
    assert math.ceil(first - 1e-6) <= last + 1e-6, "a whole multiple lies between them"


def test_an_error_in_a_job_is_logged_and_ends_no_other(caplog: pytest.LogCaptureFixture) -> None:
    clock, done = Time(), list[str]()

    def broken() -> None:
        raise ZeroDivisionError

    jobs = Housekeeping([Job("broken", 1.0, broken), Job("well", 1.0, lambda: done.append("well"))], clock)
    for _ in range(2):
        clock.now_s += 1.0
        jobs.step()
    assert done == ["well", "well"]
    assert caplog.text.count("an internal error in broken") == 2


def test_each_job_has_a_last_word_when_the_agent_stops() -> None:
    done: list[str] = []
    ran = threading.Event()
    jobs = Housekeeping([Job("one", 0.001, ran.set, lambda: done.append("one")), Job("two", 60.0, ran.set)])
    jobs.start()
    assert ran.wait(90)
    jobs.stop(20)
    assert done == ["one"]


def test_what_was_never_started_finishes_nothing() -> None:
    done: list[str] = []
    Housekeeping([Job("one", 1.0, print, lambda: done.append("one"))]).stop()
    assert done == []


def test_a_job_that_hangs_shows_in_health() -> None:
    clock = Time()
    jobs = Housekeeping([Job("one", 1.0, print)], clock)
    clock.now_s += LIMIT_S + 1.0
    (part,) = jobs.health()
    assert part.hangs
    assert not part.vital
