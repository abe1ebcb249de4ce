"""A lane counts how often its lamp has turned green."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.simulators.lane import Lane

if TYPE_CHECKING:
    from pathlib import Path

RED, AMBER, GREEN = 2, 3, 4


@pytest.mark.parametrize(
    ("edges", "greens"),
    [
        ([(AMBER, True)], 0),
        ([(GREEN, True)], 0),
        ([(GREEN, True), (GREEN, False)], 1),
        ([(GREEN, True), (GREEN, False), (GREEN, True), (GREEN, False)], 1),
        ([(GREEN, True), (AMBER, True), (GREEN, False)], 1),
        ([(GREEN, True), (AMBER, True), (GREEN, False), (GREEN, True), (AMBER, False), (GREEN, False)], 2),
        ([(GREEN, True), (GREEN, False), (RED, True), (RED, False), (GREEN, True), (GREEN, False)], 2),
        ([(GREEN, True), (GREEN, False), (AMBER, True), (AMBER, False), (GREEN, True)], 1),
    ],
    ids=["never", "still green", "once", "winks", "amber comes first", "amber stays", "red between", "green again"],
)
def test_a_green_is_counted_when_it_ends_and_winks_are_one(
    tmp_path: Path, edges: list[tuple[int, bool]], greens: int
) -> None:
    lane = Lane(tmp_path / "in", lamp=True)
    for relay, on in edges:
        lane.device("gate").switch(relay, on=on)
    assert lane.greens() == greens
