"""`gatepost demo` as a watcher sees it: what it prints, how it ends, what it leaves behind."""

import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agent import app
from agent.cli.demo import guard_desk, scenario
from agent.cli.demo.authority import DemoAuthority
from agent.cli.demo.issuer import Issuer
from agent.cli.demo.record import DemoPassage, DemoTally, Recap
from agent.cli.demo.view import Page
from agent.config import parse
from agent.model import ClockState, DecisionInput, Direction, LaneSpec, Screening, Temperature, TimeBounds
from agent.platform.packaged import packaged
from agent.ruleset import Ruleset
from agent.ruleset.bundle_store import BundleStore

LIMIT_S = 180.0
WORDS = [sys.executable, "-c", "from agent.cli import main; raise SystemExit(main())", "demo"]
PATIENT = """
[checkpoint]
credential_timeout_s = 60.0
temperature_timeout_s = 60.0
presence_timeout_s = 5.0
"""
"""However busy the machine is, a person who stands there is measured."""
ANNA = """
[[person]]
at = 0.2
lane = "entry"
who = "Anna"
code = "green"
skin_c = 34.5
stay_s = 1.5
expect = "{expect}"
"""
CONFIG = """
[kiosk]
id = "k1"
[codes]
keys = "issuers.toml"
[lanes.entry]
direction = "entry"
scanner = { driver = "line", port = "nothing" }
thermometer = { driver = "mlx90614" }
gate = { driver = "simulated" }
"""
THE_SERVER = """
[[server]]
at = 0.2
says = "turn Anna red"
[[person]]
at = 1.2
lane = "entry"
who = "Anna"
code = "green"
skin_c = 34.5
stay_s = 1.0
expect = "refuse"
[[server]]
at = 1.5
says = "open exit"
"""
WITHHELD = """
[[server]]
at = 0.2
says = "withhold details"
[[person]]
at = 1.5
lane = "entry"
who = "Anna"
code = "green"
skin_c = 34.5
stay_s = 1.5
expect = "admit"
"""
RESTARTED = """
[[server]]
at = 0.2
says = "restart agent"
[[person]]
at = 10.0
lane = "entry"
who = "Anna"
code = "green"
skin_c = 34.5
stay_s = 1.5
expect = "admit"
"""
BEN_AND_TROUBLE = """
[[trouble]]
at = 0.3
for_s = 0.7
what = "stop broker"
[[person]]
at = 0.4
lane = "exit"
who = "Ben"
code = "green"
skin_c = 34.2
stay_s = 1.0
expect = "admit"
"""


@pytest.fixture
def script(tmp_path):
    """Writes a scenario and returns the arguments that play it."""

    def write(text):
        file = tmp_path / "scenario.toml"
        file.write_text(PATIENT + text)
        return ["--scenario", str(file)]

    return write


def play(*arguments, **environment):
    return subprocess.run(
        [*WORDS, *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, **environment},
    )


def test_in_a_pipe_it_ends_by_itself_and_the_counts_agree(script):
    done = play(*script(ANNA.format(expect="admit") + BEN_AND_TROUBLE))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "everything agrees", done.stdout
    assert "people 2, passages 2, not as the scenario expects 0" in done.stdout
    assert "gates told to open 2 + 0 by command, relay pulses 2" in done.stdout
    assert "events not marked as simulated 0" in done.stdout
    assert "stop broker: now" in done.stdout
    assert "\x1b" not in done.stdout, "plain lines in a pipe"
    assert done.stderr == ""


def test_what_the_server_says_is_obeyed_and_counted(script):
    done = play(*script(THE_SERVER))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Anna: REFUSE" in done.stdout
    assert "command open: succeeded" in done.stdout
    assert "gates told to open 0 + 1 by command, relay pulses 1, lamps turned green 1" in done.stdout


def test_when_the_server_withholds_details_it_goes_on(script):
    done = play(*script(WITHHELD))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Anna: ADMIT – withheld – details withheld, gate opens" in done.stdout
    assert done.stdout.splitlines()[-1] == "everything agrees", done.stdout


