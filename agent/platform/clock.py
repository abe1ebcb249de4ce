"""The time, as far as the kiosk can know it: an interval, not a number.

A kiosk has no battery clock. Until the kernel says that its clock is synchronised (`adjtimex`, STA_UNSYNC clear; or
systemd-timesyncd says so, where the kernel may not be asked), the true time is only known to lie after a floor: the
newest of the build's date and the last that this kiosk knew, and the time that has passed since. A code that
ends after the floor might have ended already: the check then answers "time unknown", and the person goes to staff.

A source may be wrong, for a moment or for good. What it says is believed at once while nothing speaks against it,
but it is *proved* only when an answer an hour later fits the first by the board's own crystal. Only what is proved
raises the floor for good. An answer that does not fit those before makes the clock suspect: nobody is believed
then, and the floor is the one that was proved, until the source is back on a proved course, or has kept one for an
hour.
"""

from __future__ import annotations

import ctypes
import math
import os
import threading
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple
from uuid import UUID

from agent.model import ClockState, Component, TimeBounds
from agent.model.bounds import Ge
from agent.model.lazy import dataclass
from agent.model.problems import Finding, ProblemCode, found
from agent.platform.files import read_text, replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BUILT_UTC = 1_790_000_000.0  # 2026-09-21: no release can run before it was made
_STA_UNSYNC = 0x0040  # linux/timex.h
_SAVE_EVERY_S = 3600.0
_CRYSTAL = 1e-4  # how far the board's own oscillator may be off: 100 ppm
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNC = Path("/run/systemd/timesync/synchronized")  # touched at each success: systemd-timesyncd.service(8)
_TIMESYNC_ERROR_S = 0.5  # timesyncd trusts servers up to 5 s of root distance; in practice well below a half
_DRIFT_PER_S = 500e-6  # what the kernel adds to its own bound (kernel/time/ntp.c, MAXFREQ) ...
_STEP_S = 0.05
"""The wall clock moved by more against the time since boot: somebody has set it ..."""
_GAP_S, _GLANCES = 0.01, 5
"""Both clocks are read within so long, or read again: a thread may be held up between the two."""
_NOTICED_S = 1.0
"""A jump is noticed so soon."""
_SLEW = 600e-6
"""... or the kernel has drawn it slowly, at 500 ppm at most."""
_LOST_S = 16.0  # ... until this much, when it calls itself unsynchronised (NTP_PHASE_LIMIT)
_APART_S = 40.0
"""Answers that are further apart than the time between them are not of one course: more than twice _LOST_S."""
_LEARNT_S = 300.0
"""Since boot; a kiosk with a network knows the time by then."""
_PROVED_S = 3600.0
"""timesyncd asks again within 34 minutes (PollIntervalMaxSec=): what is false once is gone by then."""


class TimeSource(StrEnum):
    """Whom the agent believes about the time."""

    NTP = "ntp"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Options:
    """How the agent knows the time."""

    source: TimeSource = TimeSource.NTP
    """`ntp`: the wall clock counts once the kernel reports it synchronised; `system`: always (a battery clock that
    somebody looks after). Anything else is a floor only, and codes with an end go to staff."""
    error_s: Annotated[float, Ge(0)] = 1.0
    """Error assumed for a trusted wall clock on top of the kernel's own estimate, seconds."""
    last_known_time_file: Path = Path("/var/lib/gatepost/clock")
    """Its modification time is, over a power cut, the latest time that is known to have passed."""


class _Timex(ctypes.Structure):
    """struct timex of linux/timex.h, as adjtimex(2) fills it; the tail is padding."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("padding", ctypes.c_char * 256),
    )


class KernelTime(NamedTuple):
    """What a source of time reports about the wall clock."""

    error_s: float | None
    """The bound on its error; None when it is not synchronised."""
    synced_utc: float | None = None
    """When it was, by itself; None of a source that knows when somebody sets the clock."""


def kernel_time() -> KernelTime:
    """The kernel's word; timesyncd's, where the kernel may not be asked."""
    timex = _Timex()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(ctypes.byref(timex)) < 0:  # a service under ProtectClock= may not even ask
        synced_utc = _stamp(_TIMESYNC)
        return KernelTime(timesync_error_s(time.time(), synced_utc), synced_utc)
    return KernelTime(None if timex.status & _STA_UNSYNC else timex.maxerror / 1e6)


def timesync_error_s(wall_utc: float, synced_utc: float) -> float | None:
    """The bound on the error of a wall clock that timesyncd set last at `synced_utc`, grown as the kernel's would.

    None when that was too long ago, never (0), or in the future: then somebody has set the clock since.
    """
    if not synced_utc:
        return None  # a clock that begins in 1970 is not synchronised
    error_s = _TIMESYNC_ERROR_S + (wall_utc - synced_utc) * _DRIFT_PER_S
    return error_s if _TIMESYNC_ERROR_S <= error_s < _LOST_S else None


def boottime_s() -> float:
    """Seconds since boot, counting sleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """This boot's random id, from the kernel, or from systemd where the service may not look into /proc/sys."""
    try:
        told = os.environ.get("GATEPOST_BOOT_ID") or _BOOT_ID.read_text(encoding="ascii")
        return str(UUID(told.strip()))
    except (OSError, ValueError):
        return ""


