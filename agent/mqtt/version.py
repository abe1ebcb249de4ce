"""Which version of MQTT to speak. Pure.

In MQTT 3.1.1 a broker acknowledges also what it refuses, so such an event would count as delivered: the version is
used only with a broker that is known not to speak 5. That is known when it says so (reason code 0x84, or return
code 1), or when it hangs up on 5 and greets us in 3.1.1, and that twice in turn: a proxy whose broker is only just
starting hangs up on anybody. It is known for one connection: after that, 5 is tried again.
"""

from __future__ import annotations

from enum import Enum, auto

HANG_UPS = 3
"""Connections that end before the greeting, before the older version is tried."""
ROUNDS = 2
"""Times that it greets us in the older version and hangs up on 5, one after the other, before we believe it."""


class _VersionStep(Enum):
    FIVE = auto()
    PROBE = auto()
    """3.1.1, only to see whether it greets us."""
    AGAIN = auto()
    """5 once more, as it greeted us in 3.1.1."""
    OLD = auto()


class Version:
    """The version for the next connection."""

    def __init__(self, wanted: str) -> None:
        """`wanted`: `auto`, `5` or `3.1.1`."""
        self._is_fixed = wanted != "auto"
        self._step = _VersionStep.OLD if wanted == "3.1.1" else _VersionStep.FIVE
        self._hang_ups = self._rounds = 0

    @property
    def is_five(self) -> bool:
        """Whether to speak MQTT 5."""
        return self._step in {_VersionStep.FIVE, _VersionStep.AGAIN}

    @property
    def only_probes(self) -> bool:
        """Whether the next connection is to end once it is greeted, with nothing said."""
        return self._step is _VersionStep.PROBE

    def ended(self, *, greeted: bool, unsupported: bool = False, hung_up: bool = False) -> None:
        """A connection is over. `unsupported`: the broker said so of the version; `hung_up`: it was reached and
        ended the connection without a word before it greeted us. All else says nothing of the version.
        """
        if self._is_fixed or not (greeted or unsupported or hung_up):
            return
        match self._step:
            case _VersionStep.PROBE:
                self._step = _VersionStep.AGAIN if greeted else _VersionStep.FIVE
            case _VersionStep.OLD:
                self._begin_again()
            case _ if greeted:
                self._begin_again()
            case _ if unsupported:
                self._step = _VersionStep.OLD
            case _VersionStep.FIVE:
                self._hang_ups += 1
                if self._hang_ups % HANG_UPS == 0:
                    self._step = _VersionStep.PROBE
            case _VersionStep.AGAIN:
                self._rounds += 1
                self._step = _VersionStep.OLD if self._rounds >= ROUNDS else _VersionStep.PROBE

    def _begin_again(self) -> None:
        self._step, self._hang_ups, self._rounds = _VersionStep.FIVE, 0, 0
