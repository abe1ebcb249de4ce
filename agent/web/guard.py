"""The guard's page over HTTP: carries requests to the agent, and two cookies. It has no rights of its own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from agent.texts import CATALOGUE
from agent.web.overview import Rates, overview
from agent.web.site import body, page, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from agent.web.staff_client import StaffClient

DEVICE, SESSION = "__Host-device", "__Host-session"
DEVICE_S = 90 * 86_400
VIEW_EVERY_S, STATUS_EVERY_S = 0.5, 1.0
MAX_STREAMS = 16
MAX_FORM = 24_576
"""Bytes of a request: the longest form has 40 answers of 120 signs, in Chinese 15 kB."""
_SUBJECTS = (
    "page", "reason", "outcome", "refusal", "change", "measure", "override", "step", "feedback", "case", "absence",
    "symptom", "round", "role", "problem", "part", "guard_reason",
)  # fmt: skip
_OPEN = {"pair", "login", "badge", "unlock", "logout", "who"}
"""Requests that are no staff action."""


def guard_routes(client: StaffClient) -> list[Route]:  # noqa: C901 - one route each
    """Pages and requests of guards."""
    streams = asyncio.Semaphore(MAX_STREAMS)

    async def guard(_: Request) -> Response:
        return HTMLResponse(page("staff.html", script="guard.js"))

    async def texts(_: Request) -> Response:
        return JSONResponse({subject: CATALOGUE[subject] for subject in _SUBJECTS})

    async def forward_request(request: Request) -> Response:
        said = await body(request, MAX_FORM)
        if not isinstance(said, dict) or not isinstance(said.get("do"), str):
            raise HTTPException(400)
        if said["do"] in ("hello", "view", "status"):
            raise HTTPException(404)
        answer = await client.request({**said, **_cookies(request)})
        response = JSONResponse({key: value for key, value in answer.items() if key not in ("device", "session")})
        if said["do"] == "pair" and "device" in answer:
            _set(response, DEVICE, answer["device"], DEVICE_S)
        if said["do"] in _OPEN and "session" in answer:
            _set(response, SESSION, answer["session"], None)
        if said["do"] == "logout":
            response.delete_cookie(SESSION, "/", secure=True, httponly=True, samesite="strict")
        return response

    async def technician(_: Request) -> Response:
        return HTMLResponse(page("staff.html", script="technician.js"))

    async def events(request: Request) -> Response:
        return _bounded(_views(client, _cookies(request), streams))

    async def statuses(request: Request) -> Response:
        return _bounded(_statuses(client, _cookies(request), streams))

    def _bounded(made: AsyncIterator[tuple[str, dict[str, Any]]]) -> Response:
        if streams.locked():
            raise HTTPException(503)
        return stream(made)

    return [
        Route("/guard", guard),
        Route("/guard/texts", texts),
        Route("/guard/ask", forward_request, methods=["POST"]),
        Route("/guard/events", events),
        Route("/technician", technician),
        Route("/technician/events", statuses),
    ]


async def _views(
    client: StaffClient, cookies: dict[str, str], streams: asyncio.Semaphore
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """What the guard sees, again and again, until the session ends."""
    async with streams:
        while True:
            view = await client.request({"do": "view", **cookies})
            if view.get("refused") in ("not_logged_in", "bad_arguments"):
                yield "over", view
                return
            yield ("lost" if "refused" in view else "view"), view
            await asyncio.sleep(VIEW_EVERY_S)


async def _statuses(
    client: StaffClient, cookies: dict[str, str], streams: asyncio.Semaphore
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """What the technician sees, each second, until the session ends."""
    rates = Rates()
    async with streams:
        while True:
            report = await client.request({"do": "status", **cookies})
            if report.get("refused") in ("not_logged_in", "bad_arguments"):
                yield "over", report
                return
            if "refused" not in report:
                yield "status", asdict(overview(report, rates.of(report), time.monotonic()))
            await asyncio.sleep(STATUS_EVERY_S)


def _cookies(request: Request) -> dict[str, str]:
    return {"device": request.cookies.get(DEVICE, ""), "session": request.cookies.get(SESSION, "")}


def _set(response: Response, name: str, value: str, age_s: int | None) -> None:
    response.set_cookie(name, value, max_age=age_s, path="/", secure=True, httponly=True, samesite="strict")
