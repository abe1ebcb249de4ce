"""What the demonstration needs for the guard's page: staff, a small place, a roster and a watch list."""

from __future__ import annotations

import json
import secrets
import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from agent.cli import running
from agent.credentials import lists
from agent.credentials.formats import gatepost
from agent.credentials.staff_list import hash_pin
from agent.model import ClockState, Permit, PermitKind, TimeBounds
from agent.privacy import hpke
from agent.ruleset import load
from agent.venue.permits import KEY_BYTES, build_roster

if TYPE_CHECKING:
    from pathlib import Path

    from agent.cli.demo.authority import DemoAuthority

PIN = "135790"
"""Of everybody in the demonstration."""
STAFF = {"G07": "guard", "G08": "guard", "S01": "supervisor"}
MEMBERS, WANTED = ("Anna", "Ben", "Chen", "Dora"), "Wanda"
_VENUE = """\
name = "demo"
register = true
room = {capacity = 3}
duty = [{name = "disinfect", every_h = 4}]
round = [{name = "morning", from = "00:00", until = "24:00"}]
"""
_WATCHED = "watched.gpl"
_DAY_S = 86_400
_WAIT_S = 900.0
"""So long people wait for the guard."""


def deliver_staff(authority: DemoAuthority, bundles: Path) -> None:
    """Put the signed staff list there, as the central server would send it."""
    people = (
        f'[[person]]\nid = "{who}"\nrole = "{role}"\npin = "{hash_pin(PIN, secrets.token_bytes(16))}"\n'
        for who, role in STAFF.items()
    )
    _deliver(authority, bundles, "staff", "\n".join(people))


def open_place(authority: DemoAuthority, folder: Path, issuer: str) -> dict[str, dict[str, Any]]:
    """Write the place's files; the settings that name them."""
    permits = [
        Permit(gatepost.subject_key(issuer, who)[:KEY_BYTES], PermitKind("resident"), "house", number)
        for number, who in enumerate(MEMBERS, 1)
    ]
    (folder / "venue.toml").write_text(_VENUE)
    (folder / "roster.json").write_text(json.dumps(build_roster(permits)))
    head = lists.ListHeader("watched", issuer, 1, time.time(), warn_age_s=_DAY_S, max_age_s=3 * _DAY_S)
    load.write_list(folder / _WATCHED, head, gatepost.subject_key(issuer, WANTED), bytes([1]))
    now, seal = datetime.now(UTC), b64encode(hpke.public_bytes(hpke.new_private_key())).decode()
    begins, ends = (f"{now + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (-1, 1))
    key = f'[[key]]\nkeyid = "demo"\npublic = "{seal}"\nfrom = {begins}\nuntil = {ends}\n'
    _deliver(authority, folder / "bundles", "privacy", f'mode = "trace"\n{key}')
    return {
        "venue": {"file": "venue.toml", "roster": "roster.json"},
        "codes": {"lists": [_WATCHED]},
        "screening": {"clinical_timeout_s": _WAIT_S},
    }


def _deliver(authority: DemoAuthority, bundles: Path, kind: str, content: str) -> None:
    now = time.time()
    load.BundleStore(bundles).accept(authority.bundle(kind, content), TimeBounds(now, now, ClockState.SYNCED))


def invitation(directory: Path, screens_url: str) -> tuple[str, ...]:
    """How to open the guard's page: address, number and PIN, once, for two minutes. Raises NotRunning."""
    shown = running.send_request(directory, {"do": "pair"})
    return (
        f"{screens_url}guard#pair={shown['secret']}",
        f"number {shown['number']}, for {shown['seconds']} s; then badge number G07, PIN {PIN}",
    )
