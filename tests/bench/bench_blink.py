"""From a code in view to the order on the gate's wire, the temperature already settled.

Person after person stands before the thermometer until enough samples are in, then shows a code to the camera, or
has it scanned. The clock starts with the first frame (the scanner's line) that holds the code and stops when the
relay board has its ON. The bar is one frame interval and 15 ms. A third lane has a lamp and a buzzer on the gate's
board: when is its green there, and does its gate open any later for them?
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from rig import GREEN, Kiosk, Lane, kiosk_with, quantile
from rows import Row

from agent import credentials
from agent.model import ClockState, CodeStatus, TimeBounds
from drivers.vision.opencv import from_bytes
from drivers.vision.pipeline import Pipeline
from drivers.vision.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from drivers.vision.opencv import Picture

PASSAGES = int(os.environ.get("PASSAGES", "500"))
FPS = 30.0
BAR_MS = 1000 / FPS + 15
SKIN_C = 34.4
SETTLE_S = 0.5
"""Seven samples at 14 a second; five are asked for."""
LEAVE_S = 0.2
LIMIT_S = 2.0
MORE = "[checkpoint]\npresence_timeout_s = 0.15\n"
CAMERA = {"width": 1280, "height": 720, "fps": FPS}
LANES: dict[str, dict[str, Any]] = {"camera": {"camera": CAMERA}, "scanner": {}, "lamp": {"lamp": True}}


def run() -> Iterator[Row]:
    """A lane with a camera, a lane with a scan engine, one with a lamp as well, and the yardstick, in turn."""
    with kiosk_with(LANES, release_s=0.3, more=MORE) as (
        kiosk,
        lanes,
        _,
        folder,
    ):
        bare = Lane(folder, "bare")
        bare.plug()
        names = [str(folder / f"bare-{part}") for part in ("scanner", "gate")]
        yardstick = subprocess.Popen([sys.executable, str(Path(__file__).with_name("bare_gate.py")), *names])
        try:
            kiosk.start()
            kiosk.until_up()
            camera, scanner, lamp = lanes
            shows = (
                (camera, partial(_show, camera)), (scanner, scanner.scan), (lamp, lamp.scan), (bare, bare.scan)
            )  # fmt: skip
            times: dict[str, list[float | None]] = {"camera": [], "scanner": [], "lamp": [], "bare": []}
            greens: list[float | None] = []
            for _ in range(PASSAGES):
                for (lane, _), (took_ms, green_ms) in zip(shows, _passages(kiosk, shows), strict=True):
                    times[lane.name].append(took_ms)
                    if lane is lamp:
                        greens.append(green_ms)
        finally:
            yardstick.terminate()
            yardstick.wait(10)
            bare.close()
        control = f"bare pty to pty: {_said(times['bare'])}"
        yield _row(f"camera {FPS:.0f} fps, 1280 x 720, p99 of {PASSAGES}", times["camera"], control)
        yield _row(f"scan engine, p99 of {PASSAGES}", times["scanner"], control)
        alone = f"without a lamp: {_said(times['scanner'])}"
        yield _row(f"the same, lamp and buzzer on the gate's board, p99 of {PASSAGES}", times["lamp"], alone)
        yield _row(f"scan engine, green on the lamp's wire, p99 of {PASSAGES}", greens, control)
        missing = sum(times[lane.name].count(None) for lane in lanes) + greens.count(None)
        yield Row("gates that did not open, lamps that did not turn green", str(missing), "", "0", missing == 0)
        yield from _parts(kiosk, camera)


def _passages(
    kiosk: Kiosk, shows: Iterable[tuple[Lane, Callable[[bytes], float]]]
) -> list[tuple[float | None, float | None]]:
    """One person at each lane: milliseconds from the code to the gate's relay and to the green light's, None where
    it stayed off.
    """
    took = []
    for lane, _ in shows:
        lane.world.stand(SKIN_C)
    time.sleep(SETTLE_S)
    for lane, show in shows:
        begun_s = time.monotonic()
        shown_s = show(kiosk.code())
        gate_s = lane.opened_s(begun_s, LIMIT_S)
        green_s = lane.opened_s(begun_s, LIMIT_S, GREEN) if lane.name == "lamp" else None
        took.append(tuple(None if at_s is None else 1000 * (at_s - shown_s) for at_s in (gate_s, green_s)))
        lane.world.leave()
        kiosk.check()
    time.sleep(LEAVE_S)
    return took


def _show(lane: Lane, code: bytes) -> float:
    """Hold the code before the camera; when the first frame with it was sent."""
    lane.world.show(code)
    assert lane.camera is not None
    while (shown_s := lane.camera.first_shown_s(code)) is None:
        time.sleep(0.001)
    return shown_s


def _said(times_ms: list[float | None]) -> str:
    known = [each for each in times_ms if each is not None]
    p99, p90 = quantile(known, 0.99), quantile(known, 0.9)
    return f"p99 {p99:.1f} ms, p90 {p90:.1f}, median {median(known):.1f}, best {min(known):.1f}"


def _row(what: str, times_ms: list[float | None], peer: str) -> Row:
    met = quantile([each or math.inf for each in times_ms], 0.99) <= BAR_MS
    return Row(what, _said(times_ms), peer, f"≤ {BAR_MS:.0f} ms", met)


def _parts(kiosk: Kiosk, lane: Lane) -> Iterator[Row]:
    """Where it goes: each step alone on this machine, median of 50."""
    code = kiosk.code()
    assert lane.camera is not None
    frames = [lane.camera._scenery.jpeg(code, turn) for turn in range(8)]
    pictures = [from_bytes(frame) for frame in frames]
    yield Row("of it, decode the JPEG", _timed(lambda turn: from_bytes(frames[turn % len(frames)])))
    pipeline = Pipeline(0.012)
    yield Row("of it, read the code", _timed(lambda turn: pipeline.read(pictures[turn % len(pictures)])))
    yield Row("look at a frame in which nothing moved", _timed(_still(pictures)))
    trust, now = kiosk.trust(), TimeBounds(time.time(), time.time(), ClockState.SYNCED)
    assert credentials.check(code, trust, now).status is CodeStatus.VALID
    yield Row("of it, check the signature and the claims", _timed(lambda _: credentials.check(code, trust, now)))


def _still(pictures: list[Picture]) -> Callable[[int], object]:
    watcher = Watcher(Pipeline(0.012), 1.0)
    return lambda turn: watcher.see(pictures[0], turn / FPS)


def _timed(act: Callable[[int], object], runs: int = 50) -> str:
    took = []
    for turn in range(runs):
        begun_s = time.perf_counter()
        act(turn)
        took.append(1000 * (time.perf_counter() - begun_s))
    return f"median {median(took):.2f} ms, best {min(took):.2f}"
