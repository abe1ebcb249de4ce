"""Relay boards, expanders and chips have several outputs: which part of the configuration uses which.

A lamp is one section with an output for each light in place of the driver's own: `green = 2` for `channel = 2`.
"""

from __future__ import annotations

import dataclasses
import os
import typing
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from agent.indicators import COLUMN
from agent.model.lazy import dataclass
from drivers import registry
from drivers.contract import BOARD, OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Device:
    """One device: a driver and its options."""

    kind: str
    driver: str
    options: Any


@dataclass(frozen=True, slots=True)
class Lamp(Device):
    """Three outputs of one board; `options` is of the driver's `lamp_class`."""

    @property
    def lights(self) -> dict[str, Device]:
        """Light → the output that it is."""
        cls = registry.options_class(self.kind, self.driver)
        values = {entry.name: getattr(self.options, entry.name) for entry in dataclasses.fields(self.options)}
        of_light = {light: values.pop(light) for light in COLUMN}
        return {
            light: Device(self.kind, self.driver, cls(**values, **{output_of(cls): number}))
            for light, number in of_light.items()
        }


def output_of(cls: type) -> str:
    """The option of a driver that selects the output."""
    (name,) = _marked(cls, OUTPUT)
    return name


@cache
def lamp_class(cls: type) -> type:
    """A driver's options with `red`, `amber` and `green` in place of its output."""
    hints = typing.get_type_hints(cls, include_extras=True)
    output = hints.pop(output_of(cls))
    rest = [
        (entry.name, hints[entry.name], dataclasses.field(default=entry.default, kw_only=True))
        for entry in dataclasses.fields(cls)
        if entry.name in hints
    ]
    lights = [(str(light), output, dataclasses.field(kw_only=True)) for light in COLUMN]
    return dataclasses.make_dataclass("Options", [*lights, *rest], frozen=True)


Where: TypeAlias = tuple[str, ...]
"""A path in the configuration: `("lanes", "entry", "lamp")`."""


def faults(parts: Mapping[Where, Device]) -> Iterator[tuple[Where, str]]:
    """(where, sentence) for what cannot be together."""
    taken: dict[tuple[object, ...], Where] = {}
    wires: dict[tuple[object, ...], list[tuple[Where, Device]]] = {}
    for path, device in parts.items():
        for name, output in _outputs(path, device):
            first = taken.setdefault(_place(output), name)
            if first != name:
                yield name, f"is the same output as {'.'.join(first)}"
        setting, wire = _wire(device.options)
        for first_path, first_device in wires.get(wire, ()):
            if fault := _apart(setting, first_device, device):
                yield (*path, setting), f"{fault} {'.'.join(first_path)}"
                break
        if setting:
            wires.setdefault(wire, []).append((path, device))


def _wire(options: Any) -> tuple[str, tuple[object, ...]]:
    """The setting that says by what a device is reached, and what it says: a port, an address on a bus, a camera.
    "" of one that is reached by something else.
    """
    if port := getattr(options, "port", ""):
        return "port", (os.path.realpath(port),)
    if bus := getattr(options, "bus", ""):
        return "bus", (os.path.realpath(bus), options.address)
    if device := getattr(options, "device", ""):
        return "device", (device if "://" in device else os.path.realpath(device),)
    return "", ()


def _outputs(path: Where, device: Device) -> Iterator[tuple[Where, Device]]:
    if isinstance(device, Lamp):
        yield from (((*path, light), each) for light, each in device.lights.items())
    elif device.kind == "outputs":
        yield (*path, output_of(type(device.options))), device


def _place(output: Device) -> tuple[object, ...]:
    """Board and output; an output without a board shares with nobody."""
    cls = type(output.options)
    board = [getattr(output.options, name) for name in _marked(cls, BOARD)]
    return (output.driver, *board, getattr(output.options, output_of(cls))) if board else (id(output),)


def _apart(name: str, first: Device, second: Device) -> str:
    """Why two devices cannot be reached by the same `name`; empty if they can."""
    one, other = first.options, second.options
    if hasattr(one, "region") and hasattr(other, "region"):
        return (
            ""
            if _see_apart(one, other)
            else "is the camera of another scanner too, without regions of its picture that lie apart:"
        )
    if {first.kind, second.kind} != {"outputs"} or first.driver != second.driver:
        return _ANOTHER[name]
    if getattr(one, name) != getattr(other, name):
        return f"is the same {name} under another name: write it as in"
    if getattr(one, "baud", None) != getattr(other, "baud", None):
        return "is shared, so its baud must be that of"
    return ""


_ANOTHER = {
    "port": "is the port of another device:",
    "bus": "has another device at this address:",
    "device": "is the device of another scanner:",
}


def _see_apart(one: Any, other: Any) -> bool:
    """Whether two lanes have parts of one camera's picture, turned alike, that lie apart."""
    mine, its = one.region, other.region
    if mine is None or its is None or (one.rotate, one.mirror) != (other.rotate, other.mirror):
        return False
    return any(mine[end] <= its[start] or its[end] <= mine[start] for start, end in ((0, 2), (1, 3)))


def _marked(cls: type, mark: str) -> list[str]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return [name for name, hint in hints.items() if mark in getattr(hint, "__metadata__", ())]
