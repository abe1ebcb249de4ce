"""The central server's configuration over a kiosk's own: what it may say, what comes out, and whose line a fault
is."""

from __future__ import annotations

import copy
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import config
from agent.config import overlay
from agent.config.overlay import Overlay

OWN = """\
[kiosk]
id = "k1"
[screening]
calibrated_threshold_c = 37.3
[lanes.entry]
direction = "entry"
scanner = { driver = "line", port = "/dev/ttyACM0" }
thermometer = { driver = "gy_mcu", port = "/dev/ttyUSB0" }
gate = { driver = "serial_relay", port = "/dev/ttyUSB1" }
"""
FILE = Path("/etc/gatepost/agent.toml")

names = st.sampled_from(["a", "b", "c"])
trees: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(names, st.integers() | st.lists(st.integers(), max_size=2), max_size=3),
    lambda below: st.dictionaries(names, below | st.integers(), max_size=3),
    max_leaves=10,
)


def value(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


@given(trees, trees)
def test_what_lies_above_wins_and_all_else_stays(own: dict[str, Any], over: dict[str, Any]) -> None:
    before = copy.deepcopy((own, over))
    merged = overlay.laid_over(own, over)
    said = set(overlay.leaves(over))
    tables = {path for path in said if value(over, path) == {}}
    assert all(value(merged, path) == value(over, path) for path in said - tables)
    covered = {path[: n + 1] for path in said for n in range(len(path))}
    kept = [path for path in overlay.leaves(own) if not any(path[: n + 1] in said for n in range(len(path)))]
    assert all(value(merged, path) == value(own, path) for path in kept if path not in covered)
    assert (own, over) == before, "nothing is changed in place"


def faults(text: str) -> list[str]:
    with pytest.raises(config.BadConfig) as caught:
        config.parse(OWN, FILE, Overlay(5, text))
    return list(map(str, caught.value.faults))


def test_key_by_key() -> None:
    found = config.parse(OWN, FILE, Overlay(5, "[screening]\nwindow_s = 3.0\n[lanes.entry]\nrelease_s = 2.0\n"))
    own = config.parse(OWN, FILE)
    assert found.screening.window_s == 3.0
    assert found.screening.calibrated_threshold_c == own.screening.calibrated_threshold_c
    assert found.lanes["entry"].release_s == 2.0
    assert found.lanes["entry"].scanner == own.lanes["entry"].scanner


@pytest.mark.parametrize(
    "text",
    [
        '[kiosk]\nid = "k2"\n',
        '[mqtt]\nhost = "elsewhere"\n',
        '[mqtt]\nusername = "x"\n',
        '[codes]\nkeys = "mine.toml"\n',
        '[clock]\nsource = "system"\n',
        '[outbox]\npath = "/tmp/x"\n',
        '[runtime]\ndirectory = "/tmp/x"\n',
        '[lanes.entry]\ndirection = "exit"\n',
        '[lanes.entry.gate]\nport = "/dev/null"\n',
        '[screening]\nbaseline_file = "x"\n',
        '[health]\nmetrics_file = "x"\n',
        '[policy]\ntable = "/tmp/lax.toml"\n',
        '[policy]\ntable = "lax.toml"\n',
        '[policy]\ntable = "../../../../tmp/lax"\n',
    ],
)
def test_what_is_the_kiosk_s_own_stays_its_own(text: str) -> None:
    (fault,) = faults(text)
    section, key = text.splitlines()
    assert fault.startswith(
        f"central server's configuration 5:2: {section.strip('[]')}.{key.split()[0]}: is the kiosk's own"
    )


def test_faults_have_the_line_of_whoever_said_it() -> None:
    found = faults("[screening]\nthresold_c = 37.0\nwindow_s = 'long'\n[lanes.gate7]\nrelease_s = 1.0\n")
    assert (
        found[0]
        == "central server's configuration 5:2: screening.thresold_c: unknown setting; did you mean threshold_c?"
    )
    assert found[1].startswith(
        "central server's configuration 5:3: screening.window_s: should be a number, without quotes"
    )
    assert "central server's configuration 5:4: lanes.gate7: there is no such lane on this kiosk" in found


def test_text_that_is_no_toml() -> None:
    assert faults("[screening\n") == [
        "central server's configuration 5:1: is not TOML: Expected ']' at the end of a table declaration"
    ]


@pytest.mark.parametrize("own", ["lanes = 3\n", "[screening]\ncalibrated_threshold_c = 'x'\n", "screening = 3\n"])
def test_a_wrong_file_below_is_told_as_well(own: str) -> None:
    with pytest.raises(config.BadConfig) as caught:
        config.parse(own, FILE, Overlay(5, "[lanes.entry]\nrelease_s = 2.0\n"))
    assert str(FILE) in str(caught.value)


def test_who_said_what() -> None:
    said = config.parse(OWN, FILE, Overlay(5, "[screening]\ncalibrated_threshold_c = 37.0\n")).said
    assert str(said["screening", "calibrated_threshold_c"]) == "central server's configuration 5:2"
    assert str(said["kiosk", "id"]) == f"{FILE}:2"
    assert str(said["lanes", "entry", "gate", "port"]) == f"{FILE}:9"
    assert ("screening", "window_s") not in said


def test_every_key_that_may_be_said_is_one_that_there_is() -> None:
    assert set(config.SECTIONS) >= overlay.SECTIONS
    fields = {(name, entry.name) for name, cls in config.SECTIONS.items() for entry in dataclasses.fields(cls)}
    assert fields >= overlay.KEYS | overlay.FILES
    assert {entry.name for entry in dataclasses.fields(config.LaneOptions)} >= overlay.LANE_KEYS


def test_no_file_and_no_secret_may_be_said_from_afar() -> None:
    for name in overlay.SECTIONS:
        for entry in dataclasses.fields(config.SECTIONS[name]):
            if "Path" in str(entry.type) or "secret" in str(entry.type):
                assert (name, entry.name) in overlay.FILES


def test_the_deployer_is_told_of_every_key() -> None:
    text = (Path(__file__).parents[3] / "docs" / "health.md").read_text()
    table = text.partition("| it may change |")[2].partition("\n\n")[0]
    told = {cell.split("|")[1] for cell in table.splitlines()[2:]}
    named = {word for cell in told for word in re.findall(r"`\[?([\w.]+)\]?`", cell)}
    assert named == overlay.SECTIONS | overlay.LANE_KEYS | {word for path in overlay.KEYS for word in path}
