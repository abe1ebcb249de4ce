"""An evening with real tickets: from the code to the event, at a concert, a tram stop and a platform."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import cli
from agent.cli.demo.ticket_day import Evening
from agent.events import schemas

CANARIES = ("Karsten", "Will", "CN0CTUMY", "D260V48G", "6140001343", "E4BibyTSyl", "#UT")


def test_the_evening_of_a_concert(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--day", "concert"]) == 0
    said = capsys.readouterr().out
    for part in (
        "hall-1: ticket “concert” → admit ",
        "hall-2: ticket “concert” → refer – This ticket has been used already.",
        "hall-1: ticket “other-evening” → refuse",
        "hall-2: ticket “forged” → refuse",
        "hall-1: ticket “balcony” → admit_with_notice",
        "hall-2: ticket “balcony” → admit_with_notice",
        "hall-2 reports: a ticket was used twice (ticket_used_twice)",
        "stop: ticket “deutschlandticket” → refer – Signed, but nothing here says that this ticket still counts",
        "stop: ticket “deutschlandticket” → admit ",
        "platform-3: ticket “train” → admit ",
        "15:00   platform-3: ticket “train” → refuse – This ticket is for another service.",
        "14 events, 5 gates opened.",
    ):
        assert part in said, part
    assert said.count("reports: a ticket was used twice") == 1


def test_its_events_are_those_of_a_kiosk_and_name_nobody(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    lines = list(evening.play())
    adapter = schemas.adapter(schemas.event_shape("passage"))
    for text in evening.events:
        adapter.validate_json(text)
    everything = "\n".join((*lines, *evening.events)).encode()
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert {file.name for file in tmp_path.iterdir()} >= {"hall-1.sqlite", "hall-2.sqlite"}
    assert not [word for word in CANARIES if word.encode() in everything + stored]
