"""What a setting or a field may be: `Gt`, `Ge`, `Lt`, `Le` and `Len` with the meaning that `annotated_types` gives
them.

That package is what readers of types know (pydantic for the published schemas), and its import is a twentieth of
the agent's start. So each of these is a group of one constraint of that package, which is imported when the group
is taken apart.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Bound:
    __slots__ = ("limits",)
    __is_annotated_types_grouped_metadata__ = True

    def __init__(self, *limits: float) -> None:
        self.limits = limits

    def __iter__(self) -> Iterator[object]:
        yield getattr(import_module("annotated_types"), type(self).__name__)(*self.limits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Bound) and (type(other), other.limits) == (type(self), self.limits)

    def __hash__(self) -> int:
        return hash((type(self), self.limits))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self.limits))})"


class _Limit(_Bound):
    """Of a number."""

    __slots__ = ()

    def __init__(self, limit: float) -> None:
        super().__init__(limit)

    @property
    def limit(self) -> float:
        """The number itself."""
        return self.limits[0]


class Gt(_Limit):
    """Greater than the limit."""

    __slots__ = ()


class Ge(_Limit):
    """At least the limit."""

    __slots__ = ()


class Lt(_Limit):
    """Less than the limit."""

    __slots__ = ()


class Le(_Limit):
    """At most the limit."""

    __slots__ = ()


class Len(_Bound):
    """So long: characters of a text, items of a list."""

    __slots__ = ()

    def __init__(self, least: int, most: int) -> None:
        super().__init__(least, most)
