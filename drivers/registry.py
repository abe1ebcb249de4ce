"""What drivers there are: (kind, name) → module. Modules are imported only when a device is configured."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from types import ModuleType

KINDS = ("scanners", "thermometers", "ranging", "outputs", "inputs", "positioning")


def names(kind: str) -> list[str]:
    """The drivers of `kind`, sorted: the files of that folder. Imports none of them."""
    return list(_names(kind))


@cache  # `gatepost check` asks again with the rights of a user who may not enter this folder
def _names(kind: str) -> tuple[str, ...]:
    if kind not in KINDS:
        raise KeyError(kind)
    folder = Path(__file__).parent / kind
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(folder)])))


def load(kind: str, name: str) -> ModuleType:
    """The module of one driver. Raises KeyError for an unknown name."""
    if name not in names(kind):
        raise KeyError(f"{kind}/{name}")
    return importlib.import_module(f"drivers.{kind}.{name}")


def options_class(kind: str, name: str) -> type:
    """The frozen dataclass of a driver's options."""
    return cast("type", load(kind, name).Options)
