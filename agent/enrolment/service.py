"""A kiosk without an identity: look for an invitation, ask, install; again and again, until it has one."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agent import __version__
from agent.enrolment import certificates, exchange, exchange_mqtt
from agent.enrolment.exchange_mqtt import ExchangeFailed
from agent.enrolment.invitation import MAX_BYTES, BadInvitation, Invitation, unverified
from agent.enrolment.kiosk import Enrolment, EnrolmentError
from agent.mqtt import Options
from agent.platform import systemd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

log = logging.getLogger(__name__)

PLACES = (
    "/boot/firmware/gatepost.invitation", "/boot/gatepost.invitation", "/media/*/gatepost.invitation",
    "/media/*/*/gatepost.invitation", "/mnt/gatepost.invitation", "/etc/gatepost/invitation",
)  # fmt: skip
"""Where a file is looked for: the boot partition of an image, a stick, a file brought by SSH."""
MOST_SEEN = 4
_SOON_S, _LATE_S = 5.0, 300.0
_SERIALS = ("/sys/firmware/devicetree/base/serial-number", "/etc/machine-id")


def files() -> Iterator[bytes]:
    """Invitations that lie where one is looked for."""
    for place in PLACES:
        for path in sorted(Path("/").glob(place.lstrip("/"))):
            with suppress(OSError):
                if path.is_file():  # a pipe on a stick would hold us up
                    with path.open("rb") as opened:
                        yield opened.read(MAX_BYTES + 1)


def unreadable() -> str:
    """What to do about an invitation that lies there and may not be read; empty when there is none."""
    for place in PLACES:
        for path in sorted(Path("/").glob(place.lstrip("/"))):
            if not os.access(path, os.R_OK):
                return f"the service may not read {path}: sudo chmod 644 {path}"
    return ""


def serial() -> str:
    """What this machine is called by its maker, or by its system; for the person who confirms."""
    for place in _SERIALS:
        with suppress(OSError, UnicodeDecodeError):
            return Path(place).read_text().strip("\0\n ")[:64]
    return ""


def once(enrolment: Enrolment, invited: Invitation, limit_s: float = exchange_mqtt.ANSWER_S) -> str:
    """Ask once; empty when the kiosk has its identity, else what to tell people. Raises OSError."""
    data = enrolment.request(__version__, serial())
    pins = invited.pins or None
    try:
        options = Options(host=invited.host, port=invited.port)
        found = exchange.parse_answer(
            exchange_mqtt.send_request(options, enrolment.fingerprint, data, pins, limit_s), data, invited.token
        )
        if found.status == "issued":
            enrolment.install(found)
            return ""
    except (ExchangeFailed, EnrolmentError, ValueError) as error:
        return str(error)
    shown = certificates.spoken(enrolment.fingerprint)
    if found.status == "pending":
        return f"waits for somebody to confirm {shown}: gatepost authority approve {shown} SITE/KIOSK"
    return exchange.REASONS.get(found.reason, "the authority refuses")


def run(
    folder: Path,
    stopping: Callable[[], bool],
    looks: Iterable[Callable[[], Iterable[bytes]]] = (files,),
    pause: Callable[[float], object] = time.sleep,
    hint: Callable[[], str] = str,
) -> bool:
    """Until the kiosk has its identity (True) or is to stop. `looks`: where invitations may be seen; `hint`: what
    people are to be told by now; empty for nothing.
    """
    enrolment = Enrolment(folder)
    systemd.notify("READY=1", "STATUS=not enrolled yet: waits for an invitation")
    seen = [enrolment.shown()] if enrolment.invitation() is not None else []
    wait_s, told, said, due_s = _SOON_S, "", "", 0.0
    while not stopping():
        systemd.notify("WATCHDOG=1")
        if enrolment.identity.exists():
            enrolment.finish()
            return True
        if found := _new_invitations(seen, looks):
            seen = [*found, *seen][:MOST_SEEN]
            wait_s, due_s = _SOON_S, 0.0
        if time.monotonic() >= due_s:
            told = _try_each(enrolment, seen) if seen else unreadable()
            wait_s = min(2 * wait_s, _LATE_S)
            due_s = time.monotonic() + wait_s
        if (now := hint() or told) and now != said:
            said = now
            log.warning("enrolment: %s", now)
            systemd.notify(f"STATUS=not enrolled yet: {now}")
        pause(1.0)
    return False


def _try_each(enrolment: Enrolment, seen: list[bytes]) -> str:
    """Ask by each invitation, the newest first; empty when the kiosk has its identity. One that has ended, or that
    a stranger left, does not hold up the right one. The newest is what is kept over a power cut.
    """
    told = []
    try:
        for data in seen:
            systemd.notify("WATCHDOG=1")
            answer = once(enrolment, enrolment.follow(data), limit_s=4.0)  # the watchdog wants to hear of us
            if not answer:
                return ""
            told.append(answer)
        enrolment.follow(seen[0])
    except OSError as error:
        return f"the disk takes nothing: {error}"
    return "; ".join(dict.fromkeys(told))


def _new_invitations(seen: list[bytes], looks: Iterable[Callable[[], Iterable[bytes]]]) -> list[bytes]:
    """Those that were not seen before."""
    found: list[bytes] = []
    for look in looks:
        for data in map(bytes.strip, look()):
            with suppress(BadInvitation):
                unverified(data)
                found += [data] if data not in (*seen, *found) else []
    return found
