"""The daemon whole: real mosquitto, simulated devices on real wires, `gatepost run` a process, a judge outside."""

import contextlib
import hashlib
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest

from agent.cli.demo import child
from agent.cli.demo.broker import Broker, MissingProgram, program
from agent.cli.demo.issuer import Issuer
from agent.cli.demo.kiosk import DemoKiosk
from drivers.simulators.lane import Lane
from drivers.simulators.world import World

LOOKS = 4
"""Three tell a thermometer who came or left; when it looks once more, the agent has the three."""
GREETING = "gatepost/v1/greeting"
LIMIT_S = 90.0
"""How long a condition may take to come true on a busy machine; none of the tests measures speed."""
PATIENT = {"credential_timeout_s": 60.0, "temperature_timeout_s": 60.0, "presence_timeout_s": 10.0}
"""However busy the machine is, a person who stands there is measured."""


def wait_until(condition, what, limit_s=LIMIT_S, every_s=0.02):
    """What `condition` gives as soon as it is true; the test fails with `what` otherwise."""
    deadline_s = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, f"not within {limit_s:.0f} s: {what}"
        time.sleep(every_s)
    return value


class CentralServer:
    """A subscriber whose session the broker keeps: what arrives here is what was delivered."""

    def __init__(self, port):
        self._words = [
            *(
                program("mosquitto_sub"),
                "-h",
                "127.0.0.1",
                "-p",
                str(port),
                "-V",
                "5",
                "-q",
                "1",
                "-c",
                "-x",
                "3600",
            ),
            *("-i", "server", "-t", "gatepost/v1/#", "-F", "%t %p"),
        ]
        self.raw = []
        """(topic, payload) in order of arrival, repeats included."""
        self.state = {}
        """The latest retained state."""
        self._process = None
        self._hears = threading.Event()

    def start(self):
        """Make the session, then listen; the broker must be up."""
        subprocess.run([*self._words, "-E"], check=True, timeout=LIMIT_S)
        self._process = subprocess.Popen(child.words(*self._words), stdout=subprocess.PIPE, process_group=0)
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        # it ends when it finds no broker at first, and would hear nothing of a test that stops the broker at once
        words = (program("mosquitto_pub"), *self._words[1:5], "-q", "1", "-t", GREETING, "-m", "1")
        subprocess.run(words, check=True, timeout=LIMIT_S)
        assert self._hears.wait(LIMIT_S)

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _listen(self, stream):
        with stream:
            for line in stream:
                topic, _, payload = line.rstrip(b"\n").partition(b" ")
                if topic == GREETING.encode():
                    self._hears.set()
                    continue
                if not topic.startswith(b"gatepost/v1/") or b"/base/" in topic:
                    continue  # a list's base is no text, and may have any lines
                if topic.endswith(b"/state"):
                    self.state = json.loads(payload)
                self.raw.append((topic.decode(), payload))

    @property
    def events(self):
        """Every event once, as first delivered."""
        once = {}
        for topic, payload in list(self.raw):
            if "/event/" in topic:
                event = json.loads(payload)
                once.setdefault(event["id"], event)
        return list(once.values())

    @property
    def passages(self):
        return [event["data"] for event in self.events if event["type"] == "gatepost.passage.v1"]

    @property
    def devices(self):
        return [event["data"] for event in self.events if event["type"] == "gatepost.device.v1"]

    def has_all(self, report):
        """Wait until every event that the agent counts as delivered is here."""
        delivered = report["outbox"]["delivered"]
        with contextlib.suppress(AssertionError):
            wait_until(lambda: len(self.events) >= delivered, "all that was delivered")
            return
        here = defaultdict(set)
        for event in self.events:
            here[event["epoch"]].add(int(event["sequence"]))
        missing = {epoch: sorted(set(range(1, max(found))) - found) for epoch, found in here.items()}
        counts = {epoch: len(found) for epoch, found in here.items()}
        pytest.fail(
            f"delivered {delivered}, here by epoch {counts}, of these missing {missing}; {report['outbox']}"
        )

    def judge(self, *, memory=False):
        """Nothing missing, changed, out of order or unmarked, over all lives of the agent.

        `memory`: the card failed at times; what then left from memory has an epoch and a chain of its own. So has
        what comes after a commit that an ext4 dropped as it gave up (a loss of nothing: memory still had it).
        """
        contents = defaultdict(set)
        by_epoch = defaultdict(list)
        opened = set()
        for topic, payload in list(self.raw):
            if "/event/" not in topic:
                continue
            event = json.loads(payload)
            is_first = event["id"] not in contents
            if is_first:
                by_epoch[event["epoch"]].append(event)
            contents[event["id"]].add(payload)
            assert topic.rpartition("/")[2] == event["type"].split(".")[1]
            data = event["data"]
            unmarked = event["type"] in ("gatepost.agent.v1", "gatepost.command_result.v1")
            if is_first and data.get("type") == "started":
                opened.clear()
            elif is_first and event["type"] == "gatepost.device.v1" and data["up"]:
                opened.add((data["lane"], data["role"]))
            elif event["type"] == "gatepost.device.v1" and not data["up"]:
                unmarked = (data["lane"], data["role"]) not in opened  # it says nothing of itself before that
            assert data.get("simulated") or unmarked, event
            assert "loss" not in data or (memory and not data["loss"]["count"]), event
        changed = [name for name, payloads in contents.items() if len(payloads) > 1]
        assert not changed, f"ids with different content: {changed}"
        for epoch, events in by_epoch.items():
            sequences = [int(event["sequence"]) for event in events]
            assert sequences == list(range(1, len(events) + 1)), f"epoch {epoch}: {sequences}"
            before = "0" * 64
            for event in events:
                assert event["previoussha256"] == before, f"the chain breaks at {event['id']}"
                (payload,) = contents[event["id"]]
                before = hashlib.sha256(payload).hexdigest()
        assert memory or len(by_epoch) == 1, f"the store was lost: epochs {sorted(by_epoch)}"


