"""The baseline of a lane, from the people who passed it recently: what is usual here now. Pure, immutable, a dozen
numbers.

Skin follows the room (0.1 to 0.2 °C per °C) and sensors drift; both move everybody alike. So its level is tracked,
and somebody is elevated who lies far above it. The tracker is a Kalman filter whose state is the level,
its trend per person and its slope on the room's temperature, with three changes that make it safe at a gate:

- a person pulls the level by no more than one standard deviation would (Huber), so nobody moves it by more than a
  few hundredths of a degree, and a cluster of fevers by little;
- when nearly everybody lies above the level, it does not hurry after them: the baseline says that it is not
  settled, and the fixed limit is used. Downward it may hurry, because no fever pulls down;
- it knows how well it knows: `u_c` is the uncertainty of the level, which grows over a night without people.

The limit lies at the level plus a margin: the quantile of the residuals that leaves the share `flagged` of those
without a fever above it, tracked by counting and held between 1.3 and 2.0 robust standard deviations. A person
far above the limit is taken for a fever and is not counted: else the share of fevers would set the specificity.
Where a later reading of somebody above the limit says that it was otherwise, the count is corrected.
Anyone who lies at or above the limit pulls nothing else. So level and width are learnt from a sample that is
cut off at the limit; the expected pull and the median of the residuals are corrected for the part that is missing.

However many people pull, the limit moves no faster than `Options` allow: it lies within a band about an anchor, and
the anchor follows it at so many degrees an hour. It never leaves the span from floor to ceiling. Both are told.

Nothing of any person is kept: the state is sums. The constants were chosen for how fast rooms change, and tried on
the people of `tests/bench/bench_fever.py`; `docs/screening.md` says what other trackers give.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.screening.options import Options

AMBIENT_C = 23.0
"""Room temperature that the slope turns about."""
SLOPE, SLOPE_SD = 0.12, 0.06
"""Skin per room, °C per °C, before anybody was seen: foreheads 0.2, inner canthi 0.1, whole faces 0.06."""
TREND_SD = 0.004
"""°C per person, before anybody was seen."""
LEVEL_WALK, TREND_WALK = 0.01, 1.4e-4
"""By how much level and trend may change from one person to the next, °C: slow enough to be steady."""
HOUR_WALK, NIGHT_WALK = 0.05, 0.15
"""By how much the level may have changed after an hour without people (°C), and at most."""
DEVIATION, LEAST_DEVIATION, MOST_DEVIATION = 0.5, 0.2, 1.2
"""Standard deviation of healthy skin, °C: before anybody was seen, and its bounds."""
PULL = 1.0
"""Standard deviations beyond which a person pulls no harder."""
LEAST_TAIL, FIRST_TAIL, MOST_TAIL = 1.3, 1.6, 2.0
"""The margin in standard deviations: bounds that keep a wave of fevers from lifting it."""
FEVER_GAP = 1.4
"""Standard deviations above the limit from which on somebody is taken for a fever, and not counted."""
COUNTED = 0.95
"""Of those without a fever above the limit, the share that lies nearer to it than that."""
LEAST_MARGIN_C = 0.35
"""No thermometer tells people apart by less, °C."""
LEAN_LIMIT, LEAN_MEMORY = 0.75, 0.85
"""The mean pull of the last people (1: all far above); beyond the limit the baseline is not settled."""
KNOWN_U_C = 0.5
"""Expanded uncertainty of the level up to which the baseline counts, °C."""
MOST_MISSING = 0.16
"""The correction for who lies above the limit goes so far: with more the pull is no longer cut at one deviation."""
MOST_SLOPE = 0.3
"""No skin follows the room more than so, °C per °C."""
SKEW = 1.2
"""And it goes at least so far, as a share of `flagged`: faces have more hot people than a normal distribution."""
RISE_C_PER_HOUR, RISE_C = 0.8, 0.7
"""How fast the limit may rise for long, and how far it may be ahead of that, °C."""
FALL_C_PER_HOUR, FALL_C = 1.0, 1.0
"""The same downwards: there it sends people to staff in vain, but lets no fever pass."""
MOST_STEP_S = 3600.0
"""An absence longer than this moves the anchor no further: a night is no leave to jump."""
MOST_TREND_C = 0.1
"""No lane changes faster, °C per person: a file that says so is not believed."""
STALE_S = 14 * 86400.0
"""After so long without anybody to learn from, the old baseline does not count."""
PUSHED_S = 3600.0
"""A bound that was reached is reported for so long."""
_DAY_S = 86400.0
_SHARE_WITHIN = math.erf(PULL / math.sqrt(2))
_MEDIAN_OF_HALF_NORMAL = 0.6745


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is usual on one lane. `after` gives the baseline with one more person."""

    people: int = 0
    level_c: float = 0.0
    """At `AMBIENT_C`, when the room is known."""
    trend_c: float = 0.0
    """Per person."""
    slope: float = SLOPE
    deviation_c: float = DEVIATION
    tail: float = FIRST_TAIL
    lean: float = 0.0
    seen_utc: float = 0.0
    """When the last person passed."""
    room: bool = False
    """The people were seen with the room's temperature known."""
    simulated: bool = False
    """They were not people."""
    anchor_c: float | None = None
    """What the limit at `AMBIENT_C` is held near to; None: too few people."""
    rise_held_utc: float = 0.0
    """When a person last would have lifted the limit faster than it may rise, or above the ceiling."""
    fall_held_utc: float = 0.0
    """Likewise downwards."""
    var: tuple[float, float, float, float, float, float] = (0.0, 0.0, 0.0, TREND_SD**2, 0.0, SLOPE_SD**2)
    """Covariance of (level, trend, slope): its upper triangle, row by row."""

    def usual_c(self, ambient_c: float | None) -> float:
        """Where the middle of the baseline is expected now."""
        return self.level_c + self.trend_c + self.slope * _ambient(ambient_c)

    def u_c(self, ambient_c: float | None = None) -> float:
        """Expanded uncertainty (k = 2) of `usual_c`."""
        if not self.people:
            return math.inf
        h = _ambient(ambient_c)
        ll, lt, ls, tt, ts, ss = self.var
        return 2 * math.sqrt(ll + 2 * lt + tt + 2 * h * (ls + ts) + h * h * ss)

    @property
    def margin_c(self) -> float:
        """How far above the usual the limit lies."""
        return max(LEAST_MARGIN_C, self.tail * self.deviation_c)

    @property
    def settled(self) -> bool:
        """The last people do not nearly all lie far above the level."""
        return self.lean < LEAN_LIMIT

    def unsettled(self) -> Baseline:
        """The same, of which it is not known whether it still holds."""
        return replace(self, lean=LEAN_LIMIT)

    def is_current(self, lo_utc: float, hi_utc: float) -> bool:
        """Whether its last person was neither too long ago nor in the future, whatever the time may be."""
        return lo_utc - self.seen_utc <= STALE_S and self.seen_utc - hi_utc <= _DAY_S

    def is_known(self, least_people: int, ambient_c: float | None) -> bool:
        """Whether there are enough people, and the level is known well enough to judge by."""
        fits = self.room == (ambient_c is not None)
        return self.people >= least_people and fits and self.u_c(ambient_c) <= KNOWN_U_C

    def counts(self, least_people: int, ambient_c: float | None) -> bool:
        """Whether it is known, and the people agree."""
        return self.settled and self.is_known(least_people, ambient_c)

    def limit_c(self, options: Options, ambient_c: float | None) -> float:
        """Where the baseline puts the limit: between floor and ceiling."""
        limit_c = self.usual_c(ambient_c) + self.margin_c
        return min(max(limit_c, options.floor_c), options.ceiling_c)

    def limit_in_force_c(self, options: Options, ambient_c: float | None) -> float:
        """The limit of somebody here and now, without a calibration. While the people do not agree the stricter
        of the baseline's limit and the fixed one: disagreeing is no way to a higher limit.
        """
        if not (options.baseline and self.is_known(options.baseline_people, ambient_c)):
            return options.threshold_c
        limit_c = self.limit_c(options, ambient_c)
        return limit_c if self.settled else min(limit_c, options.threshold_c)

    def after(
        self,
        surface_c: float,
        ambient_c: float | None,
        at_utc: float,
        options: Options,
        *,
        simulated: bool = False,
    ) -> Baseline:
        """The baseline with one more person. While the room's sensor is down nobody is learnt from; it starts again
        when there is a first room sensor or none for a day, when people became simulated ones, and when the
        last person was too long ago, or in the future.
        """
        room = ambient_c is not None
        kept = self if self.is_current(at_utc, at_utc) else Baseline()
        if kept.room and not room and simulated == kept.simulated and at_utc - kept.seen_utc < _DAY_S:
            return kept
        if not kept.people or (room, simulated) != (kept.room, kept.simulated):
            first = _first(surface_c, ambient_c, at_utc, simulated=simulated)
            return first if surface_c < options.threshold_c else kept
        limit_c, moved = kept.limit_in_force_c(options, ambient_c), _moved(kept, at_utc)
        if surface_c >= limit_c:
            is_fever = kept.is_far_above(surface_c, limit_c)
            return _held(_flagged(moved, options, is_fever=is_fever), kept, options)
        return _held(_met(moved, surface_c, ambient_c, limit_c, options), kept, options)

    def is_far_above(self, surface_c: float, limit_c: float) -> bool:
        """Whether somebody is taken for a fever, and not counted among those without one above the limit."""
        return surface_c >= limit_c + FEVER_GAP * self.deviation_c

    def corrected(self, options: Options, *, has_fever: bool) -> Baseline:
        """The baseline after a later reading of somebody above the limit, who was counted and has a fever, or was
        taken for a fever and has none.
        """
        step = _tail_rate(self.people) * (1 - COUNTED * options.baseline_flagged)
        tail = _bounded_tail(self.tail + (-step if has_fever else step))
        return _held(replace(self, tail=tail), self, options)

    def faults(self, options: Options, at_utc: float) -> tuple[str, ...]:
        """What is wrong with what was learnt, one sentence each with what to do."""
        told = []
        if self.anchor_c is not None and not self.settled:
            told.append(
                "nearly everybody lately lies above the limit of the people before; the stricter limit holds: check"
                " the thermometer (gatepost calibrate check), its aim and the room"
            )
        if at_utc - self.rise_held_utc < PUSHED_S:
            told.append(
                f"the limit learnt from people is pushed upwards and held (at most {RISE_C_PER_HOUR} °C an hour,"
                f" and {options.ceiling_c:.1f} °C): see who passes, check the thermometer and the room's sensor"
            )
        if at_utc - self.fall_held_utc < PUSHED_S:
            told.append(
                f"the limit learnt from people is pushed downwards and held (at most {FALL_C_PER_HOUR} °C an"
                f" hour, and {options.floor_c:.1f} °C): see who passes, check the thermometer's aim and the room"
            )
        return tuple(told)

    def is_plausible(self, options: Options) -> bool:
        """Whether it can have been learnt under these options: else what a file says is not believed."""
        least_c, most_c = options.floor_c - MOST_TAIL * MOST_DEVIATION, options.ceiling_c
        anchored = self.anchor_c is None or options.floor_c <= self.anchor_c <= options.ceiling_c
        whole = (self.anchor_c is not None) == (self.people >= options.baseline_people)
        return anchored and whole and least_c <= self.level_c <= most_c


