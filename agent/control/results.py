"""How a command ends: done, or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.model import CommandStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.reasons import CommandReason


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """A command was carried out."""

    result: Mapping[str, object] | None = None
    simulated: bool = False
    then: Callable[[], None] | None = None
    """What is to happen after the answer was told: the end of the agent, for example."""


class CommandFailed(Exception):
    """A command, or a bundle, was understood and could not be put into effect."""

    def __init__(
        self, reason: CommandReason, *, outcome: CommandStatus = CommandStatus.FAILED, simulated: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason, self.outcome, self.simulated = reason, outcome, simulated
