"""What docs/commands.md says is so."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

from agent.control.verification import _ID, COMMANDS, MAX_BYTES, Command, ReplayGuard, verify_command
from agent.credentials import bundle, lists
from agent.crypto import dsse
from agent.events import schemas
from agent.events.contract import BundleJson, CommandJson, ListJson, RootJson
from agent.model.reasons import CommandReason, Rejection
from agent.ruleset.bundle_store import word_content

TEXT = (Path(__file__).parents[3] / "docs" / "commands.md").read_text()


def blocks(language: str) -> list[str]:
    return [part.partition("```")[0] for part in TEXT.split(f"```{language}\n")[1:]]


def test_the_examples_fit_the_contract():
    command, reply = (json.loads(block) for block in blocks("json"))
    schemas.adapter(CommandJson).validate_python(command)
    schemas.adapter(schemas.event_shape("command_result")).validate_python(reply)
    assert reply["data"]["command_id"] == command["id"]


def test_the_schema_says_what_is_taken_for_a_strangers():
    schema = schemas.command_schema()
    assert schema["additionalProperties"] is False
    assert {schema["properties"][name]["pattern"] for name in ("id", "command")} == {f"^{_ID.pattern}$"}


def test_the_schema_of_bundles_says_what_is_signed_here(server):
    head = lists.ListHeader("status", "city", 3, 1.7e9, 3600.0, 7200.0, sha256="0" * 64)
    contents = {
        "root": (json.loads(signed_bytes(server.root()))["content"], RootJson),
        "list": (word_content(head, {bytes(16): 3}), ListJson),
        "policy": ("text of a table", str),
    }
    for kind, (content, shape) in contents.items():
        signed = json.loads(signed_bytes(server.bundle(kind, content)))
        taken = schemas.adapter(BundleJson).validate_python(signed, strict=True)
        assert taken == signed, "a member that the schema does not have would be left out"
        assert schemas.adapter(shape).validate_python(content, strict=True) == content
    assert get_args(get_type_hints(BundleJson)["type"]) == bundle.TYPES


def signed_bytes(envelope: bytes) -> bytes:
    return dsse.parse(envelope).payload


def test_every_command_and_reason_is_explained():
    rows = re.findall(r"^\|.*", TEXT, re.MULTILINE)
    told = set(re.findall(r"`([a-z_]+)`", "\n".join(rows)))
    assert set(COMMANDS) <= told
    assert {str(reason) for reason in CommandReason} <= told
    assert {str(reason) for reason in Rejection} <= told
    assert f"{MAX_BYTES // 1024} kB" in TEXT


def test_a_command_made_by_the_python_of_the_document_counts(server, here, now):
    (code,) = blocks("python")
    made: dict = {}
    exec(code, made)  # noqa: S102 - the document's own
    root = bundle.first_root(server.root())
    pems = [server.keys[name].pem() for name in ("a", "c")]
    now.lo_utc, now.hi_utc = made["time"].time(), made["time"].time() + 1
    data = made["command"]("city", "library/gate-3", "open", pems, lane="in")
    root = replace(root, bundle=replace(root.bundle, expires_utc=math.inf))
    assert isinstance(verify_command(data, root, here, ReplayGuard(), tuple(COMMANDS), now()), Command)