class Site:
    """One kiosk with everything around it, and people."""

    def __init__(self, folder, lanes, settings):
        self.folder = folder
        self.broker = Broker(folder)
        self.broker.start()
        self.issuer = Issuer()
        self.server = CentralServer(self.broker.port)
        self.lines = []
        """What the agent logged, as JSON, over all its lives."""
        self.kiosk = DemoKiosk(folder, lanes, hear=self.lines.append)
        self.server.start()
        (folder / "issuers.toml").write_text(self.issuer.key_table)
        for lane in lanes.values():
            lane.plug()
        self.kiosk.configure(
            {
                "kiosk": {"id": "k1", "site": "test"},
                "runtime": {"directory": "run"},
                "clock": {"source": "system", "last_known_time_file": "clock"},
                "screening": {"baseline_file": "baseline.json"},
                "codes": {"keys": "issuers.toml"},
                "outbox": {"path": "outbox.db"},
                "commands": {"journal_file": "command-journal.json"},
                "mqtt": {"host": "127.0.0.1", "port": self.broker.port, "reconnect_max_s": 2.0},
                **settings,
                "checkpoint": {**PATIENT, **settings.get("checkpoint", {})},
            }
        )

    def close(self):
        self.kiosk.close()
        self.server.close()
        self.broker.stop()

    def step_aside(self, lane):
        """The person who was there has gone, and the thermometer saw that nobody is there (if it works)."""
        world = self.kiosk.lanes[lane].world
        wait_until(
            lambda: world.is_occupied or self._is_seen(lane),
            f"the thermometer of {lane} sees that nobody is there",
        )

    def _is_seen(self, lane):
        """Whether the agent knows from the thermometer who came or left last."""
        there = self.kiosk.lanes[lane]
        has_looked = there.world.looks >= LOOKS and not there.unread("thermometer")
        return has_looked or not self._measures(lane)

    def _measures(self, lane):
        report = self.kiosk.report()
        devices = [] if report is None else report["devices"]
        return any(each["up"] for each in devices if (each["lane"], each["role"]) == (lane, "thermometer"))

    @contextlib.contextmanager
    def visitor(self, lane, code="green", skin_c=34.4):
        """Somebody stands at the lane and shows a code, until the block ends."""
        there = self.kiosk.lanes[lane]
        self.step_aside(lane)
        there.world.stand(skin_c)
        shown = code if isinstance(code, bytes) else self.issuer.code(code)
        if shown is not None:
            there.show(shown)
        try:
            yield
            with contextlib.suppress(AssertionError):  # who is turned away unseen may step up, for two seconds
                wait_until(lambda: self._is_seen(lane), "the thermometer sees who is there", 3.0)
        finally:
            there.world.leave()

    def pass_by(self, lane, code="green", skin_c=34.4, limit_s=LIMIT_S):
        """Somebody passes; the log's line on it."""
        seen = len(self.lines)
        with self.visitor(lane, code, skin_c):
            return wait_until(
                lambda: next((p for p in logged_passages(self.lines[seen:]) if p["lane"] == lane), None),
                f"a decision at {lane}",
                limit_s,
            )

    def wait_until(self, condition, what, limit_s=LIMIT_S, every_s=0.02):
        """As the function of that name."""
        return wait_until(condition, what, limit_s, every_s)

    def told(self):
        """How many events the agent has told in this life of its."""
        events = [line for line in list(self.lines) if "event" in line]
        begin = max(at for at, line in enumerate(events) if line.get("type") == "started")
        return len(events) - begin

    def all_stored(self):
        """Wait until every event that was told is on disk; the agent's report."""
        return self.kiosk.wait(lambda r: r["outbox"]["stored"] == r["outbox"]["decided"] >= self.told())

    def all_delivered(self):
        """Wait until the agent has nothing left to send and the central server has it all; the agent's report."""
        try:
            report = self.kiosk.wait(
                lambda r: (
                    r["link"]["connected"] and not r["outbox"]["waiting"] and r["outbox"]["decided"] >= self.told()
                )
            )
        except TimeoutError:
            pytest.fail(f"not all delivered: {self.told()} told, {self.kiosk.report()}")
        self.server.has_all(report)
        return report


