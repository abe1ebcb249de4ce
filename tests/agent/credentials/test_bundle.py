"""Bundles from the central server: the attacks that The Update Framework's own tests name, one by one."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import pytest

from agent.credentials import bundle
from agent.credentials.bundle import BadBundle, Rejection, VersionFloor
from agent.crypto import signing
from agent.model import ClockState, TimeBounds

UTC = 1_700_000_000
DAY = 86_400
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
FLEET = "city"

KEYS = {name: signing.new_private_key() for name in ("root1", "root2", "root3", "pol1", "pol2", "keys1", "thief")}


def kid(name: str) -> str:
    return KEYS[name].public.kid.hex()


def role(threshold: int, *names: str) -> dict[str, Any]:
    return {"threshold": threshold, "keyids": [kid(name) for name in names]}


def root_content(**changes: Any) -> dict[str, Any]:
    names = ("root1", "root2", "root3", "pol1", "pol2", "keys1")
    content = {
        "keys": {kid(name): b64encode(KEYS[name].public.spki).decode() for name in names},
        "roles": {
            "root": role(2, "root1", "root2", "root3"),
            "policy": role(2, "pol1", "pol2"),
            "keys": role(1, "keys1"),
            "list": role(1, "keys1"),
        },
    }
    return content | changes


def signed(**changes: Any) -> dict[str, Any]:
    members = {
        "type": "policy",
        "name": "office",
        "fleet": FLEET,
        "version": 5,
        "issued_at": UTC - 10,
        "expires_at": UTC + DAY,
        "warn_age_s": DAY,
        "max_age_s": 3 * DAY,
        "content": "rows",
    }
    return members | changes


def root_members(**changes: Any) -> dict[str, Any]:
    return signed(type="root", name="", version=1, content=root_content()) | changes


def sign(members: dict[str, Any], *names: str) -> bytes:
    return bundle.sign(members, [KEYS[name] for name in names])


ROOT_BYTES = sign(root_members(), "root1", "root2")
ROOT = bundle.first_root(ROOT_BYTES)
LAST = VersionFloor(version=4, digest="of version 4", issued_utc=UTC - 100)


def accept(
    data: bytes, last: VersionFloor | None = LAST, now: TimeBounds = NOW, root: bundle.Root = ROOT
) -> bundle.Bundle:
    return bundle.accept(data, root, last, now, kind="policy", name="office")


def fault_of(act: Callable[[], object]) -> Rejection:
    with pytest.raises(BadBundle) as caught:
        act()
    return caught.value.fault


def test_a_good_bundle() -> None:
    found = accept(sign(signed(), "pol1", "pol2"))
    assert (found.version, found.content, found.age.max_age_s) == (5, "rows", 3 * DAY)
    assert bundle.version_floor(found).version == 5


def test_the_first_of_its_kind() -> None:
    assert accept(sign(signed(version=900), "pol1", "pol2"), last=None).version == 900


def test_the_same_again_is_no_fault() -> None:
    data = sign(signed(), "pol1", "pol2")
    assert accept(data, last=bundle.version_floor(accept(data))).version == 5


@pytest.mark.parametrize(
    "signers",
    [(), ("pol1",), ("pol1", "pol1"), ("pol1", "thief"), ("thief", "thief"), ("root1", "root2"), ("keys1", "pol2")],
    ids="+".join,
)
def test_too_few_keys_of_the_role(signers: tuple[str, ...]) -> None:
    assert fault_of(lambda: accept(sign(signed(), *signers))) is Rejection.TOO_FEW_SIGNATURES


def test_one_key_under_two_names_counts_once() -> None:
    envelope = json.loads(sign(signed(), "pol1"))
    once = envelope["signatures"][0]
    envelope["signatures"] = [once, once | {"keyid": kid("pol2")}, once | {"keyid": once["keyid"].upper()}]
    assert fault_of(lambda: accept(json.dumps(envelope).encode())) is Rejection.TOO_FEW_SIGNATURES


def test_altered_content() -> None:
    envelope = json.loads(sign(signed(), "pol1", "pol2"))
    content = b64decode(envelope["payload"]).replace(b"rows", b"ROWS")
    envelope["payload"] = b64encode(content).decode()
    assert fault_of(lambda: accept(json.dumps(envelope).encode())) is Rejection.TOO_FEW_SIGNATURES


def test_signatures_of_another_bundle() -> None:
    envelope, other = (
        json.loads(sign(signed(), "pol1", "pol2")),
        json.loads(sign(signed(version=6), "pol1", "pol2")),
    )
    assert fault_of(lambda: accept(json.dumps(envelope | {"payload": other["payload"]}).encode())) is (
        Rejection.TOO_FEW_SIGNATURES
    )


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"version": 3}, Rejection.ROLLBACK),
        ({"version": 4}, Rejection.VERSION_CONFLICT),
        ({"version": 6, "issued_at": UTC - 1000}, Rejection.ROLLBACK),
        ({"version": 5 + bundle.MAX_LEAP}, Rejection.VERSION_JUMP),
        ({"version": (1 << 53) - 1}, Rejection.VERSION_JUMP),
        ({"version": 1 << 60}, Rejection.MALFORMED),
        ({"version": 0}, Rejection.MALFORMED),
        ({"version": "6"}, Rejection.MALFORMED),
        ({"version": 6.5}, Rejection.MALFORMED),
        ({"fleet": "another city"}, Rejection.WRONG_FLEET),
        ({"name": "school"}, Rejection.WRONG_NAME),
        ({"expires_at": UTC - 1}, Rejection.EXPIRED),
        ({"issued_at": UTC + 2 * DAY, "expires_at": UTC + 3 * DAY}, Rejection.ISSUED_IN_FUTURE),
        ({"expires_at": UTC - 20}, Rejection.MALFORMED),
        ({"type": "nonsense"}, Rejection.MALFORMED),
    ],
    ids=str,
)
def test_well_signed_but_out_of_place(changes: dict[str, Any], fault: Rejection) -> None:
    assert fault_of(lambda: accept(sign(signed(**changes), "pol1", "pol2"))) is fault


def test_another_roles_bundle_in_its_place() -> None:
    keys = sign(signed(type="keys"), "keys1")
    assert fault_of(lambda: accept(keys)) is Rejection.WRONG_TYPE
    assert fault_of(lambda: accept(ROOT_BYTES)) is Rejection.WRONG_TYPE


def test_a_root_is_never_taken_as_an_ordinary_bundle() -> None:
    assert fault_of(lambda: bundle.accept(ROOT_BYTES, ROOT, None, NOW, kind="root")) is Rejection.WRONG_TYPE


def test_a_member_is_missing() -> None:
    for name in signed():
        members = signed()
        del members[name]
        assert fault_of(lambda members=members: accept(sign(members, "pol1", "pol2"))) is Rejection.MALFORMED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"signed":"e30","signatures":[]}',
        b'{"payload":"e30=","payloadType":"t","payload":"e30=","signatures":[]}',
        b'{"payload":"!","payloadType":"t","signatures":[]}',
        b'{"payload":"e30=","payloadType":"t","signatures":[{}]}',
        b'{"payload":"e30=","payloadType":"t","signatures":'
        + json.dumps([{"keyid": "a", "sig": "aaaa"}] * 1000).encode()
        + b"}",
        b'{"payload":"e30=","payloadType":"t","signatures":[{"keyid":"a","sig":' + b"9" * 10_000 + b"}]}",
    ],
    ids=range(11),
)
def test_no_envelope(data: bytes) -> None:
    assert fault_of(lambda: accept(data)) is Rejection.INVALID_ENVELOPE


def test_endless_data() -> None:
    assert fault_of(lambda: accept(b" " * (bundle.MAX_BYTES + 1))) is Rejection.TOO_LARGE


def test_an_unsure_clock_refuses_only_what_is_certainly_expired() -> None:
    floor = TimeBounds(UTC, float("inf"), ClockState.FLOOR)
    assert accept(sign(signed(), "pol1", "pol2"), now=floor).version == 5
    assert (
        fault_of(lambda: accept(sign(signed(expires_at=UTC - 1), "pol1", "pol2"), now=floor)) is Rejection.EXPIRED
    )


def test_nothing_on_an_expired_root() -> None:
    old = bundle.first_root(sign(root_members(issued_at=UTC - 100, expires_at=UTC - 50), "root1", "root2"))
    assert fault_of(lambda: accept(sign(signed(), "pol1", "pol2"), root=old)) is Rejection.ROOT_EXPIRED


# -- roots


def test_the_first_root_must_be_signed_as_it_says() -> None:
    assert fault_of(lambda: bundle.first_root(sign(root_members(), "root1"))) is Rejection.TOO_FEW_SIGNATURES
    assert fault_of(lambda: bundle.first_root(sign(signed(), "pol1", "pol2"))) is Rejection.WRONG_TYPE


def replaced() -> dict[str, Any]:
    """The root after next: root3 leaves, thief's key comes (as an honest one)."""
    content = root_content()
    content["keys"][kid("thief")] = b64encode(KEYS["thief"].public.spki).decode()
    content["roles"] = content["roles"] | {"root": role(2, "root1", "thief")}
    return root_members(version=2, content=content)


