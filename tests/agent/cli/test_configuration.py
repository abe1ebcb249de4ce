"""`check`, `show`, `status` and `run` as a technician meets them: what they say, and the exit status."""

import json
import os
import re
import subprocess
import sys
import time
import tomllib

import pytest

from agent.cli import main

GOOD = """\
[kiosk]
id = "k1"
site = "library"
[runtime]
directory = "run"
[codes]
keys = "issuers.toml"
[screening]
baseline_file = "baseline.json"
[clock]
last_known_time_file = "clock"
[outbox]
path = "outbox.db"
[commands]
journal_file = "command-journal.json"
[mqtt]
host = "127.0.0.1"
port = 1
username = "kiosk"
password = "hunter2-canary"
[lanes.entry]
direction = "entry"
scanner = { driver = "line", port = "/dev/serial/by-id/nothing" }
thermometer = { driver = "mlx90614", bus = "/dev/i2c-99" }
gate = { driver = "simulated" }
"""


@pytest.fixture
def config(tmp_path):
    """Writes a configuration, with keys beside it; the file."""

    def write(text=GOOD):
        file = tmp_path / "agent.toml"
        file.write_text(text)
        (tmp_path / "issuers.toml").write_text("")
        return file

    return write


@pytest.fixture
def say(capsys):
    """Types a command; (exit status, standard output, standard error)."""

    def typed(*words):
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return status, out, err

    return typed


def test_check_of_a_right_file(config, say):
    status, out, err = say("check", "-c", config())
    assert (status, err) == (0, "")
    assert "right. Kiosk k1 at library\n" in out
    assert "\n  entry (entry): scanner line, thermometer mlx90614, gate simulated\n" in out
    assert "! entry.gate is not real" in out


def test_check_finds_two_parts_on_one_output_and_one_port_for_two_devices(config, say):
    board = 'driver = "serial_relay", port = "/dev/board"'
    lamp = f"lamp = {{ {board}, red = 2, amber = 3, green = 4 }}\n"
    more = f'{lamp}buzzer = {{ {board}, channel = 3 }}\nrange = {{ driver = "tf_luna", port = "/dev/board" }}\n'
    status, _, err = say("check", "-c", config(GOOD + more))
    assert status == 1
    assert "lanes.entry.buzzer.channel: is the same output as lanes.entry.lamp.amber" in err
    assert "lanes.entry.lamp.port: is the port of another device: lanes.entry.range" in err


def second_lane(scanner, thermometer):
    line = 'driver = "line", port = "/dev/serial/by-id/other"'
    return (
        f'[lanes.side]\ndirection = "entry"\nscanner = {{ {scanner or line} }}\n'
        f'thermometer = {{ {thermometer} }}\ngate = {{ driver = "simulated" }}\n'
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('driver = "mlx90614"', 'driver = "mlx90614"'),
        ('driver = "omron_d6t"', 'driver = "omron_d6t", model = "8L"'),
        ('driver = "mlx90614", address = 0x33', 'driver = "mlx90640"'),
    ],
)
def test_check_finds_one_thermometer_for_two_lanes(config, say, first, second):
    text = GOOD.replace('driver = "mlx90614", bus = "/dev/i2c-99"', first)
    status, _, err = say("check", "-c", config(text + second_lane("", second)))
    assert status == 1
    assert "lanes.side.thermometer.bus: has another device at this address: lanes.entry.thermometer" in err


def test_check_takes_one_address_on_two_buses(config, say):
    card = 'card = { driver = "pn532", bus = "/dev/i2c-98" }\n'
    more = second_lane("", 'driver = "mlx90614"') + 'card = { driver = "pn532", bus = "/dev/i2c-97" }\n'
    status, _, err = say("check", "-c", config(GOOD + card + more))
    assert (status, err) == (0, "")


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ("", "", True),
        ("region = [0.0, 0.0, 0.5, 1.0]", "", True),
        ("region = [0.0, 0.0, 0.6, 1.0]", "region = [0.5, 0.0, 1.0, 1.0]", True),
        ("region = [0.0, 0.0, 0.5, 1.0]", "region = [0.5, 0.0, 1.0, 1.0]\nmirror = true", True),
        ("region = [0.0, 0.0, 0.5, 1.0]", "region = [0.5, 0.0, 1.0, 1.0]", False),
        ("region = [0.0, 0.0, 1.0, 0.4]", "region = [0.0, 0.5, 1.0, 1.0]", False),
    ],
)
def test_check_finds_one_camera_whose_codes_two_lanes_would_read(config, say, first, second, found):
    camera = 'driver = "camera", device = "rtsp://10.0.0.7/main"'
    text = GOOD.replace('driver = "line", port = "/dev/serial/by-id/nothing"', f"{camera}, {first}".strip(", "))
    more = second_lane(", ".join((camera, *second.splitlines())), 'driver = "mlx90614"')
    _, _, err = say("check", "-c", config(text + more))
    told = "is the camera of another scanner too, without regions of its picture that lie apart"
    assert (f"lanes.side.scanner.device: {told}: lanes.entry.scanner" in err) is found


