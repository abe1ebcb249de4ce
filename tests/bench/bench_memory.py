"""Resident memory of the agent: two lanes with cameras after 500 passages, and growth over 5,000 more."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rig import broker_and_folder, kiosk_with, memory_mb, memory_of_all_mb, until
from rows import Row, peers

from agent.model import Colour

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rig import Broker, Kiosk, Lane

PASSAGES = 500
MORE_PASSAGES = 5000
SKIN_C = 34.4
BAR_MB = 110.0
FPS = 15.0
CAMERA = {"width": 1280, "height": 720, "fps": FPS}
MORE = "[checkpoint]\npresence_timeout_s = 0.15\nrescan_after_admit_s = 0.1\n"
PEER = "thingsboard-gateway==3.8.5"
SETTLE_S = 15.0
"""What is kept is measured, not what the last pictures needed. The peer gets the same time."""


def run() -> Iterator[Row]:
    """Cameras, then scan engines, then the peer with nothing attached."""
    peer = _peer()
    with kiosk_with({"one": {"camera": CAMERA}, "two": {"camera": CAMERA}}, more=MORE) as (kiosk, lanes, _, _):
        kiosk.start()
        kiosk.until_up()
        for _ in range(PASSAGES // len(lanes)):
            _passages(kiosk, lanes)
        with contextlib.suppress(TimeoutError):  # the report is written once a second
            until(lambda: _decided(kiosk) >= PASSAGES, 5)
        decided = _decided(kiosk)
        _, busy = memory_of_all_mb(kiosk.pid)
        time.sleep(SETTLE_S)
        rss, pss = memory_of_all_mb(kiosk.pid)
        what = f"2 lanes with cameras 1280 x 720, {SETTLE_S:g} s after {PASSAGES} passages"
        yield Row(
            what,
            f"PSS {pss:.0f} MB, with the cameras' processes (at once {busy:.0f}); {decided} of {PASSAGES} decided; "
            f"RSS {rss:.0f} MB",
            peer,
            f"PSS ≤ {BAR_MB:.0f} MB, every passage decided",
            pss <= BAR_MB and decided == PASSAGES,
        )
    with kiosk_with({"one": {}, "two": {}}, more=MORE) as (kiosk, lanes, _, _):
        kiosk.start()
        kiosk.until_up()
        _scans(kiosk, lanes[0], PASSAGES)
        before, _ = memory_mb(kiosk.pid)
        _scans(kiosk, lanes[0], MORE_PASSAGES)
        after, pss = memory_mb(kiosk.pid)
        what = f"2 lanes with scan engines, after {PASSAGES}, and {MORE_PASSAGES} passages more"
        yield Row(what, f"RSS {before:.1f} MB, then {after:.1f} MB, PSS {pss:.0f} MB", peer)


def _passages(kiosk: Kiosk, lanes: list[Lane]) -> None:
    """One person at each lane shows a code to the camera, is measured and goes."""
    begun_s = time.monotonic()
    for lane in lanes:
        lane.world.stand(SKIN_C)
        lane.world.show(kiosk.code())
    for lane in lanes:
        lane.opened_s(begun_s)
        lane.world.leave()
    kiosk.check()
    time.sleep(0.25)


def _scans(kiosk: Kiosk, lane: Lane, count: int) -> None:
    """Red codes, decided at once; as fast as they are delivered."""
    goal = _decided(kiosk) + count
    for number in range(count):
        lane.scan(kiosk.code(Colour.RED))
        time.sleep(0.005)
        if number % 100 == 99:
            until(lambda done=goal - count + number - 20: _decided(kiosk) >= done, 30)
    until(lambda: _decided(kiosk) >= goal - 1, 30)


def _decided(kiosk: Kiosk) -> int:
    kiosk.check()
    return int((kiosk.report() or {}).get("decided", 0))


def _peer() -> str:
    """The ThingsBoard gateway without any connector, connected to a broker."""
    program = peers(PEER, name="thingsboard")
    if program is None:
        return f"{PEER} cannot be installed here"
    with broker_and_folder() as (broker, folder, stack):
        process = _gateway(program, broker, folder)
        stack.callback(process.wait, 10)
        stack.callback(process.kill)
        time.sleep(SETTLE_S)
        if process.poll() is not None:
            return f"{PEER} ended with status {process.returncode}"
        rss, pss = memory_mb(process.pid)
        return f"ThingsBoard gateway, nothing attached: RSS {rss:.0f} MB, PSS {pss:.0f} MB"


def _gateway(program: Path, broker: Broker, folder: Path) -> subprocess.Popen[bytes]:
    shipped = next(program.parents[1].glob("lib/python*/site-packages/thingsboard_gateway/config"))
    config = folder / "thingsboard"
    shutil.copytree(shipped, config)
    settings = json.loads((config / "tb_gateway.json").read_text())
    settings["thingsboard"] |= {"host": "127.0.0.1", "port": broker.port, "remoteConfiguration": False}
    (config / "tb_gateway.json").write_text(json.dumps(settings))
    words = [
        str(program),
        "-c",
        f"from thingsboard_gateway.tb_gateway import TBGatewayService as T; T('{config}/tb_gateway.json')",
    ]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
