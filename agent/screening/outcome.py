"""One measurement, with calibration, baseline and room → temperature and outcome. Pure.

Three scales, the best that is known goes: `calibrated` (the site's file: an estimate, compared with 37.3),
`population` (the skin, compared with the people who passed before), `fixed` (the skin, compared with a fixed
limit). The event says which, and the limit. What cannot be told is RETEST, INDETERMINATE or DEVICE_FAULT, never
NORMAL.

Sources for the defaults: skin limit 35.6 °C at the forehead (Ng 2005); healthy foreheads indoors average 34.4 °C
with a standard deviation of 0.6 °C at 23 °C ambient, so below 33.0 °C the skin is cold, or the aim is off.
"""

from __future__ import annotations

import math
from dataclasses import field, replace
from typing import TYPE_CHECKING

from agent.model import Role, Screening, Temperature
from agent.model.lazy import dataclass
from agent.screening.baseline import Baseline
from agent.screening.calibration import COLDEST_BODY_C, HOTTEST_BODY_C, ThermometerSite
from agent.screening.window import estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model import Basis
    from agent.screening.calibration import Model
    from agent.screening.options import Options
    from agent.screening.window import WindowEstimate
    from drivers.contract import Reading

UNCALIBRATED_MOST_U_C = 1.0
"""Expanded uncertainty up to which an uncalibrated thermometer tells the skin of a fever, °C. By a worse one nobody
is normal; a baseline does not help, since another thermometer may have taught it.
"""


@dataclass(frozen=True, slots=True)
class ScreeningContext:
    """What is known besides the samples."""

    site: ThermometerSite = field(default_factory=ThermometerSite)
    ambient_c: float | None = None
    """From a room sensor, fresh; never the thermometer's own die."""
    baseline: Baseline = field(default_factory=Baseline)
    now_hi_utc: float = math.inf
    """The latest that it may be."""


def screen(readings: Sequence[Reading], options: Options, around: ScreeningContext | None = None) -> Temperature:
    """The temperature of one person from the samples of one look, oldest first."""
    around = around or ScreeningContext()
    seen = estimate(readings, options)
    if why := around.site.why_unusable(options.check_hours, around.now_hi_utc):
        return Temperature(Screening.DEVICE_FAULT, samples=seen.samples, reason=why)
    if seen.surface_c is None:
        temperature = Temperature(
            Screening.INDETERMINATE, threshold_c=options.threshold_c, reason="too_few_samples"
        )
    else:
        temperature = _classify(seen, seen.surface_c + around.site.offset_c, options, around)
    return replace(temperature, samples=seen.samples, ambient_c=_rounded(around.ambient_c))


def fault(part: Role = Role.THERMOMETER) -> Temperature:
    """What is known of a person's temperature when the thermometer, or the range sensor before it, is down."""
    return Temperature(Screening.DEVICE_FAULT, reason=f"{part}_down")


def is_of_a_body(celsius: float) -> bool:
    """Whether a thermometer can have said so of a living body: a slip of the finger cannot pass."""
    return COLDEST_BODY_C <= celsius <= HOTTEST_BODY_C


def from_clinical(reading: Reading, options: Options, attempt: int) -> Temperature:
    """What staff's own thermometer says: it decides alone, on its own scale."""
    temperature = _against(options.clinical_threshold_c, reading.surface_c, reading.u_c, "clinical")
    return replace(
        temperature,
        estimate_c=_rounded(reading.surface_c),
        samples=1,
        reason="clinical_decides",
        attempt=attempt,
    )


def _classify(seen: WindowEstimate, surface_c: float, options: Options, around: ScreeningContext) -> Temperature:
    """On the best scale there is."""
    model = around.site.model
    if model is not None:
        temperature = _calibrated(model, surface_c, seen.u_c, options, around.ambient_c)
    elif options.baseline and around.baseline.counts(options.baseline_people, around.ambient_c):
        limit_c = around.baseline.limit_in_force_c(options, around.ambient_c)
        u_c = math.hypot(seen.u_c, around.baseline.u_c(around.ambient_c))
        temperature = _against(limit_c, surface_c, u_c, "population")
    else:
        temperature = _against(
            around.baseline.limit_in_force_c(options, around.ambient_c), surface_c, seen.u_c, "fixed"
        )
    temperature = replace(temperature, surface_c=_rounded(surface_c))
    if not seen.steady:
        return replace(temperature, outcome=Screening.RETEST, reason="not_steady")
    if not options.min_skin_c <= surface_c <= options.max_skin_c:
        why = "cold_skin" if surface_c < options.min_skin_c else "no_skin"
        return replace(temperature, outcome=Screening.INDETERMINATE, reason=why)
    if surface_c >= options.always_elevated_c:
        return replace(temperature, outcome=Screening.ELEVATED)
    if model is None and seen.device_u_c > UNCALIBRATED_MOST_U_C and temperature.outcome is Screening.NORMAL:
        return replace(temperature, outcome=Screening.INDETERMINATE, reason="imprecise")
    return temperature


def baseline_threshold_c(baseline: Baseline, options: Options, ambient_c: float | None) -> float:
    """Where the baseline puts the limit."""
    return baseline.limit_c(options, ambient_c)


def _calibrated(
    model: Model, surface_c: float, u_c: float, options: Options, ambient_c: float | None
) -> Temperature:
    limit_c = options.calibrated_threshold_c if model.limit_c is None else model.limit_c
    if ambient_c is None or not model.covers(ambient_c):
        why = "room_unknown" if ambient_c is None else "room_outside_calibration"
        return Temperature(
            Screening.INDETERMINATE,
            uncertainty_c=_rounded(u_c),
            threshold_c=limit_c,
            basis="calibrated",
            reason=why,
        )
    estimate_c = model.estimate_c(surface_c, ambient_c)
    temperature = _against(limit_c, estimate_c, model.u_c(u_c), "calibrated")
    return replace(temperature, estimate_c=_rounded(estimate_c))


def _against(limit_c: float, value_c: float, u_c: float, basis: Basis) -> Temperature:
    return Temperature(
        Screening.ELEVATED if value_c >= limit_c else Screening.NORMAL,
        uncertainty_c=_rounded(u_c),
        threshold_c=_rounded(limit_c),
        basis=basis,
    )


def _rounded(celsius: float | None) -> float | None:
    return None if celsius is None else round(celsius, 2)
