"""`flush`: write events that wait in memory to disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import CommandOutput, CommandSpec

if TYPE_CHECKING:
    from agent.commands import Arguments, CommandTarget

SPEC = CommandSpec(harmless=True)


def run(kiosk: CommandTarget, _arguments: Arguments) -> CommandOutput:
    """Tells how many wait to be delivered."""
    return CommandOutput({"waiting": kiosk.flush_events()})
