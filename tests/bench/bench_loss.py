"""Codes at 20 a second, the broker away for six seconds, and within that a kill -9: what never arrives.

The agent is killed one period (50 ms) after a scan and started again at once: so long has it to read, decide and
get the event onto the disk. Codes are red, decided without a temperature; none is scanned while nobody is there.
Lost is a code of which the broker's subscriber, whose session the broker keeps, never hears. The peer gets the very
same from the same generator.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import mqtt_io
from rig import Heard, Kiosk, Lane, broker_and_folder
from rows import Row

from agent.model import Colour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rig import Broker

RUNS = 3
PERIOD_S = 0.05
BEFORE_S, KILL_S, OUTAGE_S, AFTER_S = 2.0, 3.0, 6.0, 4.0
DRAIN_S = 45.0
MORE = "[checkpoint]\ntemperature_timeout_s = 1.0\n"


def run() -> Iterator[Row]:
    """Ours and the peer in turn."""
    ours, peer = [], []
    for _ in range(RUNS):
        ours.append(_ours())
        if mqtt_io.python() is not None:
            peer.append(_peer())
    said = "; ".join(f"{lost} of {sent}" for sent, lost, _ in peer) or mqtt_io.ABSENT
    lost = "; ".join(f"{lost} of {sent}" for sent, lost, _ in ours)
    yield Row("codes lost", lost, f"mqtt-io: {said}", "0", not any(each[1] for each in ours))
    repeats = "; ".join(str(each[2]) for each in ours)
    yield Row("events that came twice (same id)", repeats, "", "≤ 20 each", max(each[2] for each in ours) <= 20)


def _ours() -> tuple[int, int, int]:
    """(codes sent, lost, repeats)."""
    with broker_and_folder() as (broker, folder, stack):
        heard = Heard(broker, "gatepost/v1/+/+/event/passage")
        stack.callback(heard.stop)
        lane = Lane(folder, "entry")
        stack.callback(lane.close)
        kiosk = Kiosk(folder, broker, [lane], more=MORE)
        stack.callback(kiosk.end)

        def start() -> None:
            kiosk.start()
            kiosk.until_up(linked=False)

        sent = _play(
            broker, lane, lambda: kiosk.code(Colour.RED), start=start, kill=lambda: kiosk.end(signal.SIGKILL)
        )
        time.sleep(1.5)  # the last code's deadline
        ids = _arrived(heard, sent)
        return sent, max(0, sent - len(set(ids))), len(ids) - len(set(ids))


def _peer() -> tuple[int, int, int]:
    """The same generator into mqtt-io's serial stream; each code is one line, counted in what arrives."""
    with broker_and_folder() as (broker, folder, stack):
        heard = Heard(broker, "peer/stream/codes")
        stack.callback(heard.stop)
        lane = Lane(folder, "entry")
        stack.callback(lane.close)
        lane.plug()
        running = []
        config = mqtt_io.configuration(broker.port, serial=str(folder / "entry-scanner"))
        number = 0

        def code() -> bytes:
            nonlocal number
            number += 1
            return b"code-%06d;" % number

        def start() -> None:
            status = Heard(broker, "peer/status", name="status") if not running else None
            running.append(mqtt_io.start(folder, config))
            if status is None:
                time.sleep(2.0)  # the broker is away: nothing tells when it is ready
            else:
                status.wait(lambda _, said: said == b"running", 30)
                time.sleep(0.5)
                status.stop()

        def kill() -> None:
            running[-1].kill()
            running[-1].wait(10)

        stack.callback(kill)
        sent = _play(broker, lane, code, start=start, kill=kill)
        pieces = b"".join(_drained(heard, 15.0)).split(b";")
        return sent, max(0, sent - len({piece.strip() for piece in pieces if piece.strip()})), 0


def _play(
    broker: Broker, lane: Lane, code: Callable[[], bytes], *, start: Callable[[], None], kill: Callable[[], None]
) -> int:
    """Codes, outage, kill, restart; how many codes were sent to a reader that was there."""
    start()
    sent = _feed(lane, code, BEFORE_S)
    broker.stop()
    sent += _feed(lane, code, KILL_S)
    kill()
    killed_s = time.monotonic()
    start()
    left_s = OUTAGE_S - KILL_S - (time.monotonic() - killed_s)
    sent += _feed(lane, code, max(0.5, left_s))
    broker.start()
    return sent + _feed(lane, code, AFTER_S)


def _feed(lane: Lane, code: Callable[[], bytes], seconds: float) -> int:
    """Scan a code every twentieth of a second; the last one is out just before this returns."""
    begun_s, count = time.monotonic(), 0
    while count * PERIOD_S < seconds:
        lane.scan(code())
        count += 1
        time.sleep(max(0.0, begun_s + count * PERIOD_S - time.monotonic()))
    return count


def _arrived(heard: Heard, sent: int) -> list[str]:
    """Ids of the passages, once all are in or nothing has come for long."""
    return [_id(payload) for payload in _drained(heard, DRAIN_S, sent)]


def _drained(heard: Heard, limit_s: float, enough: int = 1 << 30) -> list[bytes]:
    payloads: list[bytes] = []
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s and len(payloads) < enough:
        payloads += [payload for _, _, payload in heard.drain()]
        time.sleep(0.1)
    return payloads + [payload for _, _, payload in heard.drain()]


def _id(payload: bytes) -> str:
    return payload.partition(b'"id":"')[2].partition(b'"')[0].decode()
