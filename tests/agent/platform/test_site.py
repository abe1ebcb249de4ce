"""What is said of a machine, by what its kernel and firmware say."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.platform import site


def machine(root: Path, **files: str) -> Path:
    for folder in ("var/lib", "etc"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for place, text in files.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def found(root: Path) -> dict[str, tuple[str, str]]:
    return {each.what: (each.grade, each.text) for each in site.checks(root)}


def test_a_machine_in_good_order(tmp_path: Path) -> None:
    files = {
        "run/systemd/timesync/synchronized": "",
        "sys/block/mmcblk0/device/life_time": "0x01 0x02\n",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
        "sys/class/thermal/thermal_zone0/temp": "48312\n",
        "sys/class/watchdog/watchdog0/identity": "Broadcom BCM2835 Watchdog timer\n",
        "sys/class/watchdog/watchdog0/state": "active\n", "sys/fs/cgroup/cgroup.controllers": "cpu memory pids\n",
        "sys/class/drm/card0-HDMI-A-1/status": "connected\n", "sys/class/drm/card0-HDMI-A-1/modes": "1920x1080\n",
        "proc/net/wireless": "Inter-|\n face |\n wlan0: 0000   54.  -56.  -256        0\n",
    }  # fmt: skip
    said = found(machine(tmp_path, **files))
    assert {grade for grade, _ in said.values()} == {"ok"}
    assert said["screen"] == ("ok", "HDMI-A-1 1920x1080")
    assert said["heat"] == ("ok", "48 °C")
    assert said["wi-fi wlan0"] == ("ok", "-56 dBm")


@pytest.mark.parametrize(
    ("place", "text", "what", "grade", "says"),
    [
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "50005", "power", "error", "under-voltage now"),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "50000", "power", "warning", "since the start"),
        ("sys/block/mmcblk0/device/life_time", "0x0a 0x01", "card mmcblk0", "warning", "90 to 100 %"),
        ("sys/block/mmcblk0/device/life_time", "0x01 0x0b", "card mmcblk0", "error", "more than 100 %"),
        ("sys/block/mmcblk0/device/name", "SC32G", "card mmcblk0", "ok", "tells nothing of its life"),
        ("sys/class/thermal/thermal_zone0/temp", "84000", "heat", "warning", "84 °C"),
        ("sys/class/watchdog/watchdog0/identity", "softdog", "watchdog", "warning", "nobody uses it"),
        ("sys/fs/cgroup/cgroup.controllers", "cpu pids", "memory", "warning", "cgroup_enable=memory"),
        ("proc/net/wireless", "x\ny\n wlan0: 0000 20. -82. -256 0\n", "wi-fi wlan0", "warning", "weak"),
        ("sys/class/rtc/rtc0/name", "ds3231", "clock", "error", "a battery clock is there"),
        ("run/chrony/x", "", "clock", "warning", "kept by another program"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, place: str, text: str, what: str, grade: str, says: str) -> None:
    said = found(machine(tmp_path, **{place: text}))
    assert said[what][0] == grade
    assert says in said[what][1]


def test_a_machine_that_says_nothing_or_junk(tmp_path: Path) -> None:
    junk = {
        "sys/devices/platform/soc/soc:firmware/get_throttled": "?", "proc/net/wireless": "a\nb\n wlan0: x\n",
        "sys/class/thermal/thermal_zone0/temp": "hot", "sys/block/mmcblk0/device/life_time": "\n",
    }  # fmt: skip
    assert {"clock", "watchdog", "memory"} <= found(machine(tmp_path, **junk)).keys()
