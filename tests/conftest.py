"""What tests share: a private broker with a subscriber, and some events."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import hypothesis
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.cli.demo import broker
from agent.events import Encoder, Topics
from agent.model import Event
from agent.outbox import Options, Outbox
from tests.fair_clock import FairClock
from tests.passages import passage_event

hypothesis.settings.register_profile("busy machine", deadline=None)
hypothesis.settings.register_profile(
    "emulated", deadline=None, max_examples=20, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)  # as many examples where a test names no number
hypothesis.settings.load_profile("busy machine")

DEADLINE_S = 90.0
WAITING = ("system", "agent/web", "agent/cli", "drivers", "agent/mqtt", "agent/control", "agent/outbox",
           "agent/devices", "agent/test_app.py", "agent/test_range.py")  # fmt: skip
"""Where tests start processes, open sockets or wait for threads, the longest first."""
HISTORIES = (
    *(f"agent/checkpoint/test_{name}.py" for name in ("days", "staff_days", "hall_days", "attack")),
    *(f"agent/ruleset/test_{name}.py" for name in ("awaited_base", "damage", "increments")),
    *("agent/platform/test_clock_scripts.py", "agent/tickets/test_exchange.py"),
    *("agent/venue/test_room.py", "agent/venue/test_venue_days.py"),
)
"""Where they play days, scripts and damage by chance, for seconds each."""
_HERE = Path(__file__).parent
_NOT_QUICK = tuple(str(_HERE / place) for place in (*WAITING, *HISTORIES))
"""All others are `quick`: see `make check`."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import nothing for `make check` that it does not run."""
    is_other = config.option.markexpr == "quick" and str(collection_path).startswith(_NOT_QUICK)
    return True if is_other else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests for every day, and put them after those that take long: whatever waits does not begin last."""
    longest_first = [str(_HERE / place) for place in ("test_quality.py", *WAITING)]
    for item in items:
        if not str(item.path).startswith(_NOT_QUICK):
            item.add_marker(pytest.mark.quick)
    items.sort(key=lambda item: [not str(item.path).startswith(place) for place in longest_first])


@dataclass(frozen=True)
class Message:
    """What a subscriber got."""

    topic: str
    payload: bytes
    retained: bool
    content_type: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.payload)


class Subscriber:
    """A real subscriber that keeps all it gets, and comes back when the broker does."""

    def __init__(self, port: int, topics: str = "gatepost/#", username: str = "", password: str = "") -> None:
        self.messages: list[Message] = []
        self._changed = threading.Condition()
        self._topics = topics
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"subscriber-{uuid4()}", protocol=MQTTProtocolVersion.MQTTv5
        )
        if username:
            self._client.username_pw_set(username, password)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._subscribed = 0
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        # mosquitto 2.0 saves only sessions that did not begin clean
        self._client.connect("127.0.0.1", port, clean_start=False, properties=_long_session())
        self._client.loop_start()
        self.wait_until(lambda: self._subscribed > 0)

    def _on_connect(self, client, *_) -> None:
        client.subscribe(self._topics, options=SubscribeOptions(qos=1, retainAsPublished=True))

    def _on_subscribe(self, *_) -> None:
        with self._changed:
            self._subscribed += 1
            self._changed.notify_all()

    def _on_message(self, _client, _userdata, message) -> None:
        content_type = getattr(message.properties, "ContentType", "")
        with self._changed:
            self.messages.append(Message(message.topic, message.payload, message.retain, content_type))
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], bool], within_s: float = DEADLINE_S) -> None:
        """Until `condition` holds, looked at whenever something arrives; fails when it does not come true."""
        with self._changed:
            assert self._changed.wait_for(condition, within_s), f"not within {within_s} s; got {len(self.messages)}"

    def events(self) -> list[dict[str, Any]]:
        """Events as they arrived, repeats included."""
        return [message.json for message in self.messages if "/event/" in message.topic]

    def ids(self) -> list[str]:
        """Ids of events in the order of first arrival, without repeats."""
        return list(dict.fromkeys(event["id"] for event in self.events()))

    def states(self) -> list[str]:
        """`online` and `offline` in the order in which they came."""
        return [message.json["state"] for message in self.messages if message.topic.endswith("/state")]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Broker(broker.Broker):
    """The broker of the demonstration, with its clients in a test."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "allow_anonymous true\nmax_queued_messages 0\n")
        self._subscribers: list[Subscriber] = []

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """What a central server would say; it is with the broker when this returns."""
        words = [
            broker.program("mosquitto_pub"),
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-V",
            "5",
            "-q",
            "1",
            "-t",
            topic,
            "-s" if payload else "-n",
        ]
        subprocess.run([*words, *(["-r"] if retain else [])], input=payload, check=True, timeout=DEADLINE_S)

    def subscriber(self, **how: str) -> Subscriber:
        """A new subscriber; it is closed with the broker."""
        subscriber = Subscriber(self.port, **how)
        self._subscribers.append(subscriber)
        return subscriber

    def close(self) -> None:
        for subscriber in self._subscribers:
            subscriber.close()
        self.stop()


