import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import recording
from drivers.contract import BadReply, Departure, DeviceGone, Distance, Reading, Sighting
from drivers.ranging import replayed as replayed_distances
from drivers.scanners import replayed as replayed_codes
from drivers.thermometers import replayed

readings = st.builds(
    Reading,
    st.floats(-70, 380).map(lambda value: round(value, 3)),
    st.floats(0, 1000).map(lambda value: round(value, 3)),
    st.sampled_from([0.2, 0.5]),
    st.none() | st.floats(-40, 125).map(lambda value: round(value, 3)),
    simulated=st.just(True),
)
sightings = st.builds(Sighting, st.binary(), st.floats(0, 1000).map(lambda value: round(value, 3)), st.just(True))

distances = st.builds(
    Distance,
    st.none() | st.floats(0, 8000).map(lambda value: round(value, 1)),
    st.floats(0, 1000).map(lambda value: round(value, 3)),
    simulated=st.just(True),
)


def written(kind, items):
    return "\n".join([recording.head(kind, "x"), *(recording.line(item, 0.0) for item in items)])


@given(st.lists(readings | sightings | distances))
def test_what_is_recorded_comes_back(items):
    entries = recording.parse(written("thermometers", items), "thermometers")
    assert [recording.item(entry, 0.0) for entry in entries] == items


@given(st.text())
def test_anything_else_is_refused_in_one_sentence(text):
    with pytest.raises(ValueError, match=r"^is (a|not a) recording"):
        recording.parse(text, "thermometers")


def test_a_player_keeps_the_time_and_falls_silent(tmp_path):
    items = [Reading(36.0 + i / 10, i / 10, 0.5, simulated=True) for i in range(3)]
    (tmp_path / "r").write_text(written("thermometers", items))
    driver = replayed.Driver(replayed.Options(tmp_path / "r"))
    driver.open()
    began_s = time.monotonic()
    got = [driver.read(0.5) for _ in range(3)]
    assert [item.surface_c for item in got] == [36.0, 36.1, 36.2]
    assert got[2].at_s - got[0].at_s == pytest.approx(0.2)
    assert time.monotonic() - began_s >= 0.2
    assert driver.read(0.01) is None
    assert driver.simulated
    driver.close()
    driver.close()
    with pytest.raises(DeviceGone):
        driver.read(0.01)


def test_a_player_may_hurry_and_begin_again(tmp_path):
    items = [Sighting(b"A", 0.0, simulated=True), Departure(0.1, simulated=True)]
    (tmp_path / "r").write_text(written("scanners", items))
    driver = replayed_codes.Driver(replayed_codes.Options(tmp_path / "r", speed=10, loop=True))
    driver.open()
    got = [driver.read(0.5) for _ in range(4)]
    assert [type(item) for item in got] == [Sighting, Departure, Sighting, Departure]


def test_a_wrong_or_missing_recording_is_named(tmp_path):
    (tmp_path / "r").write_text(written("scanners", []))
    with pytest.raises(BadReply, match="is a recording of scanners"):
        replayed.Driver(replayed.Options(tmp_path / "r")).open()
    with pytest.raises(DeviceGone, match="cannot be read"):
        replayed.Driver(replayed.Options(tmp_path / "absent")).open()


def test_without_a_recording_it_works_and_says_nothing():
    driver = replayed.Driver(replayed.Options())
    driver.open()
    assert driver.read(0.01) is None
    assert driver.simulated


def test_a_recorder_writes_each_line_at_once():
    file = io.StringIO()
    recorder = recording.Recorder(file, "thermometers", "gy_mcu")
    recorder.add(Reading(36.5, time.monotonic(), 0.5))
    assert len(recording.parse(file.getvalue(), "thermometers")) == 1


def test_distances_are_played_too(tmp_path):
    items = [Distance(52.0, 0.0, simulated=True), Distance(None, 0.05, simulated=True)]
    (tmp_path / "r").write_text(written("ranging", items))
    driver = replayed_distances.Driver(replayed_distances.Options(tmp_path / "r"))
    driver.open()
    assert [driver.read(0.5).distance_mm for _ in items] == [52.0, None]
    driver.close()
