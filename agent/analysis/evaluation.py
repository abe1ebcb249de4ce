"""What a limit would have found and missed: people measured here and with a reference instrument. Pure.

The limit is chosen for a specificity, not by converting degrees: a least-squares conversion shrinks towards the
mean, so that "37.3 converted" is another limit at every site. Limits are chosen on one half of the people and tried
on the other, many times over; a limit tried on the people it was chosen on flatters itself.
"""

from __future__ import annotations

import csv
import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import fmean, median, stdev, variance
from typing import TYPE_CHECKING

from agent.analysis import threshold
from agent.screening.baseline import SLOPE, SLOPE_SD, Baseline
from agent.screening.calibration import AMBIENT_C, Model
from agent.screening.outcome import baseline_threshold_c

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agent.screening.options import Options

COLUMNS = ("time", "lane", "site", "surface_c", "ambient_c", "reference_c")
FEVER_C = 38.0
SPECIFICITY = 0.95
SPLITS = 30
LEAST_PEOPLE, LEAST_FEVERS = 20, 2
_Z95 = 1.96
_LONGEST_SHOWN = 40
"""Characters of a cell in a message."""


class BadStudy(Exception):
    """A file of measurements that cannot be used; `str()` says the line and what is wrong."""


@dataclass(frozen=True, slots=True)
class MeasuredPerson:
    """One person, measured twice: the skin here, and the reference instrument."""

    at_utc: float
    lane: str
    site: str
    surface_c: float
    ambient_c: float | None
    reference_c: float


@dataclass(frozen=True, slots=True)
class Score:
    """How people fared."""

    found: int = 0
    missed: int = 0
    false_alarms: int = 0
    passed: int = 0

    @property
    def sensitivity(self) -> float:
        """Share of the fevers that were found; NaN without fevers."""
        return self.found / (self.found + self.missed) if self.found + self.missed else math.nan

    @property
    def specificity(self) -> float:
        """Share of the others that passed; NaN without others."""
        return self.passed / (self.passed + self.false_alarms) if self.passed + self.false_alarms else math.nan

    def predictive(self, prevalence: float) -> float:
        """Of those flagged, the share with a fever, where `prevalence` of all people have one."""
        true, false = prevalence * self.sensitivity, (1 - prevalence) * (1 - self.specificity)
        return true / (true + false) if true + false else math.nan


def parse(lines: Iterable[str]) -> list[MeasuredPerson]:
    """The people of a CSV file with the columns `COLUMNS`, in order of time. Raises BadStudy."""
    rows = csv.DictReader(lines)
    people = []
    try:
        if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
            raise BadStudy(f"line 1: no column {', '.join(missing)}; needed are {', '.join(COLUMNS)}")
        people = [_person(row) for row in rows]
    except (ValueError, AttributeError, TypeError, OverflowError, csv.Error) as error:
        raise BadStudy(f"line {rows.line_num}: {error}") from None
    return sorted(people, key=lambda person: person.at_utc)


def _person(row: dict[str, str]) -> MeasuredPerson:
    ambient = row["ambient_c"].strip()
    return MeasuredPerson(
        _time(row["time"].strip()),
        row["lane"].strip(),
        row["site"].strip(),
        _celsius("surface_c", row["surface_c"]),
        _celsius("ambient_c", ambient) if ambient else None,
        _celsius("reference_c", row["reference_c"]),
    )


def _celsius(name: str, text: str) -> float:
    """Of a cell. Raises ValueError."""
    try:
        value = float(text) if text.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not -40 <= value <= 60:  # noqa: PLR2004 - no room and nobody is beyond
        raise ValueError(f"{name} {text[:_LONGEST_SHOWN]!r} is no temperature from -40 to 60 °C, for example 36.8")
    return value


