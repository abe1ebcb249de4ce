"""What a signer's certificate allows: what its key may sign, and from when to when. Pure.

| in the certificate | meaning |
|---|---|
| validity | codes count only while the certificate does |
| extended key usage 1.3.6.1.4.1.1847.2021.1.*n*, or 1.3.6.1.4.1.0.1847.2021.1.*n* | *n*: see below |
| documentTypeList 2.23.136.1.1.6.2 | `NT` tests, `NV` vaccinations; other documents: none of them |
| basic constraints, key usage | whether it may vouch for other certificates, where it says so |

*n* is 1 for tests, 2 for vaccinations, 3 for recoveries; some states use the second form. A certificate without
such a usage may sign all kinds. Sources: eHealth Network, "EU DCC Public Key Certificate Governance"; ICAO Doc
9303-12 and the VDS-NC report.
"""

from __future__ import annotations

import math

from agent.crypto.refusal import CheckFailed
from agent.model import CodeStatus, TimeBounds
from agent.model.lazy import dataclass

_KIND_OF = {1: "test", 2: "vaccination", 3: "recovery"}
_USAGES = {
    bytes((6, len(content))) + content: kind
    for number, kind in _KIND_OF.items()
    for family in (b"", b"\0")
    if (content := b"\x2b\6\1\4\1" + family + b"\x8e\x37\x8f\x65\1" + bytes((number,)))
}
"""The object identifiers as DER has them."""
_DOCUMENTS = {b"NT": "test", b"NV": "vaccination"}


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one signer; without a certificate there are none."""

    starts_utc: float = -math.inf
    expires_utc: float = math.inf
    kinds: frozenset[str] | None = None
    """Which of `test`, `vaccination` and `recovery` it may sign; None: all."""
    may_vouch: bool = True
    """Whether its signature under another certificate counts."""

    def require(self, *kinds: str, issuer: str = "") -> None:
        """Raise CheckFailed unless it may sign each of these; what is none of the three is free."""
        for kind in kinds:
            if self.kinds is not None and kind in _KIND_OF.values() and kind not in self.kinds:
                allowed = ", ".join(sorted(self.kinds)) or "neither"
                raise CheckFailed(
                    CodeStatus.UNKNOWN_ISSUER, f"its signer may sign {allowed}, not {kind}", issuer=issuer
                )

    def reason(self, now: TimeBounds) -> str:
        """What is wrong with its time, as a phrase; `` while it is valid."""
        if self.expires_utc < now.latest_utc:
            return "its signer's certificate has ended, or may have"
        return (
            ""
            if self.starts_utc <= now.earliest_utc
            else "its signer's certificate is not valid yet, or may not be"
        )


NONE = Limits()


def kinds_of(der: bytes, documents: bytes | None) -> frozenset[str] | None:
    """What a certificate may sign: by the usages in it, and by its list of document types where it has one."""
    usages = frozenset(kind for usage, kind in _USAGES.items() if usage in der)
    if documents is None:
        return usages or None
    listed = frozenset(kind for name, kind in _DOCUMENTS.items() if b"\x13\2" + name in documents)
    return listed & usages if usages else listed
