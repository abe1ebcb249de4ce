"""The pages over HTTP: the person's page of each lane, on this machine only."""

from __future__ import annotations

import asyncio
import json
import time
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from agent.platform.rate_limit import TokenBucket
from agent.texts import CATALOGUE
from agent.web.pictures import LANG_TAGS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from agent.web.feed import Feed

PAGES = Path(__file__).parent / "pages"
MAX_BODY = 4096
BODY_S = 5.0
REQUESTS_AT_ONCE, REQUESTS_PER_S = 200, 100
"""Of one site: a page and its files are about ten, a lane's screen sends three a second. What is more waits, so
that a flood takes no time from the agent.
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class RequestFilter:
    """What holds for every request: a bounded rate, an expected name, no foreign page behind it, headers that lock
    the page up.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], scheme: str) -> None:
        """`hosts`: what `Host` may be, with the port; `scheme`: of this site's own origin."""
        self._app, self._hosts, self._scheme = app, frozenset(hosts), scheme
        self._rate, self._turn = TokenBucket(REQUESTS_AT_ONCE, REQUESTS_PER_S, time.monotonic()), asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def locked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        given: dict[str, str] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1")
            given[key] = f"{given[key]}, {value.decode('latin-1')}" if key in given else value.decode("latin-1")
        async with self._turn:
            while not self._rate.allows(time.monotonic()):  # noqa: ASYNC110 - time alone lets more in
                await asyncio.sleep(1 / REQUESTS_PER_S)
        refusal = self._refusal(scope["method"], given)
        await (self._app if refusal is None else PlainTextResponse(refusal, 403))(scope, receive, locked)

    def _refusal(self, method: str, given: dict[str, str]) -> str | None:
        host = given.get("host", "")
        if host not in self._hosts:
            return "this name is not served here"
        if given.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "asked for by another site"
        if method == "GET":
            return None
        if given.get("origin") != f"{self._scheme}://{host}":
            return "sent from another page"
        if given.get("content-type", "").partition(";")[0] != "application/json":
            return "not JSON"
        return None


def guard_site(hosts: Collection[str], routes: Sequence[Route]) -> ASGIApp:
    """The guard's page alone, for the network."""
    static = Mount("/static", StaticFiles(directory=PAGES / "static"))
    return RequestFilter(Starlette(routes=[*routes, static]), hosts, "https")


def person_site(feed: Feed, port: int, more: Sequence[Route] = ()) -> ASGIApp:
    """The person's pages. Nothing here needs a login: it is what the lane's screen shows."""

    async def index(_: Request) -> Response:
        lanes = "".join(f'<li><a href="/lanes/{escape(lane)}">{escape(lane)}</a></li>' for lane in feed.lanes)
        return HTMLResponse(page("lanes.html", lanes=lanes))

    async def lane(_: Request) -> Response:
        text = CATALOGUE["cue"]["fault"]
        signs = (PAGES / "static" / "signs.svg").read_text()  # in the page: a picture waits for no other request
        return HTMLResponse(page("person.html", en=text.en, zh=text.zh, tag_zh=LANG_TAGS["zh"], signs=signs))

    async def events(request: Request) -> Response:
        return stream(feed.follow(request.path_params["lane"]))

    async def painted(request: Request) -> Response:
        match await body(request):
            case {"number": int() as number}:
                await feed.painted(request.path_params["lane"], number)
                return Response(status_code=204)
        raise HTTPException(400)

    routes = [
        Route("/", index),
        Route("/lanes/{lane}", lane),
        Route("/lanes/{lane}/events", events),
        Route("/lanes/{lane}/painted", painted, methods=["POST"]),
        *more,
        Mount("/static", StaticFiles(directory=PAGES / "static")),
    ]
    return RequestFilter(Starlette(routes=routes), [f"127.0.0.1:{port}", f"localhost:{port}"], "http")


def page(name: str, **values: str) -> str:
    """A page with its values; they are safe HTML already."""
    return Template((PAGES / name).read_text(encoding="utf-8")).substitute(values)


async def body(request: Request, most_bytes: int = MAX_BODY) -> Any:
    """The JSON of a request of bounded length. Raises HTTPException."""
    data = b""
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                data += piece
                if len(data) > most_bytes:
                    raise HTTPException(413)
        return json.loads(data)
    except (ValueError, RecursionError):
        raise HTTPException(400) from None
    except TimeoutError:
        raise HTTPException(408) from None


def stream(events: AsyncIterator[tuple[str, dict[str, Any]]]) -> Response:
    """Server-sent events."""

    async def lines() -> AsyncIterator[str]:
        yield "retry: 300\n\n"
        async for name, data in events:
            yield f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")
