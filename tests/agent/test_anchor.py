"""An anchor dates the events of its boot, by the very lines that docs/events.md gives to the central server."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agent.events import FIRST, Encoder, Topics
from agent.model import AgentChange, ChainPosition, ClockState, Event
from agent.platform.clock import BUILT_UTC, Clock, KernelTime, Options, Sources

EVENTS_MD = Path(__file__).parents[2] / "docs" / "events.md"
encode = Encoder(Topics("library", "gate-3"))


def the_example():
    """`dated`, as the document has it."""
    (text,) = re.findall(r"```python\n(def dated.*?)```", EVENTS_MD.read_text(), re.DOTALL)
    names = {}
    exec(text, names)  # noqa: S102 - our own document
    return names["dated"]


dated = the_example()


class Board:
    """A board without a battery clock: where the network is, its clock is right to `error_s`."""

    def __init__(self, crystal):
        self.true_utc = BUILT_UTC + 1e7
        self.here_s = 4.0
        self.error_s = None
        self.wrong_s = -1e9
        self._crystal = crystal

    def wait(self, seconds):
        self.true_utc += seconds
        self.here_s += seconds * (1 + self._crystal)

    def sync(self, wrong_s, error_s):
        self.wrong_s, self.error_s = wrong_s, error_s

    def sources(self):
        return Sources(
            wall_utc=lambda: self.true_utc + self.wrong_s,
            boottime_s=lambda: self.here_s,
            word=lambda: KernelTime(self.error_s),
            boot_id=lambda: "one",
        )

    def event(self, what, clock, boot_id="one"):
        happened = Event(AgentChange(what, "1"), self.here_s, clock.now(), boot_id)
        return json.loads(encode(happened, ChainPosition("9f86d081", 1, FIRST)).payload)


@given(
    crystal=st.floats(-99e-6, 99e-6),
    waits=st.lists(st.floats(0, 3 * 86_400), min_size=1, max_size=8),
    error_s=st.floats(0.001, 0.9),
    share=st.floats(-1, 1),
    later=st.floats(0, 86_400),
)
def test_events_before_the_first_sync_are_dated_by_it(tmp_path_factory, crystal, waits, error_s, share, later):
    board = Board(crystal)
    clock = Clock(Options(last_known_time_file=tmp_path_factory.mktemp("kiosk") / "clock"), board.sources())
    events = []
    for wait_s in waits:
        board.wait(wait_s)
        events.append((board.event("started", clock), board.true_utc))
    assert all("time" not in event for event, _ in events)
    board.wait(2.0)
    board.sync(share * error_s, error_s)
    anchor, anchored_utc = board.event("clock_synchronised", clock), board.true_utc
    assert anchor["data"]["clock"]["state"] == ClockState.SYNCED
    board.wait(later)
    events.append((board.event("stopped", clock), board.true_utc))
    for event, true_utc in events:
        begin, end = dated(event, [board.event("clock_synchronised", clock, "other"), anchor])
        assert begin - 0.002 <= true_utc <= end + 0.002  # events tell milliseconds
        assert abs((begin + end) / 2 - true_utc) <= 1.0 + 1e-4 * abs(true_utc - anchored_utc)


def test_without_an_anchor_of_the_boot_nothing_is_claimed():
    clock = {"state": "floor", "earliest": 1.0, "latest": None, "boottime_ms": 5, "boot_id": "a"}
    event = {"data": {"clock": clock}}
    assert dated(event, []) is None
    assert dated(event, [{"data": {"clock": clock | {"boot_id": "b", "latest": 2.0}}}]) is None


def test_the_narrowest_of_several_counts():
    def at(ms, lo, hi):
        return {"data": {"clock": {"earliest": lo, "latest": hi, "boottime_ms": ms, "boot_id": "a"}}}

    assert dated(at(1000, 0, None), [at(2000, 101.0, 109.0), at(3000, 103.0, 103.5)]) == (
        103.0 - 2 - 2e-4,
        103.5 - 2 + 2e-4,
    )
