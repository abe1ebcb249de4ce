"""A member's certificate renews itself: a new key, a request signed by the present one, the certificate on trial.

Once an hour the end of the certificate in use is looked at. Within thirty days of it, or in the last third of a
short life, the authority is asked, over the kiosk's own connection. What comes is installed as one that a command
brings: kept once the broker accepts us with it.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from agent import __version__
from agent.enrolment import certificates, exchange
from agent.enrolment.certificates import BadCertificate
from agent.enrolment.exchange import BadExchange
from agent.enrolment.exchange_mqtt import ANSWER_S
from agent.mqtt import BadClientCertificate, LinkLost
from agent.mqtt.tls import is_settled
from agent.platform.files import read_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.model import TimeBounds
    from agent.mqtt import ClientCertificates

log = logging.getLogger(__name__)

EVERY_S, FIRST_S = 3600.0, 60.0


class Renewal:
    """One thread, which may wait for the network."""

    def __init__(
        self,
        pairs: ClientCertificates,
        ask: Callable[[bytes, float], bytes],
        now: Callable[[], TimeBounds],
        renew: Callable[[], object],
    ) -> None:
        """`ask`: sends a request and waits so many seconds for its answer, or raises LinkLost; `renew`: has the
        link connect again with what was installed.
        """
        self._pairs, self._ask, self._now, self._renew = pairs, ask, now, renew
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="renewal", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, limit_s: float) -> None:
        """End; also when it was never started."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(limit_s)

    def _run(self) -> None:
        wait_s = FIRST_S
        while not self._stopping.wait(wait_s):
            self.renew_if_due()
            wait_s = EVERY_S

    def renew_if_due(self) -> str:
        """Ask if it is time; what came of it, empty when there was nothing to do. Never raises."""
        told = self._renew_if_due()
        if told:
            log.warning("certificate: %s", told)
        return told

    def _renew_if_due(self) -> str:
        now = self._now()
        shown = self._pairs.in_use()
        if not is_settled(now) or shown.cert_file is None:
            return ""
        try:
            pem = read_text(shown.cert_file)
            if not certificates.is_due(pem, now.latest_utc):
                return ""
            key = pem if shown.key_file is None else read_text(shown.key_file)
            csr = self._pairs.request()
            signature = certificates.signature(key, exchange.renewal_message(csr))
            certificate = pem[pem.index("-----BEGIN CERTIFICATE") :]
            data = exchange.renewal(csr, certificate, signature, __version__)
            found = exchange.parse_answer(self._ask(data, ANSWER_S), data, b"")
            if found.status != "issued":
                return f"not renewed: {exchange.REASONS.get(found.reason, found.status)}"
            end = self._pairs.install(found.certificate, now)
        except (OSError, ValueError, BadCertificate, BadExchange, BadClientCertificate, LinkLost) as error:
            return f"not renewed: {error}"
        self._renew()
        return f"renewed until {end}; on trial until the broker accepts it"
