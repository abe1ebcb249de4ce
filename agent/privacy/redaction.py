"""What an event may keep of a person: everything personal is taken off or sealed before it is stored. Pure.

What is sealed is JSON, padded with spaces to 256, 512, 1024 … bytes, so that its length tells little.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent import events
from agent.model import Decision, Event, Passage, Redacted, Screening, Sealed, Temperature
from agent.privacy import hpke
from agent.privacy.rules import Mode, PrivacyRules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.model import TimeBounds

SMALLEST_BYTES = 256
MOST_BYTES = 1 << 15
"""Of all codes of one passage: what is longer is no code, and must not fill the card."""
_BOUND_AS = "gatepost-sealed-1"


class Redaction:
    """Events as they may be stored, by the rules of the moment."""

    def __init__(self, source: str, rules: Callable[[TimeBounds], PrivacyRules]) -> None:
        """`source`: of the events, what is sealed is bound to it."""
        self._source, self._rules = source, rules

    def __call__(self, event: Event) -> Event:
        """`event`, with nothing personal that can be read."""
        rules = self._rules(event.now)
        if rules.mode is Mode.VERIFY_ONLY:
            return anonymous(event) if rules.details else without_details(event)
        key = rules.key_at(event.now)
        withheld = without_details(event)
        if key is None or not isinstance(event.body, Passage):
            return withheld
        bound = header(self._source, key.keyid, events.data(withheld))
        enc, ct = hpke.seal(_padded(_content(event.body)), key.public, bound)
        return without_details(event, Sealed(key.keyid, enc, ct))


def anonymous(event: Event) -> Event:
    """`event` without who it was."""
    passage = event.body
    if not isinstance(passage, Passage):
        return event
    verdict = passage.verdict
    if verdict is not None:
        verdict = replace(verdict, subject=b"", code=b"", reason="")
    return replace(event, body=replace(passage, payloads=(), verdict=verdict))


def without_details(event: Event, sealed: Sealed | None = None) -> Event:
    """`event` without who it was and how ill; that may be `sealed`."""
    passage = event.body
    if not isinstance(passage, Passage):
        return event
    verdict, temperature = passage.verdict, passage.temperature
    return replace(
        event,
        body=replace(
            passage,
            payloads=(),
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
    data = message["data"]
    part = data.get("sealed")
    if part is None:
        raise hpke.UnsealError("nothing is sealed in it")
    sealed = Sealed(part["keyid"], b64decode(part["enc"]), b64decode(part["ct"]))
    content = json.loads(hpke.unseal(sealed, private, header(message["source"], sealed.keyid, data)))
    return {**message, "data": {**data, **content}}


def _content(passage: Passage) -> bytes:
    room, kept = MOST_BYTES, []
    for code in passage.payloads:
        if len(code) <= room:
            room -= len(code)
            kept.append(b64encode(code).decode())
    said = events.health(passage)
    return _to_json({"payloads": kept, "payloads_omitted": len(passage.payloads) - len(kept), **said})


def _padded(content: bytes) -> bytes:
    return content.ljust(max(SMALLEST_BYTES, 1 << (len(content) - 1).bit_length()))


def _to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
