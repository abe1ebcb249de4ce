"""`gatepost verify`: as a guard would read it, as a script would, and as an issuer's test set."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
import segno

from agent import cli
from agent.cli import verify
from agent.credentials import bundle
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import ClockState, TimeBounds
from agent.platform.packaged import packaged
from agent.ruleset import load
from drivers.simulators import qr
from drivers.vision import opencv

PICTURES = Path(__file__).parents[3].parent / "shared" / "data" / "codes" / "qa"
UTC = 1_700_000_000


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration and no keys but those that a test names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEPOST_CONFIG", str(tmp_path / "no.toml"))


@pytest.fixture
def code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """A code of the issuer `demo`, whose key is in issuers.toml."""
    assert cli.main(["keys", "new", "demo"]) == 0
    capsys.readouterr()
    key = signing.private_key((tmp_path / "demo.key").read_bytes())
    claims = gatepost.claims("demo", "holder", gatepost.Colour.GREEN, issued_utc=UTC, expires_utc=UTC + 100)
    return gatepost.issue(key, claims)


def test_what_a_guard_reads(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", code, "--at", "2023-11-14T22:13:30Z"]) == 0
    words = capsys.readouterr().out
    for line in ("Gatepost code", "demo", "green", "valid", "admit", "Valid green code.", "绿码有效。"):
        assert line in words
    assert code[4:] not in words


def test_a_picture_that_is_not_there_is_not_taken_for_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", "nowhere.png"]) == 2
    assert capsys.readouterr() == ("", "nowhere.png is not there\n")
    assert cli.main(["verify", "https://example.org/code.png"]) == 1, "the text of a code may look like this"


@pytest.mark.parametrize(
    ("at", "extra", "outcome", "reason"),
    [
        ("2023-11-14T22:13:30Z", [], "admit", "code_green"),
        ("2023-11-14T22:13:30Z", ["--temperature", "elevated"], "refer", "fever"),
        ("2023-11-14T22:13:30Z", ["--table", "care_home"], "refer", "test_missing"),
        ("2024-11-14T22:13:30Z", [], "refer", "code_expired"),
        ("2024-11-14T22:13:30Z", ["--direction", "exit"], "admit", "egress_free"),
    ],
)
def test_what_this_gate_would_do(
    code: str, capsys: pytest.CaptureFixture[str], at: str, extra: list[str], outcome: str, reason: str
) -> None:
    cli.main(["verify", "--json", code, "--at", at, *extra])
    answer = json.loads(capsys.readouterr().out)
    assert (answer["outcome"], answer["reasons"][0]) == (outcome, reason)


@pytest.mark.parametrize(
    ("words", "status"),
    [(["hello"], 1), (["HC1:"], 1), ([], 2), (["x", "--keys", "none.toml"], 2), (["x", "--table", "none"], 2)],
)
def test_bad_input_is_a_sentence(capsys: pytest.CaptureFixture[str], words: list[str], status: int) -> None:
    assert cli.main(["verify", *words]) == status
    found = capsys.readouterr()
    assert found.out if status == 1 else len(found.err.splitlines()) == 1


def test_what_cannot_be_read_does_not_stop_the_others(
    code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "pass.pdf").write_bytes(b"%PDF-1.7")
    bad = ["torn.png", "pass.pdf", "missing.png"]
    assert cli.main(["verify", *bad, code, "--at", "2023-11-14T22:13:30Z"]) == 1
    said = capsys.readouterr()
    assert "Gatepost code" in said.out
    assert [re.split("[: ]", line)[0] for line in said.err.splitlines()] == bad
    assert cli.main(["verify", *bad]) == 2


def test_in_a_pipe(code: str, tmp_path: Path) -> None:
    main = "import sys; from agent import cli; sys.exit(cli.main())"
    command = [sys.executable, "-c", main, "verify", "-", "--json", "--keys", "issuers.toml"]
    done = subprocess.run(
        command,
        input=code.encode() + b"\r\n",
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert json.loads(done.stdout)["status"] == "expired"
    assert done.returncode == 1


def test_a_test_set(code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [{"id": "a", "text": code, "at": UTC}, {"id": "b", "text": code, "at": UTC + 999}, {"id": "c"}]
    file = tmp_path / "set.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n\nnot a line\n")
    assert cli.main(["verify", "--batch", str(file)]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(answer["id"], answer["accept"], answer["reason"]) for answer in answers] == [
        ("a", True, "valid"),
        ("b", False, "expired"),
        ("c", False, "bad_line"),
        (None, False, "bad_line"),
    ]


@pytest.mark.skipif(not PICTURES.is_dir(), reason="../shared/data/codes/qa is not beside the project")
def test_the_states_own_pictures_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    pictures = sorted(map(str, PICTURES.iterdir()))
    assert cli.main(["verify", "--json", *pictures]) == 1
    found = capsys.readouterr()
    answers = [json.loads(line) for line in found.out.splitlines()]
    assert not found.err
    assert len(answers) == len(pictures)
    assert {(answer["format"], answer["status"]) for answer in answers} == {("dcc", "unknown_issuer")}
    assert all("it says that it is from" in answer["why"] for answer in answers)


def test_a_picture_stands_for_the_bytes_of_its_code_whatever_they_are(tmp_path: Path) -> None:
    picture = tmp_path / "bytes.png"
    picture.write_bytes(opencv.to_png(qr.drawn(b"\x00\xff", 4)))
    assert verify._payloads(str(picture)) == [b"\x00\xff"]


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("pass.pdf", b"%PDF-1.7\n...", "a PDF document"),
        ("pass.png", b"%PDF-1.7\n...", "a PDF document"),
        ("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture"),
        ("photo.jpg", b"\0\0\0\x18ftypmif1\0\0\0\0", "a HEIC picture"),
        ("photo.avif", b"\0\0\0\x18ftypavif\0\0\0\0", "an AVIF picture"),
        ("film.mp4", b"\0\0\0\x18ftypisom\0\0\0\0", "a film"),
        ("card.pkpass", b"PK\x03\x04\x14\0", ".pkpass"),
        ("code.svg", b'<?xml version="1.0"?><svg/>', "SVG"),
        ("page.html", b"\n<!DOCTYPE html>", "a web page"),
        ("codes.gz", b"\x1f\x8b\x08", "gzip"),
        ("scan.jp2", b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
        ("code.eps", b"%!PS-Adobe-3.0", "a PostScript document"),
    ],
)
def test_a_file_of_another_kind_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes, what: str
) -> None:
    (tmp_path / name).write_bytes(data)
    assert cli.main(["verify", name]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"{name}: ")
    assert what in said.err
    assert "screenshot" in said.err


@pytest.mark.parametrize(
    ("dark", "bright"), [((0, 0, 0, 255), (0, 0, 0, 0)), ((255, 255, 255, 0), (255, 255, 255, 255))]
)
def test_a_transparent_picture_is_read(
    code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], dark: tuple[int, ...], bright: tuple[int, ...]
) -> None:
    """Black on nothing, as web pages save codes, and white on nothing, as dark ones do."""
    segno.make_qr(code, error="m").save(str(tmp_path / "a.png"), scale=6, border=4)
    gray = opencv.from_bytes((tmp_path / "a.png").read_bytes())
    picture = np.where((gray < 128)[:, :, None], np.array(dark, np.uint8), np.array(bright, np.uint8))
    (tmp_path / "b.png").write_bytes(opencv.to_png(picture.astype(np.uint8)))
    assert cli.main(["verify", "b.png", "--at", "2023-11-14T22:13:30Z"]) == 0
    assert "Gatepost code" in capsys.readouterr().out


def test_the_table_of_a_group_that_the_kiosk_has_left_lets_nobody_in_here_either(
    kiosk_file: Path, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else a technician reads `admit`, and everybody is sent to staff."""
    folder = kiosk_file.parent
    server, now = signing.new_private_key(), TimeBounds(UTC, UTC, ClockState.SYNCED)
    kid, role = server.public.kid.hex(), {"threshold": 1, "keyids": [server.public.kid.hex()]}
    roles = {"keys": {kid: b64encode(server.public.spki).decode()}, "roles": {"root": role, "policy": role}}
    table = load.whole_table(packaged("policy/default.toml"))
    store = load.bundle_store(folder / "sent")
    for kind, content, more in (("root", roles, {}), ("policy", table, {"name": "default", "target": "@north"})):
        members = {"type": kind, "name": "", "fleet": "city", "version": 1, "issued_at": UTC, "expires_at": UTC + 9}
        members |= {"warn_age_s": 1, "max_age_s": 1, "content": content, **more}
        data = bundle.sign(members, [server])
        _ = store.install(data) if kind == "root" else store.accept(data, now, ("@north",))
    kiosk_file.write_text(kiosk_file.read_text().replace('"issuers.toml"', '"issuers.toml"\nbundles = "sent"'))
    told = []
    for targets in (("@north",), ("site/k1",)):
        store.serve(targets)
        cli.main(["verify", "--json", code, "--at", "2023-11-14T22:13:30Z", "-c", str(kiosk_file)])
        out, err = capsys.readouterr()
        told.append((json.loads(out)["outcome"], "@north" in err))
    assert told == [("admit", False), ("refer", True)]
