"""What tests of the outbox read from its records."""

from __future__ import annotations

import json
from hashlib import sha256


def numbers(records):
    """`duration_ms` of passages, which the tests use to tell events apart; losses are left out."""
    bodies = [json.loads(record.payload)["data"] for record in records]
    return [body["duration_ms"] for body in bodies if "duration_ms" in body]


def losses(records):
    bodies = [json.loads(record.payload)["data"] for record in records]
    return [body["loss"] for body in bodies if "loss" in body]


def take_all(outbox, wait_for, count, *, acknowledge=True):
    """Take until there are `count` records."""
    taken = []

    def enough():
        records = outbox.send_queue.claim_batch(50)
        taken.extend(records)
        if acknowledge:
            outbox.send_queue.acked(records)
        return len(taken) >= count

    wait_for(enough)
    return taken


def is_chain(records):
    """Whether each record names the hash of the one before it, and sequences have no gap."""
    events = [json.loads(record.payload) for record in records]
    pairs = zip(records, events, strict=True)
    previous, sequence = events[0]["previoussha256"], int(events[0]["sequence"])
    for record, event in pairs:
        if event["previoussha256"] != previous or int(event["sequence"]) != sequence:
            return False
        previous, sequence = sha256(record.payload).hexdigest(), sequence + 1
    return True
