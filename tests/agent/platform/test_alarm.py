"""One thread waits, others set: nothing is missed, and nothing rings twice."""

import threading
import time

from agent.platform.alarm import Alarm


def test_it_rings_after_its_time_and_once():
    alarm, began_s = Alarm(), time.monotonic()
    alarm.set(0.02)
    assert alarm.wait(30)
    assert time.monotonic() - began_s >= 0.02
    assert not alarm.wait(0)


def test_unset_it_does_not_ring():
    assert not Alarm().wait(0)


def test_for_nothing_it_rings_at_once():
    alarm = Alarm()
    alarm.set(0)
    assert alarm.wait(30)


def test_a_new_moment_takes_the_place_of_the_one_before():
    alarm = Alarm()
    alarm.set(3600)
    alarm.set(0)
    assert alarm.wait(30)
    alarm.set(0)
    alarm.set(3600)
    assert not alarm.wait(0)


def test_whole_seconds_and_parts_of_them_are_both_meant():
    alarm, began_s = Alarm(), time.monotonic()
    alarm.set(1.001)
    assert alarm.wait(30)
    assert time.monotonic() - began_s >= 1.001


def test_another_thread_can_wake_who_waits_already():
    alarm, rang = Alarm(), []
    thread = threading.Thread(target=lambda: rang.append(alarm.wait(60)))
    thread.start()
    alarm.set(0)
    thread.join(30)
    assert rang == [True]
