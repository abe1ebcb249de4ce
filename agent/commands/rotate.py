"""`rotate`: a request for a client certificate; with `certificate`, that is tried and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import CommandOutput, CommandSpec

if TYPE_CHECKING:
    from agent.commands import Arguments, CommandTarget

SPEC = CommandSpec(may=frozenset({"certificate"}))


def run(kiosk: CommandTarget, arguments: Arguments) -> CommandOutput:
    """A certificate is kept only when the broker accepts it."""
    if "certificate" not in arguments:
        return CommandOutput({"request": kiosk.certificate_request()})
    return CommandOutput({"not_after": kiosk.install_certificate(arguments["certificate"])})
