"""The central server's way back, whole: a real broker, the real agent, and what a real authority has signed."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from agent.cli.demo.authority import DemoAuthority
from agent.cli.demo.broker import program
from agent.cli.demo.kiosk import is_online
from agent.model import Colour
from drivers.simulators.lane import Lane
from drivers.simulators.world import World

ROOT = "gatepost/v1/test/k1"
HERE = "test/k1"


class Way:
    """A site, and the authority that may command it."""

    def __init__(self, site) -> None:
        self.site = site
        self.authority = DemoAuthority()
        self.authority.install(site.folder / "bundles")
        self.list = site.folder / "status.gpl"
        self.authority.empty_list(self.list, site.issuer.name)

    def say(self, topic: str, payload: bytes, *how: str, times: int = 1) -> None:
        """Publish, and wait until the broker has it."""
        words = [program("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(self.site.broker.port), "-q", "1"]
        if times > 1:
            how = (*how, "--repeat", str(times))
        subprocess.run([*words, "-t", topic, "-s", *how], input=payload, check=True, timeout=120)

    def command(self, command: str, **arguments: str) -> dict:
        """The reply to a fresh command."""
        return self.reply_to(self.authority.command(HERE, command, **arguments))

    def reply_to(self, command: bytes) -> dict:
        known = len(self.replies())
        self.say(f"{ROOT}/command", command)
        return self.reply(known, of_command=True)

    def push(self, kind: str, data: bytes) -> dict:
        """The reply to a bundle, which the broker keeps."""
        known = len(self.replies())
        self.say(f"{ROOT}/bundle/{kind}", data, "-r")
        return self.reply(known, of_command=False)

    def reply(self, after: int, *, of_command: bool) -> dict:
        """The first of its kind after so many: at each start the kiosk also answers for older bundles that are
        still retained.
        """

        def found() -> list[dict]:
            return [each for each in self.replies()[after:] if (each["command_id"] is not None) == of_command]

        return self.site.wait_until(found, "a reply")[0]

    def replies(self) -> list[dict]:
        return [event["data"] for event in self.site.server.events if event["type"] == "gatepost.command_result.v1"]

    def colours(self, **holders: Colour) -> bytes:
        return self.authority.colours(self.list, self.site.issuer.name, holders)


BUSY_S = 120.0
"""For what waits behind thousands of forged commands, on a machine that does other things as well."""
SETTINGS = {
    "codes": {"keys": "issuers.toml", "lists": ["status.gpl"], "bundles": "bundles"},
    "checkpoint": {
        "rescan_after_refusal_s": 0.01,
        "rescan_after_admit_s": 0.01,
        "passback_window_s": 0.0,
    },
}


def two_scan_engines(folder):
    """A camera would take a code that never leaves its sight for one showing."""
    return {
        "entry": Lane(folder / "entry", thermometer="gy_mcu", world=World(noise_c=0.03, seed=1)),
        "exit": Lane(folder / "exit", thermometer="gy_mcu", world=World(noise_c=0.03, seed=2)),
    }


@pytest.fixture(scope="module")
def way(build, wait_until):
    return begun(build, wait_until)


def begun(build, wait_until):
    site = build(two_scan_engines, SETTINGS)
    site.wait_until = wait_until
    way = Way(site)
    site.kiosk.start()
    return way


def test_a_pushed_colour_decides_the_next_time_the_code_is_shown(way):
    code = way.site.issuer.code("green", "anna")
    assert way.site.pass_by("entry", code)["decision"] == "admit"
    for colour, outcome in ((Colour.RED, "refuse"), (Colour.GREEN, "admit"), (Colour.RED, "refuse")):
        assert way.push("list/status", way.colours(anna=colour))["status"] == "succeeded"
        assert way.site.pass_by("entry", code)["decision"] == outcome


def test_a_colour_that_is_pushed_before_the_decision_decides(way, wait_until):
    site = way.site
    seen = len(site.lines)
    read = scanned(site.kiosk.wait(lambda _: True))
    site.step_aside("entry")
    site.kiosk.lanes["entry"].show(site.issuer.code("green", "eve"))
    site.kiosk.wait(lambda report: scanned(report) > read)
    assert way.push("list/status", way.colours(eve=Colour.RED))["status"] == "succeeded"
    with site.visitor("entry", "none"):  # steps up to the thermometer when the colour has changed
        wait_until(lambda: outcomes(site.lines[seen:]), "a decision")
    assert outcomes(site.lines[seen:]) == ["refuse"]


def scanned(report) -> int:
    """How many items the scanner of the entry has brought."""
    return next(d["items"] for d in report["devices"] if (d["lane"], d["role"]) == ("entry", "scanner"))


def outcomes(lines) -> list[str]:
    return [line["decision"] for line in list(lines) if line.get("event") == "passage"]


def test_the_answer_to_a_bundle_names_it_and_the_same_one_again_gets_none(way):
    data = way.colours(bert=Colour.YELLOW)
    told = way.push("list/status", data)
    assert (told["command"], told["status"], told["command_id"]) == ("bundle", "succeeded", None)
    assert told["result"]["type"] == "list"
    assert told["result"]["in_use"] is True
    known = len(way.replies())
    way.say(f"{ROOT}/bundle/list/status", data)
    way.say("gatepost/v1/$all/bundle/list/status", data)
    assert way.command("flush")["status"] == "succeeded"
    assert len(way.replies()) == known + 1


def test_a_bundle_to_all_kiosks(way):
    known = len(way.replies())
    way.say("gatepost/v1/$all/bundle/list/status", way.colours(carl=Colour.RED))
    assert way.reply(known, of_command=False)["status"] == "succeeded"


def test_a_command_opens_a_gate_once_and_leaves_an_event(way, wait_until):
    gate = way.site.kiosk.lanes["exit"].device("gate")
    wait_until(lambda: not gate.is_on(1), "the gate is shut after the test before")
    before = len(gate.pulses())
    command = way.authority.command(HERE, "open", lane="exit")
    told = way.reply_to(command)
    assert (told["status"], told["result"], told["simulated"]) == ("succeeded", {"lane": "exit"}, True)
    wait_until(lambda: len(gate.pulses()) == before + 1, "the gate opens and shuts")
    again = way.reply_to(command)
    assert (again["duplicate"], again["command_id"]) == (True, told["command_id"])
    assert way.command("open", lane="nowhere")["reason"] == "bad_arguments"
    assert len(gate.pulses()) == before + 1
    assert any("command open: succeeded" in line.get("message", "") for line in way.site.lines)


def test_a_person_is_measured_again(build, wait_until):
    way = begun(build, wait_until)  # where nobody else waits: of several it is not known who is meant
    site = way.site
    code = site.issuer.code("green", "dora")
    assert site.pass_by("entry", code, skin_c=37.4)["decision"] == "refer"
    assert way.command("retest", lane="entry")["status"] == "succeeded"
    assert site.pass_by("entry", code)["decision"] == "admit"
    assert way.command("retest", lane="entry")["reason"] == "no_person"


def test_a_device_is_closed_and_opened_again(way, wait_until):
    server = way.site.server
    before = len(server.devices)
    assert way.command("restart", lane="exit", role="thermometer")["result"] == {"restarts": ["exit/thermometer"]}
    wait_until(
        lambda: [d for d in way.site.server.devices[before:] if d["role"] == "thermometer"], "it is up again"
    )
    assert way.site.server.devices[-1]["up"] is True
    assert way.command("restart", lane="exit", role="lamp")["reason"] == "bad_arguments"


def test_a_diagnosis_says_how_it_is_and_nothing_of_people(way):
    site = way.site
    site.pass_by("entry", site.issuer.code("green", "CANARY-SUBJECT"))
    told = way.command("diagnose")
    report = told["result"]["report"]
    assert report["version"]
    assert {device["role"] for device in report["devices"]} >= {"scanner", "thermometer", "gate"}
    assert report["outbox"]["decided"] >= 1
    assert told["result"]["log"]
    text = json.dumps(told)
    assert len(text) < 20_000
    assert "CANARY" not in text


def test_rules_and_events_at_once(way):
    assert way.command("reload") | {"clock": 0} == way.replies()[-1] | {"clock": 0}
    assert way.replies()[-1]["status"] == "succeeded"
    assert way.command("flush")["result"]["waiting"] >= 0


def test_without_tls_there_is_no_certificate_to_renew(way):
    assert way.command("rotate")["reason"] == "no_certificate"


def test_a_command_to_the_whole_site(way):
    command = way.authority.command("test/*", "reload")
    assert way.reply_to(command)["status"] == "succeeded"


def test_the_python_of_the_document_gets_its_answer(way, wait_until):
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    made: dict = {}
    exec(text.partition("```python\n")[2].partition("```")[0], made)  # noqa: S102 - the document's own
    command = made["command"]("demo", HERE, "open", [way.authority.pem()], lane="exit")
    known = len(way.replies())
    told = made["send"](f"mqtt://127.0.0.1:{way.site.broker.port}", HERE, command)
    assert (told["status"], told["result"]) == ("succeeded", {"lane": "exit"})
    wait_until(lambda: len(way.replies()) > known, "the answer at the central server as well")


def test_strangers_are_not_answered_and_the_gate_keeps_its_pace(way, wait_until):
    """Junk by the thousand; people pass meanwhile, and a true command is heard after it."""
    stranger = DemoAuthority()
    known, site = len(way.replies()), way.site
    attacks = [
        b"{" * 5000,
        b"\xff" * 30_000,
        b"x" * 900_000,
        stranger.command(HERE, "open", lane="entry"),
    ]
    began_s = time.monotonic()
    for data in attacks:
        way.say(f"{ROOT}/command", data)
        way.say(f"{ROOT}/bundle/list/status", data)
    way.say(f"{ROOT}/command", way.authority.bundle("config", "a bundle's signature is none on a command"))
    way.say(f"{ROOT}/bundle/root", stranger.root())
    way.say(f"{ROOT}/command", way.authority.command("test/k2", "open", lane="entry"))
    way.say(f"{ROOT}/command", stranger.command(HERE, "open", lane="entry"), times=1000)
    assert site.pass_by("exit")["gate_opened"], "whether he was measured in time is not what this is about"
    way.say(f"{ROOT}/command", way.authority.command(HERE, "flush"))
    wait_until(lambda: len(way.replies()) > known + 1, "answers to what the central server has signed", BUSY_S)
    told = [(reply["command"], reply["reason"]) for reply in way.replies()[known:]]
    assert told == [("open", "wrong_target"), ("flush", "")]
    pulses = site.kiosk.lanes["entry"].device("gate").pulses()
    assert not [at_s for at_s, _ in pulses if at_s > began_s]


def test_a_command_waits_for_a_kiosk_that_was_away_and_an_old_one_lapses(way, wait_until):
    site = way.site
    report = site.kiosk.report()
    site.kiosk.stop()
    known = len(way.replies())
    way.say(f"{ROOT}/command", way.authority.command(HERE, "open", lane="exit"))
    site.kiosk.start(is_online)
    told = way.reply(known, of_command=True)
    assert told["status"] == "succeeded"
    assert site.kiosk.report()["pid"] != report["pid"]


def test_over_a_restart_nothing_is_done_twice(way, wait_until):
    site = way.site
    gate = site.kiosk.lanes["exit"].device("gate")
    wait_until(lambda: not gate.is_on(1), "the gate is shut after the test before")
    before = len(gate.pulses())
    command = way.authority.command(HERE, "open", lane="exit")
    assert way.reply_to(command)["status"] == "succeeded"
    wait_until(lambda: len(gate.pulses()) == before + 1, "the gate opens and shuts")
    site.kiosk.stop(signal.SIGKILL)
    site.kiosk.start(is_online)
    told = way.reply_to(command)
    assert (told["duplicate"], told["status"]) == (True, "succeeded")
    assert len(gate.pulses()) == before + 1


def test_the_agent_ends_as_commanded_and_says_so_first(way, wait_until):
    site = way.site
    told = way.command("restart")
    assert told["result"] == {"restarts": "agent"}
    wait_until(lambda: not site.kiosk.is_running, "the agent ends")
    assert site.kiosk.status == 75
    site.kiosk.start(is_online)
    site.all_delivered()
    site.server.judge()
