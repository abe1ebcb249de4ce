"""Redaction of events: everything personal is removed or sealed before an event is stored. Pure.

What is sealed is JSON, padded with spaces to 256, 512, 1024 … bytes, so that its length tells little.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent import events
from agent.events.kinds import name_of
from agent.events.kinds.passage import health
from agent.model import (
    AttestationRecord,
    Decision,
    Event,
    Passage,
    Redacted,
    Report,
    Screening,
    Sealed,
    Temperature,
)
from agent.privacy import hpke
from agent.privacy.rules import Mode, PrivacyRules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.model import TimeBounds

SMALLEST_BYTES = 256
MOST_BYTES = 1 << 15
"""Of all codes of one passage: what is longer is no code, and must not fill the card."""
_BOUND_AS = "gatepost-sealed-1"
_WHY = ("travel", "override", "open")
"""What staff state or do at a lane whose value says of who stands there why he was let in, or was not."""
_BLANK = {"case": "", "value": "withheld"}
"""In place of that."""


class Redaction:
    """Events as they may be stored, by the rules of the moment."""

    def __init__(self, source: str, rules: Callable[[TimeBounds], PrivacyRules]) -> None:
        """`source`: of the events, what is sealed is bound to it."""
        self._source, self._rules = source, rules

    def __call__(self, event: Event) -> Event:
        """`event`, with nothing personal that can be read."""
        rules = self._rules(event.now)
        if isinstance(event.body, AttestationRecord | Report):
            return self._of_venue(event, rules)
        if rules.mode is Mode.VERIFY_ONLY:
            return anonymous(event) if rules.details else without_details(event)
        key = rules.key_at(event.now)
        withheld = without_details(event)
        if key is None or not isinstance(event.body, Passage):
            return withheld
        bound = header(self._source, key.keyid, events.data(withheld))
        enc, ct = hpke.seal(_padded(_content(event.body)), key.public, bound)
        return without_details(event, Sealed(key.keyid, enc, ct))

    def _of_venue(self, event: Event, rules: PrivacyRules) -> Event:
        """Private answers and roster numbers, and what is withheld: sealed where there is a key, else dropped."""
        is_told = rules.mode is Mode.VERIFY_ONLY and rules.details
        bare = anonymous(event) if is_told else without_details(event)
        key = rules.key_at(event.now)
        content = _private_content(event.body)
        if key is None or content is None or isinstance(bare.body, Passage):
            return bare
        bound = venue_header(self._source, key.keyid, name_of(event.body), events.data(bare))
        enc, ct = hpke.seal(_padded(content), key.public, bound)
        body: Any = bare.body
        return replace(bare, body=replace(body, sealed=Sealed(key.keyid, enc, ct)))


def _private_content(body: object) -> bytes | None:
    """What is sealed in `trace`."""
    match body:
        case AttestationRecord() as stated:
            private = {"private": dict(stated.private)} if stated.private else {}
            content = private | _why(stated)
            return _to_json(content) if content else None
        case Report(absent_numbers=numbers) if numbers:
            return _to_json({"absent_numbers": list(numbers)})
    return None


def _why(stated: AttestationRecord) -> dict[str, str]:
    """What staff's word about who stands at a lane tells of him."""
    if not stated.lane:
        return {}
    told = {"case": stated.case, "value": stated.value if stated.type in _WHY else ""}
    return {name: each for name, each in told.items() if each}


def anonymous(event: Event) -> Event:
    """`event` without who it was."""
    passage = event.body
    if not isinstance(passage, Passage):
        return _without_private(event)
    verdict = passage.verdict
    if verdict is not None:
        verdict = replace(verdict, subject=b"", code=b"", reason="", aliases=(), permit=None)
    return replace(event, body=replace(passage, payloads=(), verdict=verdict))


