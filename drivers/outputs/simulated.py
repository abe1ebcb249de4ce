"""An output that only remembers: for trials without a relay.

Source: none to cite, there is no part; it keeps the promises of `drivers.contract.Sink`. Everything it takes
part in is marked simulated.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

from drivers.bounds import Ge, Gt
from drivers.contract import OUTPUT, BadOptions, Proof

BUS, PROOF = "none", Proof.SIMULATOR


@dataclass(frozen=True)
class Options:
    """Settings of an output that is not there."""

    output: Annotated[int, Ge(1), OUTPUT] = 1
    """Which output; a lamp has three."""
    longest_s: Annotated[float, Gt(0)] = 10.0
    """Longest pulse that may be requested, seconds."""


class Driver:
    """Keeps each pulse as (when it was requested, for how long)."""

    simulated = True

    def __init__(self, options: Options) -> None:
        self._options = options
        self.pulses: list[tuple[float, float]] = []

    def open(self) -> None:
        """Nothing to take."""

    def pulse(self, seconds: float) -> None:
        """Remember the command."""
        if not 0 < seconds <= self._options.longest_s:
            raise BadOptions("simulated gate", f"a pulse of {seconds} s is out of bounds", "see longest_s")
        self.pulses.append((time.monotonic(), seconds))

    def off(self) -> None:
        """Nothing to switch off."""

    def check(self) -> None:
        """Always there."""

    def close(self) -> None:
        """Nothing to let go of."""
