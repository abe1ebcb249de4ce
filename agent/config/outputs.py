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
    ports: dict[str, tuple[Where, Device]] = {}
    for path, device in parts.items():
        for name, output in _outputs(path, device):
            first = taken.setdefault(_place(output), name)
            if first != name:
                yield name, f"is the same output as {'.'.join(first)}"
        port = getattr(device.options, "port", None)
        if port is not None:
            first_path, first_device = ports.setdefault(os.path.realpath(port), (path, device))
            if first_device is not device and (fault := _apart(first_device, device)):
                yield (*path, "port"), f"{fault} {'.'.join(first_path)}"


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


def _apart(first: Device, second: Device) -> str:
    """Why two devices cannot share a port; empty if they can."""
    if {first.kind, second.kind} != {"outputs"} or first.driver != second.driver:
        return "is the port of another device:"
    if first.options.port != second.options.port:
        return "is the same port under another name: write it as in"
    if getattr(first.options, "baud", None) != getattr(second.options, "baud", None):
        return "is shared, so its baud must be that of"
    return ""


def _marked(cls: type, mark: str) -> list[str]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return [name for name, hint in hints.items() if mark in getattr(hint, "__metadata__", ())]
