"""`report`: what the venue's day is like so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import CommandFailed, CommandOutput, CommandSpec
from agent.model import CommandStatus
from agent.model.reasons import CommandReason

if TYPE_CHECKING:
    from agent.commands import Arguments, CommandTarget

SPEC = CommandSpec(harmless=True)


def run(kiosk: CommandTarget, _arguments: Arguments) -> CommandOutput:
    """Give the counts of the day."""
    day = kiosk.venue_day()
    if day is None:
        raise CommandFailed(CommandReason.NO_VENUE, outcome=CommandStatus.REJECTED)
    return CommandOutput(day)
