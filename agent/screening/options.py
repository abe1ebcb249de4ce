"""Settings of the temperature screening. Pure."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from agent.model.bounds import Ge, Gt, Le, Lt
from agent.model.lazy import dataclass

MOST_ABOVE_C = 1.5
"""How far above the fixed limit people may teach one, where the site does not say, °C."""


Skin = Annotated[float, Ge(0), Le(60)]
"""A temperature of skin, or of what is taken for it, °C."""


class Estimate(StrEnum):
    """Which value of a look stands for the person."""

    MEDIAN = "median"
    PEAK = "peak"


@dataclass(frozen=True, slots=True)
class Options:
    """How readings are judged. Temperatures are of the skin, as measured, in °C, where nothing else is said."""

    presence_c: Skin = 30.0
    """A surface warmer than this is a person; must lie above the warmest background of the spot."""
    min_skin_c: Skin = 33.0
    """Below this the skin is too cold, or the aim or distance is wrong: no outcome, staff looks."""
    threshold_c: Skin = 35.6
    """Without a calibration and until the baseline is known: elevated from here on. 35.6 is for the forehead; about
    36.3 for the inner corner of the eye, 36.6 for the hottest point of the face."""
    always_elevated_c: Skin = 38.5
    """From here on elevated, whatever the baseline is."""
    max_skin_c: Skin = 43.0
    """Above this it is no skin (a cup, a lamp): no outcome."""
    samples: Annotated[int, Ge(2)] = 5
    """Samples needed before a temperature is given."""
    window_s: Annotated[float, Gt(0)] = 2.0
    """Samples older than this are not of the same measurement, seconds."""
    spread_c: Annotated[float, Gt(0)] = 0.5
    """Samples of one measurement that differ by more than this need another measurement, °C."""
    rise_c: Annotated[float, Gt(0)] = 0.25
    """When the later half of the samples is warmer by more than this, the person is still coming closer, °C."""
    min_distance_mm: Annotated[float, Ge(0)] = 30.0
    """On a lane with a range sensor: nearer than this nobody is measured, mm."""
    max_distance_mm: Annotated[float, Gt(0)] = 100.0
    """On a lane with a range sensor: farther than this nobody is measured, mm. At most where the thermometer's spot
    is as wide as a forehead (60 mm): 30 / tan(half of its field of view)."""
    range_age_s: Annotated[float, Gt(0)] = 0.5
    """A reading counts only with a distance that was measured within so many seconds of it."""
    stay_s: Annotated[float, Ge(20), Le(3600)] = 120.0
    """What stands before the thermometer so long, and neither leaves nor changes, is no person: the lane measures
    nobody until it is gone, seconds."""
    estimate: Estimate = Estimate.MEDIAN
    """`median` of the samples for a narrow spot; `peak` (90th percentile) for arrays and wide fields that hunt the
    hottest point."""
    calibration: Path | None = None
    """File made by `gatepost calibrate`: the calibrated scale, the zero and the last check of each lane."""
    calibrated_threshold_c: Annotated[float, Gt(30), Lt(43)] = 37.3
    """Elevated from here on, on the calibrated scale; a limit in the calibration file goes before."""
    room_age_s: Annotated[float, Gt(0)] = 120.0
    """A room temperature older than this is not known any more, seconds."""
    check_hours: Annotated[float, Ge(0)] = 0.0
    """A reference check older than this makes every outcome a device fault, hours; 0: no check is demanded."""
    baseline: bool = True
    """Without a calibration, compare with the people who passed this lane before, once there are enough."""
    baseline_people: Annotated[int, Ge(20)] = 30
    """People that a lane must have measured before its baseline counts."""
    baseline_flagged: Annotated[float, Gt(0.01), Lt(0.3)] = 0.05
    """Share of the people without a fever that the baseline's threshold flags: false alarms."""
    baseline_reach_c: Annotated[float, Ge(0)] = 2.5
    """The baseline moves the threshold at most this far from `threshold_c`, °C; upwards never above the ceiling."""
    baseline_ceiling_c: Annotated[float, Gt(30), Lt(43)] | None = None
    """The baseline never raises the threshold above this, °C. Without it 1.5 above `threshold_c`: 37.1 for
    the forehead, where the best limits of studies lie between 35.6 (Ng 2005) and 36.65 (Lai 2022)."""
    baseline_floor_c: Annotated[float, Gt(20), Lt(43)] | None = None
    """The baseline never lowers the threshold below this, °C; default: `baseline_reach_c` below `threshold_c`, not
    under `min_skin_c`: a low threshold sends people to staff in vain, a high floor lets fevers pass in the cold."""
    baseline_relearn_s: Annotated[float, Gt(0), Le(604_800)] = 43_200.0
    """The baseline learns from one holder at most once in this time, seconds."""
    baseline_file: Path = Path("/var/lib/gatepost/baseline.json")
    """File of the baseline of each lane: a dozen numbers, nothing of any person."""
    retest_wait_s: Annotated[float, Ge(0)] = 600.0
    """Somebody elevated twice rests so long before the third reading, seconds."""
    retest_memory_s: Annotated[float, Gt(0)] = 3600.0
    """Readings of one person further apart than this are not of one episode, seconds."""

    clinical_threshold_c: Annotated[float, Gt(30), Lt(43)] = 37.3
    """Clinical thermometer of the staff: elevated from here on, °C as shown."""
    clinical_uncertainty_c: Annotated[float, Gt(0)] = 0.2
    """Clinical thermometer of the staff: its expanded uncertainty (k = 2), °C."""
    clinical_timeout_s: Annotated[float, Gt(0)] = 600.0
    """For so long after a decision staff may say what their own thermometer shows of that person, seconds."""

    @property
    def ceiling_c(self) -> float:
        """The highest limit that may be learnt."""
        if self.baseline_ceiling_c is not None:
            return min(self.baseline_ceiling_c, self.always_elevated_c)
        return min(self.threshold_c + min(MOST_ABOVE_C, self.baseline_reach_c), self.always_elevated_c)

    @property
    def floor_c(self) -> float:
        """The lowest limit that may be learnt."""
        if self.baseline_floor_c is not None:
            return self.baseline_floor_c
        return max(self.threshold_c - self.baseline_reach_c, self.min_skin_c)

    def __post_init__(self) -> None:
        """The limits must stand in order."""
        if not self.presence_c <= self.min_skin_c < self.threshold_c < self.max_skin_c:
            raise ValueError("presence_c ≤ min_skin_c < threshold_c < max_skin_c must hold")
        if not self.threshold_c <= self.always_elevated_c <= self.max_skin_c:
            raise ValueError("threshold_c ≤ always_elevated_c ≤ max_skin_c must hold")
        if not self.floor_c <= self.threshold_c <= self.ceiling_c:
            raise ValueError(
                f"baseline_floor_c ≤ threshold_c ≤ baseline_ceiling_c must hold: {self.floor_c} ≤"
                f" {self.threshold_c} ≤ {self.ceiling_c} °C does not; for example 34.0, 35.6 and 37.1"
            )
        if not self.min_distance_mm < self.max_distance_mm:
            raise ValueError("min_distance_mm must be less than max_distance_mm")
        if self.retest_memory_s <= self.retest_wait_s:
            raise ValueError("retest_memory_s must be longer than retest_wait_s")
