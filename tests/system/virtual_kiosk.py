"""The installed service on a machine of its own: a real kernel with systemd, a USB camera, a USB serial port, I²C.

`make kiosk` runs this; it is no part of `make test`. The machine is a User-Mode Linux image, built once by
`build_image.sh OUT` and named by GATEPOST_KIOSK_IMAGE; what builds and drives it lies in the folder named by
GATEPOST_KIOSK_TOOLS (default: ../shared/tools/virtual-kiosk). Where either is absent this says so and ends well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from agent.credentials import bundle
from agent.crypto import signing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
TOOLS = Path(os.environ.get("GATEPOST_KIOSK_TOOLS", ROOT.parent / "shared" / "tools" / "virtual-kiosk"))
IMAGE = os.environ.get("GATEPOST_KIOSK_IMAGE", "")

SKIN_C, FEVER_C, NOBODY_C = 34.5, 37.0, 22.0
CAMERA = "/dev/v4l/by-id/usb-Kiosk_Virtual_QR_camera_QR0001-video-index0"
SCAN_ENGINE = "/dev/serial/by-id/usb-Kiosk_IR_thermometer_THERM01-if00"
GATE_LINE = 3
GATE_LOG = "/run/gate"
PULSE = ["0", "1", "0"]
WATCH_GATE = (
    f"cd /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio{GATE_LINE};"
    " while read level < value; do echo $level; sleep 0.2; done"
)
"""One process every 0.2 s: the machine has one slow processor, and a pulse lasts a second."""
BUNDLES = "/var/lib/gatepost/bundles"
CONFIG = f"""
[kiosk]
id = "virtual"
[codes]
keys = "issuers.toml"
bundles = "{BUNDLES}"
[health]
last_good_after_s = 5.0
rollout_timeout_s = 40.0
rollout_stable_s = 5.0
[mqtt]
reconnect_max_s = 2.0
[lanes.entry]
direction = "entry"
scanner = {{ driver = "camera", device = "{CAMERA}", width = 640, height = 480 }}
thermometer = {{ driver = "mlx90614", bus = "/dev/i2c-0", frozen_s = 0 }}
gate = {{ driver = "gpio", chip = "kiosk", line = {GATE_LINE} }}
[lanes.exit]
direction = "exit"
scanner = {{ driver = "line", port = "{SCAN_ENGINE}" }}
gate = {{ driver = "simulated" }}
"""
BLANK = np.full((480, 640), 190, np.uint8)
NOISY = 5
TURN_PICTURES = (
    "while :; do for n in 0 1 2 3 4; do cp /run/scene/$n.jpg /run/camera.part &&"
    " mv /run/camera.part /run/camera.jpg; sleep 0.15; done; done"
)
ISSUE = "cd /tmp && gatepost issue --key shop.key --issuer shop --colour {colour} --subject {who}"


class Trial:
    """One machine under test, and what was found."""

    def __init__(self, kiosk: Any) -> None:
        self.kiosk = kiosk
        self.began_s = time.monotonic()
        self.passed = self.failed = self.scenes = 0

    def check(self, claim: str, holds: object, note: object = "") -> None:
        self.passed, self.failed = self.passed + bool(holds), self.failed + (not holds)
        spent_s = time.monotonic() - self.began_s
        print(f"{'pass' if holds else 'FAIL'} {spent_s:6.1f} s  {claim}  {str(note).strip()}", flush=True)
        if not holds:
            print(self.sh("journalctl -u gatepost -o cat --no-pager | tail -25"), flush=True)

    def sh(self, command: str, limit_s: float = 60) -> str:
        """What a command in the machine prints on both outputs; a failure of it is for the caller to see."""
        result = self.kiosk.run(command, timeout=limit_s)
        return str(result.out + result.err).strip()

    def until(self, holds: Callable[[], object], limit_s: float = 30) -> Any:
        """The first true value of `holds`, asked again and again; its last value when time is up."""
        end_s = time.monotonic() + limit_s
        while not (found := holds()) and time.monotonic() < end_s:
            time.sleep(0.2)
        return found

    def report(self) -> dict[str, Any]:
        text = self.kiosk.run("cat /run/gatepost/status.json").out
        report: dict[str, Any] = json.loads(text) if text.startswith("{") else {}
        return report

    def device_is_up(self, lane: str, part: str) -> bool:
        devices = self.report().get("devices", [])
        return any(found["up"] for found in devices if (found["lane"], found["role"]) == (lane, part))

    def main_pid(self) -> int:
        return int(self.sh("systemctl show -p MainPID --value gatepost"))

    def heard(self, kind: str) -> list[dict[str, Any]]:
        """The events of one kind that have reached the subscriber, each once."""
        found = {}
        for line in self.kiosk.run("cat /var/lib/heard").out.splitlines():
            topic, _, text = line.partition(" ")
            if topic.endswith(f"/event/{kind}"):
                event = json.loads(text)
                found[event["id"]] = event
        return list(found.values())

    def passages(self, lane: str) -> list[dict[str, Any]]:
        """What was heard of one lane."""
        return [event for event in self.heard("passage") if event["data"]["lane"] == lane]

    def broker(self, *, running: bool) -> None:
        """A broker that forgets everything, and a subscriber that writes down what it hears, on the disk."""
        if not running:
            self.sh("systemctl stop hear broker")
            return
        self.sh("systemd-run -q --unit=broker mosquitto -p 1883")
        self.until(lambda: self.kiosk.run("mosquitto_pub -t up -m up").rc == 0)
        self.sh("systemd-run -q --unit=hear sh -c 'exec mosquitto_sub -q 1 -v -t gatepost/# >> /var/lib/heard'")

    def show(self, scene: np.ndarray) -> None:
        """What the camera sees from now on, with a sensor's noise: a picture that never changes is a fault."""
        grain = np.random.default_rng(1)
        with tempfile.TemporaryDirectory() as folder:
            for number in range(NOISY):
                noisy = np.clip(scene + grain.normal(0, 3, scene.shape), 0, 255).astype(np.uint8)
                cv2.imwrite(f"{folder}/{number}.jpg", cv2.cvtColor(noisy, cv2.COLOR_GRAY2BGR))
            self.scenes += 1
            self.kiosk.push(folder, f"/run/scene{self.scenes}", 0o755)
        self.sh(f"ln -sfn /run/scene{self.scenes} /run/scene")

    def camera(self) -> None:
        self.show(BLANK)
        self.sh(f"systemd-run -q --unit=noise sh -c '{TURN_PICTURES}'")
        self.kiosk.camera_plug()

    def code(self, colour: str, who: str) -> np.ndarray:
        """A scene with a freshly signed code."""
        self.kiosk.run(ISSUE.format(colour=colour, who=who) + f" --png /tmp/{who}.png", check=True)
        code = cv2.imdecode(np.frombuffer(self.kiosk.pull(f"/tmp/{who}.png"), np.uint8), cv2.IMREAD_GRAYSCALE)
        scene = BLANK.copy()
        scene[20:460, 100:540] = cv2.resize(code, (440, 440), interpolation=cv2.INTER_AREA)
        return scene

    def pass_by(self, colour: str, skin_c: float, who: str) -> str:
        """Somebody shows a code to the camera, is measured and leaves: what the broker heard: decision, reasons."""
        scene, before = self.code(colour, who), len(self.passages("entry"))
        self.show(scene), self.kiosk.temperature(skin_c)
        events = self.until(lambda: self.passages("entry")[before:], 20)
        self.show(BLANK), self.kiosk.temperature(NOBODY_C)
        time.sleep(2)  # gone for longer than the checkpoint waits to see whether somebody has left
        return ", ".join((events[0]["data"]["decision"], *events[0]["data"]["reasons"])) if events else "no event"


