"""Ledger entries: what happened at a venue, 18 bytes each. Pure.

| bytes | field | meaning |
|---|---|---|
| 4 | at | tenths of a second since boot; negative: before this boot, in a ledger that was compacted |
| 1 | lane | index of the lane in the configuration, from 0; `NO_LANE` |
| 1 | what | see `What` |
| 1 | role | index in `ROLES` |
| 1 | value | by `what`: decision, case kind, feedback, symptom … |
| 2 | group | `tag16` of a roster group; 0: none |
| 4 | number | by `what`: roster number, head count, day, POSIX seconds |
| 4 | case | by `what`: id of a case, `tag` of a round or duty, `permit_tag` |

No entry names anybody. Roster numbers are written only where the signed privacy rules say `remember = "day"`.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable

LAYOUT = struct.Struct("<iBBBBHII")
SIZE = LAYOUT.size
NO_LANE = 255
LATEST = (1 << 31) - 1
"""Tenths of a second since boot; they stay so after 6.8 years."""

ROLES = (
    "", "resident", "staff", "pupil", "visitor", "patient", "escort", "driver", "passenger", "delivery", "guard",
    "inspector", "unknown",
)  # fmt: skip
DECISIONS = ("", "admit", "admit_with_notice", "refer", "refuse")
CASE_KINDS = ("", "watch_hit", "red", "fever", "positive", "zone_locked")
FEEDBACK = ("", "cleared", "sent_home", "isolated", "fever_clinic", "handed_over")
SYMPTOMS = ("", "fever", "cough", "rash", "diarrhoea", "vomiting", "red_eyes", "swollen_cheeks", "other")
ABSENCES = ("", "ill", "leave", "travel", "quarantine", "other")
FOR_GOOD = 0xFFFF_FFFF
"""Until it is opened again."""
MEASURED, UNMEASURED, MEASURED_LATER = range(3)
"""Of somebody in a round: measured; referred or refused before a measurement; measured after that."""
CARRIED_EXACT = 1
CARRIED_INEXACT = 2
CARRIED = (CARRIED_EXACT, CARRIED_INEXACT)
AFTER_POWER_CUT = 3
"""Values of a count that staff did not make."""
PERMITS_FOLLOW = 1
"""Value of a closing."""
DRILL = 0x80
"""Added to the value of a case that a drill code opened."""


class What(IntEnum):
    """What an entry records."""

    BOOT = 1
    """The kiosk was started; `at` counts from here on again."""
    CLOCK = 2
    """`number`: POSIX seconds at `at`, a lower bound; `value`: tenths of a second beyond."""
    ALIVE = 3
    """Nothing happened: the kiosk has power."""
    IN = 4
    OUT = 5
    DECIDED = 6
    """`value`: in DECISIONS, `role`."""
    CHECKED = 7
    """A roster member was here in a round: `case` is the round's tag, `group`, `number` where allowed; `value` is
    `MEASURED`, `UNMEASURED` or `MEASURED_LATER`."""
    CASE = 8
    """A case was opened: `case` is its id, `value` in CASE_KINDS (+ DRILL), `number`: since when, if not `at`."""
    ANSWERED = 9
    """Feedback closed a case: `case`, `value` in FEEDBACK."""
    COUNT = 10
    """`number` people are inside, as staff counted; `value` 1, 2: carried over, exact or not; 3: after a power cut,
    with those whose entries it may have taken; `group`: so many may have come."""
    CLOSED = 11
    """Closing time: all who came before it count as having gone; `number`: how many are left less those who came
    since. `value` 1: also those with permits; who came with one since stands in the entries that follow."""
    REPORTED = 12
    """A round (`case`: its tag) or the day (`case` 0) `number` was reported."""
    DUTY = 13
    """A duty was done; `case`: its tag, `number`: when, if not `at`."""
    ABSENT = 14
    """`number` is absent; `value` in ABSENCES, `group`; `case`: the reason that was stated before, and counts no
    more."""
    SYMPTOM = 15
    """`value` in SYMPTOMS, `group`."""
    DOWN = 16
    """A part failed; `value`: its index among the parts of the lane."""
    UP = 17
    ONLINE = 18
    OFFLINE = 19
    DAMAGED = 20
    """Entries before this one were lost."""
    SINCE = 21
    """`number`: POSIX seconds since which this ledger is kept, or the rules have the round with tag `case`;
    `value` 1: a day was reported without a date."""
    GAVE = 22
    """`number` places were given to the peer with tag `case`, in all."""
    TOTAL = 23
    """Carried over: `number` came (`value` 1) or left (2) in all."""
    TRIP = 24
    """A trip began (`value` 1) or ended (0); `case` is its id, `number`: since when, if not `at`."""
    SHUT = 25
    """A lane, or with `NO_LANE` all, is shut to those who come in until `number` (POSIX seconds, `FOR_GOOD`); 0:
    open again."""
    PERMIT = 26
    """A permit that counts its uses or its party: `case` is its `permit_tag`; somebody came in with it (`value` 1)
    or left (2); 0: carried over, `number` are inside with it."""
    MAY_HAVE_COME = 27
    """`number` may have come on this day, in boots without the time; `case`: with this permit; 0: in all."""


class Entry(NamedTuple):
    """One line of the ledger."""

    at: int
    lane: int
    what: int
    role: int = 0
    value: int = 0
    group: int = 0
    number: int = 0
    case: int = 0


def pack(entries: Iterable[Entry]) -> bytes:
    """The bytes of some entries."""
    return b"".join(LAYOUT.pack(*entry) for entry in entries)


def unpack(data: bytes) -> list[Entry]:
    """The entries in some bytes; a piece at the end that is no whole entry is passed over."""
    whole = len(data) - len(data) % SIZE
    return [Entry._make(fields) for fields in LAYOUT.iter_unpack(memoryview(data)[:whole])]


def signed(number: int) -> int:
    """A head count: of one kiosk of several it may be below zero."""
    return number - (1 << 32) if number & 0x8000_0000 else number


def unsigned(number: int) -> int:
    """The same as an entry has it."""
    return number & 0xFFFF_FFFF


def tenths(at_s: float) -> int:
    """Seconds since boot as an entry has them. After 6.8 years it stays the same; clock entries set it right."""
    return min(round(at_s * 10), LATEST)


def tag(name: str) -> int:
    """What stands for a name of a round, a duty or a kiosk: 1 or more, and stable when the list changes."""
    return crc32(name.encode()) or 1


def permit_tag(key: bytes) -> int:
    """What stands for a permit. Two may have one: then the uses of both are counted together."""
    return crc32(key)


def tag16(name: str) -> int:
    """The same for a group, in two bytes; 0 for no group."""
    return (crc32(name.encode()) & 0xFFFF or 1) if name else 0


CLOSING = tag("closing time")
"""Under which closing time is reported."""
