"""`gatepost simulate`: many kiosks' real outboxes and links, whatever happens to them."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest

from agent.cli import main
from agent.cli.demo.authority import DemoAuthority
from agent.cli.simulated_fleet import arrivals_per_s


def test_a_day_has_its_people_and_a_morning_peak():
    by_minute = [60 * arrivals_per_s(2000, minute / 60) for minute in range(24 * 60)]
    assert sum(by_minute) == pytest.approx(2000)
    assert by_minute.index(max(by_minute)) // 60 in (7, 8)
    assert by_minute[8 * 60] > 10 * by_minute[3 * 60]
    assert max(by_minute) == pytest.approx(7.2 * 2000 / (24 * 60), rel=0.01)


def test_what_is_decided_arrives_over_outages_and_restarts(broker, capfd):
    subscriber = broker.subscriber(topics="gatepost/v1/+/+/event/#")
    words = "--plain --seconds 4 --people 86400 --speed 5 --outage-every 1 --outage 0.5 --restart-every 5 --json"
    assert main(["simulate", "6", f"127.0.0.1:{broker.port}", "--processes", "2", *words.split()]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    last = lines[-1]
    assert last["decided"] == last["delivered"] > 100
    assert last["connections"] > 12
    subscriber.wait_until(lambda: len(subscriber.ids()) == last["decided"])
    chains = defaultdict(set)
    for event in subscriber.events():
        chains[event["source"], event["epoch"]].add(int(event["sequence"]))
    assert len({source for source, _ in chains}) == 6
    assert all(found == set(range(1, len(found) + 1)) for found in chains.values())


def test_without_receipts_events_that_need_one_stay(broker, tmp_path, capfd):
    DemoAuthority().install(tmp_path)
    words = "--plain --seconds 1 --drain 0.5 --people 86400 --speed 5 --bundles"
    assert main(["simulate", "2", f"127.0.0.1:{broker.port}", *words.split(), str(tmp_path)]) == 3
    assert "≠ delivered 0" in capfd.readouterr().out


def test_that_nobody_came_shows_nothing(capfd):
    words = "--plain --seconds 0.1 --drain 0 --people 1"
    assert main(["simulate", "1", "127.0.0.1:1", *words.split()]) == 3
    assert "nobody came" in capfd.readouterr().err
    with pytest.raises(SystemExit):
        main(["simulate", "1", "127.0.0.1:1", "--people", "0"])
    assert "from 1 to 1000000" in capfd.readouterr().err


def test_no_address_is_told(capsys):
    assert main(["simulate", "2", "http://broker"]) == 1
    assert "http://broker" in capsys.readouterr().err
