"""None is done twice: over restarts, torn files, floods of commands and a clock that comes late."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agent.control.journal import MOST, CommandJournal
from agent.control.verification import AHEAD_S, COMMANDS, Command, CommandReason, _why_not
from agent.model import ClockState, CommandResult, CommandStatus, TimeBounds

UTC = 1_800_000_000.0
DAY_S = 86_400.0


def command(number: int = 1, issued: float = UTC, life_s: float = 60.0) -> Command:
    return Command(f"command-{number}", "open", {"lane": "in"}, issued, issued + life_s, f"{number:064x}")


def at(utc: float) -> TimeBounds:
    return TimeBounds(utc, utc + 1, ClockState.SYNCED)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "command-journal.json"


def loaded(path) -> CommandJournal:
    memory = CommandJournal(path)
    memory.load()
    return memory


def test_what_was_begun_is_known_after_a_restart_and_said_to_be_unknown(path):
    loaded(path).begin(command(), at(UTC))
    memory = loaded(path)
    assert memory.interrupted() == [
        CommandResult("open", CommandStatus.UNKNOWN, CommandReason.INTERRUPTED, "command-1")
    ]
    assert memory.interrupted() == []
    assert memory.replay_guard(at(UTC)).seen["command-1"].reply is not None


def test_what_was_answered_is_answered_the_same_after_a_restart(path):
    reply = CommandResult(
        "open", CommandStatus.SUCCEEDED, command_id="command-1", result={"lane": "in"}, simulated=True
    )
    memory = loaded(path)
    memory.begin(command(), at(UTC))
    memory.end(reply)
    again = loaded(path)
    assert again.interrupted() == []
    assert again.replay_guard(at(UTC)).seen["command-1"].reply == reply


def test_a_long_result_is_not_kept(path):
    memory = loaded(path)
    memory.begin(command(), at(UTC))
    memory.end(CommandResult("open", CommandStatus.SUCCEEDED, command_id="command-1", result={"log": "x" * 5000}))
    assert loaded(path).replay_guard(at(UTC)).seen["command-1"].reply.result is None


@pytest.mark.parametrize(
    "junk",
    [
        b"[" * 100_000,
        b'{"expired": 1' + b"0" * 400 + b', "issued": 0, "commands": {}}',
        b'{"expired": NaN, "issued": 0, "commands": {}}',
        b'{"expired": Infinity, "issued": 0, "commands": {}}',
        b'{"expired": 0, "issued": NaN, "commands": {}}',
    ],
)
def test_numbers_that_cannot_be_are_a_lost_memory(path, junk):
    path.parent.mkdir()
    path.write_bytes(junk)
    past = loaded(path).replay_guard(at(UTC))
    assert (past.seen, past.expired_utc, past.issued_utc) == ({}, 0.0, UTC + 1 + AHEAD_S)


def test_what_has_expired_is_forgotten_and_never_new_again(path):
    memory = loaded(path)
    memory.begin(command(1), at(UTC))
    memory.begin(command(2, UTC + 100), at(UTC + 100))
    past = loaded(path).replay_guard(at(UTC))
    assert set(past.seen) == {"command-2"}
    assert past.expired_utc == command(1).expires_utc


def test_too_many_push_out_those_that_expire_first(path):
    memory = loaded(path)
    for number in range(MOST + 10):
        memory.begin(command(number, UTC, 60.0 + number), at(UTC))
    past = memory.replay_guard(at(UTC))
    assert len(past.seen) == MOST
    assert past.expired_utc == UTC + 69.0
    assert path.stat().st_size < 200_000


LIMITS = b'{"expired": 1, "issued": 2, "commands": '
TORN = b'{"1": {"command": "open", "digest": "0", "expires": 1, "said": ["x"]}}}'


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\0" * 4096, b'{"expired": 1}', LIMITS + b"[]}", LIMITS + TORN]
)
def test_a_damaged_memory_forgets_no_command_that_was_issued_before(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    memory = loaded(path)
    unsure = TimeBounds(UTC, math.inf, ClockState.FLOOR)
    assert memory.replay_guard(unsure).issued_utc == math.inf
    assert memory.replay_guard(at(UTC)).issued_utc == UTC + 1 + AHEAD_S
    memory.begin(command(1, UTC + 100), at(UTC + 100))
    assert loaded(path).replay_guard(at(UTC + 200)).issued_utc == UTC + 1 + AHEAD_S


def test_a_disk_that_fails_is_told_and_the_command_is_known_all_the_same(tmp_path):
    (tmp_path / "state").write_text("in the way")
    memory = CommandJournal(tmp_path / "state" / "command-journal.json")
    memory.load()
    assert memory.replay_guard(at(UTC)).issued_utc > UTC, "whether there was a file cannot be told"
    with pytest.raises(OSError, match="exists"):
        memory.begin(command(), at(UTC))
    assert "command-1" in memory.replay_guard(at(UTC)).seen


class Kiosk(RuleBasedStateMachine):
    """Commands are sent and replayed; the agent dies before or after it acts; the clock jumps. None is done
    twice."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "command-journal.json"
        self.memory = loaded(self.path)
        self.utc = self.latest = UTC
        self.sent: list[Command] = []
        self.done: Counter[str] = Counter()

    @rule(life_s=st.sampled_from([1.0, 60.0, 86_400.0]), early_s=st.sampled_from([0.0, 30.0, 5000.0]))
    def send(self, life_s: float, early_s: float) -> None:
        self.sent.append(command(len(self.sent), self.utc - early_s, life_s))
        self.hear(len(self.sent) - 1, dies=None)

    @rule(number=st.integers(0, 50), dies=st.sampled_from([None, "before", "after"]))
    def hear(self, number: int, dies: str | None) -> None:
        if number >= len(self.sent):
            return
        heard, now = self.sent[number], at(self.utc)
        past = self.memory.replay_guard(now)
        if heard.id in past.seen or _why_not(heard, "a/b", past, tuple(COMMANDS), now) is not None:
            return
        self.memory.begin(heard, now)
        if dies != "before":
            self.done[heard.id] += 1
        if dies is None:
            self.memory.end(CommandResult("open", CommandStatus.SUCCEEDED, command_id=heard.id))
        else:
            self.restart()

    @rule()
    def restart(self) -> None:
        self.memory = loaded(self.path)
        self.memory.interrupted()

    @rule(damage=st.sampled_from([b"", b"{", b"\0" * 100]))
    def spoil(self, damage: bytes) -> None:
        self.utc = max(self.utc, self.latest)  # a wrong clock on top of it is one fault too many
        self.path.write_bytes(damage)
        self.restart()
        self.memory.replay_guard(at(self.utc))

    @rule(seconds=st.sampled_from([0.5, 30.0, 4000.0, -10.0, -4000.0]))
    def jump(self, seconds: float) -> None:
        self.utc += seconds
        self.latest = max(self.utc, self.latest)

    @invariant()
    def none_twice(self) -> None:
        assert all(times == 1 for times in self.done.values())

    def teardown(self) -> None:
        self.folder.cleanup()


