"""Whether there is a page for staff on the network: where the agent says so in full. What is missing closes."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from guard_pages import free_port

from agent.web.options import Options
from agent.web.server import network
from agent.web.staff_client import StaffClient

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