def installs(trial: Trial, packages: Path) -> None:
    kiosk = trial.kiosk
    for name in ("first", "second"):
        kiosk.push(str(packages / name), f"/opt/{name}")
    done = kiosk.run("dpkg -i /opt/first/*.deb", timeout=400)
    trial.check("installs without a network", done.rc == 0, done.err[-300:])
    trial.check("has a command", "gatepost" in trial.sh("gatepost --version"), trial.sh("du -sh /usr/lib/gatepost"))
    trial.check("owns its devices", "gpio" in trial.sh("id gatepost"), trial.sh("id gatepost"))
    trial.check("gpio is the group's", trial.until(lambda: "root gpio" in trial.sh("ls -l /dev/gpiochip0")))
    rights = trial.sh("stat -c '%a %U %G' /etc/gatepost /var/lib/gatepost").splitlines()
    trial.check("keeps secrets", rights == ["750 root gatepost", "700 gatepost gatepost"], rights)
    first = trial.sh("readlink /usr/lib/gatepost/current")
    kiosk.run("dpkg -i /opt/second/*.deb", timeout=400)
    releases = trial.sh("gatepost-release list").splitlines()
    trial.check("a second release stands beside the first", len(releases) == 2, releases)
    trial.check("is in use", trial.sh("readlink /usr/lib/gatepost/current") != first, releases)
    trial.sh("gatepost-release back")
    trial.check("goes back", trial.sh("readlink /usr/lib/gatepost/current") == first)


