"""`gatepost command`: what it prints is what a kiosk obeys, and what no kiosk would do is not signed."""

from __future__ import annotations

import json
import re

import pytest

from agent.cli import main
from agent.crypto import dsse, signing
from agent.enrolment import certificates


@pytest.fixture
def key(tmp_path):
    file = tmp_path / "duty.key"
    file.write_bytes(signing.new_private_key().pem())
    return file


def made(capsys, *words) -> dict:
    assert main(["command", *map(str, words)]) == 0
    printed = dsse.parse(capsys.readouterr().out.encode())
    return json.loads(printed.payload) | {"signers": len(printed.signatures)}


def test_a_command(capsys, key):
    command = made(
        capsys, "open", "lane=in", "--to", "library/gate-3", "--fleet", "city", "--key", key, "--key", key
    )
    assert (command["command"], command["arguments"], command["target"]) == (
        "open",
        {"lane": "in"},
        "library/gate-3",
    )
    assert command["expires_at"] - command["issued_at"] == 60
    assert command["signers"] == 2
    assert command["id"] != made(capsys, "flush", "--to", "*/*", "--fleet", "city", "--key", key)["id"]


def test_arguments_may_stand_after_options(capsys, key):
    command = made(capsys, "open", "--to", "library/gate-3", "lane=in", "--fleet", "city", "--key", key)
    assert (command["arguments"], command["target"]) == ({"lane": "in"}, "library/gate-3")


def test_an_argument_from_a_file(capsys, key, tmp_path):
    _, pem = certificates.new_authority("test", 1, 0.0)
    (tmp_path / "new.crt").write_text(pem)
    how = ("--to", "library/gate-3", "--fleet", "city", "--key", key, "--id", "7", "--seconds", "600")
    command = made(capsys, "rotate", f"certificate=@{tmp_path / 'new.crt'}", *how)
    assert (command["id"], command["arguments"], command["expires_at"] - command["issued_at"]) == (
        "7",
        {"certificate": pem},
        600,
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["open"], "open takes lane"),
        (["open", "lane=in", "lane=out"], "given twice"),
        (["open", "lane=in", "--to", "library"], "SITE/KIOSK, for example library/gate-3"),
        (["open", "lane=in", "--to", "library/"], "SITE/KIOSK"),
        (["open", "lane=in", "--to", "*/gate-3"], "SITE/KIOSK"),
        (["open", "lane=in", "--to", "a/b/c"], "SITE/KIOSK"),
        (["open", "lane=in", "--fleet", ""], "--fleet"),
        (["open", "lane=in", "--id", "a b"], "--id"),
        (["open", "lane"], "NAME=VALUE"),
        (["flush", "lane=in"], "flush takes no argument"),
        (["restart", "to=where"], r"\[lane\], \[role\]"),
        (["restart", "--to", "*/*"], "one kiosk at a time"),
    ],
)
def test_what_no_kiosk_would_do(capsys, key, words, why):
    assert main(["command", "--to", "library/gate-3", "--fleet", "city", "--key", str(key), *words]) == 1
    assert re.search(why, capsys.readouterr().err)


def test_a_file_that_is_no_private_key_is_named(capsys, tmp_path):
    for name, content in (("junk.key", b"junk"), ("duty.pub", signing.new_private_key().public.spki)):
        (tmp_path / name).write_bytes(content)
        words = ["flush", "--to", "library/gate-3", "--fleet", "city", "--key", str(tmp_path / name)]
        assert main(["command", *words]) == 1
        assert capsys.readouterr().err.startswith(f"{tmp_path / name}: not a private key in PEM form")
