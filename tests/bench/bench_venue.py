"""The venue's day: places, reports, statements, and what the ledger costs.

Histories are those of `tests/agent/venue`: partitions, restarts, power cuts, unknown time, days off. How many:
GATEPOST_HISTORIES, 10,000 by itself; on a real broker GATEPOST_BROKER_HISTORIES, 20.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

from rows import ROOT, Row

from agent import policy
from agent.model import Permit, PermitKind
from agent.ruleset import load
from agent.venue.entries import Entry, What
from agent.venue.ledger import Ledger
from agent.venue.permits import build_roster, parse_roster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sys.path[:0] = [str(ROOT), str(ROOT / "tests/agent/venue")]  # the tests, and what they share

HISTORIES = int(os.environ.get("GATEPOST_HISTORIES", "10000"))
BROKER_HISTORIES = int(os.environ.get("GATEPOST_BROKER_HISTORIES", "20"))
PASSAGES, PERMITS = 20_000, 50_000


def run() -> Iterator[Row]:
    """One row for each bar."""
    yield _room()
    yield _broker()
    yield _reports()
    yield from _ledger()
    yield from _decision()
    yield _invariants()
    yield from _permits()
    yield _proof()


def _room() -> Row:
    from tests.agent.venue.test_room import random_room  # noqa: PLC0415 - of the tests

    over = vain = 0
    for seed in range(HISTORIES):
        most, capacity, turned = random_room(seed)
        over += most > capacity
        vain += turned
    return Row(f"over capacity, {HISTORIES} histories of 2 to 5 kiosks", f"{over} ({vain} turned away in vain)",
               bar="0", met=over == 0)  # fmt: skip


def _reports() -> Row:
    from tests.agent.venue.test_reports import missing_or_twice, random_history  # noqa: PLC0415 - of the tests

    wrong = sum(bool(missing_or_twice(random_history(seed))) for seed in range(HISTORIES))
    return Row(f"reports missing or twice, {HISTORIES} histories", str(wrong), bar="0", met=wrong == 0)


def _best_s(work: Callable[[], object], times: int = 5) -> float:
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def _ledger() -> Iterator[Row]:
    ledger = Ledger(28_800).fold([Entry(0, 255, What.BOOT), Entry(1, 255, What.CLOCK, number=1_796_000_000)])
    for number in range(PASSAGES):
        ledger.apply(Entry(100 + number, 0, What.DECIDED, 3, 1))
        ledger.apply(Entry(100 + number, 0, What.IN if number % 2 else What.OUT))
    data = ledger.entries
    took_ms = 1000 * _best_s(lambda: Ledger(28_800).fold_bytes(data))
    tracemalloc.start()
    kept = Ledger(28_800).fold_bytes(data)
    held = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    yield Row(
        f"fold {PASSAGES} passages", f"{took_ms:.0f} ms, {len(kept)} entries", bar="≤ 50 ms", met=took_ms <= 50
    )
    yield Row("memory of that day", f"{held:.1f} MB, {len(data) / 1e6:.1f} MB on disk", bar="≤ 3 MB", met=held <= 3)


def _decision() -> Iterator[Row]:
    """The same people before two agents, by turns: one with a venue, one without. Processor time, medians."""
    from decision_bench import Lane  # noqa: PLC0415 - of this folder

    for name, has_thermometer, bar in (("code and thermometer", True, 5.0), ("code alone", False, None)):
        with tempfile.TemporaryDirectory() as folder:
            lanes = [
                Lane(Path(folder) / str(venue), venue=venue, thermometer=has_thermometer) for venue in (False, True)
            ]
            spans: tuple[list[float], list[float]] = [], []
            for batch in range(40):
                for lane, span in zip(lanes, spans, strict=True):
                    span.append(lane.decide(batch * 25, 25))
        bare, whole = (1e6 * statistics.median(span) for span in spans)
        more = 100 * (whole / bare - 1)
        here = f"{whole:.0f} µs, {more:+.1f} % against {bare:.0f} µs without a venue"
        met = None if bar is None else more <= bar
        yield Row(f"decide a person: {name}", here, bar="" if bar is None else f"≤ +{bar:.0f} %", met=met)


def _broker() -> Row:
    from tests.agent.loop.test_shared_room import random_history  # noqa: PLC0415 - of the tests
    from tests.conftest import Broker  # noqa: PLC0415 - of the tests

    over = came = 0
    for seed in range(BROKER_HISTORIES):
        with tempfile.TemporaryDirectory() as folder:
            broker = Broker(Path(folder))
            broker.start()
            most, capacity, passed = random_history(Path(folder), broker, seed)
            broker.close()
        over, came = over + (most > capacity), came + passed
    what = f"over capacity, {BROKER_HISTORIES} histories of 2 to 4 gates on a real broker"
    return Row(what, f"{over} ({came} came in)", bar="0", met=over == 0)


def _invariants() -> Row:
    from tests.agent.venue.test_venue import no_statement_lifts_an_invariant  # noqa: PLC0415 - of the tests
    from tests.profiles import PROFILES  # noqa: PLC0415 - of the tests

    tried = lifted = 0
    for name in PROFILES:
        try:
            tried += no_statement_lifts_an_invariant(name)
        except AssertionError:
            lifted += 1
    return Row("statements of staff beside an invariant, all tables", f"{lifted} lifted of {tried}", bar="0",
               met=lifted == 0)  # fmt: skip


def _permits() -> Iterator[Row]:
    people = [Permit(n.to_bytes(4) * 2, PermitKind("pupil"), f"class-{n % 300}", n) for n in range(1, PERMITS + 1)]
    content = build_roster(people)
    opened_ms = 1000 * _best_s(lambda: parse_roster(content))
    roster = parse_roster(content)
    found_us = 1e6 * _best_s(lambda: [roster.find(each.key) for each in people[::10]]) / (PERMITS / 10)
    yield Row(f"open {PERMITS} permits", f"{opened_ms:.0f} ms", bar="≤ 50 ms", met=opened_ms <= 50)
    yield Row("look one up", f"{found_us:.1f} µs", bar="≤ 5 µs", met=found_us <= 5)


def _proof() -> Row:
    texts = {path.stem: load.whole_table(path) for path in load.profiles()}
    worst_ms = max(1000 * _best_s(lambda text=text, name=name: policy.parse_table(text, name), 3)
                   for name, text in texts.items())  # fmt: skip
    return Row("prove a profile, all facts", f"{worst_ms:.1f} ms at most", bar="≤ 50 ms", met=worst_ms <= 50)
