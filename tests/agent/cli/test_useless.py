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


def test_a_root_that_its_own_keys_have_not_signed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["keys", "new", "b", "--server"])
    capsys.readouterr()
    for roles, keys in (("root=b.pub", ["a"]), ("root=2:a.pub,b.pub", ["a"])):
        assert main(["keys", "root", roles]) == 0
        Path("root.json").write_text(capsys.readouterr().out)
        words = [word for key in keys for word in ("--key", f"{key}.key")]
        sign = ["keys", "sign", "root.json", "--type", "root", "--fleet", "city", "--version", "1"]
        assert main([*sign, *words]) == 1
        out, err = capsys.readouterr()
        assert (out, "root.json: its own role root is not satisfied" in err) == ("", True), err
    both = ["--key", "a.key", "--key", "b.key"]
    assert main([*sign, *both]) == 0


def test_a_key_that_signs_codes_signs_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    Path("content").write_text('name = "x"\n')
    words = ["--fleet", "city", "--version", "1", "--key", "h.key"]
    assert main(["keys", "sign", "content", "--type", "venue", *words]) == 1
    assert main(["command", "flush", "--to", "hall/gate-1", "--fleet", "city", "--key", "h.key"]) == 1
    assert capsys.readouterr().err.count("h.key: it signs codes (gatepost)") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["wipe", "events=keep"], "events=keep: one of deliver, discard"),
        (["restart", "role=scanner"], "of which lane?"),
        (["restart", "lane=in", "role=scaner"], "role=scaner: one of scanner"),
        (["rotate", "certificate=abc"], "no certificate in PEM form"),
        (["rotate", "certificate=@a.pub"], "no certificate in PEM form"),
        (["open", "lanes=in"], "lane=… is missing; there is no argument lanes; did you mean lane?"),
        (["flush", "--json", "--username", "x"], "--json, --username: of a connection"),
    ],
)
def test_a_command_of_which_nothing_would_come(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["command", *words, *SEND]) == 1
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True), err


@pytest.mark.parametrize("whom", ["@north,@south", "@a/b", "@北", "@-x", "a b/c", "a/b,a/c", "@" + "n" * 65])
def test_nothing_is_made_for_whom_no_kiosk_can_be(whom: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Two groups in one, for example: what is revoked for them is revoked for nobody."""
    Path("content").write_text('name = "x"\n')
    for words in (
        ["keys", "sign", "content", "--type", "venue", "--target", whom, *SIGN],
        ["command", "flush", *SEND, "--to", whom],
    ):
        assert main(words) == 1
        out, err = capsys.readouterr()
        assert (out, "SITE/KIOSK" in err) == ("", True), err


@pytest.mark.parametrize(
    "words",
    [
        [*PERMIT, "--at", ""],
        [*PERMIT, "--group", " "],
        [*CODE, "--issuer", ""],
        ["keys", "sign", "content", "--type", "venue", "--target", "", *SIGN],
        ["command", "flush", *SEND, "--id", ""],
        ["push", "a.bundle", "--broker", "localhost:1", "--plain", "--to", ""],
    ],
)
def test_an_empty_value_is_not_the_widest_one(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As a variable of a shell leaves it that is not set: no permit for every place, no bundle for all."""
    Path("content").write_text('name = "x"\n')
    with pytest.raises(SystemExit):
        main(words)
    out, err = capsys.readouterr()
    assert (out, "its value is empty" in err) == ("", True), err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["keys", "new", "x", "--server", "--formats", "permit"], "leave out --formats"),
        (["keys", "new", "x", "--server", "--keys", "k.toml"], "leave out --formats"),
        (["keys", "root", "rot=a.pub"], "did you mean root?"),
        (["keys", "root", "root=１:a.pub"], "is not there"),
        (["keys", "root", "root=a.key"], "it is private: give a.pub"),
        ([*CODE, "--png", "x.jpg"], "x.jpg: a picture is a .png, for example x.png"),
        ([*CODE, "--png", "issuers.png"], "it would be lost"),
    ],
)
def test_a_sentence_that_helps(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("issuers.png").write_text("[[key]]\n")
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True), err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--days", "1", "--seconds", "30"], "not allowed with"),
        (["--test", "pcr"], "names no time, for example pcr:2026-01-31T08:00+08:00"),
        (["--test", "PCR:2026-01-01"], "of the kind pcr or antigen"),
        (["--issued", "31.1.2026"], "for example 2026-01-31T08:00+08:00"),
    ],
)
def test_a_word_of_a_code(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*CODE, *words])
    assert said in capsys.readouterr().err


