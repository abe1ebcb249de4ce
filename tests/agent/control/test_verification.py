"""Which commands count: the attacks one by one, then anything at all."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.control.verification import (
    COMMANDS,
    LONGEST_LIFE_S,
    MAX_BYTES,
    Command,
    CommandReason,
    ProcessedCommand,
    ReplayGuard,
    Unauthenticated,
    verify_command,
)
from agent.credentials import bundle
from agent.credentials.bundle import Rejection
from agent.crypto import dsse
from agent.model import ClockState, CommandResult, CommandStatus, TimeBounds

UTC = 1_800_000_000
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
NEVER = ReplayGuard()


@pytest.fixture
def ask(server, here):
    root = bundle.first_root(server.root())

    def asked(data, past=NEVER, now=NOW, obeyed=tuple(COMMANDS)):
        return verify_command(data, root, here, past, obeyed, now)

    return asked


def test_a_command_that_counts(ask, server):
    judged = ask(server.command())
    assert isinstance(judged, Command)
    assert (judged.id, judged.command, judged.arguments) == ("command-1", "open", {"lane": "in"})


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ({"signers": ()}, Rejection.TOO_FEW_SIGNATURES),
        ({"signers": ("a",)}, Rejection.TOO_FEW_SIGNATURES),
        ({"signers": ("a", "a")}, Rejection.TOO_FEW_SIGNATURES),
        ({"signers": ("a", "thief")}, Rejection.TOO_FEW_SIGNATURES),
        ({"signers": ("root", "data")}, Rejection.TOO_FEW_SIGNATURES),
        ({"role": "bundle"}, Rejection.WRONG_PAYLOAD_TYPE),
        ({"role": "receipt"}, Rejection.WRONG_PAYLOAD_TYPE),
        ({"id": ""}, Rejection.MALFORMED),
        ({"id": "x" * 65}, Rejection.MALFORMED),
        ({"id": "../x\n"}, Rejection.MALFORMED),
        ({"id": 7}, Rejection.MALFORMED),
        ({"arguments": {"lane": "x" * MAX_BYTES}}, Rejection.TOO_LARGE),
    ],
    ids=str,
)
def test_a_strangers_command_gets_no_answer(ask, server, how, fault):
    with pytest.raises(Unauthenticated) as caught:
        ask(server.command(**how))
    assert caught.value.fault == fault


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"target": "library/gate-4"}, CommandReason.WRONG_TARGET),
        ({"target": "school/gate-3"}, CommandReason.WRONG_TARGET),
        ({"target": "school/*"}, CommandReason.WRONG_TARGET),
        ({"target": "*/gate-3"}, CommandReason.WRONG_TARGET),
        ({"target": "*"}, CommandReason.WRONG_TARGET),
        ({"target": "@south"}, CommandReason.WRONG_TARGET),
        ({"target": "north"}, CommandReason.WRONG_TARGET),
        ({"target": ""}, CommandReason.WRONG_TARGET),
        ({"fleet": "another city"}, CommandReason.WRONG_FLEET),
        ({"command": ["open"]}, CommandReason.MALFORMED),
        ({"command": "rm -rf"}, CommandReason.MALFORMED),
        ({"issued_at": "now"}, CommandReason.MALFORMED),
        ({"expires_at": 1e300}, CommandReason.MALFORMED),
        ({"expires_at": None}, CommandReason.MALFORMED),
        ({"arguments": []}, CommandReason.MALFORMED),
        ({"arguments": {"lane": 7}}, CommandReason.MALFORMED),
        ({"arguments": {"lane": {"$ne": ""}}}, CommandReason.MALFORMED),
        ({"only_if": "raining"}, CommandReason.MALFORMED),
    ],
    ids=str,
)
def test_who_may_sign_is_told_what_is_wrong(ask, server, how, reason):
    told = ask(server.command(**how))
    assert (told.status, told.reason, told.command_id) == (CommandStatus.REJECTED, reason, "command-1")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"expires_at": UTC - 1, "issued_at": UTC - 60}, CommandReason.EXPIRED),
        ({"expires_at": UTC, "issued_at": UTC - 60}, CommandReason.TIME_UNKNOWN),
        ({"issued_at": UTC + 62}, CommandReason.LIFETIME_TOO_LONG),
        ({"issued_at": UTC + 62, "expires_at": UTC + 90}, CommandReason.ISSUED_IN_FUTURE),
        ({"issued_at": UTC - 5, "expires_at": UTC - 5 + LONGEST_LIFE_S + 1}, CommandReason.LIFETIME_TOO_LONG),
        ({"issued_at": UTC + 60, "expires_at": UTC + 60}, CommandReason.LIFETIME_TOO_LONG),
        ({"expires_at": 1 << 80}, CommandReason.LIFETIME_TOO_LONG),
        ({"command": "dance"}, CommandReason.UNKNOWN_COMMAND),
        ({"arguments": {}}, CommandReason.BAD_ARGUMENTS),
        ({"arguments": {"lane": "in", "speed": "high"}}, CommandReason.BAD_ARGUMENTS),
        ({"command": "flush"}, CommandReason.BAD_ARGUMENTS),
        ({"target": "library/*"}, CommandReason.BROADCAST_NOT_ALLOWED),
        ({"target": "*/*"}, CommandReason.BROADCAST_NOT_ALLOWED),
        ({"target": "@north"}, CommandReason.BROADCAST_NOT_ALLOWED),
        ({"target": "*/*", "command": "restart", "arguments": {}}, CommandReason.BROADCAST_NOT_ALLOWED),
    ],
    ids=str,
)
def test_what_the_server_got_wrong_is_said(ask, server, changes, reason):
    told = ask(server.command(**changes))
    assert isinstance(told, CommandResult)
    assert (told.status, told.reason, told.command_id) == (CommandStatus.REJECTED, reason, "command-1")


def test_harmless_commands_may_go_to_many(ask, server):
    for command in ("diagnose", "reload", "flush"):
        for to in ("library/gate-3", "library/*", "@north", "@wave-1", "*/*"):
            assert isinstance(ask(server.command(command=command, arguments={}, target=to)), Command)


def test_a_kiosk_obeys_what_its_configuration_names(ask, server):
    told = ask(server.command(), obeyed=("diagnose",))
    assert isinstance(told, CommandResult)
    assert told.reason is CommandReason.COMMAND_DISABLED


@pytest.mark.parametrize("hi_utc", [UTC + 61.0, math.inf])
def test_a_command_that_may_have_expired_is_not_carried_out(ask, server, hi_utc):
    told = ask(server.command(), now=TimeBounds(UTC, hi_utc, ClockState.FLOOR))
    assert isinstance(told, CommandResult)
    assert told.reason is CommandReason.TIME_UNKNOWN


def test_the_same_command_again_gets_the_same_answer(ask, server):
    data = server.command()
    judged = ask(data)
    said = CommandResult("open", CommandStatus.SUCCEEDED, command_id="command-1", result={"lane": "in"})
    past = ReplayGuard({"command-1": ProcessedCommand("open", judged.digest, judged.expires_utc, said)})
    assert ask(data, past) == replace(said, duplicate=True)
    resigned = server.command(signers=("b", "c"))
    assert ask(resigned, past) == replace(said, duplicate=True), "other signatures make no other command"


def test_another_command_with_an_id_that_was_used(ask, server):
    judged = ask(server.command())
    past = ReplayGuard(
        {
            "command-1": ProcessedCommand(
                "open", judged.digest, judged.expires_utc, CommandResult("open", CommandStatus.SUCCEEDED)
            )
        }
    )
    told = ask(server.command(arguments={"lane": "out"}), past)
    assert isinstance(told, CommandResult)
    assert told.reason is CommandReason.DUPLICATE_ID


@pytest.mark.parametrize(
    "past", [ReplayGuard(expired_utc=UTC + 60), ReplayGuard(issued_utc=UTC - 5), ReplayGuard(issued_utc=math.inf)]
)
def test_what_may_be_forgotten_is_not_done(ask, server, past):
    told = ask(server.command(), past)
    assert isinstance(told, CommandResult)
    assert told.reason is CommandReason.REPLAY_UNKNOWN


COMMAND = bundle.PAYLOAD_TYPES["command"]


def enveloped(content: bytes) -> bytes:
    return dsse.sign(COMMAND, content, [])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"[" * 30_000,
        b'{"payload":' * 3000,
        b'{"payloadType": "t", "payload": "e30=", "payload": "e30=", "signatures": []}',
        b'{"payloadType": "t", "payload": NaN, "signatures": []}',
        b'{"payloadType": "t", "payload": "e30=", "signatures": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        enveloped(b"[" * 20_000),
        enveloped(b'{"id": ' + b"9" * 5000 + b"}"),
        json.dumps(
            {"payloadType": COMMAND, "payload": "e30=", "signatures": [{"keyid": "0", "sig": "AAAA"}] * 33}
        ).encode(),
        b"x" * (MAX_BYTES + 1),
    ],
    ids=range(13),
)
def test_junk(ask, data):
    with pytest.raises(Unauthenticated):
        ask(data)


def test_deep_or_doubled_members_under_a_good_signature(ask, server):
    """Also those who may sign cannot make it stumble."""
    keys = [server.keys["a"], server.keys["b"]]
    for content in (b"[" * 10_000, b'{"id": "1", "id": "2"}', b"[]", b'"x"', b"7", b""):
        with pytest.raises(Unauthenticated) as caught:
            ask(dsse.sign(COMMAND, content, keys))
        assert caught.value.fault == Rejection.MALFORMED


MEMBERS = ("id", "fleet", "target", "issued_at", "expires_at", "command", "arguments", "more")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()))
def test_anything_at_all_is_junk(ask, data):
    with pytest.raises(Unauthenticated):
        ask(data)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(MEMBERS), json_values, max_size=3))
def test_anything_signed_is_a_command_a_refusal_or_junk(ask, server, changes):
    try:
        judged = ask(server.command(**changes))
    except Unauthenticated:
        return
    if isinstance(judged, Command):
        assert judged.expires_utc >= NOW.latest_utc
        assert judged.command in COMMANDS
    else:
        assert judged.status is CommandStatus.REJECTED