def test_a_new_root_needs_the_old_keys_and_the_new() -> None:
    assert bundle.next_root(ROOT, sign(replaced(), "root1", "root2", "thief")).bundle.version == 2
    for names in (("root1", "root2"), ("root1", "thief"), ("thief",), ()):
        assert fault_of(lambda names=names: bundle.next_root(ROOT, sign(replaced(), *names))) is (
            Rejection.TOO_FEW_SIGNATURES
        )


@pytest.mark.parametrize(
    ("version", "fault"), [(1, Rejection.ROLLBACK), (3, Rejection.VERSION_JUMP), (10**6, Rejection.VERSION_JUMP)]
)
def test_roots_follow_one_another(version: int, fault: Rejection) -> None:
    data = sign(root_members(version=version), "root1", "root2")
    assert fault_of(lambda: bundle.next_root(ROOT, data)) is fault


def test_a_root_of_another_fleet() -> None:
    data = sign(root_members(version=2, fleet="other"), "root1", "root2")
    assert fault_of(lambda: bundle.next_root(ROOT, data)) is Rejection.WRONG_FLEET


def test_an_expired_root_may_lie_between() -> None:
    second = bundle.next_root(
        ROOT, sign(root_members(version=2, issued_at=UTC - 9, expires_at=UTC - 5), "root1", "root2")
    )
    third = bundle.next_root(second, sign(root_members(version=3), "root1", "root3"))
    assert accept(sign(signed(), "pol1", "pol2"), root=third).version == 5


