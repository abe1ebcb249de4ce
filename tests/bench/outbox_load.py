"""What the power is cut under: `write` keeps events in the real outbox, `check` opens what a cut left.

`write` acknowledges every second event as a link would, so that deletions are cut into as well; only the others
are promised. `write careless` does not sync the log, to see that the harness finds what that loses. `check` prints
what is there; it fails when the outbox does not keep a new event within ten seconds or the chain is broken.
"""

from __future__ import annotations

import json
import os
import sys
import time
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from agent.events import Encoder, Topics
from agent.model import AgentChange, ClockState, Event, TimeBounds
from agent.outbox import Options, Outbox, store

OPTIONS = Options(path=str(Path(os.environ["DIR"]) / "outbox.db"), commit_ms=2.0)


def opened() -> Outbox:
    outbox = Outbox(OPTIONS, Encoder(Topics("bench", "kiosk")))
    outbox.start()
    return outbox


def event(number: int) -> Event:
    body = AgentChange("started", f"{number} " + "x" * 400)
    return Event(body, 0.0, TimeBounds(0.0, 1.0, ClockState.SYNCED))


def number_of(payload: bytes) -> int:
    return int(json.loads(payload)["data"]["software_version"].split()[0])


def write() -> None:
    """Bursts of one to nine events, for ever."""
    if sys.argv[2:] == ["careless"]:
        store.SYNCHRONOUS = "OFF"
    outbox, number = opened(), 0
    while True:
        burst = range(number, number + 1 + number % 9)
        for each in burst:
            outbox.store(event(each))
        if not outbox.flush(30):
            sys.exit("the outbox does not keep what it is given")
        number = burst.stop
        print("".join(f"ack {each}\n" for each in burst if each % 2), end="", flush=True)
        taken = outbox.send_queue.claim_batch(20)
        outbox.send_queue.acked(record for record in taken if number_of(record.payload) % 2 == 0)
        for record in taken:
            if number_of(record.payload) % 2:
                outbox.send_queue.park(record)


def check() -> None:
    """Print all that is there; fail when it does not go on."""
    outbox = opened()
    outbox.store(event(10**9))
    if not outbox.flush(10):
        sys.exit(f"it does not go on: {outbox.status().fault}")
    found: list[bytes] = []
    end_s = time.monotonic() + 30
    while len(found) < outbox.status().waiting and time.monotonic() < end_s:
        found += [record.payload for record in outbox.send_queue.claim_batch(500)]
    outbox.stop()
    hashes = {int(json.loads(payload)["sequence"]): sha256(payload).hexdigest() for payload in found}
    for payload in found:
        message = json.loads(payload)
        before = hashes.get(int(message["sequence"]) - 1)
        if before is not None and before != message["previoussha256"]:
            sys.exit(f"the chain is broken at {message['id']}")
        print("have", number_of(payload))


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]]()