TestKiosk = Kiosk.TestCase
TestKiosk.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("wiped_utc", [UTC, 0.0], ids=["the clock is right", "the clock says 1970"])
def test_a_kiosk_of_the_same_name_is_not_ended_by_the_command_that_ended_the_one_before(path, wiped_utc):
    """Who kept the command, or a broker that brings it again, has no second use of it."""
    memory, wiped = loaded(path), command(1)
    memory.begin(wiped, at(UTC))
    loaded(path).forget_all(wiped_utc + AHEAD_S)
    later = at(UTC + 30)
    guard = loaded(path).replay_guard(later)
    assert guard.seen == {}
    assert _why_not(wiped, "east/k1", guard, COMMANDS, later) is CommandReason.REPLAY_UNKNOWN
    assert _why_not(command(2, UTC + 90), "east/k1", guard, COMMANDS, at(UTC + 90)) is None


@pytest.mark.parametrize("damage", ["gone", "older", "mark"])
def test_a_journal_that_is_gone_or_older_lets_no_command_be_done_twice(path, damage):
    memory = loaded(path)
    memory.begin(command(1), at(UTC))
    older = path.read_bytes()
    memory.begin(command(2), at(UTC))
    match damage:
        case "gone":
            path.unlink()
        case "older":
            path.write_bytes(older)
        case "mark":
            path.with_name(path.name + ".known").write_bytes(b"garbage")
    guard = loaded(path).replay_guard(at(UTC + 5))
    assert "command-2" not in guard.seen
    assert guard.issued_utc >= UTC + 5, "whatever was issued until now is refused"
    memory = loaded(path)
    memory.replay_guard(at(UTC + 5))
    memory.begin(command(3, UTC + 100), at(UTC + 100))
    assert "command-3" in loaded(path).replay_guard(at(UTC + 200)).seen, "a new one counts"


