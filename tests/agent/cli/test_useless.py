"""What no kiosk would take, or what would do harm there, is refused where it is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli import main

SIGN = ["--fleet", "city", "--version", "1", "--key", "a.key"]
SEND = ["--to", "hall/gate-1", "--fleet", "city", "--key", "a.key"]
CODE = ["issue", "--key", "h.key", "--subject", "p"]
PERMIT = ["issue", "--key", "lib.key", "--subject", "p", "--permit", "visitor"]
COLUMNS = "issuer,subject,role\n"


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["a", "--server"], ["h"], ["lib", "--formats", "permit"]):
        assert main(["keys", "new", *words]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("venue", "", "it is empty"),
        ("zones", " \n", "it is empty"),
        ("keys", "# nobody\n", "it names no key"),
        ("config", "[foo]\nbar = 1\n", "foo.bar: is the kiosk's own"),
        ("config", '[mqtt]\nhost = "elsewhere"\n', "mqtt.host: is the kiosk's own"),
        ("config", '[policy]\ntable = "/tmp/mine.toml"\n', "policy.table: is the kiosk's own"),
        ("venue", 'name = "x"\nbadges = []\n', "left out for any"),
        ("venue", 'name = "x"\nroom = {capacity = 9, kiosks = ["hall/gate-1", "b"]}\n', "without the site"),
    ],
)
def test_a_bundle(kind: str, text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("content").write_text(text)
    assert main(["keys", "sign", "content", "--type", kind, *SIGN]) == 1
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True), err


def test_a_key_that_is_given_twice_is_one_signature(capsys: pytest.CaptureFixture[str]) -> None:
    Path("content").write_text('name = "x"\n')
    assert main(["keys", "sign", "content", "--type", "venue", *SIGN, "--key", "./a.key"]) == 1
    assert "given twice" in capsys.readouterr().err
    assert main(["keys", "sign", "content", "--type", "venue", *SIGN]) == 0


def test_settings_that_the_central_server_may_send(capsys: pytest.CaptureFixture[str]) -> None:
    Path("content").write_text("[checkpoint]\npassback_window_s = 60\n[lanes.entry]\nrelease_s = 3\n")
    assert main(["keys", "sign", "content", "--type", "config", *SIGN]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shut", "minutes=-5"], "0 to 10080 (minutes)"),
        (["shut", "minutes=nan"], "0 to 10080 (minutes)"),
        (["shut", "minutes=1000000000"], "0 to 10080 (minutes)"),
        (["count", "inside=ten"], "0 to 1000000 (people)"),
        (["close", "case=0O1I!", "feedback=cleared"], "five letters"),
        (["close", "case=KTRWA", "feedback=ok"], "one of cleared"),
    ],
)
def test_a_command(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["command", *words, *SEND]) == 1
    assert said in capsys.readouterr().err
    for good in (["shut", "minutes=30"], ["count", "inside=12"], ["close", "case=KTRWA", "feedback=cleared"]):
        assert main(["command", *good, *SEND]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*CODE, "--hours", "09:00-12:00"], "--hours: a health code does not say this"),
        ([*CODE, "--uses", "3", "--at", "hall"], "--at, --uses"),
        ([*PERMIT, "--colour", "green"], "--colour: a permit does not say this"),
        ([*PERMIT, "--test", "pcr:2026-01-01T08:00"], "--test: a permit does not say this"),
        (
            ["issue", "--key", "h.key", "--place", "hall", "--colour", "red"],
            "the code of a place does not say this",
        ),
        ([*PERMIT, "--place", "hall"], "--permit: the code of a place does not say this"),
        ([*CODE, "--issued", "2020-01-01"], "it would have expired"),
        ([*PERMIT, "--issued", "2020-01-01"], "it would have expired"),
        (["issue", "--key", "lib.key", "--subject", "p"], "kiosks take permit of this key"),
        (["issue", "--key", "h.key", "--subject", "p", "--permit", "visitor"], "kiosks take gatepost of this key"),
        (["issue", "--key", "a.key", "--subject", "p"], "a key of the central server"),
    ],
)
def test_a_code(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True), err


def test_codes_that_kiosks_take() -> None:
    for words in (CODE, [*PERMIT, "--uses", "3"], ["issue", "--key", "h.key", "--place", "hall"]):
        assert main(words) == 0


def test_a_roster_of_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    Path("table.csv").write_text(COLUMNS)
    assert main(["roster", "build", "table.csv", "--out", "roster.json"]) == 1
    assert "names nobody" in capsys.readouterr().err
    assert not Path("roster.json").exists()


@pytest.mark.parametrize("name", ["Status", "status.gpl", "a b", "-x", "é", "x" * 65, "a/b"])
def test_a_bundle_of_a_name_that_no_kiosk_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.toml").write_text("")
    assert main(["keys", "sign", "t.toml", "--type", "policy", f"--name={name}", *SIGN]) == 1
    assert "small letters, digits, - and _" in capsys.readouterr().err


def test_a_fleet_that_nobody_can_print(capsys: pytest.CaptureFixture[str]) -> None:
    Path("content").write_text('name = "x"\n')
    words = ["--fleet", "ci\x1b[31mty", "--version", "1", "--key", "a.key"]
    assert main(["keys", "sign", "content", "--type", "venue", *words]) == 1
    assert "printed characters" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["１２", "1_000", "٣"])
def test_a_number_is_plain_digits(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["command", "open", "lane=in", *SEND, "--seconds", number])
    assert "should be a whole number" in capsys.readouterr().err
