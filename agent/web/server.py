"""Serves the pages: one event loop, one listener for this machine, and only what HTTP needs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.platform import systemd
from agent.web.feed import Feed
from agent.web.guard import guard_routes
from agent.web.options import address_of
from agent.web.site import guard_site, person_site
from agent.web.staff_client import StaffClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import ASGIApp

log = logging.getLogger(__name__)

HEAD_S = 5.0
"""A request's head has to be there by then."""
MAX_CONNECTIONS = 64
HELLO_EVERY_S = 1.0
LOOK_EVERY_S = 30.0
"""So often the agent is asked whether the pages are to be served otherwise."""
AGAIN_S = 5.0
"""So soon it is tried again where they could not be served."""


class Protocol(H11Protocol):
    """HTTP/1.1 that hangs up on a head which does not come to its end."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client has come."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_S, self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A piece of a request. The time for a head runs from its first piece to its last."""
        super().data_received(data)
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._hang_up)

    def _stop_timer(self) -> None:
        timer, self._head_timer = self._head_timer, None
        if timer is not None:
            timer.cancel()

    def _hang_up(self) -> None:
        self.transport.close()


def config(app: ASGIApp, **where: Any) -> uvicorn.Config:
    """Settings of a listener: no address that a proxy claims, no header of ours, no log of requests."""
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        access_log=False,
        log_config=None,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=8192,
        **where,
    )


class Server(uvicorn.Server):
    """Leaves signals alone: several run in one loop."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override] # a context, as there
        """None."""
        return contextlib.nullcontext()


async def serve(doors: Path, port: int) -> None:
    """Serve until SIGTERM or SIGINT. `doors`: folder of the agent's sockets; `port`: of this machine's listener, 0
    for any. Raises OSError when it is taken.
    """
    with socket.create_server(("127.0.0.1", port)) as local:
        own = local.getsockname()[1]
        feed = Feed(doors / "watch.sock", own)
        client = StaffClient(doors / "staff.sock")
        server = Server(config(person_site(feed, own, guard_routes(client))))
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        tasks = [
            asyncio.create_task(each)
            for each in (feed.run(), server.serve([local]), _pet_watchdog(), network(client))
        ]
        log.info("the screens: http://127.0.0.1:%d/", own)
        await asyncio.wait([asyncio.create_task(stopping.wait()), *tasks], return_when=asyncio.FIRST_COMPLETED)
        systemd.notify("STOPPING=1")
        server.should_exit = True
        await tasks[1]
        for task in tasks:
            task.cancel()


async def _pet_watchdog() -> None:
    """Tell systemd that this loop moves."""
    systemd.notify("READY=1")
    while True:
        systemd.notify("WATCHDOG=1")
        await asyncio.sleep(1.0)


async def network(client: StaffClient) -> None:
    """Serve the guard's page by TLS where and as the agent's settings say: at its start the machine may not have
    that address yet, and certificates are renewed.
    """
    fault = ""
    while True:
        hello = await client.request({"do": "hello"})
        if not hello.get("listen"):
            await asyncio.sleep(HELLO_EVERY_S if "refused" in hello else LOOK_EVERY_S)
            continue
        try:
            await _serve_pages(client, hello)
        except OSError as error:  # also of the certificate
            before, fault = fault, f"{hello['listen']}: {error}"
            if fault != before:
                log.warning("the guard's page is not served on the network: %s", fault)
            await asyncio.sleep(AGAIN_S)


async def _serve_pages(client: StaffClient, hello: dict[str, Any]) -> None:
    """Until the agent says something else. Raises OSError."""
    host, port = address_of(hello["listen"])
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    site = guard_site([f"{name}:{port}" for name in hello["names"]], guard_routes(client))
    with _in_memory(hello["certificate"]) as certificate, _in_memory(hello["key"]) as key:
        made = config(site, ssl_certfile=certificate, ssl_keyfile=key)
        made.load()
    with socket.create_server((host, port), family=family) as tcp:
        log.info("the guard's page: https://%s:%d/guard", hello["names"][0], port)
        server = Server(made)
        serving = asyncio.create_task(server.serve([tcp]))
        try:
            while not serving.done() and not await _says_otherwise(client, hello):
                await asyncio.wait({serving}, timeout=LOOK_EVERY_S)
            server.should_exit = True
            await serving
        finally:
            serving.cancel()


async def _says_otherwise(client: StaffClient, before: dict[str, Any]) -> bool:
    """Whether the pages are to be served elsewhere, by other names, with another certificate, or not at all."""
    now = await client.request({"do": "hello"})
    what = ("listen", "names", "certificate", "key")
    return "refused" not in now and any(now.get(each) != before.get(each) for each in what)


@contextlib.contextmanager
def _in_memory(pem: str) -> Iterator[str]:
    """A path to read it by: a key is written to no disk."""
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
