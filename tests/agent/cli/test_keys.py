"""`gatepost keys` and `gatepost issue`: from nothing to a code that this gate believes."""

from __future__ import annotations

import datetime as dt
import json
import stat
import time
from base64 import urlsafe_b64encode
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent import cli, credentials, policy
from agent.credentials import bundle
from agent.credentials.trust import parse_keys
from agent.model import ClockState, TimeBounds
from agent.platform.packaged import packaged
from agent.ruleset import load
from drivers import vision
from drivers.vision import opencv


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEPOST_CONFIG", str(tmp_path / "no.toml"))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert cli.main(list(words)) == status
    return capsys.readouterr().out


def test_a_key_stays_with_its_owner(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keys", "new", "demo-health")
    private = here / "demo-health.key"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert "PRIVATE" not in (here / "issuers.toml").read_text()
    assert "demo-health  Ed25519  gatepost" in said(capsys, "keys", "list")
    assert said(capsys, "keys", "public", "demo-health.key").strip() in (here / "issuers.toml").read_text()


@pytest.mark.parametrize("issuer", ['the "big" one', "卫健委", "🎸"])
def test_an_issuer_of_any_name(here: Path, capsys: pytest.CaptureFixture[str], issuer: str) -> None:
    said(capsys, "keys", "new", issuer)
    assert f"  {issuer}  Ed25519" in said(capsys, "keys", "list")


def test_a_key_is_never_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keys", "new", "a")
    before = (here / "a.key").read_bytes()
    assert cli.main(["keys", "new", "a"]) == 1
    assert "a.key" in capsys.readouterr().err
    assert (here / "a.key").read_bytes() == before


@pytest.mark.parametrize("words", [["list"], ["public", "none.key"]])
def test_a_missing_file_is_one_sentence(here: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert cli.main(["keys", *words]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("kind", ["ed25519", "sm2"])
def test_issued_and_verified(here: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    if cli.main(["keys", "new", "demo", "--kind", kind]):
        pytest.skip(capsys.readouterr().err)
    capsys.readouterr()
    code = said(
        capsys,
        "issue",
        "--key",
        "demo.key",
        "--subject",
        "a",
        "--colour",
        "yellow",
        "--test",
        "pcr:2026-01-31T08:00Z",
    ).strip()
    answer = json.loads(said(capsys, "verify", "--json", code))
    assert (answer["status"], answer["issuer"], answer["colour"]) == ("valid", "demo", "yellow")
    assert answer["tests"] == [{"kind": "pcr", "taken": "2026-01-31 08:00:00Z", "positive": False}]
    assert answer["outcome"] == "refer"


def test_a_qr_picture_reads_back(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keys", "new", "demo")
    said(capsys, "issue", "--key", "demo.key", "--subject", "a", "--png", "a.png")
    picture = opencv.from_bytes((here / "a.png").read_bytes())
    assert isinstance(picture, np.ndarray)
    (text,) = vision.read(picture)
    assert text.startswith("GP1:")
    assert "admit" in said(capsys, "verify", "a.png")


def test_drawn_on_the_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keys", "new", "demo")
    drawn = said(capsys, "issue", "--key", "demo.key", "--subject", "a", "--terminal")
    assert len(drawn.splitlines()) > 20
    assert "GP1:" not in drawn


@pytest.mark.parametrize(
    "words",
    [
        ["--test", "pdr:2026-01-31T08:00"],
        ["--test", "pcr"],
        ["--test", "pcr:yesterday"],
        ["--issued", "noon"],
        ["--colour", "blue"],
    ],
)
def test_a_wrong_argument_is_explained(here: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["issue", "--key", "x", "--subject", "a", *words])
    assert caught.value.code == 2
    assert "invalid _" not in capsys.readouterr().err


SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "codes"


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data/codes is not beside the project")
def test_others_keys_are_pinned_from_what_they_publish(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keys", "add", str(SHARED / "shc-jwks.json"), "--formats", "shc")
    case = next(case for case in json.loads((SHARED / "dcc.json").read_text()) if case["accept"])
    (here / "state.pem").write_text(f"-----BEGIN CERTIFICATE-----\n{case['cert']}\n-----END CERTIFICATE-----\n")
    said(capsys, "keys", "add", "state.pem", "--formats", "dcc", "--issuer", "State")
    assert len(said(capsys, "keys", "list").splitlines()) == 3
    answer = json.loads(said(capsys, "verify", "--json", case["text"], "--at", case["clock"]))
    assert (answer["status"], answer["issuer"]) == ("valid", "State")
    card = next(case for case in json.loads((SHARED / "shc.json").read_text()) if case["accept"])["data"][0]
    assert json.loads(said(capsys, "verify", "--json", card))["issuer"].startswith("https://")


def test_a_key_of_the_server_signs_no_codes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keys", "new", "duty", "--server")
    assert stat.S_IMODE((here / "duty.key").stat().st_mode) == 0o600
    assert not (here / "issuers.toml").exists()


def test_a_bundle_for_the_gates(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keys", "new", "issuer")
    for name in ("root1", "root2"):
        said(capsys, "keys", "new", name, "--server")
    (here / "root.json").write_text(said(capsys, "keys", "root", "root=2:root1.pub,root2.pub", "keys=root1.pub"))
    both = ["--fleet", "city", "--version", "1", "--key", "root1.key"]
    root = bundle.first_root(
        said(capsys, "keys", "sign", "root.json", "--type", "root", *both, "--key", "root2.key").encode()
    )
    signed = said(capsys, "keys", "sign", "issuers.toml", "--type", "keys", *both).encode()
    now = TimeBounds(time.time(), time.time(), ClockState.SYNCED)
    taken = bundle.accept(signed, root, None, now, kind="keys", targets=("library/gate-3",))
    assert len(parse_keys(taken.content, "bundle").keys) == 1
    for_group = said(capsys, "keys", "sign", "issuers.toml", "--type", "keys", "--target", "@north", *both).encode()
    assert (
        bundle.accept(for_group, root, None, now, kind="keys", targets=("library/gate-3", "@north")).target
        == "@north"
    )
    with pytest.raises(bundle.BadBundle, match="it is for @north"):
        bundle.accept(for_group, root, None, now, kind="keys", targets=("library/gate-3",))


@pytest.mark.parametrize("how", [["keys", "north"], ["keys", "*/gate-3"], ["root", "@north"]])
def test_a_target_that_is_none(here: Path, capsys: pytest.CaptureFixture[str], how: list[str]) -> None:
    said(capsys, "keys", "new", "root", "--server")
    (here / "root.json").write_text(said(capsys, "keys", "root", "root=root.pub"))
    words = ["--fleet", "city", "--version", "1", "--key", "root.key", "--type", how[0], "--target", how[1]]
    assert cli.main(["keys", "sign", "root.json", *words]) == 1
    assert f"--target {how[1]}: SITE/KIOSK" in capsys.readouterr().err


@pytest.mark.parametrize(
    "roles",
    [["keys=a.pub"], ["root=a.pub", "commands=a.pub"], ["root=a.pub", "root=a.pub"], ["root=a.key"], ["root="]],
)
def test_a_root_that_no_gate_would_take(here: Path, capsys: pytest.CaptureFixture[str], roles: list[str]) -> None:
    said(capsys, "keys", "new", "a", "--server")
    assert cli.main(["keys", "root", *roles]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_code_of_a_place(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keys", "new", "demo")
    text = said(capsys, "issue", "--key", "demo.key", "--place", "main gate").strip()
    answer = json.loads(said(capsys, "verify", "--json", text, status=1))
    assert (answer["format"], answer["outcome"]) == ("place", "refer")
    assert cli.main(["issue", "--key", "demo.key"]) == 1
    assert "--subject" in capsys.readouterr().err


def test_a_profile_is_signed_whole_so_that_a_gate_takes_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keys", "new", "server", "--server")
    (here / "root.json").write_text(said(capsys, "keys", "root", "root=server.pub", "policy=server.pub"))
    (here / "office.toml").write_text(packaged("policy/office.toml").read_text())
    sign = ("keys", "sign", "--fleet", "city", "--key", "server.key")
    office = ("office.toml", "--type", "policy", "--name", "office")
    (here / "root.bundle").write_text(said(capsys, *sign, "root.json", "--type", "root", "--version", "1"))
    (here / "office.bundle").write_text(said(capsys, *sign, *office, "--version", "1"))
    said(capsys, "keys", "install", "root.bundle", "--bundles", "bundles")
    said(capsys, "keys", "import-bundle", "office.bundle", "--bundles", "bundles")
    assert load.load_table(policy.Options("office"), here, "bundles").rows
    said(capsys, *sign, *office, "--version", "0", status=1)


@pytest.mark.parametrize(
    ("roles", "why"),
    [
        (["root=2:one.pub"], "root=2:one.pub: 2 signatures are asked for, of 1 different keys"),
        (["root=one.pub", "keys=5:one.pub,two.pub"], "1 to 2 are possible, for example keys=2:one.pub,two.pub"),
        (["root=one.pub", "keys=2:one.pub,one.pub"], "of 1 different keys"),
        (["root=0:one.pub"], "0 signatures"),
        (["keys=one.pub"], "root=N:FILE"),
        (["root=one.key"], "one.key: not a public key"),
    ],
)
def test_a_root_that_nobody_could_sign_is_not_made(
    here: Path, capsys: pytest.CaptureFixture[str], roles: list[str], why: str
) -> None:
    for name in ("one", "two"):
        said(capsys, "keys", "new", name, "--server")
    assert cli.main(["keys", "root", *roles]) == 1
    answer = capsys.readouterr()
    assert (answer.out, why in answer.err) == ("", True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["office.toml", "--type", "policy"], "--name"),
        (["issuers.toml", "--type", "keys", "--name", "x"], "leave out --name x"),
        (["issuers.toml", "--type", "keys", "--version", "0"], "--version 0: 1 or more"),
        (["issuers.toml", "--type", "keys", "--days", "0"], "--days 0: more than 0"),
        (["issuers.toml", "--type", "keys", "--warn-hours", "80"], "for example 24 and 72"),
        (["issuers.toml", "--type", "keys", "--fleet", ""], "--fleet"),
        (["bad.toml", "--type", "keys"], "keys file"),
        (["root.json", "--type", "root"], "threshold"),
    ],
)
def test_what_no_kiosk_would_take_is_not_signed(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    said(capsys, "keys", "new", "server", "--server")
    said(capsys, "keys", "new", "issuer")
    (here / "office.toml").write_text(packaged("policy/office.toml").read_text())
    (here / "bad.toml").write_text("[[key]]\nissuer = 7\n")
    root = json.loads(said(capsys, "keys", "root", "root=server.pub"))
    root["roles"]["root"]["threshold"] = 2
    (here / "root.json").write_text(json.dumps(root))
    sign = ["keys", "sign", "--key", "server.key"]
    usual = {"--fleet": "city", "--version": "1"}
    missing = [word for name, value in usual.items() if name not in words for word in (name, value)]
    assert cli.main([*sign, *words, *missing]) == 1
    answer = capsys.readouterr()
    assert (answer.out, why in answer.err) == ("", True), answer.err


@pytest.mark.parametrize(
    "words",
    [
        ["--test", "pcr:2199-01-31T08:00Z"],
        ["--test", "antigen:2026-02-02", "--issued", "2026-01-31T08:00Z"],
        ["--issued", "2199-01-31T08:00Z"],
        ["--days", "0"],
        ["--seconds", "0"],
    ],
)
def test_a_code_of_the_future_is_not_issued(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    said(capsys, "keys", "new", "demo")
    assert cli.main(["issue", "--key", "demo.key", "--subject", "a", *words]) == 1
    answer = capsys.readouterr()
    assert answer.out == ""
    assert words[0] in answer.err
    assert "for example" in answer.err or "in the future" in answer.err


def certificate(name: str, *usages: str, days: int = 30) -> bytes:
    """A certificate that signs itself, as PEM, valid from yesterday on."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=100)
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, start, end)
    if usages:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([x509.ObjectIdentifier(each) for each in usages]), False
        )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_every_certificate_of_a_file_is_pinned_with_its_limits(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = certificate("one", "1.3.6.1.4.1.0.1847.2021.1.1")
    (here / "all.pem").write_bytes(b"said before\n" + tests + certificate("two", days=-30) + certificate("three"))
    answer = said(capsys, "keys", "add", "all.pem", "--formats", "dcc")
    assert "3 keys added" in answer
    assert "for test" in answer
    keys = [
        key for several in load.load_trust(credentials.Options("issuers.toml")).keys.values() for key in several
    ]
    limits = {key.issuer: key.limits for key in keys}
    assert limits["one"].kinds == {"test"}
    assert limits["two"].expires_utc < time.time() < limits["three"].expires_utc
    assert "0 keys added, 3 were there already" in said(capsys, "keys", "add", "all.pem", "--formats", "dcc")


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nMIIC", b'{"keys": []}', b'{"a": 1}']
)
def test_a_file_that_is_refused_leaves_the_keys_file_as_it_was(
    here: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    said(capsys, "keys", "new", "demo")
    before = (here / "issuers.toml").read_bytes()
    (here / "wrong").write_bytes(content)
    assert cli.main(["keys", "add", "wrong", "--formats", "shc"]) == 1
    assert (here / "issuers.toml").read_bytes() == before
    assert capsys.readouterr().err.count("\n") == 1


def test_a_key_set_of_nobody_asks_for_the_issuer(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    x, y = (urlsafe_b64encode(each.to_bytes(32)).decode() for each in (numbers.x, numbers.y))
    (here / "set.json").write_text(
        json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "k"}]})
    )
    add = ("keys", "add", "set.json", "--formats", "shc")
    said(capsys, *add, status=1)
    assert not (here / "issuers.toml").exists()
    said(capsys, *add, "--issuer", "https://Health.example/cards/")
    assert "https://health.example/cards  P-256" in said(capsys, "keys", "list")


def test_a_name_that_makes_no_table_leaves_no_key_behind(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "issuers.toml").write_text("[[key]]\nissuer = 7\n")
    said(capsys, "keys", "new", "demo", status=1)
    assert [file.name for file in here.iterdir()] == ["issuers.toml"]


@pytest.mark.parametrize("days", ["inf", "nan"])
def test_a_number_of_days_is_finite(here: Path, capsys: pytest.CaptureFixture[str], days: str) -> None:
    said(capsys, "keys", "new", "demo")
    with pytest.raises(SystemExit) as ended:
        cli.main(["issue", "--key", "demo.key", "--subject", "a", "--days", days])
    assert ended.value.code == 2
    assert f"--days: '{days}' should be a number from 0 to 36500, for example" in capsys.readouterr().err
