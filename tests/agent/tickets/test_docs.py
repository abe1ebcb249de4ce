"""What docs/tickets.md tells is so: its keys, its lane and its table let a real ticket in."""

from __future__ import annotations

import re
import tomllib
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


def block(begin: str) -> str:
    """The indented block that begins with this line."""
    (found,) = re.findall(rf"^    {re.escape(begin)}\n(?:    .*\n|\n(?=    ))*", PAGE, re.MULTILINE)
    return re.sub("^    ", "", found, flags=re.MULTILINE)


def test_from_the_shop_to_the_gate() -> None:
    verdict = credentials.check(vectors.PRETIX_VALID, parse_keys(block("[[key]]"), "docs"), NOW)
    assert (verdict.status, verdict.issuer) == (CodeStatus.VALID, "concert")
    settings = tomllib.loads(block("[policy]"))
    lane = config.LaneOptions(**settings["lanes"]["hall"])
    table = load.load_table(policy.Options(settings["policy"]["table"]))
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
    assert register.Options(kiosks=tuple(settings["tickets"]["kiosks"])).kiosks


def test_a_revoked_ticket_is_one_of_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("revoked.txt").write_bytes(vectors.PRETIX_VALID + b"\n")
    (command,) = re.findall(r"^    gatepost (lists build .*)$", PAGE, re.MULTILINE)
    assert cli.main(command.split()) == 0
    Path("issuers.toml").write_text(block("[[key]]"))
    trust = load.load_trust(credentials.Options(lists=("revoked.list",)), tmp_path)
    assert credentials.check(vectors.PRETIX_VALID, trust, NOW).status is CodeStatus.REVOKED


def test_its_figures() -> None:
    assert f"up to {MOST_TRIED} keys" in PAGE
    assert register.CLAIM_WAIT_S == 0.25
    assert exchange.LOST_AFTER_S == 6
