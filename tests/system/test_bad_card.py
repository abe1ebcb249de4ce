"""The card fails under the running agent: it decides on, says so, and all arrives once the card is well again.

Real syncs that fail (a preloaded library), a real ext4 that is full, has made itself read-only, or hangs (root and
a loop device; skipped elsewhere).
"""

import signal

import pytest
from faults import Card, NotPossibleHere, Shim

from agent.cli.demo.kiosk import has_devices, is_online

PEOPLE = 3


class BadCard:
    """A site whose outbox lies on a card of its own, and both ways to spoil it."""

    def __init__(self, site, shim, card):
        self.site, self.shim, self.card = site, shim, card

    def start(self, until=is_online):
        self.site.kiosk.start(until, **self.shim.environment)

    def people(self, count=PEOPLE):
        """Everyone gets a decision, whatever the card does."""
        for number in range(count):
            passed = self.site.pass_by("exit" if number % 2 else "entry")
            assert passed["decision"] == "admit", "\n".join(map(str, self.site.lines[-40:]))

    def said(self, wait_until, spoil=lambda _: None):
        """The agent's own words on its card: in its report, and in the retained state if there is a link.

        `spoil` once more at each look: a file system gives some room back by itself, and then all is well. It is
        well too when all has been delivered from memory: so people come until the central server has heard it.
        """
        report = self.site.kiosk.wait(lambda r: r["outbox"]["fault"])
        assert report["condition"] == "degraded"
        assert any(problem["part"] == "outbox" for problem in report["problems"])
        if self.site.broker.is_up:

            def is_retained():
                spoil(self)
                if not self.site.kiosk.report()["outbox"]["fault"]:
                    self.people(1)
                return any(each["part"] == "outbox" for each in self.site.server.state["problems"])

            wait_until(is_retained, "a retained fault")
        return report["outbox"]["fault"]

    def all_arrived(self):
        """Everything that was told, once each, nothing given up, and the agent is content."""
        self.site.kiosk.wait(lambda r: not r["outbox"]["fault"], 60)
        outbox = self.site.all_delivered()["outbox"]
        assert outbox["lost"] == 0
        told = [line for line in list(self.site.lines) if "event" in line]
        assert len(self.site.server.events) == len(told), "each came, under one id"
        self.site.server.judge(memory=True)


@pytest.fixture
def bad(build, scan_engines, tmp_path):
    site = build(scan_engines, settings={"outbox": {"path": "card/outbox.db"}})
    try:
        shim, card = Shim(site.folder), Card(site.folder)
    except NotPossibleHere as missing:
        pytest.skip(str(missing))
    yield BadCard(site, shim, card)
    if site.kiosk.is_running:
        site.kiosk.stop(signal.SIGKILL)
    card.close()


def once(bad):
    bad.shim.fail(1)


def for_a_while(bad):
    bad.shim.fail(4)


def for_ever(bad):
    bad.shim.fail()


def full(bad):
    bad.card.fill()


def read_only(bad):
    bad.card.give_up()


def mend(bad):
    """Undo whatever was done."""
    bad.shim.fail(0)
    if bad.card.is_read_only:
        bad.card.repair()
    bad.card.clear()


@pytest.mark.parametrize("spoil", [for_ever, full, read_only])
@pytest.mark.parametrize("linked", [True, False], ids=["linked", "alone"])
def test_decides_on_says_so_and_all_arrives(bad, wait_until, spoil, linked):
    bad.start()
    bad.people(1)
    bad.site.all_delivered()
    if not linked:
        bad.site.broker.stop()
    spoil(bad)
    bad.people()
    fault = bad.said(wait_until, *([full] if spoil is full else []))
    assert "events wait in memory" in fault
    bad.people(1)
    mend(bad)
    if not linked:
        bad.site.kiosk.wait(lambda r: r["outbox"]["stored"] == r["outbox"]["decided"] >= bad.site.told(), 60)
        bad.site.broker.start()
    bad.all_arrived()
    bad.people(1)
    bad.all_arrived()


@pytest.mark.parametrize("spoil", [once, for_a_while])
def test_a_sync_that_failed_is_not_believed(bad, spoil):
    """With the broker away, so that memory is no way out; killed when the agent says that all is stored."""
    bad.start()
    bad.site.all_delivered()
    bad.site.broker.stop()
    spoil(bad)
    bad.people()
    bad.site.kiosk.wait(lambda r: r["outbox"]["stored"] == r["outbox"]["decided"] >= bad.site.told(), 60)
    told = len([line for line in bad.site.lines if "event" in line])
    bad.site.kiosk.stop(signal.SIGKILL)
    bad.start(has_devices)
    bad.site.broker.start()
    bad.site.kiosk.wait(is_online)
    bad.site.all_delivered()
    assert len(bad.site.server.events) >= told + 1
    bad.site.server.judge()


def test_a_card_that_hangs_holds_up_nobody(bad):
    bad.start()
    bad.card.freeze()
    bad.people()
    bad.card.thaw()
    bad.all_arrived()


def test_starts_on_a_card_that_is_read_only_and_decides(bad, wait_until):
    """What waited on the card waits on; what is decided now goes out from memory."""
    bad.start()
    bad.people(1)
    bad.site.all_delivered()
    assert bad.site.kiosk.stop() == 0
    bad.card.give_up()
    bad.start()
    bad.people()
    bad.said(wait_until)
    wait_until(lambda: len(bad.site.server.passages) == 1 + PEOPLE, "passages from memory")
    bad.card.repair()
    bad.people(1)
    bad.all_arrived()
