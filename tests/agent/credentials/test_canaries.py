"""No name, birth date, picture or document number beyond the decision: in event, log, disk or memory of a kiosk."""

from __future__ import annotations

import functools
import gc
import logging
import sys
import types
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import rail_tickets as rails
import test_aadhaar
import test_claim169
import test_listed
import vectors_today as vectors

from agent import screening
from agent.cli.demo.ticket_day import Evening, TicketKiosk
from agent.credentials.trust import TrustStore, parse_trust_store
from agent.model import LaneTickets, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PHOTO = b"CANARY-PICTURE" * 20
CODES: dict[str, tuple[Callable[[], bytes], tuple[bytes, ...]]] = {
    "identity of many states": (
        lambda: test_claim169.issue({1: "DOC-4711", 4: "Ana Canary", 8: "19900201", 62: PHOTO}),
        (b"DOC-4711", b"Ana Canary", b"19900201", b"CANARY-PICTURE"),
    ),
    "identity of India": (
        lambda: test_aadhaar.issue(test_aadhaar.content(photo=PHOTO)),
        (b"Ana Canary", b"01-02-1990", b"1990-02-01", b"CANARY-PICTURE", b"123420260101"),
    ),
    "a train ticket": (lambda: vectors.UIC_TICKET, (b"Karsten", b"CN0CTUMY", b"D260V48G")),
    "a ticket of our own": (
        lambda: rails.static(
            rails.records(rails.ticket(rails.open_ticket(reference=881_123_457)), order=b"ORDER-CANARY")
        ),
        (b"881123457", b"ORDER-CANARY"),
    ),
    "a boarding pass": (lambda: test_listed.PASS, (b"DESMARAIS", b"ABC123 YUL")),
    "a licence": (lambda: test_listed.LICENCE, (b"CANARY", b"SECRET STREET", b"02011990", b"DAQD1234567")),
}
"""What makes a code, and what it must not leave behind."""
PLACES = frozenset({"issuer/1080/8000244", "uic/8000105", "airport/YUL"})


@functools.cache
def trust() -> TrustStore:
    return parse_trust_store(
        key
        for store in (test_claim169.OWN, test_aadhaar.trust(), vectors.rail_trust(), rails.trust())
        for keys in store.keys.values()
        for key in keys
    )


@pytest.mark.parametrize("name", CODES)
def test_nothing_of_whom_it_is_stays(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make, canaries = CODES[name]
    code = make()
    caplog.set_level(logging.DEBUG)
    evening = Evening(tmp_path)
    evening.codes, evening.trust, evening.keys = {}, trust(), TrustStore()
    evening.utc = datetime(2026, 10, 3, 12, tzinfo=UTC).timestamp()
    kiosk = TicketKiosk("gate", "platform", LaneTickets(PLACES), evening)
    passage, opened = kiosk.show(code)
    assert passage.decision.outcome in {Outcome.REFER, Outcome.REFUSE}
    assert not opened
    kiosk.wait(screening.Options().clinical_timeout_s + 1)  # so long staff may come with an instrument of their own
    said = repr(passage) + repr(passage.verdict) + caplog.text + "".join(evening.events)
    del passage
    for store in evening.stores:
        store.close()
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*"))
    assert not [word for word in canaries if word in said.encode() or word in stored]
    gc.collect()
    words = (*canaries, code[:40])
    remembered = [held for held in _held_by(evening, kiosk) if any(word in held for word in words)]
    assert not remembered


def test_the_search_finds_what_is_kept() -> None:
    store = {"deep": [types.SimpleNamespace(name="Ana Canary")]}
    assert any(b"Ana Canary" in held for held in _held_by(store))
    assert b"Ana Canary" in zlib.decompress(zlib.compress(b"Ana Canary"))


def _held_by(*roots: object) -> Iterator[bytes]:
    """All text that can be reached from these, and from every module of the agent."""
    modules = {name: vars(module) for name, module in list(sys.modules.items())}
    ours = [each for name, each in modules.items() if name.split(".")[0] == "agent"]
    seen = {id(each) for name, each in modules.items() if name.split(".")[0] != "agent"}
    waiting = [*roots, *ours]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, types.ModuleType | types.FrameType):
            continue
        seen.add(id(each))
        if isinstance(each, str):
            yield each.encode("utf-8", "surrogatepass")
        elif isinstance(each, bytes | bytearray):
            yield bytes(each)
        else:
            waiting.extend(gc.get_referents(each))
