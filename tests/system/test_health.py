"""The agent falls, its files are spoilt, the central server sends what does not work: it goes on with care, and
says so."""

import os
import signal
import threading
import time
from base64 import b64encode

import pytest

from agent.cli.demo.kiosk import has_devices
from agent.credentials import bundle
from agent.crypto import signing
from agent.platform import checked_json
from tests import command_line

MANY = 5
AGAIN = 75
"""Exit status: start me again, as systemd does."""
DAY_S = 86_400


@pytest.fixture
def site(build, scan_engines):
    """One lane, quick to prove and to judge; the agent not started."""
    made = build(
        scan_engines,
        settings={
            "health": {"last_good_after_s": 0.5, "rollout_timeout_s": 8.0, "rollout_stable_s": 1.0},
            "codes": CODES,
        },
    )
    yield made
    if made.kiosk.is_running:
        made.kiosk.stop()


CODES = {"keys": "issuers.toml", "bundles": "bundles"}


def gatepost(site, *words):
    return command_line.gatepost(*words, "--config", site.kiosk.config)


def falls(site):
    """The agent dies as from an internal error in a native library."""
    os.kill(site.kiosk.pid, signal.SIGSEGV)
    deadline_s = time.monotonic() + 30
    while site.kiosk.is_running:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def ends_to_begin_again(site, wait_until):
    wait_until(lambda: not site.kiosk.is_running, "the agent ends by itself")
    assert site.kiosk.status == AGAIN


def proven(site, wait_until):
    """Run until the configuration counts as good."""
    site.kiosk.start()
    wait_until(lambda: remembered(site).get("last_known_good"), "a last good configuration")
    site.kiosk.stop()


def remembered(site):
    file = site.folder / "config-rollout.json"
    return checked_json.unpack(file.read_bytes())["kept"] if file.exists() else {}


def changes(site, word):
    """The agent's own events with this word, in the order of their coming."""
    found = [event["data"] for event in site.server.events if event["type"] == "gatepost.agent.v1"]
    return [data for data in found if data["type"] == word]


def everybody_goes_to_staff(site):
    entry, leaving = site.pass_by("entry"), site.pass_by("exit")
    assert (entry["decision"], entry["gate_opened"]) == ("refer", False)
    assert entry["reasons"][0] == "safe_mode"
    assert leaving["gate_opened"], "egress opens as ever"


class StuckBus:
    """An I²C bus whose next requests never come back, as far as the caller can tell; until `let_go`.

    As with a real adapter nobody else gets through meanwhile.
    """

    def __init__(self, lane, how_many):
        self._adapter = lane._wire("thermometer")
        self._transfer = self._adapter.transfer
        self._left = how_many
        self._free = threading.Event()
        self._adapter.transfer = self._hang

    def _hang(self, messages):
        if self._left > 0:
            self._left -= 1
            self._free.wait()
        return self._transfer(messages)

    def let_go(self):
        self._adapter.transfer = self._transfer
        self._free.set()


def thermometer(site):
    devices = site.kiosk.report()["devices"]
    return next(each for each in devices if (each["lane"], each["role"]) == ("entry", "thermometer"))


def test_a_driver_that_hangs_is_replaced(site, wait_until):
    site.kiosk.start()
    bus, began_s = StuckBus(site.kiosk.lanes["entry"], 1), time.monotonic()
    wait_until(lambda: thermometer(site)["restarts"] == 1, "health sees that it hangs")
    found_s = time.monotonic() - began_s
    assert site.pass_by("exit")["decision"] == "admit", "the other lane goes on"
    assert thermometer(site)["abandoned"] == 1
    freed_s = time.monotonic()
    bus.let_go()
    wait_until(lambda: thermometer(site)["up"], "a fresh thread has opened it again")
    print(f"hanging thermometer: given up after {found_s:.1f} s; works {time.monotonic() - freed_s:.1f} s later")
    wait_until(lambda: thermometer(site)["abandoned"] == 0, "the old thread ends when its call ends")
    assert site.pass_by("entry")["decision"] == "admit"
    assert any("hangs" in device["error"] for device in site.server.devices), "the central server was told"


