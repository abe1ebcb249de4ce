"""`gatepost push` and `gatepost command --broker` at a real broker, to the parts by which a kiosk receives."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from agent import mqtt
from agent.cli import main
from agent.cli.demo.authority import DemoAuthority
from agent.cli.keys import key_table
from agent.commands import CommandFailed
from agent.control import BundleReceiver, CommandOutput, CommandReceiver, Options
from agent.control.inbox import MessageInbox
from agent.credentials import lists
from agent.crypto import signing
from agent.events import Encoder, Topics, base_chunk_topic
from agent.events.state import ReleaseState, State
from agent.model import ClockState, CommandResult, Event, InForce, ReleaseStatus, TimeBounds
from agent.outbox import Options as OutboxOptions
from agent.outbox import Outbox
from agent.ruleset import load
from agent.ruleset.load import BundleStore

FILE = {"sha256": "ab" * 32, "size": 1}
KEYS = key_table("shop", signing.new_private_key().public)


def now():
    utc = time.time()
    return TimeBounds(utc, utc, ClockState.SYNCED)


def no_gate(_arguments):
    raise CommandFailed("gate_down")


class Kiosk:
    """The real outbox, link, and receiver of commands and bundles; what a bundle does is `install`."""

    def __init__(self, folder, port, topics, authority, install=lambda _taken: {"in_use": True}) -> None:
        self.held, self.release = [], None
        store = BundleStore(folder / "bundles")
        store.install(authority.root())
        self._outbox = Outbox(OutboxOptions(path=str(folder / "outbox.db"), commit_ms=1.0), Encoder(topics))
        messages = MessageInbox(topics.commands)
        options = mqtt.Options(host="127.0.0.1", port=port)
        self.link = mqtt.Link(options, topics, self._outbox, self._state, messages)
        self._receiver = CommandReceiver(
            Options(journal_file=folder / "journal.json"), topics, messages, store,
            {"flush": lambda _: CommandOutput({"waiting": 0}), "open": no_gate},
            BundleReceiver(store, install, now, topics.targets),
            self._record, now, self.link.refetch_retained,
        )  # fmt: skip
        self._groups = topics.groups
        for service in (self._outbox, self.link, self._receiver):
            service.start()

    def _state(self):
        return State("1.0", self._groups, in_force=tuple(self.held), release=self.release)

    def _record(self, answer: CommandResult) -> None:
        if answer.command == "bundle" and answer.status == "succeeded":
            self.held.append(InForce(*(answer.result[each] for each in ("type", "name", "version"))))
        self._outbox.store(Event(replace(answer), 100.0, now(), "7d3c" * 8))

    def stop(self) -> None:
        for service in (self._receiver, self.link, self._outbox):
            service.stop()


@pytest.fixture
def authority(tmp_path):
    made = DemoAuthority("city")
    (tmp_path / "duty.key").write_bytes(made.pem())
    return made


@pytest.fixture
def kiosk(broker, authority, tmp_path, wait_for):
    kiosks = []

    def make(name, *groups, **how):
        folder = tmp_path / name
        folder.mkdir()
        kiosks.append(Kiosk(folder, broker.port, Topics("library", name, groups), authority, **how))
        wait_for(lambda: kiosks[-1].link.status().listening)
        return kiosks[-1]

    yield make
    for each in kiosks:
        each.stop()


@pytest.fixture
def push(broker, tmp_path, capsys):
    """What `gatepost push BUNDLE …` gives back, and tells as JSON."""

    def run(*bundles, more=(), wait=20):
        files = []
        for number, data in enumerate(bundles):
            files.append(tmp_path / f"{number}.bundle")
            files[-1].write_bytes(data)
        login = ["--broker", f"127.0.0.1:{broker.port}", "--plain", "--json"]
        status = main(["push", *map(str, files), *login, "--wait", str(wait), *map(str, more)])
        return status, json.loads(capsys.readouterr().out or "null")

    return run


def test_who_has_it_and_who_refuses(kiosk, authority, push, broker):
    def refuse(_taken):
        raise CommandFailed("not_in_use")

    kiosk("gate-1", "north")
    kiosk("gate-2", install=refuse)
    away = Topics("library", "gate-3")
    broker.publish(away.state, b'{"type": "gatepost.state.v1", "kiosk": "gate-3", "state": "offline",'
                   b' "software_version": "1"}', retain=True)  # fmt: skip
    status, told = push(authority.bundle("keys", KEYS))
    assert status == 3
    assert told["sent"] == {"target": "*/*", "bundle": "keys", "version": 2}
    assert {name: (each["status"], each["reason"]) for name, each in told["kiosks"].items()} == {
        "library/gate-1": ("succeeded", ""),
        "library/gate-2": ("failed", "not_in_use"),
        "library/gate-3": ("offline", ""),
    }
    status, told = push(authority.bundle("keys", KEYS + "# 2\n"), more=["--to", "@north"])
    assert (status, list(told["kiosks"])) == (0, ["library/gate-1"])
    retained = broker.subscriber()
    retained.wait_until(
        lambda: any(each.topic == "gatepost/v1/$group/north/bundle/keys" for each in retained.messages)
    )


@pytest.mark.parametrize(
    ("ended", "says"), [("in_use", (0, "succeeded", "")), ("rolled_back", (3, "failed", "rolled_back"))]
)
def test_a_release_is_pending_until_the_kiosk_keeps_it_or_gives_it_up(kiosk, authority, push, ended, says):
    gate = kiosk("gate-1", install=lambda _taken: {"in_use": False})
    signed = authority.bundle("release", json.dumps({"version": "0.2.0", "files": {"arm64": FILE}}))

    def pushed(said, wait=20):
        gate.release = ReleaseState("0.2.0", ReleaseStatus(said), "it fell 3 times")
        status, told = push(signed, wait=wait)
        return status, told["kiosks"]["library/gate-1"]["status"], told["kiosks"]["library/gate-1"]["reason"]

    assert pushed("waiting", wait=2) == (3, "pending", "waiting")
    assert pushed("on_trial", wait=2) == (3, "pending", "on_trial")
    assert pushed(ended) == says


def test_the_same_one_again_is_answered_by_the_state(kiosk, authority, push):
    kiosk("gate-1")
    bundle = authority.bundle("keys", KEYS)
    assert push(bundle)[0] == 0
    status, told = push(bundle, bundle)
    assert status == 0
    assert [list(each["counts"]) for each in told] == [["succeeded"], ["succeeded"]]


def test_what_is_not_answered_in_time_is_told(broker, push, authority):
    topics = Topics("library", "gate-9")
    broker.publish(topics.state, b'{"type": "gatepost.state.v1", "kiosk": "gate-9", "state": "online",'
                   b' "software_version": "1"}', retain=True)  # fmt: skip
    status, told = push(authority.bundle("keys", KEYS), wait=0.2)
    assert (status, told["counts"]) == (3, {"no_answer": 1})
    assert push(authority.bundle("keys", KEYS), wait=0) == (0, None)


def test_a_base_goes_out_in_the_pieces_that_were_signed(authority, push, broker, tmp_path):
    base = tmp_path / "status.gpl"
    head = lists.ListHeader("status", "shop", 1, time.time(), 1000, 2000)
    load.write_list(base, head, bytes(range(48)), bytes((1, 2, 3)))
    chunks = load.chunks_of(base, 1 << 18)
    content = load.list_content(load.open_list(base), chunks)
    status, _ = push(authority.bundle("list", content, "status"), more=["--base", base], wait=0)
    assert status == 0
    retained = broker.subscriber(topics="gatepost/v1/$all/#")
    retained.wait_until(lambda: len(retained.messages) == len(chunks) + 1)
    pieces = {each.topic: each.payload for each in retained.messages}
    read = base.read_bytes()
    assert b"".join(pieces[base_chunk_topic(chunks.id, index)] for index in range(len(chunks))) == read
    base.write_bytes(read + b"\0")
    assert push(authority.bundle("list", content, "status"), more=["--base", base], wait=0)[0] == 1


def test_an_increment_is_signed_and_goes_beside_the_whole_bundle(authority, kiosk, push, broker, tmp_path, capsys):
    """Signed by `keys sign --after`; the whole one stays retained for the kiosks that lack it."""
    base, more = tmp_path / "status.gpl", tmp_path / "more.txt"
    authority.empty_list(base, "shop")
    kiosk("gate-1")
    sign = ["keys", "sign", str(base), "--type", "list", "--name", "status", "--fleet", "city"]
    sign += ["--key", str(tmp_path / "duty.key"), "--version"]

    def signed(version, *words):
        assert main([*sign, version, *map(str, words)]) == 0
        return capsys.readouterr().out.encode()

    whole = signed("5", "--spread-s", 60)
    (tmp_path / "whole.bundle").write_bytes(whole)
    more.write_text("anna red\n")
    words = ["--kind", "status", "--issuer", "shop", "--version", "2", "--of", "opaque", "--delta"]
    assert main(["lists", "build", str(more), str(base), *words]) == 0
    capsys.readouterr()
    increment = signed("6", "--after", tmp_path / "whole.bundle")
    status, told = push(increment)
    assert (status, told["kiosks"]["library/gate-1"]["reason"]) == (3, "increment_gap")
    status, told = push(whole, increment)
    assert (status, [each["counts"] for each in told]) == (0, [{"succeeded": 1}] * 2)
    retained = broker.subscriber(topics="gatepost/v1/$all/#")
    retained.wait_until(lambda: len(retained.messages) == 2)
    assert {each.topic: each.payload for each in retained.messages} == {
        "gatepost/v1/$all/bundle/list/status": whole,
        "gatepost/v1/$all/bundle/list/status/increment": increment,
    }
    assert main([*sign, "7", "--after", str(tmp_path / "whole.bundle"), "--url", "https://a.example/x"]) == 1
    assert "--after" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*sign, "7", "--spread-s", "-1"])
    assert "0 to 604800" in capsys.readouterr().err


def test_a_broker_that_gives_nothing_retained_to_a_wildcard_is_told(broker, authority, tmp_path, capsys):
    """As RabbitMQ does; here the access list lets us write and not read."""
    file = tmp_path / "keys.bundle"
    file.write_bytes(authority.bundle("keys", KEYS))
    words = ["push", str(file), "--broker", f"127.0.0.1:{broker.port}", "--plain", "--wait", "0"]
    assert main(words) == 0
    assert capsys.readouterr().err == ""
    (tmp_path / "acl").write_text("topic write gatepost/v1/#\n")
    broker.stop()
    broker.config += f"\nacl_file {tmp_path / 'acl'}\n"
    broker.start()
    assert main(words) == 0
    assert "bundle/keys to a wildcard" in capsys.readouterr().err


def command(broker, folder, *words):
    login = ["--broker", f"127.0.0.1:{broker.port}", "--plain"]
    return main(["command", *words, "--fleet", "city", "--key", str(folder / "duty.key"), *login])


def test_a_command_is_sent_and_its_answers_are_awaited(kiosk, broker, tmp_path, capsys, authority):
    kiosk("gate-1", "north")
    kiosk("gate-2", "north")
    assert command(broker, tmp_path, "flush", "--to", "@north", "--wait", "20") == 0
    assert "2 succeeded" in capsys.readouterr().out
    assert command(broker, tmp_path, "open", "lane=in", "--to", "library/gate-1", "--wait", "20", "--json") == 3
    told = json.loads(capsys.readouterr().out)
    assert told["kiosks"]["library/gate-1"] == {"status": "failed", "reason": "gate_down", "result": None}
    assert command(broker, tmp_path, "flush", "--to", "library/gate-7", "--wait", "0.2") == 3
    assert "no_answer" in capsys.readouterr().out
    assert command(broker, tmp_path, "flush", "--to", "library/gate-7") == 0
    assert capsys.readouterr().out == ""


def test_what_cannot_be_sent_is_told(tmp_path, capsys, authority):
    (tmp_path / "junk").write_bytes(b"junk")
    login = ["--broker", "127.0.0.1:1", "--plain"]
    assert main(["push", str(tmp_path / "junk"), *login]) == 1
    assert "keys sign" in capsys.readouterr().err
    (tmp_path / "north").write_bytes(authority.bundle("keys", ""))
    assert main(["push", str(tmp_path / "north"), *login, "--to", "library"]) == 1
    assert "SITE/KIOSK" in capsys.readouterr().err
    assert main(["push", str(tmp_path / "north"), *login]) == 1
    said = capsys.readouterr().err
    assert said.startswith("127.0.0.1:1: ")
    assert "nobody listens there" in said
    assert main(["push", str(tmp_path / "nothing"), *login]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/nothing is not there\n"
    words = [
        "command",
        "flush",
        "--to",
        "a/b",
        "--fleet",
        "city",
        "--key",
        str(tmp_path / "duty.key"),
        "--wait",
        "3",
    ]
    assert main(words) == 1
    assert "--broker" in capsys.readouterr().err
