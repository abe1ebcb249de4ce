"""What `bench_events` measures, each in a process of its own; prints one line of JSON.

fill FILE N            N events into the outbox
drain FILE PORT N      out of it through the link: rate, CPU, memory over what it has before
steady FILE PORT N HZ  HZ events a second through both; CPU beyond what the idle agent uses, and all of it
card FILE N BURST      N events in bursts, acknowledged at once: what the card gets is counted outside
paho-fill FILE N, paho-drain FILE PORT N
                       the same by hand: a plain SQLite table (WAL, FULL) and a plain paho loop, window 20
"""

from __future__ import annotations

import gc
import json
import resource
import sqlite3
import sys
import threading
import time
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent import mqtt
from agent.events import FIRST, Encoder, Topics
from agent.events.state import State
from agent.model import (
    ChainPosition,
    ClockState,
    CodeStatus,
    Colour,
    Decision,
    Direction,
    Event,
    Outcome,
    Passage,
    Screening,
    Temperature,
    TimeBounds,
    Verdict,
)
from agent.outbox import Options, Outbox

TOPICS = Topics("bench", "kiosk")
WINDOW = 20


def passage(number: int) -> Event:
    verdict = Verdict(CodeStatus.VALID, "gatepost", b"0123456789abcdef", "city-health", Colour.GREEN)
    temperature = Temperature(Screening.NORMAL, 35.812, 0.5, 8, 37.3)
    decision = Decision(Outcome.ADMIT, ("code_green", "temperature_normal"), "green and normal")
    body = Passage("in", Direction.ENTRY, verdict, temperature, decision, True, 0.0, number / 1000, True)
    return Event(body, number / 1000, TimeBounds(1.7e9, 1.7e9 + 0.1, ClockState.SYNCED), "7d3c" * 8)


def opened(file: str) -> Outbox:
    outbox = Outbox(Options(path=file), Encoder(TOPICS))
    outbox.start()
    while not outbox.status().epoch:
        time.sleep(0.01)
    return outbox


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill(file: str, number: int) -> dict[str, float]:
    outbox = opened(file)
    begun_s = time.process_time()
    for each in range(number):
        outbox.store(passage(each))
        if each % 2000 == 1999:
            outbox.flush(60)
    outbox.flush(60)
    used_s = time.process_time() - begun_s
    outbox.stop(60)
    return {"cpu_us": used_s / number * 1e6}


def drain(file: str, port: int, number: int) -> dict[str, float]:
    outbox = opened(file)
    link = mqtt.Link(mqtt.Options(port=port, max_inflight=WINDOW), TOPICS, outbox, lambda: State("bench"))
    idle_mb, begun_s, cpu_s = memory_mb(), time.monotonic(), time.process_time()
    link.start()
    while outbox.status().delivered < number:
        time.sleep(0.02)
    took_s, used_s = time.monotonic() - begun_s, time.process_time() - cpu_s
    link.stop()
    outbox.stop()
    return {"rate": number / took_s, "cpu_us": used_s / number * 1e6, "mb": memory_mb() - idle_mb}


def steady(file: str, port: int, number: int, hz: int) -> dict[str, float]:
    gc.freeze()  # as `gatepost` does
    outbox = opened(file)
    link = mqtt.Link(mqtt.Options(port=port), TOPICS, outbox, lambda: State("bench"))
    link.start()
    while not link.status().connected:
        time.sleep(0.05)
    begun_s = time.process_time()
    time.sleep(4)
    idle = (time.process_time() - begun_s) / 4
    begun_s, start_s, making_s = time.process_time(), time.monotonic(), 0.0
    for each in range(number):
        time.sleep(max(0.0, start_s + each / hz - time.monotonic()))
        mark_s = time.thread_time()
        event = passage(each)
        making_s += time.thread_time() - mark_s
        outbox.store(event)
    while outbox.status().delivered < number:
        time.sleep(0.02)
    used_s, took_s = time.process_time() - begun_s - making_s, time.monotonic() - start_s
    link.stop()
    outbox.stop()
    return {"cpu_us": (used_s - idle * took_s) / number * 1e6, "all_us": used_s / number * 1e6}


