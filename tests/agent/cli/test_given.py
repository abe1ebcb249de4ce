"""Files that a person names: the wrong one, a device, a pipe, another encoding, or one that would be lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.command_line import gatepost

READERS = (
    "keys sign {} --type keys --fleet city --version 1 --key op.key",
    "keys sign {} --type root --fleet city --version 1 --key op.key",
    "keys add {} --formats dcc --keys new.toml",
    "keys public {}",
    "keys root root={}",
    "roster build {} --out roster.json",
    "roster show {}",
    "privacy check {}",
    "privacy unseal --key {} events",
    "config render {}",
    "config render table.csv --common {}",
    "screening evaluate {}",
    "command rotate certificate=@{} --to a/b --fleet city --key op.key",
    "push {} --broker localhost:1 --plain",
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert gatepost("keys", "new", "op", "--server").returncode == 0
    Path("table.csv").write_text("issuer,subject,role\na,b,pupil\n")
    Path("utf16").write_text("kiosk.site,kiosk.id\n", encoding="utf-16")
    Path("gbk").write_text("kiosk.site,\u59d3\u540d\n", encoding="gbk")
    Path("subjects").write_text("a\n")
    os.mkfifo("pipe")


@pytest.mark.parametrize("command", READERS)
def test_is_named_and_not_read_for_ever(command: str) -> None:
    for file in ("/dev/zero", "pipe", "utf16", "gbk"):
        done = gatepost(*command.format(file).split())
        assert done.returncode == 1, command
        assert file in done.stderr, (command, done.stderr)
        assert len(done.stderr.splitlines()) == 1
        assert "codec" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "command",
    [
        "keys new a --private no/a.key",
        "keys new a --keys no/issuers.toml",
        "lists build subjects no/a.gpl --kind revoked --issuer a --version 1 --of subject",
        "support --out no/a.tar.gz",
    ],
)
def test_a_folder_that_is_not_there_is_named(command: str) -> None:
    done = gatepost(*command.split())
    assert done.returncode == 1
    assert done.stderr.endswith("is not there: there is no folder no\n"), done.stderr
    assert ".new" not in done.stderr


def test_a_folder_in_place_of_a_file_leaves_nothing_behind() -> None:
    Path("folder").mkdir()
    done = gatepost("roster", "build", "table.csv", "--out", "folder")
    assert (done.returncode, done.stderr) == (1, "folder is a folder, not a file\n")
    assert not Path("folder.new").exists()


@pytest.mark.parametrize(
    "command",
    ["roster build table.csv --out {}", "support --out {}"],
)
def test_no_other_file_is_replaced(command: str) -> None:
    kept = Path("table.csv").read_bytes()
    done = gatepost(*command.format("table.csv").split())
    assert done.returncode == 1
    assert "table.csv is another file" in done.stderr
    assert Path("table.csv").read_bytes() == kept


def test_its_own_file_is() -> None:
    for _ in range(2):
        assert gatepost("roster", "build", "table.csv", "--out", "roster.json").returncode == 0


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ('2026-01-01T08:00Z,in,face,"34,1",22,36.8', "surface_c '34,1' is no temperature from -40 to 60 °C"),
        ("2026-01-01T08:00Z,in,face,34.1,22,98.6", "reference_c '98.6' is no temperature from -40 to 60 °C"),
        ("yesterday,in,face,34.1,22,36.8", "time 'yesterday' is no time in ISO 8601"),
    ],
)
def test_a_cell_of_a_study(cells: str, said: str) -> None:
    Path("people.csv").write_text(f"time,lane,site,surface_c,ambient_c,reference_c\n{cells}\n")
    done = gatepost("screening", "evaluate", "people.csv")
    assert done.returncode == 1
    assert done.stderr.startswith(f"people.csv: line 2: {said}")


def test_a_table_of_another_spreadsheet() -> None:
    Path("table.csv").write_text("issuer;subject;role\n")
    done = gatepost("roster", "build", "table.csv", "--out", "roster.json")
    assert "table.csv: line 1: " in done.stderr
    assert "separate columns by commas" in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("lists build subjects a.gpl --kind revoked --issuer a --version 0 --of subject", "--version 0: 1 or more"),
        (
            "lists build subjects a.gpl --kind revoked --issuer a --version 1 --warn-hours 72 --refer-hours 24",
            "for example 24 and 72",
        ),
        ("homeassistant localhost:1 --plain --prefix a/#", "--prefix a/#: a topic without + and #"),
        ("upgrade content gatepost-release_1_arm64.deb", "gatepost-release_1_arm64.deb is not there"),
        ("upgrade rollout utf16 --stop utf16 --broker localhost:1", "utf16: bundle refused"),
        ("privacy unseal --key k.pem table.csv", "none of 2 lines is an event"),
        ("staff new G-07 --role guard", "'G-07' is no number of a badge"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_done(command: str, said: str) -> None:
    assert gatepost("privacy", "new", "k").returncode == 0
    done = gatepost(*command.split())
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert not Path("a.gpl").exists()


def test_a_number_of_somebody_who_waits() -> None:
    done = gatepost("remeasure", "entry", "36.8", "--for", "abc")
    assert "'abc' should be a whole number from 1 to 999, for example 7" in done.stderr
