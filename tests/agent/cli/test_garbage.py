"""Every command that reads a file, given files that it cannot use: a sentence and a status, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from agent import cli
from agent.credentials import lists

ROOT = Path(__file__).parents[3]
HEAD = {
    "kind": "revoked",
    "issuer": "a",
    "version": "x",
    "issued_at": 1e300,
    "warn_age_s": 0,
    "max_age_s": 0,
    "bits": -1,
}
BLOCK = (lists.MAGIC + json.dumps(HEAD).encode()).ljust(lists.HEAD_BYTES - 4)
GARBAGE = {
    "empty": b"",
    "binary": b"\0\1\xff\xfe\x1b[31m",
    "deep.toml": b"a = " + b"[" * 5000,
    "deep.json": b"[" * 100_000,
    "cut.json": b'{"keys":',
    "object.json": b'{"report": 1}',
    "picture.png": b"\x89PNG\r\n",
    "escapes.toml": b'[table]\nname = "\\u001b[31m"\nversion = 1\n',
    "list.gpl": BLOCK + zlib.crc32(BLOCK).to_bytes(4) + bytes(4 * 65_537),
    "folder": None,
    "missing": None,
}
COMMANDS = (
    "check -c {}",
    "show -c {}",
    "run -c {}",
    "status -c {}",
    "verify {} --json",
    "verify --batch {}",
    "verify -c {} x",
    "verify --keys {} x",
    "verify --lists {} x",
    "verify --table {} x",
    "keys list --keys {}",
    "keys add {} --formats dcc --keys new.toml",
    "keys sign {} --type root --fleet a --version 1 --key {}",
    "keys install {} --bundles bundles",
    "keys import-bundle {} --bundles bundles",
    "keys public {}",
    "issue --key {} --subject a",
    "lists check {}",
    "lists query {} aa --of opaque",
    "lists build {} out.gpl --kind status --issuer a --version 1",
    "lists build {} {} --kind revoked --issuer a --version 1 --delta",
    "policy check {}",
    "policy explain {}",
    "roster show {}",
    "roster build {} --out roster.json",
    "privacy check {}",
    "privacy unseal x --key {}",
    "upgrade content {} --url https://example.org",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEPOST_CONFIG", str(tmp_path / "no.toml"))
    (tmp_path / "folder").mkdir()
    for name, content in GARBAGE.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("folder")
def test_a_sentence_and_a_status(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in GARBAGE:
        status = cli.main(command.format(*[name] * command.count("{}")).split())
        said = capsys.readouterr()
        assert status != 0 or said.out or name == "empty", f"{command}: {name}"
        assert status == 0 or said.out or said.err, f"{command}: {name}"
        assert "\x1b" not in said.out + said.err


@pytest.mark.parametrize("kind", ["report", "lists"])
def test_a_report_of_something_else(folder: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    (folder / "status.json").write_text(json.dumps([] if kind == "lists" else {kind: 1}))
    assert cli.main(["status", "--directory", str(folder)]) == 3
    assert "not written by this version" in capsys.readouterr().err


def test_a_line_without_end_is_answered_in_pieces(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "long").write_bytes(b"x" * (3 << 20))
    assert cli.main(["verify", "--batch", "long"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {answer["reason"] for answer in answers} == {"bad_line"}


@pytest.mark.parametrize("text", [b"\xff\xfe", b"[" * 100_000, b'{"at": 1}', b"\x1b[2J"])
def test_a_log_that_is_none_is_shown_as_it_is(text: bytes) -> None:
    command = [sys.executable, "-c", "from agent.cli import main; raise SystemExit(main(['log', '-']))"]
    done = subprocess.run(command, input=text + b"\n", capture_output=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\x1b" not in done.stdout


def test_an_output_that_is_full_is_told() -> None:
    command = "from agent.cli import main; raise SystemExit(main(['policy', 'list']))"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", command], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.stderr.startswith(b"output: No space left on device\n")
    assert done.returncode


def test_a_device_in_place_of_a_file_is_not_read_for_ever(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "zero.toml").symlink_to("/dev/zero")
    for words in (
        ["check", "-c", "zero.toml"],
        ["keys", "list", "--keys", "zero.toml"],
        ["policy", "check", "zero.toml"],
    ):
        assert cli.main(words) == 1
        assert "longer than any such file: more than 16 MiB" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["lists", "check", "\x1b[31m"],
        ["lists", "build", "\x1b]0;x\a", "o.gpl", "--kind", "revoked", "--issuer", "a", "--version", "1"],
        ["keys", "list", "--keys", "\x9b31m"],
        ["roster", "show", "\x1b[2J"],
    ],
)
@pytest.mark.usefixtures("folder")
def test_the_name_of_a_file_does_not_reach_the_terminal_as_it_is(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 1
    said = capsys.readouterr().err
    assert said
    assert not set("\x1b\x9b\a") & set(said)


def test_a_word_that_is_no_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--site", "hall", "--kiosk", "k", "--broker", "\udcff", "--lanes", "in", "--yes"]
    assert cli.main(["setup", "-c", str(folder / "new.toml"), *words]) == 1
    assert "is not UTF-8 text" in capsys.readouterr().err


def test_a_folder_that_is_none_of_keys(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        with (folder / f"large-{number}").open("wb") as file:
            file.truncate(30 << 20)
    assert cli.main(["keys", "import", "--from", "gdhcn", str(folder), "--keys", "k.toml"]) == 1
    assert "more than 64 MiB in all are no list of keys" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("closed", "words", "status"),
    [
        (">&-", "policy list", 1),
        (">&-", "show --manual", 1),
        ("2>&-", "policy list", 0),
        ("2>&-", "policy check nowhere", 1),
        ("<&-", "policy list", 0),
        ("<&-", "log -", 0),
        (">&- 2>&- <&-", "policy list", 1),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_stream_that_was_closed_before_is_no_traceback(closed: str, words: str, status: int) -> None:
    program = "from agent.cli import main; raise SystemExit(main())"
    command = ["sh", "-c", f'"$0" -c "$1" {words} {closed}', sys.executable, program]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == status
    assert b"Traceback" not in done.stdout + done.stderr
    assert done.stderr == (b"output: Bad file descriptor\n" if closed == ">&-" else b"")


def test_ctrl_c_while_a_command_is_loaded_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agent.cli.parser_of", interrupted)
    assert cli.main(["policy", "list"]) == 130
