"""Events on their way: CPU for each, how fast a backlog drains, and what the card has to write.

The backlog goes through a real mosquitto to a real subscriber. Beside it, with the same payloads, window and
broker: a plain table and a plain paho loop, as one would write it in an hour.
Rates depend on the machine, ratios less.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rig import Heard, broker_and_folder
from rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

LOAD = Path(__file__).parent / "event_load.py"
STEADY_BAR = 0.6
BACKLOG = int(os.environ.get("BACKLOG", "100000"))


def run() -> Iterator[Row]:
    """Drain against paho, then a steady 20 a second, then the card."""
    with broker_and_folder() as (broker, folder, _):
        filled = _load("fill", folder / "ours.db", BACKLOG)
        _load("paho-fill", folder / "paho.db", BACKLOG)
        heard = Heard(broker, "gatepost/v1/bench/kiosk/event/passage")
        peer = _load("paho-drain", folder / "paho.db", broker.port, BACKLOG)
        _await_all(heard)
        ours = _load("drain", folder / "ours.db", broker.port, BACKLOG)
        in_order = _await_all(heard)
        heard.stop()
        ratio = ours["rate"] / peer["rate"]
        yield Row(
            f"backlog of {BACKLOG} drained",
            f"{ours['rate']:.0f}/s, {ratio:.2f} x, {'in' if in_order else 'OUT OF'} order",
            f"plain paho loop {peer['rate']:.0f}/s",
            "≥ 1.2 x, in order",
            ratio >= 1.2 and in_order,
        )
        yield Row(
            "memory for that, over idle",
            f"{ours['mb']:.1f} MB",
            f"{peer['mb']:.1f} MB",
            "≤ 40 MB",
            ours["mb"] <= 40,
        )
        both_us = filled["cpu_us"] + ours["cpu_us"]
        yield Row(
            "agent CPU per event: store + send, backlog",
            f"{filled['cpu_us']:.0f} + {ours['cpu_us']:.0f} = {both_us:.0f} µs",
            f"send alone: plain paho {peer['cpu_us']:.0f} µs; mqtt-io 370-480, ThingsBoard 352-395 (another day)",
            "≤ 150 µs",
            both_us <= 150,
        )
        slow = _load("steady", folder / "steady.db", broker.port, 300, 20)
        peer = _load("paho-steady", folder / "steady-paho.db", broker.port, 300, 20)
        yield Row(
            "the same at 20 a second, caches cold each time",
            f"{slow['cpu_us']:.0f} µs ({slow['all_us']:.0f} with what it uses when idle)",
            f"plain table and paho {peer['all_us']:.0f} µs",
            f"≤ {STEADY_BAR:g} x the peer, idle included",
            slow["all_us"] <= STEADY_BAR * peer["all_us"],
        )
    yield from _card()


def _card() -> Iterator[Row]:
    for number, burst, bar_kb in ((3000, 1, 8.0), (20_000, 500, 2.0)):
        what = "bytes to the card per event, full life: " + ("one by one" if burst == 1 else f"bursts of {burst}")
        written = _bytes_to_card(number, burst)
        if written is None:
            yield Row(what, "not measured: needs root and a loop device")
            return
        peer = "SQLite: default journal 137 KB, WAL one by one 30 KB"
        kilobytes = written / number / 1024
        yield Row(what, f"{kilobytes:.1f} KB", peer, f"≤ {bar_kb:g} KB", kilobytes <= bar_kb)


def _bytes_to_card(number: int, burst: int) -> int | None:
    """What an ext4 on a loop device gets written while events live and go."""
    if os.geteuid() != 0:
        return None
    with TemporaryDirectory(prefix="gp-card-") as name, ExitStack() as stack:
        image, place = Path(name, "image"), Path(name, "card")
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(256 << 20)
        try:
            _do("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
            loop = _do("losetup", "-f", "--show", image).strip()
            stack.callback(_do, "losetup", "-d", loop)
            _do("mount", "-o", "noatime", loop, place)
        except (OSError, subprocess.CalledProcessError):
            return None
        stack.callback(_do, "umount", place)
        _load("card", place / "outbox.db", 64, 1)  # the file and its log are there already on any other day
        _do("sync")
        before = _sectors(loop)
        _load("card", place / "outbox.db", number, burst)
        _do("sync")
        return (_sectors(loop) - before) * 512


def _sectors(loop: str) -> int:
    return int(Path("/sys/block", Path(loop).name, "stat").read_text().split()[6])


def _do(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def _load(task: str, file: Path, *numbers: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, LOAD, task, file, *map(str, numbers)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _await_all(heard: Heard) -> bool:
    """Take the whole backlog from the subscriber; whether it came in order and once."""
    last = BACKLOG - 1
    heard_numbers: list[int] = []
    while not heard_numbers or heard_numbers[-1] != last:
        _, _, payload = heard.messages.get(timeout=30)
        heard_numbers.append(json.loads(payload)["data"]["duration_ms"])
    return heard_numbers == list(range(BACKLOG))
