"""From the central server's word to the gate: a changed colour, an opening; beside it the bare broker, and a file's
way.

One holder's code is scanned every 20 ms while the authority turns it red and green again by list bundles. Counted
is from handing the signed bundle to the MQTT client until the first decision by the new colour is back at a
subscriber: network, proof, two files made durable, rules read again, the next scan, and the event's way back.
"""

from __future__ import annotations

import itertools
import json
import queue
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from rig import ISSUER, Heard, Kiosk, Lane, kiosk_with, quantile
from rows import Row

from agent.cli.demo.authority import DemoAuthority
from agent.model import Colour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHANGES = 200
DROPS = 10
OPENINGS = 50
JUNK_EVERY_S = 0.0005
FORGED = 2000
COMMANDS, COMMAND_EVERY_S = 40, 0.1
SCAN_EVERY_S = 0.02
HERE, ROOT = "bench/kiosk", "gatepost/v1/bench/kiosk"
DECISIONS = {Colour.RED: "refuse", Colour.GREEN: "refer"}
"""Nobody stands before the thermometer: a green code goes to staff at the deadline, a red one is refused."""
_MORE = """\
[checkpoint]
temperature_timeout_s = 0.01
rescan_after_refusal_s = 0.001
rescan_after_admit_s = 0.001
passback_window_s = 0
[commands]
journal_file = "command-journal.json"
"""


def run() -> Iterator[Row]:
    """Colour changes pushed, the same by file, openings; each beside a bare round trip through the same broker."""
    lanes = {"entry": {}, "exit": {"direction": "exit"}}
    with kiosk_with(lanes, more=_MORE) as (kiosk, (lane, way_out), heard, folder):
        authority = DemoAuthority()
        authority.install(folder / "bundles")
        authority.empty_list(folder / "status.gpl", ISSUER)
        config = folder / "agent.toml"
        sent = '"issuers.toml"\nlists = ["status.gpl"]\nbundles = "bundles"'
        config.write_text(config.read_text().replace('"issuers.toml"', sent, 1))
        kiosk.start()
        kiosk.until_up()
        broker = _Broker(kiosk.broker.port)
        code = kiosk.code()
        with _again_and_again(lambda: lane.scan(code), SCAN_EVERY_S):
            yield from _rows(broker, authority, heard, lane, folder)
        yield from _flooded(broker, authority, kiosk, way_out, heard)
        broker.stop()


