"""A lane's screen: from the decision to the picture, memory over passages, and what
a screen in trouble costs a lane.

The page is a real browser's, without a window. Passages are red codes, decided at once, as fast as they are
answered; the answer is seen at the socket for screens, where the bench listens as one more screen.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from rig import kiosk_with, memory_mb, quantile, until
from rows import ROOT, Row

from agent.control.watch import NAME
from agent.model import Colour
from agent.model.effects import Cue

sys.path.insert(0, str(ROOT / "tests" / "agent" / "web"))
from screens_bench import Screens, start_screens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rig import Kiosk, Lane

PAINTED = int(os.environ.get("PAINTED", "300"))
PASSAGES = int(os.environ.get("PASSAGES", "3000"))
ROUNDS, A_ROUND = 4, int(os.environ.get("A_ROUND", "100"))
PAINTED_BAR_MS = 50.0
MEMORY_BAR_MB = 180.0
GROWTH_BAR = 1.03
"""From a third of the passages to the last."""
P99_BAR = 1.25
"""Of a lane whose screen works: what the machine's other work moves."""
WEB = '[web]\ndirectory = "web"\n[checkpoint]\nrescan_after_refusal_s = 0.1\n'
_FLOOD = """\
import os, socket, sys, threading
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # what it computes itself costs nobody time
def requests():
    while True:
        try:
            with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2) as wire:
                for _ in range(50):
                    wire.sendall(f"GET /lanes/one HTTP/1.1\\r\\nHost: 127.0.0.1:{sys.argv[1]}\\r\\n\\r\\n".encode())
                    wire.recv(65536)
        except OSError:
            pass
def lines():
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as wire:
                wire.connect(sys.argv[2])
                wire.settimeout(2)
                while True:
                    wire.sendall(b'{"lane": "one", "painted": 1}\\n' * 20)
                    wire.recv(65536)
        except OSError:
            pass
threads = [threading.Thread(target=each, daemon=True) for each in (requests, requests, lines, lines)]
for each in threads: each.start()
for each in threads: each.join()
"""


def run() -> Iterator[Row]:
    """Pictures, then passages before a page, then passages with the screen process in trouble."""
    with _page() as show:
        yield _painted(show)
    with kiosk_with({"one": {}}, more=WEB) as (kiosk, (lane,), _, folder):
        (folder / "web").mkdir()
        kiosk.start()
        kiosk.until_up()
        yield from _in_trouble(kiosk, lane, folder / "web")
        process, port = start_screens(folder / "web")
        try:
            with _page() as show:
                show(f"http://127.0.0.1:{port}/lanes/one")
                yield _memory(kiosk, lane, folder / "web", process)
        finally:
            process.kill()
            process.wait()


@contextmanager
def _page() -> Iterator[object]:
    """A browser; what is given opens an address in it."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of the developers' packages

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1280, "height": 800}).goto
        browser.close()


def _painted(show: object) -> Row:
    screens = Screens("entry")
    try:
        show(f"{screens.url}lanes/entry")  # type: ignore[operator]
        until(lambda: not screens.watch.trouble("entry"), 20)
        lane = screens.watch._lanes["entry"]
        took_ms = []
        for turn in range(PAINTED):
            begun_s = time.monotonic()
            screens.show("entry", (Cue.WAIT, Cue.ADMIT, Cue.MEASURE, Cue.REFER)[turn % 4])
            number = lane.now(begun_s).number
            while screens.watch._painted["entry"][0] < number:
                time.sleep(0.0005)
            took_ms.append(1000 * (time.monotonic() - begun_s))
            time.sleep(0.05)
    finally:
        screens.close()
    p95 = quantile(took_ms, 0.95)
    said = f"p95 {p95:.1f} ms, median {median(took_ms):.1f}, best {min(took_ms):.1f}"
    what = f"decision to painted and acknowledged, p95 of {PAINTED}"
    return Row(what, said, "", f"≤ {PAINTED_BAR_MS:.0f} ms", p95 <= PAINTED_BAR_MS)


class _Answers:
    """The lane's pictures as one more screen gets them."""

    def __init__(self, directory: Path) -> None:
        self._wire = socket.socket(socket.AF_UNIX)
        self._wire.connect(str(directory / NAME))
        self._lines = self._wire.makefile("rb")
        self._next(-1)

    def passage(self, kiosk: Kiosk, lane: Lane) -> float:
        """Milliseconds from a red code to the next answer."""
        begun_s = lane.scan(kiosk.code(Colour.RED))
        self._next(self._number)
        took_ms = 1000 * (time.monotonic() - begun_s)
        time.sleep(0.02)
        return took_ms

    def _next(self, number: int) -> None:
        """Wait for the picture after this one."""
        said: dict[str, Any] = {}
        while said.get("number", -1) <= number:
            said = json.loads(self._lines.readline())
        self._number = said["number"]

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._wire.close()