def _moved(baseline: Baseline, at_utc: float) -> Baseline:
    """One person further on in time: the level has moved by the trend, and is known a little less well."""
    hours = max(0.0, at_utc - baseline.seen_utc) / 3600
    ll, lt, ls, tt, ts, ss = baseline.var
    ll += 2 * lt + tt + LEVEL_WALK**2 + min(HOUR_WALK**2 * hours, NIGHT_WALK**2)
    return replace(
        baseline,
        level_c=baseline.level_c + baseline.trend_c,
        seen_utc=max(at_utc, baseline.seen_utc),
        var=(ll, lt + tt, ls + ts, tt + TREND_WALK**2, ts, ss),
    )


def _held(baseline: Baseline, before: Baseline, options: Options) -> Baseline:
    """Within the band about the anchor, and floor and ceiling: what lies beyond is cut off for good."""
    if baseline.people < options.baseline_people:
        return baseline
    hours = min(max(0.0, baseline.seen_utc - before.seen_utc), MOST_STEP_S) / 3600
    limit_c = baseline.level_c + baseline.trend_c + baseline.margin_c
    anchor_c = baseline.anchor_c if baseline.anchor_c is not None else limit_c
    anchor_c += min(max(limit_c - anchor_c, -FALL_C_PER_HOUR * hours), RISE_C_PER_HOUR * hours)
    anchor_c = min(max(anchor_c, options.floor_c), options.ceiling_c)
    held_c = min(max(limit_c, anchor_c - FALL_C, options.floor_c), anchor_c + RISE_C, options.ceiling_c)
    shift_c = held_c - limit_c
    return replace(
        baseline,
        anchor_c=anchor_c,
        level_c=baseline.level_c + shift_c,
        trend_c=baseline.trend_c if baseline.trend_c * shift_c >= 0 else 0.0,
        rise_held_utc=baseline.seen_utc if shift_c < 0 else baseline.rise_held_utc,
        fall_held_utc=baseline.seen_utc if shift_c > 0 else baseline.fall_held_utc,
    )


