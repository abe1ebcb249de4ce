"""One table for a fleet, drop-ins over a file, and the text that is written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import config
from agent.config import fleet
from agent.config.compose import SIMULATED, Answers, compose, proposal
from agent.config.toml_text import toml_text
from agent.mqtt.options import broker_address

COMMON = """
[mqtt]
host = "broker.example"
[lanes.entry]
direction = "entry"
scanner = { driver = "line", port = "/dev/ttyUSB0" }
thermometer = { driver = "mlx90614" }
gate = { driver = "simulated" }
"""
TABLE = """kiosk.site,kiosk.id,mqtt.port,lanes.entry.scanner.port,mqtt.tls
east,k1,8883,/dev/gatepost/1-1.2-serial,true
east,k2,,,
"""

values = st.recursive(
    st.text() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
    lambda below: st.lists(below, max_size=3),
    max_leaves=4,
)
trees = st.recursive(
    st.dictionaries(st.text(max_size=8), values, max_size=4),
    lambda below: st.dictionaries(st.text(max_size=8), values | below, max_size=4),
    max_leaves=8,
)


@given(trees)
def test_what_is_written_is_read_again(tree: dict[str, object]) -> None:
    assert tomllib.loads(toml_text(tree)) == tree


def test_each_row_is_a_kiosk_over_the_common_file() -> None:
    first, second = fleet.render(TABLE, COMMON)
    assert (first.site, first.kiosk, first.line) == ("east", "k1", 2)
    one, other = (config.parse(row.text, Path("agent.toml")) for row in (first, second))
    assert (one.mqtt.port, one.mqtt.tls, one.mqtt.host) == (8883, True, "broker.example")
    assert (other.mqtt.port, other.kiosk.id) == (1883, "k2")
    assert str(one.lanes["entry"].scanner.options.port) == "/dev/gatepost/1-1.2-serial"  # type: ignore[attr-defined]


def test_a_name_of_digits_stays_a_name() -> None:
    (row,) = fleet.render("kiosk.site,kiosk.id,mqtt.username\n7,007,0042\n")
    tree = tomllib.loads(row.text)
    assert tree["kiosk"] == {"site": "7", "id": "007"}
    assert tree["mqtt"] == {"username": "0042"}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "no column kiosk.id and kiosk.site"),
        ("kiosk.id,host\n", "'host' is no path of a setting; an example is mqtt.host"),
        ("kiosk.site,kiosk.id,kiosk.id\n", "names a column twice"),
        ("kiosk.site,kiosk.id\na,b,c\n", "line 2: has 3 cells, the first line has 2"),
        ("kiosk.site,kiosk.id\na,\n", "line 2: names no kiosk.id"),
        ("kiosk.site,kiosk.id\na,b\n\na,b\n", "line 4: a/b stands on line 2 already"),
        ("kiosk.site,kiosk.id,mqtt.host\na,b,[1\n", ""),
        ('kiosk.site,kiosk.id,mqtt.host\na,b,"[1,]x]"\n', "mqtt.host: [1,]x] cannot be read"),
    ],
)
def test_a_table_with_a_fault_says_where(table: str, says: str) -> None:
    if not says:
        assert fleet.render(table)
        return
    with pytest.raises(fleet.BadFleetTable) as error:
        fleet.render(table)
    assert says in str(error.value)


def test_five_hundred_kiosks_are_one_table() -> None:
    rows = fleet.render("kiosk.site,kiosk.id\n" + "".join(f"s{n % 9},k{n}\n" for n in range(500)), COMMON)
    assert len({(row.site, row.kiosk) for row in rows}) == 500
    config.parse(rows[-1].text, Path("agent.toml"))


def kiosk_file(folder: Path, **drop_ins: str) -> Path:
    file = folder / "agent.toml"
    file.write_text('[kiosk]\nid = "k1"\n' + COMMON)
    for name, text in drop_ins.items():
        (folder / "agent.toml.d").mkdir(exist_ok=True)
        (folder / "agent.toml.d" / f"{name}.toml").write_text(text)
    return file


def test_a_drop_in_lies_over_the_file_and_the_next_over_it(tmp_path: Path) -> None:
    file = kiosk_file(tmp_path, a10='[mqtt]\nhost = "one"\nport = 1\n', b20='[mqtt]\nhost = "two"\n')
    (tmp_path / "agent.toml.d" / "notes.txt").write_text("no TOML")
    loaded = config.load(file)
    assert (loaded.mqtt.host, loaded.mqtt.port) == ("two", 1)
    assert str(loaded.said["mqtt", "host"]) == f"{tmp_path}/agent.toml.d/b20.toml:2"
    assert str(loaded.said["kiosk", "id"]) == f"{file}:2"
    assert [part.name for part in config.drop_ins(file)] == ["a10.toml", "b20.toml"]


def test_faults_name_the_drop_in_and_its_line(tmp_path: Path) -> None:
    file = kiosk_file(tmp_path, a="[mqtt]\n\nprot = 3\n", b="[kiosk\n", c="[mqtt]\nhost = 1 1\n")
    with pytest.raises(config.BadConfig) as error:
        config.load(file)
    assert [fault.place.text.rpartition("/")[2] for fault in error.value.faults] == ["b.toml", "c.toml"]
    file = kiosk_file(tmp_path, b="", c="")
    with pytest.raises(config.BadConfig) as error:
        config.load(file)
    assert str(error.value.faults[0]).startswith(f"{tmp_path}/agent.toml.d/a.toml:3: mqtt.prot: unknown setting")


def test_without_drop_ins_the_text_is_the_file(tmp_path: Path) -> None:
    file = kiosk_file(tmp_path)
    assert config.read(file) == file.read_text()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("broker.example", ("broker.example", 8883)),
        ("10.0.0.1:1883", ("10.0.0.1", 1883)),
        ("[2001:db8::1]:8884", ("2001:db8::1", 8884)),
        ("[2001:db8::1]", ("2001:db8::1", 8883)),
    ],
)
def test_a_broker_is_host_and_port(words: str, found: tuple[str, int]) -> None:
    assert broker_address(words) == found


@pytest.mark.parametrize("words", ["", ":1883", "host:", "host:x", "host:0", "host:65536"])
def test_what_is_no_broker_is_refused(words: str) -> None:
    if words == "host:":
        assert broker_address(words) == ("host", 8883)
        return
    with pytest.raises(ValueError, match=r"examples are broker\.example"):
        broker_address(words)


def test_a_first_configuration_is_short_and_right() -> None:
    text = compose(Answers("east", "k1", "broker.example", 8883, {"entry": SIMULATED, "exit-2": SIMULATED}))
    loaded = config.parse(text, Path("agent.toml"))
    assert len(text.splitlines()) < 45
    assert (loaded.mqtt.tls, loaded.lanes["exit-2"].direction) == (True, "exit")


def test_what_is_found_is_proposed_once() -> None:
    found = [
        ("", {}, "serial", "/dev/relay"),
        ("thermometers/gy_mcu", {"baud": 9600}, "serial", "/dev/therm"),
        ("scanners/camera", {}, "camera", "/dev/cam"),
    ]
    used: set[str] = set()
    assert [proposal(part, found, used) for part in ("scanner", "thermometer", "gate")] == [2, 1, 0]
    used = {"/dev/relay", "/dev/cam"}
    assert [proposal(part, found, used) for part in ("scanner", "thermometer", "gate")] == [None, 1, None]
