"""docs/server as it stands there: real PostgreSQL, real mosquitto, the kiosk's real outbox and link."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from postgres import Postgres

from agent import mqtt
from agent.cli.demo.authority import DemoAuthority
from agent.cli.demo.broker import MissingProgram, program
from agent.credentials import bundle, lists
from agent.crypto import signing
from agent.events import FIRST, Encoder, Topics
from agent.events.state import State
from agent.model import ChainPosition, ClockState, TimeBounds
from agent.privacy import Mode, PrivacyRules, Redaction, hpke
from agent.privacy.rules import SealingKey
from agent.ruleset.bundle_store import word_content
from agent.ruleset.load import BundleStore

SERVER = Path(__file__).parents[2] / "docs" / "server"
STATE = {"type": "gatepost.state.v1", "kiosk": "gate-3", "state": "online"}
TOPICS = Topics("library", "gate-3")


def load(name):
    """A file of docs/server as a module, under the name by which the others import it."""
    spec = importlib.util.spec_from_file_location(name, SERVER / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


load("brokers")
load("chain")
load("keys")
bundles = load("bundles")
server = load("server")


@pytest.fixture(scope="module")
def postgres():
    with TemporaryDirectory(prefix="gp-pg-") as name:
        try:
            database = Postgres(Path(name))
        except MissingProgram as missing:
            pytest.skip(str(missing))
        database.start()
        yield database
        database.crash()


@pytest.fixture
def rows(postgres):
    """Ask the database; its tables are fresh."""
    with psycopg.connect(postgres.dsn, autocommit=True) as db:
        db.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        db.execute((SERVER / "schema.sql").read_bytes())

    def ask(query, *values):
        with psycopg.connect(postgres.dsn) as db:
            return db.execute(query, values).fetchall()

    return ask


@pytest.fixture
def authority(tmp_path):
    made = DemoAuthority("city")
    (tmp_path / "receipts.key").write_bytes(made.pem())
    made.install(tmp_path / "bundles")
    return made


@pytest.fixture
def rabbitmq():
    """AMQP address and MQTT port of a RabbitMQ that somebody has started: it is too slow to start for each test."""
    found = os.environ.get("GATEPOST_RABBITMQ", "").split()
    if len(found) != 2:
        pytest.skip('no RabbitMQ: GATEPOST_RABBITMQ="amqp://guest:guest@127.0.0.1:5672 1883" names a running one')
    return found[0], int(found[1])


@pytest.fixture
def serve(postgres, rows, broker, authority, tmp_path, wait_for):
    """Starts a server; `kill` ends the last one as a power cut would."""
    running = []

    def start(*more, url=f"mqtt://127.0.0.1:{broker.port}", begins="the share delivers"):
        number = len(list(tmp_path.glob("server-*.log")))
        log = tmp_path / f"server-{number}.log"
        words = [sys.executable, SERVER / "server.py", postgres.dsn, url,
                 "--key", tmp_path / "receipts.key", "--receipt-every-s", "0.1", *more]  # fmt: skip
        with log.open("wb") as out:
            running.append(subprocess.Popen(words, stdout=out, stderr=out))
        wait_for(lambda: begins in log.read_text())
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def make_kiosk(make_outbox, authority, tmp_path):
    """Kiosks' real outbox and link, which let an event go for a receipt only."""
    links = []

    def make(port):
        links.append(_link(port, make_outbox(), BundleStore(tmp_path / "bundles")))
        links[-1].start()
        return links[-1]

    yield make
    for link in links:
        link.stop(0.0)


@pytest.fixture
def kiosk(broker, make_kiosk):
    return make_kiosk(broker.port)


def _link(port, outbox, store):
    link = mqtt.Link(
        mqtt.Options(host="127.0.0.1", port=port, delivery="receipt", receipt_timeout_s=1.0),
        TOPICS, outbox, lambda: State("1"),
        verify_receipt=lambda data: store.verify_statement(data, "receipt", server_time()),
    )  # fmt: skip
    link.outbox = outbox
    return link


def server_time():
    return TimeBounds(time.time(), time.time(), ClockState.SYNCED)


