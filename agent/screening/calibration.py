"""The calibration of one lane's thermometer: its scale against a reference, its zero, its last check. Pure.

The file is TOML, one section a lane, written by `gatepost calibrate`; a new one is in force within a second:

    [lanes.entry.model]     # estimate = a + b * surface + c * (ambient - 23), fitted to people
    [lanes.entry.zero]      # added to every surface before anything else, from a black body
    [lanes.entry.check]     # what the last look at a reference gave
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from dataclasses import asdict, fields
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

AMBIENT_C = 23.0
"""Room temperature at which the estimate is a + b · surface."""
LEAST_LIMIT_C, MOST_LIMIT_C = 30.0, 43.0
"""Between these lies every limit on the calibrated scale, as for the configured one."""
COLDEST_BODY_C, HOTTEST_BODY_C = 34.0, 43.0
"""Between these lies the temperature of a living body, as a clinical thermometer tells it."""
_WARM_SKIN_C = 36.0
"""From the forehead to the hottest point of a face."""
MOST_ZERO_C = 0.5
"""A thermometer that is further off is broken or dirty: it is not talked right, it goes to service."""
MOST_DRIFT_C = 0.3
"""From here on the thermometer is not used until it is zeroed again (screening thermographs: IEC 80601-2-59)."""

_T = TypeVar("_T")


class BadCalibration(Exception):
    """A calibration that cannot be used; `str()` says what and where."""


@dataclass(frozen=True, slots=True)
class Model:
    """The calibrated scale: estimate of the reference temperature from the skin and the room."""

    a: float
    b: float
    c: float
    people: int
    """On how many it rests."""
    residual_sd_c: float
    """Standard deviation of reference minus estimate."""
    ambient_from_c: float
    """Outside this window of room temperatures nothing is known."""
    ambient_to_c: float
    reference: str
    """The instrument it was held against."""
    date: str
    limit_c: float | None = None
    """Limit that goes with this scale; None: the configured one."""

    def covers(self, ambient_c: float) -> bool:
        """Whether people were measured at such room temperatures."""
        return self.ambient_from_c <= ambient_c <= self.ambient_to_c

    def estimate_c(self, surface_c: float, ambient_c: float) -> float:
        """On the reference's scale."""
        return self.a + self.b * surface_c + self.c * (ambient_c - AMBIENT_C)

    def u_c(self, surface_u_c: float) -> float:
        """Expanded uncertainty (k = 2) of an estimate."""
        return math.hypot(self.b * surface_u_c, 2 * self.residual_sd_c)


@dataclass(frozen=True, slots=True)
class Zero:
    """What is added to every surface temperature."""

    offset_c: float
    at_utc: float
    reference: str
    operator: str


@dataclass(frozen=True, slots=True)
class ReferenceCheck:
    """The thermometer against a reference: how far off it was, after its zero."""

    error_c: float
    at_utc: float
    reference: str
    operator: str

    @property
    def drifted(self) -> bool:
        """Too far off to be used."""
        return abs(self.error_c) > MOST_DRIFT_C


@dataclass(frozen=True, slots=True)
class ThermometerSite:
    """All that is known of one lane's thermometer. Of a new one, nothing."""

    model: Model | None = None
    zero: Zero | None = None
    check: ReferenceCheck | None = None

    @property
    def offset_c(self) -> float:
        """What is added to every surface temperature."""
        return self.zero.offset_c if self.zero else 0.0

    def measures_as(self, other: ThermometerSite) -> bool:
        """Whether both make the same temperature of the same readings."""
        return (self.model, self.offset_c) == (other.model, other.offset_c)

    def why_unusable(self, check_hours: float, now_hi_utc: float) -> str:
        """Reason code if the thermometer must not be used, else ``; `now_hi_utc`: the latest that it may be.

        A check that is dated ahead of that is none.
        """
        if self.check is not None and self.check.drifted:
            return "drift"
        if check_hours and (self.check is None or not 0 <= now_hi_utc - self.check.at_utc <= check_hours * 3600):
            return "check_overdue"
        return ""


@dataclass(frozen=True, slots=True)
class JudgedBy:
    """Whose calibration made a temperature of some readings."""

    lane: str
    site: ThermometerSite

    def differs(self, now: object) -> bool:
        """Whether `now` is of the same thermometer, which measures otherwise since."""
        return isinstance(now, JudgedBy) and now.lane == self.lane and not now.site.measures_as(self.site)


def parse(text: str, name: str) -> dict[str, ThermometerSite]:
    """Lane → what is known. Raises BadCalibration, one sentence that begins with `name`."""
    try:
        lanes = tomllib.loads(text).get("lanes", {})
        sites = {lane: _site(table, f"lanes.{lane}") for lane, table in lanes.items()}
        _demand_as_written(text)
    except BadCalibration as error:
        raise BadCalibration(f"{name}: {error}") from None
    except (ValueError, RecursionError, AttributeError) as error:
        raise BadCalibration(f"{name}: is not a calibration file: {error}") from None
    return sites