def test_an_agent_that_is_told_to_restart_is_started_again_as_by_systemd(script):
    done = play(*script(RESTARTED))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the agent has ended with status 75: started again, as by systemd" in done.stdout
    assert "Anna: ADMIT" in done.stdout
    assert done.stdout.splitlines()[-1] == "everything agrees", done.stdout


def test_whoever_watches_may_listen_and_give_a_command(script):
    """By the two commands that it prints: so a central server's programmer begins."""
    demo = subprocess.Popen(
        [*WORDS, "--stay", *script(ANNA.format(expect="admit"))], stdout=subprocess.PIPE, text=True
    )
    try:
        lines = iter(demo.stdout.readline, "")
        listen, command = [
            next(line for line in lines if word in line and line.startswith("    ")).strip()
            for word in ("mosquitto_sub", " command ")
        ]
        heard = subprocess.run(["sh", "-c", f"{listen} -C 1"], capture_output=True, timeout=LIMIT_S, check=True)
        assert heard.stdout.startswith(b"gatepost/v1/demo/demo-1/event/")
        program, _, words = command.partition(" command ")
        assert program == "-c", "what it was called by"
        command = f"{shlex.join(WORDS[:-1])} command {words}"
        subprocess.run(["sh", "-c", command], timeout=LIMIT_S, check=True)
        assert any("command open: succeeded" in line for line in lines)
        demo.send_signal(signal.SIGINT)
        out = demo.communicate(timeout=LIMIT_S)[0]
        assert out.splitlines()[-1] == "everything agrees", out
    finally:
        demo.kill()
        demo.wait()


def test_a_terminal_gets_the_live_view(script):
    master, terminal = pty.openpty()
    demo = subprocess.Popen(
        [*WORDS, *script(ANNA.format(expect="admit"))],
        stdout=terminal,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "150", "LINES": "40"},
    )
    os.close(terminal)
    shown = bytearray()
    while True:
        try:
            shown += os.read(master, 65536)
        except OSError:  # the far end was closed
            break
    os.close(master)
    with demo.stderr:
        assert demo.wait(LIMIT_S) == 0, demo.stderr.read()
    assert b"\x1b[" in shown
    assert b"lane entry" in shown
    assert b"Anna" in shown
    assert b"everything agrees" in shown


SEEN = [
    # outcome, screening, surface_c, code, colour, reasons
    ("admit", "normal", 34.5, "valid", "green", ["code_green", "temperature_normal"]),
    ("admit_with_notice", "indeterminate", None, "valid", "red", ["code_red", "egress_free"]),
    ("refer", "indeterminate", 31.5, "valid", "yellow", ["temperature_missing"]),
    ("refuse", "device_fault", None, "bad_signature", None, ["signature_bad"]),
]


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (100, 35), (150, 45)])
def test_the_page_fits_the_terminal_and_cuts_nothing(columns, lines, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(lines))
    record = DemoTally()
    for at in range(40):
        outcome, screening, surface_c, code, colour, reasons = SEEN[at % 4]
        facts = {
            "lane": "entry", "decision": outcome, "screening": screening, "surface_c": surface_c,
            "uncertainty_c": 0.5,
            "credential": code, "colour": colour, "reasons": reasons, "gate_opened": outcome == "admit",
        }  # fmt: skip
        record.rows.append(
            DemoPassage(float(at), "a visitor", facts, outcome, f"demo-1:65683367:{at}" if at < 37 else "")
        )
    devices = [
        {"lane": lane, "role": part, "driver": "mlx90614", "up": part != "thermometer"}
        for lane in ("entry", "exit")
        for part in ("scanner", "gate", "thermometer", "range", "lamp", "buzzer")
    ]
    outbox = {"stored": 1234, "delivered": 1234, "waiting": 0}
    page = Page(record, 56.0)
    page.start()
    for at in (1.0, 2.0, 3.0):
        page.note(at, "entry: thermometer mlx90614 up [simulated]")
    shown = {"entry": frozenset({"green", "sound"}), "exit": frozenset()}
    page.refresh(40.0, {"outbox": outbox, "devices": devices}, shown, broker_up=False)
    page.stop()
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) < lines
    assert max(map(len, shown)) <= columns
    text = "\n".join(shown)
    assert "…" not in text
    for word in (
        "lane entry",
        "DOWN",
        "waits",
        "→ 36",
        "range",
        "ADMIT, NOTICE",
        "code green, temperature normal",
        "31.5 ",
        "lamp · · ✓ ♪",
        "lamp · · · ",
    ):
        assert word in text
    assert text.count("thermometer") >= 5, "every device and every note"


