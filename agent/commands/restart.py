"""`restart`: the agent; with `lane`, and perhaps `role`, devices of a lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import CommandOutput, CommandSpec

if TYPE_CHECKING:
    from agent.commands import Arguments, CommandTarget

SPEC = CommandSpec(may=frozenset({"lane", "role"}))


def run(kiosk: CommandTarget, arguments: Arguments) -> CommandOutput:
    """The agent restarts after the answer is on its way."""
    if not arguments:
        return CommandOutput(
            {"restarts": "agent"}, then=lambda: kiosk.restart_agent("commanded by the central server")
        )
    return CommandOutput({"restarts": kiosk.restart_devices(arguments.get("lane", ""), arguments.get("role"))})
