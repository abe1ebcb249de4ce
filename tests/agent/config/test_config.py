"""The configuration: what is right loads, and what is wrong is all said at once, with line and nearest key."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import config
from agent.config import errors, manual, typed
from agent.config.effective import effective
from agent.config.toml_lines import lines_of
from drivers import registry

ROOT = Path(__file__).parents[3]
SMALLEST = """\
[kiosk]
id = "k1"
[lanes.entry]
direction = "entry"
[lanes.entry.scanner]
driver = "line"
port = "/dev/ttyACM0"
[lanes.entry.thermometer]
driver = "gy_mcu"
port = "/dev/ttyUSB0"
[lanes.entry.gate]
driver = "serial_relay"
port = "/dev/ttyUSB1"
"""
FILE = Path("/etc/gatepost/agent.toml")


def faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(config.BadConfig) as caught:
        config.parse(text, FILE)
    return [(fault.place.line, f"{fault.path}: {fault.text}") for fault in caught.value.faults]


def test_the_smallest_configuration_is_all_defaults() -> None:
    found = config.parse(SMALLEST, FILE)
    assert found.kiosk.id == "k1"
    assert found.lanes["entry"].release_s == config.LaneOptions(direction="entry").release_s  # type: ignore[arg-type]
    assert found.lanes["entry"].thermometer.driver == "gy_mcu"


def test_all_faults_are_told_at_once_with_their_lines() -> None:
    text = SMALLEST.replace('id = "k1"', "id = 7\nsitte = 'x'").replace('"entry"\n', '"sideways"\n') + (
        "[mqqt]\nhost = 'h'\n[checkpoint]\nrescan_after_admit_s = -1\ntemperature_timeout_s = 'soon'\n"
    )
    found = dict(faults(text))
    assert "should be text in quotes" in found[2]
    assert found[3] == "kiosk.sitte: unknown setting; did you mean site?"
    assert "should be 'entry', 'exit' or 'check'" in found[5]
    assert found[15] == "mqqt: unknown setting; did you mean mqtt?"
    assert "greater than 0" in found[18]
    assert "should be a number, without quotes" in found[19]


def test_an_unknown_driver_names_the_nearest_and_all() -> None:
    ((line, text),) = faults(SMALLEST.replace('"gy_mcu"', '"gy_mcux"'))
    assert line == 9
    assert "did you mean gy_mcu?" in text
    assert "mlx90614" in text


def test_a_missing_part_says_which_section_to_add() -> None:
    cut = SMALLEST[: SMALLEST.index("[lanes.entry.gate]")]
    assert faults(cut) == [
        (3, "lanes.entry: has no gate: add a section [lanes.entry.gate] with a driver"),
    ]


def test_a_lane_without_a_gate_counts_no_openings() -> None:
    cut = SMALLEST[: SMALLEST.index("[lanes.entry.gate]")].replace('"entry"\n', '"check"\ncounts = "in"\n')
    ((line, text),) = faults(cut)
    assert (line, text) == (
        5, 'lanes.entry.counts: counts openings, and a lane with direction = "check" has no gate: leave it out'
    )  # fmt: skip


def test_a_missing_setting_of_a_driver_is_named() -> None:
    ((line, text),) = faults(SMALLEST.replace('port = "/dev/ttyUSB0"\n', ""))
    assert (line, text) == (8, "lanes.entry.thermometer.port: is missing and has no default")


def test_settings_that_contradict_each_other_are_one_sentence() -> None:
    ((line, text),) = faults(SMALLEST + "[screening]\nmin_skin_c = 40.0\n")
    assert line == 15, "the setting's own"
    assert text.startswith(
        "screening.min_skin_c: presence_c ≤ min_skin_c < threshold_c < max_skin_c must hold (here presence_c = "
    )
    assert "min_skin_c = 40.0 °C" in text


def test_a_pulse_longer_than_the_gate_allows_is_a_fault() -> None:
    text = SMALLEST.replace('direction = "entry"', 'direction = "entry"\nrelease_s = 12')
    assert faults(text) == [(5, "lanes.entry.release_s: 12.0 s is longer than the gate's longest_s, 10.0 s")]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            "[checkpoint]\nrescan_after_admit_s = -1",
            ["greater than 0", "in seconds", "not -1", "for example rescan_after_admit_s = 5.0"],
        ),
        ("[mqtt]\nport = 70000", ["whole number", "at least 1 and at most 65535", "not 70000", "port = 1883"]),
        ("[mqtt]\nack_timeout_s = 3000", ["at least 1 and at most 300, in seconds", "3000 ms are 3 s"]),
        ("[outbox]\ncommit_ms = 50", ["at least 0 and at most 20, in milliseconds", "not 50", "commit_ms = 2.0"]),
        ("[screening]\nthreshold_c = 98.6", ["at least 0 and at most 60, in °C, not 98.6", "98.6 °F are 37.0 °C"]),
        ("[screening]\nwindow_s = 3 s", ["a number stands alone, without its unit: 3 for 3 s"]),
        ("[screening]\nwindow_s = 2s # so long", ["a number stands alone, without its unit: 2 for 2 s"]),
        ("[screening]\nwindow_s = 1e300", ["greater than 0 and at most 31622400, in seconds", "window_s = 2.0"]),
        (f"[screening]\nwindow_s = 1{'0' * 400}", ["at most 31622400, in seconds", "for example window_s = 2.0"]),
        (f"[screening]\nwindow_s = 1{'0' * 5000}", ["a number with thousands of digits"]),
        ("[screening]\nthreshold_c = 35,6", ["35,6 is no number: write it with a point, 35.6"]),
        ("[screening]\nthreshold_c = '35,6'", ['not "35,6"', "in °C", "for example threshold_c = 35.6"]),
        ("[screening]\nthreshold_c = inf", ["should be a number", "in °C", "not inf"]),
        ("[codes]\nlists = 'status.gpl'", ["a list of texts, in [ ]", 'for example lists = ["status.gpl"]']),
        ("[mqtt]\nprotocol = '4'", ["should be 'auto', '5' or '3.1.1'", 'not "4"', 'protocol = "auto"']),
        ("[mqtt]\ntls = 'yes'", ["true or false, without quotes", 'not "yes"', "tls = false"]),
        ("[lanes.my lane]", ["[lanes.my lane] is no section", "letters A to Z and a to z", "[lanes.main-entry]"]),
        ("[lanes.入口]", ["[lanes.入口] is no section", "letters A to Z and a to z"]),
        (
            "[lanes.'my lane']\ndirection = 'exit'",
            ["'my lane' is no name of a lane", "letters A to Z", "[lanes.main-entry]"],
        ),
        ("[runtime]\nlog_level = '高'", ["debug, info, warning or error", 'not "高"', 'log_level = "info"']),
    ],
)
def test_a_sentence_has_range_unit_value_and_example(setting: str, words: list[str]) -> None:
    text = "\n".join(what for _, what in faults(f"{SMALLEST}{setting}\n"))
    assert all(word in text for word in words), text


def test_a_secret_of_the_wrong_kind_is_not_shown() -> None:
    ((_, text),) = faults(SMALLEST + '[mqtt]\nusername = "k1"\npassword = 40961\n')
    assert text == 'mqtt.password: should be text in quotes: "like this"'


CLASSES = [*config.SECTIONS.values(), config.LaneOptions] + [
    registry.options_class(kind, driver)
    for kind in sorted(set(config.PARTS.values()))
    for driver in registry.names(kind)
]
SETTINGS = [(cls, entry.name) for cls in CLASSES for entry in dataclasses.fields(cls)]
of_each_class = pytest.mark.parametrize(
    "cls", dict.fromkeys(cls for cls, _ in SETTINGS), ids=lambda cls: f"{cls.__module__}.{cls.__qualname__}"
)


def told_of(cls: type, *values: object) -> Iterator[tuple[str, list[str]]]:
    """Each setting of a section with each of these values, which none may have: what is said of it."""
    for name, value in itertools.product((entry.name for entry in dataclasses.fields(cls)), values):
        reader = config._ConfigReader({}, Path("-"))
        assert reader.options((), cls, {name: value}) is None, (name, value)
        yield name, [fault.text for fault in reader.faults if fault.path.split(".")[0] == name]


@of_each_class
def test_no_setting_takes_infinity_and_each_says_what_it_takes(cls: type) -> None:
    for name, told in told_of(cls, math.inf, -math.inf, math.nan, [math.inf], {"x": 1}):
        assert told, name
        assert all(each.startswith("should be ") and "Input" not in each for each in told), (name, told)
        assert not any("of another kind" in each for each in told), (name, told)


@of_each_class
def test_no_number_is_beyond_all_sense(cls: type) -> None:
    for name, told in told_of(cls, 1e300, -1e300, 10**400, -(10**400)):
        assert len(told) == 1, name
        assert told[0].startswith("should be "), (name, told)


@of_each_class
def test_no_text_has_a_control_character(cls: type) -> None:
    """A path with one makes the system's calls raise, a user name with one the broker hang up."""
    for name, told in told_of(cls, "a\0b", "a\nb", "\x9b31m", ["a", "b\x7f"]):
        assert any(re.match(r"has a control character \(U\+00[0-9A-F]{2}\)", each) for each in told), (name, told)


