"""The venue's day: places, reports, statements, and what the ledger costs.

Histories are those of `tests/agent/venue`: partitions, restarts, power cuts, unknown time, days off. How many:
GATEPOST_HISTORIES, 10,000 by itself.
"""

from __future__ import annotations

import os
import sys
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

from rows import Row

from agent import policy
from agent.model import CodeStatus, Colour, Direction, Permit, PermitKind, Screening, Verdict
from agent.policy.facts import facts_of
from agent.ruleset import load
from agent.venue.entries import Entry, What
from agent.venue.ledger import Ledger
from agent.venue.permits import build_roster, parse_roster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sys.path.insert(0, str(Path(__file__).parents[1] / "agent" / "venue"))

HISTORIES = int(os.environ.get("GATEPOST_HISTORIES", "10000"))
PASSAGES, PERMITS = 20_000, 50_000


def run() -> Iterator[Row]:
    """One row for each bar."""
    yield _room()
    yield _reports()
    yield from _ledger()
    yield _decision()
    yield from _permits()
    yield _proof()


def _room() -> Row:
    from test_room import random_room  # noqa: PLC0415 - of the tests

    over = vain = 0
    for seed in range(HISTORIES):
        most, capacity, turned = random_room(seed)
        over += most > capacity
        vain += turned
    return Row(f"over capacity, {HISTORIES} histories of 2 to 5 kiosks", f"{over} ({vain} turned away in vain)",
               bar="0", met=over == 0)  # fmt: skip


def _reports() -> Row:
    from test_reports import missing_or_twice, random_history  # noqa: PLC0415 - of the tests

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


def _decision() -> Row:
    from kiosk_bench import PUPILS, Kiosk, roster_of, subject  # noqa: PLC0415 - of the tests

    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.tick()
    table, site = load.load_table(policy.Options("school")), policy.SiteFacts()
    verdict = Verdict(CodeStatus.VALID, "gatepost", subject=subject("pupil1"), colour=Colour.GREEN)
    now, count = kiosk.now, 5000

    def without() -> None:
        for _ in range(count):
            policy.decide(table, facts_of(Direction.ENTRY, verdict, Screening.NORMAL, now, site=site))

    def added() -> None:
        for _ in range(count):
            kiosk.venue.facts("in", verdict, {}, now, kiosk.at_s)

    cost_us, more_us = 1e6 * _best_s(without) / count, 1e6 * _best_s(added) / count
    return Row(
        "facts of the venue, once a passage",
        f"{more_us:.0f} µs beside {cost_us:.0f} µs for a decision",
    )


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
