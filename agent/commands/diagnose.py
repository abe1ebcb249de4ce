"""`diagnose`: the report, and the latest lines of the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agent.commands import CommandOutput, CommandSpec

if TYPE_CHECKING:
    from agent.commands import Arguments, CommandTarget

SPEC = CommandSpec(harmless=True)
REPORT_BYTES = 16_384


def run(kiosk: CommandTarget, _arguments: Arguments) -> CommandOutput:
    """As many lines as fit."""
    report, lines = kiosk.report(), kiosk.recent_log()
    while lines and len(json.dumps([report, lines])) > REPORT_BYTES:
        del lines[: 1 + len(lines) // 8]
    return CommandOutput({"report": report, "log": lines})
