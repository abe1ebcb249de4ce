"""`reload`: read rules from disk now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import CommandOutput, CommandSpec

if TYPE_CHECKING:
    from agent.commands import Arguments, CommandTarget

SPEC = CommandSpec(harmless=True)


def run(kiosk: CommandTarget, _arguments: Arguments) -> CommandOutput:
    """They are read once a second anyway."""
    return CommandOutput({"changed": kiosk.reload_rules()})
