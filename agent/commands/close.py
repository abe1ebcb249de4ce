"""`close`: close an open case of the venue by feedback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import CommandOutput, CommandSpec, state_venue

if TYPE_CHECKING:
    from agent.commands import Arguments, CommandTarget

SPEC = CommandSpec(needs=frozenset({"case", "feedback"}))


def run(kiosk: CommandTarget, arguments: Arguments) -> CommandOutput:
    """State the feedback."""
    return state_venue(kiosk, "feedback", arguments["feedback"], case=arguments["case"])
