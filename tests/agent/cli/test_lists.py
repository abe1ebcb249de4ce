"""`gatepost lists`: built, verified, changed and queried."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agent import cli
from agent.credentials.formats import gatepost
from agent.ruleset import load


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


UCI = "URN:UVCI:01:NL:187/37512422923"
CARD = "0123456789abcdef" * 4


def built(
    capsys: pytest.CaptureFixture[str], text: str | bytes, of: str, kind: str = "revoked", version: int = 1
) -> str:
    """What is said of a list that is built from this text."""
    Path("in.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    how = ("--kind", kind, "--issuer", "demo", "--of", of, "--version", str(version))
    status, out, err = run(capsys, "build", "in.txt", "l.gpl", *how)
    assert (status, err) == (0, "")
    return out


@pytest.mark.parametrize(
    ("of", "text", "asked"),
    [
        ("subject", "\ufeffanna\nbert\n", ["anna", "bert"]),
        ("subject", "anna\r\nbert\r\n", ["anna", "bert"]),
        ("subject", '"anna"\n"bert"\n', ["anna", "bert"]),
        ("subject", '"anna, the second",\n', ["anna, the second"]),
        ("subject", "\ufeff\nanna,\n", ["anna"]),
        ("key", "AA" * 16 + "\n", ["aa" * 16]),
        ("uci", f"{UCI}\n", [UCI, UCI.lower(), UCI[9:], UCI[9:].lower()]),
        ("uci", f"{UCI[9:].lower()}\n", [UCI, UCI.lower(), UCI[9:]]),
        ("health-card", f"{CARD.upper()}\n", [CARD, CARD + ":1", CARD.upper() + ":0:" + "a" * 32]),
        ("health-card", f"{CARD}:1\n", [CARD]),
        ("opaque", "0123abcd\n", ["0123abcd"]),
    ],
)
def test_what_the_format_says_is_equal(
    here: Path, capsys: pytest.CaptureFixture[str], of: str, text: str, asked: list[str]
) -> None:
    built(capsys, text, of)
    for each in asked:
        assert run(capsys, "query", "l.gpl", each, "--of", of)[:2] == (0, "on the list\n")


@pytest.mark.parametrize(
    "line", ["anna;red", "anna\tred", 'anna,"Red"', '"anna" RED', "anna, red,,", "  anna   red  "]
)
def test_columns_in_every_dress(here: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    assert "1 keys, of 1 subject entries of demo" in built(capsys, f"{line}\n", "subject", "status")
    assert run(capsys, "query", "l.gpl", "anna", "--of", "subject")[1] == "red\n"


def test_how_many_keys_of_what(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = built(capsys, f"{UCI}\n{UCI.lower()}\n# one more\n\nURN:UVCI:01:NL:2\n", "uci")
    assert "2 keys, of 3 certificate identifiers of demo, 1 repeated" in said


@pytest.mark.parametrize(
    ("of", "kind", "line"),
    [
        ("subject", "revoked", "bert,carl"),
        ("subject", "revoked", "bert red"),
        ("subject", "revoked", "bert gone"),
        ("subject", "status", "bert gone"),
        ("subject", "status", "bert,red,late"),
        ("subject", "status", '"bert red'),
        ("subject", "revoked", "be\u200brt"),
        ("subject", "revoked", "bert\x00"),
        ("uci", "revoked", "Müller"),
        ("uci", "revoked", "https://example.org/01:NL:1"),
        ("health-card", "revoked", "0123"),
        ("health-card", "revoked", "g" * 64),
        ("opaque", "revoked", "https://s.sh.gov.cn/0123abcd"),
        ("key", "revoked", "00" * 15),
        ("key", "revoked", "00" * 17),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(
    here: Path, capsys: pytest.CaptureFixture[str], of: str, kind: str, line: str
) -> None:
    first = {"uci": UCI, "health-card": CARD, "key": "00" * 16}.get(of, "anna")
    (here / "in.txt").write_text(f"{first}{' red' if kind == 'status' else ''}\n{line}\n")
    how = ("--kind", kind, "--issuer", "demo", "--of", of, "--version", "1")
    status, _, err = run(capsys, "build", "in.txt", "l.gpl", *how)
    assert (status, "in.txt: line 2: " in err, err.count("\n")) == (1, True, 1)
    assert line not in err
    assert not (here / "l.gpl").exists()


@pytest.mark.parametrize("heading", ["subject", "id,colour", '"UCI"'])
def test_a_heading_is_no_key(here: Path, capsys: pytest.CaptureFixture[str], heading: str) -> None:
    (here / "in.txt").write_text(f"{heading}\nanna\n")
    how = ("--kind", "revoked", "--issuer", "demo", "--of", "subject", "--version", "1")
    assert "line 1: a heading" in run(capsys, "build", "in.txt", "l.gpl", *how)[2]


def test_another_encoding_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "in.txt").write_text("anna\n", encoding="utf-16")
    how = ("--kind", "revoked", "--issuer", "demo", "--of", "subject", "--version", "1")
    assert "save it as UTF-8" in run(capsys, "build", "in.txt", "l.gpl", *how)[2]


@pytest.mark.parametrize("version", [1, 4, 5])
def test_a_lower_version_does_not_take_the_place_of_a_higher_one(
    here: Path, capsys: pytest.CaptureFixture[str], version: int
) -> None:
    built(capsys, "anna\n", "subject", version=5)
    before = (here / "l.gpl").read_bytes()
    how = ("--kind", "revoked", "--issuer", "demo", "--of", "subject", "--version", str(version))
    for more in ((), ("--delta",)):
        status, _, err = run(capsys, "build", "in.txt", "l.gpl", *how, *more)
        assert (status, "has version 5, the next one is 6 or more" in err) == (1, True)
    other = run(capsys, "build", "in.txt", "l.gpl", "--kind", "watched", "--issuer", "demo", "--version", "9")
    assert "is a revoked list of demo" in other[2]
    assert (here / "l.gpl").read_bytes() == before


def test_a_change_of_a_tested_list_counts_from_the_base(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A swab of 30 hours before the change, 10 hours after the base, is one of 20 hours before the base."""
    of = ("--kind", "tested", "--issuer", "demo", "--of", "subject")
    (here / "tests.txt").write_text("anna 5\nbert 5\n")
    (here / "more.txt").write_text("anna 30\nbert 2\n")
    assert run(capsys, "build", "tests.txt", "t.gpl", *of, "--version", "1")[0] == 0
    later = time.time() + 10 * 3600 - 1
    monkeypatch.setattr("agent.cli.lists.time.time", lambda: later)
    assert run(capsys, "build", "more.txt", "t.gpl", *of, "--version", "2", "--delta")[0] == 0
    found = load.open_list(here / "t.gpl")
    assert [found.find(gatepost.subject_key("demo", who)) for who in ("anna", "bert")] == [21, 1], "rounded up"


