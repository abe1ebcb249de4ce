"""The staff list in force: read from disk by some threads, known to all."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.cli.demo.authority import DemoAuthority
from agent.credentials.bundle import BadBundle
from agent.credentials.staff_list import hash_badge, hash_pin
from agent.model import ClockState, TimeBounds
from agent.ruleset.bundle_store import BundleStore
from agent.ruleset.staff_file import StaffFile

if TYPE_CHECKING:
    from pathlib import Path

LIST = f'[[person]]\nid = "G07"\nrole = "guard"\nbadge = "{hash_badge("GPB1:G07")}"\n'
DAY_S = 86_400.0


class Site:
    def __init__(self, folder: Path) -> None:
        self.authority, self.store = DemoAuthority(), BundleStore(folder / "bundles")
        self.authority.install(folder / "bundles")
        self.file = folder / "bundles" / "staff.bundle"
        self.now = TimeBounds(time.time(), time.time(), ClockState.SYNCED)
        self.staff = StaffFile(self.store, lambda: self.now)

    def deliver(self, content: str) -> None:
        self.store.accept(self.authority.bundle("staff", content), self.now)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_nobody_is_known_before_it_was_read_and_without_a_list(site: Site) -> None:
    assert not site.staff.read().people
    site.deliver(LIST)
    assert not site.staff.known().people
    assert site.staff.in_force == ()
    assert site.staff.read().people.keys() == site.staff.known().people.keys() == {"G07"}
    assert [each.type for each in site.staff.in_force] == ["staff"]


def test_it_is_parsed_once_for_each_bundle(site: Site) -> None:
    site.deliver(LIST)
    assert site.staff.read() is site.staff.read()
    site.deliver(LIST.replace("G07", "G08"))
    assert site.staff.read().people.keys() == {"G08"}


@pytest.mark.parametrize("shared", ["badge", "pin"])
def test_nobody_has_the_badge_or_pin_of_another_and_confirms_for_both(site: Site, shared: str) -> None:
    """An entry was copied, and only its id was changed."""
    site.deliver(LIST)
    pin = hash_pin("246801", b"-" * 16, cost=10)
    of_one = {"badge": hash_badge("GPB1:G08"), "pin": pin}[shared]
    two = "".join(f'[[person]]\nid = "{who}"\nrole = "guard"\n{shared} = "{of_one}"\n' for who in ("G08", "G09"))
    with pytest.raises(BadBundle, match=r"person 2 .*: G09 has the (badge|PIN) of G08"):
        site.deliver(two)
    assert site.staff.read().people.keys() == {"G07"}


def test_a_list_that_has_ended_or_is_damaged_is_nobodys(site: Site) -> None:
    site.deliver(LIST)
    site.staff.read()
    site.now = replace(site.now, earliest_utc=site.now.earliest_utc + 31 * DAY_S)
    assert not site.staff.known().people, "ended while nobody has read it"
    site.now = replace(site.now, earliest_utc=site.now.earliest_utc - 31 * DAY_S)
    assert site.staff.known().people
    data = site.file.read_bytes()
    site.file.write_bytes(data[:-40] + b"!" + data[-39:])
    assert not site.staff.read().people
    assert not site.staff.known().people


def test_a_list_that_may_have_ended_is_known_but_not_certain(site: Site) -> None:
    assert not site.staff.is_certain()
    site.deliver(LIST)
    site.staff.read()
    assert site.staff.is_certain()
    site.now = replace(site.now, latest_utc=math.inf, state=ClockState.FLOOR)
    assert site.staff.known().people
    assert not site.staff.is_certain()


def test_what_is_known_waits_for_no_disk(site: Site) -> None:
    site.deliver(LIST)
    site.staff.read()
    site.file.unlink()
    site.file.symlink_to(site.file)  # whatever looks there fails
    assert site.staff.known().people.keys() == {"G07"}
    assert not site.staff.read().people