def logged_passages(lines):
    return [line for line in list(lines) if line.get("event") == "passage"]


def two_lanes(folder):
    """A camera and an I²C thermometer at the entry, serial devices at the exit."""
    return {
        "entry": Lane(folder / "entry", scanner="camera", world=World(noise_c=0.03, seed=1)),
        "exit": Lane(folder / "exit", thermometer="gy_mcu", world=World(noise_c=0.03, seed=2)),
    }


def scan_engines(folder):
    """The same with a scan engine at the entry: where nothing depends on a camera, its process and its pictures are
    more work than all the rest.
    """
    return {
        "entry": Lane(folder / "entry", world=World(noise_c=0.03, seed=1)),
        "exit": Lane(folder / "exit", thermometer="gy_mcu", world=World(noise_c=0.03, seed=2)),
    }


@contextlib.contextmanager
def built(lanes=two_lanes, settings=None):
    folder = Path(tempfile.mkdtemp(prefix="gatepost-"))  # short: it holds Unix sockets
    site = None
    try:
        site = Site(folder, lanes(folder), settings or {})
        yield site
    except MissingProgram as missing:
        pytest.skip(str(missing))
    finally:
        if site is not None:
            site.close()
        shutil.rmtree(folder)


@pytest.fixture
def lanes():
    """Of `site`. A test that is to have a camera says so: it is more work than all the rest."""
    return scan_engines


@pytest.fixture
def site(lanes):
    """A fresh kiosk of two lanes, broker and central server up, the agent not started."""
    with built(lanes) as made:
        yield made


@pytest.fixture(scope="module")
def build():
    """Builds sites with lanes and settings of their own; they live as long as the file's tests."""
    with contextlib.ExitStack() as stack:
        yield lambda lanes=two_lanes, settings=None: stack.enter_context(built(lanes, settings))


@pytest.fixture(scope="module")
def running():
    """One running kiosk for all tests of a file; each leaves it as it found it."""
    with built() as made:
        made.kiosk.start()
        yield made


@pytest.fixture(name="scan_engines", scope="session")
def _scan_engines():
    return scan_engines


@pytest.fixture(name="wait_until", scope="session")
def _wait_until():
    return wait_until


@pytest.fixture(scope="session")
def shared():
    """The folder of real inputs beside the checkout."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real inputs are not there: {folder}")
    return folder
