"""What the power is cut under: `write` runs the whole agent with its outbox on $DIR, `check` starts it on a cut.

`write`: codes come at 20 a second, the broker is there for a second and away for three, again and again. While it
is away, `ack N` is printed when the agent itself says that event N, decided since, is stored (its status, looked at
20 times a second); before it comes back, `ack dN`: from now on all up to N may be delivered, gone from the card.
`write careless` syncs nothing.

`check`: the agent must start, decide a code that is shown, and deliver that and all that was left. `have N` is
printed for what comes; it fails when that takes longer than half a minute or the chain is broken.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from rig import Broker, Heard, Kiosk, Lane, until

from agent.model import Colour

if TYPE_CHECKING:
    from collections.abc import Iterator

PERIOD_S = 0.05
THERE_S, AWAY_S = 1.0, 3.0
LIMIT_S = 30.0
MORE = "reconnect_max_s = 1.0\n[checkpoint]\ntemperature_timeout_s = 1.0\npresence_timeout_s = 0.15\n"
OFTEN = "import agent.supervisor; agent.supervisor.EVERY_S = 0.05; "
"""The agent says how it is 20 times a second instead of once."""
CARELESS = "import agent.outbox.store; agent.outbox.store.SYNCHRONOUS = 'OFF'; "
RUN = "from agent.cli import main; raise SystemExit(main())"


@contextmanager
def _kiosk() -> Iterator[tuple[Kiosk, Lane, Heard]]:
    """Everything but the outbox lies beside the card: not cut."""
    card = Path(os.environ["DIR"])
    folder = Path(mkdtemp(dir=card.parent))
    broker = Broker(folder)
    broker.start()
    heard = Heard(broker, "gatepost/v1/+/+/event/#")
    lane = Lane(folder, "one")
    kiosk = Kiosk(folder, broker, [lane], more=MORE, outbox=str(card / "outbox.db"))
    kiosk.program = [sys.executable, "-c", OFTEN + (CARELESS if "careless" in sys.argv else "") + RUN]
    try:
        yield kiosk, lane, heard
    finally:
        kiosk.end()
        heard.stop()
        lane.close()
        broker.stop()


def write() -> None:
    """For ever: the recorder ends it."""
    with _kiosk() as (kiosk, lane, _):
        kiosk.start()
        kiosk.until_up()
        threading.Thread(target=_promise, args=(kiosk,), daemon=True).start()
        while True:
            lane.scan(kiosk.code(Colour.RED))
            time.sleep(PERIOD_S)


def _promise(kiosk: Kiosk) -> None:
    while True:
        time.sleep(THERE_S)
        kiosk.broker.stop()
        until(lambda: not _report(kiosk)["link"]["connected"], LIMIT_S)
        told = _report(kiosk)["outbox"]["decided"]
        back_s = time.monotonic() + AWAY_S
        while time.monotonic() < back_s:
            stored = _report(kiosk)["outbox"]["stored"]
            sys.stdout.write("".join(f"ack {number}\n" for number in range(told + 1, stored + 1)))
            sys.stdout.flush()
            told = max(told, stored)
            time.sleep(PERIOD_S)
        print(f"ack d{told}", flush=True)
        until(lambda told=told: _is_marked(f"d{told}"), LIMIT_S)
        kiosk.broker.start()


def _is_marked(token: str) -> bool:
    """Whether the recorder (powercut.py) has written this down; yes, where there is none."""
    log = Path(os.environ["DIR"]).parent / "log"
    return not log.exists() or token.encode() + b"\0" in log.read_bytes()


def _report(kiosk: Kiosk) -> dict[str, Any]:
    report = kiosk.report()
    assert report is not None, "the agent has been started"
    return report


def check() -> None:
    """One life on what a cut left."""
    with _kiosk() as (kiosk, lane, heard):
        kiosk.start()
        kiosk.until_up()
        lane.scan(kiosk.code(Colour.RED))
        until(lambda: any(line.get("event") == "passage" for line in kiosk.logged), LIMIT_S)
        told = sum("event" in line for line in kiosk.logged)
        until(lambda: _is_done(_report(kiosk)["outbox"], told), LIMIT_S)
        outbox = _report(kiosk)["outbox"]
        found: dict[int, bytes] = {}
        until(lambda: _take(heard, found) >= outbox["delivered"], LIMIT_S)
    for sequence, payload in found.items():
        before = found.get(sequence - 1)
        if before is not None and sha256(before).hexdigest() != json.loads(payload)["previoussha256"]:
            sys.exit(f"the chain is broken at {sequence}")
        print("have", sequence)


def _is_done(outbox: dict[str, int], told: int) -> bool:
    return not outbox["waiting"] and outbox["decided"] >= told


def _take(heard: Heard, found: dict[int, bytes]) -> int:
    for _, _, payload in heard.drain():
        found[int(json.loads(payload)["sequence"])] = payload
    return len(found)


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]]()
