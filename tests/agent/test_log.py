"""One line per event, for people and for the journal; nobody's code or name in it."""

import json
import logging
import os
import pty
import subprocess
import sys
from dataclasses import replace

import pytest

from agent import log
from agent.model import (
    AgentChange,
    ClockState,
    CodeStatus,
    Colour,
    CommandResult,
    CommandStatus,
    Decision,
    DeviceChange,
    Direction,
    Event,
    Loss,
    Outcome,
    Passage,
    Role,
    Screening,
    Temperature,
    TimeBounds,
    Verdict,
)

NOW = TimeBounds(1_800_000_000.0, 1_800_000_001.0, ClockState.SYNCED)
SUBJECT = b"canary-subject--"


def event(body):
    return Event(body, 1.0, NOW)


def passage(outcome=Outcome.ADMIT, *, verdict=True, surface_c=34.44, simulated=False):
    code = Verdict(
        CodeStatus.VALID,
        "gatepost",
        subject=SUBJECT,
        issuer="canary-issuer",
        colour=Colour.GREEN,
        code=b"canary-code-",
    )
    screening = Screening.INDETERMINATE if surface_c is None else Screening.NORMAL
    temperature = Temperature(screening, surface_c, None if surface_c is None else 0.51, samples=7)
    decision = Decision(outcome, ("code_green", "temperature_normal"), "green")
    opened = outcome in (Outcome.ADMIT, Outcome.ADMIT_WITH_NOTICE)
    return Passage(
        "entry", Direction.ENTRY, code if verdict else None, temperature, decision, opened, 1.0, 1.5, simulated
    )


SENTENCES = [
    (passage(), "entry: ADMIT – green code valid, 34.4 ± 0.5 °C normal – code_green, temperature_normal"),
    (
        passage(Outcome.REFER, verdict=False, surface_c=None, simulated=True),
        "entry: REFER – no code, indeterminate – code_green, temperature_normal [simulated]",
    ),
    (
        DeviceChange("entry", Role.SCANNER, "camera", up=True, simulated=True),
        "entry: scanner camera up [simulated]",
    ),
    (
        DeviceChange("entry", Role.GATE, "serial_relay", up=False, error="gone (plug it in)"),
        "entry: gate serial_relay DOWN: gone (plug it in)",
    ),
    (AgentChange("started", "1.2"), "agent 1.2 started"),
    (Loss("storage_full", 3), "3 events lost: storage_full"),
    (
        CommandResult("open", CommandStatus.SUCCEEDED, command_id="7", simulated=True),
        "command open: succeeded [simulated]",
    ),
    (
        CommandResult("open", CommandStatus.REJECTED, "expired", "7", duplicate=True),
        "command open: rejected: expired (said again)",
    ),
    (
        CommandResult("bundle", CommandStatus.SUCCEEDED, result={"type": "list", "name": "status", "version": 4}),
        "bundle list status 4: succeeded",
    ),
    (
        replace(
            passage(), temperature=Temperature(Screening.NORMAL, estimate_c=36.8, uncertainty_c=0.2, samples=1)
        ),
        "entry: ADMIT – green code valid, 36.8 ± 0.2 °C normal – code_green, temperature_normal",
    ),
]


@pytest.mark.parametrize(("body", "sentence"), SENTENCES)
def test_sentences(body, sentence):
    assert log.format_event(event(body)) == sentence


@pytest.mark.parametrize("body", [body for body, _ in SENTENCES])
def test_facts_are_json_and_name_nobody(body):
    said = json.dumps(log.event_fields(event(body))) + log.format_event(event(body))
    assert "canary" not in said
    assert SUBJECT.hex() not in said
    assert log.event_fields(event(body))["event"] in ("passage", "device", "agent", "loss", "command_result")


@pytest.mark.parametrize(
    ("body", "level"),
    [
        (passage(), "INFO"),
        (SENTENCES[2][0], "INFO"),
        (SENTENCES[3][0], "WARNING"),
        (SENTENCES[4][0], "INFO"),
        (CommandResult("open", CommandStatus.SUCCEEDED, command_id="7"), "INFO"),
        (CommandResult("open", CommandStatus.FAILED, "gate_down", "7"), "WARNING"),
    ],
)
def test_what_goes_wrong_is_a_warning(caplog, body, level):
    with caplog.at_level(logging.DEBUG):
        log.log_event(event(body))
    assert [record.levelname for record in caplog.records] == [level]


SCRIPT = """
import logging, sys
from agent import log
log.configure(sys.argv[1])
logging.getLogger("x").info("said %s", "\\x1b[31mred\\nnext")
logging.getLogger("x").debug("detail")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("x").exception("failed", extra={"facts": {"event": "passage", "decision": None}})
"""


