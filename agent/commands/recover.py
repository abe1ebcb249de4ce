"""`recover`: leave safe mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import CommandOutput, CommandSpec

if TYPE_CHECKING:
    from agent.commands import Arguments, CommandTarget

SPEC = CommandSpec()


def run(kiosk: CommandTarget, _arguments: Arguments) -> CommandOutput:
    """Tells whether the agent was in safe mode."""
    return CommandOutput({"was_safe": kiosk.leave_safe_mode()})