def test_check_finds_one_keyboard_scanner_for_two_lanes_and_says_no_word_of_pictures(config, say):
    keyboard = 'driver = "keyboard", device = "/dev/input/event99"'
    text = GOOD.replace('driver = "line", port = "/dev/serial/by-id/nothing"', keyboard)
    _, _, err = say("check", "-c", config(text + second_lane(keyboard, 'driver = "mlx90614"')))
    assert "lanes.side.scanner.device: is the device of another scanner: lanes.entry.scanner" in err


@pytest.mark.parametrize("command", ["check", "show", "status", "run"])
def test_every_typo_is_told_at_once_with_its_line_and_the_nearest_key(config, say, command):
    text = GOOD.replace("host", "hots").replace('"line"', '"lien"').replace("bus =", "bsu =")
    file = config(text)
    line = {word: 1 + text[: text.index(word)].count("\n") for word in ("hots", "lien", "bsu")}
    status, out, err = say(command, "-c", file)
    assert status == (78 if command == "run" else 1)
    assert out == ""
    lines = err.splitlines()
    assert f"{file}:{line['hots']}: mqtt.hots: unknown setting; did you mean host?" in lines
    unknown = f"{file}:{line['lien']}: lanes.entry.scanner.driver: unknown driver 'lien'; did you mean line?"
    assert any(each.startswith(unknown) for each in lines)
    assert f"{file}:{line['bsu']}: lanes.entry.thermometer.bsu: unknown setting; did you mean bus?" in lines
    assert lines[-1].startswith("3 faults.")


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("port = 1\n", 'port = "1883"\n', "mqtt.port: should be a whole number, without quotes"),
        ("port = 1\n", 'tls = "yes"\n', "mqtt.tls: should be true or false, without quotes"),
        ('"127.0.0.1"', '"mqtt://broker"', "mqtt.host: host is a name or an address and nothing else"),
        ('"127.0.0.1"', '"broker:1883"', "mqtt.host: host is a name or an address and nothing else"),
        ('"127.0.0.1"', '""', "mqtt.host: host is a name or an address and nothing else"),
        ('"127.0.0.1"', "broker", "is not TOML: Invalid value (a text needs straight quotes"),
        ('"127.0.0.1"', "“broker”", "is not TOML: Invalid value (a text needs straight quotes"),
        ('"127.0.0.1"', '"broker', "(a text ends with a quote on the same line)"),
        ('"127.0.0.1"', '"a" # x\nhost = "b"', "(this setting stands there twice)"),
        ("[mqtt]\n", "[mqtt]\n[mqtt]\n", "(this section stands there twice)"),
        ("[mqtt]\n", "[mqtt]\nhost\n", "(a line is NAME = VALUE)"),
        (
            'bus = "/dev/i2c-99"',
            "address = 0x90",
            "address: should be a whole number, without quotes, at least 0x3 and at most 0x77",
        ),
        (
            "port = 1\n",
            "port = 70000\n",
            "mqtt.port: should be a whole number, without quotes, at least 1 and at most 65535, not 70000",
        ),
        ('direction = "entry"\n', "", "lanes.entry.direction: is missing"),
        ('id = "k1"\n', "", "kiosk.id: is missing and has no default"),
        ('id = "k1"', 'id = "a/b"', "kiosk.id: "),
        ("[mqtt]\n", "[mqtt\n", "is not TOML"),
        ('username = "kiosk"\n', "", "mqtt.password: password needs a username"),
    ],
)
def test_faults_are_sentences(config, say, before, after, sentence):
    assert before in GOOD
    status, _, err = say("check", "-c", config(GOOD.replace(before, after)))
    assert status == 1
    assert sentence in err
    assert "hunter2-canary" not in err


def test_a_file_from_another_editor(config, say):
    file = config()
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert say("check", "-c", file)[0] == 0
    file.write_bytes(GOOD.replace("library", "b\xfccherei").encode("latin-1"))
    status, _, err = say("check", "-c", file)
    assert status == 1
    assert err.splitlines()[0] == f"{file}:3: is not UTF-8 text: save the file as UTF-8"


