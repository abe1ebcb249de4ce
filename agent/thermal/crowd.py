"""The people who passed a lane lately, as a reference: what is usual here, now. Pure, immutable, a dozen numbers.

Skin follows the room (0.1 to 0.2 °C per °C) and sensors drift; both move everybody alike. So the level of the crowd
is tracked, and somebody is elevated who lies far above it. The tracker is a Kalman filter whose state is the level,
its trend per person and its slope on the room's temperature, with three changes that make it safe at a gate:

- a person pulls the level by no more than one standard deviation would (Huber), so nobody moves it by more than a
  few hundredths of a degree, and a cluster of fevers by little;
- when nearly everybody lies above the level, it does not hurry after them: the crowd says that it is not settled,
  and the fixed limit is used. Downward it may hurry, because no fever pulls down;
- it knows how well it knows: `u_c` is the uncertainty of the level, which grows over a night without people.

The limit lies at the level plus a margin: the quantile of the residuals that leaves `flagged` above it, tracked by
counting (a fever counts once, however hot) and held between 1.3 and 2.2 robust standard deviations.

Nothing of any person is kept: the state is sums. The constants were chosen for how fast rooms change, and tried on
the people of `tests/bench/bench_fever.py`; `docs/screening.md` says what other trackers give.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

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
LEAST_TAIL, FIRST_TAIL, MOST_TAIL = 1.3, 1.6, 2.2
"""The margin in standard deviations: bounds that keep a wave of fevers from lifting it."""
LEAST_MARGIN_C = 0.35
"""No thermometer tells people apart by less, °C."""
LEAN_LIMIT, LEAN_MEMORY = 0.75, 0.85
"""The mean pull of the last people (1: all far above); beyond the limit the crowd is not settled."""
KNOWN_U_C = 0.5
"""Expanded uncertainty of the level up to which the crowd counts, °C."""
_DAY_S = 86400.0
_SHARE_WITHIN = math.erf(PULL / math.sqrt(2))
_MEDIAN_OF_HALF_NORMAL = 0.6745


@dataclass(frozen=True, slots=True)
class Crowd:
    """What is usual on one lane. `after` gives the crowd with one more person."""

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
    var: tuple[float, float, float, float, float, float] = (0.0, 0.0, 0.0, TREND_SD**2, 0.0, SLOPE_SD**2)
    """Covariance of (level, trend, slope): its upper triangle, row by row."""

    def usual_c(self, ambient_c: float | None) -> float:
        """Where the middle of the crowd is expected now."""
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

    def counts(self, least_people: int, ambient_c: float | None) -> bool:
        """Whether there are enough people, they agree, and the level is known well enough to judge by."""
        settled = self.lean < LEAN_LIMIT
        fits = self.room == (ambient_c is not None)
        return self.people >= least_people and settled and fits and self.u_c(ambient_c) <= KNOWN_U_C

    def after(
        self,
        surface_c: float,
        ambient_c: float | None,
        at_utc: float,
        *,
        flagged: float,
        simulated: bool = False,
    ) -> Crowd:
        """The crowd with one more person. While the room's sensor is down nobody is learnt from; the crowd starts
        anew when there is a first room sensor or none for a day, or when people became simulated ones.
        """
        room = ambient_c is not None
        if self.room and not room and simulated == self.simulated and at_utc - self.seen_utc < _DAY_S:
            return self
        if not self.people or (room, simulated) != (self.room, self.simulated):
            return _first(surface_c, ambient_c, at_utc, simulated=simulated)
        return _met(self._moved(at_utc), surface_c, ambient_c, flagged)

    def _moved(self, at_utc: float) -> Crowd:
        """One person further on in time: the level has moved by the trend, and is known a little less well."""
        hours = max(0.0, at_utc - self.seen_utc) / 3600
        ll, lt, ls, tt, ts, ss = self.var
        ll += 2 * lt + tt + LEVEL_WALK**2 + min(HOUR_WALK**2 * hours, NIGHT_WALK**2)
        return replace(
            self,
            level_c=self.level_c + self.trend_c,
            seen_utc=max(at_utc, self.seen_utc),
            var=(ll, lt + tt, ls + ts, tt + TREND_WALK**2, ts, ss),
        )


def _met(crowd: Crowd, surface_c: float, ambient_c: float | None, flagged: float) -> Crowd:
    """Corrected by one person's temperature."""
    h = _ambient(ambient_c)
    ll, lt, ls, tt, ts, ss = crowd.var
    gain = (ll + h * ls, lt + h * ts, ls + h * ss)
    total = gain[0] + h * gain[2] + crowd.deviation_c**2
    residual_c = surface_c - (crowd.level_c + crowd.slope * h)
    pull = max(-PULL, min(PULL, residual_c / math.sqrt(total)))
    step_c = pull * math.sqrt(total) / _SHARE_WITHIN
    level, trend, slope = (part / total * step_c for part in gain)
    lean = LEAN_MEMORY * crowd.lean + (1 - LEAN_MEMORY) * pull
    ll -= gain[0] * gain[0] / total
    if lean < -LEAN_LIMIT:
        ll, lean = max(ll, crowd.deviation_c**2 / 4), 0.0
    people = crowd.people + 1
    return replace(
        crowd,
        people=people,
        level_c=crowd.level_c + level,
        trend_c=crowd.trend_c + trend,
        slope=crowd.slope + slope,
        deviation_c=_deviation(crowd.deviation_c, residual_c, people),
        tail=_tail(crowd.tail, residual_c / crowd.deviation_c, people, flagged),
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


def _ambient(ambient_c: float | None) -> float:
    return 0.0 if ambient_c is None else ambient_c - AMBIENT_C


def _first(surface_c: float, ambient_c: float | None, at_utc: float, *, simulated: bool) -> Crowd:
    """A crowd of one."""
    crowd = Crowd(room=ambient_c is not None, simulated=simulated)
    slope_var = SLOPE_SD**2 if ambient_c is not None else 0.0
    return replace(
        crowd,
        people=1,
        level_c=surface_c - SLOPE * _ambient(ambient_c),
        seen_utc=at_utc,
        var=(DEVIATION**2, 0.0, 0.0, TREND_SD**2, 0.0, slope_var),
    )


def _deviation(now_c: float, residual_c: float, people: int) -> float:
    """The robust standard deviation, a step nearer to that of the residuals' middle half."""
    rate = max(0.01, 1 / (people + 10))
    wider = abs(residual_c) > _MEDIAN_OF_HALF_NORMAL * now_c
    return min(max(now_c * math.exp(rate if wider else -rate), LEAST_DEVIATION), MOST_DEVIATION)


def _tail(now: float, residual: float, people: int, flagged: float) -> float:
    """The quantile that leaves `flagged` above it, a step nearer; in standard deviations."""
    rate = max(0.03, 8 / (people + 10))
    step = 1 - flagged if residual > now else -flagged
    return min(max(now + rate * step, LEAST_TAIL), MOST_TAIL)


def to_plain(crowd: Crowd) -> dict[str, Any]:
    """For a file."""
    return {entry.name: getattr(crowd, entry.name) for entry in fields(Crowd)}


def from_plain(plain: Mapping[str, Any]) -> Crowd:
    """Back from a file. Raises ValueError when it is none of ours: then a crowd begins anew."""
    try:
        crowd = Crowd(**{**plain, "var": tuple(plain["var"])})
        numbers = (crowd.level_c, crowd.trend_c, crowd.slope, crowd.deviation_c, crowd.tail, crowd.lean)
        sound = all(map(math.isfinite, (*numbers, crowd.seen_utc, *crowd.var, crowd.u_c())))
        bounded = LEAST_DEVIATION <= crowd.deviation_c <= MOST_DEVIATION and LEAST_TAIL <= crowd.tail <= MOST_TAIL
        whole = crowd.people > 0 and len(tuple(crowd.var)) == len(Crowd().var)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"no crowd: {error}") from None
    if not (sound and bounded and whole):
        raise ValueError("no crowd: its numbers cannot be")
    return crowd
