"""`gatepost keys import`: a diff to read, then the file, then the bundle; no reader of lists on a kiosk."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest

from agent import cli
from agent.credentials.trust import parse_keys

FIRST, SECOND = (
    "MCowBQYDK2VwAyEA7AD7/vFA33EsY4z2PHr7iZPsZ8n5dh0ajP8gyzNmmIs=",
    "MCowBQYDK2VwAyEAYMJsOnLp5AWGpJ+dFJE2r9DOXeQIZgVrCt93LAl5BN8=",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def event(here: Path, *keys: str) -> None:
    pems = [
        b64encode(f"-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n".encode()).decode()
        for key in keys
    ]
    (here / "event.json").write_text(json.dumps({"valid_keys": {"pretix_sig1": pems}}))


def run(capsys: pytest.CaptureFixture[str], *more: str) -> list[str]:
    assert cli.main(["keys", "import", "--from", "pretix", "--issuer", "concert", "event.json", *more]) == 0
    return capsys.readouterr().out.splitlines()


def test_from_the_list_to_the_bundle(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = here / "issuers.toml"
    assert cli.main(["keys", "new", "health"]) == 0
    keys.write_text(
        "# of the north\n" + keys.read_text() + '# revoked cards\n[[revoked]]\nkid = "33"\nrids = ["a"]\n'
    )
    before = keys.read_text()
    capsys.readouterr()
    event(here, FIRST)
    lines = run(capsys)
    assert lines[0].startswith("+ concert  ")
    assert lines[1] == "1 new, 0 gone, 0 as before, 0 left out"
    assert keys.read_text() == before
    run(capsys, "--write")
    assert keys.read_text().startswith(before.rstrip("\n"))
    assert run(capsys)[0] == "0 new, 0 gone, 1 as before, 0 left out"
    event(here, SECOND)
    lines = run(capsys, "--write")
    assert [line[0] for line in lines[:2]] == ["-", "+"]
    assert lines[2] == "1 new, 1 gone, 0 as before, 0 left out"
    trust = parse_keys(keys.read_text(), "x")
    assert [key.issuer for key in trust.by_format["pretix"]] == ["concert"]
    assert [key.issuer for key in trust.by_format["gatepost"]] == ["health"]
    assert trust.revoked
    assert keys.read_text().startswith("# of the north")
    assert cli.main(["keys", "new", "root", "--server"]) == 0
    capsys.readouterr()
    words = [
        "keys",
        "sign",
        "issuers.toml",
        "--type",
        "keys",
        "--fleet",
        "north",
        "--version",
        "1",
        "--key",
        "root.key",
    ]
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out)["payloadType"]


def test_what_is_refused_is_a_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "event.json").write_text("{}")
    assert cli.main(["keys", "import", "--from", "uic", "event.json"]) == 1
    assert capsys.readouterr().err.startswith("event.json: not XML")
    assert cli.main(["keys", "import", "--from", "gdhcn", "none"]) == 1
    assert "none" in capsys.readouterr().err