def test_a_share_that_is_granted_and_delivers_nothing_is_told(broker, tmp_path, monkeypatch):
    """As RabbitMQ does; here the access list lets us write and not read."""
    (tmp_path / "acl").write_text("topic write gatepost/v1/#\n")
    broker.stop()
    broker.config += f"\nacl_file {tmp_path / 'acl'}\n"
    broker.start()
    brokers = sys.modules["brokers"]
    monkeypatch.setattr(brokers, "PROOF_S", 0.3)
    ours = brokers.MqttBroker(f"mqtt://127.0.0.1:{broker.port}", "share")
    with pytest.raises(brokers.BrokerError, match="delivers nothing on it"):
        any(ours.fetch(10, 0.1) for _ in range(100))
    ours._client.loop_stop()


NOWHERE = "postgresql://127.0.0.1:1/none"
BAD = [
    ((NOWHERE, "--create"), "refused"),
    ((NOWHERE, "localhost:1883", "--key", "good.key"), "'localhost:1883' is no broker"),
    ((NOWHERE, "http://localhost", "--key", "good.key"), "for example mqtt://localhost:1883"),
    ((NOWHERE, "mqtt://localhost:99999", "--key", "good.key"), "1 to 65535"),
    ((NOWHERE, "mqtt://", "--key", "good.key"), "is no broker"),
    ((NOWHERE, "mqtt://a", "mqtt://b", "--key", "good.key"), "one broker by mqtt://"),
    ((NOWHERE, "amqp://a", "nats://b", "--key", "good.key"), "the nodes of one cluster"),
    ((NOWHERE, "mqtt://localhost"), "--key"),
    ((NOWHERE, "mqtt://localhost", "--key", "none.key"), "none.key"),
    ((NOWHERE, "mqtt://localhost", "--key", "bad.key"), "bad.key: no private key of its kind"),
    ((NOWHERE, "mqtt://localhost", "--key", "good.key", "--unseal", "good.key"), "gatepost privacy new"),
    ((NOWHERE, "mqtt://localhost", "--key", "good.key", "--bundles", "none"), "--bundles none: no folder"),
]


