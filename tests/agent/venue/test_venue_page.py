"""The page for venue managers: every example on it is read or run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from kiosk_bench import PUPILS, Kiosk, roster_of

from agent import cli
from agent.cli import roster
from agent.config import parse
from agent.model import Outcome
from agent.venue.forms import parse_form
from agent.venue.permits import build_roster, parse_roster
from agent.venue.rules import parse_venue

PAGE = (Path(__file__).parents[3] / "docs" / "venue.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)( \w+)?\n(.*?)```", PAGE, flags=re.DOTALL)
COMMANDS = sorted(
    {line.partition("  #")[0].strip() for line in re.findall(r"^    (gatepost .*)$", PAGE, flags=re.MULTILINE)}
    | {
        match
        for match in re.findall(r"`(gatepost [a-z-]+ [^`]+)`", PAGE)
        if "…" not in match and "NAME" not in match
    }
)
LANE = """
[kiosk]
id = "bus-1"
[lanes.door]
direction = "entry"
[lanes.door.scanner]
driver = "line"
port = "/dev/ttyACM1"
[lanes.door.gate]
driver = "simulated"
"""


def test_there_are_examples() -> None:
    assert {kind for kind, _, _ in BLOCKS} == {"toml", "csv"}
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_each_file_on_the_page_is_one_that_the_agent_takes(tmp_path: Path, number: int) -> None:
    kind, mark, text = BLOCKS[number]
    if kind == "csv":
        (tmp_path / "class.csv").write_text(text)
        with (tmp_path / "class.csv").open(newline="") as file:
            people = roster.read_table(roster.csv.DictReader(file))
        assert len(parse_roster(build_roster(people))) == 1
    elif mark.strip() == "form":
        assert parse_form(text).fields
    elif "[vehicle]" in text:
        assert parse(LANE + text, tmp_path / "agent.toml").vehicle.seats == 45
    else:
        assert parse_venue(text).rounds


def test_the_shared_room_of_the_page_is_read() -> None:
    (line,) = re.findall(r"^    (room = .*kiosks.*)$", PAGE, flags=re.MULTILINE)
    assert parse_venue(f'name = "x"\n{line}').room.kiosks == ("gate-1", "gate-2")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_on_the_page_is_understood(command: str) -> None:
    _, name, *words = shlex.split(command)
    cli.parser_of(name).parse_args([name, *words])


def test_every_setting_of_a_venue_is_on_the_page() -> None:
    settings = """utc_offset_min register permits mask tests_from capacity busy daily closes share kiosks round duty
        answer_min cluster badges"""
    for setting in settings.split():
        assert re.search(rf"\b{setting}\b", PAGE), setting


@pytest.mark.parametrize(
    ("what", "value", "more", "sentence"),
    [
        ("feedback", "cleared", {"case": "KTRWA"}, "Case KTRWA is not open: it was closed, or never opened."),
        (
            "feedback",
            "gone",
            {},
            "Feedback is one of cleared, sent_home, isolated, fever_clinic, handed_over, not 'gone'",
        ),
        ("count", "", {"number": -1}, "A count is 0 to 1000000 people, not -1; for example 120."),
        ("form", "", {"form": "tombola"}, "There is no form 'tombola'; there are:"),
        ("badge", "a b", {}, "A badge is shown by its number: 1 to 16 letters and digits, for example G07."),
        ("duty", "sing", {}, "There is no duty 'sing' in venue.toml; there are: disinfect."),
        ("absence", "ill", {"number": 4711}, "Nobody on the roster has the number 4711."),
        ("trip", "begin", {}, "This kiosk stands in no vehicle"),
    ],
)
def test_what_staff_state_wrongly_is_one_sentence_and_changes_nothing(
    what: str, value: str, more: dict, sentence: str
) -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    case = kiosk.pass_by("anna", outcome=Outcome.REFER, watched=True).venue.case
    if what == "feedback" and not more:
        more = {"case": case}
    before = kiosk.venue.ledger.entries
    answer = kiosk.state(what, value, **more)
    assert answer.reason is not None
    assert sentence in answer.text
    assert "\n" not in answer.text
    assert kiosk.venue.ledger.entries == before, "nothing is lost, nothing is written"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("x,a,pupil,7,c\nx,b,pupil,7,c\n", "two people have the number 7"),
        ("x,a,pupil,7,c\nx,a,pupil,8,c\n", "the same person as on line"),
        ("x,a,king,7,c\n", "r.csv: line 2: role is one of resident,"),
    ],
)
def test_a_roster_that_is_wrong_is_one_sentence(tmp_path: Path, capsys, rows: str, sentence: str) -> None:
    (tmp_path / "r.csv").write_text("issuer,subject,role,number,group\n" + rows)
    assert cli.main(["roster", "build", str(tmp_path / "r.csv"), "--out", str(tmp_path / "r.json")]) == 1
    told = capsys.readouterr().err.strip()
    assert "\n" not in told
    assert sentence in told
    assert not (tmp_path / "r.json").exists()
