"""The configuration in force as plain values: what `gatepost show` prints, secrets masked."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import TYPE_CHECKING, Any

from agent.config import PARTS, SECTIONS, LaneOptions
from drivers.contract import MASK, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config import Config, LaneConfig
    from agent.config.outputs import Device

SECRET = "secret"  # noqa: S105 - the mark, not a secret


def effective(config: Config) -> dict[str, Any]:
    """The configuration as nested plain values, defaults filled in, secrets masked."""
    plain: dict[str, Any] = {name: _plain(getattr(config, name)) for name in SECTIONS}
    plain["lanes"] = {name: dict(_lane_plain(lane)) for name, lane in config.lanes.items()}
    return plain


def _lane_plain(lane: LaneConfig) -> Iterator[tuple[str, Any]]:
    for entry in dataclasses.fields(LaneOptions):
        yield entry.name, _scalar(getattr(lane, entry.name))
    for part in PARTS:
        device: Device | None = getattr(lane, part)
        if device is None:
            continue
        yield part, {"driver": device.driver, **_plain(device.options)}


def _plain(options: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(type(options), include_extras=True)
    values = {}
    for entry in dataclasses.fields(options):
        value = getattr(options, entry.name)
        values[entry.name] = MASK if value and _is_secret(hints[entry.name]) else _scalar(value)
    return values


def _is_secret(hint: Any) -> bool:
    if SECRET in getattr(hint, "__metadata__", ()):
        return True
    return isinstance(hint, types.UnionType) and any(_is_secret(part) for part in typing.get_args(hint))


def _scalar(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_scalar(part) for part in value]
    return value if value is None or isinstance(value, bool | int | float) else without_secrets(str(value))