def starts(trial: Trial) -> None:
    kiosk = trial.kiosk
    trial.sh("cd /tmp && gatepost keys new shop --keys /etc/gatepost/issuers.toml")
    trial.sh("chgrp gatepost /etc/gatepost/issuers.toml; chmod 640 /etc/gatepost/issuers.toml")
    kiosk.push(CONFIG.encode(), "/etc/gatepost/agent.toml", 0o640)
    trial.sh("chgrp gatepost /etc/gatepost/agent.toml")
    found = kiosk.run("gatepost check")
    trial.check("configuration is right", found.rc == 0, found.out + found.err)
    trial.camera(), kiosk.serial_plug(), kiosk.temperature(NOBODY_C)
    for kind in ("camera", "serial"):
        named = trial.until(lambda kind=kind: f"-{kind}" in trial.sh("ls /dev/gatepost"))
        trial.check(f"{kind} has a name by its socket", named, trial.sh("ls /dev/gatepost"))
    trial.sh("mkdir -p /run/systemd/timesync && touch /run/systemd/timesync/synchronized")  # as timesyncd would
    trial.broker(running=True)
    began_s = time.monotonic()  # it runs since it was installed, and waits for its configuration
    done = kiosk.run("systemctl restart gatepost", timeout=90)
    trial.check("starts", done.rc == 0, f"ready in {time.monotonic() - began_s:.1f} s {done.err}")
    up = trial.until(lambda: all(device["up"] for device in trial.report().get("devices", [{"up": False}])))
    trial.check(
        "all devices are up", up, [device for device in trial.report().get("devices", []) if not device["up"]]
    )
    status = trial.sh("gatepost status")
    trial.check("tells how it is", "OK" in status, status.splitlines()[0])
    trial.check("the clock counts though the kernel may not be asked", trial.report().get("clock") == "synced")
    exposure = trial.sh("systemd-analyze security gatepost --no-pager | tail -1")
    trial.check("is locked up", float(exposure.split(":")[1].split()[0]) <= 1.5, exposure)
    print(trial.sh("systemctl status gatepost --no-pager | head -12"))


def decides(trial: Trial) -> None:
    for claim, who, colour, skin_c, wanted in (
        ("admits", "anna", "green", SKIN_C, "admit"),
        ("sends a fever to staff", "ben", "green", FEVER_C, "refer"),
        ("refuses a red code", "chen", "red", SKIN_C, "refuse"),
    ):
        found = trial.pass_by(colour, skin_c, who)
        trial.check(claim, found.startswith(wanted), found)
    before = len(trial.passages("exit"))
    code = trial.sh(ISSUE.format(colour="green", who="leaving"))
    os.write(trial.kiosk.serial_fd, code.encode() + b"\r\n")
    found = trial.until(
        lambda: [each["data"] for each in trial.passages("exit")[before:] if each["data"]["credential"]], 20
    )
    trial.check("reads a scan engine on a USB port", found, found)
    trial.check("no code in the log", code[-40:] not in trial.sh("journalctl -u gatepost -o cat"))


