"""What the checkpoint asks of screening: the state of all lanes' thermometers. Pure; time is an argument."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.model import Screening, Temperature
from agent.thermal.calibration import Site
from agent.thermal.crowd import Crowd
from agent.thermal.retest import Retests
from agent.thermal.screening import Around, screen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from agent.model import Now
    from agent.thermal.options import Options
    from drivers.contract import Distance, Reading


class Screens:
    """Rooms, crowds and retests. `crowds` may be read from any thread: each is replaced, never changed."""

    def __init__(
        self,
        options: Options,
        site: Callable[[str], Site] = lambda _: Site(),
        crowds: Mapping[str, Crowd] | None = None,
        ranged: Collection[str] = (),
    ) -> None:
        """`site`: lane → calibration now; `crowds`: lane → what was kept of it; `ranged`: lanes with a ranger."""
        self.crowds: dict[str, Crowd] = dict(crowds or {})
        self._options = options
        self._site = site
        self._rooms: dict[str, Reading] = {}
        self._ranged = frozenset(ranged)
        self._distances: dict[str, Distance] = {}
        self._retests = Retests(options)

    def room(self, lane: str, reading: Reading) -> None:
        """A room sensor has spoken. It serves its lane, and every lane that has none of its own."""
        self._rooms[lane] = reading

    def distance(self, lane: str, distance: Distance) -> None:
        """The lane's range sensor has spoken."""
        self._distances[lane] = distance

    def is_filled(self, lane: str, at_s: float) -> bool:
        """Whether somebody stands at the mark: only there is the thermometer's spot full of skin. Taken for granted
        where there is no range sensor.
        """
        if lane not in self._ranged:
            return True
        last = self._distances.get(lane)
        if last is None or last.distance_mm is None or abs(at_s - last.at_s) > self._options.range_age_s:
            return False
        return self._options.near_mm <= last.distance_mm <= self._options.far_mm

    def screen(self, lane: str, readings: Sequence[Reading], holder: bytes, at_s: float, now: Now) -> Temperature:
        """The temperature of the person whose look this is; `holder`: 16 bytes, or empty when no code was shown."""
        around = Around(
            site=self._site(lane),
            ambient_c=self.ambient_c(lane, at_s),
            crowd=self.crowds.get(lane, Crowd()),
            now_hi_utc=now.hi_utc,
        )
        temperature = screen(readings, self._options, around)
        if temperature.why == "too_few_samples" and not self.is_filled(lane, at_s):
            temperature = replace(temperature, why="not_at_mark")
        return self._retests.judge(holder, temperature, at_s) if holder else temperature

    def passed(
        self, lane: str, temperature: Temperature, holder: bytes, at_s: float, now: Now, *, simulated: bool
    ) -> None:
        """The person was decided: the crowd has one more, and the holder an attempt."""
        if holder:
            self._retests.settle(holder, temperature, at_s)
        surface_c = temperature.surface_c
        steady = temperature.outcome in (Screening.NORMAL, Screening.ELEVATED) or temperature.why == "cold_skin"
        if surface_c is None or not steady or temperature.attempt > 1:
            return
        self.crowds[lane] = self.crowds.get(lane, Crowd()).after(
            surface_c,
            temperature.ambient_c,
            now.lo_utc,
            flagged=self._options.crowd_flagged,
            simulated=simulated,
        )

    def begin_anew(self, holder: bytes) -> None:
        """This holder is measured as for the first time."""
        self._retests.begin_anew(holder)

    def forget(self, at_s: float) -> None:
        """Time has passed: let go of what is known of holders that no longer counts."""
        self._retests.forget(at_s)

    def ambient_c(self, lane: str, at_s: float) -> float | None:
        """The room's temperature if it is known lately, from this lane's sensor before others'."""
        own = self._rooms.get(lane)
        known = [own] if own is not None else list(self._rooms.values())
        fresh = [reading for reading in known if at_s - reading.at_s <= self._options.room_age_s]
        return max(fresh, key=lambda reading: reading.at_s).surface_c if fresh else None
