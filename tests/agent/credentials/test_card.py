"""Cards and travel records: what joins a health code, what it is worth alone, and what cannot pass for a card."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from agent import cli, credentials
from agent.credentials.formats import card, gatepost
from agent.crypto import signing
from agent.model import ClockState, CodeStatus, Colour, TimeBounds, TravelState, WatchClass
from agent.ruleset import load
from drivers.contract import CARD, Sighting

FOB = b"card:em4100:0F00C0FFEE"
OTHER = b"card:em4100:0F00C0FFEF"
TRIP = b"https://trip.example/u?c=%s"
KEYS = """
[[opaque]]
issuer = "trip"
pattern = 'https://trip\\.example/u\\?c=(?P<id>[a-z]{1,20})'
adds = "travel"
"""


class Gate:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        keys = ["--private", str(folder / "x.key"), "--keys", str(folder / "issuers.toml")]
        assert cli.main(["keys", "new", "x", *keys]) == 0
        with (folder / "issuers.toml").open("a") as file:
            file.write(KEYS)
        self.key = signing.private_key((folder / "x.key").read_bytes())
        self.lists: list[str] = []

    def list(self, kind: str, text: str, issuer: str = "card", of: str = "card", hours: float = 24.0) -> None:
        name = f"{kind}-{issuer}"
        (self.folder / name).write_text(text)
        built = [str(self.folder / name), str(self.folder / f"{name}.gpl"), "--kind", kind, "--issuer", issuer]
        ages = ["--warn-hours", str(hours), "--refer-hours", str(hours * 3)]
        assert cli.main(["lists", "build", *built, "--version", "1", "--of", of, *ages]) == 0
        self.lists.append(f"{name}.gpl")

    def check(self, *payloads: bytes, after_s: float = 1.0):
        trust = load.load_trust(credentials.Options(lists=tuple(self.lists)), self.folder)
        now = time.time() + after_s
        return credentials.check_all(payloads, trust, TimeBounds(now, now + 0.1, ClockState.SYNCED))

    def code(self, holder: str, colour: Colour = Colour.GREEN) -> bytes:
        now = int(time.time())
        claims = gatepost.claims("x", holder, colour, issued_utc=now - 5, expires_utc=now + 600_000)
        return gatepost.issue(self.key, claims).encode()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def test_a_card_on_no_list_decides_nothing_and_joins_a_code(gate: Gate) -> None:
    alone = gate.check(FOB)
    assert (alone.status, alone.adds, alone.card) == (CodeStatus.UNDECIDED, "card", card.card_key("0f00c0ffee"))
    for shown in ((FOB, gate.code("anna")), (gate.code("anna"), FOB)):
        both = gate.check(*shown)
        assert (both.status, both.colour, both.adds, both.card) == (CodeStatus.VALID, Colour.GREEN, "", alone.card)


@pytest.mark.parametrize("text", ["card:em4100:0F00C0FFEE", "card:prc-id:310101200001011234", "GP1:X", "shc:/56"])
def test_a_printed_file_of_health_cards_hands_over_nothing_but_signed_cards(gate: Gate, text: str) -> None:
    gate.list("status", "0F00C0FFEE green\n")
    printed = Sighting(json.dumps({"verifiableCredential": [text]}).encode(), 0.0, symbology="qr")
    verdict = gate.check(card.as_shown(printed))
    assert (verdict.status, verdict.card) == (CodeStatus.MALFORMED, b"")
    beside = gate.check(card.as_shown(printed), gate.code("anna"))
    assert (beside.status, beside.card) == (CodeStatus.MALFORMED, b"")


@pytest.mark.parametrize(
    ("fob", "code", "colour"),
    [
        ("green", None, "green"),
        ("red", Colour.GREEN, "red"),
        ("green", Colour.RED, "red"),
        ("yellow", None, "yellow"),
    ],
)
def test_by_a_status_list_a_card_has_a_colour_and_the_worse_of_two_counts(gate: Gate, fob, code, colour) -> None:
    gate.list("status", f"0F00C0FFEE {fob}\n")
    shown = (FOB,) if code is None else (FOB, gate.code("anna", code))
    found = gate.check(*shown)
    assert (found.status, found.colour) == (CodeStatus.VALID, Colour(colour))


def test_watch_classes_and_tests_of_cards_are_told_by_lists(gate: Gate) -> None:
    gate.list("status", "0F00C0FFEE green\n")
    gate.list("watched", "0F00C0FFEE contact\n")
    gate.list("tested", "0F00C0FFEE 20\n")
    found = gate.check(FOB)
    assert (found.watched, found.watch) == (True, WatchClass.CONTACT)
    (swab,) = found.tests
    assert 19.9 * 3600 < time.time() - swab.taken_utc < 20.1 * 3600


def test_the_test_of_a_borrowed_card_is_not_that_of_the_code_beside_it(gate: Gate) -> None:
    gate.list("tested", "0F00C0FFEE 5\n")
    assert gate.check(FOB, gate.code("anna")).tests == ()


def test_two_cards_are_two_people(gate: Gate) -> None:
    gate.list("status", "0F00C0FFEE green\n0F00C0FFEF green\n")
    assert gate.check(FOB, OTHER).status is CodeStatus.UNDECIDED
    assert gate.check(FOB, OTHER, gate.code("anna")).status is CodeStatus.UNDECIDED


def test_a_revoked_card_spoils_the_code_beside_it(gate: Gate) -> None:
    gate.list("revoked", "0F00C0FFEE\n")
    assert gate.check(FOB, gate.code("anna")).status is CodeStatus.REVOKED


@pytest.mark.parametrize(
    ("listed", "hours", "travel"),
    [("green", 24.0, TravelState.CLEAR), ("green", 0.001, TravelState.OLD), ("red", 24.0, TravelState.RISK),
     ("yellow", 0.001, TravelState.RISK), ("", 24.0, TravelState.UNASKED)],
)  # fmt: skip
def test_a_travel_record_adds_a_fact_and_is_never_a_health_code(gate: Gate, listed, hours, travel) -> None:
    gate.list("status", f"{'anna' if listed else 'bert'} {listed or 'green'}\n", "trip", "opaque", hours)
    alone = gate.check(TRIP % b"anna", after_s=60.0)
    assert (alone.status, alone.colour, alone.travel) == (CodeStatus.UNDECIDED, None, travel)
    for shown in ((TRIP % b"anna", gate.code("anna")), (gate.code("anna"), TRIP % b"anna")):
        both = gate.check(*shown, after_s=60.0)
        assert (both.status, both.colour, both.travel) == (CodeStatus.VALID, Colour.GREEN, travel)
        assert both.list_age == "fresh", "an old travel list is told of the record, not of everybody"


def test_of_two_travel_records_the_worse_counts(gate: Gate) -> None:
    gate.list("status", "anna green\nbert red\n", "trip", "opaque")
    assert gate.check(TRIP % b"anna", TRIP % b"bert", gate.code("anna")).travel is TravelState.RISK


def test_a_printed_code_is_no_card() -> None:
    assert card.as_shown(Sighting(FOB, 1.0, symbology=CARD)) == FOB
    for symbology in ("", "qr", "aztec"):
        printed = card.as_shown(Sighting(FOB, 1.0, symbology=symbology))
        assert not card.recognises(printed)
        assert not card.as_shown(Sighting(printed, 1.0)).startswith(b"card:")


def test_of_an_identity_card_nothing_but_that_it_was_shown_may_be_left(gate: Gate) -> None:
    bare = card.without_number(b"card:prc-id:11010519491231002X")
    assert bare == b"card:prc-id:"
    found = gate.check(bare)
    assert (found.status, found.subject, found.card, found.adds) == (CodeStatus.UNDECIDED, b"", b"", "card")
    assert card.without_number(FOB) == FOB


@pytest.mark.parametrize(
    "payload", [b"card:", b"card:em4100", b"card:em4100:!!", b"card:x:" + b"9" * 99, b"card:\xff:12345"]
)
def test_what_is_no_card_is_malformed_or_decides_nothing(gate: Gate, payload: bytes) -> None:
    assert gate.check(payload).status in (CodeStatus.MALFORMED, CodeStatus.UNDECIDED)


@pytest.mark.parametrize(
    ("kind", "line", "sentence"),
    [("tested", "0F00C0FFEE", "hours from the swab"), ("tested", "0F00C0FFEE 300", "1 to 255"),
     ("watched", "0F00C0FFEE friend", "hit, contact, arrival, asked"),
     ("status", "0F00C0FFEE", "green, yellow, red"), ("revoked", "!!", "for example 0F00C0FFEE")],
)  # fmt: skip
def test_what_is_wrong_with_a_line_of_a_list(tmp_path: Path, capsys, kind, line, sentence) -> None:
    (tmp_path / "in").write_text(line)
    words = ["lists", "build", str(tmp_path / "in"), str(tmp_path / "out"), "--kind", kind, "--issuer", "card"]
    assert cli.main([*words, "--version", "1", "--of", "card"]) == 1
    assert sentence in capsys.readouterr().err
