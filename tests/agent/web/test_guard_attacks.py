"""What somebody hostile sends to the guard's page: each is refused, the gate does not move, nothing is kept."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from guard_bench import ELEVATED_C, PINS, Kiosk
from test_guard_page import Pages

from agent.control.staff import FRESH_S
from agent.model import Colour
from agent.venue.forms import LONGEST_ANSWER, MOST_FIELDS
from agent.web.guard import DEVICE, SESSION
from tests.conftest import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND = {"staff": "S1", "pin": PINS["S1"]}
TECHNICIAN = {"staff": "T1", "pin": PINS["T1"]}
LET_IN = {"do": "override", "lane": "entry", "reason": "emergency", "seen": [], "second": SECOND}
NO_BODY = {"do": "remeasure", "lane": "entry", "number": 1, "tenths": 0}
OPEN = {"do": "open", "lane": "exit", "reason": "known", "second": SECOND}
LONGEST_FORM = {
    "do": "state", "type": "form", "form": "travellers",
    "answers": {f"question_{number:023}": LONGEST_ANSWER * "途" for number in range(MOST_FIELDS)},
}  # fmt: skip


@dataclass(frozen=True)
class Attack:
    """A request like that of a guard who is logged in, but for one thing."""

    name: str
    answer: int | str
    """Status, or the code with which the agent refuses."""
    headers: tuple[tuple[str, str], ...] = ()
    said: dict[str, Any] | None = None
    """In place of the action, or beside it."""
    cookies: str | None = None
    body: bytes | None = None
    path: str = "/guard/ask"
    method: str = "POST"


ATTACKS = (
    # another site, name, page, proxy
    Attack("foreign origin", 403, (("Origin", "https://evil.example"),)),
    Attack("no origin", 403, (("Origin", "null"),)),
    Attack("origin without TLS", 403, (("Origin", "http://127.0.0.1"),)),
    Attack("foreign host", 403, (("Host", "evil.example"),)),
    Attack("host without port", 403, (("Host", "127.0.0.1"),)),
    Attack("a site that frames it", 403, (("Sec-Fetch-Site", "cross-site"),)),
    Attack("a neighbour of the same site", 403, (("Sec-Fetch-Site", "same-site"),)),
    Attack("a form's type", 403, (("Content-Type", "text/plain"),)),
    Attack("an address that a proxy claims", "not_logged_in", (("X-Forwarded-For", "127.0.0.1"),), cookies=""),
    Attack("a proxy's other words", "not_logged_in", (("Forwarded", "for=127.0.0.1;host=127.0.0.1"),), cookies=""),
    Attack("an action by GET", 405, method="GET"),
    Attack("an unknown method", 405, method="PUT"),
    # length and shape
    Attack("5 MB", 413, body=b'{"do": "' + b"x" * 5_000_000 + b'"}'),
    Attack("deep JSON", 400, body=b"[" * 4000),
    Attack("no JSON", 400, body=b"{"),
    Attack("a list", 400, body=b"[]"),
    Attack("another file", 404, path="/static/../site.py", method="GET"),
    Attack("the person's page", 404, path="/lanes/entry", method="GET"),
    Attack("the longest form, under a name that there is not", "no_such_form", said=LONGEST_FORM),
    # what only the page's own process asks
    Attack("hello", 404, said={"do": "hello"}),
    Attack("the view as an action", 404, said={"do": "view"}),
    Attack("the technician's status", 404, said={"do": "status"}),
    # cookies
    Attack("no cookies", "not_logged_in", cookies=""),
    Attack("an invented session", "not_logged_in", cookies="{device}; " + f"{SESSION}=" + "A" * 43),
    Attack("a piece of a session", "not_logged_in", cookies="{device}; {session:.50}"),
    Attack("another device", "not_logged_in", cookies=f"{DEVICE}=" + "A" * 43 + "; {session}"),
    Attack("cookies in the body", "not_logged_in", cookies="", said={**OPEN, "device": "A", "session": "A"}),
    # without right, late, twice
    Attack("late", "too_late", said={**OPEN, "at_s": -FRESH_S - 1}),
    Attack("from the future", "too_late", said={**OPEN, "at_s": 100}),
    Attack("without a view", "bad_arguments", said={**OPEN, "at_s": None}),
    Attack("without an id", "bad_arguments", said={**OPEN, "id": ""}),
    Attack("a supervisor's action", "not_allowed", said={"do": "unpair"}),
    Attack("an action that does not exist", "bad_arguments", said={"do": "rm"}),
    Attack("a lane that does not exist", "no_such_lane", said={**OPEN, "lane": "../exit"}),
    Attack("no second person", "second_needed", said={**OPEN, "second": None}),
    Attack("oneself as the second", "second_needed", said={**OPEN, "second": {"staff": "G07", "pin": PINS["G07"]}}),
    Attack("a technician as the second", "second_needed", said={**OPEN, "second": TECHNICIAN}),
    Attack("a second's wrong PIN", "login_wrong", said={**OPEN, "second": {"staff": "S1", "pin": "000000"}}),
    Attack("an old badge", "second_needed", said={**OPEN, "second": {"badge": True}}),
    Attack("no reason", "bad_arguments", said={**OPEN, "reason": "because"}),
    Attack("another without words", "bad_arguments", said={**OPEN, "reason": "other"}),
    Attack("scanned text as a query", "no_such_form", said={"do": "state", "type": "form", "form": "x' OR '1'='1"}),
    Attack("a temperature of no body", "out_of_range", said=NO_BODY),
    Attack("an entry opened past those who wait", "people_wait", said={**OPEN, "lane": "entry"}),
    Attack("a fever let in", "invariant", said={**LET_IN, "number": "fever"}),
    Attack("a red code let in", "not_referred", said={**LET_IN, "number": "red"}),
    Attack("somebody who does not wait", "no_such_number", said={**LET_IN, "number": 99}),
    Attack("a card that nobody has seen", "bad_arguments", said={**LET_IN, "number": 99, "seen": None}),
    Attack("an exit closed", "not_allowed", said={"do": "close", "lane": "exit"}),
)  # fmt: skip


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    made = Pages()
    kiosk = made.kiosk
    kiosk.login("G07")
    kiosk.come("bert", ELEVATED_C)
    kiosk.come("somebody red", 34.4, Colour.RED)
    wait_for(lambda: len(kiosk.view()["waiting"]) == 2)
    yield made
    made.close()


def moved(kiosk: Kiosk) -> tuple[object, ...]:
    state = kiosk.door.state
    waiting = [each["number"] for each in kiosk.view()["waiting"]]
    return kiosk.opened(), kiosk.opened("exit"), set(state.closed), state.on_duty, len(state.devices), waiting


def send(pages: Pages, attack: Attack, number: int) -> tuple[int, str]:
    kiosk = pages.kiosk
    red, fever = (each["number"] for each in kiosk.view()["waiting"])
    said = {"id": f"attack-{number:08}", "at_s": (now_s := kiosk.view()["at_s"]), **(attack.said or OPEN)}
    if "number" in said:
        said["number"] = {"fever": fever, "red": red}.get(said["number"], said["number"])
    if attack.said is not None and "at_s" in attack.said and said["at_s"] is not None:
        said["at_s"] = now_s + said["at_s"]
    names = {"device": f"{DEVICE}={kiosk.device}", "session": f"{SESSION}={kiosk.session}"}
    own = f"127.0.0.1:{pages.tls_port}"
    headers = {
        "Host": own, "Origin": f"https://{own}", "Content-Type": "application/json",
        "Cookie": ("{device}; {session}" if attack.cookies is None else attack.cookies).format(**names),
        **dict(attack.headers),
    }  # fmt: skip
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", pages.tls_port, context=context, timeout=120)
    try:
        body = json.dumps(said, ensure_ascii=False).encode() if attack.body is None else attack.body
        connection.request(attack.method, attack.path, None if attack.method == "GET" else body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        return 413, "hung up on before it was sent whole"
    finally:
        connection.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "_"))
def test_it_is_refused_and_nothing_moves(pages: Pages, attack: Attack) -> None:
    kiosk = pages.kiosk
    if kiosk.view().get("refused"):
        kiosk.login("G07")
    before = moved(kiosk)
    status, text = send(pages, attack, ATTACKS.index(attack))
    if isinstance(attack.answer, int):
        assert status == attack.answer, text
    else:
        assert json.loads(text)["refused"] == attack.answer
    if kiosk.view().get("refused"):
        kiosk.login("G07")  # a session that another device has shown is over
    assert moved(kiosk) == before
    kiosk.door._sessions._misses.clear()


def test_the_request_that_they_vary_is_done_once_and_not_twice(pages: Pages) -> None:
    kiosk, out = pages.kiosk, pages.kiosk.opened("exit")
    plain = Attack("none", 200)
    assert json.loads(send(pages, plain, 900)[1])["done"]
    wait_for(lambda: kiosk.opened("exit") == out + 1)
    assert json.loads(send(pages, plain, 900)[1]) == {"refused": "repeated"}
    assert kiosk.opened("exit") == out + 1


def test_a_pairing_that_was_used_or_guessed_pairs_nobody(pages: Pages) -> None:
    kiosk = pages.kiosk
    shown = kiosk.door.begin_pairing()
    used = {"do": "pair", "secret": shown["secret"], "number": shown["number"]}
    guessed = Attack("guessed", "pairing_wrong", said={**used, "secret": "A" * 22}, cookies="")
    assert json.loads(send(pages, guessed, 901)[1]) == {"refused": "pairing_wrong"}
    assert "device" not in send(pages, Attack("first", 200, said=used, cookies=""), 902)[1], "only in a cookie"
    devices = len(kiosk.door.state.devices)
    assert json.loads(send(pages, Attack("again", 200, said=used, cookies=""), 903)[1]) == {
        "refused": "pairing_over"
    }
    assert len(kiosk.door.state.devices) == devices


def test_a_hundred_slow_heads_do_not_keep_a_guard_out(pages: Pages) -> None:
    slow = [socket.create_connection(("127.0.0.1", pages.tls_port), timeout=120) for _ in range(100)]
    for each in slow:
        each.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
    end_s = time.monotonic() + 20
    answered = False
    while not answered and time.monotonic() < end_s:
        try:
            answered = send(pages, Attack("late", "too_late", said={**OPEN, "at_s": 100}), 904)[0] == 200
        except (OSError, http.client.HTTPException):
            time.sleep(0.2)
    for each in slow:
        each.close()
    assert answered


def connected(pages: Pages) -> http.client.HTTPSConnection:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", pages.tls_port, context=context, timeout=60)


def test_no_script_reads_a_cookie_and_no_other_site_sends_it(pages: Pages) -> None:
    own = f"https://127.0.0.1:{pages.tls_port}"
    headers = {"Origin": own, "Content-Type": "application/json"}
    shown, connection = pages.kiosk.door.begin_pairing(), connected(pages)
    cookies: list[str] = []
    for said in (
        {"do": "pair", "secret": shown["secret"], "number": shown["number"]},
        {"do": "login", "staff": "G08", "pin": PINS["G08"]},
    ):
        sent = {**headers, "Cookie": "; ".join(each.partition(";")[0] for each in cookies)}
        connection.request("POST", "/guard/ask", json.dumps(said), sent)
        answer = connection.getresponse()
        assert "refused" not in json.loads(answer.read())
        cookies += answer.headers.get_all("Set-Cookie")
    connection.close()
    assert [each.partition("=")[0] for each in cookies] == [DEVICE, SESSION]
    for each in cookies:
        attributes = {part.strip().lower() for part in each.split(";")[1:]}
        assert {"httponly", "secure", "samesite=strict", "path=/"} <= attributes
        assert not [part for part in attributes if part.startswith("domain")]
        assert each.startswith("__Host-")


@pytest.mark.parametrize("path", ["/guard/ask", "/guard/events", "/guard", "/static/guard.js"])
def test_no_other_site_is_told_that_it_may(pages: Pages, path: str) -> None:
    connection = connected(pages)
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for method in ("OPTIONS", "GET"):
        connection.request(method, path, headers={"Origin": "https://evil.example", **asked})
        answer = connection.getresponse()
        answer.read()
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert method == "GET" or answer.status >= 400
    connection.close()


def test_no_web_socket_is_opened(pages: Pages) -> None:
    connection = connected(pages)
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
    connection.request("GET", "/guard/events", headers={"Upgrade": "websocket", "Connection": "Upgrade", **key})
    answer = connection.getresponse()
    assert answer.status != 101
    assert b"over" in answer.read(), "a page that is not logged in, and no more"
    connection.close()


def test_what_somebody_shows_to_a_scanner_reaches_no_page(pages: Pages) -> None:
    kiosk, decided = pages.kiosk, pages.kiosk.app._loop.decided
    kiosk.world.stand(34.4)
    kiosk.scanner.send(kiosk.engine.encode(b"<script>canary()</script>' OR '1'='1; $(canary)"))
    wait_for(lambda: kiosk.app._loop.decided > decided)
    kiosk.world.leave()
    if kiosk.view().get("refused"):
        kiosk.login("G07")
    wait_for(lambda: len(kiosk.view()["waiting"]) > 2)
    assert "canary" not in json.dumps(kiosk.view())
    kiosk.action("left", lane="entry", number=kiosk.view()["waiting"][0]["number"])


def test_headers_lock_the_page_up(pages: Pages) -> None:
    connection = connected(pages)
    for path in ("/guard", "/technician", "/static/guard.js"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], path
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
        assert answer.headers["Cache-Control"] == "no-store", path
    connection.close()