def test_a_pipe_gets_one_json_object_a_line():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "info"], capture_output=True, text=True, check=True, timeout=120
    )
    said, failed = (json.loads(line) for line in done.stderr.splitlines())
    assert said["message"] == "said �[31mred\nnext", "whatever a device says stays inside its line"
    assert (said["level"], failed["level"]) == ("info", "error")
    assert said["at"].endswith("Z")
    assert "ZeroDivisionError" in failed["traceback"]
    assert failed["event"] == "passage"


NAMED = """
import logging, sys
from agent import log
log.configure("info")
try:
    try:
        int("anna")
    except ValueError:
        {"berta": 1}["carl"]
except KeyError:
    logging.getLogger("x").exception("failed")
try:
    open("/nowhere/at/all")
except OSError:
    logging.getLogger("x").exception("failed")
"""


@pytest.mark.parametrize("terminal", [True, False])
def test_a_traceback_says_where_and_what_kind_and_not_what_was_read(terminal):
    """`int(text)` and `table[name]` put what they were given into the error's text: it could be a code's."""
    if terminal:
        ours, theirs = pty.openpty()
        with os.fdopen(ours, "rb") as screen:
            subprocess.run([sys.executable, "-"], input=NAMED.encode(), stderr=theirs, check=True, timeout=120)
            os.close(theirs)
            said = screen.read1(65_536).decode()
    else:
        done = subprocess.run(
            [sys.executable, "-"], input=NAMED, capture_output=True, text=True, check=True, timeout=120
        )
        said = done.stderr
    assert "anna" not in said
    assert "carl" not in said
    for word in ("ValueError", "KeyError", "FileNotFoundError", "No such file", "line "):
        assert word in said


def test_the_level_is_obeyed():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "debug"], capture_output=True, text=True, check=True, timeout=120
    )
    assert "detail" in done.stderr
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "error"], capture_output=True, text=True, check=True, timeout=120
    )
    assert len(done.stderr.splitlines()) == 1


def test_a_terminal_gets_sentences_without_anybody_elses_escapes():
    master, terminal = pty.openpty()
    subprocess.run([sys.executable, "-c", SCRIPT, "info"], stderr=terminal, check=True, timeout=120)
    os.close(terminal)
    shown = bytearray()
    while True:
        try:
            shown += os.read(master, 65536)
        except OSError:
            break
    os.close(master)
    lines = shown.decode().splitlines()
    assert "said �[31mred�next" in lines[0]
    assert "failed" in lines[1]
    assert lines[-1] == "ZeroDivisionError"


PROGRAM = """
import sys, threading
from agent import log
log.configure("info")
log.install_excepthooks()
def fall():
    raise ValueError("canary of a code")
thread = threading.Thread(target=fall, name="a thread")
thread.start()
thread.join()
class Falls:
    def __del__(self):
        fall()
Falls()
fall()
"""


def test_what_nobody_caught_is_told_without_what_it_says():
    """A thread, what is collected, and the program itself: where and of what kind, not a piece of a code."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "canary of" not in done.stdout + done.stderr
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["level"] for line in told] == ["critical"] * 3
    assert "a thread" in told[0]["message"]
    assert all("in fall" in line["traceback"] and line["traceback"].endswith("ValueError") for line in told)


@pytest.mark.parametrize("formatter", [log._Json(), log._Sentences()], ids=["journal", "terminal"])
def test_neither_a_password_nor_what_a_terminal_obeys_is_logged(formatter):
    said = "rtsp://guard:hunter2@camera: \x1b]0;x\x07 \x9b31m \u202e"
    record = logging.LogRecord("x", logging.WARNING, "", 0, "%s", (said,), None)
    line = formatter.format(record).replace("\x1b[0m", "", 2)
    assert "hunter2" not in line
    assert "rtsp://********@camera" in line
    assert not set("\x1b\x07\x9b\u202e") & set(line)
    log._RECENT.emit(record)
    assert "hunter2" not in log.recent()[-1]
    assert "\x1b" not in log.recent()[-1]


STANDS_STILL = """
import logging, sys
from agent import log
log.configure("info")
for number in range(3000):
    logging.getLogger("x").info("line %d %s", number, "x" * 300)
print("went on", flush=True)
sys.stdin.readline()
logging.getLogger("x").info("the last one")
"""


def test_a_reader_that_stands_still_holds_up_nobody_and_is_told_of_what_it_missed():
    """As the journal, whose disk hangs: the loop logs each event, and the gates wait for it."""
    ours, theirs = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", STANDS_STILL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs
    ) as agent:
        os.close(theirs)
        assert agent.stdout.readline() == b"went on\n"
        with os.fdopen(ours, "rb") as reader:
            said = reader.read1(1 << 20)
            agent.stdin.write(b"\n")
            agent.stdin.flush()
            said += reader.read()
    *first, missed, last = (json.loads(line)["message"] for line in said.splitlines() if line)
    assert [line.split()[1] for line in first] == [str(number) for number in range(len(first))]
    assert (missed, last) == (
        f"{3000 - len(first)} lines of the log were left out: nobody took them",
        "the last one",
    )
