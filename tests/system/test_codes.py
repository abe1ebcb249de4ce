"""The daemon with lists, a venue's table and tests in codes: what the central server is told of each passage."""

import time
from dataclasses import replace

import pytest

from agent.cli.keys import key_table
from agent.credentials import lists
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import Colour, LabResult
from agent.ruleset import load

DAY_S = 86_400
ISSUER = "city"
KEY = signing.new_private_key()


def code(subject, *, tested_hours_ago=None, life_s=DAY_S):
    """A green code of the holder, issued an hour ago, with a PCR test if one is named."""
    now = int(time.time())
    tests = [] if tested_hours_ago is None else [LabResult("pcr", now - tested_hours_ago * 3600)]
    claims = gatepost.claims(
        ISSUER, subject, Colour.GREEN, issued_utc=now - 3600, expires_utc=now + life_s, tests=tests
    )
    return gatepost.issue(KEY, claims).encode()


def listed(kind, *subjects, age_s=60, colour=3):
    head = lists.ListHeader(kind, ISSUER, 1, time.time() - age_s, warn_age_s=DAY_S, max_age_s=3 * DAY_S)
    keys = b"".join(gatepost.subject_key(ISSUER, subject) for subject in subjects)
    return head, keys, bytes([colour] * len(subjects)) if kind == "status" else None


FURTHER_CODE_S = 10.0
"""So long the kiosk waits for a code with a test; all others are measured by then, on a busy machine too."""


@pytest.fixture(scope="module")
def office(build, scan_engines):
    """An office in a high-risk area: a PCR test of 48 hours is asked for; two lists."""
    site = build(
        scan_engines,
        settings={
            "codes": {"keys": "issuers.toml", "lists": ["status.gpl", "watched.gpl"]},
            "policy": {"table": "office", "venue": "office", "zone": "high"},
            "checkpoint": {"rescan_after_admit_s": 0.2, "temperature_timeout_s": FURTHER_CODE_S},
        },
    )
    (site.folder / "issuers.toml").write_text(key_table(ISSUER, KEY.public))
    load.write_list(site.folder / "status.gpl", *listed("status", "turned-red"))
    load.write_list(site.folder / "watched.gpl", *listed("watched", "looked-for"))
    site.kiosk.start()
    return site


@pytest.mark.parametrize(
    ("subject", "tested_hours_ago", "decision", "reason"),
    [
        ("tested", 5, "admit", "code_green"),
        ("untested", None, "refer", "test_missing"),
        ("tested-long-ago", 60, "refer", "test_too_old"),
        ("turned-red", 5, "refuse", "code_red"),
        ("looked-for", 5, "refer", "watch_hit"),
    ],
)
def test_what_the_server_is_told(office, subject, tested_hours_ago, decision, reason):
    before = len(office.server.passages)
    office.pass_by("entry", code(subject, tested_hours_ago=tested_hours_ago))
    office.all_delivered()
    (passage,) = office.server.passages[before:]
    assert (passage["decision"], passage["reasons"][0]) == (decision, reason)
    assert passage["gate_opened"] is (decision == "admit")


def scanned(report):
    """How many items the scanner of the entry has brought."""
    (items,) = [d["items"] for d in report["devices"] if (d["lane"], d["role"]) == ("entry", "scanner")]
    return items


def test_a_second_code_brings_the_test(office, wait_until):
    """First the code in the phone, then the result on paper: one passage, admitted."""
    before, sighted = len(office.server.passages), office.kiosk.wait(lambda _: True)
    with office.visitor("entry", code("two-codes")):
        office.kiosk.wait(lambda report: scanned(report) > scanned(sighted))
        office.kiosk.lanes["entry"].show(code("two-codes", tested_hours_ago=3))
        wait_until(lambda: len(office.server.passages) > before, "a decision")
    (passage,) = office.server.passages[before:]
    assert (passage["decision"], passage["gate_opened"]) == ("admit", True), passage


def test_a_list_that_is_missing_sends_everybody_to_staff_and_says_so(build, scan_engines):
    site = build(scan_engines, settings={"codes": {"keys": "issuers.toml", "lists": ["nowhere.gpl"]}})
    (site.folder / "issuers.toml").write_text(key_table(ISSUER, KEY.public))
    site.kiosk.start()
    site.pass_by("entry", code("anybody"))
    report = site.all_delivered()
    (passage,) = site.server.passages
    assert (passage["decision"], passage["reasons"]) == ("refer", ["lists_too_old"])
    (fault,) = [kept["fault"] for kept in report["lists"]]
    assert "everybody goes to staff" in fault


def read_again(site):
    """How often the agent has read its rules since it started."""
    return sum("rules read again" in str(line) for line in list(site.lines))


def test_a_status_that_changes_binds_at_once(office, wait_until):
    assert office.pass_by("entry", code("changing", tested_hours_ago=5))["decision"] == "admit"
    before = read_again(office)
    head, keys, values = listed("status", "turned-red", "changing")
    load.write_list(office.folder / "status.gpl", replace(head, version=2, issued_at=time.time()), keys, values)
    wait_until(lambda: read_again(office) > before, "the new list is in force")
    assert office.pass_by("entry", code("changing", tested_hours_ago=4))["decision"] == "refuse"
