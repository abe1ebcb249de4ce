"""`count`: set how many people are inside, as staff have counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import CommandFailed, CommandOutput, CommandSpec, state_venue
from agent.model import CommandStatus
from agent.reasons import CommandReason

if TYPE_CHECKING:
    from agent.commands import Arguments, Kiosk

SPEC = CommandSpec(needs=frozenset({"inside"}))


def run(kiosk: Kiosk, arguments: Arguments) -> CommandOutput:
    """State the count."""
    inside = arguments["inside"]
    if not (inside.isascii() and inside.isdecimal()):
        raise CommandFailed(CommandReason.BAD_ARGUMENTS, outcome=CommandStatus.REJECTED)
    return state_venue(kiosk, "count", number=int(inside))