def _time(text: str) -> float:
    """ISO 8601 (UTC unless it says otherwise), or POSIX seconds."""
    try:
        return float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"time {text[:_LONGEST_SHOWN]!r} is no time in ISO 8601, for example 2026-01-31T08:00+08:00"
            ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % confidence interval of a share (Wilson 1927)."""
    if not of:
        return 0.0, 1.0
    share, z2 = hits / of, _Z95**2 / of
    middle = (share + z2 / 2) / (1 + z2)
    half = _Z95 / (1 + z2) * math.sqrt(share * (1 - share) / of + z2 / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def count(people: Sequence[MeasuredPerson], flagged: Sequence[bool], fever_c: float = FEVER_C) -> Score:
    """The score of these flags."""
    pairs = [(person.reference_c >= fever_c, flag) for person, flag in zip(people, flagged, strict=True)]
    return Score(*(pairs.count(kind) for kind in ((True, True), (True, False), (False, True), (False, False))))


def fit(
    people: Sequence[MeasuredPerson], *, fever_c: float, specificity: float, reference: str, date: str
) -> Model:
    """The affine model, and on its scale the limit that lets `specificity` of those without fever pass.

    The slope on the room comes from those without fever, so that a few fevers on a cold day do not tilt it. Raises
    BadTrial with too few people.
    """
    well = [person for person in people if person.reference_c < fever_c]
    if len(well) < LEAST_PEOPLE:
        raise BadStudy(f"{len(well)} people without a fever are too few: at least {LEAST_PEOPLE}")
    rooms = [person.ambient_c for person in people if person.ambient_c is not None]
    slope = ambient_slope(well)
    skins = [at_usual_room(person, slope) for person in people]
    b = _slope(skins, [person.reference_c for person in people])
    if b <= 0:
        raise BadStudy("skin and reference do not rise together: is the thermometer aimed at people?")
    a = fmean(person.reference_c for person in people) - b * fmean(skins)
    on_scale = [a + b * skin for skin in skins]
    errors = [person.reference_c - here for person, here in zip(people, on_scale, strict=True)]
    window = (min(rooms) - 1, max(rooms) + 1) if rooms else (AMBIENT_C - 1, AMBIENT_C + 1)
    limit_c = limit_on(people, on_scale, fever_c=fever_c, specificity=specificity)
    return Model(
        a=round(a, 4),
        b=round(b, 4),
        c=round(-b * slope, 4),
        people=len(people),
        residual_sd_c=round(stdev(errors), 3),
        ambient_from_c=round(window[0], 1),
        ambient_to_c=round(window[1], 1),
        reference=reference,
        date=date,
        limit_c=round(limit_c, 3),
    )


def ambient_slope(well: Sequence[MeasuredPerson]) -> float:
    """°C of skin per °C of room among people without fever, weighed against what is known of skin in general: the
    steadier the room was, the more the latter counts.
    """
    known = [(person.ambient_c, person.surface_c) for person in well if person.ambient_c is not None]
    if len(known) < LEAST_PEOPLE:
        return SLOPE
    rooms, skins = [room for room, _ in known], [skin for _, skin in known]
    spread = sum((room - fmean(rooms)) ** 2 for room in rooms)
    if not spread:
        return SLOPE
    slope = _slope(rooms, skins)
    precision, general = spread / variance(skins), SLOPE_SD**-2
    return (slope * precision + SLOPE * general) / (precision + general)


def at_usual_room(person: MeasuredPerson, slope: float) -> float:
    """The skin, as it would be with the room at 23 °C."""
    return (
        person.surface_c if person.ambient_c is None else person.surface_c - slope * (person.ambient_c - AMBIENT_C)
    )


def limit_on(
    people: Sequence[MeasuredPerson], values: Sequence[float], *, fever_c: float, specificity: float
) -> float:
    """On the scale of `values` (one each): the limit that lets `specificity` of those without fever pass."""
    references = [person.reference_c for person in people]
    well = [(here, body) for here, body in zip(values, references, strict=True) if body < fever_c]
    return threshold.choose(well, _slope(references, values), specificity)


def estimates(people: Sequence[MeasuredPerson], model: Model) -> list[float]:
    """Degrees Celsius on the calibrated scale; a room that is not known counts as the usual one."""
    return [
        model.estimate_c(person.surface_c, AMBIENT_C if person.ambient_c is None else person.ambient_c)
        for person in people
    ]


def flags_of_model(people: Sequence[MeasuredPerson], model: Model, limit_c: float) -> list[bool]:
    """Who is flagged on the calibrated scale."""
    return [estimate_c >= limit_c for estimate_c in estimates(people, model)]


def flags_of_baseline(
    people: Sequence[MeasuredPerson], options: Options, *, second_instrument: bool = False
) -> list[bool | None]:
    """Who the baseline flags, lane by lane and site by site, in order; None while it is too small to say.

    With a `second_instrument` everybody above the limit is measured with the reference as well, and the baseline
    is corrected by it; a fever is `FEVER_C` or more.
    """
    baselines: dict[tuple[str, str], Baseline] = {}
    flags: list[bool | None] = []
    for person in people:
        place = (person.lane, person.site)
        baseline = baselines.get(place, Baseline())
        says = baseline.counts(options.baseline_people, person.ambient_c)
        limit_c = baseline_threshold_c(baseline, options, person.ambient_c) if says else 0.0
        flags.append(person.surface_c >= limit_c if says else None)
        after = baseline.after(person.surface_c, person.ambient_c, person.at_utc, options)
        in_force_c = baseline.limit_in_force_c(options, person.ambient_c)
        if second_instrument and baseline.people and person.surface_c >= in_force_c:
            has_fever = person.reference_c >= FEVER_C
            if baseline.is_far_above(person.surface_c, in_force_c) != has_fever:
                after = after.corrected(options, has_fever=has_fever)
        baselines[place] = after
    return flags


def halves(people: Sequence[MeasuredPerson], seed: int) -> tuple[list[MeasuredPerson], list[MeasuredPerson]]:
    """The people split at random, each half in order of time."""
    order = list(people)
    random.Random(seed).shuffle(order)  # noqa: S311 - a repeatable split, no secret
    middle = len(order) // 2
    return tuple(sorted(half, key=lambda person: person.at_utc) for half in (order[:middle], order[middle:]))  # type: ignore[return-value] # two


def cross_validated(
    people: Sequence[MeasuredPerson], *, fever_c: float, specificity: float, seeds: Iterable[int] = range(SPLITS)
) -> list[Score]:
    """The scores of models and limits from one half on the other half, once for each seed."""
    scores = []
    for seed in seeds:
        chosen_on, tried_on = halves(people, seed)
        model = fit(chosen_on, fever_c=fever_c, specificity=specificity, reference="", date="")
        flags = flags_of_model(tried_on, model, model.limit_c or 0.0)
        scores.append(count(tried_on, flags, fever_c))
    return scores


def mean(scores: Sequence[Score]) -> tuple[float, float]:
    """Mean sensitivity and specificity."""
    known = [score.sensitivity for score in scores if not math.isnan(score.sensitivity)]
    return fmean(known) if known else math.nan, fmean(score.specificity for score in scores)


def bootstrap(
    people: Sequence[MeasuredPerson],
    value: Callable[[Sequence[MeasuredPerson]], float],
    times: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % confidence interval of a figure of these people, by drawing them again with replacement."""
    draw = random.Random(seed)  # noqa: S311 - a repeatable draw, no secret
    values = sorted(value(draw.choices(people, k=len(people))) for _ in range(times))
    return values[int(0.025 * times)], values[int(0.975 * times) - 1]


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Least squares, made robust in two rounds: a value beyond 2.5 robust deviations pulls like one at it."""
    weights = [1.0] * len(x)
    b = 0.0
    for _ in range(3):
        total = sum(weights)
        mx = sum(w * v for w, v in zip(weights, x, strict=True)) / total
        my = sum(w * v for w, v in zip(weights, y, strict=True)) / total
        sxx = sum(w * (v - mx) ** 2 for w, v in zip(weights, x, strict=True))
        if not sxx:
            raise BadStudy("all people have the same temperature")
        b = sum(w * (u - mx) * (v - my) for w, u, v in zip(weights, x, y, strict=True)) / sxx
        errors = [abs((v - my) - b * (u - mx)) for u, v in zip(x, y, strict=True)]
        reach = 2.5 * 1.4826 * median(errors) or 1.0
        weights = [min(1.0, reach / error) if error else 1.0 for error in errors]
    return b
