"""Time to the first right reading, scene by scene: this eye beside the decoder libraries, in the same run.

    .venv/bin/python tests/bench/bench_eyes.py [--films 3] [--scene NAME ...]

Every film (drivers/simulators/scenes.py, 3 s at 15 frames a second) is shown to each reader frame by frame.
Printed: films read, the median time in view until the first right reading, CPU milliseconds a frame, wrong texts.
Then the cost of an idle scene and of a moving code, at 30 frames a second.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import zxingcpp
from pyzbar import pyzbar

from drivers.contract import Sighting
from drivers.simulators import qr, scenes
from drivers.vision.eye import Eye
from drivers.vision.ladder import Ladder
from drivers.vision.opencv import cv2

READERS = ("pyzbar", "zxing-cpp", "eye")
BUDGET_S = 0.012
IDLE_FPS = 30


def reader(name):
    """A function of (frame, seconds) that answers the payloads read."""
    if name == "pyzbar":
        return lambda frame, _: [s.data for s in pyzbar.decode(frame, symbols=[pyzbar.ZBarSymbol.QRCODE])]
    if name == "zxing-cpp":
        return lambda frame, _: [
            code.bytes for code in zxingcpp.read_barcodes(frame, formats=zxingcpp.BarcodeFormat.QRCode)
        ]
    eye = Eye(Ladder(BUDGET_S), away_s=1.0)
    return lambda frame, at_s: [i.payload for i in eye.see(frame, at_s) if isinstance(i, Sighting)]


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


def table(names, films):
    print(f"{'scene':15s}" + "".join(f"{each:>34s}" for each in READERS))
    print(" " * 15 + f"{'read   median s   ms/frame  wrong':>34s}" * len(READERS))
    totals = {each: [0, [], 0] for each in READERS}
    for name in names:
        row = f"{name:15s}"
        for each, (times, costs, wrong) in show(name, films).items():
            seen = sorted(t for t in times if t is not None)
            median = f"{statistics.median(seen):.2f}" if seen else "-"
            row += f"{f'{len(seen)}/{films}':>11s}{median:>9s}{1e3 * statistics.mean(costs):>9.1f}{wrong:>5d}"
            totals[each][0] += len(seen)
            totals[each][1] += costs
            totals[each][2] += wrong
        print(row, flush=True)
    row = f"{'all':15s}"
    for each in READERS:
        read, costs, wrong = totals[each]
        row += f"{f'{read}/{films * len(names)}':>11s}{'':>9s}{1e3 * statistics.mean(costs):>9.1f}{wrong:>5d}"
    print(row)


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
    print(f"\n{'% of a core at 30 fps':24s}" + "".join(f"{each:>12s}" for each in READERS))
    for title, frames in (("idle scene", idle), ("code moving through", moving)):
        print(f"{title:24s}" + "".join(f"{share_of_core(frames, each)[0]:12.2f}" for each in READERS))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=3, help="films of each kind of scene")
    parser.add_argument("--scene", nargs="*", default=list(scenes.SCENES), choices=list(scenes.SCENES))
    arguments = parser.parse_args()
    table(arguments.scene, arguments.films)
    idle_and_moving()


if __name__ == "__main__":
    main()
