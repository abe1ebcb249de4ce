"""`gatepost devices`: list what is plugged in; try a device, record it, switch outputs off.

sudo gatepost devices                                 what is plugged in
sudo gatepost devices try entry.thermometer           a device of the configuration
gatepost devices try thermometers/gy_mcu port=/dev/ttyUSB0
gatepost devices record entry.thermometer day.jsonl   played back by the driver `replayed`
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import statistics
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

from agent import config
from agent.cli import configuration, outputs, running
from agent.cli.help import seconds
from agent.cli.running import NotRunning, RequestRefused, StreamedDevices
from agent.config.outputs import Device, Lamp
from agent.platform import access
from agent.supervisor import startup
from agent.texts import did_you_mean
from drivers import discovery, recording, registry
from drivers.contract import Distance, DriverError, Fix, Pressed, Reading, Sighting, Source

WINDOW = 20
"""Readings that the spread is taken of."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `devices`."""
    parser = subparsers.add_parser("devices", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    listing = actions.add_parser("list", help="ports, buses and cameras, and what each probably is (the default)")
    for each, default in ((parser, False), (listing, argparse.SUPPRESS)):
        each.add_argument(
            "--ask",
            action="store_true",
            default=default,
            help="also ask silent devices who they are; this sends bytes, which may move a relay board",
        )
    one = actions.add_parser("try", help="show live what a device says, with its quality; play a lamp or a buzzer")
    _add_device(one)
    off = actions.add_parser("off", help="switch off every gate, lamp and buzzer; needs the agent to be stopped")
    configuration.add_argument(off)
    record = actions.add_parser("record", help="keep what a device says in a file, for the `replayed` driver")
    _add_device(record, file=True)
    record.add_argument(
        "--codes", action="store_true", help="allow a scanner: code contents may be personal and stay in the file"
    )


def _add_device(parser: argparse.ArgumentParser, *, file: bool = False) -> None:
    parser.add_argument("device", help="LANE.PART of the configuration (entry.thermometer), or KIND/DRIVER")
    if file:
        parser.add_argument("file", type=Path, help="where to; must not exist")
    parser.add_argument("options", nargs="*", default=[], help="for KIND/DRIVER: its options, as port=/dev/ttyUSB0")
    parser.add_argument("--seconds", type=seconds, default=0.0, help="stop after so long (default: until Ctrl-C)")
    configuration.add_argument(parser)


def run(args: argparse.Namespace) -> int:
    """List, try, record or switch off."""
    if args.action in (None, "list"):
        return _list(ask_too=args.ask)
    if args.action == "off":
        return _off(args.config)
    device = _device(args)
    if device is None:
        return 1
    if device.kind == "outputs":
        return _show(args, device)
    return _watch(args, device, args.seconds, None) if args.action == "try" else _record(args, device)


def _off(file: Path) -> int:
    """All that the configuration names, and what the last good one does: the agent may have been killed with that,
    and the file been changed or spoilt since. After the service (`ExecStopPost=`) only what failed is named: the
    agent's own last words are to stand near the end of the journal.
    """
    result = os.environ.get("SERVICE_RESULT", "")
    quiet = bool(result)
    checked, last = configuration.read(file), startup.last_known_good(file)
    now = {} if checked is None else _outputs(checked)
    before = {} if last is None else _outputs(last)
    status = outputs.switch_off(now, quiet=quiet)
    gone = {f"{name} (last good configuration)": each for name, each in before.items() if each not in now.values()}
    outputs.switch_off(gone, quiet=quiet)  # may well be unplugged
    if status:
        _report_if_held(file)
    if result:  # the end of the log must say why
        exit_status = os.environ.get("EXIT_STATUS", "unknown")
        print(
            f"The agent had ended ({result}, exit status {exit_status}), so its outputs were"
            " switched off. Why it ended stands above: sudo gatepost check; journalctl -u gatepost -n 50",
            file=sys.stderr,
        )
    return 1 if checked is None else status


def _report_if_held(file: Path) -> None:
    """A port serves one program, and the agent may be that."""
    with contextlib.suppress(config.BadConfig, OSError):
        if running.is_running(config.load(file).runtime.directory):
            print("The agent runs and holds its devices: sudo systemctl stop gatepost", file=sys.stderr)


def _show(args: argparse.Namespace, device: Device) -> int:
    """Play a lamp or a buzzer. What hangs on an output that is named by its driver, nobody knows."""
    if args.action == "record" or not args.device.endswith((".lamp", ".buzzer")):
        print("A gate is not tried from here: it would open. A lane's lamp and buzzer are.", file=sys.stderr)
        return 1
    return outputs.show(device, args.seconds)


def _record(args: argparse.Namespace, device: Device) -> int:
    if device.kind == "scanners" and not args.codes:
        print("A recording of a scanner keeps what the codes say. If that is meant, add --codes.", file=sys.stderr)
        return 1
    try:
        with args.file.open("x") as file:
            return _watch(args, device, args.seconds, recording.Recorder(file, device.kind, device.driver))
    except OSError as trouble:
        print(access.why(trouble, args.file), file=sys.stderr)
        return 1


def _list(*, ask_too: bool) -> int:
    print("Looking at serial ports, I²C buses and cameras ...", file=sys.stderr, flush=True)
    count = 0
    for found in discovery.everything(ask_too=ask_too):
        count += 1
        print(f"{found.bus:7} {found.name}" + (f"  ({found.node})" if found.node not in ("", found.name) else ""))
        if found.maker:
            print(f"        {found.maker}")
        if found.driver:
            options = "  ".join(f"{name} = {_shown(name, value)}" for name, value in found.options.items())
            print(f'        probably driver = "{found.driver.partition("/")[2]}"  {options}')
            if not found.driver.startswith("signals/"):  # one does not try a gate from afar
                print(f"        try it: gatepost devices try {found.driver} {_try_words(found)}")
        if found.note:
            print(f"        {found.note}")
    if not count:
        print("No serial port, I²C bus or camera is here. I²C on a Raspberry Pi: raspi-config nonint do_i2c 0")
    return 0


def _try_words(found: discovery.Found) -> str:
    where = {"serial": "port", "i2c": "bus"}.get(found.bus)
    words = [f"{where}={found.name}"] if where else []
    return " ".join([*words, *(f"{name}={_shown(name, value)}" for name, value in found.options.items())])


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _shown(name: str, value: object) -> str:
    return hex(value) if name == "address" and isinstance(value, int) else _toml(value)


def _device(args: argparse.Namespace) -> Device | None:
    """The device that the words mean; None after saying what is wrong with them."""
    if "/" not in args.device:
        return _configured(args)
    kind, _, driver = args.device.partition("/")
    try:
        cls = registry.options_class(kind, driver)
    except KeyError:
        there = ", ".join(f"{each}/{name}" for each in registry.KINDS for name in registry.names(each))
        print(f"There is no driver {args.device}. There are: {there}", file=sys.stderr)
        return None
    try:
        return config.device(kind, driver, _values(cls, args.options))
    except ValueError as trouble:
        known = ", ".join(entry.name for entry in dataclasses.fields(cls))
        print(f"{args.device}: {trouble}. Its options are: {known}", file=sys.stderr)
        return None


def _configured(args: argparse.Namespace) -> Device | None:
    checked = configuration.read(args.config)
    if checked is None:
        return None
    if args.device not in _parts(checked):
        names = _parts(checked)
        near = did_you_mean(args.device, names) or "."
        print(f"There is no {args.device} in {args.config}{near} There are: {', '.join(names)}", file=sys.stderr)
        return None
    return _part(checked, args.device)


def _parts(checked: config.Config) -> list[str]:
    return [
        f"{name}.{part}" for name, lane in checked.lanes.items() for part in config.PARTS if getattr(lane, part)
    ]


def _outputs(checked: config.Config) -> dict[str, Device]:
    """Each by itself, the lights of a lamp too."""
    found: dict[str, Device] = {}
    for name in _parts(checked):
        device = _part(checked, name)
        if isinstance(device, Lamp):
            found |= {f"{name}.{light}": each for light, each in device.lights.items()}
        elif device.kind == "outputs":
            found[name] = device
    return found


def _part(checked: config.Config, name: str) -> Device:
    lane, _, part = name.rpartition(".")
    device: Device = getattr(checked.lanes[lane], part)
    return device


def _values(cls: type, words: list[str]) -> dict[str, Any]:
    """`name=value` words as the configuration would have them. Raises ValueError."""
    types = {entry.name: str(entry.type) for entry in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is not name=value")
        try:
            value: Any = tomllib.loads(f"value = {text}")["value"]
        except ValueError:
            value = text
        values[name] = text if types.get(name) in ("str", "Path") else value
    return values


def _source(args: argparse.Namespace, device: Device) -> Source:
    """The device's driver; or the device as the running agent lends it. Raises RequestRefused."""
    lane, _, part = args.device.rpartition(".")
    checked = configuration.read(args.config) if part in StreamedDevices.PARTS else None
    if checked is not None:
        with contextlib.suppress(NotRunning):
            lent = StreamedDevices(checked.runtime.directory, lane, part)
            print(f"The running agent lends it; {lane} sends people to staff until this ends.")
            return lent
    driver: Source = registry.load(device.kind, device.driver).Driver(device.options)
    return driver


def _watch(args: argparse.Namespace, device: Device, seconds: float, recorder: recording.Recorder | None) -> int:
    """Show what comes, until the time is up, Ctrl-C, or the device fails."""
    try:
        driver = _source(args, device)
    except RequestRefused as refused:
        print(refused, file=sys.stderr)
        return 1
    quality = _Quality()
    end_s = time.monotonic() + seconds if seconds else float("inf")
    try:
        driver.open()
        print(f"{device.driver} is open" + (" (simulated)" if driver.simulated else "") + ". Ctrl-C ends.")
        while time.monotonic() < end_s:
            item = driver.read(0.5)
            if item is None:
                continue
            if recorder is not None:
                recorder.add(item)
            print(quality.sentence(item), flush=True)
    except KeyboardInterrupt:
        print()
    except (DriverError, RequestRefused) as trouble:
        print(trouble, file=sys.stderr)
        _report_if_held(args.config)
        return 1
    finally:
        driver.close()
    print(quality.summary())
    return 0


class _Quality:
    """How good what comes is."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._count = 0
        self._recent: list[float] = []

    def sentence(self, item: object) -> str:
        """One item for a person. Of a code only its length: contents may be personal."""
        self._count += 1
        match item:
            case Reading():
                self._recent = [*self._recent, item.surface_c][-WINDOW:]
                spread = f", spread {statistics.pstdev(self._recent):.2f} over {len(self._recent)}"
                sensor = "" if item.sensor_c is None else f", sensor {item.sensor_c:.2f} °C"
                return f"surface {item.surface_c:.2f} °C ± {item.u_c:.1f}{sensor}{spread}"
            case Distance():
                return "nobody within reach" if item.distance_mm is None else f"{item.distance_mm:.0f} mm"
            case Fix():
                return f"{item.lat:.5f}° {item.lon:.5f}° ± {item.u_m:.0f} m"
            case Pressed():
                return "pressed"
            case Sighting():
                return f"a code of {len(item.payload)} bytes"
        return "the code has left the view"

    def summary(self) -> str:
        """The whole time in one line."""
        lasted_s = time.monotonic() - self._began_s
        return f"{self._count} in {lasted_s:.1f} s, {self._count / lasted_s:.1f} per second"
