"""A last will that the broker tells of a broken connection is our own word, not that of an earlier run."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

PUBLISH = 3


class Relay:
    """Hands on to a broker; the first connection is reset at the first message of the client."""

    def __init__(self, port: int) -> None:
        self._broker, self._listener = port, socket.create_server(("127.0.0.1", 0))
        self.port, self._is_first = self._listener.getsockname()[1], True
        self._opened: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            broker = socket.create_connection(("127.0.0.1", self._broker))
            self._opened += client, broker
            ends, self._is_first = (client, broker, self._is_first), False
            threading.Thread(target=self._pump, args=ends, daemon=True).start()
            threading.Thread(target=self._pump, args=(broker, client, False), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket, cuts: bool) -> None:
        try:
            while data := source.recv(65_536):
                if cuts and data[0] >> 4 == PUBLISH:
                    for each in (source, sink):
                        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        each.shutdown(socket.SHUT_RDWR)
                        each.close()
                    return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        self._listener.close()
        for each in self._opened:
            with contextlib.suppress(OSError):  # reset, or at its end
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def test_a_connection_that_breaks_early_begins_no_new_epoch(
    broker, make_outbox, make_link, passage_event, wait_for
):
    outbox = make_outbox()
    for number in range(30):
        outbox.store(passage_event(number))
    wait_for(lambda: outbox.status().stored == 30)
    epoch = outbox.status().epoch
    subscriber = broker.subscriber()
    relay = Relay(broker.port)
    make_link(relay.port, outbox)
    subscriber.wait_until(lambda: "offline" in subscriber.states())
    wait_for(lambda: outbox.status().waiting == 0)
    relay.close()
    assert {event["epoch"] for event in subscriber.events()} == {epoch}
