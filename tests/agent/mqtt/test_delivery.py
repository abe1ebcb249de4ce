"""To the central server: the example of docs/events.md as a process, a broker that forgets, and signed receipts."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def delivery(tmp_path, make_broker):
    """`delivery(kind, **options)`: outbox, link (not started), broker and central server, as they are measured."""
    make_broker()  # skips where there is no mosquitto
    spec = importlib.util.spec_from_file_location("receipt_load", BENCH / "receipt_load.py")
    module = sys.modules["receipt_load"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda kind, **options: module.Delivery(tmp_path, kind, options)


@pytest.mark.parametrize("kind", ["receipt", "broker"])
def test_a_broker_that_forgets_what_it_acknowledged(delivery, kind, wait_for):
    with delivery(kind) as whole:
        whole.link.start()
        whole.decide(100)
        wait_for(lambda: whole.outbox.status().waiting == 0)
        wait_for(lambda: whole.has() == 100)
        whole.stop_server()
        whole.decide(1000)
        wait_for(whole.outbox.is_sent)
        assert whole.outbox.status().waiting == (1000 if kind == "receipt" else 0)
        whole.kill_broker()
        whole.start_broker()
        whole.start_server()
        wait_for(lambda: whole.outbox.status().waiting == 0, 120)
        if kind == "broker":
            assert whole.has() == 100, "the harness finds what is lost"
        else:
            wait_for(lambda: whole.has() == 1100)
            assert whole.outbox.status().delivered == 1100


def test_receipts_of_strangers_are_counted_and_are_no_fault(delivery, wait_for):
    """A link that works must not look ill for what anybody may publish."""
    with delivery("receipt", receipt_timeout_s=600) as whole:
        whole.stop_server()
        whole.link.start()
        whole.decide(10)
        wait_for(whole.outbox.is_sent)
        wait_for(lambda: whole.link.status().listening)
        whole.say_receipt(whole.receipt(key=whole.another_key))
        wait_for(lambda: "0 signatures hold" in whole.link.status().refusal)
        whole.say_receipt(b"no envelope")
        whole.say_receipt(b"x" * 140_000)
        for replayed in ({"epoch": "00000000"}, {"source": "/gatepost/v1/bench/other"}):
            whole.say_receipt(whole.receipt(**replayed))
        wait_for(lambda: whole.link.status().refused_receipts == 5)
        assert whole.link.status().fault == ""
        assert whole.outbox.status().waiting == 10
        whole.say_receipt(whole.receipt())
        wait_for(lambda: whole.outbox.status().waiting == 0)
        assert (whole.link.status().fault, whole.link.status().refusal) == ("", "")


@pytest.mark.parametrize("wrong", [{"sha256": "ab" * 32}, {"up_to": 11}], ids=["chain", "count"])
def test_what_only_the_server_can_have_signed_and_does_not_fit_is_a_fault(delivery, wait_for, wrong):
    with delivery("receipt", receipt_timeout_s=600) as whole:
        whole.stop_server()
        whole.link.start()
        whole.decide(10)
        wait_for(whole.outbox.is_sent)
        wait_for(lambda: whole.link.status().listening)
        whole.say_receipt(whole.receipt(**wrong))
        wait_for(lambda: "a receipt of the central server does not fit" in whole.link.status().fault)
        assert whole.outbox.status().waiting == 10
        whole.say_receipt(whole.receipt())
        wait_for(lambda: whole.link.status().fault == "")


def test_a_server_whose_receipts_are_refused_is_told_why(delivery, wait_for):
    with delivery("receipt", receipt_timeout_s=1) as whole:
        whole.stop_server()
        whole.link.start()
        whole.decide(10)
        wait_for(whole.outbox.is_sent)
        wait_for(lambda: "the central server does not confirm" in whole.link.status().fault)
        whole.say_receipt(whole.receipt(key=whole.another_key))
        wait_for(lambda: "are refused: bundle refused: 0 signatures hold" in whole.link.status().fault)
        whole.say_receipt(whole.receipt())
        wait_for(lambda: whole.link.status().fault == "")


def test_junk_and_forged_events_neither_stop_the_server_nor_take_a_true_ones_place(delivery, wait_for):
    """A broker guards topics, not what is said on them: a stolen kiosk must not hurt the others."""
    with delivery("receipt") as whole:
        epoch = whole.outbox.status().epoch
        forged = [sys.modules["receipt_load"].another_event("kiosk", epoch, sequence) for sequence in range(1, 11)]
        junk = [b"evil", b"\xff", b"[]", b"[" * 100_000, b'{"source": []}', b'{"epoch": 7}']
        for payload in (*junk, *forged):
            whole.say_event("thief", payload)
        wait_for(lambda: whole.log().count("no event of its kiosk") == len(junk) + len(forged))
        whole.link.start()
        whole.decide(10)
        wait_for(lambda: whole.outbox.status().waiting == 0)
        assert whole.has() == whole.outbox.status().delivered == 10
