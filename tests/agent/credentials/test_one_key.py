"""One ticket has one key, however its text is changed: another text of it is that ticket, or no valid one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import rail_tickets as rails
import test_aadhaar
import test_claim169
import test_uic
import vectors_today as vectors

from agent import credentials
from agent.model import ClockState, CodeStatus, TimeBounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.credentials.trust import TrustStore


@dataclass(frozen=True)
class Shown:
    """A code that counts, and when."""

    code: bytes
    trust: TrustStore
    now: TimeBounds


def at(utc: float) -> TimeBounds:
    return TimeBounds(utc, utc, ClockState.SYNCED)


GERMAN_DAY = at(1_678_903_200.0)
CODES = {
    "pretix": Shown(vectors.PRETIX_VALID, vectors.pretix_trust(), GERMAN_DAY),
    "claim169": Shown(vectors.CLAIM169_ED25519, vectors.claim169_trust(), test_claim169.NOW),
    "claim169, ES256": Shown(vectors.CLAIM169_P256, vectors.claim169_trust(), test_claim169.NOW),
    "aadhaar": Shown(vectors.AADHAAR, test_aadhaar.PUBLISHED, test_aadhaar.NOW),
    "uic": Shown(vectors.UIC_TICKET, test_uic.with_list(test_uic.REAL, test_uic.TRAIN_DAY), test_uic.TRAIN_DAY),
    "uic, small": Shown(
        vectors.SSB_TICKET, test_uic.with_list(test_uic.REAL, test_uic.SMALL_DAY), test_uic.SMALL_DAY
    ),
    "uic, dynamic": Shown(test_uic.SHOWN, test_uic.with_list(test_uic.OURS, test_uic.NOW), test_uic.NOW),
    "uic, of our own": Shown(
        rails.static(rails.records(rails.ticket(rails.open_ticket(reference=7)))),
        test_uic.with_list(test_uic.OURS, test_uic.NOW),
        test_uic.NOW,
    ),
    "vdv": Shown(
        vectors.VDV_TICKET, test_uic.with_list(vectors.vdv_trust(), GERMAN_DAY, issuers=("vdv-ka",)), GERMAN_DAY
    ),
}
SYMBOLOGY_IDENTIFIERS = (b"]Q0", b"]Q1", b"]Q3", b"]z0", b"]L0", b"]d1")
PADDING = (b"\0", b"\0\0\0\0", b" ", b"\n", b"\r\n", b"\t", b"=", b"==", b"0", b"00", b"A", b"\x1d")
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    **{f"{more!r} after it": lambda code, more=more: code + more for more in PADDING},  # type: ignore[misc]
    **{f"{more!r} before it": lambda code, more=more: more + code for more in PADDING},  # type: ignore[misc]
    **{f"{name!r} before it": lambda code, name=name: name + code for name in SYMBOLOGY_IDENTIFIERS},  # type: ignore[misc]
    "lower case": bytes.lower,
    "upper case": bytes.upper,
    "case swapped": bytes.swapcase,
    "base64 of URLs": lambda code: code.replace(b"+", b"-").replace(b"/", b"_"),
    "in UTF-8": lambda code: code.decode("latin-1").encode(),
    "in UTF-16": lambda code: code.decode("latin-1").encode("utf-16"),
    "twice": lambda code: code + code,
    "one byte short": lambda code: code[:-1],
    "its first byte gone": lambda code: code[1:],
    "backwards": lambda code: code[::-1],
}


@pytest.mark.parametrize("name", CODES)
def test_another_text_is_the_same_ticket_or_none(name: str) -> None:
    shown = CODES[name]
    truth = credentials.check(shown.code, shown.trust, shown.now)
    assert truth.status in {CodeStatus.VALID, CodeStatus.TIME_UNKNOWN}
    for what, change in CHANGES.items():
        found = credentials.check(change(shown.code), shown.trust, shown.now)
        if found.status is truth.status:
            assert (found.code, found.entitlement) == (truth.code, truth.entitlement), what
        assert found.status in {truth.status, CodeStatus.MALFORMED, CodeStatus.BAD_SIGNATURE,
                                CodeStatus.UNRECOGNISED, CodeStatus.UNKNOWN_ISSUER}, what  # fmt: skip


def test_keys_of_two_formats_never_meet() -> None:
    keys = [credentials.check(shown.code, shown.trust, shown.now).code for shown in CODES.values()]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 16 for key in keys)
