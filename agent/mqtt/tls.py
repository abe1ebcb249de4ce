"""TLS to the broker: whom to trust, who we are, and what a clock has to do with it.

A certificate is checked against the wall clock, and after a power cut a kiosk's is far behind: then the broker's
is "not yet valid". So, while the clock is not trusted and the dates are all that is wrong, and with an authority
of our own (`ca_file`) and no password to give away, chain and name are checked and the dates are not. What ended
before the clock's floor is refused all the same. On such a connection the kiosk says how it is and hears commands
and bundles, which are signed; events go only with delivery `receipt`, which keeps them until the central server has
signed for them. As soon as the time is known, everything is checked, on a new connection.
"""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from agent.crypto import signing
from agent.model import ClockState, TimeBounds
from agent.model.problems import Finding, ProblemCode, found
from agent.platform.files import open_file, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.mqtt.options import Options

NOT_YET_VALID, ENDED = 9, 10
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (openssl/x509_vfy.h)."""
DATES = frozenset((NOT_YET_VALID, ENDED))
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME of the same; Python has no name for it."""
_DAY_S = 86_400.0
WARN_DAYS = 30
URGENT_DAYS = 7


def context(options: Options, *, dated: bool) -> ssl.SSLContext:
    """TLS 1.3, the broker's certificate and name checked, our own certificate if there is one."""
    made = ssl.create_default_context(cafile=options.ca_file)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.sslsocket_class = type("_ResumingSocket", (_ResumingSocket,), {"sessions": {}, "refuses": set()})
    # Python 3.13 asks by default for forms that many authorities of a site do not have (key identifiers, a critical
    # basicConstraints, keyUsage): an update of Python must not cut a kiosk off. Chain, name and dates are checked.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not dated:
        made.verify_flags |= _NO_CHECK_TIME
    if options.cert_file:
        made.load_cert_chain(options.cert_file, options.key_file)
    return made


class Contexts:
    """One context for many connections, as long as its files stay as they are: only within one can a session be
    resumed, which spares both sides half of the work of a handshake (RFC 8446, section 2.2). For one thread.
    """

    def __init__(self) -> None:
        self._made: tuple[tuple[object, ...], ssl.SSLContext] | None = None

    def of(self, options: Options, *, dated: bool) -> ssl.SSLContext:
        """Raises OSError (ssl.SSLError is one; also for what is no file), ValueError."""
        files = (options.ca_file, options.cert_file, options.key_file)
        key = (dated, *files, *(file and _version_of(file) for file in files))
        if self._made is None or self._made[0] != key:
            self._made = key, context(options, dated=dated)
        return self._made[1]


def _version_of(file: Path) -> tuple[int, int, int]:
    descriptor = open_file(file)  # OpenSSL would wait for who writes into a pipe
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return status.st_ino, status.st_mtime_ns, status.st_size


def is_settled(now: TimeBounds) -> bool:
    """Whether the time is known, not just a floor."""
    return now.state in (ClockState.SYNCED, ClockState.HOLDOVER)


def may_go_undated(options: Options, error: Exception, now: TimeBounds) -> bool:
    """Whether, after this error, the dates of certificates may be left unchecked until the time is known."""
    only_dates = isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in DATES
    return only_dates and not is_settled(now) and bool(options.ca_file) and not options.password


def demand_not_ended(certificate: bytes, now: TimeBounds) -> None:
    """Whatever the wall clock says, what ended before the floor has ended. Raises ValueError."""
    _, end_utc = signing.certificate_period(certificate)
    if end_utc < now.earliest_utc:
        raise ValueError("its certificate has ended, that much is certain")


def ends(options: Options) -> dict[str, float]:
    """When our own certificate and the authority's (the last of several) end, POSIX seconds; what can be read."""
    found = {}
    if own := _ends(options.cert_file)[:1]:
        found["the kiosk's own certificate"] = own[0]
    if authorities := _ends(options.ca_file):
        found["the authority's certificate (ca_file)"] = max(authorities)
    return found


def end_of(certificate: bytes) -> float:
    """When a certificate in DER ends, POSIX seconds. Raises BadKey."""
    return signing.certificate_period(certificate)[1]


def days_left(ends_utc: Mapping[str, float], now: TimeBounds) -> dict[str, int]:
    """Whole days that each certificate has left: with a mere floor, at most so many."""
    latest_utc = now.latest_utc if is_settled(now) else now.earliest_utc
    return {what: int((end_utc - latest_utc) // _DAY_S) for what, end_utc in ends_utc.items()}


def findings(left: Mapping[str, int]) -> tuple[Finding, ...]:
    """On the certificate that ends first, from 30 days before."""
    if not left:
        return ()
    what, days = min(left.items(), key=lambda each: each[1])
    if days < 0:
        text = f"{what} has ended: renew it, this kiosk is cut off or soon will be"
        return (Finding(ProblemCode.CERTIFICATE_EXPIRED, text),)
    if days <= URGENT_DAYS:
        text = f"{what} ends in {days} days: renew it NOW, or this kiosk is cut off"
    else:
        text = f"{what} ends in {days} days: renew it" if days <= WARN_DAYS else ""
    return found(ProblemCode.CERTIFICATE_EXPIRING, text)


def periods(text: str) -> list[tuple[float, float]]:
    """From when to when each certificate of a PEM text is valid, POSIX seconds. Raises ValueError."""
    parts = text.split(ssl.PEM_FOOTER)[:-1]
    pems = [part[part.index(ssl.PEM_HEADER) :] + ssl.PEM_FOOTER for part in parts]
    return [signing.certificate_period(ssl.PEM_cert_to_DER_cert(pem)) for pem in pems]


def _ends(file: Path | None) -> list[float]:
    """When the certificates of a PEM file end, in its order; none when it cannot be read."""
    try:
        return [end for _, end in periods(read_text(file))] if file else []
    except (OSError, ValueError):
        return []


class _ResumingSocket(ssl.SSLSocket):
    """Resumes the last session with the same name; closes itself when the handshake fails: paho just forgets it."""

    sessions: ClassVar[dict[str, ssl.SSLSession]]
    """By name of the broker; what it gave us last."""
    refuses: ClassVar[set[str]]
    """Brokers with which a handshake failed that offered one: some end it instead of going on without."""

    def do_handshake(self, block: bool = False) -> None:
        name = self.server_hostname or ""
        offered = None if name in self.refuses else self.sessions.pop(name, None)
        try:
            if offered is not None:
                self.session = offered
            super().do_handshake(block)
        except BaseException:
            if offered is not None:
                self.refuses.add(name)
            self.close()
            raise

    def close(self) -> None:
        with suppress(ValueError, OSError):
            if self.session is not None and self.session.has_ticket:
                self.sessions[self.server_hostname or ""] = self.session
        super().close()
