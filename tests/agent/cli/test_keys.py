"""`gatepost keys` and `gatepost issue`: from nothing to a code that this gate believes."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import numpy as np
import pytest

from agent import cli, policy, vault
from agent.codes import bundle
from agent.codes.trust import parse_keys
from agent.model import ClockState, Now
from agent.packaged import packaged
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


def test_a_key_of_the_centre_signs_no_codes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keys", "new", "duty", "--centre")
    assert stat.S_IMODE((here / "duty.key").stat().st_mode) == 0o600
    assert not (here / "issuers.toml").exists()


def test_a_bundle_for_the_gates(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "keys", "new", "issuer")
    for name in ("root1", "root2"):
        said(capsys, "keys", "new", name, "--centre")
    (here / "root.json").write_text(said(capsys, "keys", "root", "root=2:root1.pub,root2.pub", "keys=root1.pub"))
    both = ["--fleet", "city", "--version", "1", "--key", "root1.key"]
    root = bundle.first_root(
        said(capsys, "keys", "sign", "root.json", "--type", "root", *both, "--key", "root2.key").encode()
    )
    signed = said(capsys, "keys", "sign", "issuers.toml", "--type", "keys", *both).encode()
    now = Now(time.time(), time.time(), ClockState.SYNCED)
    taken = bundle.accept(signed, root, None, now, kind="keys")
    assert len(parse_keys(taken.content, "bundle").keys) == 1


@pytest.mark.parametrize(
    "roles",
    [["keys=a.pub"], ["root=a.pub", "orders=a.pub"], ["root=a.pub", "root=a.pub"], ["root=a.key"], ["root="]],
)
def test_a_root_that_no_gate_would_take(here: Path, capsys: pytest.CaptureFixture[str], roles: list[str]) -> None:
    said(capsys, "keys", "new", "a", "--centre")
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
    said(capsys, "keys", "new", "centre", "--centre")
    (here / "root.json").write_text(said(capsys, "keys", "root", "root=centre.pub", "policy=centre.pub"))
    (here / "office.toml").write_text(packaged("policy/office.toml").read_text())
    sign = ("keys", "sign", "--fleet", "city", "--key", "centre.key")
    office = ("office.toml", "--type", "policy", "--name", "office")
    (here / "root.bundle").write_text(said(capsys, *sign, "root.json", "--type", "root", "--version", "1"))
    (here / "office.bundle").write_text(said(capsys, *sign, *office, "--version", "1"))
    said(capsys, "keys", "install", "root.bundle", "--bundles", "bundles")
    said(capsys, "keys", "take", "office.bundle", "--bundles", "bundles")
    assert vault.load_table(policy.Options("office"), here, "bundles").rows
    said(capsys, *sign, *office, "--version", "-1", status=1)
