"""Events are packed, and their acknowledgements read, without paho's objects: to the same bytes and words."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from agent.mqtt.client import Client, ConnectionClosed, LinkLost
from agent.mqtt.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.mqtt.client import BrokerLimits


class Acknowledged:
    """A listener that notes what was acknowledged."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str]] = []

    def on_connected(self, limits: BrokerLimits) -> None: ...
    def on_subscribed(self, refusals: object) -> None: ...
    def on_message(self, topic: str, payload: bytes, *, retained: bool) -> None: ...
    def on_acknowledgement(self, mid: int, refusal: str) -> None:
        self.answers.append((mid, refusal))


@pytest.fixture(params=[True, False], ids=["5", "3.1.1"])
def line(request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    """A client whose socket ends here: (client, far end, listener)."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.settimeout(90)
    told = Acknowledged()
    client = Client(Options(), "kiosk", None, told, v5=request.param)
    client._sock = client._socket = near  # as after `dial`
    yield SimpleNamespace(client=client, far=far, told=told)
    near.close()
    far.close()


def written(line: SimpleNamespace) -> bytes:
    line.client.flush()
    found = bytearray()
    line.far.settimeout(0.0)
    while True:
        try:
            found += line.far.recv(1 << 20)
        except BlockingIOError:
            if not line.client.holds_output():
                return bytes(found)
            line.client.flush()


@pytest.mark.parametrize("v5", [True, False])
@given(
    topic=st.text(st.characters(exclude_characters="+#\x00", exclude_categories=["Cs"]), min_size=1, max_size=60),
    payload=st.one_of(
        st.binary(min_size=1, max_size=300), st.sampled_from([127, 128, 16_383, 16_384, 70_000]).map(bytes)
    ),
)
def test_an_event_is_the_packet_that_paho_makes_of_it(v5: bool, topic: str, payload: bytes) -> None:
    packets = []
    for by_paho in (False, True):  # each client gives the id 1 first
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            client = Client(Options(), "kiosk", None, Acknowledged(), v5=v5)
            client._sock = client._socket = near
            if by_paho:
                client.publish(topic, payload, qos=1, properties=client._event_properties)
            else:
                client.send_event(topic, payload)
            packets.append(written(SimpleNamespace(client=client, far=far)))
    ours, theirs = packets
    assert ours == theirs
    assert len(ours) == client.event_bytes(topic, payload)


def test_each_event_is_acknowledged_once_and_by_its_id(line: SimpleNamespace) -> None:
    first, second = (line.client.send_event("a/b", b"x") for _ in range(2))
    line.far.sendall(b"".join(b"\x40\x02" + mid.to_bytes(2, "big") for mid in (second, first, first, 999)))
    line.client.read()
    assert line.told.answers == [(second, ""), (first, "")]


ONLY_5 = pytest.mark.parametrize("line", [True], indirect=True, ids=["5"])


@ONLY_5
@pytest.mark.parametrize("code", [0x87, 0x97, 0x99])
def test_a_refusal_is_told_in_pahos_words(line: SimpleNamespace, code: int) -> None:
    mid = line.client.send_event("a/b", b"x")
    line.far.sendall(b"\x40\x04" + mid.to_bytes(2, "big") + bytes((code, 0)))
    line.client.read()
    assert line.told.answers == [(mid, str(ReasonCode(PacketTypes.PUBACK, identifier=code)))]


@ONLY_5
@pytest.mark.parametrize("more", [b"\x00", b"\x10", b"\x00\x00", b"\x10\x00"])
def test_nobody_there_to_take_it_is_no_refusal(line: SimpleNamespace, more: bytes) -> None:
    first, second = (line.client.send_event("a/b", b"x") for _ in range(2))
    for mid in (first, second):
        line.far.sendall(bytes((0x40, 2 + len(more))) + mid.to_bytes(2, "big") + more)
    line.client.read()
    assert line.told.answers == [(first, ""), (second, "")]


@ONLY_5
@pytest.mark.parametrize("more", [b"", b"\x00", b"\x10", b"\x10\x00", b"\x87"])
def test_an_acknowledgement_that_comes_in_two_pieces_counts_when_it_is_whole(
    line: SimpleNamespace, more: bytes
) -> None:
    mid = line.client.send_event("a/b", b"x")
    packet = bytes((0x40, 2 + len(more))) + mid.to_bytes(2, "big") + more
    for cut in range(1, len(packet)):
        line.far.sendall(packet[:cut])
        line.client.read()
        assert not line.told.answers
        line.far.sendall(packet[cut:])
        line.client.read()
        assert [acknowledged for acknowledged, _ in line.told.answers] == [mid]
        line.told.answers.clear()
        mid = line.client.send_event("a/b", b"x")
        packet = packet[:2] + mid.to_bytes(2, "big") + more


@pytest.mark.parametrize("more", [b"\x01", b"\x87\x05\x99"])
def test_a_malformed_acknowledgement_ends_the_connection_and_acknowledges_nothing(
    line: SimpleNamespace, more: bytes
) -> None:
    mid = line.client.send_event("a/b", b"x")
    line.far.sendall(bytes((0x40, 2 + len(more))) + mid.to_bytes(2, "big") + more)
    with pytest.raises((LinkLost, ConnectionClosed)):
        line.client.read()
    assert not line.told.answers


@pytest.mark.parametrize("packet", [b"\x40\x00", b"\x40\x01\x01"])
def test_a_cut_off_acknowledgement_ends_the_connection_and_acknowledges_nothing(
    line: SimpleNamespace, packet: bytes
) -> None:
    assert line.client.send_event("a/b", b"x") == 1
    line.far.sendall(packet)
    with pytest.raises((LinkLost, ConnectionClosed)):
        line.client.read()
    assert not line.told.answers


def test_acknowledgements_may_come_in_pieces_and_between_other_packets(line: SimpleNamespace) -> None:
    mids = [line.client.send_event("a/b", b"x") for _ in range(3)]
    ping = b"\xd0\x00"
    sent = ping + b"".join(b"\x40\x02" + mid.to_bytes(2, "big") + ping for mid in mids)
    for at in range(len(sent)):
        line.far.sendall(sent[at : at + 1])
        line.client.read()
    assert line.told.answers == [(mid, "") for mid in mids]


@pytest.mark.parametrize(("asked_s", "pings_s"), [(None, 7), (0, 7), (3, 3), (7, 7), (65_535, 7)])
def test_a_broker_that_asks_for_fewer_pings_is_still_found_silent(asked_s: int | None, pings_s: int) -> None:
    """Server Keep Alive, MQTT 5, 3.2.2.3.14: to ping more often than it asks is allowed, to ping less is not."""
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        client = Client(Options(keepalive_s=7), "kiosk", None, Acknowledged(), v5=True)
        client._sock = client._socket = near
        properties = b"" if asked_s is None else b"\x13" + asked_s.to_bytes(2, "big")
        far.sendall(bytes((0x20, 3 + len(properties), 0, 0, len(properties))) + properties)
        assert client.loop_read() == 0
        assert client.keepalive == pings_s
