"""How a venue is run: `venue.toml`, read and checked. Pure.

name = "first-school"
utc_offset_min = 480
register = true                      # who is on no roster is referred until a record is made
permits = "required"                 # or "none": whether people without a permit are referred
mask = "object"                      # "none"; "object": guards object; "confirm": guards confirm each
tests_from = "sampled"               # or "reported": what the age of a test is counted from
room = {capacity = 800, busy = 0.8, daily = 5000, closes = "21:00", share = 0.75, kiosks = ["gate-1", "gate-2"]}
round = [{name = "morning", from = "07:00", until = "08:30", roles = ["pupil"], weekdays = [1, 2, 3, 4, 5]}]
duty = [{name = "disinfect", every_h = 4}]
case = {answer_min = 10, cluster = 3}
badges = ["G01", "G07"]              # who may sign on; left out: any number of a badge
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import field
from typing import TYPE_CHECKING, Any

from agent.model.lazy import dataclass
from agent.venue.entries import ROLES, tag

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY_S = 86_400
MASKS, PERMITS, TESTS_FROM = ("none", "object", "confirm"), ("none", "required"), ("sampled", "reported")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
BADGE = re.compile(r"[A-Za-z0-9]{1,16}")
"""The number of a badge."""
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_MOST_PLACES = 1_000_000
_MOST_VERSION = (1 << 53) - 1
_MOST_ROUNDS = 24


class BadVenue(ValueError):
    """A venue file that cannot be used; `faults` has one sentence for each fault."""

    def __init__(self, name: str, faults: list[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{name}: " + "; ".join(faults))


@dataclass(frozen=True, slots=True)
class RoomRules:
    """How many may be inside."""

    capacity: int = 0
    """0: there is no limit."""
    busy: float = 0.8
    """From this part of the capacity on, the room counts as busy."""
    daily: int = 0
    """How many may come in one day; 0: no limit."""
    closes_min: int | None = None
    """Minutes after local midnight; then all who are left count as having gone."""
    share: float = 1.0
    """Part of the capacity that the kiosks hand out between them; the rest is a reserve."""
    kiosks: tuple[str, ...] = ()
    """All kiosks that share the places, this one among them; none: it is alone."""


@dataclass(frozen=True, slots=True)
class Round:
    """A time of day in which everybody of some roles is to be measured once."""

    name: str
    from_min: int
    until_min: int
    roles: tuple[str, ...] = ()
    """None: everybody on the roster."""
    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    """1 is Monday."""

    @property
    def tag(self) -> int:
        """What stands for it in the ledger."""
        return tag(self.name)

    def takes_place(self, day: int) -> bool:
        """Whether there is one on this day (days since 1970-01-01, which was a Thursday)."""
        return (day + 3) % 7 + 1 in self.weekdays


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that staff must do again and again."""

    name: str
    every_h: float

    @property
    def tag(self) -> int:
        """What stands for it in the ledger."""
        return tag(self.name)


@dataclass(frozen=True, slots=True)
class VenueRules:
    """The whole file."""

    name: str = ""
    utc_offset_min: int = 0
    register: bool = False
    permits: str = "none"
    mask: str = "none"
    tests_from: str = "sampled"
    room: RoomRules = field(default_factory=RoomRules)
    rounds: tuple[Round, ...] = ()
    duties: tuple[Duty, ...] = ()
    answer_min: float = 10.0
    """A case that is open for longer counts as unanswered."""
    cluster: int = 3
    """So many of one group with one symptom on one day are a cluster."""
    badges: tuple[str, ...] = ()
    """Numbers of the badges of this venue; none: any is taken."""

    @property
    def offset_s(self) -> int:
        """Local time less UTC."""
        return self.utc_offset_min * 60


def parse_venue(text: object, name: str = "venue.toml") -> VenueRules:
    """The rules in a file or a bundle. Raises BadVenue with every fault."""
    try:
        content = tomllib.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError) as error:
        raise BadVenue(name, [f"not TOML: {error}"]) from None
    if content is None:
        raise BadVenue(name, ["is no text"])
    reader = _Reader(content)
    rules = reader.rules()
    if reader.faults:
        raise BadVenue(name, reader.faults)
    return rules


