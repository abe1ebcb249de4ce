"""Pushed bundles: taken once, said once, tried again when their root has come."""

from __future__ import annotations

from hashlib import sha256

import pytest

from agent.control import BundleReceiver, CommandFailed
from agent.control.verification import Unauthenticated
from agent.credentials import bundle, lists
from agent.credentials.bundle import Rejection
from agent.model import CommandResult, CommandStatus
from agent.ruleset.bundle_store import word_content

TABLE = "words"


@pytest.fixture
def put_in_force():
    """What was put in force, in order."""
    return []


@pytest.fixture
def deliveries(store, here, now, put_in_force):
    def then(taken):
        put_in_force.append((taken.type, taken.version))
        return {"in_use": True}

    return BundleReceiver(store, then, now, here.targets)


def told(deliveries, data) -> list[CommandResult]:
    """What is said at once."""
    reply = deliveries.receive(data)
    return [] if reply is None else [reply]


def test_a_bundle_is_put_in_force_and_answered_once(deliveries, server, put_in_force):
    data = server.bundle("keys", "# keys", version=3)
    (reply,) = told(deliveries, data)
    assert reply == CommandResult(
        "bundle", CommandStatus.SUCCEEDED, result={"type": "keys", "name": "", "version": 3, "in_use": True}
    )
    assert told(deliveries, data) == []
    assert put_in_force == [("keys", 3)]


def test_after_a_restart_the_same_bundle_is_passed_over(deliveries, store, now, server):
    data = server.bundle("keys", "# keys")
    told(deliveries, data)
    assert told(BundleReceiver(store, lambda _: {}, now), data) == []


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ({"version": 4}, Rejection.ROLLBACK),
        ({"content": "# other"}, Rejection.VERSION_CONFLICT),
        ({"version": 1 << 40}, Rejection.VERSION_JUMP),
        ({"version": 6, "expires_at": 1_800_000_000 - 5}, Rejection.EXPIRED),
        ({"version": 6, "content": 7}, Rejection.BAD_CONTENT),
        ({"version": 6, "target": "@south"}, Rejection.WRONG_TARGET),
        ({"version": 6, "target": "school/*"}, Rejection.WRONG_TARGET),
    ],
    ids=str,
)
def test_the_servers_mistakes_are_said_once(deliveries, server, put_in_force, how, fault):
    told(deliveries, server.bundle("keys", "# keys", version=5))
    data = server.bundle("keys", **{"content": "# keys", "version": 5} | how)
    (reply,) = told(deliveries, data)
    assert (reply.status, reply.reason) == (CommandStatus.REJECTED, fault)
    assert told(deliveries, data) == []
    assert put_in_force == [("keys", 5)]


@pytest.mark.parametrize("target", ["", "library/gate-3", "library/*", "@north", "@wave-1", "*/*"])
def test_a_bundle_for_this_kiosk_or_one_of_its_groups_is_taken(deliveries, server, put_in_force, target):
    (reply,) = told(deliveries, server.bundle("keys", "# keys", version=5, target=target))
    assert reply.status is CommandStatus.SUCCEEDED
    assert put_in_force == [("keys", 5)]


def test_a_root_has_no_target(deliveries, server):
    with pytest.raises(Unauthenticated) as caught:
        told(deliveries, server.bundle("root", {}, 2, signers=("root",), target="@north"))
    assert caught.value.fault is Rejection.MALFORMED


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ({"signers": ()}, Rejection.TOO_FEW_SIGNATURES),
        ({"signers": ("thief",)}, Rejection.TOO_FEW_SIGNATURES),
        ({"signers": ("root", "a", "b")}, Rejection.TOO_FEW_SIGNATURES),
        ({"fleet": "another"}, Rejection.WRONG_FLEET),
        ({"name": "../x"}, Rejection.WRONG_NAME),
        ({"version": 0}, Rejection.MALFORMED),
    ],
    ids=str,
)
def test_strangers_bundles_get_no_answer(deliveries, server, put_in_force, how, fault):
    with pytest.raises(Unauthenticated) as caught:
        told(deliveries, server.bundle("keys", "# keys", **how))
    assert caught.value.fault == fault
    assert not put_in_force


def test_a_command_is_no_bundle(deliveries, server):
    with pytest.raises(Unauthenticated):
        told(deliveries, server.command())


def doubts(deliveries, **may) -> list[tuple[str, object]]:
    """What is said once it is quiet: why, and of what."""
    return [(reply.reason, reply.result) for reply in deliveries.rejected(lambda signed: may.get("signed", signed))]


def test_what_is_signed_by_too_few_is_said_when_it_is_quiet_and_once(deliveries, server):
    data = server.bundle("list", {}, 7, name="status", signers=("data",))
    root = server.root(2, list=server.role(2, "data", "a"))
    assert told(deliveries, root)[0].status is CommandStatus.SUCCEEDED
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            told(deliveries, data)
    named = {"type": "list", "name": "status", "version": 7, "sha256": sha256(data).hexdigest()}
    assert doubts(deliveries) == [("too_few_signatures", named)]
    with pytest.raises(Unauthenticated):
        told(deliveries, data)
    assert doubts(deliveries) == []