def _met(
    baseline: Baseline, surface_c: float, ambient_c: float | None, limit_c: float, options: Options
) -> Baseline:
    """Corrected by one person's temperature, which lies below the limit."""
    h = _ambient(ambient_c)
    ll, lt, ls, tt, ts, ss = baseline.var
    gain = (ll + h * ls, lt + h * ts, ls + h * ss)
    total = gain[0] + h * gain[2] + baseline.deviation_c**2
    residual_c = surface_c - (baseline.level_c + baseline.slope * h)
    pull = max(-PULL, min(PULL, residual_c / math.sqrt(total)))
    missing = _missing((limit_c - surface_c + residual_c) / baseline.deviation_c)
    if baseline.anchor_c is not None:
        missing = max(missing, min(SKEW * options.baseline_flagged, MOST_MISSING))
    step_c = (pull + missing / (1 - missing)) * math.sqrt(total) / _SHARE_WITHIN
    level, trend, slope = (part / total * step_c for part in gain)
    lean = LEAN_MEMORY * baseline.lean + (1 - LEAN_MEMORY) * pull
    ll -= gain[0] * gain[0] / total
    if lean < -LEAN_LIMIT:
        ll, lean = max(ll, baseline.deviation_c**2 / 4), 0.0
    people = baseline.people + 1
    return replace(
        baseline,
        people=people,
        level_c=baseline.level_c + level,
        trend_c=baseline.trend_c + trend,
        slope=min(max(baseline.slope + slope, 0.0), MOST_SLOPE),
        deviation_c=_deviation(baseline.deviation_c, residual_c, people, missing),
        tail=_tail(
            baseline.tail, people, options.baseline_flagged, above=residual_c > baseline.tail * baseline.deviation_c
        ),
        lean=lean,
        var=(
            ll,
            lt - gain[0] * gain[1] / total,
            ls - gain[0] * gain[2] / total,
            tt - gain[1] * gain[1] / total,
            ts - gain[1] * gain[2] / total,
            ss - gain[2] * gain[2] / total,
        ),
    )


