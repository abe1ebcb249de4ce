"""`gatepost check`: validate the configuration: every fault at once, with its line and remedy.

It reads every file that the configuration names. For a configuration in /etc/gatepost, root reads them with the
permissions of the service's user `gatepost`. A device that is not plugged in is a remark, and no fault.

    sudo gatepost check
    gatepost check -c draft.toml
    sudo gatepost check --broker         connect as the service would: TLS, login, the right to each topic
    sudo gatepost check --site           the whole site: broker and time server, and the machine: clock, card, free
                                         space, power, heat, Wi-Fi, watchdog, screen
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import pwd
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent import app
from agent.cli import configuration
from agent.config import PARTS, files, identity, references
from agent.events import Topics
from agent.model import ClockState, TimeBounds
from agent.mqtt.probe import probe
from agent.platform import access, site, time_server
from agent.screening.outcome import UNCALIBRATED_MOST_U_C
from drivers import registry

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from agent.config import Config
    from agent.config.outputs import Device

_GRADES = {"ok": "✓", "warning": "!", "error": "✗"}
_STAND_INS = ("simulated", "replayed")
MOST_PRESENCE_S = 1.0
"""Up to this no opening was wrong on hundreds of random days."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `check`."""
    parser = subparsers.add_parser("check", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument(
        "--broker", action="store_true", help="connect to the broker too: TLS, login, the right to each topic"
    )
    parser.add_argument(
        "--site",
        action="store_true",
        help="check the whole site: broker, time server, clock, card, power, Wi-Fi, watchdog, screen",
    )
    parser.add_argument("--user", help="check with the permissions of this user; needs root")


def run(args: argparse.Namespace) -> int:
    """0 when everything is right; 1 with all faults on standard error."""
    try:
        user = args.user or _runs_it(args.config)
        if user and user != access.user():
            _load_code(args.config)
        with _rights_of(user):
            config = configuration.read(args.config)
            status = 1 if config is None else _check(args.config, config)
            if config is not None and (args.broker or args.site):
                status = max(status, _broker(config))
            return max(status, _site() if args.site else 0)
    except (KeyError, PermissionError):
        print(f"--user {args.user}: there is no such user, or you are not root", file=sys.stderr)
        return 1


def _site() -> int:
    """What the place and the machine are like; 1 when something of it must be mended first."""
    found = [time_server.check(Path("/")), *site.checks()]
    for each in found:
        print(f"  {_GRADES[each.grade]} {each.what}: {each.text}")
    return 1 if any(each.grade == "error" for each in found) else 0


def _broker(config: Config) -> int:
    """What the broker grants; 1 when it keeps the service from working."""
    topics = Topics(config.kiosk.site, config.kiosk.id, config.kiosk.groups)
    renews = config.mqtt.tls and identity(config.file).exists()
    found = probe(config.mqtt, topics, _now(), app.channels(config), renews=renews)
    print(f"broker {config.mqtt.host}:{config.mqtt.port}:")
    for sentence in found.shown:
        print(f"  ✓ {sentence}")
    for sentence in found.remarks:
        print(f"  ! {sentence}")
    for sentence in found.faults:
        print(f"broker: {sentence}", file=sys.stderr)
    return 1 if found.faults else 0


def _now() -> TimeBounds:
    utc_s = time.time()
    return TimeBounds(utc_s, utc_s, ClockState.SYNCED)


def _check(file: Path, config: Config) -> int:
    now = _now()
    faults = sorted([*references.faults(config), *files.faults(config, now)])
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        print(f"{configuration.counted(faults)}, looked at as the user {access.user()}.", file=sys.stderr)
        return 1
    print(f"{file}: right. Kiosk {config.kiosk.id} at {config.kiosk.site}")
    for remark in (*files.remarks(config, now), *_patient(config)):
        print(f"  ! {remark}")
    for name, lane in config.lanes.items():
        parts = {part: device for part in PARTS if (device := getattr(lane, part)) is not None}
        print(f"  {name} ({lane.direction}): {', '.join(f'{part} {parts[part].driver}' for part in parts)}")
        for part, device in parts.items():
            for remark in (*_remarks(device), *_imprecise(part, device)):
                print(f"  ! {name}.{part} {remark}")
    return 0


def _load_code(file: Path) -> None:
    """Look once in silence, with our own rights: all code that this takes is loaded then. Another user may not
    enter its folder (a checkout in root's home), which says nothing of the configuration.
    """
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if (config := configuration.read(file)) is not None:
            _check(file, config)


def _runs_it(file: Path) -> str:
    """Whose rights the agent will have with this configuration; empty for those of the caller."""
    if os.geteuid() != 0 or file.absolute().parent != access.SETTINGS:
        return ""
    return next((entry.pw_name for entry in pwd.getpwall() if entry.pw_name == access.SERVICE_USER), "")


@contextlib.contextmanager
def _rights_of(user: str) -> Iterator[None]:
    """Look as this user, then as before. Raises KeyError, PermissionError."""
    if not user or user == access.user():
        yield
        return
    entry, groups, group = pwd.getpwnam(user), os.getgroups(), os.getegid()
    os.initgroups(user, entry.pw_gid)
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _remarks(device: Device) -> Iterator[str]:
    """What to know of a device."""
    if device.driver in _STAND_INS or getattr(device.options, "simulated", False):
        yield "is not real: what it takes part in is marked as simulated"
    for entry in dataclasses.fields(device.options):
        node = getattr(device.options, entry.name)
        if not _is_path(entry.name, node):
            continue
        if not str(node).startswith("/dev/"):
            if what := _unreadable(Path(node)):
                yield f"cannot be used now: {entry.name}: {what}"
        elif not Path(node).exists():
            yield f"is not there now: {node} (is it plugged in? `gatepost devices` lists what is)"
        elif not os.access(node, os.R_OK | os.W_OK, effective_ids=True):
            yield f"is closed to the user {access.user()}: {node} ({_let_in(Path(node))})"


def _imprecise(part: str, device: Device) -> Iterator[str]:
    """Remarks a thermometer that is to measure people, and was made to see that somebody is there."""
    u_c = getattr(registry.load("thermometers", device.driver), "U_C", 0.0) if part == "thermometer" else 0.0
    if u_c > UNCALIBRATED_MOST_U_C:
        yield (
            f"is of the grade presence, ±{u_c:g} °C: until it is calibrated, everybody goes to staff"
            " (gatepost calibrate, docs/screening.md)"
        )


def _patient(config: Config) -> Iterator[str]:
    """Remarks that the lanes wait for who has left: another may have stepped up."""
    presence_s = config.checkpoint.presence_timeout_s
    if presence_s > MOST_PRESENCE_S:
        yield (
            f"[checkpoint] presence_timeout_s: who steps up within {presence_s:g} s in somebody's place is let in"
            f" on that one's code: set it to {MOST_PRESENCE_S:g} at most (docs/screening.md)"
        )


def _is_path(name: str, value: object) -> bool:
    """Whether a device's setting names a node, a file or a folder."""
    if isinstance(value, Path):
        return True
    if not isinstance(value, str) or not value:
        return False
    return value.startswith("/") or (name == "device" and re.match(r"\w+:", value) is None)


def _unreadable(path: Path) -> str:
    """Why what a stand-in plays, a folder of pictures, a video or a recording, cannot be; empty when it can."""
    if not path.is_dir():
        return access.unreadable(path)
    if not os.access(path, os.R_OK | os.X_OK, effective_ids=True):
        return f"the user {access.user()} may not look into {path}"
    return "" if any(path.iterdir()) else f"{path} is an empty folder"


def _let_in(node: Path) -> str:
    group = access.group(node)
    if group == "root":
        return "its udev rule has not seen it: plug it in again, or: sudo udevadm trigger"
    return f"sudo usermod -aG {group} {access.user()}"
