"""A broker that does as a test says, for what mosquitto does not do."""

from __future__ import annotations

import json
import select
import socket
import threading


class ScriptedBroker:
    """Speaks just enough MQTT: counts what is on the way, answers as told. Written from the MQTT 5 text."""

    def __init__(
        self,
        *,
        receive_maximum=0,
        acknowledge=True,
        reason=0,
        only_3_1_1=False,
        hangs_up_on_5=False,
        suback=(1, 1, 1),
        properties=b"",
        state_reason=0,
        hates=lambda _topic, _payload: False,
        hates_subscribers=False,
        hates_topic=b"",
        hates_wills=0,
        ungreeted=0,
    ) -> None:
        """`properties`: of its greeting, as bytes; `hates`: at which messages it ends the connection;
        `hates_topic`: at which subscriptions; `hates_wills`: the reason code to anyone who has one (0x9A: a
        retained one); `ungreeted`: how many connections it ends before it greets.
        """
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.receive_maximum, self.acknowledge, self.reason = receive_maximum, acknowledge, reason
        self.only_3_1_1, self.hangs_up_on_5, self.suback = only_3_1_1, hangs_up_on_5, suback
        self.subscriptions = []
        """Body of each SUBSCRIBE."""
        self.properties, self.state_reason = properties, state_reason
        self.hates, self.hates_subscribers, self.hates_wills = hates, hates_subscribers, hates_wills
        self.hates_topic, self.ungreeted = hates_topic, ungreeted
        self.longest = 0
        """Bytes of an event's packet, one of 128 to 16,383 bytes after its header."""
        self.order = ""
        """`S` for each state, `e` for each event, as they came."""
        self.states = []
        """(first byte of the packet, payload) of each state."""
        self.deaf = 0
        """So many more connections it ends when they subscribe."""
        self.attack = b""
        """What it sends once somebody has subscribed."""
        self.versions, self.published, self.most_on_the_way, self.connections = [], [], 0, 0
        self.hang_up_after = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while not self._closing.is_set():
            try:
                wire, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with wire:
                try:
                    self._talk(wire)
                except (OSError, EOFError):
                    continue

    def _talk(self, wire):
        waiting = []
        while not self._closing.is_set():
            readable, _, _ = select.select([wire], [], [], 0.05)
            if not readable:  # a pause: now answer all that came, so that as much as possible was on the way
                for packet_id in waiting:
                    wire.sendall(self._puback(packet_id))
                waiting = []
                continue
            first, body = self._packet(wire)
            match first >> 4:
                case 1:
                    self._greet(wire, body)
                case 3:
                    self._receive(wire, first, body, waiting)
                case 8:
                    self._subscribe(wire, body)
                case 12:
                    wire.sendall(b"\xd0\x00")
                case 14:
                    return

    def _subscribe(self, wire, body):
        self.subscriptions.append(body)
        if self.hates_subscribers or (self.hates_topic and self.hates_topic in body):
            raise EOFError
        if self.deaf:
            self.deaf -= 1
            raise EOFError
        wire.sendall(bytes((0x90, 3 + len(self.suback))) + body[:2] + bytes((0, *self.suback)))
        wire.sendall(self.attack)

    def _greet(self, wire, body):
        version, has_will = body[6], body[7] & (0x20 if self.hates_wills == 0x9A else 4)
        self.versions.append(version)
        if self.hangs_up_on_5 and version > 4:
            raise EOFError
        if self.ungreeted:
            self.ungreeted -= 1
            raise EOFError
        if has_will and self.hates_wills:
            wire.sendall(bytes((0x20, 3, 0, self.hates_wills, 0)))
            raise EOFError
        if version == 4:
            wire.sendall(b"\x20\x02\x00\x00")
        elif self.only_3_1_1:
            wire.sendall(b"\x20\x02\x00\x01")
            raise EOFError
        else:
            properties = b"\x21" + self.receive_maximum.to_bytes(2, "big") if self.receive_maximum else b""
            properties += self.properties
            wire.sendall(bytes((0x20, 3 + len(properties), 0, 0, len(properties))) + properties)

    def _receive(self, wire, first, body, waiting):
        length = int.from_bytes(body[:2], "big")
        topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
        if self.hates(topic, rest):
            raise EOFError
        self.order += "S" if topic.endswith("/state") else "e"
        if topic.endswith("/state"):
            self.states.append((first, rest[rest.index(b"{") :]))
            if first & 6:
                wire.sendall(b"\x40\x03" + rest[:2] + bytes((self.state_reason,)))
            return
        self.longest = max(self.longest, 3 + len(body))
        self.published.append(rest[rest.index(b'{"spec') :])
        if self.acknowledge:
            waiting.append(rest[:2])
            self.most_on_the_way = max(self.most_on_the_way, len(waiting))
        if self.hang_up_after is not None and len(self.published) >= self.hang_up_after:
            self.hang_up_after = None
            raise EOFError

    def _puback(self, packet_id):
        return b"\x40\x03" + packet_id + bytes((self.reason,)) if self.reason else b"\x40\x02" + packet_id

    def _packet(self, wire):
        first = self._read(wire, 1)[0]
        length, shift = 0, 0
        while True:
            byte = self._read(wire, 1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                return first, self._read(wire, length)

    def _read(self, wire, count):
        data = b""
        while len(data) < count:
            piece = wire.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def numbers(self):
        return [json.loads(payload)["data"]["duration_ms"] for payload in self.published]

    def close(self):
        self._closing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(90)
