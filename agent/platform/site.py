"""The machine and its surroundings: clock, card, power, radio, watchdog, screen. Only reads.

Sources: Linux sysfs and procfs (`Documentation/ABI`), the Raspberry Pi firmware's `get_throttled`, systemd's
timesync. Every reader takes the root of the file system, so that it can be shown any machine.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

Grade = Literal["ok", "warning", "error"]
_FREE_MB = {"error": 100, "warning": 500}
_LIFE = {"0x09": "80 to 90", "0x0a": "90 to 100", "0x0b": "more than 100"}
"""JEDEC eMMC 5.1, EXT_CSD 268 and 269: life that has been used, per cent."""
_THROTTLED = {
    0: "under-voltage now", 1: "slowed down now: too hot or too little power", 2: "throttled now", 3: "too hot now",
    16: "under-voltage since the start", 17: "slowed down since the start", 18: "throttled since the start",
    19: "too hot since the start",
}  # fmt: skip
"""Bits of `get_throttled`."""
_WEAK_DBM = -75
_HOT_C = 80.0


@dataclass(frozen=True, slots=True)
class SiteCheck:
    """One result of the check."""

    what: str
    grade: Grade
    text: str
    """What was found, and what to do about it."""


def checks(root: Path = Path("/")) -> Iterator[SiteCheck]:
    """Everything that can be known of this machine; what it has not is left out."""
    yield clock(root)
    yield from disk(root)
    yield from card(root)
    yield from power(root)
    yield from radio(root)
    yield watchdog(root)
    yield memory(root)
    yield from screens(root)


def clock(root: Path) -> SiteCheck:
    """Whether something keeps the clock."""
    if (root / "run/systemd/timesync/synchronized").exists():
        return SiteCheck("clock", "ok", "synchronised by systemd-timesyncd")
    if any((root / place).exists() for place in ("run/chrony", "run/chronyd.pid", "run/ntpd.pid", "run/openntpd")):
        return SiteCheck(
            "clock", "warning", "kept by another program; the service needs a drop-in (systemd/README.md)"
        )
    battery = any((root / "sys/class/rtc").glob("rtc*"))
    note = "a battery clock is there" if battery else "no battery clock"
    return SiteCheck("clock", "error", f"not synchronised, {note}: timedatectl; people go to staff until it is")


def disk(root: Path) -> Iterator[SiteCheck]:
    """Room and rights where events are kept."""
    for place in ("var/lib", "etc"):
        found = os.statvfs(root / place)
        free_mb = found.f_bavail * found.f_frsize // 1_000_000
        if found.f_flag & os.ST_RDONLY:
            yield SiteCheck(
                f"disk /{place}", "error", "read-only: the card may have failed (dmesg), mount it with rw"
            )
        else:
            grade: Grade = next((name for name, least in _FREE_MB.items() if free_mb < least), "ok")  # type: ignore[misc]
            yield SiteCheck(f"disk /{place}", grade, f"{free_mb} MB free")


def card(root: Path) -> Iterator[SiteCheck]:
    """The wear that a memory card reports; most SD cards report none, eMMC does."""
    for device in sorted((root / "sys/block").glob("mmcblk*")):
        life = _text(device / "device/life_time").split()
        worst = max(life, default="")
        if worst:
            used = _LIFE.get(worst, "less than 80")
            grade: Grade = "ok" if worst not in _LIFE else "error" if worst == "0x0b" else "warning"
            yield SiteCheck(f"card {device.name}", grade, f"{used} % of its life used")
        name = _text(device / "device/name")
        if not worst and name:
            yield SiteCheck(f"card {device.name}", "ok", f"{name}: tells nothing of its life")


def power(root: Path) -> Iterator[SiteCheck]:
    """Supply and temperature, as the firmware of a Raspberry Pi reports them."""
    for place in ("sys/devices/platform/soc/soc:firmware/get_throttled", "sys/class/hwmon/get_throttled"):
        with suppress(ValueError):
            bits = int(_text(_place(root, place)), 16)
            said = [text for bit, text in _THROTTLED.items() if bits >> bit & 1]
            grade: Grade = "error" if bits & 0xF else "warning" if said else "ok"
            yield SiteCheck(
                "power", grade, "; ".join(said) + " (a better supply, a shorter cable)" if said else "enough"
            )
    temperatures = [_text(zone) for zone in _zones(root)]
    known = [int(text) / 1000 for text in temperatures if text.lstrip("-").isdecimal()]
    if known:
        yield SiteCheck("heat", "warning" if max(known) >= _HOT_C else "ok", f"{max(known):.0f} °C")


@cache
def _place(root: Path, place: str) -> Path:
    return root / place


@cache
def _zones(root: Path) -> tuple[Path, ...]:
    """Where temperatures are told; they do not change while the machine runs."""
    return tuple(sorted((root / "sys/class/thermal").glob("thermal_zone*/temp")))


def radio(root: Path) -> Iterator[SiteCheck]:
    """Signal of each Wi-Fi interface's access point."""
    for line in _text(root / "proc/net/wireless").splitlines()[2:]:
        name, _, rest = line.partition(":")
        with suppress(ValueError, IndexError):
            level = float(rest.split()[2].rstrip("."))
            weak = level < _WEAK_DBM
            note = ": weak, come nearer or use a cable" if weak else ""
            yield SiteCheck(f"wi-fi {name.strip()}", "warning" if weak else "ok", f"{level:.0f} dBm{note}")


def watchdog(root: Path) -> SiteCheck:
    """Whether the hardware reboots a machine that hangs."""
    names = [_text(each / "identity") for each in sorted((root / "sys/class/watchdog").glob("watchdog*"))]
    active = any(_text(each / "state") == "active" for each in (root / "sys/class/watchdog").glob("watchdog*"))
    if not names:
        return SiteCheck("watchdog", "warning", "this machine has none: if it hangs, somebody must pull the plug")
    if active:
        return SiteCheck("watchdog", "ok", f"{names[0] or 'hardware'}, in use")
    return SiteCheck(
        "watchdog", "warning", "there is one, and nobody uses it: RuntimeWatchdogSec (docs/install.md)"
    )


def memory(root: Path) -> SiteCheck:
    """Whether the kernel holds services to their memory."""
    controllers = _text(root / "sys/fs/cgroup/cgroup.controllers").split()
    if "memory" in controllers or (root / "sys/fs/cgroup/memory").is_dir():
        return SiteCheck("memory", "ok", "the kernel watches over what a service takes")
    return SiteCheck("memory", "warning", "not watched: cgroup_enable=memory in cmdline.txt (docs/install.md)")


def screens(root: Path) -> Iterator[SiteCheck]:
    """Screens that are plugged in."""
    for connector in sorted((root / "sys/class/drm").glob("card*-*")):
        if _text(connector / "status") == "connected":
            modes = _text(connector / "modes").split()
            yield SiteCheck(
                "screen", "ok", f"{connector.name.partition('-')[2]} {modes[0] if modes else ''}".strip()
            )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""
