"""The service file is valid, locked up well enough, and explained line by line; so are the device rules."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent import cli

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "systemd" / "gatepost.service"
SCREEN_UNIT = ROOT / "systemd" / "gatepost-screen.service"
RULES = ROOT / "systemd" / "70-gatepost.rules"
WHY = (ROOT / "systemd" / "README.md").read_text()
DISPLAY_UNIT = ROOT / "systemd" / "gatepost-display@.service"
EXPOSURE_TENTHS = {UNIT: 15, SCREEN_UNIT: 10, DISPLAY_UNIT: 42}
UNITS = pytest.mark.parametrize("unit", EXPOSURE_TENTHS, ids=lambda unit: unit.stem)

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not on this machine (apt-get install systemd)"
)


def settings(unit: Path = UNIT) -> list[tuple[str, str]]:
    lines = unit.read_text().splitlines()
    return [(name, value) for line in lines if line[:1].isalpha() for name, _, value in [line.partition("=")]]


def as_here(unit: Path, folder: Path) -> Path:
    """The unit as it would be on a kiosk where the agent is installed."""
    text = re.sub(r"^ExecStart=\S+", f'ExecStart="{sys.executable}"', unit.read_text(), flags=re.MULTILINE)
    text = text.replace("/usr/lib/gatepost/current/bin/gatepost", sys.executable)
    here = folder / unit.name
    here.write_text(re.sub(r"^Documentation=.*$", "", text, flags=re.MULTILINE))
    return here


@needs_systemd
@UNITS
def test_systemd_accepts_the_unit(unit: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", str(as_here(unit, tmp_path))], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
@UNITS
def test_the_service_is_locked_up(unit: Path, tmp_path: Path) -> None:
    limit = f"--threshold={EXPOSURE_TENTHS[unit]}"
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", limit, str(as_here(unit, tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_readme_tells_the_exposure_that_is_held() -> None:
    assert f"holds it at {EXPOSURE_TENTHS[UNIT] / 10} or less" in WHY
    assert f"security gatepost-screen` says {EXPOSURE_TENTHS[SCREEN_UNIT] / 10} or less" in WHY
    assert f"security` says {EXPOSURE_TENTHS[DISPLAY_UNIT] / 10} or less" in WHY


@UNITS
def test_every_setting_is_explained(unit: Path) -> None:
    obvious = {"Description", "Documentation", "ExecStart", "Environment", "WantedBy"}
    explained = set(re.findall(r"`([A-Za-z]+)[=`]", WHY))
    families = tuple(re.findall(r"`([A-Za-z]+)\*`", WHY))
    missing = {name for name, _ in settings(unit)} - obvious - explained
    assert not {name for name in missing if not name.startswith(families)}


@UNITS
def test_the_command_is_one_that_there_is(unit: Path) -> None:
    command = dict(settings(unit))["ExecStart"].split()
    assert command[0].endswith("/bin/gatepost")
    assert command[1] in cli.COMMANDS


def test_the_sockets_lie_where_only_the_screens_process_enters() -> None:
    lines = (ROOT / "systemd" / "gatepost-tmpfiles.conf").read_text().splitlines()
    assert "d /run/gatepost-web 2750 gatepost gatepost-screen -" in lines
    assert ("ReadWritePaths", "-/run/gatepost-web") in settings()
    screen = dict(settings(SCREEN_UNIT))
    assert (screen["User"], screen["Group"]) == ("gatepost-screen", "gatepost-screen")
    assert "SupplementaryGroups" not in screen, "it reads nothing else of the agent's"


def test_what_an_agent_that_was_killed_leaves_on_is_switched_off() -> None:
    shell, script = dict(settings())["ExecStopPost"].split(" -c ")
    ask = script.strip("'").replace("exec ", "echo ")
    for result, said in (("success", ""), ("signal", "gatepost devices off --config /etc/gatepost/agent.toml")):
        done = subprocess.run(
            [shell, "-c", ask], env={"SERVICE_RESULT": result}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip().endswith(said)
        assert bool(done.stdout) == bool(said)


def test_devices_are_allowed_by_class() -> None:
    allowed = [value for name, value in settings() if name == "DeviceAllow"]
    assert allowed
    assert all(re.fullmatch(r"char-\w+ rw", value) for value in allowed)


def rules() -> list[str]:
    return [line for line in RULES.read_text().splitlines() if line and not line.startswith("#")]


def test_rules_are_well_formed() -> None:
    term = r'[A-Z]+(\{\w+\})?(==|!=|=|\+=|:=)"[^"]*"'
    assert not [rule for rule in rules() if not re.fullmatch(rf"{term}(, {term})*", rule)]


def test_rules_name_only_groups_that_the_installation_makes() -> None:
    groups = {group for rule in rules() for group in re.findall(r'GROUP="(\w+)"', rule)}
    made = set(re.findall(r"^g (\w+)", (ROOT / "systemd/debian/gatepost.sysusers").read_text(), flags=re.MULTILINE))
    assert groups
    assert groups <= made


def test_rules_come_between_naming_and_modem_manager() -> None:
    assert "60-serial.rules" < RULES.name < "77-mm"


def test_the_numbers_lie_where_all_may_read_them_and_nothing_else_does() -> None:
    kind, folder, mode, user, *_ = (
        (ROOT / "systemd" / "gatepost-tmpfiles.conf").read_text().splitlines()[-1].split()
    )
    assert (kind, mode, user) == ("d", "0755", "gatepost")
    assert f"-{folder}" in [value for name, value in settings() if name == "ReadWritePaths"]
    assert folder not in [f"/run/{value}" for name, value in settings() if name == "RuntimeDirectory"]
    told = (ROOT / "docs" / "health.md").read_text()
    assert f'metrics_file = "{folder}/gatepost.prom"' in told
    assert f"--collector.textfile.directory={folder}" in told
    assert "--groups gatepost" not in told, "who is in the group reads the broker's password"
