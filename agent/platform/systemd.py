"""sd_notify: telling systemd that the agent is ready, what it does, and that it lives.

Source: sd_notify(3): datagrams of `KEY=value` lines to the socket named in NOTIFY_SOCKET; a leading `@` stands for
the abstract namespace. Outside systemd every call is silently nothing.
"""

from __future__ import annotations

import os
import socket


def is_service() -> bool:
    """Whether systemd has started this program and waits to hear from it."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify(*lines: str) -> bool:
    """Send `KEY=value` lines (`READY=1`, `STATUS=…`, `WATCHDOG=1`, `STOPPING=1`); whether systemd got them."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    message = "\n".join(line.replace("\n", " ") for line in lines).encode()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as wire:
            wire.settimeout(0.5)
            wire.sendto(message, address)
    except OSError:
        return False  # nobody to tell that nobody listens; the watchdog will
    return True
