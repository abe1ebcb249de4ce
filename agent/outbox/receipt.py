"""A receipt: which events the centre says to have. Pure.

What it has signed:

| member | meaning |
|---|---|
| source | the kiosk's, as in its events: nobody can confirm with another kiosk's receipt |
| epoch | as in the events |
| through | the centre wants no event up to this sequence any more; 0 for none |
| head | SHA-256 (hex) of the payload of `through`, as it came |
| also | optional: `[{"first", "last", "head"}]`, ranges beyond, each with the hash of its last |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 1 << 17
"""Of an envelope: more than all ranges need; it is read on the thread that carries the events."""
MAX_RANGES = 256
MAX_SEQUENCE = 1 << 40
_HEAD = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ConfirmedRange:
    """A range of sequences that the centre wants no more."""

    first: int
    last: int
    head: str
    """SHA-256 (hex) of the payload of `last`: only who has our chain knows it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the centre says to have of one epoch of this kiosk."""

    epoch: str
    ranges: tuple[ConfirmedRange, ...]


class BadReceipt(ValueError):
    """A receipt that changes nothing; `str()` is what is wrong with it."""


def parse(members: Mapping[str, Any], own_source: str) -> Receipt:
    """The receipt that these signed members are. Raises BadReceipt."""
    match members:
        case {"source": str(source), "epoch": str(epoch), "through": int(through), "head": str(head)}:
            also = members.get("also", [])
        case _:
            raise BadReceipt("its members are not those of a receipt")
    if source != own_source:
        raise BadReceipt("it is for another kiosk")
    if not isinstance(also, list) or len(also) > MAX_RANGES:
        raise BadReceipt(f"`also` is no list of at most {MAX_RANGES} ranges")
    ranges = [_range({"first": 1, "last": through, "head": head})] if through else []
    return Receipt(epoch, (*ranges, *map(_range, also)))


def _range(part: object) -> ConfirmedRange:
    match part:
        case {"first": int(first), "last": int(last), "head": str(head)} if (
            1 <= first <= last < MAX_SEQUENCE and _HEAD.fullmatch(head)
        ):
            return ConfirmedRange(first, last, head)
    raise BadReceipt("a range is not one of sequences with the hash of its last")
