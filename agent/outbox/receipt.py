"""A receipt: which events the central server has. Pure.

What it has signed:

| member | meaning |
|---|---|
| source | the kiosk's, as in its events: nobody can confirm with another kiosk's receipt |
| epoch | as in the events |
| up_to | the central server wants no event up to this sequence any more; 0 for none |
| sha256 | SHA-256 (hex) of the payload of `up_to`, as it came |
| ranges | optional: `[{"first", "last", "sha256"}]`, ranges beyond, each with the hash of its last |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 1 << 17
"""Of an envelope: more than all ranges need; it is read on the thread that carries the events."""
MAX_RANGES = 256
MAX_SEQUENCE = 1 << 40
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ConfirmedRange:
    """A range of sequences that the central server wants no more."""

    first: int
    last: int
    sha256: str
    """SHA-256 (hex) of the payload of `last`: only who has our chain knows it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the central server says to have of one epoch of this kiosk."""

    epoch: str
    ranges: tuple[ConfirmedRange, ...]


class BadReceipt(ValueError):
    """A receipt that changes nothing; `str()` is what is wrong with it."""


def parse(members: Mapping[str, Any], own_source: str) -> Receipt:
    """The receipt that these signed members are. Raises BadReceipt."""
    match members:
        case {"source": str(source), "epoch": str(epoch), "up_to": int(up_to), "sha256": str(sha256)}:
            ranges = members.get("ranges", [])
        case _:
            raise BadReceipt("its members are not those of a receipt")
    if source != own_source:
        raise BadReceipt("it is for another kiosk")
    if not isinstance(ranges, list) or len(ranges) > MAX_RANGES:
        raise BadReceipt(f"`ranges` is no list of at most {MAX_RANGES} ranges")
    whole = [_range({"first": 1, "last": up_to, "sha256": sha256})] if up_to else []
    return Receipt(epoch, (*whole, *map(_range, ranges)))


def _range(part: object) -> ConfirmedRange:
    match part:
        case {"first": int(first), "last": int(last), "sha256": str(sha256)} if (
            1 <= first <= last < MAX_SEQUENCE and _SHA256.fullmatch(sha256)
        ):
            return ConfirmedRange(first, last, sha256)
    raise BadReceipt("a range is not one of sequences with the hash of its last")