def _rows(broker: _Broker, authority: DemoAuthority, heard: Heard, lane: Lane, folder: Path) -> Iterator[Row]:
    bare = [broker.round_trip_s() for _ in range(CHANGES)]
    colours = [Colour.RED, Colour.GREEN] * (CHANGES // 2)

    def change(colour: Colour, deliver: Callable[[bytes], None]) -> float:
        bundle = authority.colours(folder / "status.gpl", ISSUER, {"subject-1": colour})
        heard.drain()
        begun_s = time.monotonic()
        deliver(bundle)
        return heard.wait(lambda topic, payload: _decides(topic, payload, colour), 20) - begun_s

    pushed = [change(colour, lambda data: broker.say(f"{ROOT}/bundle/list/status", data)) for colour in colours]
    yield Row(
        f"colour pushed → decided and back, {CHANGES} changes, p50 / p99 / worst",
        _ms(pushed),
        f"bare round trip through the broker {_ms(bare)}",
        "< 1 s",
        max(pushed) < 1.0,
    )
    dropped = [
        change(colour, (folder / "bundles" / "list-status.bundle").write_bytes) for colour in colours[:DROPS]
    ]
    yield Row(f"the same as a file laid on the kiosk, {DROPS} changes", _ms(dropped), "looked for once a second")
    opened = []
    for _ in range(OPENINGS):
        command = authority.command(HERE, "open", lane="entry")
        begun_s = time.monotonic()
        broker.say(f"{ROOT}/command", command)
        opened.append(_opened_s(lane, begun_s) - begun_s)
    met = max(opened) < 1.0
    yield Row(f"command → relay told to open, {OPENINGS} commands", _ms(opened), f"bare {_ms(bare)}", "< 1 s", met)


def _flooded(broker: _Broker, authority: DemoAuthority, kiosk: Kiosk, lane: Lane, heard: Heard) -> Iterator[Row]:
    """A code at the exit opens at once; does it still while strangers send what they can, and is each command done?

    What they send names the right key and is signed by none.
    """

    def openings() -> list[float]:
        found = []
        for _ in range(OPENINGS):
            begun_s = lane.scan(kiosk.code())
            found.append(_opened_s(lane, begun_s) - begun_s)
        return found

    calm = openings()
    junk = itertools.cycle([_forged(authority) for _ in range(FORGED)])
    before = broker.said
    begun_s = time.monotonic()
    with _again_and_again(lambda: broker.say(f"{ROOT}/command", next(junk)), JUNK_EVERY_S):
        flooded = openings()
        rate = (broker.said - before) / (time.monotonic() - begun_s)
        heard.drain()
        for _ in range(COMMANDS):
            broker.say(f"{ROOT}/command", authority.command(HERE, "flush"))
            time.sleep(COMMAND_EVERY_S)
        done = sum(_is_done(topic, payload) for _, topic, payload in heard.drain())
    yield Row(
        f"code → relay, {rate:.0f} forged commands a second meanwhile", _ms(flooded), f"without them {_ms(calm)}"
    )
    yield Row("signed commands done among them", f"{done} of {COMMANDS}", "", "all", done == COMMANDS)


def _forged(authority: DemoAuthority) -> bytes:
    """A command with another signature than its own."""
    envelope = json.loads(authority.command(HERE, "open", lane="exit"))
    for entry in envelope["signatures"]:
        entry["sig"] = entry["sig"][1:] + entry["sig"][:1]
    return json.dumps(envelope).encode()


def _is_done(topic: str, payload: bytes) -> bool:
    if not topic.endswith("/event/command_result"):
        return False
    told = json.loads(payload)["data"]
    return (told["command"], told["status"]) == ("flush", "succeeded")


def _opened_s(lane: Lane, since_s: float) -> float:
    """When the relay was told; returns when it has let go, so that the next pulse is one of its own."""
    opened_s = lane.opened_s(since_s)
    if opened_s is None:
        raise TimeoutError("the gate did not open")
    with lane.relay.changed:
        lane.relay.changed.wait_for(lambda: not lane.relay.changes[-1][2], 5)
    time.sleep(0.05)
    return opened_s


def _decides(topic: str, payload: bytes, colour: Colour) -> bool:
    return topic.endswith("/event/passage") and json.loads(payload)["data"]["decision"] == DECISIONS[colour]


def _ms(times_s: list[float]) -> str:
    shown = (quantile(times_s, 0.5), quantile(times_s, 0.99), max(times_s))
    return " / ".join(f"{1e3 * time_s:.1f}" for time_s in shown) + " ms"


@contextmanager
def _again_and_again(act: Callable[[], object], every_s: float) -> Iterator[None]:
    """While this lasts it is done, by a thread of its own."""
    enough = threading.Event()

    def run() -> None:
        while not enough.wait(every_s):
            act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


class _Broker:
    """A plain paho client: speaks for the central server, and measures the way through the broker alone."""

    def __init__(self, port: int) -> None:
        self.said = 0
        self._heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="server")
        self._client.on_message = lambda _c, _u, message: self._heard.put(message.payload)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe("bare", qos=1)
        self.round_trip_s()

    def say(self, topic: str, payload: bytes) -> None:
        self.said += 1
        self._client.publish(topic, payload, qos=1)

    def round_trip_s(self) -> float:
        """Of a message of a list bundle's size, to ourselves."""
        payload = str(time.monotonic_ns()).encode().ljust(1000)
        begun_s = time.monotonic()
        self.say("bare", payload)
        while self._heard.get(timeout=20) != payload:
            continue
        return time.monotonic() - begun_s

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
