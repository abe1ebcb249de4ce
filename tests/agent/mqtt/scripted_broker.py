"""A broker that does as a test says, for what mosquitto does not do."""

from __future__ import annotations

import json
import select
import socket
import threading


class ScriptedBroker:
    """Speaks just enough MQTT: counts what is on the way, answers as told. Written from the MQTT 5 text."""

    def __init__(
        self, *, receive_maximum=0, acknowledge=True, reason=0, only_3_1_1=False, suback=(1, 1, 1)
    ) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.receive_maximum, self.acknowledge, self.reason = receive_maximum, acknowledge, reason
        self.only_3_1_1, self.suback = only_3_1_1, suback
        self.subscriptions = []
        """Body of each SUBSCRIBE."""
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
                    self._greet(wire, body[6])
                case 3:
                    self._receive(wire, body, waiting)
                case 8:
                    self.subscriptions.append(body)
                    if self.deaf:
                        self.deaf -= 1
                        return
                    wire.sendall(bytes((0x90, 3 + len(self.suback))) + body[:2] + bytes((0, *self.suback)))
                    wire.sendall(self.attack)
                case 12:
                    wire.sendall(b"\xd0\x00")
                case 14:
                    return

    def _greet(self, wire, version):
        self.versions.append(version)
        if version == 4:
            wire.sendall(b"\x20\x02\x00\x00")
        elif self.only_3_1_1:
            wire.sendall(b"\x20\x02\x00\x01")
            raise EOFError
        else:
            properties = b"\x21" + self.receive_maximum.to_bytes(2, "big") if self.receive_maximum else b""
            wire.sendall(bytes((0x20, 3 + len(properties), 0, 0, len(properties))) + properties)

    def _receive(self, wire, body, waiting):
        length = int.from_bytes(body[:2], "big")
        topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
        if topic.endswith("/state"):
            wire.sendall(b"\x40\x02" + rest[:2])
            return
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
        return [json.loads(payload)["data"]["took_ms"] for payload in self.published]

    def close(self):
        self._closing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(5)
