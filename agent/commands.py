"""How the centre's orders are carried out, and its bundles put in force.

Each command is a function of its arguments: it gives back Done or raises CannotDo. They run on the thread that
hears the centre (`agent.orders`). What concerns a lane is asked of the loop, which alone owns the checkpoint.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING

from agent import log
from agent.model import Answer, Observation, Part, ReplyOutcome, Wish, Wished
from agent.mqtt import BadPair
from agent.orders import CannotDo, Done, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any

    from agent.checkpoint.case import Settled
    from agent.codes.bundle import Bundle
    from agent.feeds.signal_feed import Feed
    from agent.model import Now
    from agent.mqtt import Link
    from agent.outbox import Outbox
    from agent.rulebook import Rulebook

    Arguments = Mapping[str, str]

journal = logging.getLogger(__name__)

ANSWER_S = 2.0
"""Within this the loop answers, else it hangs: by then a wish has lapsed."""
FLUSH_S = 5.0
TRIAL_S = 30.0
"""So long the broker may take to greet us with a new certificate."""
REPORT_BYTES = 16_384
_ABOUT = {Wish.OPEN: Part.GATE, Wish.RETEST: Part.THERMOMETER}


class Commands:
    """The commands that need nothing but the agent's parts; `table` names them."""

    def __init__(
        self,
        lanes: Collection[str],
        feeds: Sequence[Feed],
        outbox: Outbox,
        rulebook: Rulebook,
        link: Link,
        *,
        ask: Callable[[Observation, float], Answer | Settled],
        report: Callable[[], dict[str, Any]],
        restart: Callable[[str], None],
        now: Callable[[], Now],
        recover: Callable[[], bool] = lambda: False,
    ) -> None:
        """`ask`: what the loop says to a wish, or TimeoutError; `report`: how the kiosk is, as JSON has it;
        `restart`: the agent, because of …; `recover`: leaves safe mode, and says whether it was in it.
        """
        self._lanes, self._feeds, self._outbox, self._rulebook = lanes, feeds, outbox, rulebook
        self._ask_loop, self._report, self._restart_agent, self._recover = ask, report, restart, recover
        self._link, self._now = link, now

    @property
    def table(self) -> dict[str, Callable[[Arguments], Done]]:
        """Command → how it is done."""
        return {
            "open": lambda arguments: self._ask(arguments["lane"], Wish.OPEN),
            "retest": lambda arguments: self._ask(arguments["lane"], Wish.RETEST),
            "restart": self._restart,
            "rotate": self._rotate,
            "diagnose": lambda _: self._diagnose(),
            "reload": lambda _: self._reload(),
            "flush": lambda _: self._flush(),
            "recover": lambda _: Done({"was_safe": self._recover()}),
        }

    def judge_by(self, taken: Bundle) -> dict[str, object]:
        """Put keys, a table or a list in force. Raises CannotDo when what was taken does not fit what
        lies here, or when this kiosk does not judge by it.
        """
        self._rulebook.refresh()
        if not self._rulebook.uses(taken.type, taken.name):
            raise CannotDo("not_in_use", outcome=ReplyOutcome.REFUSED)
        if self._rulebook.fault or self._rulebook.lacks(taken.type, taken.name):
            raise CannotDo("does_not_fit")
        if self._rulebook.awaits(taken.type, taken.name):
            raise CannotDo("base_awaited")
        return {"in_use": True}

    def _ask(self, lane: str, wish: Wish) -> Done:
        if lane not in self._lanes:
            raise CannotDo(Reason.BAD_ARGUMENTS, outcome=ReplyOutcome.REFUSED)
        try:
            answer = self._ask_loop(Observation(lane, _ABOUT[wish], Wished(time.monotonic(), wish)), ANSWER_S)
        except TimeoutError:
            raise CannotDo("no_answer", outcome=ReplyOutcome.UNKNOWN) from None
        simulated = isinstance(answer, Answer) and answer.simulated
        if answer.reason:
            raise CannotDo(answer.reason, simulated=simulated)
        return Done({"lane": lane}, simulated=simulated)

    def _restart(self, arguments: Arguments) -> Done:
        if not arguments:
            return Done({"restarts": "agent"}, then=lambda: self._restart_agent("ordered by the centre"))
        lane, part = arguments.get("lane", ""), arguments.get("part")
        parts = (part,) if part is not None else tuple(Part)
        found = [feed for feed in self._feeds if feed.name in {f"{lane}/{part}" for part in parts}]
        if not found:
            raise CannotDo(Reason.BAD_ARGUMENTS, outcome=ReplyOutcome.REFUSED)
        for feed in found:
            feed.reopen()
        return Done({"restarts": [feed.name for feed in found]})

    def _rotate(self, arguments: Arguments) -> Done:
        """A request for a certificate; or the certificate, which is tried before it is kept."""
        pairs = self._link.pairs
        if pairs is None:
            raise CannotDo("no_certificate")
        try:
            if "certificate" not in arguments:
                return Done({"request": pairs.request()})
            not_after = pairs.install(arguments["certificate"], self._now())
        except BadPair as error:
            journal.warning("a new certificate is not taken: %s", error)
            raise CannotDo("wrong_certificate", outcome=ReplyOutcome.REFUSED) from None
        except OSError as error:
            journal.warning("a new key or certificate cannot be kept: %s", error.strerror)
            raise CannotDo("disk_fails") from None
        self._link.renew()
        if not pairs.decided.wait(TRIAL_S):
            raise CannotDo("no_answer", outcome=ReplyOutcome.UNKNOWN)
        if not pairs.greeted_new:
            raise CannotDo("broker_refuses")
        return Done({"not_after": not_after})

    def _diagnose(self) -> Done:
        """The report and the latest lines of the log, as many as fit."""
        report = self._report()
        lines = log.recent()
        while lines and len(json.dumps([report, lines])) > REPORT_BYTES:
            del lines[: 1 + len(lines) // 8]
        return Done({"report": report, "log": lines})

    def _reload(self) -> Done:
        changed = self._rulebook.refresh()
        if self._rulebook.fault:
            raise CannotDo("does_not_fit")
        return Done({"changed": changed})

    def _flush(self) -> Done:
        if not self._outbox.flush(FLUSH_S):
            raise CannotDo("disk_fails")
        return Done({"waiting": self._outbox.status().waiting})