def test_a_device_that_hangs_for_good_costs_only_itself(site, wait_until):
    site.kiosk.start()
    pid = site.kiosk.pid
    bus = StuckBus(site.kiosk.lanes["entry"], 1000)
    wait_until(lambda: thermometer(site)["restarts"] >= 2, "fresh threads hang as well", 150)
    report = site.kiosk.report()
    assert (report["condition"], report["pid"]) == ("degraded", pid)
    entry, leaving = site.pass_by("entry"), site.pass_by("exit")
    assert (entry["decision"], entry["screening"]) == ("refer", "device_fault")
    assert leaving["decision"] == "admit"
    bus.let_go()
    wait_until(lambda: thermometer(site)["up"], "it works again as soon as the bus does")


def test_an_agent_that_falls_again_and_again_becomes_careful(site, wait_until):
    proven(site, wait_until)
    for _ in range(MANY - 1):
        site.kiosk.start()
        assert not site.kiosk.report()["safe"]
        falls(site)
    site.kiosk.start()
    report = site.kiosk.report()
    assert "5 starts within 5 minutes" in report["safe"]
    assert report["condition"] == "degraded"
    everybody_goes_to_staff(site)
    wait_until(lambda: site.server.state.get("mode") == "safe", "the retained state says so")
    assert any("gatepost recover" in each["text"] for each in site.server.state["problems"])
    assert changes(site, "safe_mode")
    status = gatepost(site, "status")
    assert status.returncode == 1
    assert "SAFE MODE" in status.stdout
    falls(site)
    site.kiosk.start()
    assert site.kiosk.report()["safe"], "it stays careful over a fall"

    assert "restarts" in gatepost(site, "recover").stdout
    ends_to_begin_again(site, wait_until)
    site.kiosk.start()
    assert not site.kiosk.report()["safe"]
    assert site.pass_by("entry")["decision"] == "admit"


def test_a_spoilt_configuration_file(site, wait_until):
    proven(site, wait_until)
    whole = site.kiosk.config.read_bytes()
    site.kiosk.config.write_bytes(b"\x00" * 4096)
    site.kiosk.start()
    assert "cannot be used" in site.kiosk.report()["safe"]
    everybody_goes_to_staff(site)
    site.kiosk.stop()
    site.kiosk.config.write_bytes(whole)
    site.kiosk.start()
    assert not site.kiosk.report()["safe"]


def test_spoilt_keys(site, wait_until):
    """Nobody is believed, nobody let in, everybody may leave."""
    proven(site, wait_until)
    (site.folder / "issuers.toml").write_bytes(b"\x00" * 100)
    site.kiosk.start()
    assert "issuers.toml" in site.kiosk.report()["safe"]
    everybody_goes_to_staff(site)


def test_without_a_last_good_configuration_it_ends(site):
    site.kiosk.config.write_text("[kiosk]\nid = 7\n")
    with pytest.raises(TimeoutError, match="78"):
        site.kiosk.start()


class CentralServer:
    """Anyone who may sign configurations."""

    def __init__(self, site):
        self._site = site
        self._key = signing.new_private_key()
        kid = self._key.public.kid.hex()
        keys = {kid: b64encode(self._key.public.spki).decode()}
        roles = {kind: {"threshold": 1, "keyids": [kid]} for kind in ("root", "config")}
        self._write("root", 1, {"keys": keys, "roles": roles})
        assert not self._gatepost("install", "root.bundle").returncode

    def send(self, version, text):
        """Sign a configuration and bring it to the kiosk, by hand."""
        self._write("config", version, text)
        done = self._gatepost("import-bundle", "config.bundle")
        assert not done.returncode, done.stderr

    def _write(self, kind, version, content):
        now = int(time.time())
        signed = {
            "type": kind,
            "name": "",
            "fleet": "city",
            "version": version,
            "issued_at": now,
            "expires_at": now + DAY_S,
            "warn_age_s": DAY_S,
            "max_age_s": DAY_S,
            "content": content,
        }
        (self._site.folder / f"{kind}.bundle").write_bytes(bundle.sign(signed, [self._key]))

    def _gatepost(self, action, name):
        folder = self._site.folder
        words = ["keys", action, folder / name, "--bundles", folder / "bundles"]
        return command_line.gatepost(*words)