def _flagged(baseline: Baseline, options: Options, *, is_fever: bool) -> Baseline:
    """One person more who lies above the limit; one taken for a fever says nothing of where the others end."""
    tail = baseline.tail
    if not is_fever:
        tail = _tail(tail, baseline.people, options.baseline_flagged, above=True)
    lean = LEAN_MEMORY * baseline.lean + 1 - LEAN_MEMORY
    return replace(baseline, tail=tail, lean=lean)


def _ambient(ambient_c: float | None) -> float:
    return 0.0 if ambient_c is None else ambient_c - AMBIENT_C


def _first(surface_c: float, ambient_c: float | None, at_utc: float, *, simulated: bool) -> Baseline:
    """A baseline of one person."""
    baseline = Baseline(room=ambient_c is not None, simulated=simulated)
    slope_var = SLOPE_SD**2 if ambient_c is not None else 0.0
    return replace(
        baseline,
        people=1,
        level_c=surface_c - SLOPE * _ambient(ambient_c),
        seen_utc=at_utc,
        var=(DEVIATION**2, 0.0, 0.0, TREND_SD**2, 0.0, slope_var),
    )


def _missing(limit: float) -> float:
    """The share of people who lie above a limit at so many standard deviations, and are not learnt from."""
    return min(0.5 * math.erfc(limit / math.sqrt(2)), MOST_MISSING)


