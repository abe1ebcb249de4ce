"""Whether there is a page for staff on the network: where the agent says so in full. What is missing closes."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from guard_pages import free_port

from agent.enrolment import certificates
from agent.web import server
from agent.web.options import Options
from agent.web.server import network
from agent.web.staff_client import StaffClient
from tests.conftest import wait_for

SERVED_S = 1.0
"""So long after the agent has answered, a page would be there."""


def is_served(hello: dict[str, Any], port: int) -> bool:
    """Whether anything listens at the port once the agent has answered `hello`."""
    answered = threading.Event()

    async def look(door: Path) -> bool:
        serving = asyncio.create_task(network(StaffClient(door)))
        await asyncio.to_thread(answered.wait, 20.0)
        end_s = asyncio.get_running_loop().time() + SERVED_S
        found = False
        while not found and asyncio.get_running_loop().time() < end_s:
            with socket.socket() as client:
                found = client.connect_ex(("127.0.0.1", port)) == 0
            await asyncio.sleep(0.05)
        serving.cancel()
        return found

    with tempfile.TemporaryDirectory(prefix="gp-") as folder, socket.socket(socket.AF_UNIX) as door:
        door.bind(f"{folder}/staff.sock")
        door.listen()

        def answer() -> None:
            client, _ = door.accept()
            with client:
                assert json.loads(client.makefile().readline()) == {"do": "hello"}
                client.sendall(json.dumps(hello).encode() + b"\n")
            answered.set()

        threading.Thread(target=answer, daemon=True).start()
        with ThreadPoolExecutor(1) as pool:  # a browser's test leaves a loop in this thread
            return pool.submit(asyncio.run, look(Path(folder, "staff.sock"))).result()


@contextmanager
def served(hello: dict[str, Any]) -> Iterator[None]:
    """`network` in a thread of its own, with an agent that says each time what `hello` has then."""
    stopping = threading.Event()

    async def serve(door: Path) -> None:
        serving = asyncio.create_task(network(StaffClient(door)))
        await asyncio.to_thread(stopping.wait)
        serving.cancel()
        await asyncio.wait({serving})

    with tempfile.TemporaryDirectory(prefix="gp-") as folder, socket.socket(socket.AF_UNIX) as door:
        door.bind(f"{folder}/staff.sock")
        door.listen()

        def answer() -> None:
            with suppress(OSError):
                while True:
                    client, _ = door.accept()
                    with client:
                        client.makefile().readline()
                        client.sendall(json.dumps(hello).encode() + b"\n")

        threading.Thread(target=answer, daemon=True).start()
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(asyncio.run, serve(Path(folder, "staff.sock")))
            try:
                yield
            finally:
                stopping.set()
                done.result()


def shown(port: int) -> str:
    """The certificate that is shown at the port; empty when nothing is."""
    try:
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=5.0)
    except OSError:
        return ""


def test_the_page_is_served_once_its_address_is_there_and_by_the_certificate_of_now(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the start the machine may have no address yet; a certificate is renewed every few weeks."""
    monkeypatch.setattr(server, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(server, "AGAIN_S", 0.1)
    first, second = (certificates.for_pages(["gate-1.local"], 90, time.time()) for _ in range(2))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        hello = {"listen": f"127.0.0.1:{port}", "names": ["gate-1.local"], "certificate": first[1], "key": first[0]}
        with served(hello):
            wait_for(lambda: "not served on the network" in caplog.text)
            other.close()
            wait_for(lambda: shown(port) == first[1])
            hello.update(certificate=second[1], key=second[0])
            wait_for(lambda: shown(port) == second[1])
            hello.update(listen="")
            wait_for(lambda: not shown(port))
    assert caplog.text.count("not served on the network") == 1


@pytest.mark.parametrize(
    "more",
    [
        {"listen": ""},
        {"listen": None},
        {"certificate": "", "key": ""},
        {"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "key": "no key"},
    ],
    ids=["off", "null", "no certificate", "a bad certificate"],
)
def test_what_is_missing_or_wrong_closes(more: dict[str, Any]) -> None:
    port = free_port()
    hello = {"listen": f"127.0.0.1:{port}", "names": ["gate-1.local"], "certificate": "", "key": "", **more}
    assert not is_served(hello, port)
    assert not is_served({}, port)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"listen": "0.0.0.0:8471"}, "listen needs names"),
        ({"listen": "192.0.2.1", "names": ("k",)}, "no address with a port"),
        ({"listen": "everywhere:8471", "names": ("k",)}, "no address with a port"),
        ({"listen": "0.0.0.0:0", "names": ("k",)}, "no address with a port"),
        ({"listen": "0.0.0.0:8471", "names": ("*",)}, "no name or address"),
        ({"listen": "0.0.0.0:8471", "names": ("k", "evil.example/x")}, "no name or address"),
        ({"certificate": Path("c.pem")}, "give both, or neither"),
    ],
)
def test_settings_that_say_half_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Options(**settings)