def gate_levels(trial: Trial, who: str) -> tuple[str, list[str]]:
    """What is decided of somebody who may pass, and the levels that the gate's line took."""
    trial.sh(f"systemd-run -q --unit=watch sh -c '({WATCH_GATE}) | stdbuf -oL uniq > {GATE_LOG}'")
    found = trial.pass_by("green", SKIN_C, who)
    trial.until(lambda: trial.sh(f"cat {GATE_LOG}").split() == PULSE, 10)
    levels = trial.sh(f"cat {GATE_LOG}").split()
    trial.sh("systemctl stop watch")
    return found.split(",")[0], levels


def drives(trial: Trial) -> None:
    """The gate hangs on a line of a real GPIO chip, found by its label; the chip goes and comes back."""
    live = "/sys/kernel/config/gpio-sim/kiosk/live"
    found = gate_levels(trial, "gao")
    trial.check("opens by GPIO and shuts by itself", found == ("admit", PULSE), found)
    gate = next(d for d in trial.report()["devices"] if (d["lane"], d["role"]) == ("entry", "gate"))
    trial.check("says that the chip is simulated, whatever its label", gate["simulated"], gate)
    trial.sh(f"echo 0 > {live}")
    trial.check("chip gone: says so", trial.until(lambda: not trial.device_is_up("entry", "gate")))
    trial.sh(f"echo 1 > {live}")
    trial.check("chip back", trial.until(lambda: trial.device_is_up("entry", "gate"), 60))
    found = gate_levels(trial, "hua")
    trial.check("opens after that", found == ("admit", PULSE), found)
    refused = trial.kiosk.run("gatepost remeasure entry 36.8")
    trial.check("the agent's desk answers", "nobody waits" in refused.err, refused.err)


def survives(trial: Trial) -> None:
    kiosk = trial.kiosk
    trial.sh("systemctl stop noise")
    trial.check("camera frozen: says so", trial.until(lambda: "frozen" in json.dumps(trial.heard("device"))))
    trial.camera()
    trial.check("camera alive again", trial.until(lambda: trial.device_is_up("entry", "scanner"), 60))
    for name, plug, lane in (("camera", kiosk.camera_plug, "entry"), ("scan engine", kiosk.serial_plug, "exit")):
        plug(False)
        trial.check(
            f"{name} pulled: says so", trial.until(lambda lane=lane: not trial.device_is_up(lane, "scanner"))
        )
        plug(True)
        trial.check(f"{name} back", trial.until(lambda lane=lane: trial.device_is_up(lane, "scanner"), 60))
    trial.check("admits after that", (found := trial.pass_by("green", SKIN_C, "dora")).startswith("admit,"), found)
    trial.check("is the same process still", trial.sh("systemctl show -p NRestarts --value gatepost") == "0")

    pid = trial.main_pid()
    trial.sh(f"kill -9 {pid}")
    trial.check(
        "killed: is back",
        trial.until(lambda: trial.main_pid() not in {0, pid} and trial.device_is_up("entry", "scanner")),
    )
    log = trial.sh("journalctl -u gatepost -o cat")
    trial.check("killed: what it may have left on is off", "entry.gate: off" in log, log[-300:])
    trial.sh("mkdir -p /run/systemd/system/gatepost.service.d")
    kiosk.push(b"[Service]\nWatchdogSec=6\n", "/run/systemd/system/gatepost.service.d/fast.conf")
    trial.sh("systemctl daemon-reload; systemctl restart gatepost")
    pid = trial.main_pid()
    began_s = time.monotonic()
    trial.sh(f"kill -STOP {pid}")
    back = trial.until(lambda: trial.main_pid() not in {0, pid}, 60)
    trial.check("hung: the watchdog restarts it", back, f"after {time.monotonic() - began_s:.1f} s")
    trial.check("hung: up again", trial.until(lambda: trial.device_is_up("entry", "scanner")))
    trial.check("admits after that", (found := trial.pass_by("green", SKIN_C, "emil")).startswith("admit,"), found)