@pytest.mark.parametrize(
    ("cls", "name"),
    [(cls, name) for cls, name in SETTINGS if typed.without_marks(typed.declared(cls)[name][1])[0] is Path],
)
def test_no_path_is_empty(cls: type, name: str) -> None:
    """It would be the configuration's own folder."""
    reader = config._ConfigReader({}, Path("-"))
    assert reader.options((), cls, {name: ""}) is None
    assert [fault.text for fault in reader.faults if fault.text.startswith("is empty: give a path")]


def test_every_default_is_within_its_own_limits() -> None:
    for cls, name in SETTINGS:
        field, _ = typed.declared(cls)[name]
        if field.default is not dataclasses.MISSING:
            assert list(errors.beyond(cls, {name: field.default})) == []


def test_a_contradiction_stands_on_the_line_of_its_setting() -> None:
    text = SMALLEST + "[screening]\nmin_distance_mm = 90\nmax_distance_mm = 80\n"
    assert faults(text)[0][0] == 15, "the one that the sentence begins with"


def test_no_lane_is_a_fault() -> None:
    assert faults('[kiosk]\nid = "k"\n')[0][1].startswith("lanes: a kiosk needs at least one lane")


def test_broken_toml_names_the_line() -> None:
    ((line, text),) = faults('[kiosk]\nid = "k1"\nsite = \n')
    assert line == 3
    assert "is not TOML" in text


