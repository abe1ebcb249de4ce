"""Codes, lists and policy: how many vectors are judged right, and what one judgement costs."""

from __future__ import annotations

import itertools
import json
import os
import random
import sqlite3
import subprocess
import tempfile
import threading
import time
import tracemalloc
import zlib
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rows import ROOT, Row, peers

from agent import credentials, policy
from agent.credentials import batch, lists
from agent.credentials.trust import TrustedKey, TrustStore, parse_trust_store, short_hash
from agent.crypto import base45, signing
from agent.model import ClockState, Direction, Screening, TimeBounds
from agent.policy.facts import DIMENSIONS, CodeFact, Facts
from agent.policy.table import facts_for
from agent.ruleset import load
from drivers import vision
from drivers.vision import opencv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = ROOT.parent / "shared" / "data" / "codes"
NOW = TimeBounds(1_620_000_000.0, 1_620_000_000.0, ClockState.SYNCED)
KEYS = int(os.environ.get("GATEPOST_BENCH_KEYS", "10_000_000"))
CHANGES = 10_000


def run() -> Iterator[Row]:
    if (DATA / "dcc.json").is_file():
        yield from _vectors()
        yield from _one_check()
        yield _pictures()
    else:
        yield Row("vectors", "../shared/data/codes is not beside the project")
    yield from _hostile()
    yield from _policy()
    yield from _lists()


def _vectors() -> Iterator[Row]:
    cases = json.loads((DATA / "dcc.json").read_text())
    keys, cards = json.loads((DATA / "shc-jwks.json").read_text()), json.loads((DATA / "shc.json").read_text())
    dcc = [({"text": case["text"], "certificates": [case["cert"]]}, case["accept"]) for case in cases]
    shc = [(_text(case["data"]) | {"jwks": keys}, case["accept"]) for case in cards]
    for name, lines in (("DCC", dcc), ("SHC", shc)):
        answers = [
            (batch.verify_line(json.dumps(line).encode(), TrustStore())["accept"], truth) for line, truth in lines
        ]
        right = sum(answer is truth for answer, truth in answers)
        false = sum(answer is True and not truth for answer, truth in answers)
        yield Row(
            f"{name} vectors right",
            f"{right} of {len(lines)}, {false} false accepts",
            bar="all, 0",
            met=right == len(lines),
        )


def _text(data: str | list[str]) -> dict[str, Any]:
    return {"text": data} if isinstance(data, str) else {"texts": data}


def _one_check() -> Iterator[Row]:
    cases = json.loads((DATA / "dcc.json").read_text())
    case = next(case for case in cases if case["accept"] and case["alg"] == -7 and 530 < len(case["text"]) < 560)
    der = b64decode(case["cert"])
    trust = parse_trust_store([TrustedKey("s", short_hash(der), frozenset({"dcc"}), signing.certificate_key(der))])
    payload = case["text"].encode()
    what = f"one DCC check, ES256, {len(payload)} characters"
    before = _best_us(lambda: credentials.check(payload, trust, NOW))
    python = peers("cwt==3.3.0", "base45==0.4.4", name="peers-codes")
    if python is None:
        yield Row(what, f"{before:.0f} µs", "peers cannot be installed here")
        return
    script = Path(__file__).with_name("peer_dcc.py")
    done = subprocess.run(
        [python, script, DATA / "dcc.json", case["id"]], capture_output=True, text=True, check=True
    )
    peer = json.loads(done.stdout)
    here = min(before, _best_us(lambda: credentials.check(payload, trust, NOW)))
    yield Row(
        what, f"{here:.0f} µs", f"composed {peer['composed_us']:.0f} µs", "≤ composed", here <= peer["composed_us"]
    )
    ratio = here / peer["cwt_us"]
    yield Row("  against cwt 3.3.0", f"{ratio:.2f} ×", f"cwt {peer['cwt_us']:.0f} µs", "≤ 0.75 ×", ratio <= 0.75)
    yield Row("  vectors right", "see above", f"cwt {peer['cwt_right']}, composed {peer['composed_right']}")


