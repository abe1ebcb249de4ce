"""Sealed parts that wait too long are dropped and counted, and never one that may be young."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.events import Encoder, Topics
from agent.model import ChainPosition, ClockState, Record, Redacted, Sealed, TimeBounds
from agent.outbox import Options, Outbox, retention
from agent.outbox.retention import Retention
from agent.outbox.store import Store

DAY_S = 86_400.0
LIMIT_S = 14 * DAY_S
T0 = 1_800_000_000.0
BOOT = "7d3c" * 8
SEALED = Redacted("gatepost", Sealed("week", b"e" * 32, b"c" * 272))
encode = Encoder(Topics("library", "gate-3"))


def exact(utc):
    return TimeBounds(utc, utc + 0.1, ClockState.SYNCED)


def floor(utc):
    return TimeBounds(utc, math.inf, ClockState.FLOOR)


class Kiosk:
    """A store with events, and the clock that judges them."""

    def __init__(self, path, make_event):
        self.store = Store(path)
        self.now, self.here_s, self.boot_id = exact(T0), 100.0, "now"
        self._make_event = make_event
        self.retention = Retention(lambda _: LIMIT_S, lambda: self.now, "now", lambda: self.here_s)

    def keep(self, now, *, sealed=True, boot_id="before", at_s=5.0):
        event = self._make_event()
        body = replace(event.body, redacted=SEALED if sealed else None)
        event = replace(event, body=body, now=now, boot_id=boot_id, at_s=at_s)
        key = self.store.last + 1
        self.store.write([encode(event, ChainPosition(self.store.epoch, key, "0" * 64))], [])
        return key

    def too_old(self):
        """What one whole walk finds."""
        found = []
        while True:
            self.retention._next_s = -math.inf
            found += self.retention.too_old(self.store)
            if self.retention._next_s > -math.inf:
                return found


@pytest.fixture
def kiosk(tmp_path, passage_event):
    made = Kiosk(tmp_path / "outbox.db", passage_event)
    yield made
    made.store.close()


def test_what_is_older_than_the_limit_goes_and_nothing_else(kiosk):
    old = [kiosk.keep(exact(T0 - LIMIT_S - day * DAY_S)) for day in (3, 2, 1)]
    kiosk.keep(exact(T0 - LIMIT_S - 5), sealed=False)
    kiosk.keep(exact(T0 - LIMIT_S + 5))
    kiosk.keep(exact(T0))
    assert kiosk.too_old() == old


def test_in_this_boot_the_time_since_boot_counts_whatever_the_wall_says(kiosk):
    kiosk.here_s = 20 * DAY_S
    old = kiosk.keep(floor(0.0), boot_id="now", at_s=5 * DAY_S)
    kiosk.keep(floor(0.0), boot_id="now", at_s=7 * DAY_S)
    kiosk.now = floor(T0)
    assert kiosk.too_old() == [old]


def test_an_event_without_an_upper_bound_is_as_old_as_a_later_one(kiosk):
    unsure = kiosk.keep(floor(1.0))
    kiosk.keep(exact(T0 - LIMIT_S - DAY_S), sealed=False)
    kiosk.keep(floor(1.0))
    kiosk.keep(exact(T0 - DAY_S))
    assert kiosk.too_old() == [unsure]


def test_an_event_of_an_earlier_boot_is_older_than_this_one(kiosk):
    old = kiosk.keep(floor(1.0))
    kiosk.now, kiosk.here_s = floor(2.0), LIMIT_S + 1
    assert kiosk.too_old() == [old]


def test_what_cannot_be_told_stays(kiosk):
    kiosk.keep(floor(1.0))
    kiosk.keep(exact(T0 - 30 * DAY_S))
    kiosk.now = floor(T0 - 29 * DAY_S)
    assert kiosk.too_old() == []


def test_a_boot_without_a_name_is_not_this_one(kiosk):
    kiosk.retention = Retention(lambda _: LIMIT_S, lambda: kiosk.now, "", lambda: 99 * DAY_S)
    kiosk.keep(exact(T0 - DAY_S), boot_id="", at_s=0.0)
    assert kiosk.too_old() == []


def test_it_looks_now_and_then_and_a_page_at_a_time(kiosk, monkeypatch):
    monkeypatch.setattr(retention, "PAGE", 3)
    old = [kiosk.keep(exact(T0 - LIMIT_S - DAY_S)) for _ in range(7)]
    pages = [kiosk.retention.too_old(kiosk.store) for _ in range(4)]
    assert pages == [old[:3], old[3:6], old[6:], []]
    kiosk.keep(exact(T0 - LIMIT_S - DAY_S))
    assert kiosk.retention.too_old(kiosk.store) == [], "not before the next look"


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans(), st.booleans()), max_size=30))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])  # it only makes events
def test_only_what_is_truly_older_goes(tmp_path_factory, passage_event, ages):
    """Whatever is known of the clock: what goes is old, and what is surely old and sealed goes."""
    kiosk = Kiosk(tmp_path_factory.mktemp("kiosk") / "outbox.db", passage_event)
    truth = {}
    for days, known, sealed in sorted(ages, reverse=True):
        utc = T0 - days * DAY_S
        truth[kiosk.keep(exact(utc) if known else floor(utc - DAY_S), sealed=sealed)] = (utc, known, sealed)
    gone = set(kiosk.too_old())
    kiosk.store.close()
    assert all(T0 - truth[key][0] > LIMIT_S - 1 and truth[key][2] for key in gone)
    assert gone >= {
        key for key, (utc, known, sealed) in truth.items() if known and sealed and T0 - utc > LIMIT_S + 1
    }


def test_the_outbox_drops_them_and_says_so(tmp_path, passage_event, wait_for):
    walk = Retention(lambda _: LIMIT_S, lambda: exact(T0), "now", lambda: 100.0)
    outbox = Outbox(Options(path=tmp_path / "outbox.db", commit_ms=0), encode, walk.too_old)
    times = (T0 - 20 * DAY_S, T0 - 15 * DAY_S, T0 - DAY_S)
    for number, utc in enumerate(times):
        event = passage_event(number)
        body = replace(event.body, redacted=SEALED)
        outbox.store(replace(event, body=body, now=exact(utc), boot_id="before"))
    outbox.start()
    wait_for(lambda: outbox.status().lost == 2 and outbox.status().waiting == 2)
    outbox.stop()
    store = Store(tmp_path / "outbox.db")
    kept = [json.loads(record.payload)["data"] for record in store.after(0, 10)]
    store.close()
    assert [data.get("duration_ms") for data in kept] == [2, None]
    assert kept[1]["loss"] == {
        "reason": "retention_expired",
        "count": 2,
        "first": 1,
        "last": 2,
        "epoch": store.epoch,
    }


@pytest.mark.parametrize(
    "clock", [{}, None, [], {"boot_id": "now", "boottime_ms": "5", "earliest": 1, "latest": None}, 7]
)
def test_a_record_whose_clock_is_none_of_ours_stops_nobody(kiosk, clock):
    payload = json.dumps({"data": {"clock": clock, "sealed": {}}}, separators=(",", ":")).encode()
    kiosk.store.write([Record(1, "passage", 1, payload)])
    old = kiosk.keep(exact(T0 - 20 * DAY_S))
    assert kiosk.too_old() == [1, old], "older than one that is too old"
    kiosk.store.write([], [(old, old)])
    assert kiosk.too_old() == []