def without_details(event: Event, sealed: Sealed | None = None) -> Event:
    """`event` without who it was and how ill; that may be `sealed`."""
    passage = event.body
    if isinstance(passage, AttestationRecord):
        blank: dict[str, Any] = {name: _BLANK[name] for name in _why(passage)}
        return replace(event, body=replace(passage, private={}, **blank))
    if not isinstance(passage, Passage):
        return _without_private(event)
    verdict, temperature = passage.verdict, passage.temperature
    return replace(
        event,
        body=replace(
            passage,
            payloads=(),
            venue=None if passage.venue is None else replace(passage.venue, case=""),
            verdict=None,
            decision=Decision(passage.decision.outcome, ()),
            temperature=Temperature(
                Screening.INDETERMINATE,
                samples=temperature.samples,
                threshold_c=temperature.threshold_c,
                basis=temperature.basis,
                ambient_c=temperature.ambient_c,
            ),
            redacted=Redacted(None if verdict is None else verdict.format, sealed),
        ),
    )


def _without_private(event: Event) -> Event:
    """Answers that were to be sealed, and roster numbers, taken off."""
    match event.body:
        case AttestationRecord() as stated:
            return replace(event, body=replace(stated, private={}))
        case Report() as report:
            return replace(event, body=replace(report, absent_numbers=()))
    return event


def venue_header(source: str, keyid: str, kind: str, data: Mapping[str, Any]) -> bytes:
    """The same for attestations and reports: what the sealed part is bound to."""
    clock = data["clock"]
    names = ("type", "lane", "case", "form", "name", "day")
    return _to_json(
        [
            _BOUND_AS,
            source,
            keyid,
            clock["boot_id"],
            clock["boottime_ms"],
            kind,
            *(data.get(name) for name in names),
        ]
    )


def header(source: str, keyid: str, data: Mapping[str, Any]) -> bytes:
    """The clear members that a sealed part is bound to, as `info` of HPKE: a JSON array without spaces."""
    clock, credential = data["clock"], data["credential"]
    members = [
        *(_BOUND_AS, source, keyid, clock["boot_id"], clock["boottime_ms"]),
        *(data["lane"], data["direction"], data["decision"], data["gate_opened"]),
        *(None if credential is None else credential["format"], data["duration_ms"], data["simulated"]),
    ]
    return _to_json(members)


def opened(message: Mapping[str, Any], private: hpke.PrivateKey) -> dict[str, Any]:
    """The event as it would be without withholding, and `payloads` in its data. Raises UnsealError."""
    try:
        return _opened(message, private)
    except hpke.UnsealError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise hpke.UnsealError("its sealed part is damaged") from None


def _opened(message: Mapping[str, Any], private: hpke.PrivateKey) -> dict[str, Any]:
    data = message["data"]
    part = data.get("sealed")
    if part is None:
        raise hpke.UnsealError("nothing is sealed in it")
    sealed = Sealed(part["keyid"], b64decode(part["enc"]), b64decode(part["ct"]))
    kind = str(message.get("type", "")).removeprefix("gatepost.").partition(".")[0]
    is_venue = kind in ("attestation", "report")
    bound = (
        venue_header(message["source"], sealed.keyid, kind, data)
        if is_venue
        else header(message["source"], sealed.keyid, data)
    )
    content = json.loads(hpke.unseal(sealed, private, bound))
    return {**message, "data": {**data, **content}}


def _content(passage: Passage) -> bytes:
    room, kept = MOST_BYTES, []
    for code in passage.payloads:
        if len(code) <= room:
            room -= len(code)
            kept.append(b64encode(code).decode())
    said = health(passage)
    case = {"case": passage.venue.case} if passage.venue is not None and passage.venue.case else {}
    return _to_json({"payloads": kept, "payloads_omitted": len(passage.payloads) - len(kept), **said, **case})


def _padded(content: bytes) -> bytes:
    return content.ljust(max(SMALLEST_BYTES, 1 << (len(content) - 1).bit_length()))


def _to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
