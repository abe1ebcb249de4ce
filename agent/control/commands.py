"""How the centre's orders are carried out, and its bundles put in force.

Each command is a function of its arguments: it gives back Done or raises CannotDo. They run on the thread that
hears the centre (`agent.control`). What concerns a lane is asked of the loop, which alone owns the checkpoint.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING

from agent import log
from agent.control import CommandFailed, CommandOutput
from agent.model import CommandStatus, LaneCommand, LaneCommandRequest, LaneCommandResult, Observation, Role
from agent.mqtt import BadClientCertificate
from agent.reasons import CommandReason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from agent.credentials.bundle import Bundle
    from agent.devices.workers import Workers
    from agent.model import RemeasureResult, TimeBounds
    from agent.mqtt import Link
    from agent.outbox import Outbox
    from agent.ruleset import Ruleset

    Arguments = Mapping[str, str]

journal = logging.getLogger(__name__)

ANSWER_S = 2.0
"""Within this the loop answers, else it hangs: by then a wish has lapsed."""
FLUSH_S = 5.0
TRIAL_S = 30.0
"""So long the broker may take to greet us with a new certificate."""
REPORT_BYTES = 16_384
_ABOUT = {LaneCommand.OPEN: Role.GATE, LaneCommand.RETEST: Role.THERMOMETER}


class Commands:
    """The commands that need nothing but the agent's parts; `table` names them."""

    def __init__(
        self,
        lanes: Collection[str],
        workers: Workers,
        outbox: Outbox,
        rulebook: Ruleset,
        link: Link,
        *,
        ask: Callable[[Observation, float], LaneCommandResult | RemeasureResult],
        report: Callable[[], dict[str, Any]],
        restart: Callable[[str], None],
        now: Callable[[], TimeBounds],
        recover: Callable[[], bool] = lambda: False,
    ) -> None:
        """`ask`: what the loop says to a wish, or TimeoutError; `report`: how the kiosk is, as JSON has it;
        `restart`: the agent, because of …; `recover`: leaves safe mode, and says whether it was in it.
        """
        self._lanes, self._workers, self._outbox, self._rulebook = lanes, workers, outbox, rulebook
        self._ask_loop, self._report, self._restart_agent, self._recover = ask, report, restart, recover
        self._link, self._now = link, now

    @property
    def table(self) -> dict[str, Callable[[Arguments], CommandOutput]]:
        """Command → how it is done."""
        return {
            "open": lambda arguments: self._ask(arguments["lane"], LaneCommand.OPEN),
            "retest": lambda arguments: self._ask(arguments["lane"], LaneCommand.RETEST),
            "restart": self._restart,
            "rotate": self._rotate,
            "diagnose": lambda _: self._diagnose(),
            "reload": lambda _: self._reload(),
            "flush": lambda _: self._flush(),
            "recover": lambda _: CommandOutput({"was_safe": self._recover()}),
        }

    def apply_bundle(self, taken: Bundle) -> dict[str, object]:
        """Put keys, a table or a list in force. Raises CannotDo when what was taken does not fit what
        lies here, or when this kiosk does not judge by it.
        """
        self._rulebook.refresh()
        if not self._rulebook.uses(taken.type, taken.name):
            raise CommandFailed(CommandReason.NOT_IN_USE, outcome=CommandStatus.REJECTED)
        if self._rulebook.fault or self._rulebook.lacks(taken.type, taken.name):
            raise CommandFailed(CommandReason.INCOMPATIBLE)
        if self._rulebook.awaits(taken.type, taken.name):
            raise CommandFailed(CommandReason.BASE_AWAITED)
        return {"in_use": True}

    def _ask(self, lane: str, wish: LaneCommand) -> CommandOutput:
        if lane not in self._lanes:
            raise CommandFailed(CommandReason.BAD_ARGUMENTS, outcome=CommandStatus.REJECTED)
        try:
            answer = self._ask_loop(
                Observation(lane, _ABOUT[wish], LaneCommandRequest(time.monotonic(), wish)), ANSWER_S
            )
        except TimeoutError:
            raise CommandFailed(CommandReason.TIMEOUT, outcome=CommandStatus.UNKNOWN) from None
        simulated = isinstance(answer, LaneCommandResult) and answer.simulated
        if isinstance(answer, LaneCommandResult) and answer.reason:
            raise CommandFailed(answer.reason, simulated=simulated)
        return CommandOutput({"lane": lane}, simulated=simulated)

    def _restart(self, arguments: Arguments) -> CommandOutput:
        if not arguments:
            return CommandOutput(
                {"restarts": "agent"}, then=lambda: self._restart_agent("commanded by the central server")
            )
        lane, part = arguments.get("lane", ""), arguments.get("role")
        parts = (part,) if part is not None else tuple(Role)
        found = [feed for feed in self._workers if feed.name in {f"{lane}/{part}" for part in parts}]
        if not found:
            raise CommandFailed(CommandReason.BAD_ARGUMENTS, outcome=CommandStatus.REJECTED)
        for feed in found:
            feed.reopen()
        return CommandOutput({"restarts": [feed.name for feed in found]})

    def _rotate(self, arguments: Arguments) -> CommandOutput:
        """A request for a certificate; or the certificate, which is tried before it is kept."""
        pairs = self._link.pairs
        if pairs is None:
            raise CommandFailed(CommandReason.NO_CERTIFICATE)
        try:
            if "certificate" not in arguments:
                return CommandOutput({"request": pairs.request()})
            not_after = pairs.install(arguments["certificate"], self._now())
        except BadClientCertificate as error:
            journal.warning("a new certificate is not taken: %s", error)
            raise CommandFailed(CommandReason.INVALID_CERTIFICATE, outcome=CommandStatus.REJECTED) from None
        except OSError as error:
            journal.warning("a new key or certificate cannot be kept: %s", error.strerror)
            raise CommandFailed(CommandReason.STORAGE_ERROR) from None
        self._link.renew()
        if not pairs.decided.wait(TRIAL_S):
            raise CommandFailed(CommandReason.TIMEOUT, outcome=CommandStatus.UNKNOWN)
        if not pairs.greeted_new:
            raise CommandFailed(CommandReason.BROKER_REJECTED)
        return CommandOutput({"not_after": not_after})

    def _diagnose(self) -> CommandOutput:
        """The report and the latest lines of the log, as many as fit."""
        report = self._report()
        lines = log.recent()
        while lines and len(json.dumps([report, lines])) > REPORT_BYTES:
            del lines[: 1 + len(lines) // 8]
        return CommandOutput({"report": report, "log": lines})

    def _reload(self) -> CommandOutput:
        changed = self._rulebook.refresh()
        if self._rulebook.fault:
            raise CommandFailed(CommandReason.INCOMPATIBLE)
        return CommandOutput({"changed": changed})

    def _flush(self) -> CommandOutput:
        if not self._outbox.flush(FLUSH_S):
            raise CommandFailed(CommandReason.STORAGE_ERROR)
        return CommandOutput({"waiting": self._outbox.status().waiting})