def test_a_key_that_left_signs_no_more() -> None:
    content = root_content()
    content["roles"] = content["roles"] | {"policy": role(1, "pol1")}
    root = bundle.next_root(ROOT, sign(root_members(version=2, content=content), "root1", "root2"))
    assert fault_of(lambda: accept(sign(signed(), "pol2"), root=root)) is Rejection.TOO_FEW_SIGNATURES


@pytest.mark.parametrize(
    "content",
    [
        {},
        root_content(keys={}),
        root_content(keys={"00" * 8: b64encode(KEYS["root1"].public.spki).decode()}),
        root_content(keys={kid("root1"): "!"}),
        root_content(roles={}),
        root_content(roles={"root": role(0, "root1")}),
        root_content(roles={"root": role(-1, "root1")}),
        root_content(roles={"root": role(3, "root1", "root1", "root1")}),
        root_content(roles={"root": {"threshold": True, "keyids": [kid("root1")]}}),
        root_content(roles={"root": {"threshold": "1", "keyids": [kid("root1")]}}),
        root_content(roles={"root": role(1, "root1"), "nonsense": role(1, "root1")}),
        root_content(roles={"policy": role(1, "pol1")}),
        [],
        7,
    ],
    ids=range(14),
)
def test_a_root_that_makes_no_sense(content: Any) -> None:
    data = sign(root_members(content=content), "root1", "root2", "root3")
    assert fault_of(lambda: bundle.first_root(data)) is Rejection.MALFORMED


