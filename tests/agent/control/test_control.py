"""The thread that hears the central server: at most once, an answer to all that is signed, and none to a flood."""

from __future__ import annotations

import logging
import queue
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from agent import control as commands_module
from agent.control import STRANGERS_BURST, BundleReceiver, CommandFailed, CommandOutput, CommandReceiver, Options
from agent.control.inbox import MAX_COMMANDS, MOST_BUNDLE_BYTES, MOST_BUNDLES, MessageInbox
from agent.control.verification import MAX_BYTES
from agent.credentials.lists import ListHeader
from agent.model import CommandResult, CommandStatus


class Bench:
    """Commands with commands that only count."""

    def __init__(self, tmp_path, here, store, now) -> None:
        self.topic, self.bundle_topic = here.command, f"{here.root}/bundle/keys"
        self.done: list[str] = []
        self.replies: queue.SimpleQueue[CommandResult] = queue.SimpleQueue()
        self.now = now
        self.store = store
        self.options = Options(journal_file=tmp_path / "command-journal.json")
        self.here = here
        self.commands = self.begin()

    def begin(self) -> CommandReceiver:
        """One life of the agent."""
        table = {
            "open": self._open,
            "diagnose": lambda _: CommandOutput({"report": "x" * 5000}),
            "retest": self._cannot,
            "restart": self._defect,
            "count": lambda arguments: CommandOutput(dict(arguments)),
        }
        self.messages = MessageInbox((self.topic,))
        deliveries = BundleReceiver(self.store, lambda _: {}, self.now)
        self.commands = CommandReceiver(
            self.options, self.here, self.messages, self.store, table, deliveries, self.replies.put, self.now
        )
        self.commands.start()
        return self.commands

    def _open(self, arguments) -> CommandOutput:
        self.done.append(arguments["lane"])
        return CommandOutput({"lane": arguments["lane"]}, simulated=True, then=lambda: self.done.append("then"))

    def _cannot(self, arguments) -> CommandOutput:
        raise CommandFailed("no_person")

    def _defect(self, arguments) -> CommandOutput:
        raise ZeroDivisionError

    def reply(self) -> CommandResult:
        return self.replies.get(timeout=120)

    def command(self, data) -> CommandResult:
        self.messages.receive(self.topic, data)
        while (reply := self.reply()).command == "bundle":
            continue
        return reply


@pytest.fixture
def bench(tmp_path, here, store, now):
    made = Bench(tmp_path, here, store, now)
    yield made
    made.commands.stop(5)


def test_a_command_is_done_and_answered(bench, server, wait_for):
    reply = bench.command(server.command())
    assert reply == CommandResult(
        "open", CommandStatus.SUCCEEDED, command_id="command-1", result={"lane": "in"}, simulated=True
    )
    wait_for(lambda: bench.done == ["in", "then"])


def test_a_count_is_told_when_it_was_issued(bench, server):
    reply = bench.command(server.command(command="count", arguments={"inside": "7"}))
    assert reply.result == {"inside": "7", "issued_at": repr(server.members()["issued_at"])}
    forged = server.command(id="2", command="count", arguments={"inside": "7", "issued_at": "9e9"})
    assert bench.command(forged).reason == "bad_arguments"


def test_again_is_said_again_and_not_done_again_also_after_a_restart(bench, server):
    data = server.command()
    first = bench.command(data)
    assert bench.command(data).duplicate
    bench.commands.stop(5)
    bench.begin()
    again = bench.command(data)
    assert (again.duplicate, again.result, again.status) == (True, first.result, first.status)
    assert bench.done.count("in") == 1


def test_what_was_interrupted_is_said_by_itself(bench, server):
    journal, begun = bench.options.journal_file, []
    bench.done = SimpleNamespace(append=lambda _: begun.append(journal.read_bytes()))
    bench.command(server.command())
    bench.commands.stop(5)
    journal.write_bytes(begun[0])
    journal.with_name(f"{journal.name}.known").unlink()  # it was never written a second time
    bench.begin()
    reply = bench.reply()
    assert (reply.status, reply.reason, reply.command_id) == (CommandStatus.UNKNOWN, "interrupted", "command-1")


@pytest.mark.parametrize(("command", "reason"), [("retest", "no_person"), ("restart", "internal_error")])
def test_what_cannot_be_done_is_said(bench, server, command, reason):
    arguments = {"lane": "in"}
    reply = bench.command(server.command(command=command, arguments=arguments))
    assert (reply.status, reply.reason) == (CommandStatus.FAILED, reason)


def test_what_cannot_be_remembered_is_not_done_unless_it_is_harmless(bench, server):
    bench.options.journal_file.with_name("command-journal.json.new").mkdir()
    assert bench.command(server.command()).reason == "not_persisted"
    assert bench.done == []
    assert bench.command(server.command(id="2", command="diagnose", arguments={})).status is CommandStatus.SUCCEEDED