_SHA256 = re.compile(r"# sha256 ([0-9a-f]{64})\n?\Z")


def _demand_as_written(text: str) -> None:
    """A digit that has changed is a limit that has changed. Raises BadCalibration; a file without its digest was
    written by hand.
    """
    found = _SHA256.search(text)
    if found is not None and sha256(text[: found.start()].encode()).hexdigest() != found[1]:
        raise BadCalibration(
            "is not as `gatepost calibrate` has written it: damaged (calibrate again), or edited (then raise its"
            " version, and take off its last line)"
        )


def to_text(sites: Mapping[str, ThermometerSite], version: int = 1) -> str:
    """The file. `version`: higher than that of the one before."""
    lines = [
        "# Made by `gatepost calibrate`; in force within a second. Temperatures in °C, times in POSIX seconds.",
        f"version = {version}",
    ]
    for lane, site in sorted(sites.items()):
        for part in ("model", "zero", "check"):
            value = getattr(site, part)
            if value is not None:
                lines += ["", f"[lanes.{_toml(lane)}.{part}]"]
                lines += [f"{key} = {_toml(entry)}" for key, entry in asdict(value).items() if entry is not None]
    text = "\n".join(lines) + "\n"
    return f"{text}# sha256 {sha256(text.encode()).hexdigest()}\n"


def _toml(value: str | float) -> str:
    """JSON's strings are TOML's, but for DEL, which TOML wants escaped."""
    return (
        json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F") if isinstance(value, str) else repr(value)
    )


def _site(table: Any, path: str) -> ThermometerSite:
    if not isinstance(table, dict) or table.keys() - {"model", "zero", "check"}:
        raise BadCalibration(f"{path}: a lane has the sections model, zero and check")
    return ThermometerSite(
        model=_read(Model, table.get("model"), f"{path}.model"),
        zero=_read(Zero, table.get("zero"), f"{path}.zero"),
        check=_read(ReferenceCheck, table.get("check"), f"{path}.check"),
    )


def _read(cls: type[_T], table: Any, path: str) -> _T | None:
    """One section; every field there, of its type, and finite."""
    if table is None:
        return None
    if not isinstance(table, dict):
        raise BadCalibration(f"{path}: is a section")
    hints = get_type_hints(cls)
    names = {entry.name for entry in fields(cls)}  # type: ignore[arg-type] # a dataclass by the callers' choice
    if wrong := table.keys() - names:
        raise BadCalibration(f"{path}: unknown setting {min(wrong)}")
    values: dict[str, Any] = {}
    for name in sorted(names):
        value = table.get(name)
        if value is None and hints[name] == float | None:
            continue
        kinds = (str,) if hints[name] is str else (int,) if hints[name] is int else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise BadCalibration(f"{path}.{name}: {'is missing' if value is None else 'is of the wrong type'}")
        if not isinstance(value, str) and not math.isfinite(value):
            raise BadCalibration(f"{path}.{name}: is no number")
        values[name] = value
    return _plausible(cls(**values), path)


def _plausible(value: _T, path: str) -> _T:
    """A hand that slipped must not turn fevers into normals."""
    match value:
        case Model() as model if not (0 < model.b <= 2 and abs(model.c) <= 1 and model.residual_sd_c > 0):  # noqa: PLR2004
            raise BadCalibration(f"{path}: cannot be: b is in 0 … 2, c in -1 … 1, residual_sd_c above 0")
        case Model(limit_c=float() | int() as limit_c) if not LEAST_LIMIT_C < limit_c < MOST_LIMIT_C:
            raise BadCalibration(
                f"{path}: limit_c is of a body in °C, in {LEAST_LIMIT_C:.0f} … {MOST_LIMIT_C:.0f}, not {limit_c:g}"
            )
        case Model() as model if not all(COLDEST_BODY_C <= each <= HOTTEST_BODY_C for each in _of_warm_skin(model)):
            raise BadCalibration(
                f"{path}: of {_WARM_SKIN_C:.0f} °C of skin it makes {min(_of_warm_skin(model)):.1f} to"
                f" {max(_of_warm_skin(model)):.1f} °C within its rooms, which is no body: check a, b and c"
            )
        case Model() as model if model.ambient_from_c >= model.ambient_to_c:
            raise BadCalibration(f"{path}: ambient_from_c must lie below ambient_to_c")
        case Zero() as zero if abs(zero.offset_c) > MOST_ZERO_C:
            raise BadCalibration(f"{path}: an offset beyond {MOST_ZERO_C} °C is a fault of the thermometer")
        case _:
            return value


def _of_warm_skin(model: Model) -> tuple[float, float]:
    """What it makes of warm skin in the coldest and in the warmest room that it covers."""
    rooms = model.ambient_from_c, model.ambient_to_c
    return model.estimate_c(_WARM_SKIN_C, rooms[0]), model.estimate_c(_WARM_SKIN_C, rooms[1])
