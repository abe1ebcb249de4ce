"""The network is a convenience: without a broker people pass, and events wait."""

from agent.cli.demo.kiosk import has_devices, is_online


def some_people(site):
    assert site.pass_by("entry")["decision"] == "admit"
    assert site.pass_by("entry", skin_c=37.0)["reasons"] == ["fever"]
    assert site.pass_by("entry", code="red")["decision"] == "refuse"
    assert site.pass_by("exit")["decision"] == "admit"


def test_broker_down_at_the_start(site, wait_until):
    site.broker.stop()
    site.kiosk.start(has_devices)
    some_people(site)
    for lane in ("entry", "exit"):
        wait_until(site.kiosk.lanes[lane].device("gate").pulses, "the gate opens and shuts")
    report = site.all_stored()
    assert report["outbox"]["waiting"] == report["outbox"]["stored"] >= 10
    assert report["outbox"]["delivered"] == 0
    assert "nobody listens there" in report["link"]["fault"]
    assert report["condition"] == "degraded"

    site.broker.start()
    site.kiosk.wait(is_online)
    site.all_delivered()
    report = site.kiosk.wait(lambda report: report["condition"] == "ok")
    site.server.judge()
    assert len(site.server.events) == report["outbox"]["decided"]
    assert [p["decision"] for p in site.server.passages] == ["admit", "refer", "refuse", "admit"]


def test_broker_never_there(site, wait_until):
    site.broker.stop()
    site.kiosk.start(has_devices)
    some_people(site)
    assert site.kiosk.stop() == 0
    assert not site.server.events
    decided = sum(line.get("event") in ("passage", "device", "agent") for line in site.lines)

    site.broker.start()
    site.kiosk.start()
    site.all_delivered()
    wait_until(lambda: len(site.server.events) > decided, "the first life's events, and more")
    site.server.judge()
    words = [event["data"].get("type") for event in site.server.events if event["type"] == "gatepost.agent.v1"]
    words = [word for word in words if word != "clock_synchronised"]
    assert words == ["started", "stopped", "started"]
    assert [p["decision"] for p in site.server.passages] == ["admit", "refer", "refuse", "admit"]
