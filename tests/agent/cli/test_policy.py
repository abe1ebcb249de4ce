"""`gatepost policy`: proved, refused with every fault, explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import cli
from agent.ruleset import load


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.main(["policy", *words])
    found = capsys.readouterr()
    return status, found.out, found.err


def test_every_profile_is_listed_and_proved(capsys: pytest.CaptureFixture[str]) -> None:
    names = [path.stem for path in load.profiles()]
    status, out, _ = run(capsys, "check", *names)
    assert (status, out.count("proved")) == (0, len(names))
    listed = run(capsys, "list")[1]
    assert [line.split()[0] for line in listed.splitlines()] == names


def test_a_wrong_table_is_refused_with_every_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(
        '[table]\nname = "wrong"\nversion = 1\n'
        '[[row]]\nname = "all"\noutcome = "admit"\nreasons = ["code_green"]\n'
        '[[row]]\nname = "late"\noutcome = "refer"\nreasons = ["fever"]\n'
    )
    status, _, err = run(capsys, "check", str(file), "default")
    assert status == 1
    assert "row 'late' can never be reached" in err
    assert "breaks 'no entry without a valid code'" in err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "there is no profile of this name, and a file ends with .toml; `gatepost policy list`"),
        ("ofice", "did you mean office?"),
        ("none.toml", "is not there; `gatepost policy list` names what is"),
        ("../default", "there is no profile of this name"),
        ("/dev/zero", "there is no profile of this name"),
    ],
)
def test_a_table_that_is_not_there(capsys: pytest.CaptureFixture[str], name: str, said: str) -> None:
    status, _, err = run(capsys, "check", name)
    assert status == 1
    assert said in err
    assert err.startswith(f"{name}: refused")


def test_explained(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "explain", "office", "zone=high", "code=green")
    assert status == 0
    assert "“high risk: no test”" in out
    assert "转人工核验" in run(capsys, "explain", "office", "zone=high", "--language", "zh")[1]


@pytest.mark.parametrize(
    ("fact", "known"),
    [("colour=red", "direction"), ("", "direction"), ("code=blue", "unknown_issuer"), ("code", "red")],
)
def test_an_unknown_fact_lists_what_there_is(capsys: pytest.CaptureFixture[str], fact: str, known: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(["policy", "explain", "office", fact])
    assert known in capsys.readouterr().err