@pytest.mark.parametrize("name", ["a/b", "+", "#", "", "x" * 65, "é", "a b"])
def test_a_name_that_would_break_a_topic_is_refused(name: str) -> None:
    ((line, text),) = faults(SMALLEST.replace('"k1"', f'"{name}"'))
    assert line == 2
    assert text.startswith("kiosk.id: should be letters A to Z and a to z, digits, `.`")


def test_a_setting_unlike_all_others_is_told_which_there_are() -> None:
    ((_, text),) = faults(SMALLEST + "[runtime]\nquux = 1\n")
    assert text == "runtime.quux: unknown setting; there are directory, log_level"


def test_an_unknown_level_of_the_log_is_told_the_known_ones() -> None:
    assert faults(SMALLEST + '[runtime]\nlog_level = "loud"\n')[0][1] == (
        'runtime.log_level: should be debug, info, warning or error, not "loud" (for example log_level = "info")'
    )


def test_relative_paths_start_from_the_file() -> None:
    found = config.parse(SMALLEST + '[runtime]\ndirectory = "run"\n', FILE)
    assert found.runtime.directory == FILE.parent / "run"


def test_secrets_are_masked() -> None:
    found = config.parse(SMALLEST + '[mqtt]\nusername = "k1"\npassword = "hunter2"\n', FILE)
    shown = str(effective(found))
    assert "hunter2" not in shown
    assert "********" in shown


