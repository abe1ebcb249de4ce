"""`retest`: measure again who shows a code or is measured now, else the only person who waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import CommandOutput, CommandSpec, request_lane_command
from agent.model import LaneCommand, Role

if TYPE_CHECKING:
    from agent.commands import Arguments, CommandTarget

SPEC = CommandSpec(needs=frozenset({"lane"}))


def run(kiosk: CommandTarget, arguments: Arguments) -> CommandOutput:
    """Ask the lane."""
    return request_lane_command(kiosk, arguments["lane"], LaneCommand.RETEST, Role.THERMOMETER)