def test_what_nobody_has_signed_who_may_is_said_as_far_as_that_is_allowed(deliveries, server):
    for number in range(100):
        with pytest.raises(Unauthenticated):
            told(deliveries, server.bundle("keys", f"# {number}", signers=("thief",)))
    for data in (b"junk", server.bundle("keys", "# keys", name="two\nlines")):
        with pytest.raises(Unauthenticated):
            told(deliveries, data)
    assert doubts(deliveries) == []
    for data in (b"junk", server.bundle("keys", "# keys", name="two\nlines")):
        with pytest.raises(Unauthenticated):
            told(deliveries, data)
    (malformed, digest), (named, result) = doubts(deliveries, signed=True)
    assert (malformed, digest) == ("invalid_envelope", {"sha256": sha256(b"junk").hexdigest()})
    assert (named, result["name"]) == ("wrong_name", ""), "what a stranger writes is not repeated"


def test_a_root_cures_what_came_before_it(deliveries, server, put_in_force):
    early = server.bundle("keys", "# keys", signers=("a",))
    second = server.root(2, keys=server.role(1, "a"))
    third = server.root(3, keys=server.role(1, "a"))
    for data in (early, third):
        with pytest.raises(Unauthenticated):
            told(deliveries, data)
    (reply,) = told(deliveries, second)
    assert deliveries.is_cured(reply), "all is to come again"
    assert doubts(deliveries, signed=True) == [], "of which nothing has to be said now"
    (reply,) = told(deliveries, third)
    assert not deliveries.is_cured(reply), "nothing was refused since"
    told(deliveries, early)
    assert put_in_force == [("root", 2), ("root", 3), ("keys", 1)]
    assert told(deliveries, second) == [], "an older root of the chain stays retained"


def test_a_stolen_key_has_not_used_up_the_versions(deliveries, server, put_in_force):
    told(deliveries, server.bundle("keys", "# theirs", version=90_000))
    told(deliveries, server.root(2, keys=server.role(1, "a")))
    (reply,) = told(deliveries, server.bundle("keys", "# ours", version=2, signers=("a",)))
    assert reply.status is CommandStatus.SUCCEEDED
    assert put_in_force[-1] == ("keys", 2)


def test_what_does_not_fit_is_said(store, now, server):
    def then(taken):
        if taken.version == 1:
            raise CommandFailed("incompatible")
        raise ZeroDivisionError

    deliveries = BundleReceiver(store, then, now)
    (reply,) = told(deliveries, server.bundle("keys", "# keys"))
    assert (reply.status, reply.reason) == (CommandStatus.FAILED, "incompatible")
    (reply,) = told(deliveries, server.bundle("keys", "# keys", version=2))
    assert (reply.status, reply.reason) == (CommandStatus.FAILED, "internal_error")


def list_bundle(server, version, after=None):
    head = lists.ListHeader("revoked", "demo", 1, 1.0, 2.0, 3.0)
    said = None if after is None else bundle.unverified_header(after)
    more = {} if said is None else {"after": {"version": said.version, "sha256": said.digest}}
    return server.bundle("list", word_content(head, {}) | more, version, "people")


def test_an_increment_that_came_before_its_whole_bundle_is_taken_after_it(deliveries, server, put_in_force):
    whole = list_bundle(server, 5)
    for version in (6, 7):
        (reply,) = told(deliveries, list_bundle(server, version, whole))
        assert (reply.status, reply.reason) == (CommandStatus.REJECTED, Rejection.INCREMENT_GAP)
        assert deliveries.claim_increment(reply) is None
    (reply,) = told(deliveries, whole)
    newest = deliveries.claim_increment(reply)
    assert newest == list_bundle(server, 7, whole), "the last that came is kept"
    assert deliveries.claim_increment(reply) is None
    (reply,) = told(deliveries, newest)
    assert reply.status is CommandStatus.SUCCEEDED
    assert put_in_force == [("list", 5), ("list", 7)]


def test_what_is_retained_of_days_before_is_passed_over_in_silence(deliveries, server):
    """The whole bundle of today comes at each connection, and yesterday's increment stays on its topic."""
    yesterday = list_bundle(server, 5)
    told(deliveries, yesterday)
    today = list_bundle(server, 8)
    told(deliveries, today)
    assert told(deliveries, list_bundle(server, 7, yesterday)) == []
    told(deliveries, list_bundle(server, 9, today))
    assert told(deliveries, today) == []
    assert told(deliveries, list_bundle(server, 9, today)) == []


def test_a_disk_that_fails_is_said(deliveries, store, server, tmp_path):
    (tmp_path / "bundles" / "keys.bundle.new").mkdir()
    (reply,) = told(deliveries, server.bundle("keys", "# keys"))
    assert (reply.status, reply.reason) == (CommandStatus.FAILED, "not_persisted")


def test_a_kiosk_without_a_root_hears_nobody(now, server):
    assert told(BundleReceiver(None, lambda _: {}, now), server.bundle("keys", "# keys")) == []