def _deviation(now_c: float, residual_c: float, people: int, missing: float) -> float:
    """The robust standard deviation, a step nearer to that of the residuals' middle half."""
    rate = max(0.01, 1 / (people + 10))
    wider = abs(residual_c) > _MEDIAN_OF_HALF_NORMAL * now_c
    step = rate if wider else -rate * (1 - 2 * missing)
    return min(max(now_c * math.exp(step), LEAST_DEVIATION), MOST_DEVIATION)


def _tail(now: float, people: int, flagged: float, *, above: bool) -> float:
    """The quantile that leaves `flagged` above it, a step nearer; in standard deviations."""
    wanted = COUNTED * flagged
    return _bounded_tail(now + _tail_rate(people) * (1 - wanted if above else -wanted))


def _tail_rate(people: int) -> float:
    return max(0.03, 8 / (people + 10))


def _bounded_tail(tail: float) -> float:
    return min(max(tail, LEAST_TAIL), MOST_TAIL)


def to_plain(baseline: Baseline) -> dict[str, Any]:
    """For a file."""
    return {entry.name: getattr(baseline, entry.name) for entry in fields(Baseline)}


def from_plain(plain: Mapping[str, Any]) -> Baseline:
    """Back from a file. Raises ValueError when it is none of ours: then it starts over."""
    if missing := {entry.name for entry in fields(Baseline)} - set(plain):
        raise ValueError(
            f"no baseline: {', '.join(sorted(missing))} missing; an older version may have learnt from anybody"
        )
    try:
        baseline = Baseline(**{**plain, "var": tuple(plain["var"])})
        numbers = (
            *(
                baseline.level_c,
                baseline.trend_c,
                baseline.slope,
                baseline.deviation_c,
                baseline.tail,
                baseline.lean,
            ),
            *(baseline.anchor_c or 0.0, baseline.rise_held_utc, baseline.fall_held_utc),
        )
        sound = all(map(math.isfinite, (*numbers, baseline.seen_utc, *baseline.var, baseline.u_c())))
        bounded = (
            LEAST_DEVIATION <= baseline.deviation_c <= MOST_DEVIATION and LEAST_TAIL <= baseline.tail <= MOST_TAIL
        )
        bounded = bounded and 0 <= baseline.slope <= MOST_SLOPE and abs(baseline.trend_c) <= MOST_TREND_C
        whole = baseline.people > 0 and len(tuple(baseline.var)) == len(Baseline().var)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"no baseline: {error}") from None
    if not (sound and bounded and whole):
        raise ValueError("no baseline: its numbers cannot be")
    return baseline
