"""Bounds mean what those of `annotated_types` mean, for this project and for readers of types."""

from __future__ import annotations

from typing import Annotated

import annotated_types
import pydantic
import pytest

from drivers import bounds

NUMBERS = (-1, 0, 1, 2, 3)


@pytest.mark.parametrize("name", ["Gt", "Ge", "Lt", "Le"])
def test_pydantic_takes_each_as_that_of_annotated_types(name: str) -> None:
    ours, theirs = (
        pydantic.TypeAdapter(Annotated[int, getattr(each, name)(1)]) for each in (bounds, annotated_types)
    )
    assert ours.json_schema() == theirs.json_schema() != {"type": "integer"}
    for number in NUMBERS:
        assert _takes(ours, number) == _takes(theirs, number)


def test_pydantic_takes_a_length_as_that_of_annotated_types() -> None:
    ours, theirs = (pydantic.TypeAdapter(Annotated[str, each.Len(1, 3)]) for each in (bounds, annotated_types))
    assert ours.json_schema() == theirs.json_schema() == {"type": "string", "minLength": 1, "maxLength": 3}


def test_bounds_of_two_kinds_are_two_types() -> None:
    assert Annotated[int, bounds.Ge(1)] != Annotated[int, bounds.Le(1)]
    assert bounds.Ge(1) == bounds.Ge(1) != bounds.Ge(2)
    assert len({bounds.Ge(1), bounds.Ge(1), bounds.Gt(1)}) == 2
    assert repr(bounds.Len(1, 3)) == "Len(1, 3)"


def _takes(adapter: pydantic.TypeAdapter[int], number: int) -> bool:
    try:
        adapter.validate_python(number)
    except pydantic.ValidationError:
        return False
    return True
