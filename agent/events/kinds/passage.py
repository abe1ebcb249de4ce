"""Events `passage`: one person at one lane, decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeAlias, TypedDict

from agent.events.kinds import HIGH, NORMAL, EventKind, sealed_json
from agent.model import (
    Basis,
    CodeStatus,
    Colour,
    Direction,
    NextStep,
    Outcome,
    Passage,
    Screening,
    Temperature,
    Verdict,
)
from agent.model.bounds import Ge

if TYPE_CHECKING:
    from agent.events.contract import ClockJson, SealedJson

Withheld: TypeAlias = Literal["withheld"]
"""In place of health data that was removed from the event: see `sealed`."""


class CredentialJson(TypedDict):
    """The code that was shown, without anything that names its holder."""

    format: Annotated[str, "`gatepost`, or the name of another format; empty when not recognised"]
    status: Annotated[CodeStatus | Withheld, "what checking the code gave; more may be added"]
    issuer: Annotated[str | None, "null unless its signature holds"]
    colour: Annotated[Colour | None, "null unless the signature holds"]


class TemperatureJson(TypedDict):
    """The screened temperature, as measured. Screening is not a diagnosis."""

    outcome: Screening | Withheld
    surface_c: Annotated[float | None, "the skin, as measured, degrees Celsius"]
    estimate_c: Annotated[float | None, "on the scale of the site's calibration; null without one"]
    uncertainty_c: Annotated[float | None, "expanded uncertainty (k = 2) of what was compared, degrees Celsius"]
    threshold_c: Annotated[float | None, "what it was compared with, on `basis`"]
    basis: Annotated[
        Basis,
        "what was compared: `calibrated`: the estimate; `population`: the skin, with a threshold that follows "
        "the people who passed before; `fixed`: the skin, with the fixed threshold; `clinical`: staff's own "
        "thermometer",
    ]
    ambient_c: Annotated[float | None, "the room, from a sensor of its own"]
    samples: Annotated[int, Ge(0)]
    reason: Annotated[str, "reason code of an outcome that is not plain; else empty"]
    attempt: Annotated[int, Ge(1), "which reading of this person it is; each is an event of its own"]
    next_step: Annotated[NextStep, "of the retest protocol; empty when there is none"]


class HealthJson(TypedDict):
    """The part of a passage that is about health."""

    reasons: Annotated[list[str], "reason codes, the weightiest first"]
    rule: Annotated[str, "the row of the policy that decided"]
    credential: Annotated[CredentialJson | None, "null when none was shown"]
    temperature: TemperatureJson


class ContentJson(HealthJson):
    """What is sealed: the codes as they were read, and what was withheld from the event."""

    payloads: Annotated[list[str], "base64 of the bytes of each code, in the order of showing"]
    payloads_omitted: Annotated[int, Ge(0), "codes that were too long to keep"]
    case: NotRequired[Annotated[str, "of the venue, where there is one"]]


class PlaceJson(TypedDict):
    """Where a vehicle was."""

    lat: Annotated[float, "degrees north, WGS 84"]
    lon: Annotated[float, "degrees east"]
    u_m: Annotated[float, Ge(0), "radius that held the true place with 95 %, metres"]
    age_s: Annotated[float, Ge(0), "how long before the decision, seconds"]


class PassageJson(TypedDict):
    """One person at one lane, decided."""

    lane: str
    direction: Direction
    decision: Annotated[Outcome, "`refer`: a person of the staff decides"]
    reasons: Annotated[list[str], "reason codes, the weightiest first"]
    rule: Annotated[str, "the row of the policy that decided"]
    gate_opened: Annotated[bool, "whether the gate was told to open"]
    credential: Annotated[CredentialJson | None, "null when none was shown"]
    temperature: TemperatureJson
    duration_ms: Annotated[int, "milliseconds from the first sign of the person to the decision"]
    simulated: Annotated[bool, "true if any device that took part is simulated"]
    case: NotRequired[Annotated[str | None, "five letters: staff must follow it; null for none"]]
    role: NotRequired[Annotated[str, "as what the person came, by roster or permit; empty when leaving"]]
    permit: NotRequired[Annotated[str, "`unasked`, `valid`, or why not"]]
    drill: NotRequired[Annotated[bool, "an exercise: it opened no entry and counts nowhere"]]
    trip: NotRequired[Annotated[str, "of the vehicle"]]
    seat: NotRequired[int | None]
    place: NotRequired[Annotated[PlaceJson | None, "where the vehicle was; null when that is not known"]]
    sealed: NotRequired[
        Annotated[
            SealedJson | None,
            "there only when credential, temperature and reasons are withheld; null: they were not kept at all",
        ]
    ]
    clock: ClockJson


SIGNED = frozenset(
    (
        CodeStatus.VALID,
        CodeStatus.EXPIRED,
        CodeStatus.NOT_YET_VALID,
        CodeStatus.TIME_UNKNOWN,
        CodeStatus.REVOKED,
    )
)
"""Only now is what a code says its issuer's word; before, it is a stranger's text and stays here."""


def _data(passage: Passage, clock: ClockJson) -> PassageJson:
    said = health(passage)
    message: PassageJson = {
        "lane": passage.lane,
        "direction": passage.direction,
        "decision": passage.decision.outcome,
        "reasons": said["reasons"],
        "rule": said["rule"],
        "gate_opened": passage.gate_opened,
        "credential": said["credential"],
        "temperature": said["temperature"],
        "duration_ms": round((passage.decided_s - passage.began_s) * 1000),
        "simulated": passage.simulated,
        "clock": clock,
    }
    if (mark := passage.venue) is not None:
        message["case"] = mark.case or None
        message["role"] = mark.role
        message["permit"] = mark.permit
        message["drill"] = mark.drill
        if mark.trip:
            message["trip"] = mark.trip
            message["seat"] = mark.seat or None
            at = mark.place
            message["place"] = (
                None if at is None else {"lat": at.lat, "lon": at.lon, "u_m": at.u_m, "age_s": at.age_s}
            )
    if passage.redacted is not None:
        message["sealed"] = sealed_json(passage.redacted.sealed)
    return message


def health(passage: Passage) -> HealthJson:
    """What a passage says of somebody's health, or the form that says that it is withheld."""
    temperature = _temperature(passage.temperature)
    credential = None if passage.verdict is None else _credential(passage.verdict)
    if passage.redacted is not None:
        temperature["outcome"] = "withheld"
        if passage.redacted.format is not None:
            credential = {"format": passage.redacted.format, "status": "withheld", "issuer": None, "colour": None}
    return {
        "reasons": list(passage.decision.reasons),
        "rule": passage.decision.rule,
        "credential": credential,
        "temperature": temperature,
    }


