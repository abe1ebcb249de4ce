"""`gatepost setup` and `gatepost config` as somebody types them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import config
from tests.command_line import gatepost


def test_a_few_answers_make_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    answers = "east gate\neast\nk1\nbroker.example:1883\nentry\n" + "none\nline port=/dev/ttyUSB9 baud=9600\nnone\n"
    done = gatepost(
        "setup", "-c", file, answers=answers.replace("none\nline", "nonsense\nline", 1) + "none\nn\nn\n"
    )
    assert "'east gate' is no name" in done.stdout
    assert "nonsense is no number of the list and no driver" in done.stdout
    assert done.returncode == 0, done.stderr
    loaded = config.load(file)
    assert (loaded.kiosk.site, loaded.kiosk.id, loaded.mqtt.host, loaded.mqtt.tls) == (
        "east",
        "k1",
        "broker.example",
        False,
    )
    assert loaded.lanes["entry"].scanner.driver == "line"
    again = gatepost("setup", "-c", file)
    assert again.returncode == 1
    assert "--force replaces it" in again.stderr


def test_nothing_is_asked_with_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "etc/agent.toml"
    done = gatepost(
        "setup", "-c", file, "--site", "s", "--kiosk", "k", "--broker", "b", "--lanes", "entry,exit", "--yes"
    )
    assert done.returncode == 0, done.stderr
    assert config.load(file).lanes.keys() == {"entry", "exit"}
    assert file.stat().st_mode & 0o777 == 0o640
    gatepost("keys", "new", "shop", "--keys", file.parent / "issuers.toml")
    checked = gatepost("check", "-c", file)
    assert "entry.scanner is not real" in checked.stdout + checked.stderr
    assert "cannot be used" not in checked.stdout + checked.stderr
    bad = gatepost("setup", "-c", file, "--force", "--site", "a b", "--yes")
    assert bad.returncode == 1
    assert "'a b' is no name" in bad.stderr


def test_answers_that_end_early_write_nothing(tmp_path: Path) -> None:
    done = gatepost("setup", "-c", tmp_path / "agent.toml", answers="east\n")
    assert done.returncode == 1
    assert not (tmp_path / "agent.toml").exists()


def test_a_fleet_from_one_table(tmp_path: Path) -> None:
    (tmp_path / "common.toml").write_text(
        "[lanes.entry]\ndirection = 'entry'\nscanner = {driver='line', port='/dev/a'}\n"
        "thermometer = {driver='mlx90614'}\ngate = {driver='simulated'}\n"
    )
    table = tmp_path / "fleet.csv"
    table.write_text("kiosk.site,kiosk.id,mqtt.port\neast,k1,8883\neast,k2,99999\n")
    words = ("config", "render", table, "--common", tmp_path / "common.toml", "--out", tmp_path / "out")
    done = gatepost(*words)
    assert done.returncode == 1
    assert f"{table}:3: east/k2: mqtt.port: should be" in done.stderr
    assert not (tmp_path / "out").exists()
    table.write_text(table.read_text().replace("99999", ""))
    assert gatepost(*words).returncode == 0
    assert config.load(tmp_path / "out/east/k2/agent.toml").kiosk.id == "k2"
    listed = gatepost("config", "files", "-c", tmp_path / "out/east/k2/agent.toml")
    assert listed.stdout.splitlines() == [f"{tmp_path}/out/east/k2/agent.toml"]
    assert gatepost("config", "files", "-c", "/").returncode == 0, "a path without a name has drop-ins beside it"
