"""What docs/tickets.md tells is so: its keys, its lane and its table let a real ticket in."""

from __future__ import annotations

import json
import re
import tomllib
from base64 import b64encode
from pathlib import Path

import pytest
import vectors_today as vectors

from agent import cli, config, credentials, policy
from agent.credentials.trust import MOST_TRIED, parse_keys
from agent.model import ClockState, CodeStatus, Outcome, Screening, TimeBounds, Tristate
from agent.ruleset import load
from agent.tickets import exchange, register

PAGE = (Path(__file__).parents[3] / "docs" / "tickets.md").read_text(encoding="utf-8")
NOW = TimeBounds(1_675_000_000.0, 1_675_000_000.5, ClockState.SYNCED)


def block(begin: str, holds: str = "") -> str:
    """The indented block that begins with this line, and holds those words."""
    blocks = re.findall(rf"^    {re.escape(begin)}\n(?:    .*\n|\n(?=    ))*", PAGE, re.MULTILINE)
    (found,) = (each for each in blocks if holds in each)
    return re.sub("^    ", "", found, flags=re.MULTILINE)


def command(begin: str, holds: str) -> list[str]:
    """The words of the one command of the page that begins so, and holds those words."""
    lines = re.findall(rf"^    gatepost ({begin} .*)$", PAGE, re.MULTILINE)
    (found,) = (each for each in lines if holds in each)
    return str(found).split()


def test_from_the_shop_to_the_gate(tmp_path: Path) -> None:
    verdict = credentials.check(vectors.PRETIX_VALID, parse_keys(block("[[key]]", "concert"), "docs"), NOW)
    assert (verdict.status, verdict.issuer) == (CodeStatus.VALID, "concert")
    (tmp_path / "agent.toml").write_text(block("[kiosk]"))
    settings = config.load(tmp_path / "agent.toml")
    lane = settings.lanes["hall"]
    table = load.load_table(settings.policy)
    facts = policy.facts_of(
        lane.direction,
        verdict,
        Screening.NORMAL,
        NOW,
        site=policy.SiteFacts(),
        tickets=config.lane_tickets(lane),
        used=Tristate.NO,
    )
    assert policy.decide(table, facts).outcome is Outcome.ADMIT
    assert settings.tickets.kiosks == ("gate-1", "gate-2")
    assert settings.codes.keys == "issuers.toml"


def test_a_revoked_ticket_is_one_of_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("revoked.txt").write_bytes(vectors.PRETIX_VALID + b"\n")
    assert cli.main(command("lists build", "--of pretix")) == 0
    Path("issuers.toml").write_text(block("[[key]]", "concert"))
    trust = load.load_trust(credentials.Options(lists=("revoked.list",)), tmp_path)
    assert credentials.check(vectors.PRETIX_VALID, trust, NOW).status is CodeStatus.REVOKED


def test_a_blocked_rail_ticket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = re.search(r"`COMPANY:REFERENCE`", PAGE)
    assert example is not None
    Path("blocked.txt").write_text("1080:CN0CTUMY\n")
    assert cli.main(command("lists build", "--of uic")) == 0
    key = block("[[key]]", '"uic"')
    Path("issuers.toml").write_text(re.sub('"MIID.*"', f'"{b64encode(vectors.UIC_KEY).decode()}"', key))
    trust = load.load_trust(credentials.Options(lists=("blocked.list",)), tmp_path)
    train_day = TimeBounds(1_604_577_600.0, 1_604_577_600.0, ClockState.SYNCED)
    assert credentials.check(vectors.UIC_TICKET, trust, train_day).status is CodeStatus.REVOKED


def test_its_commands_on_keys_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    for line in re.findall(r"^    gatepost (keys import[^#\n]*)", PAGE, re.MULTILINE):
        assert cli.main(line.split()) == 1
        assert "keys.xml" in capsys.readouterr().err  # there is none: all else is understood


def test_its_figures() -> None:
    assert f"up to {MOST_TRIED} keys" in PAGE
    assert register.CLAIM_WAIT_S == 0.25
    assert exchange.LOST_AFTER_S == 6


def test_a_revoked_list_is_named_where_the_page_says(tmp_path: Path) -> None:
    whole = block("[kiosk]").replace('keys = "issuers.toml"', 'keys = "issuers.toml"\nlists = ["revoked.list"]')
    (tmp_path / "agent.toml").write_text(whole)
    named = tomllib.loads(block("[codes]", "lists"))["codes"]
    assert config.load(tmp_path / "agent.toml").codes.lists == tuple(named["lists"])


def test_verify_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("issuers.toml").write_text(block("[[key]]", "concert"))
    Path("ticket.txt").write_bytes(vectors.PRETIX_VALID)
    Path("agent.toml").write_text(block("[kiosk]"))
    assert cli.main(command("verify", "--lane")) == 0
    assert capsys.readouterr().out.strip() == block("Code        pretix ticket, ticket").strip()


@pytest.mark.parametrize(
    ("places", "code", "outcome"),
    [
        ("concert@14", vectors.PRETIX_VALID, "admit"),
        ("concert", vectors.PRETIX_VALID, "refuse"),
        ("concert@14", vectors.PRETIX_VALID[:40] + b"A" + vectors.PRETIX_VALID[41:], "refuse"),
    ],
)
def test_a_ticket_is_tried_before_the_doors_open(
    places: str,
    code: bytes,
    outcome: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("issuers.toml").write_text(block("[[key]]", "concert"))
    Path("ticket.txt").write_bytes(code)
    Path("agent.toml").write_text(block("[kiosk]").replace('"concert@14"', f'"{places}"'))
    cli.main([*command("verify", "--lane"), "--json", "--at", "2023-01-29T12:00:00Z"])
    found = json.loads(capsys.readouterr().out)
    assert found["outcome"] == outcome
    assert found["places"] == ([] if found["status"] == "bad_signature" else ["concert@14", "concert/1@14"])
    assert cli.main(["verify", "ticket.txt", "--lane", "door", "-c", "agent.toml"]) == 2
    assert capsys.readouterr().err == "--lane door: no lane of agent.toml, which has hall\n"