class Retained:
    """A broker that has bundles retained, and sends them all in one burst when it is asked."""

    def __init__(self, bench, bundles) -> None:
        self.bench, self.bundles, self.asked = bench, bundles, 0

    def recall(self) -> None:
        self.asked += 1
        self.send()

    def send(self) -> None:
        for data in self.bundles:
            self.bench.messages.receive(self.bench.bundle_topic, data)


@pytest.fixture
def burst(bench, monkeypatch):
    """`burst(bundles)`: a kiosk that starts with so many retained; it has taken none of them yet."""
    monkeypatch.setattr(commands_module, "REFETCH_SOON_S", 0.05)

    def make(bundles) -> Retained:
        bench.commands.stop(5)
        broker = Retained(bench, bundles)
        bench.messages = MessageInbox((bench.topic,))
        deliveries = BundleReceiver(bench.store, lambda _: {}, bench.now)
        bench.commands = CommandReceiver(
            bench.options,
            bench.here,
            bench.messages,
            bench.store,
            {},
            deliveries,
            bench.replies.put,
            bench.now,
            broker.recall,
        )
        broker.send()
        bench.commands.start()
        return broker

    return make


def list_bundles(server, count, **how) -> list[bytes]:
    content = {"base": asdict(ListHeader("status", "demo", 1, 1_790_000_000, 1, 2)), "changes": ""}
    return [server.bundle("list", content, name=f"l{each}", **how) for each in range(count)]


