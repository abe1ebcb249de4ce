"""`wipe`: the end of this kiosk: its keys, lists, events and configuration go, once every event is delivered.

With `events=discard` it does not wait for events that cannot be delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import CommandFailed, CommandOutput, CommandSpec
from agent.model import CommandStatus
from agent.model.reasons import CommandReason

if TYPE_CHECKING:
    from agent.commands import Arguments, CommandTarget

SPEC = CommandSpec(may=frozenset({"events"}))


def run(kiosk: CommandTarget, arguments: Arguments) -> CommandOutput:
    """Root's part of it (`gatepost wipe --commanded`) begins once the request is on disk, and so even if the power
    goes before the answer; it waits for that, as for each event.
    """
    events = arguments.get("events", "deliver")
    if events not in ("deliver", "discard"):
        raise CommandFailed(CommandReason.BAD_ARGUMENTS, outcome=CommandStatus.REJECTED)
    waiting = kiosk.flush_events()
    kiosk.request_wipe(discard=events == "discard")
    return CommandOutput({"waiting": waiting})