class _Reader:
    """Walks the document once and collects faults."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self.faults: list[str] = []

    def rules(self) -> VenueRules:
        top = self._content
        self._known(
            top,
            {
                "version",
                "name",
                "utc_offset_min",
                "register",
                "permits",
                "mask",
                "tests_from",
                "room",
                "round",
                "duty",
                "case",
                "badges",
            },
            "",
        )
        self._number(top, "version", 1, 1, _MOST_VERSION, "higher with each change", whole=True)
        case = self._table("case")
        self._known(case, {"answer_min", "cluster"}, "case")
        return VenueRules(
            name=self._name(top.get("name", "venue"), "name"),
            utc_offset_min=int(self._number(top, "utc_offset_min", 0, -840, 840, "minutes", whole=True)),
            register=self._flag(top, "register"),
            permits=self._choice(top, "permits", PERMITS),
            mask=self._choice(top, "mask", MASKS),
            tests_from=self._choice(top, "tests_from", TESTS_FROM),
            room=self._room(),
            rounds=self._rounds(),
            duties=self._duties(),
            answer_min=self._number(case, "answer_min", 10, 1, 1440, "minutes", where="case."),
            badges=self._badges(),
            cluster=int(self._number(case, "cluster", 3, 2, 1000, "people", whole=True, where="case.")),
        )

    def _room(self) -> RoomRules:
        room = self._table("room")
        self._known(room, {"capacity", "busy", "daily", "closes", "share", "kiosks"}, "room")
        kiosks = room.get("kiosks", [])
        if not isinstance(kiosks, list) or not all(map(self._is_name, kiosks)):
            self.faults.append('room.kiosks is a list of names without the site, for example ["gate-1", "gate-2"]')
            kiosks = []
        if len({tag(each) for each in kiosks}) < len(kiosks):
            self.faults.append("room.kiosks has one name twice")
        capacity = int(self._number(room, "capacity", 0, 0, _MOST_PLACES, "people", whole=True, where="room."))
        if kiosks and not capacity:
            self.faults.append("room.kiosks share a capacity: give room.capacity too, for example 800")
        return RoomRules(
            capacity,
            self._number(room, "busy", 0.8, 0.0, 1.0, "part of the capacity", where="room."),
            int(self._number(room, "daily", 0, 0, _MOST_PLACES, "people", whole=True, where="room.")),
            None if "closes" not in room else self._minute(room["closes"], "room.closes"),
            self._number(room, "share", 1.0, 0.01, 1.0, "part of the capacity", where="room."),
            tuple(kiosks),
        )

    @staticmethod
    def _is_name(text: object) -> bool:
        """Whether it can be the name of a kiosk: one level of a topic."""
        return isinstance(text, str) and bool(text) and text.isprintable() and not set(text) & set("/+#:$ ")

    def _badges(self) -> tuple[str, ...]:
        badges = self._content.get("badges", [])
        is_list = isinstance(badges, list) and all(
            isinstance(each, str) and BADGE.fullmatch(each) for each in badges
        )
        if is_list and (badges or "badges" not in self._content):  # empty reads like nobody, left out is anybody
            return tuple(badges)
        self.faults.append(
            "badges is a list of numbers of 1 to 16 letters and digits, left out for any; "
            'for example ["G01", "G07"]'
        )
        return ()

    def _rounds(self) -> tuple[Round, ...]:
        rounds: list[Round] = []
        for number, entry in enumerate(self._list("round"), 1):
            where = f"round {entry.get('name', number)!r}"
            self._known(entry, {"name", "from", "until", "roles", "weekdays"}, where)
            begins, ends = (
                self._minute(entry.get("from"), f"{where}: from"),
                self._minute(entry.get("until"), f"{where}: until"),
            )
            if ends <= begins:
                self.faults.append(
                    f"{where}: until ({entry.get('until')}) must be later than from ({entry.get('from')}) "
                    "on the same day, for example from 07:00 until 08:30"
                )
            roles = entry.get("roles", [])
            if not isinstance(roles, list) or not set(map(str, roles)) <= set(ROLES[1:]):
                self.faults.append(f"{where}: roles are some of {', '.join(ROLES[1:])}, not {roles!r}")
                roles = []
            days = entry.get("weekdays", [1, 2, 3, 4, 5, 6, 7])
            if not isinstance(days, list) or not days or not all(day in range(1, 8) for day in days):
                self.faults.append(f"{where}: weekdays are some of 1 (Monday) to 7, for example [1, 2, 3, 4, 5]")
                days = [1]
            made = Round(self._name(entry.get("name"), f"{where}: name"), begins, ends, tuple(roles), tuple(days))
            for other in rounds:
                if other.tag == made.tag:
                    self.faults.append(f"{where}: there is another round of this name")
                elif made.from_min < other.until_min and other.from_min < made.until_min:
                    self.faults.append(f"{where} overlaps round {other.name!r}: end one before the next begins")
            rounds.append(made)
        if len(rounds) > _MOST_ROUNDS:
            self.faults.append(f"there may be up to {_MOST_ROUNDS} rounds, not {len(rounds)}")
        return tuple(rounds)

    def _duties(self) -> tuple[Duty, ...]:
        duties: list[Duty] = []
        for number, entry in enumerate(self._list("duty"), 1):
            where = f"duty {entry.get('name', number)!r}"
            self._known(entry, {"name", "every_h"}, where)
            hours = self._number(entry, "every_h", 24, 0.25, 24, "hours", where=f"{where}: ")
            made = Duty(self._name(entry.get("name"), f"{where}: name"), hours)
            if any(other.tag == made.tag for other in duties):
                self.faults.append(f"{where}: there is another duty of this name")
            duties.append(made)
        return tuple(duties)

    # -- values

    def _table(self, key: str) -> dict[str, Any]:
        value = self._content.get(key, {})
        if isinstance(value, dict):
            return value
        self.faults.append(f"{key} is a table, for example {key} = {{ … }}")
        return {}

    def _list(self, key: str) -> list[dict[str, Any]]:
        value = self._content.get(key, [])
        if isinstance(value, list) and all(isinstance(each, dict) for each in value):
            return value
        self.faults.append(f"{key} is a list of tables, for example {key} = [{{ … }}]")
        return []

    def _known(self, table: Mapping[str, Any], known: set[str], where: str) -> None:
        begin = f"{where}: " if where else ""
        self.faults += [f"{begin}unknown setting {key!r}; there are {', '.join(sorted(known))}"
                        for key in table if key not in known]  # fmt: skip

    def _name(self, value: object, where: str) -> str:
        if isinstance(value, str) and _NAME.fullmatch(value):
            return value
        self.faults.append(f"{where} {value!r} is no name: 1 to 32 of a–z, 0–9, - and _, for example morning")
        return ""

    def _flag(self, table: Mapping[str, Any], key: str) -> bool:
        value = table.get(key, False)
        if not isinstance(value, bool):
            self.faults.append(f"{key} is true or false, not {value!r}")
        return value is True

    def _choice(self, table: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str:
        value = table.get(key, choices[0])
        if value in choices:
            return str(value)
        self.faults.append(f"{key} is one of {', '.join(choices)}, not {value!r}")
        return choices[0]

    def _number(
        self, table: Mapping[str, Any], key: str, default: float, least: float, most: float, unit: str,
        *, whole: bool = False, where: str = "",
    ) -> float:  # fmt: skip
        value = table.get(key, default)
        kinds = (int,) if whole else (int, float)
        if isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most:
            return value
        number = "a whole number" if whole else "a number"
        self.faults.append(
            f"{where}{key} is {number} from {least} to {most} ({unit}), not {value!r}; for example {default}"
        )
        return default

    def _minute(self, value: object, where: str) -> int:
        if isinstance(value, str) and _TIME.fullmatch(value):
            hours, minutes = value.split(":")
            return int(hours) * 60 + int(minutes)
        self.faults.append(f'{where} is a local time from "00:00" to "24:00", not {value!r}; for example "07:30"')
        return 0
