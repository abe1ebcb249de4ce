"""Gatepost's reference server: from the broker to rows in PostgreSQL, each event once, and receipts after the commit.

    python server.py postgresql:///gatepost mqtt://server:PASSWORD@broker --key receipts.key

An example to read and to start from; README.md beside it explains. It needs psycopg, cryptography, and paho-mqtt, pika or nats-py.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from brokers import Broker, BrokerError, Message, broker_at
from bundles import Bundles
from chain import Run, advanced, joined
from keys import Signer, sealing_key, unsealed

BATCH = 1000
TOPIC = re.compile(r"(gatepost/v1/([^/]+)/([^/]+))/(state|event/([a-z_]+))")
EPOCH = re.compile("[0-9a-f]{8}")
SHAPES = {"epoch": EPOCH, "sequence": "[0-9]{12,18}", "previoussha256": "[0-9a-f]{64}"}
MOST_RANGES = 250


def no_number(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


LOADS = json.JSONDecoder(parse_constant=no_number).decode

Chain = tuple[str, str]
"""Source and epoch."""


class Refused(ValueError):
    """No event, or not of the kiosk on whose topic it came."""


class Event(NamedTuple):
    source: str
    epoch: str
    sequence: int
    kind: str
    day: date
    previous: str
    hash: str
    payload: str
    data: dict[str, Any]

    @property
    def key(self) -> tuple[str, str, int]:
        return self.source, self.epoch, self.sequence

    @property
    def loss(self) -> tuple[str, int, int] | None:
        """Epoch, first and last sequence of what its kiosk had to give up, if it is about that."""
        match self.data.get("loss") if self.kind == "agent" else None:
            case {"epoch": str(epoch), "first": int(first), "last": int(last)} if EPOCH.fullmatch(epoch):
                return epoch, first, last
        return None


def read(message: Message) -> Event | tuple[str, str, dict[str, Any]]:
    """An event; or source, site and body of a state. A broker guards topics, so only the topic says of whom it is."""
    parts = TOPIC.fullmatch(message.topic)
    try:
        text = message.payload.decode()
        body = LOADS(text)
        if parts is None or not isinstance(body, dict) or "\\u0000" in text:
            raise Refused("no event and no state")
        if "\\ud" in text or "\\uD" in text:
            # half a pair is no text: PostgreSQL's jsonb does not take it
            json.dumps(body, ensure_ascii=False).encode()
        source, site, kiosk, kind = "/" + parts[1], parts[2], parts[3], parts[5]
        if kind is None:
            named = (body["type"], body["kiosk"]) == ("gatepost.state.v1", kiosk)
            if not named or body["state"] not in ("online", "offline"):
                raise Refused("a state of another kiosk, or none")
            return source, site, body
        if body["source"] != source:
            raise Refused(f"an event of {str(body['source'])[:80]}")
        has_all = all(re.fullmatch(shape, body[name]) for name, shape in SHAPES.items())
        if not has_all or not isinstance(body["data"], dict):
            raise Refused("members that no event has")
        day = datetime.fromisoformat(body["time"]).date() if body.get("time") else datetime.now(UTC).date()
        number, digest = int(body["sequence"]), sha256(message.payload).hexdigest()
        return Event(source, body["epoch"], number, kind, day, body["previoussha256"], digest, text, body["data"])
    except Refused:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(f"cannot be read: {error!r}") from None


# -- one transaction for a batch -----------------------------------------------------------------------------------

STAGE = """CREATE TEMP TABLE IF NOT EXISTS stage (source text, epoch text, sequence bigint, kind text, day date, hash bytea,
 payload text) ON COMMIT DELETE ROWS"""
INSERT = """INSERT INTO event SELECT stage.source, stage.epoch, sequence, kind, day, stage.hash, payload
 FROM stage JOIN chain USING (source, epoch) WHERE sequence > deleted ORDER BY 1, 2, 3
 ON CONFLICT DO NOTHING RETURNING source, epoch, sequence"""
STATE = """INSERT INTO kiosk (source, site, state, software_version, body) VALUES (%s, %s, %s, %s, %s)
 ON CONFLICT (source) DO UPDATE SET state = excluded.state, software_version = excluded.software_version, body = excluded.body,
 since = CASE WHEN kiosk.state = excluded.state THEN kiosk.since ELSE now() END"""


class Store:
    """The database. Two servers on the same one are as right as one: who changes a chain has its row locked."""

    def __init__(self, dsn: str, unseal: list[Any]) -> None:
        self._dsn, self._unseal = dsn, unseal
        self.states: dict[str, dict[str, Any]] = {}
        """By source, those that have come lately, until they are looked at."""
        self._db: psycopg.Connection[Any] | None = None

    @property
    def db(self) -> psycopg.Connection[Any]:
        """The connection, made again when it broke. Raises psycopg.OperationalError."""
        if self._db is None or self._db.closed:
            self._db = psycopg.connect(self._dsn, autocommit=True)
            self._db.execute(STAGE)
        return self._db

    def keep(self, messages: list[Message]) -> set[Chain]:
        """Commit a batch; the chains that it concerns. One message that the database does not take stops no other."""
        try:
            return self._commit(messages)
        except (psycopg.DataError, psycopg.ProgrammingError) as error:
            if len(messages) == 1:
                self._refuse(messages[0], str(error))
                return set()
            return set().union(*(self.keep([message]) for message in messages))

    def _refuse(self, message: Message, reason: str) -> None:
        print(f"refused: {message.topic[:200]}: {reason}", flush=True)
        values = (message.topic.replace("\0", ""), reason.replace("\0", ""), message.payload)
        self.db.execute("INSERT INTO refused (topic, reason, payload) VALUES (%s, %s, %s)", values)

    def _commit(self, messages: list[Message]) -> set[Chain]:
        events: dict[tuple[str, str, int], Event] = {}
        states: dict[str, tuple[str, dict[str, Any]]] = {}
        refused = []
        for message in filter(lambda each: each.payload, messages):  # `gatepost check --broker` sends an empty one
            try:
                match read(message):
                    case Event() as event:
                        events.setdefault(event.key, event)
                    case (source, site, body):
                        states[source] = site, body
            except Refused as error:
                refused.append((message, str(error)))
        with self.db.transaction():
            for message, reason in refused:
                self._refuse(message, reason)
            if states:
                self._keep_states(states)
            if events:
                self._keep_events(events)
        return {event.key[:2] for event in events.values()}

    def _keep_states(self, states: dict[str, tuple[str, dict[str, Any]]]) -> None:
        rows = [
            (source, site, body["state"], str(body.get("software_version", "")), json.dumps(body))
            for source, (site, body) in sorted(states.items())
        ]
        self.db.cursor().executemany(STATE, rows)
        self.states |= {source: body for source, (_, body) in states.items()}

    def _keep_events(self, events: dict[tuple[str, str, int], Event]) -> None:
        cursor = self.db.cursor()
        with cursor.copy("COPY stage FROM STDIN") as copy:
            for event in events.values():
                digest = bytes.fromhex(event.hash)
                copy.write_row((*event[:5], digest, event.payload))
        losses = {(event.source, event.loss[0]) for event in events.values() if event.loss}
        chains = sorted({event.key[:2] for event in events.values()} | losses)
        sources, epochs = [chain[0] for chain in chains], [chain[1] for chain in chains]
        both = "SELECT * FROM unnest(%s::text[], %s::text[]) AS wanted (source, epoch)"
        cursor.execute(
            f"INSERT INTO chain (source, epoch) {both} ORDER BY 1, 2 ON CONFLICT DO NOTHING", (sources, epochs)
        )
        cursor.execute(
            f"SELECT source, epoch, up_to, encode(hash, 'hex'), runs, lost FROM chain JOIN ({both}) AS wanted"
            " USING (source, epoch) ORDER BY 1, 2 FOR UPDATE OF chain",
            (sources, epochs),
        )
        known = {row[:2]: row[2:] for row in cursor.fetchall()}
        fresh = [events[key] for key in cursor.execute(INSERT).fetchall()]
        self._advance(known, fresh)
        self._count(fresh)
        self._open(fresh)
        self._venue(fresh)

    def _advance(self, known: dict[Chain, Any], fresh: list[Event]) -> None:
        """Bring the chains forward by events that were not here before."""
        runs: dict[Chain, list[Run]] = {chain: [tuple(run) for run in row[2]] for chain, row in known.items()}
        lost: dict[Chain, list[tuple[int, int]]] = {
            chain: [tuple(each) for each in row[3]] for chain, row in known.items()
        }
        for event in fresh:
            runs[event.key[:2]].append((event.sequence, event.sequence, event.previous, event.hash))
            if event.loss:
                lost[event.source, event.loss[0]].append(event.loss[1:])
        rows = []
        for chain, (before, hash_before, _, _) in known.items():
            up_to, head, rest = advanced(before, hash_before, joined(runs[chain]), lost[chain])
            ahead = [each for each in lost[chain] if each[1] > up_to]
            rows.append((up_to, bytes.fromhex(head), json.dumps(rest), json.dumps(ahead), *chain))
        names = ("bigint", "bytea", "text", "text", "text", "text")
        self.db.execute(
            "UPDATE chain SET up_to = new.a, hash = new.b, runs = new.c::jsonb, lost = new.d::jsonb"
            f" FROM unnest({', '.join(f'%s::{name}[]' for name in names)}) AS new (a, b, c, d, e, f)"
            " WHERE source = new.e AND epoch = new.f",
            [list(column) for column in zip(*rows, strict=True)],
        )

    def _count(self, fresh: list[Event]) -> None:
        counts = Counter(
            (event.day, event.source, str(event.data.get("decision", "")))
            for event in fresh
            if event.kind == "passage" and not event.data.get("drill")
        )
        rows = [(*key, count) for key, count in sorted(counts.items())]
        self.db.execute(
            "INSERT INTO day_count SELECT * FROM unnest(%s::date[], %s::text[], %s::text[], %s::bigint[])"
            " ON CONFLICT (day, source, decision) DO UPDATE SET passages = day_count.passages + excluded.passages",
            [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], []],
        )

    def _open(self, fresh: list[Event]) -> None:
        """Sealed parts, where the key is here; see docs/privacy.md."""
        found = [
            (event, unsealed(event.source, event.data, self._unseal))
            for event in fresh
            if self._unseal and event.data.get("sealed")
        ]
        rows = [(*event.key, event.day, json.dumps(content)) for event, content in found if content is not None]
        self.db.cursor().executemany(
            "INSERT INTO personal VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING", rows
        )

    def _venue(self, fresh: list[Event]) -> None:
        """Cases and reports. They may come in any order: a feedback may be here before the passage."""
        cursor = self.db.cursor()
        for event in fresh:
            data, case = event.data, event.data.get("case")
            if event.kind == "report":
                values = (*event.key, data.get("day"), json.dumps(data))
                cursor.execute("INSERT INTO report VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING", values)
            elif event.kind == "passage" and case:
                cursor.execute(
                    "INSERT INTO alert_case VALUES (%s, %s, %s, %s) ON CONFLICT (source, name)"
                    " DO UPDATE SET opened = least(alert_case.opened, excluded.opened)",
                    (event.source, case, event.day, bool(data.get("drill"))),
                )
            elif event.kind == "attestation" and data.get("type") == "feedback" and case:
                cursor.execute(
                    "INSERT INTO alert_case VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (source, name)"
                    " DO UPDATE SET answered = excluded.answered, answer = excluded.answer",
                    (event.source, case, event.day, bool(data.get("drill")), event.day, str(data.get("value", ""))),
                )

    def receipts(self, chains: set[Chain]) -> list[dict[str, Any]]:
        """What is committed of these, as a receipt each."""
        wanted = sorted(chains)
        found = self.db.execute(
            "SELECT source, epoch, up_to, encode(hash, 'hex'), runs FROM chain JOIN"
            " unnest(%s::text[], %s::text[]) AS wanted (source, epoch) USING (source, epoch)",
            ([chain[0] for chain in wanted], [chain[1] for chain in wanted]),
        )
        return [
            {"source": source, "epoch": epoch, "up_to": up_to, "sha256": head,
             "ranges": [{"first": run[0], "last": run[1], "sha256": run[3]} for run in runs[:MOST_RANGES]]}
            for source, epoch, up_to, head, runs in found
        ]  # fmt: skip


# -- the loop ------------------------------------------------------------------------------------------------------


def serve(store: Store, broker: Broker, signer: Signer, args: argparse.Namespace) -> None:
    """Until stopped. Each batch: committed, then acknowledged, then, now and then, confirmed to the kiosks."""
    touched: set[Chain] = set()
    """Chains that have changed since their last receipt."""
    due_s = clean_s = 0.0
    bundles = Bundles(args.bundles)
    while True:
        batch = broker.fetch(BATCH, 0.2)
        while True:
            try:
                if batch:
                    touched |= store.keep(batch)
                now_s = time.monotonic()
                if touched and now_s >= due_s:
                    for receipt in store.receipts(touched):
                        broker.publish(receipt["source"][1:] + "/receipt", signer.receipt(receipt))
                    touched, due_s = set(), now_s + args.receipt_every_s
                if args.keep_days and now_s >= clean_s:
                    oldest = datetime.now(UTC).date() - timedelta(days=args.keep_days)
                    store.db.execute("SELECT delete_older(%s)", (oldest,))
                    clean_s = now_s + 3600
                break
            except psycopg.OperationalError as error:
                # the database is away, or two servers met: nothing is acknowledged
                print(f"database: {str(error).strip()}; trying again", flush=True)
                broker.pause(1.0)
        if batch:
            broker.acknowledge(batch)
            for source, body in store.states.items():
                for topic, envelope in bundles.lacking(source, body, time.monotonic()):
                    broker.publish(topic, envelope, retain=False)
            store.states.clear()
            print(f"{len(batch)} came", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", help="postgresql://USER:PASSWORD@HOST/NAME")
    parser.add_argument(
        "broker", nargs="*", help="mqtt://, mqtts://; or amqp://, nats:// of the nodes of a cluster"
    )
    parser.add_argument("--create", action="store_true", help="make the tables, and end when no broker is named")
    parser.add_argument("--key", type=Path, help="signs receipts: gatepost keys new receipts --server")
    parser.add_argument(
        "--unseal", type=Path, action="append", default=[], metavar="KEY", help="opens sealed parts"
    )
    parser.add_argument(
        "--share", default="server", help="a long word that no kiosk knows; the same for all servers"
    )
    parser.add_argument("--ca-file", help="authority behind an mqtts broker; default: those of the system")
    parser.add_argument("--receipt-every-s", type=float, default=1.0, help="seconds between receipts (default: 1)")
    parser.add_argument("--bundles", type=Path, help="folder of signed *.bundle: kiosks that lack one are sent it")
    parser.add_argument("--keep-days", type=int, default=0, help="delete events older than this; 0: keep all")
    args = parser.parse_args()
    if args.broker and args.key is None:
        parser.error("--key: the file of the key that signs receipts, for example receipts.key")
    if args.bundles and not args.bundles.is_dir():
        parser.error(f"--bundles {args.bundles}: no folder")
    try:
        if args.create:
            with psycopg.connect(args.database) as db:
                db.execute(Path(__file__).with_name("schema.sql").read_text(encoding="utf-8").encode())
        if not args.broker:
            return 0
        signer, unseal = Signer(args.key), [sealing_key(file) for file in args.unseal]
        broker = broker_at(args.broker, args.share, args.ca_file)
    except (BrokerError, OSError, ValueError, psycopg.Error) as error:
        print(str(error).strip(), file=sys.stderr)
        return 1
    try:
        serve(Store(args.database, unseal), broker, signer, args)
    except psycopg.errors.UndefinedTable:
        print(f"{args.database}: there are no tables yet: start once with --create", file=sys.stderr)
    except BrokerError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