def test_the_message_holds_nothing_of_the_bundle() -> None:
    with pytest.raises(BadBundle) as caught:
        accept(sign(signed(name="CANARY", fleet="CANARY"), "pol1", "pol2"))
    assert "CANARY" not in str(caught.value)


WITH_ORDERS = root_content()
WITH_ORDERS["roles"] = WITH_ORDERS["roles"] | {
    "command": role(2, "pol1", "pol2"),
    "receipt": role(1, "keys1"),
    "privacy": role(1, "keys1"),
    "config": role(1, "keys1"),
}
ORDERING = bundle.first_root(sign(root_members(content=WITH_ORDERS), "root1", "root2"))


def say(role_: str, *names: str, members: dict[str, Any] | None = None) -> bytes:
    return bundle.sign({"id": "1"} if members is None else members, [KEYS[name] for name in names], role_)


def test_a_word_is_what_enough_keys_of_its_role_have_signed() -> None:
    assert bundle.verify_statement(say("command", "pol1", "pol2"), ORDERING, "command", NOW) == {"id": "1"}
    assert bundle.verify_statement(say("receipt", "keys1"), ORDERING, "receipt", NOW) == {"id": "1"}


@pytest.mark.parametrize(
    "names", [(), ("pol1",), ("pol1", "pol1"), ("pol1", "keys1"), ("root1", "root2"), ("thief",)]
)
def test_a_word_of_too_few(names: tuple[str, ...]) -> None:
    data = say("command", *names)
    assert fault_of(lambda: bundle.verify_statement(data, ORDERING, "command", NOW)) is Rejection.TOO_FEW_SIGNATURES


@pytest.mark.parametrize("signed_as", ["bundle", "receipt"])
def test_a_signature_counts_for_one_use_only(signed_as: str) -> None:
    data = say(signed_as, "pol1", "pol2", "keys1")
    assert fault_of(lambda: bundle.verify_statement(data, ORDERING, "command", NOW)) is Rejection.WRONG_PAYLOAD_TYPE
    renamed = json.dumps(json.loads(data) | {"payloadType": bundle.PAYLOAD_TYPES["command"]}).encode()
    fault = fault_of(lambda: bundle.verify_statement(renamed, ORDERING, "command", NOW))
    assert fault is Rejection.TOO_FEW_SIGNATURES, "the signatures cover the type"


def test_an_order_is_no_bundle() -> None:
    data = bundle.sign(signed(), [KEYS["pol1"], KEYS["pol2"]], "command")
    assert fault_of(lambda: accept(data, root=ORDERING)) is Rejection.WRONG_PAYLOAD_TYPE
    data = sign(signed(type="command", name=""), "pol1", "pol2")
    assert fault_of(lambda: bundle.unverified_header(data)) is Rejection.MALFORMED


def test_a_root_without_the_role_lets_nobody_order() -> None:
    data = say("command", "pol1", "pol2", "root1", "root2")
    assert fault_of(lambda: bundle.verify_statement(data, ROOT, "command", NOW)) is Rejection.TOO_FEW_SIGNATURES


def test_nobody_orders_by_an_expired_root() -> None:
    late = TimeBounds(UTC + 2 * DAY, UTC + 2 * DAY, ClockState.SYNCED)
    data = say("command", "pol1", "pol2")
    assert fault_of(lambda: bundle.verify_statement(data, ORDERING, "command", late)) is Rejection.ROOT_EXPIRED


@pytest.mark.parametrize("kind", ["privacy", "config"])
def test_further_types(kind: str) -> None:
    data = sign(signed(type=kind, name=""), "keys1")
    assert bundle.accept(data, ORDERING, None, NOW, kind=kind).content == "rows"
    assert fault_of(lambda: bundle.accept(data, ROOT, None, NOW, kind=kind)) is Rejection.TOO_FEW_SIGNATURES