def test_a_word_that_is_no_command_and_no_word(say):
    status, out, err = say("chekc")
    assert (status, out) == (2, "")
    assert err == "There is no command chekc; did you mean check? All of them: gatepost --help\n"
    status, out, err = say()
    assert (status, out) == (2, "")
    assert "On the kiosk:" in err


@pytest.mark.parametrize("command", ["check", "run"])
def test_what_the_configuration_names_must_be_there_too(config, say, command):
    file = config(GOOD.replace('"issuers.toml"', '"nowhere.toml"') + '[policy]\ntable = "none.toml"\n')
    status, out, err = say(command, "-c", file)
    assert status == (78 if command == "run" else 1)
    assert out == ""
    assert "nowhere.toml" in err
    if command == "check":
        assert "none.toml" in err, "all faults at once"


@pytest.mark.parametrize(("command", "expected"), [("check", 1), ("show", 1), ("status", 1), ("run", 78)])
def test_a_file_that_is_not_there(tmp_path, say, command, expected):
    status, _, err = say(command, "-c", tmp_path / "none.toml")
    assert status == expected
    first, advice = err.splitlines()
    assert first == f"{tmp_path}/none.toml is not there"
    assert all(word in advice for word in ("gatepost setup", "gatepost show --manual", "invited", "--config"))


def test_show_is_toml_again_and_masks_secrets(config, say):
    status, out, _ = say("show", "-c", config())
    tree = tomllib.loads(out)
    assert status == 0
    assert "hunter2-canary" not in out
    assert set(tree["mqtt"]["password"]) == {"*"}
    assert tree["mqtt"]["username"] == "kiosk"
    assert tree["lanes"]["entry"]["scanner"]["driver"] == "line"
    assert tree["lanes"]["entry"]["release_s"] == 3.0, "defaults are filled in"


def test_show_as_json(config, say):
    status, out, _ = say("show", "--json", "-c", config())
    assert status == 0
    assert set(json.loads(out)["mqtt"]["password"]) == {"*"}


def test_the_manual_needs_no_configuration(tmp_path, say):
    status, out, err = say("show", "--manual", "-c", tmp_path / "none.toml")
    assert (status, err) == (0, "")
    assert {"kiosk", "mqtt", "outbox", "lanes"} <= tomllib.loads(out).keys()


def test_status_when_nothing_runs(config, say):
    file = config()
    status, out, err = say("status", "-c", file)
    assert (status, out) == (3, "")
    assert err.startswith(f"not running: no {file.parent}/run/status.json")


@pytest.mark.parametrize(
    ("unit", "advice"),
    [
        ("LoadState=not-found\nActiveState=inactive", "No service is installed here: gatepost run --config"),
        ("LoadState=loaded\nActiveState=inactive\nSubState=dead", "Start it with: sudo systemctl start gatepost"),
        (
            "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=78",
            "was started and failed (exit-code, exit status 78). Why: sudo gatepost check; journalctl",
        ),
        (
            "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=signal\nExecMainStatus=9",
            "was started and failed (signal, exit status 9)",
        ),
        ("LoadState=loaded\nActiveState=activating\nSubState=start", "The service is starting"),
    ],
)
def test_status_advises_no_start_of_what_fails_to_start(config, say, tmp_path, monkeypatch, unit, advice):
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\ncat <<'END'\n{unit}\nEND\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    status, _, err = say("status", "-c", config())
    assert status == 3
    assert advice in err
    assert ("systemctl start" in err) == ("SubState=dead" in unit)


@pytest.fixture
def agent(config):
    """`gatepost run` with devices that are not there and no broker: down, and known to be down."""
    file = config()
    words = [sys.executable, "-c", "from agent.cli import main; raise SystemExit(main())", "run"]
    process = subprocess.Popen(
        words, stderr=subprocess.PIPE, text=True, env={**os.environ, "GATEPOST_CONFIG": str(file)}
    )
    deadline_s = time.monotonic() + 30
    while not (file.parent / "run" / "status.json").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    yield process, file
    process.kill()
    process.communicate()


