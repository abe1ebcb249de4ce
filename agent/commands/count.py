"""`count`: set how many people are inside, as staff have counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.commands import ISSUED_AT, CommandFailed, CommandOutput, CommandSpec, state_venue, whole_number
from agent.model import OLDEST_COUNT_S, CommandStatus
from agent.model.reasons import CommandReason

if TYPE_CHECKING:
    from agent.commands import Arguments, CommandTarget

SPEC = CommandSpec(needs=frozenset({"inside"}), dated=True)


def run(kiosk: CommandTarget, arguments: Arguments) -> CommandOutput:
    """State the count, of when it was issued: who has come since is inside as well. Raises CommandFailed."""
    inside, age_s = whole_number(arguments["inside"]), kiosk.age_s(float(arguments[ISSUED_AT]))
    if age_s > OLDEST_COUNT_S:
        raise CommandFailed(CommandReason.EXPIRED, outcome=CommandStatus.REJECTED)
    return state_venue(kiosk, "count", number=inside, age_s=age_s)
