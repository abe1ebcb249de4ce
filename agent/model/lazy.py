"""What a start does not need is made later: methods of value classes, and modules that are rarely used.

`dataclass` is that of the standard library, with methods that are made when the first of them is called.

`dataclasses` writes and compiles six methods of each class while its module is imported: half a millisecond on a
PC, and of two hundred classes more than a third of the agent's start. Of most of them a start needs no method. What
is left is made by `make_some`, in a quiet moment: nobody at a gate waits for it.
"""

from __future__ import annotations

import dataclasses
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from dataclasses import dataclass  # for type checkers it is the same

__all__ = ["dataclass", "make_some", "module_later"]

_COMPARED = ("__repr__", "__eq__", "__hash__")
_METHODS = ("__init__", *_COMPARED)
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
    """A method that is made when it is called, and then does what it was called for."""

    def method(self: object, *args: object, **keywords: object) -> Any:
        _make(cls, ("__init__",) if name == "__init__" else _COMPARED)
        return getattr(cls, name)(self, *args, **keywords)

    return method


def _make(cls: type, wanted: Collection[str]) -> None:
    """Make those of the wanted methods that are not made yet. Any thread; a second time changes nothing."""
    missing = [name for name in _unmade.get(cls, ()) if name in wanted]
    if "__init__" in missing and all(entry.init and not entry.kw_only for entry in dataclasses.fields(cls)):
        cls.__init__ = _written_init(cls)  # type: ignore[misc]  # it is the class's own
        missing.remove("__init__")
    if missing:
        twin = _twin(cls)
        for name in missing:
            setattr(cls, name, vars(twin)[name])
    if left := tuple(name for name in _unmade.get(cls, ()) if name not in wanted):
        _unmade[cls] = left
    else:
        _unmade.pop(cls, None)


def _written_init(cls: type) -> Callable[..., None]:
    """`__init__` as the standard library writes it, which cannot be asked for it alone."""
    given: dict[str, object] = {"_set": object.__setattr__, "_none": object()}
    parameters, lines = ["self"], []
    for entry in dataclasses.fields(cls):
        name, parameter, value = entry.name, entry.name, entry.name
        if entry.default is not dataclasses.MISSING:
            given[f"_default_{name}"] = entry.default
            parameter = f"{name}=_default_{name}"
        elif entry.default_factory is not dataclasses.MISSING:
            given[f"_factory_{name}"] = entry.default_factory
            parameter, value = f"{name}=_none", f"_factory_{name}() if {name} is _none else {name}"
        parameters.append(parameter)
        lines.append(f"  _set(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("  self.__post_init__()")
    body = "\n".join(lines) or "  pass"
    text = f"def make({', '.join(given)}):\n def __init__({', '.join(parameters)}):\n{body}\n return __init__"
    scope: dict[str, Any] = {}
    exec(text, sys.modules[cls.__module__].__dict__, scope)  # noqa: S102 - of the names of fields alone
    made: Callable[..., None] = scope["make"](**given)
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = {entry.name: entry.type for entry in dataclasses.fields(cls)} | {"return": None}
    return made


def _twin(cls: type) -> type:
    """A class of the same fields by the standard library."""
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
    return dataclasses.make_dataclass(cls.__name__, fields, namespace=namespace, frozen=True, slots=True)


def make_some(most: int) -> bool:
    """Make the methods of at most so many classes; whether some are left."""
    for cls in list(_unmade)[:most]:
        _make(cls, _METHODS)
    return bool(_unmade)


def module_later(package: str, name: str) -> None:
    """Let `package.name` be loaded when one of its names is first used, also for others who import it."""
    full, parent = f"{package}.{name}", import_module(package)
    if full in sys.modules:
        return

    def load(wanted: str) -> Any:
        if sys.modules.get(full) is stand_in:
            del sys.modules[full]
        return getattr(import_module(full), wanted)

    stand_in = ModuleType(full)
    vars(stand_in)["__getattr__"] = load
    sys.modules[full] = stand_in
    setattr(parent, name, stand_in)