def _memory(kiosk: Kiosk, lane: Lane, directory: Path, screens: subprocess.Popen[str]) -> Row:
    answers = _Answers(directory)
    totals_mb = []
    begun_s = time.monotonic()
    for number in range(1, PASSAGES + 1):
        answers.passage(kiosk, lane)
        if number % (PASSAGES // 3) == 0:
            totals_mb.append((memory_mb(kiosk.pid)[0], memory_mb(screens.pid)[0]))
    answers.close()
    sums_mb = [sum(each) for each in totals_mb]
    said = ", ".join(f"{agent:.0f} + {screen:.0f} MB" for agent, screen in totals_mb)
    took_s = time.monotonic() - begun_s
    what = f"agent + screen process, RSS after each third of {PASSAGES} passages, {took_s:.0f} s"
    met = max(sums_mb) <= MEMORY_BAR_MB and sums_mb[-1] <= GROWTH_BAR * sums_mb[0]
    return Row(what, said, "", f"≤ {MEMORY_BAR_MB:.0f} MB, growth ≤ {GROWTH_BAR - 1:.0%}", met)


def _in_trouble(kiosk: Kiosk, lane: Lane, directory: Path) -> Iterator[Row]:
    """In turn, in the same minutes: so all of them have the same machine."""
    found: dict[str, list[float]] = {"works": [], "stands still": [], "flooded": [], "dead": []}
    shares: list[tuple[float, float, float]] = []
    for _ in range(ROUNDS):
        for state, took_ms in found.items():
            with ExitStack() as stack:
                if state != "dead":
                    process, port = start_screens(directory)
                    stack.callback(process.wait)
                    stack.callback(process.kill)
                if state == "stands still":
                    process.send_signal(signal.SIGSTOP)
                if state == "flooded":
                    words = [sys.executable, "-c", _FLOOD, str(port), str(directory / NAME)]
                    flood = subprocess.Popen(words)
                    stack.callback(flood.wait)
                    stack.callback(flood.kill)
                answers = _Answers(directory)
                stack.callback(answers.close)
                begun_s, before_s = time.monotonic(), [_computed_s(kiosk.pid)]
                if state == "flooded":
                    before_s += [_computed_s(process.pid), _computed_s(flood.pid)]
                took_ms += [answers.passage(kiosk, lane) for _ in range(A_ROUND)]
                if state == "flooded":
                    after_s = [_computed_s(pid) for pid in (kiosk.pid, process.pid, flood.pid)]
                    lasted_s = time.monotonic() - begun_s
                    agent, screens, flooder = (
                        (now - then) / lasted_s for now, then in zip(after_s, before_s, strict=True)
                    )
                    shares.append((agent, screens, flooder))
    alone = found.pop("works")
    peer = f"works: p99 {quantile(alone, 0.99):.1f} ms, median {median(alone):.1f}"
    for state, took_ms in found.items():
        p99 = quantile(took_ms, 0.99)
        said = f"p99 {p99:.1f} ms, median {median(took_ms):.1f}"
        if state == "flooded":
            agent, screens, flooder = (median(each) for each in zip(*shares, strict=True))
            said += f"; of a CPU: agent {agent:.0%}, screen process {screens:.0%}, flooder {flooder:.0%}"
        what = f"code to answer, the screen process {state}, p99 of {len(took_ms)}"
        yield Row(
            what, said, peer, f"p99 ≤ {P99_BAR:g} × of one that works", p99 <= P99_BAR * quantile(alone, 0.99)
        )


def _computed_s(pid: int) -> float:
    """CPU time of a process, also of its threads that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
