"""`count`: set how many people are inside, as staff have counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import CommandOutput, CommandSpec, state_venue, whole_number

if TYPE_CHECKING:
    from agent.commands import Arguments, CommandTarget

SPEC = CommandSpec(needs=frozenset({"inside"}))


def run(kiosk: CommandTarget, arguments: Arguments) -> CommandOutput:
    """State the count."""
    return state_venue(kiosk, "count", number=whole_number(arguments["inside"]))
