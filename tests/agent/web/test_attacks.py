"""What a hostile page, program or browser sends to the screens: refused, and the screens go on."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from screens_bench import Screens

from agent.model.effects import Cue
from agent.web.server import HEAD_S, MAX_CONNECTIONS
from agent.web.site import REQUESTS_AT_ONCE, REQUESTS_PER_S, RequestFilter
from tests.conftest import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fair_clock import FairClock

PATH = "/lanes/entry/painted"


@pytest.fixture(scope="module")
def served() -> Iterator[Screens]:
    made = Screens("entry")
    yield made
    made.close()


def ask(served: Screens, method: str, path: str, body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
    """A request as this machine's own page sends it, but for what is said otherwise."""
    own = f"127.0.0.1:{served.port}"
    given = {"Host": own, **({"Origin": f"http://{own}", "Content-Type": "application/json"} if body else {})}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=120)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {**given, **({"Content-Length": str(len(body))} if body else {})}.items():
        connection.putheader(name, value)
    connection.endheaders(body or None)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def number(value: object) -> bytes:
    return json.dumps({"number": value}).encode()


def test_its_own_page_is_served_and_may_acknowledge(served: Screens) -> None:
    assert ask(served, "GET", "/lanes/entry").status == 200
    assert ask(served, "POST", PATH, number(1)).status == 204


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
    ],
)
def test_another_site_is_refused(served: Screens, headers: dict[str, str]) -> None:
    assert ask(served, "POST", PATH, number(1), **headers).status in {400, 403}


def test_a_proxys_word_gives_no_other_name(served: Screens) -> None:
    forwarded = {"X_Forwarded_Host": f"127.0.0.1:{served.port}", "X_Forwarded_For": "127.0.0.1"}
    assert ask(served, "GET", "/", Host="evil.example", **forwarded).status == 403


def test_no_page_may_frame_it_and_no_script_of_others_runs(served: Screens) -> None:
    answer = ask(served, "GET", "/lanes/entry")
    policy = answer.headers["Content-Security-Policy"]
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in answer.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[" * 4000, 400),
        (b"[]", 400),
        (number("1"), 400),
        (number(None), 400),
        (b'{"number": 1, "pad": "' + b"x" * 5_000_000 + b'"}', 413),
    ],
)
def test_what_is_no_acknowledgement_is_refused(served: Screens, body: bytes, status: int) -> None:
    try:
        assert ask(served, "POST", PATH, body).status == status
    except (BrokenPipeError, ConnectionResetError):
        assert status == 413, "hung up on before it was sent whole"


@pytest.mark.parametrize("path", ["/static/../site.py", "/static/%2e%2e/site.py", "/lanes/entry/../../etc/passwd"])
def test_no_other_file_is_served(served: Screens, path: str) -> None:
    assert ask(served, "GET", path).status == 404


@pytest.mark.parametrize("lane", ["<script>", "%3Cscript%3E", "a" * 2000])
def test_the_name_of_a_lane_writes_nothing_into_the_page(served: Screens, lane: str) -> None:
    assert ask(served, "GET", f"/lanes/{lane}".replace("<", "%3C").replace(">", "%3E")).status == 200


def test_a_hundred_slow_heads_hold_nothing_up_and_are_hung_up_on(served: Screens, fair_clock: FairClock) -> None:
    slow = [socket.create_connection(("127.0.0.1", served.port), timeout=HEAD_S + 90) for _ in range(100)]
    for each in slow:
        each.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
    assert len(slow) > MAX_CONNECTIONS
    served.show("entry", Cue.MEASURE)
    wait_for(lambda: served.watch._lanes["entry"]._shown[0] == "measure")
    began_s = fair_clock()
    for each in slow:
        assert each.recv(1) == b"", "hung up"
        each.close()
    assert fair_clock() - began_s < HEAD_S + 5
    assert ask(served, "GET", "/lanes/entry").status == 200


def test_a_drop_now_and_then_does_not_keep_a_head_open(served: Screens) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=HEAD_S + 90) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX: ")
        client.settimeout(0.5)
        end_s = time.monotonic() + HEAD_S + 5
        hung_up = False
        while not hung_up and time.monotonic() < end_s:
            try:
                client.sendall(b"x")
                hung_up = client.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                hung_up = True
        assert hung_up


def test_a_site_serves_so_many_requests_a_second_and_the_rest_in_turn() -> None:
    """What is too much waits; nothing is refused, and the order is kept."""
    served: list[int] = []

    async def site(scope: dict[str, int], _receive: object, _send: object) -> None:
        served.append(scope["number"])

    async def flood() -> float:
        guarded = RequestFilter(site, ["here"], "http")  # type: ignore[arg-type]
        scope = {"type": "http", "method": "GET", "headers": [(b"host", b"here")]}
        began_s = time.monotonic()
        asked = REQUESTS_AT_ONCE + REQUESTS_PER_S // 2
        await asyncio.gather(
            *(guarded({**scope, "number": number}, None, None) for number in range(asked))  # type: ignore[arg-type]
        )
        return time.monotonic() - began_s

    with ThreadPoolExecutor(1) as pool:  # a browser's test leaves a loop in this thread
        assert pool.submit(lambda: asyncio.run(flood())).result() >= 0.45
    assert served == list(range(REQUESTS_AT_ONCE + REQUESTS_PER_S // 2))