def test_the_password_in_a_cameras_address_is_masked() -> None:
    camera = 'driver = "camera"\ndevice = "rtsp://guard:hunter2@10.0.0.7/stream"\n'
    file = SMALLEST.replace('driver = "line"\nport = "/dev/ttyACM0"\n', camera)
    shown = str(effective(config.parse(file, FILE)))
    assert "hunter2" not in shown
    assert "rtsp://********@10.0.0.7/stream" in shown


def test_what_is_shown_loads_again() -> None:
    found = config.parse(SMALLEST, FILE)
    tree = effective(found)
    assert tree["lanes"]["entry"]["scanner"]["port"] == "/dev/ttyACM0"
    assert set(tree) == {*config.SECTIONS, "lanes"}


def test_the_packaged_configuration_is_the_manual_of_the_code() -> None:
    assert (ROOT / "config" / "agent.toml").read_text(encoding="utf-8") == manual.manual(), (
        "run: gatepost show --manual > config/agent.toml"
    )


def test_the_packaged_configuration_is_right() -> None:
    found = config.load(ROOT / "config" / "agent.toml")
    assert set(found.lanes) == {"entry", "exit"}


def test_every_default_in_the_manual_is_the_default() -> None:
    """Taking the `#` away from every setting changes nothing."""
    text = manual.manual()
    end = text.index("# ----- All other drivers")
    opened = re.sub(r"^# (\w+ = )", r"\1", text[:end], flags=re.MULTILINE)
    assert tomllib.loads(opened)
    plain, full = config.parse(text, FILE), config.parse(opened, FILE)
    assert effective(plain) == effective(full)


@pytest.mark.parametrize("kind", ["scanners", "thermometers", "outputs", "ranging", "inputs", "positioning"])
def test_every_driver_in_the_manual_can_be_copied(kind: str) -> None:
    rest = manual.manual().partition("# ----- All other drivers")[2]
    found = []
    for section in re.split(r"^# \[lanes\.entry\.", rest, flags=re.MULTILINE)[1:]:
        values = tomllib.loads("\n".join(re.findall(r"^# (\w+ = .*)", section, flags=re.MULTILINE)))
        if config.PARTS[section.partition("]")[0]] == kind:
            found.append(config.device(kind, values.pop("driver"), values).driver)
    assert found


def test_every_setting_is_explained() -> None:
    for cls in (*config.SECTIONS.values(), config.LaneOptions):
        texts = manual.documented(cls)
        for field in dataclasses.fields(cls):
            assert texts.get(field.name, "").strip(), f"{cls.__module__}.{cls.__qualname__}.{field.name}"


names = st.text("abcdefg_-", min_size=1, max_size=6)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly
@given(st.dictionaries(names, st.dictionaries(names, st.integers() | st.text(max_size=5), max_size=4), max_size=5))
def test_lines_of_finds_every_key(tree: dict[str, dict[str, int | str]]) -> None:
    lines: list[str] = []
    where: dict[tuple[str, ...], int] = {}
    for section, table in tree.items():
        lines.append(f"[{section}]")
        where[(section,)] = len(lines)
        for key, value in table.items():
            text = (
                repr(value)
                if isinstance(value, int)
                else '"' + "".join(f"\\u{ord(c):04x}" for c in value if ord(c) < 0xD800) + '"'
            )
            lines.append(f"{key} = {text} # {key} = 1")
            where[section, key] = len(lines)
    assert lines_of("\n".join(lines)) == where


def test_lines_of_is_not_misled_by_long_values() -> None:
    text = 'a = """\n[x]\nb = 1\n"""\nc = [\n  1,\n  2, # d = 3\n]\n[s]\ne.f = 2\n'
    assert lines_of(text) == {("a",): 1, ("c",): 5, ("s",): 9, ("s", "e", "f"): 10}


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_list_of_faults(text: str) -> None:
    with pytest.raises(config.BadConfig) as caught:
        config.parse(text, FILE)
    assert str(caught.value)
