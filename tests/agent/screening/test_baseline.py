"""The baseline: follows the room and the sensor, not the fevers; says when it does not know."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import ClockState, Screening, TimeBounds
from agent.screening import Baseline, LaneScreening, Options
from agent.screening.baseline import (
    FALL_C,
    FALL_C_PER_HOUR,
    KNOWN_U_C,
    LEAST_TAIL,
    MOST_TAIL,
    RISE_C,
    RISE_C_PER_HOUR,
    STALE_S,
    from_plain,
    to_plain,
)
from agent.screening.outcome import baseline_threshold_c
from drivers.contract import Reading

OPTIONS = Options()
NIGHT_S = 12 * 3600


def after(baseline: Baseline, skins: list[float], room_c: float | None = 23.0, every_s: float = 20.0) -> Baseline:
    for skin_c in skins:
        baseline = baseline.after(skin_c, room_c, baseline.seen_utc + every_s, OPTIONS)
    return baseline


def people(count: int, mean_c: float = 34.4, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [chance.gauss(mean_c, 0.5) for _ in range(count)]


@pytest.fixture(scope="module")
def known() -> Baseline:
    return after(Baseline(), people(200))


def test_nobody_is_no_baseline() -> None:
    assert math.isinf(Baseline().u_c())
    assert not Baseline().counts(1, None)


def test_it_counts_once_there_are_enough() -> None:
    baseline = after(Baseline(), people(29))
    assert not baseline.counts(30, 23.0)
    assert after(baseline, [34.4]).counts(30, 23.0)


def test_it_finds_the_middle_and_the_width(known: Baseline) -> None:
    assert known.usual_c(23.0) == pytest.approx(34.4, abs=0.2)
    assert known.deviation_c == pytest.approx(0.5, abs=0.12)
    assert known.u_c(23.0) < KNOWN_U_C
    assert 34.9 < baseline_threshold_c(known, OPTIONS, 23.0) < 35.6


@pytest.mark.parametrize("fevers", [0.0, 0.01, 0.03])
def test_the_share_of_fevers_does_not_set_the_share_of_false_alarms(fevers: float) -> None:
    passed = []
    for seed in range(12):
        chance = random.Random(seed)
        baseline = after(Baseline(), people(100, seed=seed))
        for _ in range(700):
            is_ill = chance.random() < fevers
            skin_c = chance.gauss(35.6 if is_ill else 34.4, 0.5)
            if not is_ill:
                passed.append(skin_c < baseline_threshold_c(baseline, OPTIONS, 23.0))
            baseline = after(baseline, [skin_c])
    assert sum(passed) / len(passed) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("drift_c", [1.7, -1.7])
def test_it_follows_a_drifting_sensor(known: Baseline, drift_c: float) -> None:
    skins = [skin_c + drift_c * place / 299 for place, skin_c in enumerate(people(300, seed=2))]
    assert after(known, skins).usual_c(23.0) == pytest.approx(34.4 + drift_c, abs=0.3)


def test_it_knows_the_room() -> None:
    chance = random.Random(3)
    baseline = Baseline()
    for _ in range(400):
        room_c = chance.uniform(18, 28)
        baseline = after(baseline, [chance.gauss(34.4 + 0.2 * (room_c - 23), 0.5)], room_c)
    assert baseline.slope == pytest.approx(0.2, abs=0.05)
    assert baseline.usual_c(18.0) < baseline.usual_c(28.0) - 1.2


def test_a_cluster_of_fevers_moves_the_limit_little(known: Baseline) -> None:
    before_c = baseline_threshold_c(known, OPTIONS, 23.0)
    cluster = after(known, [37.0] * 8)
    assert baseline_threshold_c(cluster, OPTIONS, 23.0) < before_c + 0.45
    assert baseline_threshold_c(cluster, OPTIONS, 23.0) < 36.0


@given(skin_c=st.floats(30, 43))
def test_nobody_alone_moves_it_by_more_than_a_hand_breadth(skin_c: float) -> None:
    known = after(Baseline(), people(60))
    moved = after(known, [skin_c])
    assert abs(moved.usual_c(23.0) - known.usual_c(23.0) - known.trend_c) < 0.1


def test_when_everybody_is_hot_it_says_that_it_is_not_settled(known: Baseline) -> None:
    assert not after(known, [37.0] * 12).counts(30, 23.0)


def test_when_everybody_is_cold_it_hurries_after_them(known: Baseline) -> None:
    assert after(known, people(40, mean_c=33.0)).usual_c(23.0) < 33.5


def test_a_wave_does_not_lift_the_margin_without_bound(known: Baseline) -> None:
    chance = random.Random(5)
    wave = [chance.gauss(36.5, 0.3) if chance.random() < 0.3 else chance.gauss(34.4, 0.5) for _ in range(300)]
    assert after(known, wave).tail <= MOST_TAIL


def test_a_night_makes_it_less_sure(known: Baseline) -> None:
    assert after(known, [34.4], every_s=NIGHT_S).u_c(23.0) > after(known, [34.4]).u_c(23.0)


def test_while_the_room_sensor_is_down_it_waits(known: Baseline) -> None:
    assert not known.counts(30, None)
    assert after(known, [36.0] * 5, room_c=None) == known
    assert after(known, [34.4], room_c=None, every_s=90_000).people == 1


def test_simulated_people_are_not_learnt_together_with_real_ones(known: Baseline) -> None:
    mixed = known.after(34.4, 23.0, known.seen_utc, OPTIONS, simulated=True)
    assert mixed.people == 1
    assert mixed.simulated


def test_a_clock_set_back_changes_nothing(known: Baseline) -> None:
    back = known.after(34.4, 23.0, 0.0, OPTIONS)
    assert back.seen_utc == known.seen_utc
    assert math.isfinite(back.u_c(23.0))


def test_it_never_moves_the_limit_beyond_its_reach(known: Baseline) -> None:
    far = replace(known, level_c=41.0)
    assert baseline_threshold_c(far, OPTIONS, 23.0) == OPTIONS.ceiling_c == 37.1
    assert baseline_threshold_c(replace(known, level_c=20.0), OPTIONS, 23.0) >= OPTIONS.min_skin_c


@given(st.lists(st.tuples(st.floats(30, 43), st.floats(-10, 45), st.floats(0, 1e6)), min_size=1, max_size=60))
def test_its_numbers_stay_sound_whatever_comes(seen: list[tuple[float, float, float]]) -> None:
    baseline = Baseline()
    for skin_c, room_c, wait_s in seen:
        baseline = after(baseline, [skin_c], room_c, wait_s)
    assert math.isfinite(baseline.usual_c(23.0))
    assert baseline.u_c(23.0) > 0
    assert not baseline.people or from_plain(to_plain(baseline)) == baseline


@pytest.mark.parametrize(
    "broken",
    [
        {"level_c": math.nan},
        {"deviation_c": 9.0},
        {"tail": 0.0},
        {"people": -1},
        {"var": (1.0,)},
        {"var": (-1.0, 0.0, 0.0, 0.0, 0.0, 0.0)},
        {"name": "anna"},
        {"slope": 2.0},
        {"trend_c": 0.5},
        {"anchor_c": math.inf},
    ],
)
def test_a_broken_file_begins_again(known: Baseline, broken: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no baseline"):
        from_plain({**to_plain(known), **broken})


def test_a_file_of_an_older_version_begins_again(known: Baseline) -> None:
    plain = to_plain(known)
    del plain["anchor_c"]
    with pytest.raises(ValueError, match="anchor_c missing"):
        from_plain(plain)


@pytest.mark.parametrize("moved", [{"level_c": 37.5}, {"level_c": 20.0}, {"anchor_c": 37.9}, {"anchor_c": None}])
def test_a_kept_limit_that_cannot_have_been_learnt_is_not_believed(
    known: Baseline, moved: dict[str, float]
) -> None:
    assert known.is_plausible(OPTIONS)
    assert not replace(known, **moved).is_plausible(OPTIONS)


def test_what_was_usual_long_ago_or_in_the_future_says_nothing(known: Baseline) -> None:
    for at_utc in (known.seen_utc + STALE_S + 1, known.seen_utc - 86_401):
        assert not known.is_current(at_utc, at_utc)
        assert known.after(34.4, 23.0, at_utc, OPTIONS).people == 1
    assert known.is_current(known.seen_utc, math.inf)


def test_whoever_lies_above_the_limit_is_counted_and_pulls_nothing(known: Baseline) -> None:
    for skin_c in (known.limit_c(OPTIONS, 23.0), 37.0, 42.0):
        hot = known.after(skin_c, 23.0, known.seen_utc, OPTIONS)
        assert hot.level_c - known.level_c == pytest.approx(known.trend_c)
        assert (hot.deviation_c, hot.slope, hot.people) == (known.deviation_c, known.slope, known.people)
        assert hot.limit_c(OPTIONS, 23.0) - known.limit_c(OPTIONS, 23.0) < 0.03


def pushed(baseline: Baseline, hours: float, of: Callable[[float], float], every_s: float = 10.0) -> Baseline:
    """Everybody who passes wears what moves the limit most without being flagged."""
    end_utc = baseline.seen_utc + hours * 3600
    while baseline.seen_utc < end_utc:
        skin_c = of(baseline.limit_in_force_c(OPTIONS, 23.0))
        baseline = baseline.after(skin_c, 23.0, baseline.seen_utc + every_s, OPTIONS)
    return baseline


@pytest.mark.parametrize("hours", [0.25, 0.5, 1.0, 8.0])
def test_however_many_push_the_limit_upwards_it_rises_slowly_and_that_is_told(
    known: Baseline, hours: float
) -> None:
    before_c = known.limit_c(OPTIONS, 23.0)
    baseline = pushed(known, hours, lambda limit_c: limit_c - 0.01)
    assert baseline.limit_c(OPTIONS, 23.0) <= min(
        before_c + RISE_C + 0.2 + RISE_C_PER_HOUR * hours, OPTIONS.ceiling_c
    )
    assert hours < 0.5 or any("pushed upwards" in told for told in baseline.faults(OPTIONS, baseline.seen_utc))


@pytest.mark.parametrize("hours", [0.5, 1.0, 8.0])
def test_however_many_push_the_limit_downwards_it_falls_slowly_and_that_is_told(
    known: Baseline, hours: float
) -> None:
    before_c = known.limit_c(OPTIONS, 23.0)
    baseline = pushed(known, hours, lambda _: 33.0)
    after_c = baseline.limit_c(OPTIONS, 23.0)
    assert after_c >= max(before_c - FALL_C - 0.2 - FALL_C_PER_HOUR * hours, OPTIONS.floor_c)
    assert hours > 1 or any("pushed downwards" in told for told in baseline.faults(OPTIONS, baseline.seen_utc))


def test_honest_people_push_nothing(known: Baseline) -> None:
    assert after(known, people(400, seed=7)).faults(OPTIONS, known.seen_utc + 400 * 20) == ()


def test_disagreeing_is_no_way_to_a_higher_limit() -> None:
    cold_site = after(Baseline(), people(200, mean_c=33.6))
    before_c = cold_site.limit_in_force_c(OPTIONS, 23.0)
    assert before_c < 35.0
    hot = after(cold_site, [37.0] * 12)
    assert not hot.settled
    assert hot.limit_in_force_c(OPTIONS, 23.0) < before_c + 0.45
    assert any("nearly everybody" in told for told in hot.faults(OPTIONS, hot.seen_utc))


def test_the_site_sets_ceiling_and_floor() -> None:
    with pytest.raises(ValueError, match="baseline_floor_c ≤ threshold_c ≤ baseline_ceiling_c"):
        Options(baseline_ceiling_c=35.0)
    options = Options(baseline_ceiling_c=36.0, baseline_floor_c=34.5)
    assert (options.floor_c, options.ceiling_c) == (34.5, 36.0)
    assert Options(threshold_c=36.6).ceiling_c == pytest.approx(38.1)


def test_with_a_second_instrument_the_share_of_fevers_does_not_set_the_specificity() -> None:
    """Fevers that lie among the healthy lift the limit, unless a second reading tells them apart."""
    passed = {}
    for second in (False, True):
        chance, baseline, well = random.Random(5), Baseline(), []
        for _ in range(3000):
            is_ill = chance.random() < 0.07
            skin_c = chance.gauss(35.5 if is_ill else 34.4, 0.5)
            limit_c = baseline.limit_in_force_c(OPTIONS, 23.0)
            later = baseline.after(skin_c, 23.0, baseline.seen_utc + 20, OPTIONS)
            if (
                second
                and baseline.people
                and skin_c >= limit_c
                and baseline.is_far_above(skin_c, limit_c) != is_ill
            ):
                later = later.corrected(OPTIONS, has_fever=is_ill)
            if not is_ill and later.people > 300:
                well.append(skin_c < limit_c)
            baseline = later
        passed[second] = sum(well) / len(well)
    assert passed[True] == pytest.approx(1 - OPTIONS.baseline_flagged, abs=0.01)
    assert passed[False] > passed[True] + 0.01


@given(st.lists(st.booleans(), max_size=400))
def test_second_readings_move_the_limit_no_further_than_its_bounds(fevers: list[bool]) -> None:
    baseline = after(Baseline(), people(60))
    for has_fever in fevers:
        baseline = baseline.corrected(OPTIONS, has_fever=has_fever)
        assert LEAST_TAIL <= baseline.tail <= MOST_TAIL
        assert baseline.anchor_c is not None
        limit_c = baseline.level_c + baseline.trend_c + baseline.margin_c
        assert -FALL_C - 1e-9 <= limit_c - baseline.anchor_c <= RISE_C + 1e-9
        assert limit_c <= OPTIONS.ceiling_c + 1e-9


@pytest.mark.parametrize(
    ("mean_c", "skin_c", "outcome"),
    [(35.6, 36.1, Screening.ELEVATED), (33.9, 35.4, Screening.ELEVATED), (34.4, 34.4, Screening.NORMAL)],
    ids=["a warm season before", "a cold season before", "as ever"],
)
def test_while_the_time_is_not_known_a_kept_limit_that_may_be_too_old_is_no_higher(
    mean_c: float, skin_c: float, outcome: Screening
) -> None:
    kept = replace(after(Baseline(), people(200, mean_c), None), seen_utc=1_800_000_000.0)
    screens = LaneScreening(OPTIONS, baselines={"in": kept})
    readings = [Reading(skin_c, at_s / 10, 0.4) for at_s in range(8)]
    utc = kept.seen_utc + 60
    synced = TimeBounds(utc, utc + 1, ClockState.SYNCED)
    assert screens.screen("in", readings, b"", 0.8, synced).basis == "population"
    unknown = TimeBounds(utc, math.inf, ClockState.FLOOR)
    assert screens.screen("in", readings, b"", 0.8, unknown).outcome is outcome
    assert screens.baselines["in"] is kept, "it is learnt from again when the time is known"