def test_a_wrong_expectation_shows_in_the_exit_status(script):
    done = play(*script(ANNA.format(expect="refuse")))
    assert done.returncode == 1
    assert "people 1, passages 1, not as the scenario expects 1" in done.stdout
    assert done.stdout.splitlines()[-1] == "THE COUNTS DO NOT AGREE"


def left_behind(folder):
    """Programs whose command line names the folder."""
    lines = [file.read_bytes() for file in readable(Path("/proc").glob("[0-9]*/cmdline"))]
    return [line for line in lines if str(folder).encode() in line]


def readable(files):
    for file in files:
        try:
            file.read_bytes()
        except OSError:
            continue
        yield file


@pytest.fixture
def staying(script):
    """A demonstration with --stay, somebody has come, in a process group of its own as a terminal makes it."""
    room = Path(tempfile.mkdtemp(prefix="gatepost-"))  # short: it holds Unix sockets
    demo = subprocess.Popen(
        ["env", "--default-signal=HUP", *WORDS, *script(ANNA.format(expect="admit")), "--stay"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(room), "PYTHONUNBUFFERED": "1"},
    )
    try:
        anna_comes(demo)
        assert left_behind(room), "agent and broker run"
        demo.folder = room
        yield demo
    finally:
        demo.kill()
        demo.communicate()
    wait_until(lambda: not left_behind(room))
    room.rmdir()


def anna_comes(demo):
    said = []
    while not said or "entry Anna: green code" not in said[-1]:
        said.append(demo.stdout.readline())
        assert said[-1], ("it has ended", said, demo.stderr.read())


def test_stay_goes_on_until_ctrl_c_and_then_counts(staying):
    anna_comes(staying)  # the second round
    os.killpg(staying.pid, signal.SIGINT)  # a terminal tells everybody in front
    out, err = staying.communicate(timeout=LIMIT_S)
    assert out.splitlines()[-1] == "everything agrees", out + err
    assert staying.returncode == 0


def test_sigterm_leaves_nothing_behind(staying):
    staying.terminate()
    staying.communicate(timeout=LIMIT_S)
    assert staying.returncode == 128 + signal.SIGTERM


def wait_until(true, limit_s=60.0):
    end_s = time.monotonic() + limit_s
    while not true() and time.monotonic() < end_s:
        time.sleep(0.02)
    assert true()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_neither_a_closed_terminal_nor_a_kill_leaves_anything_behind(staying, number):
    """What went on would take over somebody's new terminal by the number of a simulated device's."""
    children = children_of(staying.pid)
    assert len(children) == 4, "agent, broker, subscriber, screens"
    staying.send_signal(number)
    staying.communicate(timeout=LIMIT_S)
    assert staying.returncode == (-number if number == signal.SIGKILL else 128 + number)
    wait_until(lambda: not any(is_alive(child) for child in children))
    for folder in Path(staying.folder).glob("gatepost-demo-*"):
        assert number == signal.SIGKILL
        shutil.rmtree(folder)


def test_nohup_is_respected(script):
    """A terminal that is closed changes nothing then."""
    words = shlex.join([*WORDS, *script(ANNA.format(expect="admit"))])
    demo = subprocess.Popen(["sh", "-c", f"trap '' HUP; exec {words}"], stdout=subprocess.PIPE, text=True)
    try:
        assert any("green code" in line for line in iter(demo.stdout.readline, ""))
        demo.send_signal(signal.SIGHUP)
        out = demo.communicate(timeout=LIMIT_S)[0]
        assert out.splitlines()[-1] == "everything agrees", out
    finally:
        demo.kill()
        demo.communicate()


