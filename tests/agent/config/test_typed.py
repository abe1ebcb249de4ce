"""Values as the types that settings declare: strict, and for every setting as an independent library reads them."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import config
from agent.config import outputs, typed
from agent.config.typed import Matches, Misfit, Misfits, declared, fitted, made_of
from agent.model import LaneType
from agent.model.bounds import Ge, Gt, Le, Lt
from drivers import registry

DRIVERS = [
    registry.options_class(kind, driver)
    for kind in sorted(set(config.PARTS.values()))
    for driver in registry.names(kind)
]
LAMPS = [outputs.lamp_class(registry.options_class("outputs", name)) for name in registry.names("outputs")]
CLASSES = [*config.SECTIONS.values(), config.LaneOptions, *DRIVERS, *LAMPS]
KINDS = {
    "|".join(sorted(map(repr, hints))): hints[0]
    for hints in ([hint] for cls in CLASSES for _, hint in declared(cls).values())
}
"""Each type that some setting has."""


def restated(of_type: Any) -> Any:
    """The same type for pydantic, which knows no `Matches`, and searches where a whole text is meant."""
    base, marks = typed.without_marks(of_type)
    if typing.get_origin(base) is tuple:
        base = tuple[*(each if each is Ellipsis else restated(each) for each in typing.get_args(base))]
    for mark in marks:
        if isinstance(mark, Matches):
            base = Annotated[base, pydantic.StringConstraints(pattern=rf"\A(?:{mark.pattern})\z")]
        elif isinstance(mark, Ge | Gt | Le | Lt):
            base = Annotated[base, mark]
    return base


@cache
def oracle(of_type: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(restated(of_type))


scalars = (
    st.booleans()
    | st.integers(-300, 70_000)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=6)  # of control characters \s is not one set
    | st.sampled_from(
        ["entry", "in", "k1\n", "k1", "info", "1", "ntp", "pedestrian", "", "up", "none", "auto", "N"]
    )
    | st.sampled_from([0, 1, 1.0, True, 90, 0x68, 3, 4, -1, 0.5])
)
values = scalars | st.lists(scalars, max_size=5)
MISFIT = object()


@settings(max_examples=300)
@given(value=values)
def test_the_same_values_fit_as_for_an_independent_library(value: object) -> None:
    """Of each value, by every type."""
    as_json = json.dumps(value)
    for name, of_type in KINDS.items():
        try:
            expected = oracle(of_type).validate_json(as_json, strict=True)
        except pydantic.ValidationError:
            expected = MISFIT
        assert as_fitted(of_type, value) == (expected, type(expected)), name


def as_fitted(of_type: Any, value: object) -> tuple[Any, type]:
    try:
        made = fitted(of_type, value)
    except Misfit:
        made = MISFIT
    return made, type(made)


def test_every_constraint_of_a_setting_is_known() -> None:
    for cls in CLASSES:
        for name, (_, hint) in declared(cls).items():
            _, marks = typed.without_marks(hint)
            unknown = [mark for mark in marks if not isinstance(mark, str) and type(mark) not in typed.HOLDS]
            assert not unknown, (cls, name)


@dataclass(frozen=True)
class Sample:
    lane: Annotated[str, Matches("^[a-z]+$")]
    wait_s: Annotated[float, Gt(0)] = 1.0
    names: tuple[Annotated[str, Matches("^[a-z]+$")], ...] = ()
    corner: tuple[float, float] | None = None
    kind: LaneType = LaneType.PEDESTRIAN
    turned: Literal[0, 90] = 0
    file: Path | None = None
    count: Annotated[int, Ge(0)] = 0

    def __post_init__(self) -> None:
        if self.wait_s > 10 and self.count:
            raise ValueError("count is 0 where wait_s is more than 10")


def test_what_is_given_becomes_what_is_declared() -> None:
    given_: dict[str, Any] = {"lane": "a", "wait_s": 2, "names": ["b", "c"], "corner": [0, 0.5], "kind": "vehicle"}
    assert made_of(Sample, given_ | {"turned": 90, "file": "x/y"}) == Sample(
        "a", 2.0, ("b", "c"), (0.0, 0.5), LaneType.VEHICLE, 90, Path("x/y")
    )


@pytest.mark.parametrize(
    ("more", "paths"),
    [
        ({"lane": 1}, [("lane",)]),
        ({"lane": "a\n"}, [("lane",)]),
        ({"names": ["b", "C"]}, [("names", 1)]),
        ({"names": "b"}, [("names",)]),
        ({"corner": [1.0]}, [("corner",)]),
        ({"corner": [1.0, "x"]}, [("corner", 1)]),
        ({"kind": "ship", "turned": 45, "count": True}, [("kind",), ("turned",), ("count",)]),
        ({"wait_s": 11, "count": 1}, [()]),
        ({"wait_s": math.nan}, [("wait_s",)]),
    ],
)
def test_each_misfit_has_its_place(more: dict[str, Any], paths: list[tuple[str | int, ...]]) -> None:
    with pytest.raises(Misfits) as caught:
        made_of(Sample, {"lane": "a"} | more)
    assert [misfit.path for misfit in caught.value.each] == paths


def test_a_setting_that_is_not_there_is_told_from_one_that_does_not_fit() -> None:
    with pytest.raises(Misfits) as caught:
        made_of(Sample, {})
    (misfit,) = caught.value.each
    assert (misfit.path, misfit.value) == (("lane",), dataclasses.MISSING)
