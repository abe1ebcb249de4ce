"""`gatepost setup`: write a first configuration by a few questions; it finds the devices that are plugged in.

sudo gatepost setup
sudo gatepost setup --site east-gate --kiosk k01 --broker broker.example --lanes entry,exit --yes
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import configuration, devices
from agent.config import compose, errors
from agent.config.compose import SIMULATED, Answers, Choice
from agent.mqtt.options import broker_address
from agent.platform.files import replace_file
from drivers import discovery, registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.discovery import Found

_MODE = 0o640
_KINDS = {"scanner": "scanners", "thermometer": "thermometers", "gate": "outputs"}
_SILENT = {"scanner": ("line", "port"), "gate": ("serial_relay", "port"), "thermometer": ("gy_mcu", "port")}
"""Driver and option for something on a serial port that does not say what it is."""
_TRY_S = 8.0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `setup`."""
    parser = subparsers.add_parser("setup", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument("--site", help="the place where the kiosk stands")
    parser.add_argument("--kiosk", help="its name, unique at the site (default: the machine's name)")
    parser.add_argument("--broker", help="HOST or HOST:PORT; 8883 is with TLS, 1883 in the clear")
    parser.add_argument("--lanes", help="names, separated by commas; those that begin with exit are exits")
    parser.add_argument("--yes", action="store_true", help="ask nothing: take what is given and what is found")
    parser.add_argument("--force", action="store_true", help="replace a configuration that is there (kept as .old)")


def run(args: argparse.Namespace) -> int:
    """0 when a configuration without a fault was written."""
    file: Path = args.config
    if file.exists() and not args.force:
        print(f"{file} is there already. --force replaces it and keeps it as {file.name}.old", file=sys.stderr)
        return 1
    try:
        answers = _prompt(args)
    except (EOFError, ValueError) as error:
        print(str(error) or "The answers have ended: nothing is written.", file=sys.stderr)
        return 1
    text = compose.compose(answers)
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        file.replace(file.with_name(f"{file.name}.old"))
    replace_file(file, (text.encode(),), _MODE)
    print(f"\nWrote {file}, {len(text.splitlines())} lines.")
    checked = configuration.read(file)
    if checked is None:
        print(f"Mend it with an editor, then: sudo gatepost check --config {file}", file=sys.stderr)
        return 1
    if not args.yes:
        _offer_trials(file, answers)
    print("Next: sudo gatepost check; sudo systemctl restart gatepost; sudo gatepost status")
    return 0


def _prompt(args: argparse.Namespace) -> Answers:
    """Everything that cannot be found out. Raises ValueError, EOFError."""
    ask = _default_of if args.yes else _question
    host = re.sub(r"[^A-Za-z0-9._-]", "-", platform.node()) or "kiosk-1"
    site = args.site or ask("Site (the place where this kiosk stands)", "site", _name)
    kiosk = args.kiosk or ask("Kiosk (a name that no other kiosk of the site has)", host, _name)
    words = args.broker or ask("Broker (HOST or HOST:PORT; 1883 is in the clear)", "localhost:1883", _broker)
    lanes = args.lanes or ask("Lanes (names; those that begin with exit are exits)", "entry", _lanes)
    problems = [_name(site), _name(kiosk), _broker(words), _lanes(lanes)]
    if problem := next(filter(None, problems), ""):
        raise ValueError(problem)
    address, port = broker_address(words)
    print("Looking at serial ports, I²C buses and cameras ...", flush=True)
    found = list(discovery.everything())
    for number, each in enumerate(found, 1):
        print(f"  {number}  {each.bus:7} {each.name}  {each.maker}  {each.driver or each.note}".rstrip())
    used: set[str] = set()
    chosen = {
        lane: {part: _device(ask, lane, part, found, used) for part in compose.PARTS} for lane in lanes.split(",")
    }
    return Answers(site, kiosk, address, port, chosen)


def _device(
    ask: Callable[[str, str, Callable[[str], str]], str],
    lane: str,
    part: str,
    found: Sequence[Found],
    used: set[str],
) -> Choice:
    """The device of a lane's part, by its number, its driver, or `none` for a stand-in."""
    known = registry.names(_KINDS[part])
    likely = compose.proposal(part, [(each.driver, each.options, each.bus, each.name) for each in found], used)

    def fault(words: str) -> str:
        first = words.split()
        if words == "none" or (words.isdecimal() and 1 <= int(words) <= len(found)):
            return ""
        if first[0] not in known:
            return f"{first[0]} is no number of the list and no driver; there are none, {', '.join(known)}"
        return "" if all("=" in word for word in words.split()[1:]) else "settings are written name=value"

    default = "none" if likely is None else str(likely + 1)
    words = ask(f"{lane}.{part} (number, none, or DRIVER name=value …)", default, fault)
    if words == "none":
        return SIMULATED[part]
    if not words.isdecimal():
        driver, *pairs = words.split()
        return Choice(driver, {name: _literal(value) for name, _, value in (pair.partition("=") for pair in pairs)})
    one = found[int(words) - 1]
    used.add(one.name)
    kind, _, driver = one.driver.partition("/")
    if kind == _KINDS[part]:
        options = dict(one.options)
        named = {"i2c": "bus", "serial": "port", "camera": "device"}[one.bus]
        return Choice(driver, {named: one.name, **options} if named not in options else options)
    if one.bus == "camera":
        return Choice("camera", {"device": one.name})
    driver, option = _SILENT[part]
    return Choice(driver, {option: one.name})


def _literal(value: str) -> object:
    if value in ("true", "false"):
        return value == "true"
    return int(value) if re.fullmatch(r"-?\d+", value) else value


def _question(text: str, default: str, fault: Callable[[str], str]) -> str:
    """Ask until the answer is right; an empty one is the default. Raises EOFError."""
    while True:
        answer = input(f"{text} [{default}]: ").strip() or default
        if not (what := fault(answer)):
            return answer
        print(f"  {what}")


def _default_of(_text: str, default: str, _fault: Callable[[str], str]) -> str:
    return default


def _name(words: str) -> str:
    return "" if re.fullmatch(errors.NAME, words) else f"{words!r} is no name: it has {errors.NAME_FORM}"


def _lanes(words: str) -> str:
    return next(filter(None, map(_name, words.split(","))), "")


def _broker(words: str) -> str:
    try:
        broker_address(words)
    except ValueError as error:
        return str(error)
    return ""


def _offer_trials(file: Path, answers: Answers) -> None:
    """Try each real device that can be tried without opening a gate."""
    for lane, parts in answers.lanes.items():
        for part in ("scanner", "thermometer"):
            if parts[part] == SIMULATED[part]:
                continue
            if _question(f"Try {lane}.{part} for {_TRY_S:.0f} s? (y, n)", "n", lambda _: "") == "y":
                words = argparse.Namespace(
                    action="try", device=f"{lane}.{part}", options=[], seconds=_TRY_S, config=file
                )
                devices.run(words)
