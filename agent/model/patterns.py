r"""Patterns that a deployer has written, held against what somebody shows or types.

Matching by backtracking can take hours for one short text, by a pattern that looks harmless
(`(?:[a-z-]+\.?)+` for a host), and nothing else runs meanwhile. So each match has a limit.
"""

from __future__ import annotations

import re
from typing import Any

from agent.model.lazy import dataclass

_BRACE = re.compile(r"\\N\{[^}]*\}|\\.|\{(?:[0-9]+|[0-9]*,[0-9]*)\}|\{", re.DOTALL)
"""A named or escaped sign, a count, or a brace that stands for itself: by it `regex` would match nearly (`{e}`)."""
LIMIT_S = 0.02
"""CPU time that a match may take; an answer at the gate has 200 ms."""


@dataclass(frozen=True, slots=True)
class TextPattern:
    """A regular expression, in the syntax of Python's `re`."""

    text: str
    ascii_only: bool = False
    """Whether `\\w`, `\\d` and `\\s` are ASCII characters alone."""

    def __post_init__(self) -> None:
        """Raises ValueError, whose text is why it is none."""
        try:
            re.compile(self.text)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(str(error)) from None

    @property
    def groups(self) -> frozenset[str]:
        """Names of its groups. Raises ValueError where the matching library wants another syntax than `re`."""
        return frozenset(self._compiled().groupindex)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """The match of the whole text; None when there is none, or none is found within `LIMIT_S`."""
        try:
            found: re.Match[str] | None = self._compiled().fullmatch(text, timeout=LIMIT_S)
        except (TimeoutError, ValueError):
            return None
        return found

    def _compiled(self) -> Any:
        import regex  # noqa: PLC0415 - 8 ms and 2 MB, which a kiosk that uses no pattern does not need

        try:
            text = _BRACE.sub(lambda found: "\\{" if found[0] == "{" else found[0], self.text)
            return regex.compile(text, regex.ASCII if self.ascii_only else 0)  # it keeps what it has compiled
        except (regex.error, OverflowError, RecursionError) as error:
            raise ValueError(str(error)) from None
