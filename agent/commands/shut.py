"""`shut`: shut the entries, or one lane, for so many minutes; 0 opens them again. An exit stays an exit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import CommandOutput, CommandSpec, state_venue, whole_number

if TYPE_CHECKING:
    from agent.commands import Arguments, CommandTarget

SPEC = CommandSpec(needs=frozenset({"minutes"}), may=frozenset({"lane"}))


def run(kiosk: CommandTarget, arguments: Arguments) -> CommandOutput:
    """State it."""
    return state_venue(kiosk, "shut", arguments.get("lane", ""), number=whole_number(arguments["minutes"]))
