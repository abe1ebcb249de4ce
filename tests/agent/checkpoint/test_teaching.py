"""Who teaches a lane what is usual: people with a valid code who were let in, once each; nobody else."""

from __future__ import annotations

import pytest
from lane_bench import FEVER_C, NOW, ROOM_C, Bench

from agent import screening
from agent.model import Outcome, Screening
from agent.model.problems import in_words
from agent.screening import Baseline

OPTIONS = screening.Options()


@pytest.fixture
def known(bench: Bench) -> Bench:
    """Forty people were let in."""
    for number in range(40):
        visit(bench, b"green:%d" % number, 34.0 + 0.1 * (number % 8))
    assert baseline_of(bench).people == 40
    return bench


def visit(bench: Bench, code: bytes, surface_c: float, u_c: float = 0.4) -> None:
    bench.show(code)
    bench.measure(surface_c, count=6, u_c=u_c)
    bench.measure(ROOM_C, count=10)
    bench.wait(bench.options.rescan_after_admit_s)


def baseline_of(bench: Bench) -> Baseline:
    return bench.checkpoint.screens.baselines["in"]


def told(bench: Bench) -> str:
    return in_words(bench.checkpoint.screens.findings.get("in", ()))


@pytest.mark.parametrize("surface_c", [35.0, 38.4, 33.1])
def test_strangers_with_a_pad_teach_nothing_and_it_is_told(known: Bench, surface_c: float) -> None:
    before = baseline_of(known)
    for _ in range(150):
        known.measure(surface_c, count=105)  # until the kiosk gives up waiting for a code
        known.measure(ROOM_C, count=10)
    assert len(known.passages) == 40 + 150
    assert baseline_of(known) == before
    assert "showed no valid code" in told(known)
    visit(known, b"green:fever", 37.2)
    assert known.passages[-1].temperature.outcome is Screening.ELEVATED


@pytest.mark.parametrize("word", ["red", "expired", "yellow", "nonsense"])
def test_a_code_that_lets_nobody_in_teaches_nothing(known: Bench, word: str) -> None:
    before = baseline_of(known)
    for number in range(60):
        visit(known, f"{word}:p{number}".encode(), 34.9)
    assert baseline_of(known) == before


@pytest.mark.parametrize("word", ["green", "yellow"])
def test_by_an_imprecise_thermometer_nobody_is_normal_at_once_and_nobody_teaches(bench: Bench, word: str) -> None:
    for number in range(40):
        visit(bench, f"{word}:p{number}".encode(), 34.0 + 0.1 * (number % 8), u_c=2.0)
    assert "in" not in bench.checkpoint.screens.baselines
    assert not bench.openings
    if word == "green":
        assert {each.temperature.reason for each in bench.passages} == {"imprecise"}, "no longer look helps"


def test_one_holder_teaches_once_in_a_long_time(known: Bench) -> None:
    for _ in range(150):
        visit(known, b"green:one", 34.9)
        known.wait(known.options.passback_window_s)
    assert baseline_of(known).people == 41
    assert "showed no valid code" not in told(known)
    known.wait(1.25 * OPTIONS.baseline_relearn_s)  # quarters of it are forgotten whole
    visit(known, b"green:one", 34.6)
    assert baseline_of(known).people == 42


def test_a_fever_with_a_valid_code_does_not_move_what_is_usual(known: Bench) -> None:
    before = baseline_of(known)
    for _ in range(20):
        visit(known, b"green:fever", FEVER_C)
    assert baseline_of(known).people == before.people
    assert baseline_of(known).limit_c(OPTIONS, None) < before.limit_c(OPTIONS, None) + 0.06
    assert known.passages[-1].decision.outcome is not Outcome.ADMIT


def margin_of(bench: Bench) -> float:
    return baseline_of(bench).margin_c


@pytest.mark.parametrize("holder_counts", [True, False], ids=["just above the limit", "far above it"])
def test_staffs_own_thermometer_says_who_counts_among_those_without_a_fever(
    known: Bench, *, holder_counts: bool
) -> None:
    """Who lies just above the limit is counted, who lies far above it is not, until a second reading says."""
    before = baseline_of(known)
    limit_c = before.limit_c(OPTIONS, None)
    visit(known, b"green:late", limit_c + (0.1 if holder_counts else 2.0 * before.deviation_c))
    assert (margin_of(known) > before.margin_c) is holder_counts
    passage = known.second(38.6).passage
    assert passage is not None
    assert margin_of(known) == pytest.approx(before.margin_c)
    assert known.second(36.6).passage is not None, "a slip is corrected"
    assert margin_of(known) > before.margin_c
    counted = margin_of(known)
    assert known.second(36.6).reason == "no_candidate"
    assert margin_of(known) == counted


def test_a_second_reading_of_a_stranger_teaches_nothing(known: Bench) -> None:
    visit(known, b"red:late", 37.4)
    before = baseline_of(known)
    assert known.second(36.6).passage is not None
    assert baseline_of(known) == before


def test_a_kept_baseline_of_long_ago_is_not_compared_with() -> None:
    baseline = Baseline()
    for _ in range(60):
        baseline = baseline.after(34.4, None, NOW.earliest_utc - screening.baseline.STALE_S - 100, OPTIONS)
    bench = Bench()
    bench.checkpoint.screens.baselines["in"] = baseline
    visit(bench, b"green:anna", 34.4)
    assert bench.only().temperature.basis == "fixed"


def test_that_few_holders_pass_again_and_again_is_told(bench: Bench) -> None:
    for number in range(110):
        visit(bench, b"green:%d" % (number % 5), 34.4)
        bench.wait(bench.options.passback_window_s)
    assert baseline_of(bench).people == 5
    assert "only 5 had a valid code of a holder not seen before" in told(bench)


def test_who_was_above_the_limit_before_there_was_a_baseline_corrects_none(bench: Bench) -> None:
    visit(bench, b"green:first", OPTIONS.threshold_c + 1.0)  # there is no baseline yet that could count this one
    for number in range(40):
        visit(bench, b"green:%d" % number, 34.0 + 0.1 * (number % 8))
    before = margin_of(bench)
    bench.show(b"green:first")
    bench.measure(33.8, count=6)
    assert bench.passages[-1].temperature.attempt == 2
    assert margin_of(bench) == before