def is_careful(trial: Trial) -> None:
    """It falls again and again, as from an internal error in a native library: nobody is let in until it has
    recovered."""

    def runs(pid: int) -> bool:
        report = trial.report()
        return report.get("pid") == trial.main_pid() != pid and all(device["up"] for device in report["devices"])

    for _ in range(6):
        if trial.report().get("safe"):
            break
        pid = trial.main_pid()
        trial.sh(f"kill -SEGV {pid}")
        trial.until(lambda pid=pid: runs(pid), 60)
    trial.check("fallen again and again: is careful", "starts within" in trial.report()["safe"])
    trial.check(
        "says so", "SAFE MODE" in trial.sh("gatepost status"), trial.sh("systemctl status gatepost | grep Status")
    )
    trial.check(
        "leaves everybody to staff", (found := trial.pass_by("green", SKIN_C, "gina")).startswith("refer,"), found
    )
    pid = trial.main_pid()
    trial.sh("gatepost recover")
    trial.check("recovers", trial.until(lambda: runs(pid) and not trial.report()["safe"], 60))
    trial.check("admits after that", (found := trial.pass_by("green", SKIN_C, "hao")).startswith("admit,"), found)


def bring(trial: Trial, key: signing.PrivateKey, kind: str, version: int, content: object, by: str) -> None:
    """Give the kiosk a bundle: `by` installing or taking it."""
    now, day_s = int(trial.sh("date +%s")), 86_400
    members = {"type": kind, "name": "", "fleet": "city", "version": version, "content": content}
    times = {"issued_at": now, "expires_at": now + day_s, "warn_age_s": day_s, "max_age_s": day_s}
    trial.kiosk.push(bundle.sign(members | times, [key]), f"/tmp/{kind}.bundle", 0o644)
    done = trial.sh(f"gatepost keys {by} /tmp/{kind}.bundle --bundles {BUNDLES}; chown -R gatepost: {BUNDLES}")
    print(f"       {done}")


def is_configured(trial: Trial) -> None:
    """The central server sends a configuration that holds and works, and one with which the link can never come
    up."""
    key = signing.new_private_key()
    kid = key.public.kid.hex()
    roles = {kind: {"threshold": 1, "keyids": [kid]} for kind in ("root", "config")}
    root = {"keys": {kid: b64encode(key.public.spki).decode()}, "roles": roles}

    def told(word: str) -> list[int]:
        return [event["data"]["config_version"] for event in trial.heard("agent") if event["data"]["type"] == word]

    bring(trial, key, "root", 1, root, "install")
    bring(trial, key, "config", 1, "[checkpoint]\nrescan_after_refusal_s = 1.5\n", "import-bundle")
    trial.check("a configuration is tried and kept", trial.until(lambda: told("config_applied") == [1], 90))
    said = trial.sh("gatepost show | grep rescan_after_refusal_s")
    trial.check("says who says what", "central server's configuration 1:2" in said, said)
    bring(trial, key, "config", 2, "[mqtt]\nconnect_timeout_s = 0.000001\n", "import-bundle")
    trial.check("one that does not work is taken back", trial.until(lambda: told("config_rolled_back") == [2], 180))
    trial.check(
        "what was good is in force",
        trial.until(lambda: trial.report().get("config_version") == 1),
        trial.report().get("config_version"),
    )
    trial.until(lambda: all(device["up"] for device in trial.report().get("devices", [{"up": False}])), 60)
    trial.check("admits after that", (found := trial.pass_by("green", SKIN_C, "ines")).startswith("admit,"), found)