@pytest.mark.parametrize(("words", "told"), BAD, ids=lambda each: each if isinstance(each, str) else "")
def test_what_it_cannot_begin_with_is_told_in_a_sentence(words, told, authority, tmp_path):
    (tmp_path / "good.key").write_bytes(authority.pem())
    (tmp_path / "bad.key").write_bytes(b"no key")
    ended = subprocess.run(
        [sys.executable, SERVER / "server.py", *words],
        cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_that_there_are_no_tables_is_told(postgres, rows, broker, authority, tmp_path):
    broker.publish("gatepost/v1/library/gate-3/state", json.dumps(STATE).encode(), retain=True)
    with psycopg.connect(postgres.dsn, autocommit=True) as db:
        db.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    words = [postgres.dsn, f"mqtt://127.0.0.1:{broker.port}", "--key", tmp_path / "receipts.key"]
    ended = subprocess.run(
        [sys.executable, SERVER / "server.py", *words], check=False, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "start once with --create" in ended.stderr


def test_every_event_is_a_row_and_let_go_by_the_kiosk(serve, kiosk, rows, passage_event, wait_for):
    serve()
    for number in range(300):
        kiosk.outbox.store(passage_event(number))
    wait_for(lambda: kiosk.outbox.status().waiting == 0)
    assert rows("SELECT count(*), count(DISTINCT sequence), max(sequence) FROM event") == [(300, 300, 300)]
    assert rows("SELECT up_to, runs FROM chain") == [(300, [])]
    wait_for(lambda: rows("SELECT site, state FROM kiosk") == [("library", "online")])
    assert rows("SELECT sum(passages) FROM day_count") == [(300,)]
    kiosk.stop(1.0)
    wait_for(lambda: rows("SELECT state FROM kiosk") == [("offline",)])


def test_none_is_lost_or_twice_though_server_and_database_fall(
    serve, kiosk, rows, postgres, passage_event, wait_for
):
    """Two servers on one share; one is killed, the database is away, another server comes."""
    first = serve()
    serve()
    put = 0

    def decide(count):
        nonlocal put
        for number in range(put, put + count):
            kiosk.outbox.store(passage_event(number))
        put += count

    decide(300)
    first.kill()
    decide(300)
    postgres.crash()
    decide(300)
    postgres.start()
    serve()
    decide(300)
    wait_for(lambda: kiosk.outbox.status().waiting == 0, 120)
    assert rows("SELECT count(*), max(sequence) FROM event") == [(put, put)]
    assert rows("SELECT up_to, runs FROM chain") == [(put, [])]
    assert rows("SELECT sum(passages) FROM day_count") == [(put,)]


def test_the_same_from_a_quorum_queue_of_rabbitmq(serve, make_kiosk, rows, rabbitmq, passage_event, wait_for):
    """The server is killed and another one takes from the queue."""
    first = serve(url=rabbitmq[0], begins="connected")
    kiosk = make_kiosk(rabbitmq[1])
    for number in range(300):
        kiosk.outbox.store(passage_event(number))
    first.kill()
    serve(url=rabbitmq[0], begins="connected")
    wait_for(lambda: kiosk.outbox.status().waiting == 0, 120)
    epoch = kiosk.outbox.status().epoch
    assert rows("SELECT up_to, runs FROM chain WHERE epoch = %s", epoch) == [(300, [])]
    assert rows("SELECT count(*) FROM event WHERE epoch = %s", epoch) == [(300,)]


CACHE = SERVER.parents[1] / ".cache" / "consumers"
"""Packages that the consumers in other languages need; fetched once."""


def javascript(folder: Path) -> list[str]:
    """How the consumer in JavaScript is started; skips where that cannot be."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js is not installed (apt-get install nodejs npm)")
    folder.mkdir(parents=True, exist_ok=True)
    if not all((folder / "node_modules" / name).is_dir() for name in ("mqtt", "pg")):
        fetched = subprocess.run(
            [npm, "install", "--silent", "--no-audit", "--no-fund", "mqtt@5", "pg@8"],
            cwd=folder, check=False, timeout=120, capture_output=True,
        )  # fmt: skip
        if fetched.returncode:
            pytest.skip("the packages mqtt and pg cannot be fetched: is this machine online?")
    shutil.copy(SERVER / "consumer.mjs", folder)
    return [node, str(folder / "consumer.mjs")]


def go(folder: Path) -> list[str]:
    """The same in Go, with the libraries of Debian's packages."""
    go_, sources = shutil.which("go"), Path("/usr/share/gocode")
    libraries = ("github.com/eclipse/paho.mqtt.golang", "github.com/lib/pq")
    if go_ is None or not all((sources / "src" / name).is_dir() for name in libraries):
        packages = "golang golang-github-eclipse-paho.mqtt.golang-dev golang-github-lib-pq-dev"
        pytest.skip(f"Go or its libraries are not installed (apt-get install {packages})")
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(sources), "GOCACHE": str(folder / "built")}
    subprocess.run(
        [go_, "build", "-o", folder / "consumer", SERVER / "consumer.go"], env=environment, check=True, timeout=120
    )
    return [str(folder / "consumer")]


@pytest.mark.parametrize(("build", "scheme"), [(javascript, "mqtt"), (go, "tcp")], ids=["javascript", "go"])
def test_consumers_in_other_languages_keep_the_same_promises(
    build, scheme, postgres, rows, broker, authority, kiosk, passage_event, wait_for, tmp_path
):
    """Two on one share, of which one is killed; the database is away; strangers send what is no event."""
    words = [*build(CACHE / build.__name__), postgres.dsn, f"{scheme}://127.0.0.1:{broker.port}"]
    words.append(str(tmp_path / "receipts.key"))
    put, running = 0, []

    def start():
        log = tmp_path / f"consumer-{len(running)}.log"
        with log.open("wb") as out:
            running.append(subprocess.Popen(words, stdout=out, stderr=out))
        wait_for(lambda: "listening" in log.read_text())

    def decide(count):
        nonlocal put
        for number in range(put, put + count):
            kiosk.outbox.store(passage_event(number))
        put += count

    try:
        start()
        start()
        for payload in (b"\xff", b"[]", b"[" * 50_000, event(1), event(2, {"text": "\0"})):
            broker.publish("gatepost/v1/library/thief/event/passage", payload)
        decide(200)
        wait_for(lambda: rows("SELECT count(*) > 20 FROM event") == [(True,)])
        running[0].kill()
        decide(100)
        postgres.crash()
        decide(100)
        postgres.start()
        start()
        wait_for(lambda: kiosk.outbox.status().waiting == 0, 120)
        assert rows("SELECT count(*), max(sequence) FROM event") == [(put, put)]
        assert rows("SELECT up_to FROM chain") == [(put,)]
        _lose_some(broker)
        wait_for(lambda: rows("SELECT up_to FROM chain WHERE epoch = '0badcafe'") == [(8,)], 120)
    finally:
        for process in running:
            process.kill()
            process.wait()


def _lose_some(broker):
    """Publish events of another epoch without two in the midst of them, and the one that says so."""
    events = chained(7)
    loss = {
        "type": "loss",
        "loss": {"reason": "storage_full", "count": 2, "epoch": "0badcafe", "first": 4, "last": 5},
    }
    for payload in (*events[:3], *events[5:]):
        broker.publish(TOPICS.event("passage"), payload)
    broker.publish(TOPICS.event("agent"), event(8, loss, previous=sha256(events[-1]).hexdigest()))


def event(sequence, payload=None, previous="0" * 64, **members):
    source = "/gatepost/v1/library/gate-3"
    whole = {"source": source, "epoch": "0badcafe", "sequence": f"{sequence:012}", "previoussha256": previous,
             "data": payload or {"decision": "admit"}}  # fmt: skip
    return json.dumps({**whole, **members}).encode()


def test_forged_events_and_states_have_no_effect_and_stop_nothing(serve, broker, rows, wait_for):
    serve()
    ours, theirs = "gatepost/v1/library/gate-3", "gatepost/v1/library/thief"
    junk = [b"\xff", b"[]", b"[" * 50_000, b'{"source": 7}', event(1), event(2, {"text": "\0"})]
    for payload in junk:
        broker.publish(f"{theirs}/event/passage", payload)
    subprocess.run(
        [program("mosquitto_pub"), "-p", str(broker.port), "-n", "-t", f"{theirs}/event/check"], check=True
    )
    broker.publish(f"{theirs}/state", b'{"type": "gatepost.state.v1", "kiosk": "gate-3", "state": "online"}')
    broker.publish(f"{ours}/event/passage", event(1, {"text": "\ud800"}))
    broker.publish(f"{ours}/event/passage", event(1))
    wait_for(lambda: rows("SELECT source, sequence FROM event") == [("/gatepost/v1/library/gate-3", 1)])
    wait_for(lambda: rows("SELECT count(*) FROM refused") == [(len(junk) + 2,)])
    assert rows("SELECT * FROM kiosk") == []


@pytest.fixture
def store(postgres, rows):
    made = server.Store(postgres.dsn, [])
    yield made
    made.db.close()


@pytest.fixture
def keep(store):
    """Put events straight into the store; which chains they are of."""

    def put(*payloads, kind="passage"):
        topic = f"gatepost/v1/library/gate-3/event/{kind}"
        return store.keep([sys.modules["brokers"].Message(topic, payload) for payload in payloads])

    return put


def chained(count, first=1, head="0" * 64):
    made = []
    for sequence in range(first, first + count):
        made.append(event(sequence, previous=head))
        head = sha256(made[-1]).hexdigest()
    return made


def test_a_gap_is_filled_or_given_up_and_a_broken_chain_is_seen(store, keep, rows):
    events = chained(20)
    chains = keep(*events[:5], *events[8:10], *events[15:])
    assert rows("SELECT first, last, breaks FROM gap ORDER BY 1") == [(6, 8, False), (11, 15, False)]
    (receipt,) = store.receipts(chains)
    assert (receipt["up_to"], [each["first"] for each in receipt["ranges"]]) == (5, [9, 16])
    keep(*events[5:8])
    assert store.receipts(chains)[0]["up_to"] == 10
    loss = {
        "type": "loss",
        "loss": {"reason": "storage_full", "count": 5, "epoch": "0badcafe", "first": 11, "last": 15},
    }
    keep(event(21, loss, previous=sha256(events[-1]).hexdigest()), kind="agent")
    assert store.receipts(chains)[0] | {"sha256": ""} == {
        "source": "/gatepost/v1/library/gate-3", "epoch": "0badcafe", "up_to": 21, "sha256": "", "ranges": [],
    }  # fmt: skip
    keep(event(22, previous="ab" * 32), events[12])
    assert rows("SELECT first, last, breaks FROM gap") == [(22, 21, True)]


@given(st.permutations(range(12)), st.lists(st.integers(1, 4), min_size=1, max_size=12))
def test_in_whatever_order_and_pieces_events_come_the_chain_ends_the_same(order, pieces):
    hashes = ["0" * 64, *(f"{number:064x}" for number in range(1, 13))]
    up_to, head, runs, position = 0, hashes[0], [], 0
    while position < len(order):
        size = pieces[position % len(pieces)]
        fresh = [(n + 1, n + 1, hashes[n], hashes[n + 1]) for n in order[position : position + size]]
        position += size
        up_to, head, runs = server.advanced(up_to, head, server.joined([*runs, *fresh]), [])
        had = {n + 1 for n in order[:position]}
        assert up_to == next(n for n in range(13) if n + 1 not in had)
        assert head == hashes[up_to]
    assert runs == []


def list_bundle(authority, version, after=None, target=""):
    head = lists.ListHeader("revoked", "demo", 1, 1.0, 2.0, 3.0)
    said = None if after is None else bundle.unverified_header(after)
    more = {} if said is None else {"after": {"version": said.version, "sha256": said.digest}}
    content = word_content(head, {}) | more
    members = {
        "type": "list",
        "name": "people",
        "fleet": "city",
        "version": version,
        "issued_at": 1,
        "expires_at": 9,
    }
    members |= {"warn_age_s": 1, "max_age_s": 2, "content": content} | ({"target": target} if target else {})
    return bundle.sign(members, [authority])


def state_of(*held, groups=()):
    in_force = [{"type": "list", "name": "people", "version": each, "source": "bundle"} for each in held]
    return {"state": "online", "in_force": in_force, "groups": list(groups)}


def test_who_lacks_a_bundle_is_sent_it(tmp_path):
    """By the state alone: the whole list and the increment on it, to kiosks that it is for, three times at most."""
    key = signing.new_private_key()
    whole = list_bundle(key, 5)
    files = [list_bundle(key, 3), whole, list_bundle(key, 6, whole), list_bundle(key, 8, whole)]
    files += [list_bundle(key, 9, list_bundle(key, 4)), list_bundle(key, 7, target="@north")]
    for number, data in enumerate(files):
        (tmp_path / f"{number}.bundle").write_bytes(data)
    found = bundles.Bundles(tmp_path)
    topic = "gatepost/v1/library/gate-3/bundle/list/people"
    source = "/gatepost/v1/library/gate-3"
    sent = [(each, json.loads(data)) for each, data in found.lacking(source, state_of(), 0)]
    assert sent == [(topic, json.loads(whole)), (f"{topic}/increment", json.loads(files[3]))]
    assert found.lacking(source, state_of(), 10) == []
    assert [each for each, _ in found.lacking(source, state_of(5), 700)] == [f"{topic}/increment"]
    assert found.lacking(source, state_of(8), 1400) == []
    assert [each for each, _ in found.lacking(f"{source}-b", state_of(6, groups=["north"]), 0)] == [
        "gatepost/v1/library/gate-3-b/bundle/list/people",
        "gatepost/v1/library/gate-3-b/bundle/list/people/increment",
    ]
    times = sum(bool(found.lacking(source, state_of(), at_s)) for at_s in range(2000, 20_000, 700))
    assert times <= 3
    for junk in ({"state": "offline"}, {"state": "online", "in_force": [7]}, {"state": "online", "groups": 7}):
        assert found.lacking("/gatepost/v1/a/b", junk, 0) == []
    (tmp_path / "new.bundle").write_bytes(list_bundle(key, 11))
    assert [each for each, _ in found.lacking(source, state_of(8), 30_000)] == [topic]


def test_a_file_that_is_no_bundle_stops_no_other_and_is_read_when_it_is_whole(tmp_path, capsys):
    data = list_bundle(signing.new_private_key(), 5)
    (tmp_path / "half.bundle").write_bytes(data[: len(data) // 2])
    (tmp_path / "junk.bundle").write_bytes(b'{"payload": "W10="}')
    (tmp_path / "folder.bundle").mkdir()
    found = bundles.Bundles(tmp_path)
    assert found.lacking("/gatepost/v1/library/gate-3", state_of(), 0) == []
    assert capsys.readouterr().out.count("is not sent") == 3
    (tmp_path / "half.bundle").write_bytes(data)
    assert len(found.lacking("/gatepost/v1/library/gate-3", state_of(), 2)) == 1


def test_a_kiosk_whose_state_lacks_a_bundle_gets_it_from_the_server(serve, broker, tmp_path, wait_for):
    (tmp_path / "signed").mkdir()
    data = list_bundle(signing.new_private_key(), 5)
    (tmp_path / "signed" / "people.bundle").write_bytes(data)
    kiosk = broker.subscriber(topics="gatepost/v1/library/gate-3/bundle/#")
    serve("--bundles", tmp_path / "signed")
    state = {"type": "gatepost.state.v1", "kiosk": "gate-3", **state_of(4)}
    broker.publish("gatepost/v1/library/gate-3/state", json.dumps(state).encode(), retain=True)
    kiosk.wait_until(lambda: [each.payload for each in kiosk.messages] == [data])


def test_regions_zero_reports_cases_and_retention(store, keep, rows):
    message = sys.modules["brokers"].Message
    for name in ("library/gate-3", "school/door"):
        body = {"type": "gatepost.state.v1", "kiosk": name.partition("/")[2], "state": "online"}
        store.keep([message(f"gatepost/v1/{name}/state", json.dumps(body).encode())])
    store.db.execute("INSERT INTO site VALUES ('library', '4403'), ('school', '44')")
    old = chained(3)
    keep(*old)
    passage = {"decision": "refer", "case": "ABCDE"}
    head = sha256(old[-1]).hexdigest()
    opened = event(4, passage, previous=head, time="2020-01-02T08:00:00.000Z")
    keep(opened)
    assert rows("SELECT site, passages, admitted FROM region_day('44', current_date)") == [
        ("school", 0, 0),
        ("library", 3, 3),
    ]
    assert rows("SELECT site FROM region_day('4403', current_date)") == [("library",)]
    assert rows("SELECT name, answered IS NULL FROM alert_case") == [("ABCDE", True)]
    feedback = {"type": "feedback", "case": "ABCDE", "value": "taken away", "drill": False}
    answered = event(5, feedback, previous=sha256(opened).hexdigest())
    keep(answered, kind="attestation")
    assert rows("SELECT answered IS NULL, answer FROM alert_case") == [(False, "taken away")]
    report = event(6, {"type": "day", "day": "2020-01-02", "came": 0}, previous=sha256(answered).hexdigest())
    keep(report, kind="report")
    assert rows("SELECT body ->> 'came' FROM report") == [("0",)]
    store.db.execute("SELECT delete_older('2020-01-03')")
    assert rows("SELECT count(*) FROM event") == [(5,)]
    keep(opened)
    assert rows("SELECT count(*) FROM event") == [(5,)], "what was deleted does not come back"
    assert rows("SELECT passages FROM day_count WHERE decision = 'refer'") == [(1,)]


def test_sealed_parts_are_opened_where_the_key_is(postgres, rows, passage_event):
    private, stranger = hpke.new_private_key(), hpke.new_private_key()
    rules = PrivacyRules(Mode.TRACE, keys=(SealingKey("w47", hpke.public_bytes(private), 0.0, 4e9),))
    shown = passage_event(1)
    shown = replace(shown, body=replace(shown.body, payloads=(b"GP1:ANNA",)))
    sealed = Redaction(TOPICS.source, lambda _: rules)(shown)
    record = Encoder(TOPICS)(sealed, ChainPosition("0badcafe", 1, FIRST))
    message = sys.modules["brokers"].Message(TOPICS.event("passage"), record.payload)
    for keys, found in (([stranger], []), ([stranger, private], [("green",)])):
        store = server.Store(postgres.dsn, keys)
        store.db.execute("TRUNCATE event, chain, personal")
        store.keep([message])
        store.db.close()
        assert rows("SELECT content -> 'credential' ->> 'colour' FROM personal") == found
    assert b"ANNA" not in record.payload
