"""Permits (凭证): why somebody may be here. A roster of many, or one that is shown as a signed code. Pure.

A roster bundle's content is JSON:

    {"kinds": [{"role": "pupil", "place": "",
                "windows": [{"weekdays": [1, 2, 3, 4, 5], "from": "06:30", "until": "22:00"}],
                "uses": 0, "party": 1, "tests": 0}],
     "groups": ["class-1-1", "class-1-2"],
     "permits": base64 of zlib of 13 bytes each: key (8), kind (1), group (2), number (2)}

The key is the first 8 bytes of what stands for the holder of a code; the rows are in the order of their keys, so a
lookup is a binary search in one block of bytes. 50,000 permits are 650 kB, and fit into one bundle.
"""

from __future__ import annotations

import math
import re
import zlib
from base64 import b64decode, b64encode
from bisect import bisect_left
from collections import Counter
from dataclasses import field
from typing import TYPE_CHECKING, Any

from agent.model import Permit, PermitKind, PermitState, Window
from agent.model.lazy import dataclass
from agent.venue.entries import ROLES, tag16

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.model import TimeBounds

KEY_BYTES, ROW_BYTES = 8, 13
MOST_PERMITS = 60_000
DAY_S = 86_400
_MOST_UTC = 1 << 37
_NAME = re.compile(r"[^\s/+#$\x00-\x1f]{1,32}")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_DIGITS_OF_DAYS = re.compile(r"[1-7]{1,7}")
_ALL_DAYS = (1, 2, 3, 4, 5, 6, 7)


class BadRoster(ValueError):
    """A roster that cannot be used; `str()` is one sentence."""