def _credential(verdict: Verdict) -> CredentialJson:
    signed = verdict.status in SIGNED
    return {
        "format": verdict.format,
        "status": verdict.status,
        "issuer": verdict.issuer if signed else None,
        "colour": verdict.colour if signed and verdict.colour is not None else None,
    }


def _temperature(temperature: Temperature) -> TemperatureJson:
    return {
        "outcome": temperature.outcome,
        "surface_c": _thousandths(temperature.surface_c),
        "estimate_c": _thousandths(temperature.estimate_c),
        "uncertainty_c": _thousandths(temperature.uncertainty_c),
        "threshold_c": _thousandths(temperature.threshold_c),
        "basis": temperature.basis,
        "ambient_c": _thousandths(temperature.ambient_c),
        "samples": temperature.samples,
        "reason": temperature.reason,
        "attempt": temperature.attempt,
        "next_step": temperature.next_step,
    }


def _thousandths(celsius: float | None) -> float | None:
    return None if celsius is None else round(celsius, 3)


def _rank(passage: Passage) -> int:
    watched = passage.verdict is not None and passage.verdict.watched
    is_case = passage.venue is not None and bool(passage.venue.case)
    refused = passage.decision.outcome is Outcome.REFUSE
    alarm = refused or watched or is_case or passage.temperature.outcome is Screening.ELEVATED
    return HIGH if alarm else NORMAL


def _sentence(passage: Passage) -> str:
    outcome = passage.decision.outcome.upper()
    case = f" – case {passage.venue.case}" if passage.venue is not None and passage.venue.case else ""
    return f"{passage.lane}: {outcome} – {_why(passage)}{case}"


def _why(passage: Passage) -> str:
    if passage.redacted is not None:
        return "details withheld"
    code = passage.verdict
    what = "no code" if code is None else f"{code.colour or ''} code {code.status}".strip()
    return f"{what}, {_celsius(passage.temperature)} – {', '.join(passage.decision.reasons)}"


def _celsius(temperature: Temperature) -> str:
    celsius = temperature.estimate_c if temperature.surface_c is None else temperature.surface_c
    if celsius is None:
        return str(temperature.outcome)
    return f"{celsius:.1f} ± {temperature.uncertainty_c:.1f} °C {temperature.outcome}"


def _details(passage: Passage) -> dict[str, Any]:
    code, temperature = passage.verdict, passage.temperature
    return {
        "reasons": passage.decision.reasons,
        "rule": passage.decision.rule,
        "credential": None if code is None else code.status,
        "colour": None if code is None else code.colour,
        "screening": temperature.outcome,
        "surface_c": temperature.surface_c,
        "uncertainty_c": temperature.uncertainty_c,
        "threshold_c": temperature.threshold_c,
        "basis": temperature.basis,
    }


def _fields(passage: Passage) -> dict[str, Any]:
    return {
        "lane": passage.lane,
        "direction": passage.direction,
        "decision": passage.decision.outcome,
        "gate_opened": passage.gate_opened,
        **(_details(passage) if passage.redacted is None else {}),
        "duration_ms": round(1000 * (passage.decided_s - passage.began_s)),
        "simulated": passage.simulated,
    }


KIND = EventKind(bodies=(Passage,), shape=PassageJson, data=_data, rank=_rank, sentence=_sentence, fields=_fields)