def _pictures() -> Row:
    pictures = sorted((DATA / "qa").iterdir())
    parsed = 0
    for picture in pictures:
        texts = vision.read(opencv.from_bytes(picture.read_bytes()))
        verdicts = [credentials.check(text.encode(), TrustStore(), NOW) for text in texts]
        parsed += any(verdict.format == "dcc" and verdict.status == "unknown_issuer" for verdict in verdicts)
    return Row(
        "DCC photographs decoded and parsed", f"{parsed} of {len(pictures)}", bar="all", met=parsed == len(pictures)
    )


def _hostile() -> Iterator[Row]:
    def packed(content: bytes) -> bytes:
        return b"HC1:" + base45.encode(zlib.compress(content, 9)).encode()

    scans = {
        "1.4 MB text": b"HC1:" + b"A" * 1_400_000,
        "zip bomb": packed(bytes(2_700_000)),
        "CBOR depth": packed(b"\x81" * 60_000),
        "tag 35": packed(b"\xd8\x23\x68(a+)+$aa"),
        "huge int": packed(b"\xc2\x59\xff\x00" + b"\xff" * 0xFF00),
        "NUL": b"HC1:" + bytes(4000),
        "escapes": b"\x1b]0;x\x07" * 500,
        "16 kB base45": b"GP1:" + b"0" * 16_000,
        "digits": b"shc:/" + b"1" * 16_000,
        "deep JSON": b'{"hdr":' + b"[" * 16_000,
    }
    worst_ms, worst_kb = 0.0, 0.0
    for scan in scans.values():
        worst_ms = max(worst_ms, _best_us(lambda scan=scan: credentials.check(scan, TrustStore(), NOW), 5) / 1000)
        tracemalloc.start()
        credentials.check(scan, TrustStore(), NOW)
        worst_kb = max(worst_kb, tracemalloc.get_traced_memory()[1] / 1024)
        tracemalloc.stop()
    yield Row(f"hostile scan, worst of {len(scans)}: time", f"{worst_ms:.1f} ms", bar="≤ 10 ms", met=worst_ms <= 10)
    yield Row("hostile scan, worst: memory", f"{worst_kb:.0f} KiB", bar="≤ 1 MiB", met=worst_kb <= 1024)


def _policy() -> Iterator[Row]:
    table = load.load_table(policy.Options("office"))
    source = random.Random(3)
    many = [Facts(*(source.choice(list(values)) for values in DIMENSIONS.values())) for _ in range(1000)]
    many.append(Facts(Direction.ENTRY, CodeFact.GREEN, Screening.NORMAL))
    many = [facts_for(table, facts) for facts in many]  # as this table is asked
    rows = [(_closure(row.when), row.decision) for row in table.rows]

    def by_closures(facts: Facts) -> object:
        return next(decision for matches, decision in rows if matches(facts))

    assert all(by_closures(facts) is policy.decide(table, facts) for facts in many)
    here = _best_us(lambda: [policy.decide(table, facts) for facts in many]) / len(many)
    peer = _best_us(lambda: [by_closures(facts) for facts in many]) / len(many)
    yield Row(
        f"one policy decision, {len(table.rows)} rows",
        f"{here:.2f} µs",
        f"closures {peer:.2f} µs",
        "≤ 3 µs",
        here <= 3,
    )
    proof_ms = _best_us(lambda: load.load_table(policy.Options("office")), 3) / 1000
    combinations = 1
    for values in DIMENSIONS.values():
        combinations *= len(values)
    yield Row(f"proof of all {combinations:,} combinations", f"{proof_ms:.0f} ms")


def _closure(when: Any) -> Callable[[Facts], bool]:
    tests = [(Facts._fields.index(name), values) for name, values in when.items()]
    return lambda facts: all(facts[index] in values for index, values in tests)


