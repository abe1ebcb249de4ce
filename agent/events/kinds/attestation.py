"""Events `attestation`: what staff, a sensor or the vehicle stated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

from agent.events.kinds import HIGH, NORMAL, EventKind, sealed_json
from agent.model import AttestationRecord

if TYPE_CHECKING:
    from agent.events.contract import ClockJson, SealedJson


class AttestationJson(TypedDict):
    """What staff, a sensor or the vehicle stated. It added a fact or a count, and decided nothing."""

    type: Annotated[
        str,
        "`mask`, `document`, `record`, `travel`, `feedback`, `absence`, `symptom`, `duty`, `count`, `form`, "
        "`badge`, `trip`; a staff action: `override`, `retest`, `remeasure`, `left`, `open`, `all_out`, `close`, "
        "`reopen`, `step`, `handover`, `login`, `login_closed`, `pair`, `paired`, `unpair`; more may be added",
    ]
    lane: Annotated[str, "empty where it concerns the venue"]
    case: Annotated[str, "five letters; empty when it concerns no case, and where details are withheld"]
    value: Annotated[str, "`withheld` where it is about a person and details are withheld"]
    group: Annotated[str, "of the roster; empty for none"]
    form: Annotated[str, "name of the form that was filled in; empty for none"]
    answers: Annotated[
        dict[str, str],
        "clear choices of the form; of a staff action: `number` of the person, `second` person, …",
    ]
    by: Annotated[str | None, "badge of the person who stated or did it; null when nobody had signed on"]
    drill: Annotated[bool, "it belongs to an exercise"]
    sealed: NotRequired[
        Annotated[SealedJson | None, "private answers, and what is withheld; only the central server opens them"]
    ]
    simulated: bool
    clock: ClockJson


def _data(stated: AttestationRecord, clock: ClockJson) -> AttestationJson:
    message: AttestationJson = {
        "type": stated.type,
        "lane": stated.lane,
        "case": stated.case,
        "value": stated.value,
        "group": stated.group,
        "form": stated.form,
        "answers": dict(stated.answers),
        "by": stated.by or None,
        "drill": stated.drill,
        "simulated": stated.simulated,
        "clock": clock,
    }
    if stated.sealed is not None:
        message["sealed"] = sealed_json(stated.sealed)
    return message


def _sentence(stated: AttestationRecord) -> str:
    about = " ".join(filter(None, (stated.lane, stated.case and f"case {stated.case}", stated.group)))
    return f"{about or 'venue'}: staff state {stated.type} {stated.value or stated.form}"


def _fields(stated: AttestationRecord) -> dict[str, Any]:
    return {"type": stated.type, "lane": stated.lane, "case": stated.case}


KIND = EventKind(
    bodies=(AttestationRecord,),
    shape=AttestationJson,
    data=_data,
    rank=lambda stated: HIGH if stated.case else NORMAL,
    sentence=_sentence,
    fields=_fields,
)