def loses_nothing(trial: Trial) -> None:
    """A person passes while the broker is away, then the power goes: the event must come when both are back."""
    kiosk = trial.kiosk
    trial.broker(running=False)
    scene, stored = trial.code("green", "fang"), trial.report()["outbox"]["stored"]
    trial.show(scene), kiosk.temperature(SKIN_C)
    kept = trial.until(lambda: trial.report()["outbox"]["stored"] > stored, 20)
    trial.check("stores what it cannot send", kept, trial.report().get("outbox"))
    heard = {event["id"] for event in trial.passages("entry")}
    trial.sh("systemctl enable gatepost; sync /etc/systemd/system/multi-user.target.wants /var/lib/heard")
    kiosk.power_cut()
    kiosk.start()
    trial.check("the power is back: runs by itself", trial.until(lambda: trial.main_pid() > 0, 60))
    trial.sh(
        "systemctl stop gatepost"
    )  # a broker drops what nobody has subscribed to yet: let the subscriber be first
    trial.broker(running=True)
    trial.sh("systemctl start gatepost")
    new = trial.until(lambda: {event["id"] for event in trial.passages("entry")} - heard, 60)
    trial.check("the event arrives after the power cut", len(new) == 1, new)
    text = trial.sh("journalctl -u gatepost -b -o cat --no-pager | tail -5")
    trial.check("nothing is damaged", "damaged" not in text, text)


def ends(trial: Trial) -> None:
    began_s = time.monotonic()
    trial.sh("systemctl stop gatepost", 60)
    state = trial.sh("systemctl show -p Result --value gatepost")
    trial.check("stops cleanly", state == "success", f"{state} in {time.monotonic() - began_s:.1f} s")
    trial.sh("dpkg -r gatepost $(dpkg-query -f '${Package} ' -W 'gatepost-release-*')", 120)
    left = trial.sh(
        "ls /usr/lib/gatepost/releases /usr/bin/gatepost /usr/lib/systemd/system/gatepost.service 2>/dev/null"
    )
    trial.check("uninstalls", not left, left)
    kept = trial.sh("ls /etc/gatepost/agent.toml /var/lib/gatepost/outbox.db").splitlines()
    trial.check("configuration and events stay", len(kept) == 2, kept)


@contextmanager
def packages() -> Iterator[Path]:
    """The packages of this tree, and of another release that differs in its version."""
    with tempfile.TemporaryDirectory() as folder:
        program = [str(ROOT / "dist/.venv/bin/python"), str(ROOT / "systemd/build_deb.py")]
        for name, version in (("first", "0.0.1"), ("second", "0.0.2")):
            subprocess.run(
                [*program, folder, "amd64", "--fast"], check=True, env={**os.environ, "GATEPOST_VERSION": version}
            )
            Path(folder, "amd64").rename(Path(folder, name))
        yield Path(folder)


def main() -> int:
    if not (IMAGE and Path(IMAGE, "rootfs.img").is_file() and (TOOLS / "kiosk.py").is_file()):
        print(
            "skipped: no virtual kiosk here. Build one (build_image.sh OUT) and name it: GATEPOST_KIOSK_IMAGE=OUT"
        )
        return 0
    sys.path.insert(0, str(TOOLS))
    from kiosk import Kiosk  # noqa: PLC0415 - lies outside the tree, where there is one

    console = os.environ.get(
        "GATEPOST_KIOSK_CONSOLE"
    )  # a file that outlives the machine, to look for its last words
    with packages() as built, Kiosk(IMAGE, time_limit=2400, log=console) as kiosk:
        trial = Trial(kiosk)
        trial.check("boots", trial.sh("systemctl is-system-running") == "running")
        try:
            installs(trial, built)
            for part in (starts, decides, drives, survives, is_careful, is_configured, loses_nothing, ends):
                part(trial)
        except Exception:
            print(trial.sh("journalctl -u gatepost --no-pager | tail -40"))
            raise
    print(f"{trial.passed} passed, {trial.failed} failed")
    return trial.failed > 0


if __name__ == "__main__":
    sys.exit(main())