def window_state(window: Window, now: TimeBounds, offset_s: int) -> PermitState:  # noqa: PLR0911 - in order
    """VALID if it holds for certain; EARLY if it is still to come, also later today; else LATE."""
    if window == Window():
        return PermitState.VALID  # needs no clock
    if now.earliest_utc < window.from_utc:
        return PermitState.EARLY
    if math.isinf(now.latest_utc):
        return PermitState.EARLY  # without a clock no window opens
    if now.latest_utc > window.until_utc:
        return PermitState.LATE
    early, late = now.earliest_utc + offset_s, now.latest_utc + offset_s
    day = int(early // DAY_S)
    if day != int(late // DAY_S) or (day + 3) % 7 + 1 not in window.weekdays:
        return PermitState.EARLY
    if early % DAY_S < window.from_min * 60:
        return PermitState.EARLY
    return PermitState.VALID if late % DAY_S < window.until_min * 60 else PermitState.LATE


def permit_state(
    permit: Permit, now: TimeBounds, offset_s: int, places: Sequence[str], used: int = 0
) -> PermitState:
    """What it is worth at one of `places` after it was `used` so often today."""
    kind = permit.kind
    if kind.place and kind.place not in places:
        return PermitState.ELSEWHERE
    if kind.windows:
        states = {window_state(window, now, offset_s) for window in kind.windows}
        if PermitState.VALID not in states:
            return PermitState.EARLY if PermitState.EARLY in states else PermitState.LATE
    return PermitState.USED if kind.uses and used >= kind.uses else PermitState.VALID


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody who belongs to a venue. Rows are sorted by key."""

    rows: bytes = field(default=b"", repr=False)
    kinds: tuple[PermitKind, ...] = ()
    groups: tuple[str, ...] = ()
    issued_utc: float = 0.0
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(Role, group) → how many."""

    def __len__(self) -> int:
        return len(self.rows) // ROW_BYTES

    def find(self, subject: bytes) -> Permit | None:
        """The permit of the person for whom `subject` (8 bytes or more) stands."""
        key = subject[:KEY_BYTES]
        if len(key) < KEY_BYTES:
            return None
        rows = self.rows
        at = bisect_left(range(len(self)), key, key=lambda row: rows[row * ROW_BYTES : row * ROW_BYTES + KEY_BYTES])
        start = at * ROW_BYTES
        return self._permit(start) if rows[start : start + KEY_BYTES] == key else None

    def _permit(self, start: int) -> Permit:
        row = self.rows[start : start + ROW_BYTES]
        group = int.from_bytes(row[9:11])
        return Permit(
            row[:8], self.kinds[row[8]], self.groups[group - 1] if group else "", int.from_bytes(row[11:13])
        )

    def expected(self, roles: Sequence[str]) -> dict[str, int]:
        """Group → how many of these roles (none: of all) are on the roster."""
        found: dict[str, int] = {}
        for (role, group), count in sorted(self.counts.items()):
            if not roles or role in roles:
                found[group] = found.get(group, 0) + count
        return found

    def numbers(self, roles: Sequence[str]) -> dict[int, str]:
        """Number → group of everybody of these roles (none: of all) who has one."""
        found = {}
        for start in range(0, len(self.rows), ROW_BYTES):
            number = int.from_bytes(self.rows[start + 11 : start + 13])
            if number:
                permit = self._permit(start)
                if not roles or permit.kind.role in roles:
                    found[number] = permit.group
        return found

    def group_of(self, number: int) -> str | None:
        """The group of a number; None when nobody has it."""
        for start in range(0, len(self.rows), ROW_BYTES):
            if int.from_bytes(self.rows[start + 11 : start + 13]) == number:
                return self._permit(start).group
        return None


def build_roster(permits: Iterable[Permit]) -> dict[str, Any]:
    """The content of a roster bundle. Raises BadRoster."""
    permits = sorted(permits, key=lambda permit: permit.key)
    kinds = list(dict.fromkeys(permit.kind for permit in permits))
    groups = list(dict.fromkeys(permit.group for permit in permits if permit.group))
    if len(kinds) > 256:  # noqa: PLR2004 - one byte
        raise BadRoster(f"there may be up to 256 kinds of permits (role, place, windows …), not {len(kinds)}")
    places = {group: number for number, group in enumerate(groups, 1)}
    rows = b"".join(
        permit.key
        + bytes((kinds.index(permit.kind),))
        + places.get(permit.group, 0).to_bytes(2)
        + permit.number.to_bytes(2)
        for permit in permits
    )
    content = {
        "kinds": [_kind_content(kind) for kind in kinds],
        "groups": groups,
        "permits": b64encode(zlib.compress(rows, 9)).decode(),
    }
    parse_roster(content)
    return content


def _kind_content(kind: PermitKind) -> dict[str, Any]:
    return {
        "role": kind.role,
        "place": kind.place,
        "windows": [_window_content(window) for window in kind.windows],
        "uses": kind.uses,
        "party": kind.party,
        "tests": kind.tests,
    }


def _format_window(window: Window) -> str:
    """For people: `from 09:00 until 12:00`."""
    return " ".join(f"{name} {value}" for name, value in _window_content(window).items()) or "at all times"


def _window_content(window: Window) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if window.from_utc:
        content["from_utc"] = int(window.from_utc)
    if window.until_utc != _MOST_UTC:
        content["until_utc"] = int(window.until_utc)
    if (window.from_min, window.until_min) != (0, 1440):
        content |= {"from": _clock(window.from_min), "until": _clock(window.until_min)}
    if window.weekdays != _ALL_DAYS:
        content["weekdays"] = list(window.weekdays)
    return content


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def parse_roster(content: object, issued_utc: float = 0.0) -> Roster:
    """The roster in a bundle. Raises BadRoster with one sentence."""
    match content:
        case {"kinds": list(kinds), "groups": list(groups), "permits": str(packed), **rest} if is_version(rest):
            pass
        case _:
            raise BadRoster("a roster has kinds, groups and permits, and nothing else")
    if not all(isinstance(group, str) and _NAME.fullmatch(group) for group in groups):
        raise BadRoster("a group is a name of 1 to 32 characters without space, / + # or $, for example class-1-2")
    if len({tag16(group) for group in groups}) < len(groups):
        twice = [name for name, count in Counter(tag16(group) for group in groups).items() if count > 1]
        names = [group for group in groups if tag16(group) in twice]
        raise BadRoster(f"groups {', '.join(names[:4])} cannot be told apart: give one of them another name")
    rows = _unpacked(packed)
    roster = Roster(rows, tuple(parse_kind(kind) for kind in kinds), tuple(groups), issued_utc)
    counts = _examined(roster)
    return Roster(rows, roster.kinds, roster.groups, issued_utc, counts)


def is_version(rest: Mapping[Any, object]) -> bool:
    """Whether nothing else stands there than, perhaps, a version."""
    version = rest.get("version", 1)
    return rest.keys() <= {"version"} and type(version) is int and version > 0


def _unpacked(packed: str) -> bytes:
    limit = MOST_PERMITS * ROW_BYTES
    try:
        stream = zlib.decompressobj()
        rows = stream.decompress(b64decode(packed, validate=True), limit + 1)
        whole = stream.eof and not stream.unused_data
    except (ValueError, zlib.error):
        raise BadRoster("its permits are not base64 of zlib data") from None
    if len(rows) > limit:
        raise BadRoster(f"a roster has up to {MOST_PERMITS} permits")
    if not whole or len(rows) % ROW_BYTES:
        raise BadRoster(f"its permits end within a row of {ROW_BYTES} bytes")
    return rows


def _examined(roster: Roster) -> dict[tuple[str, str], int]:
    """Rows in order, of known kinds and groups, no key and no number twice; how many by role and group."""
    rows, kinds, groups = roster.rows, len(roster.kinds), len(roster.groups)
    counts = Counter(rows[at + 8 : at + 11] for at in range(0, len(rows), ROW_BYTES))
    for mark in counts:
        if mark[0] >= kinds or int.from_bytes(mark[1:]) > groups:
            raise BadRoster("a permit is of a kind or group that the roster does not have")
    keys = [rows[at : at + KEY_BYTES] for at in range(0, len(rows), ROW_BYTES)]
    if any(map(bytes.__ge__, keys, keys[1:])):
        raise BadRoster("its permits are not in the order of their keys, or one person has two of them")
    numbers = Counter(rows[at + 11 : at + 13] for at in range(0, len(rows), ROW_BYTES))
    numbers.pop(b"\0\0", None)
    twice = [int.from_bytes(number) for number, count in numbers.most_common(1) if count > 1]
    if twice:
        raise BadRoster(f"two people have the number {twice[0]}: each number may stand once, or be 0 for none")
    found: dict[tuple[str, str], int] = {}
    for mark, count in counts.items():
        group = int.from_bytes(mark[1:])
        place = roster.kinds[mark[0]].role, roster.groups[group - 1] if group else ""
        found[place] = found.get(place, 0) + count
    return found


def parse_kind(content: object) -> PermitKind:
    """What many permits have in common, from its content. Raises BadRoster."""
    match content:
        case {"role": str(role), **rest} if role in ROLES[1:]:
            pass
        case _:
            raise BadRoster(f"a kind of permit has a role, one of {', '.join(ROLES[1:])}")
    if unknown := rest.keys() - {"place", "windows", "uses", "party", "tests"}:
        raise BadRoster(f"a kind of permit has no {min(map(str, unknown))!r}")
    numbers = {}
    for name, default, most in (("uses", 0, 100), ("party", 1, 100), ("tests", 0, 16)):
        value = rest.get(name, default)
        if type(value) is not int or not 0 <= value <= most:
            raise BadRoster(f"{name} is a whole number from 0 to {most}, not {value!r}")
        numbers[name] = value
    place, windows = rest.get("place", ""), rest.get("windows", [])
    if not isinstance(place, str) or not isinstance(windows, list):
        raise BadRoster("place is a name, and windows a list")
    return PermitKind(role, place, parse_windows(windows), **numbers)


def parse_windows(contents: Sequence[object]) -> tuple[Window, ...]:
    """Windows from their contents. Raises BadRoster for one that ends before it begins, and two that overlap."""
    windows = tuple(_window(content) for content in contents)
    for index, one in enumerate(windows):
        for other in windows[index + 1 :]:
            if (
                one.from_utc < other.until_utc
                and other.from_utc < one.until_utc
                and one.from_min < other.until_min
                and other.from_min < one.until_min
                and set(one.weekdays) & set(other.weekdays)
            ):
                raise BadRoster(
                    f"windows {_format_window(one)} and {_format_window(other)} overlap: end one before the next"
                )
    return windows


def parse_weekdays(text: str) -> list[int]:
    """Days as people type them, `12345`. Raises BadRoster for anything else: no day is left out without a word."""
    if not _DIGITS_OF_DAYS.fullmatch(text):
        raise BadRoster(f"weekdays are digits from 1 (Monday) to 7, for example 12345, not {text!r}")
    return [int(day) for day in text]


def _window(content: object) -> Window:
    if not isinstance(content, dict) or content.keys() - {"from_utc", "until_utc", "from", "until", "weekdays"}:
        raise BadRoster("a window has from_utc, until_utc, from, until and weekdays, any of them, and nothing else")
    from_utc, until_utc = content.get("from_utc", 0), content.get("until_utc", _MOST_UTC)
    days = content.get("weekdays", list(_ALL_DAYS))
    if not all(type(value) in (int, float) and 0 <= value <= _MOST_UTC for value in (from_utc, until_utc)):
        raise BadRoster("from_utc and until_utc are POSIX seconds, for example 1800000000")
    if not isinstance(days, list) or not days or not all(type(day) is int and 1 <= day <= 7 for day in days):  # noqa: PLR2004
        raise BadRoster(f"weekdays are some of 1 (Monday) to 7, not {days!r}")
    from_min, until_min = _minute(content.get("from", "00:00")), _minute(content.get("until", "24:00"))
    for name, starts, ends in (("", from_min, until_min), ("_utc", from_utc, until_utc)):
        if ends <= starts:
            first, last = content.get(f"from{name}", "00:00"), content.get(f"until{name}", "24:00")
            raise BadRoster(
                f"a window ends before it begins: until{name} ({last}) must be later than from{name} ({first}),"
                " for example from 09:00 until 12:00"
            )
    return Window(float(from_utc), float(until_utc), from_min, until_min, tuple(sorted(set(days))))


def _minute(value: object) -> int:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise BadRoster(f'from and until are local times from "00:00" to "24:00", not {value!r}')
    hours, minutes = value.split(":")
    return int(hours) * 60 + int(minutes)
