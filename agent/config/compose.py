"""A first configuration from a few answers: only the lines that matter. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.config.toml_text import toml_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARTS = ("scanner", "thermometer", "gate")
"""What each lane needs."""
_HEAD = """\
# Written by `gatepost setup`. Every setting there is, with its meaning: gatepost show --manual
# Check it after a change: sudo gatepost check. Then: sudo systemctl restart gatepost
"""
_TLS_PORT, _PLAIN_PORT = 8883, 1883


@dataclass(frozen=True, slots=True)
class Choice:
    """A driver with the settings that find its device."""

    driver: str
    options: Mapping[str, Any] = field(default_factory=dict)


SIMULATED = {
    "scanner": Choice("replayed"),
    "thermometer": Choice("replayed"),
    "gate": Choice("simulated"),
}
"""Stand-ins for what is not there yet: they work, say nothing, and move nothing."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What was asked for, and what was found."""

    site: str
    kiosk: str
    host: str
    port: int = _TLS_PORT
    lanes: Mapping[str, Mapping[str, Choice]] = field(default_factory=dict)
    """Name of the lane → part → device. A lane whose name begins with `exit` is one."""


def compose(answers: Answers) -> str:
    """The text of agent.toml."""
    mqtt: dict[str, Any] = {"host": answers.host, "port": answers.port}
    if answers.port != _PLAIN_PORT:
        mqtt["tls"] = True
    tree: dict[str, Any] = {
        "kiosk": {"id": answers.kiosk, "site": answers.site},
        "mqtt": mqtt,
        "lanes": {name: _lane(name, parts) for name, parts in answers.lanes.items()},
    }
    return _HEAD + "\n" + toml_text(tree)


def _lane(name: str, parts: Mapping[str, Choice]) -> dict[str, Any]:
    direction = "exit" if name.startswith("exit") else "entry"
    return {"direction": direction} | {
        part: {"driver": choice.driver, **choice.options} for part, choice in parts.items()
    }


def proposal(part: str, found: Sequence[tuple[str, Mapping[str, Any], str, str]], used: set[str]) -> int | None:
    """Which of `found` (driver, options, bus, name) is the likeliest for a part of a lane; None for none of them.

    A thermometer or scanner that was recognised goes first; a camera reads codes; what is on a serial port and says
    nothing may be a gate's relay or a scan engine, so it is proposed for a gate only.
    """
    kinds = {"scanner": "scanners/", "thermometer": "thermometers/", "gate": "outputs/"}
    for index, (driver, _, bus, name) in enumerate(found):
        if name in used:
            continue
        if driver.startswith(kinds[part]) or (part == "scanner" and bus == "camera"):
            return index
    if part == "gate":
        silent = [
            index for index, each in enumerate(found) if each[2] == "serial" and not each[0] and each[3] not in used
        ]
        return silent[0] if silent else None
    return None