def _long_session() -> Any:
    """Properties of a session that outlives connections, so that the subscriber misses nothing."""
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600
    return properties


def wait_for(condition: Callable[[], object], within_s: float = DEADLINE_S) -> None:
    """Look at `condition` until it holds; for what cannot tell by itself. Seldom where a look is much work."""
    began_s = look_s = time.monotonic()
    while not condition():
        now_s = time.monotonic()
        assert now_s < began_s + within_s, f"not within {within_s} s"
        time.sleep(min(max(0.01, 4 * (now_s - look_s)), 0.05))
        look_s = time.monotonic()


def pytest_configure(config: pytest.Config) -> None:
    """No test reads the configuration of the machine that it runs on."""
    os.environ["GATEPOST_CONFIG"] = "/nowhere/agent.toml"
    if getattr(config.option, "dist", "no") == "no":  # the process that only hands out tests finds none
        gc.disable()


def pytest_collection_finish() -> None:
    """What was imported and found stays: nobody looks through it for garbage again and again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _log_of_its_own() -> Iterator[None]:
    """What a test sets up of the log ends with it: its standard error is closed, and others would write there."""
    root = logging.getLogger()
    level = root.level
    yield
    for handler in [handler for handler in root.handlers if type(handler) is logging.StreamHandler]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def open_tmp_path() -> Iterator[Path]:
    """A folder that other users may enter too. It lies beside that of `tmp_path`, which every run of pytest by the
    same user closes again.
    """
    with TemporaryDirectory(prefix="gatepost-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def make_broker(tmp_path_factory) -> Iterator[Callable[[], Broker]]:
    """Makes brokers that are not started yet, so that their `config` can be changed."""
    brokers: list[Broker] = []

    def make() -> Broker:
        try:
            brokers.append(Broker(tmp_path_factory.mktemp("broker")))
        except broker.MissingProgram as missing:
            pytest.skip(str(missing))
        return brokers[-1]

    yield make
    for made in brokers:
        made.close()


@pytest.fixture(name="broker")
def _broker(make_broker) -> Broker:
    """A private mosquitto, started."""
    made = make_broker()
    made.start()
    return made


@pytest.fixture(name="wait_for")
def _wait_for() -> Callable[..., None]:
    """`wait_for(condition, within_s=90)`."""
    return wait_for


@pytest.fixture(scope="session")
def _bystander() -> Iterator[FairClock]:
    clock = FairClock()
    yield clock
    clock.close()


@pytest.fixture
def fair_clock(_bystander) -> Iterator[FairClock]:
    """Seconds as on a machine that does nothing else; for an upper bound in seconds that a product promises."""
    _bystander.go()
    yield _bystander
    _bystander.stand_still()


TOPICS = Topics("library", "gate-3")


@pytest.fixture(name="passage_event")
def _passage_event() -> Callable[..., Event]:
    """`passage_event(number, outcome=ADMIT)`: an event whose `duration_ms` is `number`."""
    return passage_event


@pytest.fixture
def make_outbox(tmp_path) -> Iterator[Callable[..., Outbox]]:
    """Opens outboxes on one file, one after the other; `make_outbox(limit_mb=…)` with any option."""
    opened: list[Outbox] = []

    def make(**options: Any) -> Outbox:
        options.setdefault("path", str(tmp_path / "outbox.db"))
        options.setdefault("commit_ms", 1.0)
        opened.append(Outbox(Options(**options), Encoder(TOPICS)))
        opened[-1].start()
        return opened[-1]

    yield make
    for outbox in opened:
        outbox.stop()
