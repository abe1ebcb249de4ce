"""The `dataclass` of the standard library, with methods that are made when the first of them is called.

`dataclasses` writes and compiles six methods of each class while its module is imported: half a millisecond on a
PC, and of two hundred classes more than a third of the agent's start. Of most of them a start needs no method. What
is left is made by `make_some`, in a quiet moment: nobody at a gate waits for it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass  # for type checkers it is the same

__all__ = ["dataclass", "make_some"]

_METHODS = ("__init__", "__repr__", "__eq__", "__hash__")
_SHARED = ("__dataclass_params__", "__getstate__", "__setstate__")
"""The same in all frozen classes with slots."""
_unmade: dict[type, tuple[str, ...]] = {}
"""Classes whose methods are not made yet, and which these are."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Template:
    """Has what they share."""


if not TYPE_CHECKING:

    def dataclass(**options: bool) -> Callable[[type], type]:
        """As `dataclasses.dataclass`. Frozen classes with slots, and no dataclass above them, get their methods
        later; all others at once.
        """

        def decorate(cls: type) -> type:
            if options != {"frozen": True, "slots": True} or any(map(dataclasses.is_dataclass, cls.__mro__)):
                return dataclasses.dataclass(**options)(cls)
            return _later(cls)

        return decorate


def _later(cls: type) -> type:
    made: type = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    own = tuple(name for name in _METHODS if name not in vars(cls))
    methods: dict[str, object] = {name: _maker(made, name) for name in own}
    methods |= {name: getattr(_Template, name) for name in _SHARED}
    methods |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
    for name, method in methods.items():
        setattr(made, name, method)
    _unmade[made] = own
    return made


def _refuse_to_set(_self: object, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _maker(cls: type, name: str) -> Callable[..., Any]:
    """A method that makes all of the class, and then does what it was called for."""

    def method(self: object, *args: object, **keywords: object) -> Any:
        _make(cls)
        return getattr(cls, name)(self, *args, **keywords)

    return method


def _make(cls: type) -> None:
    """Have a class of the same fields made, and take its methods. Any thread; a second time changes nothing."""
    fields = [
        (
            entry.name,
            entry.type,
            dataclasses.field(
                default=entry.default,
                default_factory=entry.default_factory,
                init=entry.init,
                repr=entry.repr,
                hash=entry.hash,
                compare=entry.compare,
                kw_only=entry.kw_only,
            ),
        )
        for entry in dataclasses.fields(cls)
    ]
    namespace = {"__qualname__": cls.__qualname__, "__module__": cls.__module__, "__doc__": cls.__doc__ or ""}
    if hasattr(cls, "__post_init__"):
        namespace["__post_init__"] = cls.__post_init__
    twin = dataclasses.make_dataclass(cls.__name__, fields, namespace=namespace, frozen=True)
    for name in _unmade.get(cls, ()):
        setattr(cls, name, vars(twin)[name])
    _unmade.pop(cls, None)


def make_some(most: int) -> bool:
    """Make the methods of at most so many classes; whether some are left."""
    for cls in list(_unmade)[:most]:
        _make(cls)
    return bool(_unmade)