def _lists() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache" if (ROOT / ".cache").is_dir() else None) as folder:
        path = Path(folder) / "revoked.gpl"
        keys = os.urandom(16 * KEYS)
        some = [keys[at : at + 16] for at in range(0, 16 * KEYS, 16 * max(1, KEYS // 20_000))]
        head = lists.ListHeader("revoked", "x", 1, 0, 1, 2)
        began_s = time.perf_counter()
        load.write_list(path, head, keys)
        yield Row(
            f"{KEYS:,} keys: build", f"{time.perf_counter() - began_s:.0f} s, {path.stat().st_size / 1e6:.0f} MB"
        )
        database = _sqlite(Path(folder) / "peer.db", keys)
        del keys
        yield from _lookups(path, some, database)
        yield from _delta(path, some, database)


def _lookups(path: Path, some: list[bytes], database: sqlite3.Connection) -> Iterator[Row]:
    before = _anonymous_kb()
    open_ms = _best_us(lambda: load.open_list(path), 5) / 1000
    found = load.open_list(path)
    assert all(found.find(key) == 1 for key in some)
    here = _median_us(found.find, some)
    query = database.execute

    def in_sqlite(key: bytes) -> object:
        return query("SELECT 1 FROM keys WHERE key = ?", (key,)).fetchone()

    assert all(in_sqlite(key) for key in some)
    peer = _median_us(in_sqlite, some)
    grown_mb = (_anonymous_kb() - before) / 1024
    yield Row("  warm hit, median", f"{here:.1f} µs", f"SQLite {peer:.1f} µs", "≤ 3 µs", here <= 3)
    yield Row("  open file", f"{open_ms:.2f} ms", bar="≤ 50 ms", met=open_ms <= 50)
    yield Row("  private memory", f"{grown_mb:.1f} MB", bar="≤ 5 MB", met=grown_mb <= 5)


def _delta(path: Path, some: list[bytes], database: sqlite3.Connection) -> Iterator[Row]:
    old = list(itertools.islice(some, CHANGES))
    new = [os.urandom(16) for _ in range(CHANGES)]
    changes = dict.fromkeys(old, lists.GONE) | dict.fromkeys(new, 1)
    reader, slowest = load.open_list(path), [0.0]
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            for key in some[:100]:
                began_s = time.perf_counter()
                reader.find(key)
                slowest[0] = max(slowest[0], time.perf_counter() - began_s)

    thread = threading.Thread(target=read)
    thread.start()
    began_s = time.perf_counter()
    changed = load.change_list(path, lists.ListHeader("revoked", "x", 2, 0, 1, 2), changes)
    here = time.perf_counter() - began_s
    stop.set()
    thread.join()
    assert all(changed.find(key) is None for key in old)
    assert all(changed.find(key) == 1 for key in new)
    began_s = time.perf_counter()
    with database:
        database.executemany("DELETE FROM keys WHERE key = ?", ((key,) for key in old))
        database.executemany("INSERT INTO keys VALUES (?)", ((key,) for key in new))
    peer = time.perf_counter() - began_s
    yield Row(f"  ±{CHANGES:,} applied, durable", f"{here:.2f} s", f"SQLite {peer:.2f} s", "≤ 1 s", here <= 1)
    yield Row("  longest lookup meanwhile", f"{slowest[0] * 1000:.1f} ms", bar="not blocked", met=slowest[0] < here)


def _sqlite(path: Path, keys: bytes) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE keys (key BLOB PRIMARY KEY) WITHOUT ROWID")
    with database:
        ordered = sorted(keys[at : at + 16] for at in range(0, len(keys), 16))
        database.executemany("INSERT INTO keys VALUES (?)", ((key,) for key in ordered))
    return database


def _best_us(call: Callable[[], object], rounds: int = 200) -> float:
    best = float("inf")
    for _ in range(rounds):
        began_s = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began_s)
    return best * 1e6


def _median_us(call: Callable[[bytes], object], keys: list[bytes]) -> float:
    times = []
    for key in keys:
        began_s = time.perf_counter()
        call(key)
        times.append(time.perf_counter() - began_s)
    return sorted(times)[len(times) // 2] * 1e6


def _anonymous_kb() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))
