"""What time it is, as far as the kiosk can know: an interval, not a number.

A kiosk has no battery clock. Until the kernel says that its clock is synchronised (`adjtimex`, STA_UNSYNC clear; or
systemd-timesyncd says so, where the kernel may not be asked), the true time is only known to lie after a floor: the
newest of the build's date, the last time this kiosk was synchronised and the wall clock's own past. A code that
ends after the floor might have ended already: the check then answers "time unknown", and the person goes to staff.
"""

from __future__ import annotations

import ctypes
import math
import os
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from uuid import UUID

from annotated_types import Ge

from agent.model import ClockState, Now

BUILT_UTC = 1_790_000_000.0  # 2026-09-21: no release can run before it was made
_STA_UNSYNC = 0x0040  # linux/timex.h
_SAVE_EVERY_S = 3600.0
_CRYSTAL = 1e-4  # how far the board's own oscillator may be off: 100 ppm
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNC = Path("/run/systemd/timesync/synchronized")  # touched at each success: systemd-timesyncd.service(8)
_TIMESYNC_ERROR_S = 0.5  # timesyncd trusts servers up to 5 s of root distance; in practice well below a half
_DRIFT_PER_S = 500e-6  # what the kernel adds to its own bound (kernel/time/ntp.c, MAXFREQ) ...
_LOST_S = 16.0  # ... until this much, when it calls itself unsynchronised (NTP_PHASE_LIMIT)


class Trust(StrEnum):
    """Whom the agent believes about the time."""

    NTP = "ntp"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Options:
    """How the agent knows the time."""

    trust: Trust = Trust.NTP
    """`ntp`: the wall clock counts once the kernel reports it synchronised; `system`: always (a battery clock that
    somebody looks after). Anything else is a floor only, and codes with an end go to staff."""
    error_s: Annotated[float, Ge(0)] = 1.0
    """Error assumed for a trusted wall clock on top of the kernel's own estimate, seconds."""
    floor_file: Path = Path("/var/lib/gatepost/clock")
    """Its modification time remembers the last trusted time over a power cut."""


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


def kernel_error_s() -> float | None:
    """The kernel's bound on the error of a synchronised wall clock, seconds; None when not synchronised."""
    timex = _Timex()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(ctypes.byref(timex)) < 0:  # a service under ProtectClock= may not even ask
        return timesync_error_s(time.time(), _stamp(_TIMESYNC))
    if timex.status & _STA_UNSYNC:
        return None
    return float(timex.maxerror) / 1e6


def timesync_error_s(wall_utc: float, synced_utc: float) -> float | None:
    """The bound on the error of a wall clock that timesyncd set last at `synced_utc`, grown as the kernel's would.

    None when that was too long ago, never, or in the future: then somebody has set the clock since.
    """
    error_s = _TIMESYNC_ERROR_S + (wall_utc - synced_utc) * _DRIFT_PER_S
    return error_s if _TIMESYNC_ERROR_S <= error_s < _LOST_S else None


class Clock:
    """Answers `now`; remembers the floor on disk. Holds the only wall-clock calls of the agent."""

    def __init__(self, options: Options) -> None:
        """Read the floor; the file may be absent."""
        self._options = options
        self._floor_utc = max(BUILT_UTC, _stamp(options.floor_file))
        self._floor_at_s = boottime_s()
        self._saved_at_s = -math.inf
        self._synced: tuple[float, float, float] | None = None  # utc, error, boottime of the last trusted look
        self._looked_at_s = -math.inf
        self._kernel_error_s: float | None = None

    def now(self) -> Now:
        """What is known of the time right now."""
        here_s, wall_utc = boottime_s(), time.time()
        floor_utc = self._risen_floor_utc(here_s)
        error_s = self._wall_error_s(here_s)
        if error_s is not None and wall_utc + error_s >= floor_utc:
            self._synced = (wall_utc, error_s, here_s)
            self._save(wall_utc - error_s, here_s)
            return Now(max(floor_utc, wall_utc - error_s), wall_utc + error_s, ClockState.SYNCED)
        if error_s is not None:
            return Now(floor_utc, math.inf, ClockState.SUSPECT)
        if self._synced is not None:
            utc, error_s, then_s = self._synced
            middle, slack = utc + here_s - then_s, error_s + _CRYSTAL * (here_s - then_s)
            return Now(max(floor_utc, middle - slack), middle + slack, ClockState.HOLDOVER)
        return Now(floor_utc, math.inf, ClockState.FLOOR)

    def _wall_error_s(self, here_s: float) -> float | None:
        """Error bound of the wall clock, or None when it is not to be trusted; asks the kernel once a second."""
        if self._options.trust is Trust.SYSTEM:
            return self._options.error_s
        if here_s - self._looked_at_s >= 1.0:
            self._looked_at_s, self._kernel_error_s = here_s, kernel_error_s()
        error_s = self._kernel_error_s
        return None if error_s is None else error_s + self._options.error_s

    def _risen_floor_utc(self, here_s: float) -> float:
        """The floor and the time since: as much of it as has passed for certain."""
        return self._floor_utc + (1 - _CRYSTAL) * (here_s - self._floor_at_s)

    def _save(self, lo_utc: float, here_s: float) -> None:
        """Raise the floor, on disk once an hour: a card must not be worn for a clock."""
        self._floor_utc = max(self._risen_floor_utc(here_s), lo_utc)
        self._floor_at_s = here_s
        if here_s - self._saved_at_s < _SAVE_EVERY_S:
            return
        self._saved_at_s = here_s
        try:
            self._options.floor_file.parent.mkdir(parents=True, exist_ok=True)
            self._options.floor_file.touch()
            os.utime(self._options.floor_file, (self._floor_utc, self._floor_utc))
        except OSError:
            return  # a read-only card: the floor in memory still holds for this boot


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


def _stamp(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
