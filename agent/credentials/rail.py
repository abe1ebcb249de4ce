"""What all rail tickets of UIC have in common: their keys, their lists of blocked ones, their verdict. Pure.

A key is pinned under its issuer's number and its own, as `1080/2`: what `gatepost keys import --from uic` writes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.credentials import blocking, validity
from agent.credentials.trust import TrustedKey, find_signer
from agent.crypto import digest, signing
from agent.model import CodeStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.credentials.fcb import RailContent
    from agent.credentials.trust import TrustStore
    from agent.model import TimeBounds, Verdict

FORMAT = "uic"
"""What keys are pinned for, whichever of the three forms they sign."""


def key_name(issuer: str, key: str) -> bytes:
    """Under what a key is pinned: both without the zeros that some tickets put before them."""
    return f"{issuer.lstrip('0') or '0'}/{key.lstrip('0') or '0'}".encode()


def signer(trust: TrustStore, name: bytes, signature: tuple[int, int], signed: bytes) -> TrustedKey:
    """The pinned key whose signature (r, s) it is. Raises CheckFailed."""

    def has_signed(key: TrustedKey) -> bool:
        algorithm = key.algorithm or key.public.algorithm
        return algorithm is not None and verify(key.public, signature, signed, algorithm)

    missing = f"its key {_readable(name)} is not pinned here"
    return find_signer(trust.pinned(FORMAT, name), has_signed, missing)


def verify(key: signing.PublicKey, signature: tuple[int, int], signed: bytes, algorithm: int) -> bool:
    """Whether r and s are a signature of the key."""
    try:
        raw = b"".join(number.to_bytes(key.half) for number in signature)
    except OverflowError:
        return False
    return key.verify(raw, signed, algorithm)


def ticket_key(issuer: str, reference: str) -> bytes:
    """Key of a ticket in lists of blocked ones, by what its issuer calls it."""
    return digest.of_subject(FORMAT, issuer.lstrip("0"), reference)


def verdict(
    code_format: str,
    key: TrustedKey,
    issuer: str,
    content: RailContent,
    trust: TrustStore,
    now: TimeBounds,
    expires: float | None = None,
) -> Verdict:
    """Verdict on a ticket whose signature holds; `issuer`: its number; `expires`: the code's own end, POSIX
    seconds.
    """
    aliases = tuple(ticket_key(issuer, written) for written in _as_listed(content.references))
    found = validity.ticket_verdict(code_format, key, content.entitlement, now, expires=expires, aliases=aliases)
    if found.status is CodeStatus.VALID and content.doubt:
        found = replace(found, status=CodeStatus.UNDECIDED, reason=content.doubt)
    return blocking.demand_list(found, trust)


def _as_listed(references: Iterable[str]) -> list[str]:
    """How lists may write them, too: in capitals or small letters, without what separates them, without the zeros
    that a spreadsheet takes off.
    """
    written = [way for each in references for way in (each, each.upper(), each.lower())]
    written += ["".join(filter(str.isalnum, each)) for each in written]
    return list(dict.fromkeys([*written, *(each.lstrip("0") for each in written)]))


def _readable(name: bytes) -> str:
    """A key's name where it is plain; nothing of a code's text else."""
    text = name.decode("ascii", "replace")
    return text if len(text) <= 12 and text.replace("/", "").isalnum() else "(unnamed)"  # noqa: PLR2004 - 5 + 1 + 5
