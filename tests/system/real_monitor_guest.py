"""What runs in the guest of `real_monitor.py`: `STEP name wanted` on the console, then it waits for a line."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from agent.web.baked import key_of
from agent.web.options import PanelOptions
from agent.web.painter import Baked
from agent.web.pictures import compose, shown_pictures
from agent.web.surface import NoMonitor, Surface, hide_console, open_surface

CARD, FRAME_BUFFER = "/dev/dri/card0", "/dev/fb0"
PICTURES = Baked(Path("/pictures"))
SIZE = (PICTURES.width, PICTURES.height)
PANEL = PanelOptions(width_px=SIZE[0], height_px=SIZE[1])


def step(name: str, wanted: str, said: str = "") -> None:
    print(f"STEP {name} {wanted}{said}", flush=True)
    sys.stdin.readline()


def show(monitor: Surface, name: str) -> float:
    pixels = PICTURES.pixels(key_of(compose(shown_pictures()[name], PANEL)), (), None)[1]
    began_s = time.monotonic()
    monitor.show(pixels)
    return 1000 * (time.monotonic() - began_s)


def opened(path: str = CARD) -> Surface:
    return open_surface(path, [SIZE])


try:
    open_surface(CARD, [(1234, 567)])
except NoMonitor as refusal:
    print(refusal, flush=True)
monitor = opened()
for shown in ("ready", "admit", "refer"):
    took_ms = sorted(show(monitor, shown) for _ in range(5))[2]
    step(shown, shown, f", acknowledged {took_ms:.0f} ms after (emulated processor)")
monitor.close()
step("closed", "dark")
child = os.fork()
if child == 0:
    show(opened(), "admit")
    os.kill(os.getpid(), signal.SIGSTOP)
os.waitpid(child, os.WUNTRACED)
step("stopped", "admit", ": the painter stands still, its launcher kills it")
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
step("killed", "dark")
if Path(FRAME_BUFFER).exists():
    hide_console(os.open("/dev/tty0", os.O_RDWR))
    monitor = opened(FRAME_BUFFER)
    show(monitor, "refer")
    step("frame-buffer", "refer")
    monitor.close()
    step("frame-buffer-closed", "dark")
step("end", "dark")