def test_a_clock_that_was_years_ahead_as_the_journal_was_lost_costs_a_day_of_commands(path):
    memory = loaded(path)
    memory.begin(command(1), at(UTC))
    path.unlink()
    memory, ahead = loaded(path), UTC + 9 * 365 * DAY_S
    assert memory.replay_guard(at(ahead)).issued_utc > ahead
    memory.begin(command(2, ahead + 100), at(ahead + 100))
    memory = loaded(path)
    assert memory.replay_guard(TimeBounds(UTC, math.inf, ClockState.SUSPECT)).issued_utc > ahead, "not known yet"
    guard = memory.replay_guard(at(UTC + 3600))
    assert _why_not(command(3, UTC + 3600), "east/k1", guard, COMMANDS, at(UTC + 3600))
    tomorrow = UTC + 3700 + DAY_S
    for of_now in (guard, loaded(path).replay_guard(at(tomorrow))):  # also of a kiosk that is started each day
        assert _why_not(command(3, tomorrow), "east/k1", of_now, COMMANDS, at(tomorrow)) is None


@pytest.mark.parametrize("is_lost_now", [False, True], ids=["lost before", "lost under that clock"])
@pytest.mark.parametrize("obeys", [False, True])
def test_a_clock_that_is_behind_and_unsure_keeps_no_lower_limit(path, is_lost_now, obeys):
    """It may be days behind: what was issued before the loss would count again."""
    memory = loaded(path)
    memory.begin(command(1), at(UTC))
    path.unlink()
    if not is_lost_now:
        memory = loaded(path)
        memory.replay_guard(at(UTC))
        memory.begin(command(2, UTC + 100), at(UTC + 100))
    behind = UTC - 3 * DAY_S
    unsure = TimeBounds(behind, behind + 60, ClockState.HOLDOVER)
    memory = loaded(path)
    memory.replay_guard(unsure)
    later, meanwhile = TimeBounds(behind + 2 * DAY_S, behind + 2 * DAY_S, ClockState.HOLDOVER), behind + 2 * DAY_S
    assert _why_not(command(3, meanwhile), "a/b", memory.replay_guard(later), COMMANDS, later) is None, (
        "it is obeyed"
    )
    if obeys:
        memory.begin(command(3, meanwhile), later)
    for each in (memory, loaded(path)):
        assert each.replay_guard(at(UTC + 100)).issued_utc > UTC


@pytest.mark.parametrize("back_s", [0.0, 3 * 3600.0])
def test_nobody_who_sets_the_clock_back_by_hours_has_an_old_command_done_again(path, back_s):
    """Not by more: it is suspect then, and its time no upper limit."""
    old = command(1, UTC, DAY_S)
    memory = loaded(path)
    memory.begin(old, at(UTC))
    path.unlink()
    memory = loaded(path)
    memory.replay_guard(at(UTC + 9 * 365 * DAY_S))
    now = at(UTC - back_s + 60)
    memory.begin(command(2, now.latest_utc), now)
    guard = memory.replay_guard(now)
    for later_s in range(0, int(2 * DAY_S), 3600):
        then = at(UTC + later_s)
        assert _why_not(old, "east/k1", loaded(path).replay_guard(then), COMMANDS, then) is not None
    assert guard.issued_utc >= old.issued_utc


def test_one_letter_of_the_journal_that_has_changed_is_a_damaged_one(path):
    memory = loaded(path)
    memory.begin(command(1), at(UTC))
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :])
        guard = loaded(path).replay_guard(at(UTC + 5))
        known = guard.seen.get("command-1")
        assert guard.issued_utc >= UTC + 5 or (known is not None and known.digest == command(1).digest)
