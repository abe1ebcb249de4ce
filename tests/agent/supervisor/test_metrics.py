"""What Prometheus reads: its text format to the letter, numbers that agree, a file that is never half written."""

from __future__ import annotations

import re
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.app import App
from agent.config import parse
from agent.supervisor.health import Condition, Health
from agent.supervisor.metrics import Family, Metrics, families, text

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")


def read(page: str) -> dict[str, dict[str, float]]:
    """Family → sample, as written, → value; fails where the format is not kept."""
    assert page.endswith("\n")
    found: dict[str, dict[str, float]] = {}
    kind = name = ""
    for line in page.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in found, "each family once, its lines together"
            found[name] = {}
        elif line.startswith("# TYPE "):
            _, _, again, kind = line.split(" ")
            assert again == name
            assert kind in {"counter", "gauge", "histogram"}
            assert name.endswith("_total") == (kind == "counter")
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            suffixes = {"_bucket", "_sum", "_count"} if kind == "histogram" else {""}
            assert sample[1].removeprefix(name) in suffixes
            assert line.rpartition(" ")[0] not in found[name], "a sample twice"
            found[name][line.rpartition(" ")[0]] = float(sample[3])
    return found


@pytest.fixture
def app(kiosk_file: Path) -> Iterator[App]:
    text = kiosk_file.read_text() + '[health]\nmetrics_file = "gatepost.prom"\n'
    made = App(parse(text, kiosk_file))
    made._link.start()
    yield made
    made._link.stop(0.0)


def test_the_page_of_an_agent(app: App) -> None:
    app._loop.passages["entry", "admit"] += 3
    app._loop.decision_times.add(0.004)
    page = "".join(map(text, families(app._report, Health(Condition.DEGRADED), 12.5)))
    found = read(page)
    assert found["gatepost_up_seconds"] == {"gatepost_up_seconds": 12.5}
    assert found["gatepost_passages_total"] == {'gatepost_passages_total{lane="entry",decision="admit"}': 3}
    assert found["gatepost_health_state"]['gatepost_health_state{state="degraded"}'] == 1
    assert sum(found["gatepost_health_state"].values()) == 1
    assert sum(found["gatepost_clock_state"].values()) == 1
    up = 'gatepost_device_up{lane="entry",role="scanner",driver="line"}'
    assert found["gatepost_device_up"][up] == 0
    buckets = found["gatepost_decision_seconds"]
    assert buckets['gatepost_decision_seconds_bucket{le="0.0025"}'] == 0
    assert buckets['gatepost_decision_seconds_bucket{le="0.005"}'] == 1
    assert buckets['gatepost_decision_seconds_bucket{le="+Inf"}'] == buckets["gatepost_decision_seconds_count"] == 1
    assert found["gatepost_process_resident_bytes"]["gatepost_process_resident_bytes"] > 1e6
    assert {name for name in found if not name.startswith("gatepost_")} == set()


@given(st.text(), st.text(), st.floats(allow_nan=False))
def test_whatever_is_said_keeps_the_format(meaning: str, said: str, value: float) -> None:
    page = text(Family("x_total", "counter", meaning, (("", (("lane", said),), value),)))
    lines = page.split("\n")
    assert len(lines) == 4, "what is said does not end a line"
    sample = SAMPLE.fullmatch(lines[2])
    assert sample is not None
    assert float(sample[3]) == value
    inner = sample[2].partition("=")[2][1:-1]
    assert re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), inner) == said


def test_the_file_is_whole_at_any_time_and_goes_with_the_agent(app: App, tmp_path: Path) -> None:
    file = tmp_path / "gatepost.prom"
    metrics = Metrics(file, app._report, lambda: Health(Condition.OK))
    metrics.write()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644, "the collector is another user"
    done = threading.Event()

    def rewrite() -> None:
        while not done.is_set():
            metrics.write()

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        end_s = time.monotonic() + 1.0
        while time.monotonic() < end_s:
            assert "gatepost_process_open_files" in read(file.read_text())
    finally:
        done.set()
        writer.join()
    metrics.remove()
    assert not file.exists()


def test_a_folder_that_is_not_there_is_said_once(
    app: App, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics(tmp_path / "none" / "gatepost.prom", app._report, lambda: Health(Condition.OK))
    metrics.refresh()
    metrics.refresh()
    assert caplog.text.count("metrics cannot be written") == 1
    metrics.remove()
