"""The central server's side: keys, the bundle's text, and events opened."""

import json
import stat
from dataclasses import replace

import pytest

from agent import cli
from agent.events import FIRST, Encoder, Topics
from agent.model import ChainPosition
from agent.privacy import Redaction, parse

TOPICS = Topics("library", "gate-3")


@pytest.fixture
def key(tmp_path, monkeypatch, capsys):
    """A key pair in the folder; the [[key]] table."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["privacy", "new", "week-47", "--days", "20000"]) == 0
    return capsys.readouterr().out


def sealed(key, event, codes=(b"GP1:ANNA",)):
    rules = parse(f'mode = "trace"\n{key}'.replace(key.split("from = ")[1].split("\n")[0], "2026-01-01T00:00:00Z"))
    event = replace(event, body=replace(event.body, payloads=codes))
    withheld = Redaction(TOPICS.source, lambda _: rules)(event)
    return Encoder(TOPICS)(withheld, ChainPosition("9f86d081", 1, FIRST)).payload.decode()


def test_a_private_key_is_nobody_elses(tmp_path, key):
    assert stat.S_IMODE((tmp_path / "week-47.pem").stat().st_mode) == 0o600
    (made,) = parse('mode = "trace"\n' + key).keys
    assert made.keyid == "week-47"
    assert made.until_utc - made.from_utc == 20_000 * 86_400
    assert cli.main(["privacy", "new", "week-47"]) == 1, "it is not overwritten"


@pytest.mark.parametrize("kid", ["", "a b", "x" * 33])
def test_a_name_that_no_kiosk_would_take_is_refused(tmp_path, monkeypatch, capsys, kid):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["privacy", "new", kid]) == 1
    assert not list(tmp_path.iterdir())
    assert f"keyid {kid!r} should be letters, digits" in capsys.readouterr().err


def test_a_text_is_checked(tmp_path, key, capsys):
    (tmp_path / "privacy.toml").write_text('mode = "trace"\nretention_hours = 24\n' + key)
    assert cli.main(["privacy", "check", "privacy.toml"]) == 0
    said = capsys.readouterr().out
    assert "mode trace, details withheld, retention 24 hours\nkey week-47: " in said
    (tmp_path / "privacy.toml").write_text('mode = "trace"')
    assert cli.main(["privacy", "check", "privacy.toml"]) == 1
    assert "needs a key" in capsys.readouterr().err


def test_events_are_opened(tmp_path, key, passage_event, capsys):
    plain = Encoder(TOPICS)(passage_event(1), ChainPosition("9f86d081", 2, FIRST)).payload.decode()
    lines = [sealed(key, passage_event(0)), "not an event", plain, "a/topic " + sealed(key, passage_event(2))]
    (tmp_path / "events").write_text("\n".join(lines))
    assert cli.main(["privacy", "unseal", "events", "--key", "week-47.pem"]) == 0
    found = [json.loads(line)["data"] for line in capsys.readouterr().out.splitlines()]
    assert [(data["duration_ms"], data["payloads"], data["credential"]["colour"]) for data in found] == [
        (0, ["R1AxOkFOTkE="], "green"),
        (2, ["R1AxOkFOTkE="], "green"),
    ]


def test_what_another_key_sealed_is_said(tmp_path, key, passage_event, capsys):
    (tmp_path / "events").write_text(sealed(key, passage_event(0)))
    assert cli.main(["privacy", "new", "other"]) == 0
    assert cli.main(["privacy", "unseal", "events", "--key", "other.pem"]) == 1
    assert "1 sealed parts were not opened" in capsys.readouterr().err
    assert cli.main(["privacy", "unseal", "events", "--key", "other.pem", "--key", "week-47.pem"]) == 0
    (tmp_path / "nothing.pem").write_text("nothing")
    assert cli.main(["privacy", "unseal", "events", "--key", "nothing.pem"]) == 1


@pytest.mark.parametrize(
    "line",
    [
        "topic {",
        "{" * 100_000,
        '{"data": 1}',
        '{"data": {"sealed": 1}}',
        '{"data": {"sealed": {"keyid": "week-47", "enc": "*", "ct": ""}}}',
        '{"type": "gatepost.report.v1", "source": [], "data": {"sealed": {"keyid": "", "enc": "", "ct": ""}}}',
        "\udcff",
    ],
)
def test_no_line_of_a_stranger_stops_the_rest(tmp_path, key, passage_event, capsys, line):
    lines = [line, sealed(key, passage_event(1))]
    (tmp_path / "events").write_text("\n".join(lines), errors="surrogateescape")
    cli.main(["privacy", "unseal", "events", "--key", "week-47.pem"])
    assert capsys.readouterr().out.count("payloads") >= 1