@pytest.mark.parametrize("junk", [0, 100])
def test_more_retained_bundles_than_there_is_room_for_are_all_taken(bench, burst, server, wait_for, junk):
    """Strangers' among them, which come first each time."""
    bundles = [b"junk %d" % each for each in range(junk)] + list_bundles(server, 3 * MOST_BUNDLES // 2)
    broker = burst(bundles)
    wait_for(lambda: bench.commands.status().succeeded == len(bundles) - junk, 120)
    assert broker.asked <= 3


def test_large_bundles_wait_at_the_broker_not_in_memory(bench, burst, server, wait_for):
    large = [server.bundle("keys", "#" * 700_000 + str(version), version) for version in range(1, 12)]
    burst(large)
    assert bench.commands._inbox._bundle_bytes <= MOST_BUNDLE_BYTES
    wait_for(lambda: bench.store.current("keys") and bench.store.current("keys").version == 11, 120)


@pytest.mark.parametrize("backwards", [False, True])
def test_roots_and_what_they_cure_come_in_any_command(bench, burst, server, wait_for, backwards):
    roots = [server.root(version, list=server.role(1, "a")) for version in (2, 3, 4)]
    bundles = [*roots, *list_bundles(server, 40, signers=("a",))]
    burst(bundles[::-1] if backwards else bundles)
    wait_for(lambda: bench.commands.status().succeeded == len(bundles), 120)
    outcomes = {bench.reply().status for _ in bundles}
    assert outcomes == {CommandStatus.SUCCEEDED}, "what was cured was not refused before"


def test_a_bundle_that_is_refused_is_told_when_all_is_quiet(bench, server):
    data = server.bundle("keys", "# keys", 4, signers=("thief",))
    bench.messages.receive(bench.bundle_topic, data)
    reply = bench.reply()
    assert (reply.status, reply.reason) == (CommandStatus.REJECTED, "too_few_signatures")
    assert (reply.result["type"], reply.result["version"]) == ("keys", 4)


def test_strangers_bundles_by_the_thousand_are_told_of_a_few_times(bench, server, wait_for):
    for number in range(2000):
        bench.messages.receive(bench.bundle_topic, server.bundle("keys", f"# {number}", signers=("thief",)))
    wait_for(bench.commands._inbox.is_empty, 120)
    wait_for(lambda: not bench.commands._bundles._unsigned)
    assert 0 < bench.replies.qsize() <= STRANGERS_BURST


def test_a_flood_of_bundles_does_not_hide_a_command(bench, server):
    for number in range(1000):
        bench.messages.receive(bench.bundle_topic, b"junk %d" % number)
    assert bench.command(server.command()).status is CommandStatus.SUCCEEDED
    assert bench.commands.status().dropped > 0


def test_a_bundle_is_taken(bench, server):
    bench.messages.receive(bench.bundle_topic, server.bundle("keys", "# keys"))
    assert bench.reply().status is CommandStatus.SUCCEEDED


def test_junk_is_counted_said_once_and_not_answered(bench, server, wait_for, caplog):
    caplog.set_level(logging.WARNING)
    for number in range(30):
        bench.messages.receive(bench.topic, b"junk %d" % number)
        bench.messages.receive(bench.bundle_topic, b"junk %d" % number)
    bench.messages.receive(bench.topic, server.command(signers=("a",)))
    wait_for(lambda: bench.commands.status().unauthenticated == 61)
    assert len(caplog.records) == 1
    assert bench.command(server.command()).status is CommandStatus.SUCCEEDED, (
        "of the commands before it nobody was told"
    )


def test_no_command_is_lost_in_a_flood_of_junk(bench, server, wait_for):
    """Two thousand strangers' messages before each, all at once: there is no time to look at them."""
    wait_for(lambda: bench.messages.signers != (b"",))
    commands = [server.command(id=f"command-{number}") for number in range(40)]
    for command in commands:
        for number in range(2000):
            bench.messages.receive(bench.topic, b"junk %d" % number)
        bench.messages.receive(bench.topic, command)
    wait_for(lambda: bench.done.count("in") == 40)


def test_no_command_is_lost_among_forged_ones_that_name_the_right_keys(bench, server, wait_for):
    """As many as are looked at in the meantime: thirty before each, two hundred at most in all that wait."""
    forged = [_forged(server, number) for number in range(1200)]
    for number in range(40):
        for _ in range(30):
            bench.messages.receive(bench.topic, forged.pop())
        bench.messages.receive(bench.topic, server.command(id=f"command-{number}"))
        wait_for(lambda at=number: bench.done.count("in") == at + 1)
    assert bench.commands.status().unauthenticated == 1200


def _forged(server, number):
    """Signed by a stranger, with the ids of the keys that may."""
    data = server.command(id=f"forged-{number}", signers=("thief", "data"))
    for stranger, known in (("thief", "a"), ("data", "b")):
        data = data.replace(
            server.keys[stranger].public.kid.hex().encode(), server.keys[known].public.kid.hex().encode()
        )
    return data


def test_the_same_command_waits_once():
    inbox = MessageInbox(("command",))
    assert all(inbox.offer(b"replayed", is_command=True) for _ in range(1000))
    assert inbox.offer(b"another", is_command=True)
    assert [inbox.next_message(0)[1] for _ in range(2)] == [b"replayed", b"another"]
    assert inbox.is_empty()


def test_a_flood_takes_no_memory_and_a_command_after_it_counts(bench, server, wait_for):
    for number in range(5000):
        bench.messages.receive(bench.topic, b"x" * 20_000 + b"%d" % number)
    bench.messages.receive(bench.topic, b"x" * (MAX_BYTES + 1))
    status = bench.commands.status()
    waiting = 2 * MAX_COMMANDS  # from before it was known who may sign, and from then on; one more is looked at
    assert status.unauthenticated + status.dropped >= 5000 - waiting
    wait_for(lambda: bench.commands.status().unauthenticated + bench.commands.status().dropped == 5001)
    assert bench.command(server.command()).status is CommandStatus.SUCCEEDED


def test_replays_make_no_storm_of_replies(bench, server, wait_for):
    data = server.command()
    bench.command(data)
    for number in range(60):
        bench.messages.receive(bench.topic, data)
        wait_for(lambda at=number: bench.commands.status().unauthenticated + bench.replies.qsize() > at)
    assert bench.replies.qsize() <= 25
    assert bench.done.count("in") == 1


def test_old_bundles_make_no_storm_of_replies(bench, server, wait_for):
    """Anyone who has kept what the central server once signed can send it again and again; replies go before
    passages."""
    old = [server.bundle("list", {}, version, name="status") for version in range(1, 100)]
    for number, data in enumerate(old):
        bench.messages.receive(bench.bundle_topic, data)
        wait_for(lambda at=number: bench.commands.status().unauthenticated + bench.replies.qsize() > at)
    assert bench.replies.qsize() <= 25


def test_a_command_lapses_while_a_slow_disk_remembers_it(bench, server, monkeypatch):
    begin = bench.commands._journal.begin

    def slow(command, now):
        begin(command, now)
        bench.now.pass_by(100)

    monkeypatch.setattr(bench.commands._journal, "begin", slow)
    assert bench.command(server.command()).reason == "expired"
    assert bench.done == []


def test_without_a_root_everybody_is_a_stranger(tmp_path, here, now, server, wait_for):
    bench = Bench(tmp_path, here, None, now)
    bench.messages.receive(bench.topic, server.command())
    wait_for(lambda: bench.commands.status().unauthenticated == 1)
    bench.commands.stop(5)
    assert bench.done == []


def test_commands_that_there_are_not(tmp_path):
    with pytest.raises(ValueError, match="dance"):
        Options(allow=("open", "dance"))