def test_a_configuration_from_the_server_is_tried_and_kept(site, wait_until):
    server = CentralServer(site)
    site.kiosk.start()
    assert site.kiosk.report()["config_version"] == 0
    server.send(5, "[screening]\ncalibrated_threshold_c = 36.0\n[checkpoint]\nrescan_after_admit_s = 1.0\n")
    ends_to_begin_again(site, wait_until)
    site.kiosk.start()
    report = site.kiosk.report()
    assert (report["config_version"], report["on_trial"]) == (5, True)
    wait_until(lambda: changes(site, "config_applied"), "the central server is told")
    assert [change["config_version"] for change in changes(site, "config_applied")] == [5]
    wait_until(lambda: not site.kiosk.report()["on_trial"], "and on the kiosk")
    wait_until(lambda: site.server.state.get("config_version") == 5, "the retained state says so")
    shown = gatepost(site, "show").stdout
    assert "rescan_after_admit_s = 1.0  # central server's configuration 5:4" in shown
    assert f'id = "k1"  # {site.kiosk.config}:2' in shown
    site.kiosk.stop()
    site.kiosk.start()
    assert site.kiosk.report()["config_version"] == 5
    assert changes(site, "started")[-1]["config_version"] == 5


def test_a_configuration_that_does_not_hold_is_refused_with_its_lines(site, wait_until):
    server = CentralServer(site)
    site.kiosk.start()
    server.send(6, "[screening]\nthresold_c = 36.0\n[mqtt]\nhost = 'elsewhere'\n")
    wait_until(lambda: changes(site, "config_rejected"), "the central server is told")
    (refused,) = changes(site, "config_rejected")
    assert refused["config_version"] == 6
    assert (
        "central server's configuration 6:2: screening.thresold_c: unknown setting; did you mean threshold_c?"
        in refused["detail"]
    )
    assert "6:4: mqtt.host: is the kiosk's own" in refused["detail"]
    assert site.kiosk.is_running
    assert site.pass_by("entry")["decision"] == "admit"


def test_a_configuration_that_does_not_work_is_taken_back(site, wait_until):
    server = CentralServer(site)
    site.kiosk.start()
    server.send(7, "[mqtt]\nconnect_timeout_s = 0.000001\n")  # right by all rules, and the link can never come up
    ends_to_begin_again(site, wait_until)
    site.kiosk.start(until=has_devices)
    assert site.kiosk.report()["on_trial"]
    ends_to_begin_again(site, wait_until)
    site.kiosk.start()
    report = site.kiosk.report()
    assert (report["config_version"], report["on_trial"]) == (0, False)
    wait_until(lambda: changes(site, "config_rolled_back"), "the central server is told")
    (back,) = changes(site, "config_rolled_back")
    assert back["config_version"] == 7
    assert "mqtt" in back["detail"]
    assert site.pass_by("entry")["decision"] == "admit"


def test_a_configuration_with_which_it_falls_is_taken_back(site, wait_until):
    server = CentralServer(site)
    site.kiosk.start()
    server.send(8, "[health]\nrollout_stable_s = 100.0\nrollout_timeout_s = 100.0\n")
    ends_to_begin_again(site, wait_until)
    for _ in range(3):
        site.kiosk.start()
        assert site.kiosk.report()["on_trial"]
        falls(site)
    site.kiosk.start()
    assert site.kiosk.report()["config_version"] == 0
    assert not site.kiosk.report()["safe"]
    wait_until(lambda: changes(site, "config_rolled_back"), "the central server is told")
