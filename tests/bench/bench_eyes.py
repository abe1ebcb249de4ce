"""Photographs read, time to the first right reading, CPU: this eye beside the decoder libraries, in the same run.

Every film (drivers/simulators/scenes.py, 3 s at 15 frames a second) is shown to each reader frame by frame.
Printed: films read, the median time in view until the first right reading, CPU milliseconds a frame, wrong texts.
Then the cost of an idle scene and of a moving code, at 30 frames a second.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import zxingcpp
from pyzbar import pyzbar
from rows import Row

from drivers.contract import Sighting
from drivers.simulators import qr, scenes
from drivers.vision.opencv import cv2
from drivers.vision.pipeline import Pipeline
from drivers.vision.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
READERS = ("pyzbar", "zxing-cpp", "eye")
BUDGET_S = 0.012
FILMS = 3
IDLE_FPS = 30


def reader(name):
    """A function of (frame, seconds) that answers the payloads read."""
    if name == "pyzbar":
        return lambda frame, _: [s.data for s in pyzbar.decode(frame, symbols=[pyzbar.ZBarSymbol.QRCODE])]
    if name == "zxing-cpp":
        return lambda frame, _: [
            code.bytes for code in zxingcpp.read_barcodes(frame, formats=zxingcpp.BarcodeFormat.QRCode)
        ]
    watcher = Watcher(Pipeline(BUDGET_S), away_s=1.0)
    return lambda frame, at_s: [i.payload for i in watcher.see(frame, at_s) if isinstance(i, Sighting)]


def show(name, films):
    """For each reader: times of first right readings (s, None for never), CPU s a frame, wrong texts."""
    results = {each: ([], [], 0) for each in READERS}
    for seed in range(films):
        payload, frames = scenes.film(name, seed)
        pictures = list(frames)
        for each in READERS:
            times, costs, wrong = results[each]
            read, first_s = reader(each), None
            for number, picture in enumerate(pictures):
                began_s = time.thread_time()
                got = read(picture, number / scenes.FPS)
                costs.append(time.thread_time() - began_s)
                wrong += sum(each_payload != payload for each_payload in got)
                if payload in got and first_s is None:
                    first_s = number / scenes.FPS
            times.append(first_s)
            results[each] = (times, costs, wrong)
    return results


def share_of_core(frames, name):
    """Percent of one core at 30 frames a second, and the number of readings."""
    read = reader(name)
    for number in range(90):  # so that what is done once is done
        read(frames[number % 8], number / IDLE_FPS)
    began_s, readings = time.thread_time(), 0
    for number, frame in enumerate(frames):
        readings += len(read(frame, (90 + number) / IDLE_FPS))
    return 100 * IDLE_FPS * (time.thread_time() - began_s) / len(frames), readings


def idle_and_moving():
    random = np.random.default_rng(1)
    room = cv2.resize(
        random.integers(40, 120, (9, 16)).astype(np.uint8), (1280, 720), interpolation=cv2.INTER_CUBIC
    )
    noisy = [np.clip(room + random.normal(0, 3, room.shape), 0, 255).astype(np.uint8) for _ in range(8)]
    idle = [noisy[number % 8] for number in range(300)]
    code = cv2.resize(qr.drawn(b"GP1:" + bytes(60), 4), (240, 240), interpolation=cv2.INTER_AREA)
    moving = list(noisy)
    for number in range(120):
        frame = noisy[number % 8].copy()
        x, y = 200 + 7 * number, int(220 + 70 * np.sin(number / 9))
        frame[y : y + 240, x : x + 240] = code
        moving.append(frame)
    for title, frames in (("idle scene", idle), ("code moving through", moving)):
        yield title, {each: share_of_core(frames, each)[0] for each in READERS}


def run() -> Iterator[Row]:
    """Photographs, films, an idle scene, a moving code."""
    yield from photographs()
    totals = dict.fromkeys(READERS, 0)
    wrong = 0
    for name in scenes.SCENES:
        cells = {}
        for each, (times, costs, errors) in show(name, FILMS).items():
            seen = sorted(t for t in times if t is not None)
            totals[each] += len(seen)
            wrong += errors if each == "eye" else 0
            after = f"after {statistics.median(seen):.2f} s" if seen else "never"
            cells[each] = f"{len(seen)}/{FILMS} {after}, {1e3 * statistics.mean(costs):.1f} ms a frame"
        yield Row(f"{name}: films read", cells["eye"], f"zxing-cpp {cells['zxing-cpp']}; pyzbar {cells['pyzbar']}")
    peer = f"zxing-cpp {totals['zxing-cpp']}, pyzbar {totals['pyzbar']}"
    best = max(totals["zxing-cpp"], totals["pyzbar"])
    yield Row("all films read", str(totals["eye"]), peer, f"above {best}", totals["eye"] > best)
    yield Row("wrong texts in films", str(wrong), "", "0", wrong == 0)
    for (title, shares), bar in zip(idle_and_moving(), (1.5, 2.5), strict=True):
        peer = f"zxing-cpp {shares['zxing-cpp']:.1f} %, pyzbar {shares['pyzbar']:.0f} %"
        yield Row(f"{title}, 30 fps", f"{shares['eye']:.2f} % of a core", peer, f"{bar} %", shares["eye"] <= bar)


def photographs() -> Iterator[Row]:
    """The photographs of the shared data by the shared bench; nothing where they are not."""
    tool = ROOT.parent / "shared" / "tools" / "qr_bench.py"
    if not tool.is_file():
        yield Row("photographs", "not on this machine")
        return
    names = ("zxing", "drivers.vision:read", "drivers.vision:read_fast")
    command = [sys.executable, str(tool), *names]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for part in said.strip().split("\n\n"):
        title, _, *lines = part.splitlines()
        figures = {line.split()[0]: line.split()[1:] for line in lines}
        zxing = figures["zxing"]
        for name in names[1:]:
            _, read, mean, wrong, _, median, _, _ = figures[name]
            peer = f"zxing-cpp {zxing[1]} % / {zxing[2]} %, {zxing[3]} wrong, {zxing[5]} ms"
            yield Row(f"{title}, {name}", f"{read} % / {mean} %, {wrong} wrong, median {median} ms", peer)