@dataclass(frozen=True, slots=True)
class Sources:
    """Whom the clock asks."""

    wall_utc: Callable[[], float] = time.time
    boottime_s: Callable[[], float] = boottime_s
    word: Callable[[], KernelTime] = kernel_time
    boot_id: Callable[[], str] = boot_id


@dataclass(slots=True)
class _Course:
    """Answers of a source of time, each of which fits the one before."""

    utc: float
    here_s: float
    since_s: float
    is_proved: bool = False

    def fits(self, utc: float, here_s: float) -> bool:
        """Whether this is the time that it would be by now."""
        passed_s = here_s - self.here_s
        return abs(utc - self.utc - passed_s) <= _APART_S + _CRYSTAL * passed_s

    def go_on(self, utc: float, here_s: float, *, answered: bool) -> None:
        """`answered`: the source has asked a server again since the last look."""
        self.utc, self.here_s = utc, here_s
        self.is_proved = self.is_proved or (answered and here_s - self.since_s >= _PROVED_S)


class Clock:
    """The time as an interval, `now`, for any thread; the floor is on disk. Only here the wall clock is read.

    The floor's file also records how far the wall clock was from the time since boot, so that a clock that was set
    while the agent did not run is noticed.
    """

    def __init__(self, options: Options, sources: Sources | None = None) -> None:
        """Read the floor; the file may be absent."""
        self._options = options
        self._ask = sources or Sources()
        here_s = self._ask.boottime_s()
        self._proved = self._floor = max(BUILT_UTC, _stamp(options.last_known_time_file)), here_s
        """Not before this, at this time since boot: for certain, and by what the source says now."""
        self._course: _Course | None = None
        """In this boot ..."""
        self._other: _Course | None = None
        """... and what the source says lately, when that does not fit."""
        self._has_answered = self._is_too_early = False
        self._boot_id = self._ask.boot_id()
        self._last, self._refused_utc = self._remembered()
        """Wall clock less time since boot, and the latter, when looked at last; a word that is out of date."""
        self._saved_at_s = -math.inf
        self._synced: tuple[float, float, float] | None = None  # utc, error, boottime of the last trusted look
        self._looked_at_s = -math.inf
        self._word: KernelTime | None = None
        self._lock = threading.Lock()

    def now(self) -> TimeBounds:
        """What is known of the time right now."""
        with self._lock:
            here_s, wall_utc = self._both()
            found = self._found(here_s, wall_utc)
            self._floor = found.earliest_utc, here_s
            return found

    def _both(self) -> tuple[float, float]:
        """Time since boot and wall clock, of one moment: a pause between the two would look like a jump."""
        for _ in range(_GLANCES):
            before_s, wall_utc, here_s = self._ask.boottime_s(), self._ask.wall_utc(), self._ask.boottime_s()
            if here_s - before_s <= _GAP_S:
                break
        return (before_s + here_s) / 2, wall_utc

    def findings(self) -> tuple[Finding, ...]:
        """Why codes that end go to staff, and what to do; none while the time is known, and while a kiosk that was
        just switched on may still learn it.
        """
        state = self.now().state
        if state is ClockState.SUSPECT and self._is_too_early:
            return found(
                ProblemCode.CLOCK_SUSPECT,
                "the wall clock says less than was certain before: codes that end go to staff (timedatectl; is it"
                " right, then a wrong time was believed: systemctl stop gatepost,"
                f" rm {self._options.last_known_time_file}, systemctl start gatepost)",
            )
        if state is ClockState.SUSPECT:
            return found(
                ProblemCode.CLOCK_SUSPECT,
                "its source contradicts itself: codes that end go to staff until it has agreed with itself for an"
                " hour (timedatectl; is it right: systemctl restart gatepost)",
            )
        if state is ClockState.FLOOR and self._floor[1] >= _LEARNT_S:
            text = "the time is not known: codes that end go to staff (network, NTP? see timedatectl)"
            return found(ProblemCode.CLOCK_UNKNOWN, text)
        return ()

    def health(self) -> Iterable[Component]:
        """Whether the time is known."""
        yield Component("clock", findings=self.findings())

    def save_if_due(self) -> None:
        """Save once an hour, as a card must not be worn for a clock; and when the wall clock has jumped."""
        if self._floor[1] - self._saved_at_s >= _SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Put the proved floor on disk, which may take its time."""
        self._saved_at_s = self._floor[1]
        lo_utc = _risen(self._proved, self._saved_at_s)
        wall = "" if self._last is None else " ".join(map(repr, (*self._last, self._refused_utc)))
        file = self._options.last_known_time_file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, (f"{self._boot_id} {wall}\n".encode("ascii"),), modified_utc=lo_utc)
        except OSError:
            return  # a read-only card: the floor in memory still holds for this boot

    def _found(self, here_s: float, wall_utc: float) -> TimeBounds:
        error_s = self._wall_error_s(here_s, wall_utc)
        if error_s is not None and not self._is_believed(here_s, wall_utc, error_s):
            self._synced = None
            return TimeBounds(self._risen_floor_utc(here_s), math.inf, ClockState.SUSPECT)
        floor_utc = self._risen_floor_utc(here_s)
        if error_s is not None:
            self._synced = (wall_utc, error_s, here_s)
            lo_utc = max(floor_utc, wall_utc - error_s)
            if self._course is not None and self._course.is_proved:
                self._proved = lo_utc, here_s
            return TimeBounds(lo_utc, wall_utc + error_s, ClockState.SYNCED)
        if self._synced is not None:
            utc, error_s, then_s = self._synced
            middle, slack = utc + here_s - then_s, error_s + _CRYSTAL * (here_s - then_s)
            return TimeBounds(max(floor_utc, middle - slack), middle + slack, ClockState.HOLDOVER)
        return TimeBounds(floor_utc, math.inf, ClockState.FLOOR)

    def _is_believed(self, here_s: float, wall_utc: float, error_s: float) -> bool:
        """Whether the wall clock is right by its source; unknown where the source contradicts itself."""
        self._is_too_early = wall_utc + error_s < _risen(self._proved, here_s)
        if self._is_too_early:
            return False
        answered, self._has_answered = self._has_answered, False
        is_later = wall_utc + error_s >= self._risen_floor_utc(here_s)
        is_set_forward = self._options.source is TimeSource.SYSTEM and is_later  # by somebody who looks after it
        fits = self._course is not None and self._course.fits(wall_utc, here_s)
        if not fits and (self._other is not None or (self._course is not None and not is_set_forward)):
            return self._proves_another(here_s, wall_utc, answered=answered)
        if self._course is None or not fits:
            self._course = _Course(wall_utc, here_s, here_s)
        self._course.go_on(wall_utc, here_s, answered=answered)
        self._other = None
        return is_later

    def _proves_another(self, here_s: float, wall_utc: float, *, answered: bool) -> bool:
        """Whether what does not fit has been so for long enough. A course that was not proved before it was
        contradicted counts for nothing any more.
        """
        if self._other is None or not self._other.fits(wall_utc, here_s):
            self._other = _Course(wall_utc, here_s, here_s)
            self._floor = self._proved
            if self._course is not None and not self._course.is_proved:
                self._course = None
        self._other.go_on(wall_utc, here_s, answered=answered)
        if not self._other.is_proved:
            return False
        self._course, self._other = self._other, None
        return True

    def _wall_error_s(self, here_s: float, wall_utc: float) -> float | None:
        """Error bound of the wall clock, None when it is not to be trusted; asks once a second and after a jump."""
        if self._options.source is TimeSource.SYSTEM:
            self._has_answered = True
            return self._options.error_s
        jumped, before, word = self._has_jumped(here_s, wall_utc), self._word, self._word
        if word is None or jumped or here_s - self._looked_at_s >= 1.0:
            self._looked_at_s, self._word = here_s, (word := self._ask.word())
            self._has_answered = self._has_answered or _is_answer(before, word)
        if jumped:
            self._saved_at_s = -math.inf
            if not _has_stepped(before, word, wall_utc):
                self._refused_utc = word.synced_utc or math.nan
        if word.error_s is None or word.synced_utc == self._refused_utc:
            return None
        return word.error_s + self._options.error_s

    def _has_jumped(self, here_s: float, wall_utc: float) -> bool:
        """Whether the wall clock was set since the last look."""
        before, self._last = self._last, (wall_utc - here_s, here_s)
        if before is None:
            return False
        offset_s, then_s = before
        return abs(wall_utc - here_s - offset_s) > _STEP_S + _SLEW * abs(here_s - then_s)

    def _risen_floor_utc(self, here_s: float) -> float:
        """The floor and the time since: as much of it as has passed for certain."""
        return _risen(self._floor, here_s)

    def _remembered(self) -> tuple[tuple[float, float] | None, float]:
        """The wall clock as the file records it, if it was written in this boot."""
        try:
            boot, *numbers = read_text(self._options.last_known_time_file).split()
            offset_s, at_s, refused_utc = map(float, numbers)
        except (OSError, ValueError):
            return None, math.nan
        return ((offset_s, at_s), refused_utc) if boot == self._boot_id else (None, math.nan)


def _risen(floor: tuple[float, float], here_s: float) -> float:
    utc, at_s = floor
    return utc + (1 - _CRYSTAL) * (here_s - at_s)


def _is_answer(before: KernelTime | None, word: KernelTime) -> bool:
    """Whether a server was asked in between: the kernel's bound grows at all other times."""
    if before is None or word.error_s is None:
        return False
    if word.synced_utc is not None:
        return word.synced_utc != before.synced_utc
    return before.error_s is None or word.error_s < before.error_s


def _has_stepped(before: KernelTime | None, word: KernelTime, wall_utc: float) -> bool:
    """Whether it was the source itself that set the clock: it has synchronised it since, and just now."""
    if before is None or word.synced_utc is None or word.synced_utc == before.synced_utc:
        return False
    return wall_utc - _NOTICED_S <= word.synced_utc <= wall_utc + _STEP_S


def _stamp(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
