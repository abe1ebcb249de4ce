"""What commands may do with this kiosk (`agent.commands.CommandTarget`), and how bundles are put in force.

It runs on the thread of `agent.control`. What concerns a lane is asked of the loop: it alone owns the checkpoint.
"""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import TYPE_CHECKING

from agent import commands
from agent.commands import CommandFailed
from agent.model import CommandStatus, Role
from agent.model.reasons import CommandReason
from agent.mqtt import BadClientCertificate
from agent.platform.files import replace_file
from agent.platform.wipe import wipe_request

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path
    from typing import Any

    from agent.commands import Arguments, CommandOutput
    from agent.credentials.bundle import Bundle
    from agent.devices.workers import Workers
    from agent.model import AttestationResult, LaneCommandResult, Observation, RemeasureResult, TimeBounds
    from agent.mqtt import ClientCertificates, Link
    from agent.ruleset import Ruleset

journal = logging.getLogger(__name__)

ANSWER_S = 2.0
"""Within this the loop answers, else it hangs: by then the command has expired."""
FLUSH_S = 5.0
TRIAL_S = 30.0
"""So long the broker may take to greet us with a new certificate."""


class Commands:
    """The kiosk as commands see it; `table` has them all."""

    def __init__(
        self,
        lanes: Collection[str],
        workers: Workers,
        ruleset: Ruleset,
        link: Link,
        *,
        ask: Callable[[Observation, float], LaneCommandResult | RemeasureResult | AttestationResult],
        flush: Callable[[float], bool],
        waiting: Callable[[], int],
        report: Callable[[], dict[str, Any]],
        recent_log: Callable[[], list[str]],
        restart: Callable[[str], None],
        now: Callable[[], TimeBounds],
        recover: Callable[[], bool] = lambda: False,
        folder: Path | None = None,
        venue_day: Callable[[], dict[str, Any] | None] = lambda: None,
        tries_config: bool = False,
        installs_releases: bool = False,
        read_staff: Callable[[], object] = lambda: None,
    ) -> None:
        """`ask`: the loop's answer to a lane command, or TimeoutError; `flush`: writes events to the disk within so
        many seconds, and says whether it could; `waiting`: events not delivered yet; `report`: how the kiosk is, as
        JSON has it; `restart`: the agent, because of …; `recover`: leaves safe mode, and says whether it was in it;
        `folder`: where the agent keeps what it writes; `read_staff`: the staff list, again.
        """
        self._folder = folder
        self._lanes, self._workers, self._ruleset = lanes, workers, ruleset
        self._ask_loop, self._report, self._restart_agent, self._recover = ask, report, restart, recover
        self._link, self._now = link, now
        self._flush, self._waiting, self._recent_log = flush, waiting, recent_log
        self._tries_config, self._installs_releases, self._read_staff = tries_config, installs_releases, read_staff
        self.venue_day = venue_day
        """What the venue's day is like so far."""

    @property
    def table(self) -> dict[str, Callable[[Arguments], CommandOutput]]:
        """Command → how it is done."""
        return {name: partial(commands.run, name, self) for name in commands.COMMANDS}

    def apply_bundle(self, taken: Bundle) -> dict[str, object]:
        """Put a bundle in force; what there is to say of it. Raises CommandFailed when it does not fit what is in
        force, or when this kiosk does not use it.
        """
        if taken.type == "config":  # it is tried first
            return {"in_use": False, "on_trial": self._tries_config}
        if taken.type == "release":  # it is fetched first: what comes of it is in the state
            if not self._installs_releases:
                raise CommandFailed(CommandReason.NOT_IN_USE, outcome=CommandStatus.REJECTED)
            return {"in_use": False}
        if taken.type == "staff":
            self._read_staff()
        self._ruleset.refresh()
        if not self._ruleset.uses(taken.type, taken.name):
            raise CommandFailed(CommandReason.NOT_IN_USE, outcome=CommandStatus.REJECTED)
        if self._ruleset.fault or self._ruleset.lacks(taken.type, taken.name):
            raise CommandFailed(CommandReason.INCOMPATIBLE)
        if self._ruleset.awaits(taken.type, taken.name):
            raise CommandFailed(CommandReason.BASE_AWAITED)
        return {"in_use": True}

    @property
    def lanes(self) -> Collection[str]:
        """Names of the lanes."""
        return self._lanes

    def request(self, observation: Observation) -> LaneCommandResult | RemeasureResult | AttestationResult:
        """The loop's answer. Raises CommandFailed."""
        try:
            return self._ask_loop(observation, ANSWER_S)
        except TimeoutError:
            raise CommandFailed(CommandReason.TIMEOUT, outcome=CommandStatus.UNKNOWN) from None

    def age_s(self, issued_utc: float) -> float:
        """How long ago that was at most, seconds; infinite while the time is not known."""
        return max(0.0, self._now().latest_utc - issued_utc)

    def restart_agent(self, reason: str) -> None:
        """Restart the agent; returns at once."""
        self._restart_agent(reason)

    def restart_devices(self, lane: str, role: str | None) -> list[str]:
        """Open devices of a lane again; returns which. Raises CommandFailed."""
        roles = (role,) if role is not None else tuple(Role)
        found = [each for each in self._workers if each.name in {f"{lane}/{one}" for one in roles}]
        if not found:
            raise CommandFailed(CommandReason.BAD_ARGUMENTS, outcome=CommandStatus.REJECTED)
        for each in found:
            each.reopen()
        return [each.name for each in found]

    def leave_safe_mode(self) -> bool:
        """Leave safe mode; returns whether the kiosk was in it."""
        return self._recover()

    def request_wipe(self, *, discard: bool) -> None:
        """Have root wipe this kiosk, once its events are delivered or, if they may be discarded, soon. Raises
        CommandFailed.
        """
        if self._folder is None:
            return
        try:
            plain = {"events": "discard" if discard else "deliver"}
            replace_file(wipe_request(self._folder), (json.dumps(plain).encode(),))
        except OSError as error:
            raise _not_persisted("the request to wipe this kiosk", error) from None
        journal.warning("the central server has commanded the end of this kiosk: it is wiped")

    def report(self) -> dict[str, Any]:
        """How the kiosk is, as JSON has it."""
        return self._report()

    def recent_log(self) -> list[str]:
        """The latest lines of the log."""
        return self._recent_log()

    def reload_rules(self) -> bool:
        """Read the rules from disk again; returns whether anything was new. Raises CommandFailed."""
        changed = self._ruleset.refresh()
        if self._ruleset.fault:
            raise CommandFailed(CommandReason.INCOMPATIBLE)
        return changed

    def flush_events(self) -> int:
        """Write what waits to disk; returns how many events wait to be delivered. Raises CommandFailed."""
        if not self._flush(FLUSH_S):
            raise CommandFailed(CommandReason.STORAGE_ERROR)
        return self._waiting()

    def certificate_request(self) -> str:
        """A request for a client certificate, PEM. Raises CommandFailed."""
        try:
            return self._pairs().request()
        except OSError as error:
            raise _not_persisted("a new key or certificate", error) from None

    def install_certificate(self, certificate: str) -> str:
        """Try a client certificate (PEM), and keep it when the broker accepts it; returns when it ends. Raises
        CommandFailed.
        """
        pairs = self._pairs()
        try:
            not_after = pairs.install(certificate, self._now())
        except BadClientCertificate as error:
            journal.warning("a new certificate is not taken: %s", error)
            raise CommandFailed(CommandReason.INVALID_CERTIFICATE, outcome=CommandStatus.REJECTED) from None
        except OSError as error:
            raise _not_persisted("a new key or certificate", error) from None
        self._link.renew()
        if not pairs.decided.wait(TRIAL_S):
            raise CommandFailed(CommandReason.TIMEOUT, outcome=CommandStatus.UNKNOWN)
        if not pairs.greeted_new:
            raise CommandFailed(CommandReason.BROKER_REJECTED)
        return not_after

    def _pairs(self) -> ClientCertificates:
        if self._link.pairs is None:
            raise CommandFailed(CommandReason.NO_CERTIFICATE)
        return self._link.pairs


def _not_persisted(what: str, error: OSError) -> CommandFailed:
    journal.warning("%s cannot be kept: %s", what, error.strerror)
    return CommandFailed(CommandReason.STORAGE_ERROR)