def paho_steady(file: str, port: int, number: int, hz: int) -> dict[str, float]:
    """Insert, commit, publish, wait for the acknowledgement, delete, commit; HZ times a second."""
    db = sqlite3.connect(file)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, payload BLOB)")
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("localhost", port)
    client.loop_start()
    encode, topic = Encoder(TOPICS), TOPICS.event("passage")
    time.sleep(4)
    begun_s, start_s, making_s = time.process_time(), time.monotonic(), 0.0
    for each in range(number):
        time.sleep(max(0.0, start_s + each / hz - time.monotonic()))
        mark_s = time.thread_time()
        event = passage(each)
        making_s += time.thread_time() - mark_s
        payload = encode(event, ChainPosition("0" * 8, each + 1, FIRST)).payload
        seq = db.execute("INSERT INTO event (payload) VALUES (?)", (payload,)).lastrowid
        db.commit()
        client.publish(topic, payload, qos=1).wait_for_publish(5)
        db.execute("DELETE FROM event WHERE seq = ?", (seq,))
        db.commit()
    used_s = time.process_time() - begun_s - making_s
    client.disconnect()
    client.loop_stop()
    return {"all_us": used_s / number * 1e6}


def card(file: str, number: int, burst: int) -> dict[str, float]:
    outbox = opened(file)
    for first in range(0, number, burst):
        for each in range(first, first + burst):
            outbox.store(passage(each))
        outbox.flush(60)
        while taken := outbox.send_queue.claim_batch(WINDOW):
            outbox.send_queue.acked(taken)
    outbox.stop()
    return {}


def paho_fill(file: str, number: int) -> dict[str, float]:
    encode = Encoder(TOPICS)
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, payload BLOB)")
        payloads = (
            (encode(passage(each), ChainPosition("0" * 8, each + 1, FIRST)).payload,) for each in range(number)
        )
        db.executemany("INSERT INTO event (payload) VALUES (?)", payloads)
    return {}


def paho_drain(file: str, port: int, number: int) -> dict[str, float]:
    """As one would: read in batches, publish up to the window, delete in batches what was acknowledged."""
    db = sqlite3.connect(file)
    db.execute("PRAGMA synchronous=FULL")
    free, done = threading.Semaphore(WINDOW), deque[int]()
    flight: dict[int, int] = {}
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    connected = threading.Event()

    def on_publish(_client, _userdata, mid, _reason, _properties) -> None:
        done.append(mid)
        free.release()

    client.on_publish, client.on_connect = on_publish, lambda *_: connected.set()
    idle_mb, begun_s, cpu_s = memory_mb(), time.monotonic(), time.process_time()
    client.connect("localhost", port)
    client.loop_start()
    connected.wait(10)
    last, topic = 0, TOPICS.event("passage")
    gone = 0
    while gone < number:
        rows = db.execute("SELECT seq, payload FROM event WHERE seq > ? ORDER BY seq LIMIT 100", (last,)).fetchall()
        for seq, payload in rows:
            free.acquire()
            flight[client.publish(topic, payload, qos=1).mid] = seq
            last = seq
        if not rows:
            time.sleep(0.001)
        if len(done) >= 100 or not rows:
            keys = [(flight.pop(done.popleft()),) for _ in range(len(done)) if done[0] in flight]
            db.executemany("DELETE FROM event WHERE seq = ?", keys)
            db.commit()
            gone += len(keys)
    took_s, used_s = time.monotonic() - begun_s, time.process_time() - cpu_s
    client.disconnect()
    client.loop_stop()
    return {"rate": number / took_s, "cpu_us": used_s / number * 1e6, "mb": memory_mb() - idle_mb}


if __name__ == "__main__":
    name, file, *numbers = sys.argv[1:]
    task = {
        "fill": fill,
        "drain": drain,
        "steady": steady,
        "card": card,
        "paho-steady": paho_steady,
        "paho-fill": paho_fill,
        "paho-drain": paho_drain,
    }[name]
    print(json.dumps(task(file, *map(int, numbers))))
