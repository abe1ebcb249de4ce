"""`shut`: shut the entries, or one lane, for so many minutes; 0 opens them again. An exit stays an exit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import CommandFailed, CommandOutput, CommandSpec, state_venue
from agent.model import CommandStatus
from agent.reasons import CommandReason

if TYPE_CHECKING:
    from agent.commands import Arguments, Kiosk

SPEC = CommandSpec(needs=frozenset({"minutes"}), may=frozenset({"lane"}))


def run(kiosk: Kiosk, arguments: Arguments) -> CommandOutput:
    """State it."""
    minutes = arguments["minutes"]
    if not (minutes.isascii() and minutes.isdecimal() and len(minutes) <= 5):  # noqa: PLR2004 - a week has 10,080
        raise CommandFailed(CommandReason.BAD_ARGUMENTS, outcome=CommandStatus.REJECTED)
    return state_venue(kiosk, "shut", arguments.get("lane", ""), number=int(minutes))
