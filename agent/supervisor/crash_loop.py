"""How often the agent was started recently without coming to a clean end; whether it is to be careful for that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.model.lazy import dataclass

MANY = 5
WITHIN_S = 300.0
RECOVER = "find out why: journalctl -u gatepost; back to work: sudo gatepost recover"


@dataclass(frozen=True, slots=True)
class StartHistory:
    """The starts of this boot that have not come to a clean end, and why to be careful."""

    boot: str = ""
    at_s: tuple[float, ...] = ()
    """Seconds since boot; `MANY` at most."""
    safe: str = ""
    """Why the agent is in safe mode; empty when it is not. Stays over boots until somebody recovers it."""

    def begun(self, boot: str, at_s: float) -> StartHistory:
        """One more start. A power cut is no fault of the agent: only starts of one boot count together."""
        before = self.at_s if boot == self.boot else ()
        lately = (*(then_s for then_s in before if 0 <= at_s - then_s < WITHIN_S), at_s)[-MANY:]
        safe = self.safe
        if not safe and len(lately) >= MANY:
            safe = f"{MANY} starts within {WITHIN_S / 60:.0f} minutes without a clean end ({RECOVER})"
        return StartHistory(boot, lately, safe)

    def ended(self) -> StartHistory:
        """The last start came to a clean end: it does not count."""
        return replace(self, at_s=self.at_s[:-1])

    def enter_safe_mode(self, why: str) -> StartHistory:
        """Be in safe mode from the next start on."""
        return replace(self, safe=f"{why} ({RECOVER})")

    def recovered(self) -> StartHistory:
        """Back to work: nothing before counts."""
        return replace(self, at_s=(), safe="")


def from_plain(plain: Any) -> StartHistory:
    """From JSON. Raises ValueError, KeyError or TypeError."""
    return StartHistory(str(plain["boot"]), tuple(float(at_s) for at_s in plain["at_s"]), str(plain["safe"]))
