"""The formats of codes: one file each, found by itself.

A file offers what `CodeFormat` names. Where pinned keys sign the format, it also has `KEYS`: which kinds of keys.
Two files are different: `opaque` is tried when no format recognises a code; `who` has no codes of its own, `dcc`
hands certificates over to it.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore
    from agent.model import TimeBounds, Verdict


class CodeFormat(Protocol):
    """What a format's file offers. One whose codes have no prefix of their own also sets `WITHOUT_PREFIX`."""

    FORMAT: str
    """Its name in a verdict."""
    TITLE: str
    """What people call it."""

    def recognises(self, payload: bytes) -> bool:
        """Whether the payload is of this format."""

    def check(self, payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
        """Verdict on a payload that is recognised. Raises CheckFailed."""


_MEMBERS = ("FORMAT", "TITLE", "recognises", "check")


@functools.cache
def format_files() -> tuple[Any, ...]:
    """Every file of this package, by name."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}") for name in names)


@functools.cache
def all_formats() -> tuple[CodeFormat, ...]:
    """Every format, by the name of its file; those without a prefix of their own last (`WITHOUT_PREFIX`)."""
    found = [each for each in format_files() if all(hasattr(each, member) for member in _MEMBERS)]
    return tuple(sorted(found, key=lambda each: getattr(each, "WITHOUT_PREFIX", False)))


def titles() -> dict[str, str]:
    """What people call each format, by its name in a verdict."""
    return {each.FORMAT: each.TITLE for each in format_files() if hasattr(each, "TITLE")}
