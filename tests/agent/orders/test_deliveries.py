"""Pushed bundles: taken once, said once, tried again when their root has come."""

from __future__ import annotations

import pytest

from agent.codes.bundle import Fault
from agent.model import Reply, ReplyOutcome
from agent.orders import CannotDo, Deliveries
from agent.orders.judging import Junk

TABLE = "words"


@pytest.fixture
def put_in_force():
    """What was put in force, in order."""
    return []


@pytest.fixture
def deliveries(store, now, put_in_force):
    def then(taken):
        put_in_force.append((taken.type, taken.version))
        return {"in_use": True}

    return Deliveries(store, dict.fromkeys(("root", "keys"), then), now)


def told(deliveries, data) -> list[Reply]:
    return list(deliveries.take(data))


def test_a_bundle_is_put_in_force_and_answered_once(deliveries, centre, put_in_force):
    data = centre.bundle("keys", "# keys", version=3)
    (reply,) = told(deliveries, data)
    assert reply == Reply(
        "bundle", ReplyOutcome.DONE, result={"type": "keys", "name": "", "version": 3, "in_use": True}
    )
    assert told(deliveries, data) == []
    assert put_in_force == [("keys", 3)]


def test_after_a_restart_the_same_bundle_is_passed_over(deliveries, store, now, centre):
    data = centre.bundle("keys", "# keys")
    told(deliveries, data)
    assert told(Deliveries(store, {}, now), data) == []


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ({"version": 4}, Fault.ROLLBACK),
        ({"content": "# other"}, Fault.TWO_OF_ONE_VERSION),
        ({"version": 1 << 40}, Fault.LEAP),
        ({"version": 6, "expires": 1_800_000_000 - 5}, Fault.EXPIRED),
        ({"version": 6, "content": 7}, Fault.BAD_CONTENT),
    ],
    ids=str,
)
def test_the_centres_mistakes_are_said_once(deliveries, centre, put_in_force, how, fault):
    told(deliveries, centre.bundle("keys", "# keys", version=5))
    data = centre.bundle("keys", **{"content": "# keys", "version": 5} | how)
    (reply,) = told(deliveries, data)
    assert (reply.outcome, reply.reason) == (ReplyOutcome.REFUSED, fault)
    assert told(deliveries, data) == []
    assert put_in_force == [("keys", 5)]


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ({"signers": ()}, Fault.TOO_FEW_SIGNATURES),
        ({"signers": ("thief",)}, Fault.TOO_FEW_SIGNATURES),
        ({"signers": ("root", "a", "b")}, Fault.TOO_FEW_SIGNATURES),
        ({"fleet": "another"}, Fault.WRONG_FLEET),
        ({"name": "../x"}, Fault.WRONG_NAME),
        ({"version": 0}, Fault.MALFORMED),
    ],
    ids=str,
)
def test_strangers_bundles_get_no_answer(deliveries, centre, put_in_force, how, fault):
    with pytest.raises(Junk) as caught:
        told(deliveries, centre.bundle("keys", "# keys", **how))
    assert caught.value.fault == fault
    assert not put_in_force


def test_an_order_is_no_bundle(deliveries, centre):
    with pytest.raises(Junk):
        told(deliveries, centre.order())


def test_a_bundle_that_comes_before_its_root_is_taken_after_it(deliveries, centre, put_in_force):
    early = centre.bundle("keys", "# keys", signers=("a",))
    second = centre.root(2, keys=centre.role(1, "a"))
    third = centre.root(3, keys=centre.role(1, "a"))
    for data in (early, third):
        with pytest.raises(Junk):
            told(deliveries, data)
    replies = told(deliveries, second)
    assert put_in_force == [("root", 2), ("keys", 1), ("root", 3)]
    assert all(reply.outcome is ReplyOutcome.DONE for reply in replies)
    assert told(deliveries, second) == [], "an older root of the chain stays retained"


def test_a_stolen_key_has_not_used_up_the_versions(deliveries, centre, put_in_force):
    told(deliveries, centre.bundle("keys", "# theirs", version=90_000))
    told(deliveries, centre.root(2, keys=centre.role(1, "a")))
    (reply,) = told(deliveries, centre.bundle("keys", "# ours", version=2, signers=("a",)))
    assert reply.outcome is ReplyOutcome.DONE
    assert put_in_force[-1] == ("keys", 2)


def test_what_does_not_fit_is_said(store, now, centre):
    def then(taken):
        if taken.version == 1:
            raise CannotDo("does_not_fit")
        raise ZeroDivisionError

    deliveries = Deliveries(store, {"keys": then}, now)
    (reply,) = told(deliveries, centre.bundle("keys", "# keys"))
    assert (reply.outcome, reply.reason) == (ReplyOutcome.FAILED, "does_not_fit")
    (reply,) = told(deliveries, centre.bundle("keys", "# keys", version=2))
    assert (reply.outcome, reply.reason) == (ReplyOutcome.FAILED, "defect")


def test_a_disk_that_fails_is_said(deliveries, store, centre, tmp_path):
    (tmp_path / "bundles" / "keys.bundle.new").mkdir()
    (reply,) = told(deliveries, centre.bundle("keys", "# keys"))
    assert (reply.outcome, reply.reason) == (ReplyOutcome.FAILED, "cannot_remember")


def test_a_kiosk_without_a_root_hears_nobody(now, centre):
    assert told(Deliveries(None, {}, now), centre.bundle("keys", "# keys")) == []
