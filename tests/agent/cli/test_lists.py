"""`gatepost lists`: built, verified, changed and queried."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import cli


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.main(["lists", *words])
    found = capsys.readouterr()
    return status, found.out, found.err


BUILD = ("--kind", "status", "--issuer", "demo", "--of", "subject")


def test_built_and_queried(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "in.txt").write_text("# colours\nanna red\n\nbert green\n")
    assert run(capsys, "build", "in.txt", "s.gpl", *BUILD, "--version", "1")[0] == 0
    assert run(capsys, "query", "s.gpl", "anna", "--of", "subject")[:2] == (0, "red\n")
    assert run(capsys, "query", "s.gpl", "carl", "--of", "subject")[:2] == (1, "not on the list\n")
    assert "2 keys: sound" in run(capsys, "check", "s.gpl")[1]


def test_changes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "in.txt").write_text("anna red\n")
    run(capsys, "build", "in.txt", "s.gpl", *BUILD, "--version", "1")
    (here / "more.txt").write_text("anna gone\nbert yellow\n")
    assert run(capsys, "build", "more.txt", "s.gpl", *BUILD, "--version", "2", "--delta")[0] == 0
    assert run(capsys, "query", "s.gpl", "anna", "--of", "subject")[0] == 1
    assert run(capsys, "query", "s.gpl", "bert", "--of", "subject")[1] == "yellow\n"
    assert "changes: status of demo, version 2" in run(capsys, "check", "s.gpl")[1]


def test_binary_keys(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "keys.bin").write_bytes(bytes(range(32)))
    assert run(capsys, "build", "keys.bin", "r.gpl", "--kind", "revoked", "--issuer", "x", "--version", "1")[0] == 0
    assert run(capsys, "query", "r.gpl", bytes(range(16)).hex())[:2] == (0, "on the list\n")


def test_damage_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "keys.bin").write_bytes(bytes(range(32)))
    run(capsys, "build", "keys.bin", "r.gpl", "--kind", "revoked", "--issuer", "x", "--version", "1")
    damaged = bytearray((here / "r.gpl").read_bytes())
    damaged[-1] ^= 1
    (here / "r.gpl").write_bytes(damaged)
    status, out, _ = run(capsys, "check", "r.gpl")
    assert (status, "DAMAGED" in out) == (1, True)


@pytest.mark.parametrize("text", ["anna\n", "anna purple\n", "zz red\n"])
def test_a_wrong_line_is_named_and_not_shown(here: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (here / "in.txt").write_text("00" * 16 + " red\n" + text)
    status, _, err = run(capsys, "build", "in.txt", "s.gpl", "--kind", "status", "--issuer", "x", "--version", "1")
    assert status == 1
    assert "line 2" in err
    assert text.split(maxsplit=1)[0] not in err
    assert not (here / "s.gpl").exists()


@pytest.mark.parametrize("words", [["check", "none.gpl"], ["query", "none.gpl", "00" * 16]])
def test_a_missing_list_is_one_sentence(here: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    status, _, err = run(capsys, *words)
    assert (status, len(err.splitlines())) == (1, 1)