def _root(capsys: pytest.CaptureFixture[str], *roles: str) -> None:
    assert main(["keys", "root", *roles]) == 0
    Path("root.json").write_text(capsys.readouterr().out)
    words = ["--type", "root", "--days", "3650", *SIGN]
    assert main(["keys", "sign", "root.json", *words]) == 0
    Path("root.bundle").write_text(capsys.readouterr().out)


NEW = ["authority", "new", "--fleet", "city", "--root", "root.bundle", "--broker", "b.example"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fleet", "town"], "root.bundle is of the fleet city"),
        (["--root", "root.json"], "--root root.json: "),
        (["--broker", "b 1"], "'b 1' is no broker"),
        (["--broker-ca", "a.pub"], "a.pub: it is no certificate"),
        (["--broker-cert", "a.pub"], "a.pub: it is no certificate"),
        (["--bundle", "root.json"], "--bundle root.json: "),
        (["--settings", "nowhere"], "--settings nowhere: no folder"),
    ],
)
def test_an_authority_that_could_enrol_nobody(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _root(capsys, "root=a.pub", "enrol=a.pub", "keys=a.pub")
    assert main([*NEW, *words]) == 1
    assert said in capsys.readouterr().err
    assert not Path("authority").exists()
    assert main(NEW) == 0


def test_an_authority_without_a_role_for_invitations(capsys: pytest.CaptureFixture[str]) -> None:
    _root(capsys, "root=a.pub", "keys=a.pub")
    assert main(NEW) == 1
    assert "needs the role enrol" in capsys.readouterr().err


def test_an_invitation_that_no_kiosk_would_believe(capsys: pytest.CaptureFixture[str]) -> None:
    main(["keys", "new", "b", "--server"])
    capsys.readouterr()
    _root(capsys, "root=a.pub", "enrol=a.pub")
    assert main(NEW) == 0
    assert main(["authority", "invite", "hall/gate-1", "--key", "b.key", "--out", "i"]) == 1
    assert "keys of the role enrol" in capsys.readouterr().err
    assert not Path("i").exists()
    assert main(["authority", "list"]) == 0
    assert "hall" not in capsys.readouterr().out
    assert main(["authority", "invite", "hall/gate-1", "--key", "a.key", "--out", "i"]) == 0


def test_a_certificate_whose_key_file_is_there_already_is_not_issued(capsys: pytest.CaptureFixture[str]) -> None:
    _root(capsys, "root=a.pub", "enrol=a.pub")
    assert main(NEW) == 0
    Path("server.key").write_text("of before")
    assert main(["authority", "certificate", "server"]) == 1
    assert "server.key is there already" in capsys.readouterr().err
    assert main(["authority", "list"]) == 0
    assert "server" not in capsys.readouterr().out


def test_changes_that_no_kiosk_would_take(capsys: pytest.CaptureFixture[str]) -> None:
    Path("keys.txt").write_text("alice\n")
    build = ["lists", "build", "keys.txt", "l.gpl", "--kind", "revoked", "--issuer", "h", "--of", "subject"]
    assert main([*build, "--version", "1"]) == 0
    sign = ["keys", "sign", "l.gpl", "--type", "list", "--name", "revoked", "--key", "a.key"]
    capsys.readouterr()
    assert main([*sign, "--fleet", "city", "--version", "3"]) == 0
    Path("l.bundle").write_text(capsys.readouterr().out)
    assert main([*sign, "--fleet", "city", "--version", "3", "--after", "l.bundle"]) == 1
    assert "has version 3, this needs 4 or more" in capsys.readouterr().err
    assert main([*sign, "--fleet", "town", "--version", "4", "--after", "l.bundle"]) == 1
    assert "it is for the fleet city, not town" in capsys.readouterr().err
    assert main([*sign, "--fleet", "city", "--version", "4", "--after", "l.bundle"]) == 0