@pytest.mark.parametrize("more", [(), ("--delta",)])
def test_one_key_of_two_values_is_refused_with_both_lines(
    here: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    (here / "first.txt").write_text("carl green\n")
    assert run(capsys, "build", "first.txt", "s.gpl", *BUILD, "--version", "1")[0] == 0
    (here / "in.txt").write_text("# today\nanna red\nbert green\n\nanna green\n")
    status, _, err = run(capsys, "build", "in.txt", "s.gpl", *BUILD, "--version", "2", *more)
    assert (status, "in.txt: line 5: the key of line 2, and another value" in err) == (1, True)
    (here / "in.txt").write_text("anna red\nbert green\nanna red\n")
    assert run(capsys, "build", "in.txt", "s.gpl", *BUILD, "--version", "2", *more)[0] == 0


def test_what_is_left_out_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ", 2 lines with # left out" in built(capsys, "#7\nanna\n  # bert\n", "subject")


def test_text_in_a_file_of_keys_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sixteen lines of 33 characters are a whole number of keys, of nobody."""
    (here / "codes.bin").write_text(("00" * 16 + "\n") * 16)
    status, _, err = run(
        capsys, "build", "codes.bin", "r.gpl", "--kind", "revoked", "--issuer", "x", "--version", "1"
    )
    assert (status, "this is text" in err) == (1, True)
    assert not (here / "r.gpl").exists()


@pytest.mark.parametrize("issuer", ["https://Lab.example/", " https://lab.example:443 "])
def test_an_issuer_has_the_name_that_codes_have(
    here: Path, capsys: pytest.CaptureFixture[str], issuer: str
) -> None:
    (here / "in.txt").write_text("anna red\n")
    how = ("--kind", "status", "--issuer", issuer, "--of", "subject", "--version", "1")
    assert run(capsys, "build", "in.txt", "s.gpl", *how)[0] == 0
    assert load.open_list(here / "s.gpl").head.issuer == "https://lab.example"
    assert run(capsys, "build", "in.txt", "t.gpl", *BUILD[:2], "--issuer", " ", "--version", "1")[0] == 1


@pytest.mark.parametrize("more", [(), ("--delta",)])
@pytest.mark.parametrize("name", ["in.txt", "in.bin"])
def test_a_file_without_a_key_takes_nobody_off_a_list(
    here: Path, capsys: pytest.CaptureFixture[str], name: str, more: tuple[str, ...]
) -> None:
    built(capsys, "anna\n", "subject")
    before = (here / "l.gpl").read_bytes()
    (here / name).write_text("# cut off\n" if name == "in.txt" else "")
    how = ("--kind", "revoked", "--issuer", "demo", "--version", "2", *more)
    status, _, err = run(capsys, "build", name, "l.gpl", *how)
    assert status == 1
    assert more or "a list of nobody is made of /dev/null" in err
    assert (here / "l.gpl").read_bytes() == before
    assert run(capsys, "build", "/dev/null", "l.gpl", *how[:6])[0] == 0
    assert "0 keys: sound" in run(capsys, "check", "l.gpl")[1]


def test_another_file_is_not_written_over(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "in.txt").write_text("anna\n")
    (here / "issuers.toml").write_text("[[key]]\n")
    how = ("--kind", "revoked", "--issuer", "demo", "--of", "subject", "--version", "1")
    status, _, err = run(capsys, "build", "in.txt", "issuers.toml", *how)
    assert (status, "is another file, and no list" in err) == (1, True)
    assert (here / "issuers.toml").read_text() == "[[key]]\n"
    for broken in (b"", b"GPLI", b"GPLIST1\n{"):
        (here / "l.gpl").write_bytes(broken)
        assert run(capsys, "build", "in.txt", "l.gpl", *how)[0] == 0
