"""The commented default configuration, written from the code: every setting with meaning, unit and default.

`config/agent.toml` is this text; a test holds the two together.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import typing
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import config
from agent.web.options import PanelOptions
from drivers import registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WIDTH = 100
_HEAD = """\
Gatepost's configuration, and the manual of all its settings.
A line that starts with "#" and a setting shows the default: remove the "#" to change it.
`gatepost check` finds every fault, with its line; `gatepost show` prints what is in force.
Relative paths start from the folder of this file.

In this order: the kiosk, its lanes with their devices, the trusted issuers, the policy, the broker;
then settings that seldom need a change; at the end all other drivers, to copy from."""
_YOURS = ("kiosk", "codes", "policy", "mqtt")
"""What every site sets; the first comes before the lanes, the others after them."""
_REST = "----- From here on the defaults are right for most kiosks. -----"
_DRIVERS = """\
----- All other drivers, each with its settings. -----
Copy a section over the one above it that has the same name. Remove the "#" before [section], driver
and the settings that name your device. The other settings have the values shown."""
_MORE_PARTS = """\
A lane may have a room sensor as well: any thermometer that is aimed at a wall in the
shade, away from people. Its section is [lanes.NAME.room], with a driver and its settings as
for a thermometer; it serves every lane that has none of its own.

A lane may have a range sensor too, in [lanes.NAME.range]: then a reading counts only while
somebody stands between min_distance_mm and max_distance_mm (in [screening]), and nobody is
measured while the sensor is down.

A lane may have a second scanner, in [lanes.NAME.card]: by any scanner's driver, mostly a reader
of cards (em4100, pn532, id_card). Codes and cards that are shown together count together.

An exit may have a push button, in [lanes.NAME.button]; then it needs neither scanner nor
thermometer. In a vehicle one lane has a satellite receiver, in [lanes.NAME.location]; it serves
all lanes (see [vehicle] and docs/venue.md).

A lane may have a lamp of three lights and a buzzer, in [lanes.NAME.lamp] and
[lanes.NAME.buzzer]: by any driver that can drive a gate, on the gate's board or on another. A
lamp's section says red, amber and green in place of the driver's channel, pin or line:
  [lanes.entry.lamp]
  driver = "serial_relay"
  port = "/dev/gatepost/entry-gate"
  red = 2
  amber = 3
  green = 4
What lights and sounds mean: docs/devices.md.

A lane may have a screen for the person, in [lanes.NAME.screen]: its size, and the directions of
the gate and the thermometer. Another process shows the pictures: docs/screen.md."""
_EXAMPLE: dict[str, dict[str, str]] = {
    "entry": {"scanner": "camera", "thermometer": "mlx90614", "gate": "serial_relay"},
    "exit": {"scanner": "line", "thermometer": "gy_mcu", "gate": "serial_relay"},
}
_GIVEN: dict[tuple[str, ...], str] = {
    ("kiosk", "id"): "kiosk-1",
    ("lanes.entry", "direction"): "entry",
    ("lanes.exit", "direction"): "exit",
}
"""Settings without a default, filled with an example ..."""
_LIKE: dict[str, Any] = {
    "baud": 9600,
    "header": "5a 5a 45 04",
    "length": 9,
    "object_at": 4,
    "line": 17,
}
"""... and those of any driver."""


def manual() -> str:
    """The whole text of `config/agent.toml`."""
    lines = [*_comment(_HEAD), *_sections(_YOURS[:1])]
    shown: set[str] = set()
    for lane, devices in _EXAMPLE.items():
        lines += ["", *_comment(_first_line(config.LaneOptions)), f"[lanes.{lane}]"]
        lines += _settings(f"lanes.{lane}", config.LaneOptions)
        for part, driver in devices.items():
            lines += _device(f"lanes.{lane}.{part}", part, driver, brief=driver in shown)
            shown.add(driver)
    screen = _settings("lanes.entry.screen", PanelOptions)
    lines += ["", *_comment(_MORE_PARTS), "#   [lanes.entry.screen]", *(f"#   {line}" for line in screen)]
    lines += _sections(_YOURS[1:])
    lines += ["", *_comment(_REST), *_sections([name for name in config.SECTIONS if name not in _YOURS])]
    lines += ["", *_comment(_DRIVERS)]
    listed: dict[str, str] = {}
    for part, kind in config.PARTS.items():
        if listed.setdefault(kind, part) != part:
            continue
        for driver in registry.names(kind):
            if driver not in shown:
                section = _device(f"lanes.entry.{part}", part, driver, brief=False)
                lines += [line if line.startswith("#") or not line else f"# {line}" for line in section]
    return "\n".join(lines) + "\n"


def _sections(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        cls = config.SECTIONS[name]
        yield from ("", *_comment(_first_line(cls)), f"[{name}]", *_settings(name, cls))


def documented(cls: type) -> dict[str, str]:
    """Field → the text that stands under it in the source of the dataclass, or of one that it extends."""
    texts: dict[str, str] = documented(cls.__base__) if cls.__base__ not in (None, object) else {}
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    if isinstance(body, ast.ClassDef):
        for node, following in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
            ):
                texts[node.target.id] = inspect.cleandoc(str(following.value.value))
    return texts


def _device(section: str, part: str, driver: str, *, brief: bool) -> Iterator[str]:
    module = registry.load(config.PARTS[part], driver)
    yield ""
    yield from _comment(_first_line(module))
    yield f"[{section}]"
    yield f'driver = "{driver}"'
    yield from _settings(section, module.Options, brief=brief)


def _settings(section: str, cls: type, *, brief: bool = False) -> Iterator[str]:
    texts = documented(cls)
    for entry in dataclasses.fields(cls):
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if brief and not required:
            continue
        yield from _comment(" ".join(texts.get(entry.name, "").split()))
        if required:
            yield f"{entry.name} = {_toml(_GIVEN.get((section, entry.name)) or _example(section, entry.name))}"
        elif _default(entry) is None:
            yield f"# ({entry.name} is not set)"
        else:
            yield f"# {entry.name} = {_toml(_default(entry), as_hex=entry.name == 'address')}"


def _example(section: str, name: str) -> Any:
    lane, part = section.split(".")[1:]
    return f"/dev/gatepost/{lane}-{part}" if name in ("port", "device") else _LIKE[name]


def _default(entry: dataclasses.Field[Any]) -> Any:
    return (
        entry.default if entry.default is not dataclasses.MISSING else typing.cast("Any", entry.default_factory)()
    )


def _toml(value: Any, *, as_hex: bool = False) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() if as_hex:
            return hex(value)
        case Enum():
            return _toml(value.value)
        case str() | Path():
            text = str(value).replace("\\", "\\\\").replace('"', '\\"').encode("unicode_escape").decode()
            return f'"{text}"' if str(value).isascii() and str(value).isprintable() else f'"{value}"'
        case list() | tuple():
            return f"[{', '.join(_toml(part) for part in value)}]"
        case _:
            return str(value)


def _first_line(thing: Any) -> str:
    """First paragraph of its docstring."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def _comment(text: str) -> Iterator[str]:
    for paragraph in text.splitlines():
        yield from textwrap.wrap(paragraph, _WIDTH, initial_indent="# ", subsequent_indent="# ") or ["#"]
