"""Screening for the checkpoint: the state of the thermometers of all lanes. Pure; time is an argument."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.model import Role, Screening, Temperature
from agent.model.problems import Finding, ProblemCode, found
from agent.screening.baseline import Baseline
from agent.screening.calibration import JudgedBy, ThermometerSite
from agent.screening.learnt import RecentlyLearnt
from agent.screening.outcome import ScreeningContext, screen
from agent.screening.retest import Retests
from agent.screening.stay import ANYBODY, STEPS_UP_S, Stay

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from agent.model import TimeBounds
    from agent.screening.options import Options
    from drivers.contract import Distance, Reading


MOST_FLAGGED = 1000
"""Holders above the limit whose later reading corrects the baseline; of more the oldest are forgotten."""
LEAST_LOOKS, LEAST_SHARE = 100, 0.1
"""Least share of the measurements that must be of holders new to the baseline; below it is a problem."""
MOST_STRANGERS = 80
"""Of the last `LEAST_LOOKS` so many without a valid code are told."""
_REMEDY = {
    "warm_object": "something warm stays before the thermometer: take it away; if it is the background (sun, a"
    " lamp), shade it or set screening.presence_c above it",
    "frozen": "the thermometer says to the bit what it said of who stood there before: it hangs, switch its power"
    " off and on",
    "mark_blocked": "something stays before the range sensor: take it away, or set screening.max_distance_mm nearer"
    " than it",
}


@dataclass(slots=True)
class _Looks:
    """Of whom the looks of one window of `baseline_relearn_s` were."""

    since_s: float
    count: int = 0
    new: int = 0
    strangers: deque[bool] = field(default_factory=lambda: deque(maxlen=LEAST_LOOKS))
    """Of the last ones, whether they showed no valid code."""


class LaneScreening:
    """Rooms, baselines and retests. `baselines` may be read from any thread: each is replaced, never changed."""

    def __init__(
        self,
        options: Options,
        site: Callable[[str], ThermometerSite] = lambda _: ThermometerSite(),
        baselines: Mapping[str, Baseline] | None = None,
        ranged: Collection[str] = (),
    ) -> None:
        """`site`: lane → calibration now; `baselines`: lane → as kept; `ranged`: lanes with a range sensor."""
        self.baselines: dict[str, Baseline] = dict(baselines or {})
        self._options = options
        self._site = site
        self._rooms: dict[str, Reading] = {}
        self._ranged = frozenset(ranged)
        self._distances: dict[str, Distance] = {}
        self._retests = Retests(options)
        self._stays: dict[str, Stay] = {}
        self._learnt = RecentlyLearnt(options.baseline_relearn_s)
        """Hashes of lane and holder from whom the lane's baseline has learnt."""
        self._flagged: dict[int, bool] = {}
        """Of those who lay above the limit → whether they are taken for a fever; the oldest first."""
        self._looks: dict[str, _Looks] = {}
        self._pushed: dict[str, tuple[str, ...]] = {}
        self.findings: dict[str, tuple[Finding, ...]] = {}
        """Lane → what is wrong there, one sentence each. May be read from any thread: replaced, never changed."""

    def room(self, lane: str, reading: Reading) -> None:
        """A reading of a room sensor. It serves its lane, and every lane that has none of its own."""
        self._rooms[lane] = reading

    def distance(self, lane: str, distance: Distance) -> None:
        """A distance from the lane's range sensor."""
        self._distances[lane] = distance
        self._stay(lane).distance(distance.at_s, at_mark=self.is_filled(lane, distance.at_s))

    def reading(self, lane: str, reading: Reading) -> None:
        """A reading of the lane's thermometer, of anything that is in front of it."""
        stay = self._stay(lane)
        was = stay.blocked
        stay.reading(reading.surface_c, reading.at_s, self._options)
        stay.blocked = stay.why_blocked(reading.at_s, self._options)
        if stay.blocked != was:
            self._update_problems(lane)

    def shown_again(self, lane: str, holder: bytes, at_s: float, *, returns: bool) -> None:
        """The code of somebody who was decided a moment ago is shown again: its holder is who stands there.
        `returns`: it was out of sight, so that who steps up now is its holder too.
        """
        stay = self._stay(lane)
        if not stay.holder:
            stay.decided(holder, at_s, let_in=False, steps_up_s=STEPS_UP_S if returns else 0.0)

    def walks_on(self, lane: str, at_s: float) -> None:
        """Who stands there is let in without a code: his body counts for nobody else."""
        self._stay(lane).decided(ANYBODY, at_s, let_in=True)

    def lost_sight(self, lane: str, part: Role, at_s: float) -> None:
        """One of the lane's sensors is gone: if it is the one that sees somebody leave, nobody is seen to."""
        if part is (Role.RANGE if lane in self._ranged else Role.THERMOMETER):
            self._stay(lane).lost_sight(at_s)

    def begin_among_strangers(self, lanes: Iterable[str], at_s: float) -> None:
        """The agent ran a moment ago: who stands there now may have been turned away, and is not known any more."""
        for lane in lanes:
            self._stay(lane).lost_sight(at_s, of=ANYBODY)

    def waits_behind(self, lane: str, holder: bytes) -> bool:
        """Whether somebody else stands there who was not let in, and may come back when he steps away."""
        stay = self._stay(lane)
        return bool(holder) and stay.is_of_another(holder) and not stay.let_in

    def holder_at(self, lane: str) -> bytes:
        """Whose body stands there, as far as is known; empty if it was part of no decision."""
        return self._stay(lane).holder

    def is_filled(self, lane: str, at_s: float) -> bool:
        """Whether somebody stands at the mark: only there is the thermometer's spot full of skin. Taken for granted
        where there is no range sensor.
        """
        if lane not in self._ranged:
            return True
        last = self._distances.get(lane)
        if last is None or last.distance_mm is None or abs(at_s - last.at_s) > self._options.range_age_s:
            return False
        return self._options.min_distance_mm <= last.distance_mm <= self._options.max_distance_mm

    def filled_s(self, lane: str, at_s: float) -> float:
        """For so long the range sensor has seen somebody or something at the mark without a break."""
        return self._stay(lane).mark.lasts_s(at_s)

    def screen(
        self,
        lane: str,
        readings: Sequence[Reading],
        holder: bytes,
        at_s: float,
        now: TimeBounds,
        keys: Collection[bytes] = (),
    ) -> Temperature:
        """The temperature of the person whose look this is; `holder`: 16 bytes, or empty when no code was shown;
        `keys`: all that stands for that person.
        """
        site = self._site(lane)
        around = ScreeningContext(
            site=site,
            ambient_c=self.ambient_c(lane, at_s),
            baseline=self._baseline_in_force(lane, now),
            now_hi_utc=now.latest_utc,
        )
        stay = self._stay(lane)
        own = [each for each in readings if each.at_s >= stay.fresh_s and not stay.is_frozen]
        temperature = screen(own, self._options, around)
        if (why := stay.why_blocked(at_s, self._options)) and temperature.outcome is not Screening.DEVICE_FAULT:
            return Temperature(Screening.DEVICE_FAULT, samples=temperature.samples, reason=why)
        if holder and stay.is_of_another(holder) and temperature.outcome is not Screening.DEVICE_FAULT:
            return Temperature(Screening.INDETERMINATE, samples=temperature.samples, reason="not_new")
        if temperature.reason == "too_few_samples" and not self.is_filled(lane, at_s):
            temperature = replace(temperature, reason="not_at_mark")
        temperature = replace(temperature, judged_by=JudgedBy(lane, site))
        return self._retests.next_step(keys, temperature, at_s) if keys else temperature

    def known_now(self, temperature: Temperature, now: TimeBounds) -> Temperature:
        """What was measured of somebody who waits, by what is known now of the thermometer that did: one found off
        since has found nobody normal, and one calibrated since might find another temperature. Staff's own is
        another one.
        """
        before = temperature.judged_by
        if temperature.outcome is not Screening.NORMAL or not isinstance(before, JudgedBy):
            return temperature
        site = self._site(before.lane)
        if why := site.why_unusable(self._options.check_hours, now.latest_utc):
            return replace(temperature, outcome=Screening.DEVICE_FAULT, reason=why)
        if before.differs(JudgedBy(before.lane, site)):
            return replace(temperature, outcome=Screening.INDETERMINATE, reason="calibration_changed")
        return temperature

    def passed(
        self,
        lane: str,
        temperature: Temperature,
        holder: bytes,
        at_s: float,
        now: TimeBounds,
        *,
        simulated: bool,
        proven: bytes = b"",
        named: bytes = b"",
        admitted: bool = False,
        steps_up_s: float | None = None,
        aside: bool = False,
        keys: Collection[bytes] = (),
    ) -> None:
        """The person was decided: the holder has an attempt, and the baseline may have one more.

        `proven`: the holder, when a valid code names one; `named`: the same of any signed code, and of every code
        that another took the place of; `admitted`: the decision was to let that person in; `steps_up_s`: if nobody
        stands there, that person may do so within this; `aside`: unless that person waits aside; `keys`: all that
        stands for that person.
        """
        self._retests.record(keys, temperature, at_s)
        surface_c, outcome = temperature.surface_c, temperature.outcome
        stay = self._stay(lane)
        who = named or holder
        if who and temperature.basis != "clinical":
            stay.decided(who, at_s, let_in=admitted, steps_up_s=None if aside else steps_up_s, aside=aside)
        elif who and admitted:
            stay.let_in_aside(who, at_s)
        elif admitted:
            self.walks_on(lane, at_s)
        steady = outcome in (Screening.NORMAL, Screening.ELEVATED) or temperature.reason == "cold_skin"
        if proven and temperature.attempt > 1:
            self._correct(lane, proven, temperature, now)
        if surface_c is None or not steady or temperature.attempt > 1:
            return
        looks = self._looks_of(lane, at_s)
        looks.count += 1
        looks.strangers.append(not proven)
        baseline = self._current_baseline(lane, now)
        limit_c = baseline.limit_in_force_c(self._options, temperature.ambient_c)
        teaches = (
            admitted if outcome is Screening.NORMAL else outcome is Screening.INDETERMINATE or surface_c >= limit_c
        )
        key = hash((lane, proven))
        if proven and teaches and self._learnt.is_new(key, at_s):
            looks.new += 1
            after = baseline.after(
                surface_c, temperature.ambient_c, now.earliest_utc, self._options, simulated=simulated
            )
            is_counted = after is not baseline and after.people > 0
            if is_counted:
                self.baselines[lane] = after
            if is_counted and surface_c >= limit_c:
                self._flagged[key] = baseline.is_far_above(surface_c, limit_c)
                if len(self._flagged) > MOST_FLAGGED:
                    del self._flagged[next(iter(self._flagged))]
        self._update_problems(lane, now.earliest_utc)

    def rest_left_s(self, keys: Collection[bytes], at_s: float) -> float:
        """How long this person is still to rest before the next reading."""
        return self._retests.rest_left_s(keys, at_s)

    def restart(self, keys: Collection[bytes]) -> None:
        """This person is measured as for the first time."""
        self._retests.restart(keys)

    def expire(self, at_s: float) -> None:
        """Time has passed: let go of what is known of holders that no longer counts."""
        self._retests.expire(at_s)
        self._learnt.expire(at_s)

    def ambient_c(self, lane: str, at_s: float) -> float | None:
        """The room's temperature if it is known lately, from this lane's sensor before others'."""
        own = self._rooms.get(lane)
        known = [own] if own is not None else list(self._rooms.values())
        fresh = [reading for reading in known if at_s - reading.at_s <= self._options.room_age_s]
        return max(fresh, key=lambda reading: reading.at_s).surface_c if fresh else None

    def _correct(self, lane: str, holder: bytes, temperature: Temperature, now: TimeBounds) -> None:
        """A later reading of somebody whom the baseline has counted above the limit, or taken for a fever."""
        has_fever = temperature.outcome is Screening.ELEVATED
        if temperature.outcome is not Screening.NORMAL and not (has_fever and temperature.basis == "clinical"):
            return
        key, baseline = hash((lane, holder)), self._current_baseline(lane, now)
        if baseline.people and self._flagged.get(key, has_fever) != has_fever:
            self._flagged[key] = has_fever
            self.baselines[lane] = baseline.corrected(self._options, has_fever=has_fever)

    def _current_baseline(self, lane: str, now: TimeBounds) -> Baseline:
        baseline = self.baselines.get(lane, Baseline())
        return baseline if baseline.is_current(now.earliest_utc, now.latest_utc) else Baseline()

    def _baseline_in_force(self, lane: str, now: TimeBounds) -> Baseline:
        """To judge by; one that may be too old, as the time is not known, lifts no limit."""
        baseline = self._current_baseline(lane, now)
        return baseline if baseline.is_current(now.latest_utc, now.latest_utc) else baseline.unsettled()

    def _looks_of(self, lane: str, at_s: float) -> _Looks:
        looks = self._looks.get(lane)
        if looks is None or at_s - looks.since_s >= self._options.baseline_relearn_s:
            looks = self._looks[lane] = _Looks(at_s)
        return looks

    def _stay(self, lane: str) -> Stay:
        if lane not in self._stays:
            self._stays[lane] = Stay(ranged=lane in self._ranged)
        return self._stays[lane]

    def _update_problems(self, lane: str, now_utc: float | None = None) -> None:
        """What is wrong on this lane now."""
        if now_utc is not None:
            self._pushed[lane] = tuple(self._baseline_faults(lane, now_utc))
        blocked = found(ProblemCode.SENSOR_BLOCKED, _REMEDY.get(self._stay(lane).blocked, ""))
        pushed = (Finding(ProblemCode.BASELINE_SUSPECT, text) for text in self._pushed.get(lane, ()))
        self.findings = {**self.findings, lane: (*blocked, *pushed)}

    def _baseline_faults(self, lane: str, now_utc: float) -> Iterator[str]:
        if not self._options.baseline or self._site(lane).model is not None:
            return
        yield from self.baselines.get(lane, Baseline()).faults(self._options, now_utc)
        looks = self._looks.get(lane)
        if looks is None or looks.count < LEAST_LOOKS:
            return
        if looks.new < LEAST_SHARE * looks.count:
            yield (
                f"of {looks.count} people measured lately only {looks.new} had a valid code of a holder not seen"
                " before: the limit learns from few; see who stands before the thermometer again and again"
            )
        if (strangers := sum(looks.strangers)) >= MOST_STRANGERS:
            yield (
                f"of the last {LEAST_LOOKS} people measured {strangers} showed no valid code: they do not move the"
                " limit; see who stands before the thermometer again and again"
            )