def test_status_of_a_running_agent_says_what_is_wrong_and_what_to_do(agent, say):
    process, file = agent
    deadline_s = time.monotonic() + 30
    while True:
        status, out, _ = say("status", "-c", file)
        if "not opened yet" not in out and "nobody listens there" in out:
            break
        assert time.monotonic() < deadline_s, out
    assert status == 1
    lines = out.splitlines()
    assert lines[0].startswith("k1 at library: DEGRADED")
    assert f"pid {process.pid}" in lines[0]
    assert any("✗ entry    scanner" in line and "/dev/serial/by-id/nothing" in line for line in lines)
    assert any("✗ entry    thermometer" in line and "no such bus" in line for line in lines)
    assert any("✓ entry    gate" in line and "simulated" in line for line in lines)
    told = re.compile(
        r"✗ mqtt     not connected, (trying now|next try in (\d+ min )?\d+ s): 127\.0\.0\.1:1: nobody listens there"
    )
    assert any(told.search(line) for line in lines)

    status, out, _ = say("status", "--json", "-c", file)
    report = json.loads(out)
    assert status == 1
    assert report["pid"] == process.pid
    assert report["condition"] == "degraded"
    assert report["outbox"]["waiting"] >= 1

    process.terminate()
    _, log = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "hunter2-canary" not in log
    assert all(json.loads(line) for line in log.splitlines()), "JSON lines where there is no terminal"
    assert say("status", "-c", file)[0] == 3, "stopped"


def part(name, why="", *, up=False, silent_s=0.0, limit_s=1.0, vital=False):
    """Of the report of an agent."""
    return {"name": name, "up": up, "silent_s": silent_s, "limit_s": limit_s, "error": why, "vital": vital}


HANGING = {
    "version": "1",
    "pid": 1,
    "kiosk": {"id": "k1", "site": "library"},
    "up_s": 4000,
    "condition": "ok",
    "problems": [],
    "clock": "suspect",
    "decided": 7,
    "safe": "",
    "config_version": 3,
    "on_trial": True,
    "lists": [],
    "parts": [
        part("clock", "its source contradicts itself (timedatectl)"),
        part("loop", up=True, silent_s=0.1, limit_s=8.0, vital=True),
        part("mqtt", up=True, silent_s=75.0, limit_s=60.0),
        part("entry scanner", "gone", limit_s=5.0),
        part("privacy", "no keys (send)"),
        part("rules", "refused (mend it)"),
    ],
    "devices": [
        {
            "lane": "entry",
            "role": "scanner",
            "driver": "line",
            "up": False,
            "error": "gone (plug it in)",
            "items": 5,
            "faults": 2,
            "restarts": 1,
            "abandoned": 1,
            "down_s": 61.0,
            "simulated": False,
        }
    ],
    "outbox": {"stored": 1, "delivered": 1, "waiting": 0, "lost": 0, "fault": ""},
    "link": {"connected": True, "fault": "", "refused_receipts": 2, "refusal": "it is too long"},
    "commands": {"succeeded": 2, "rejected": 1, "unauthenticated": 3, "dropped": 0, "refusal": "invalid_envelope"},
}


def test_status_of_an_agent_that_hangs(config, say):
    file = config()
    report = HANGING | {"at_s": time.monotonic() - 60}
    (file.parent / "run").mkdir()
    (file.parent / "run" / "status.json").write_text(json.dumps(report))
    status, out, _ = say("status", "-c", file)
    assert status == 3
    assert "✗ clock    its source contradicts itself (timedatectl)" in out
    assert "this report is 1 min 0 s old" in out
    assert "up 1 h 6 min" in out
    assert "central server's configuration 3 on trial" in out
    assert "✗ entry    scanner" in out
    assert "gone (plug it in), down for 1 min 1 s, 2 faults, 1 restart, hanging: 1 thread" in out
    assert "✓ loop     7 passages decided" in out
    assert "✗ mqtt     connected, 2 receipts refused (it is too long): hangs for 1 min 15 s" in out
    assert "✗ rules    in force: refused (mend it)" in out
    assert "✗ privacy  no keys (send)" in out
    assert "entry scanner" not in out, "a device has its own line"


def test_what_is_there_to_type(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for command in ("run", "check", "show", "status", "demo"):
        assert f"\n    {command} " in out
    assert main(["chekc"]) == 2


def test_no_errno_reaches_the_technician(tmp_path, say, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.key").write_text("no key")
    for words, told in (
        (("lists", "check", "none.gpl"), "none.gpl is not there"),
        (("issue", "--key", "none.key", "--subject", "a"), "none.key is not there"),
        (("issue", "--key", "there.key", "--subject", "a"), "there.key: not a private key"),
        (("keys", "new", "there"), "there.key is there already (name another)"),
        (("schema", "there.key"), "there.key"),
    ):
        status, _, err = say(*words)
        assert status == 1
        assert told in err
        assert "Errno" not in err