def children_of(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_without_mosquitto_it_says_how_to_get_it(script, tmp_path):
    done = play(*script(ANNA.format(expect="admit")), PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("is not installed (apt-get install mosquitto mosquitto-clients)")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[people]]\n", "unknown section people; there are checkpoint, person, trouble and server"),
        ("[[person]]\nwho = 'A'\nfrom = 'afar'\n", "unknown key from; there are at, code, "),
        ("[[person]]\nwho = 'A'\n", "A: "),
        (
            "[[trouble]]\nat = 1\nfor_s = 1\nwhat = 'rain'\n",
            "trouble 'rain': say 'stop broker' or 'unplug LANE PART'",
        ),
        (ANNA.replace("green", "blue").format(expect="admit"), "Anna: code 'blue' is none of green, yellow"),
        ("person = 1 1", "Expected newline"),
    ],
)
def test_a_faulty_scenario_is_a_sentence(script, text, sentence):
    done = play(*script(text))
    assert done.returncode == 2
    assert done.stderr.startswith("scenario: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_packaged_scenario_shows_what_it_promises():
    script = scenario.read(packaged("demo.toml"))
    codes = {person.code for person in script.people}
    assert {"green", "yellow", "red", "expired", "forged", "none"} <= codes
    assert any(person.skin_c > 35.6 for person in script.people)
    assert {trouble.what for trouble in script.troubles} >= {"stop broker", "unplug entry thermometer"}
    assert {person.lane for person in script.people} == {"entry", "exit"}
    assert {word.says.split()[0] for word in script.words} == {"turn", "open"}
    assert 30 <= script.end <= 90


def down_at(script, lane, at):
    """Whether the thermometer of the lane is unplugged then."""
    return any(
        trouble.what == f"unplug {lane} thermometer" and trouble.at <= at <= trouble.at + trouble.for_s
        for trouble in script.troubles
    )


def test_the_packaged_scenario_expects_what_the_packaged_policy_decides(tmp_path):
    issuer = Issuer()
    (tmp_path / "issuers.toml").write_text(issuer.key_table)
    config = parse(CONFIG, tmp_path / "agent.toml")
    rules = app.rules(config, Ruleset(config.codes, config.policy, tmp_path))
    now = TimeBounds(time.time() - 1, time.time() + 1, ClockState.SYNCED)
    script = scenario.read(packaged("demo.toml"))
    for person in script.people:
        if any(word.says == f"turn {person.who} red" and word.at < person.at for word in script.words):
            assert person.expect == "refuse"
            continue
        code = issuer.code(person.code)
        skin = rules.screening
        outcome = (
            Screening.DEVICE_FAULT if down_at(script, person.lane, person.at)
            else Screening.INDETERMINATE if person.skin_c < skin.min_skin_c
            else Screening.ELEVATED if person.skin_c >= skin.threshold_c
            else Screening.NORMAL
        )  # fmt: skip
        case = DecisionInput(
            LaneSpec(Direction(person.lane)), rules.check((code,), now) if code else None, Temperature(outcome),
            scanner_works=True, shown_again=False, now=now,
        )  # fmt: skip
        assert rules.decide(case).outcome == person.expect, person.who


AGREES = Recap(
    decided=5, stored=5, delivered=5, arrived=5, repeats=1, people=2, passages=2, wrong=0, opened=1, commanded=0,
    pulses=1, greens=1, not_marked=0,
)  # fmt: skip


@pytest.mark.parametrize("columns", [80, 110, 150])
def test_a_row_without_details_is_shown(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    record = DemoTally()
    record.rows.append(
        DemoPassage(1.0, "Anna", {"lane": "entry", "decision": "admit", "gate_opened": True}, "admit")
    )
    page = Page(record, 9.0)
    page.start()
    page.refresh(1.0, None, {}, broker_up=True)
    page.stop()
    assert "details withheld" in capsys.readouterr().out


def test_who_stood_there_while_the_agent_was_started_again_is_not_held_against_it():
    assert replace(AGREES, people=3, interrupted=1).agrees
    assert not replace(AGREES, people=4, interrupted=1).agrees
    assert (
        "people 3, passages 2, interrupted by a restart 1," in replace(AGREES, people=3, interrupted=1).lines()[1]
    )


@pytest.mark.parametrize(
    "change",
    [
        {"decided": 6}, {"stored": 4}, {"delivered": 4}, {"arrived": 4}, {"people": 3}, {"passages": 3},
        {"wrong": 1}, {"opened": 2}, {"pulses": 2}, {"greens": 2}, {"commanded": 1}, {"not_marked": 1},
    ],
)  # fmt: skip
def test_any_count_that_is_off_is_said(change):
    assert AGREES.agrees
    off = replace(AGREES, **change)
    assert not off.agrees
    assert off.lines()[-1] == "THE COUNTS DO NOT AGREE"


FAULT = "devices that failed though nobody unplugged them 1"
NOT_HELD = "not held: this machine was too slow for the simulated devices"


@pytest.mark.parametrize("change", [{"wrong": 1}, {"people": 3}, {"pulses": 2}, {"greens": 0}])
def test_a_device_that_fails_by_itself_leaves_open_what_the_scenario_can_foretell(change):
    slow = replace(AGREES, failed=1, **change)
    assert not slow.agrees
    assert not slow.is_held
    assert slow.lines()[-2:] == [FAULT, NOT_HELD]


@pytest.mark.parametrize("change", [{"stored": 4}, {"arrived": 4}, {"not_marked": 1}, {"let_in_wrongly": 1}])
def test_it_excuses_no_lost_event_and_nobody_who_was_let_in_wrongly(change):
    slow = replace(AGREES, wrong=1, failed=1, **change)
    assert slow.is_held
    assert slow.lines()[-1] == "THE COUNTS DO NOT AGREE"


def test_it_is_said_also_when_everything_agrees():
    assert replace(AGREES, failed=1).lines()[-2:] == [FAULT, "everything agrees"]


@pytest.mark.parametrize(
    ("decision", "opened", "expect", "count"),
    [
        ("admit", True, "refer", 1), ("admit", True, "refuse", 1), ("refer", False, "admit", 0),
        ("admit", True, "admit_with_notice", 0), ("admit", True, "admit", 0), ("admit", True, None, 0),
    ],
)  # fmt: skip
def test_who_was_let_in_wrongly_is_counted(decision, opened, expect, count):
    record = DemoTally()
    record.rows.append(
        DemoPassage(1.0, "Anna", {"lane": "entry", "decision": decision, "gate_opened": opened}, expect)
    )
    assert record.let_in_wrongly() == count


@pytest.mark.parametrize("change", [{"people": 3}, {"delivered": 4}, {"pulses": 0, "greens": 0}, {"greens": 0}])
def test_it_is_not_settled_while_somebody_waits_or_a_gate_or_a_lamp_is_on(change):
    assert replace(AGREES, wrong=1).is_settled, "time changes nothing about that"
    assert not replace(AGREES, **change).is_settled


def test_a_person_is_awaited_until_decided_upon_or_the_agent_is_started_again():
    (anna,) = scenario.read(packaged("demo.toml")).people[:1]
    record = DemoTally()
    assert not record.awaits_decision(anna)
    record.came(anna)
    assert record.awaits_decision(anna)
    record.decided(1.0, {"lane": anna.lane, "decision": anna.expect})
    assert not record.awaits_decision(anna)
    record.came(anna)
    record.interrupt(anna.lane)
    assert not record.awaits_decision(anna)


def test_the_guards_scenario_brings_each_kind_of_work_to_a_signed_list_of_staff(tmp_path: Path) -> None:
    script = scenario.read(packaged("demo_guard.toml"))
    assert [person.expect for person in script.people].count("refer") == 5
    assert {guard_desk.WANTED, *guard_desk.MEMBERS} == {person.who for person in script.people} - {"a visitor"}
    authority = DemoAuthority()
    authority.install(tmp_path / "bundles")
    guard_desk.deliver_staff(authority, tmp_path / "bundles")
    store = BundleStore(tmp_path / "bundles")
    sent = store.current("staff")
    assert sent is not None
    people = store.content(sent).people
    assert people.keys() == guard_desk.STAFF.keys()
    assert all(member.has_pin(guard_desk.PIN) for member in people.values())
