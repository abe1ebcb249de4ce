"""What every driver promises, and what it hands over.

A driver is one file with a frozen dataclass `Options`, pure decode functions and a `class Driver` that takes
`(options, wire=...)`. `agent` takes from `drivers` only this file and `registry`.

All times are seconds of `time.monotonic()`, stamped when the thing happened on the wire (a frame: at capture).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Sighting:
    """A code came into view, or was scanned."""

    payload: bytes
    """The bytes as coded, or as the engine sent them without its terminator; never decoded on the way."""
    at_s: float
    simulated: bool = False
    symbology: str = ""
    """`qr`, `aztec`, `pdf417`, `datamatrix`, or what else the engine calls it; `card` from a
    card reader; empty when it does not say."""


CARD = "card"
"""Symbology of what a card reader has read. Only those drivers say it: no printed code passes for a card."""


@dataclass(frozen=True, slots=True)
class Departure:
    """The code sighted last has left the view. Only scanners that watch (cameras) can tell."""

    at_s: float
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """One valid temperature sample. A sample that fails its checksum or error bit is no Reading."""

    surface_c: float
    """Degrees Celsius of the surface in the field of view, on the device's own scale."""
    at_s: float
    u_c: float
    """Expanded uncertainty (k = 2) that the datasheet states for this reading, degrees Celsius."""
    sensor_c: float | None = None
    """Temperature of the sensor's own die or case: plausibility only, never the room's."""
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Distance:
    """How far the nearest surface before the thermometer is."""

    distance_mm: float | None
    """None: nothing within range, or too little light came back to tell."""
    at_s: float
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Fix:
    """Where a vehicle is."""

    lat: float
    """Degrees north, WGS 84; negative: south."""
    lon: float
    """Degrees east; negative: west."""
    u_m: float
    """Radius that holds the true place with 95 %, metres."""
    at_s: float
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button was pressed."""

    at_s: float
    simulated: bool = False


Item: TypeAlias = Sighting | Departure | Reading | Distance | Fix | Pressed


class Proof(StrEnum):
    """On what it rests that a driver speaks as its device does. Each names its own, with its bus, as `BUS` and
    `PROOF`; all of them are also held against a simulator that was written from the document.
    """

    KERNEL = "kernel"
    """A real Linux kernel's device of that kind has answered it, in the virtual kiosk."""
    DOCUMENT = "document"
    """Frames or worked examples that the maker has published come out right."""
    COMPUTED = "computed"
    """Frames worked out by hand from the document come out right."""
    SIMULATOR = "simulator"
    """Nothing else."""


class Source(Protocol):
    """A device that is read: scanner, camera, thermometer, ranger."""

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""

    def open(self) -> None:
        """Take the device. Raises DriverError with a remedy; may be called again after `close`."""

    def read(self, limit_s: float) -> Item | None:
        """The next item; None when the device is healthy but has nothing to say within `limit_s` (at most 0.5).

        Raises DeviceGone when the device is not there any more, BadReply when it answers but wrongly for too long.
        """

    def close(self) -> None:
        """Let go of the device. Never raises; may be called twice, and from another thread than `read`'s."""


BOARD, OUTPUT = "board", "output"
"""Marks on the options of a sink's driver: those that say which board it is, and the one that says which output of
the board: `Annotated[str, BOARD]`, `Annotated[int, Ge(1), OUTPUT]`.
"""


class Sink(Protocol):
    """One output that acts: a gate, a light of a lamp, a buzzer. Several may sit on one board, on one wire."""

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""

    def open(self) -> None:
        """Take the device and bring it to its safe state (relay off)."""

    def pulse(self, seconds: float) -> None:
        """Act for `seconds`, then return to the safe state by itself, whatever becomes of the caller.

        Returns as soon as the order is on the wire; `seconds` is bounded by the driver's options.
        """

    def off(self) -> None:
        """Return to the safe state before the time is up."""

    def check(self) -> None:
        """Find out cheaply whether the device is still there; raises DeviceGone. Called about once a second."""

    def close(self) -> None:
        """Leave the device in its safe state. Never raises; may be called twice."""


_WORD = re.compile(r"\S+")
_BEFORE_NAME = "/\"'=,("
"""After these a name begins where the kind of an address is missing or mistyped."""
_PATH = frozenset("/\\?")
_SECRET = ("pass", "passwd", "password", "pwd", "psw", "pas", "secret", "token", "auth", "key")
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""What a terminal obeys instead of showing it: control characters, and those that turn or hide what follows."""
MASK = "********"


def without_secrets(text: str) -> str:
    """`text` with a mask in place of name and password of each address in it, also where its kind is missing or
    mistyped, and of parameters such as `?pwd=`. Takes time in proportion to its length, whatever stands in it.
    """
    return _WORD.sub(lambda found: _word_without_secrets(found[0]), text)


def _word_without_secrets(word: str) -> str:
    kind, follows, rest = word.partition("://")
    if not follows:
        return _without_name(word)
    user, at, place = rest.rpartition("@")
    return _without_name(kind) + follows + (MASK + at if user else at) + _without_parameters(place)


def _without_name(word: str) -> str:
    """`word` with a mask in place of `name:password@`, and, where it has a path or a question, of its secrets."""
    before, at, place = word.rpartition("@")
    name, colon, _ = before.partition(":")
    if not colon:
        return _without_parameters(word) if _PATH.intersection(word) else word
    return name[: 1 + max(map(name.rfind, _BEFORE_NAME))] + MASK + at + _without_parameters(place)


def _without_parameters(place: str) -> str:
    return "&".join(
        ";".join(_without_value(part) for part in parameters.split(";")) for parameters in place.split("&")
    )


def _without_value(parameter: str) -> str:
    """`parameter` with a mask in place of what follows the first name of a secret."""
    parts = parameter.split("=")
    for index, name in enumerate(parts[:-1], 1):
        if name.lower().endswith(_SECRET) and any(parts[index:]):
            return "=".join(parts[:index]) + "=" + MASK
    return parameter


def printable(text: str, keep: str = "") -> str:
    """`text` with a mark in place of each character that a terminal would obey, but for those in `keep`."""
    return _CONTROLS.sub(lambda found: found[0] if found[0] in keep else "�", text)


def plain(text: str) -> str:
    """What a device, a network or an address says, fit for a log, a terminal and a message."""
    return printable(without_secrets(text))


class DriverError(Exception):
    """Root of all that a driver raises. `str()` is one sentence for the technician, with the remedy; neither a
    password of an address nor a device's control characters are in it.
    """

    def __init__(self, device: str, fact: str, remedy: str = "") -> None:
        """`device`: stable name of the port or bus; `fact`: what is wrong; `remedy`: what to do about it."""
        self.device, self.fact, self.remedy = map(plain, (device, fact, remedy))
        super().__init__(f"{self.device}: {self.fact}" + (f" ({self.remedy})" if remedy else ""))


class DeviceGone(DriverError):
    """The device is not there (any more), or cannot be opened."""


class BadReply(DriverError):
    """The device answers, but not in its protocol: wrong device, wrong baud, broken cable."""


class Frozen(BadReply):
    """The device repeats one value: its converter hangs."""


class BadOptions(DriverError):
    """The options contradict each other or the device."""
