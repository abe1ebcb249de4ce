"""Why there is no connection to the broker: one sentence for the technician, with what to do. OpenSSL's message
alone names neither the file nor the setting.
"""

from __future__ import annotations

import errno
import socket
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.mqtt import tls, tls_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.mqtt.options import Options

_OTHER_NAMES = (62, 63, 64)
_OTHER_AUTHORITIES = (2, 18, 19, 20, 21)
"""X509_V_ERR_… of openssl/x509_vfy.h: hostname, e-mail and IP mismatch; no issuer, self-signed, not verified."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
_ALERTS: Mapping[str, str] = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "asks for this kiosk's certificate (cert_file and key_file)",
    "TLSV1_ALERT_UNKNOWN_CA": "does not know the authority of this kiosk's certificate (at the broker: cafile)",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "says that this kiosk's certificate has ended (have it renewed)",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "says that this kiosk's certificate is revoked (have a new one made)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "does not accept this kiosk's certificate (the broker's log says why)",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "does not accept this kiosk's certificate (the broker's log says why)",
    "TLSV1_ALERT_PROTOCOL_VERSION": "does not speak TLS 1.3 (update the broker)",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "does not speak TLS 1.3 as we do (update the broker)",
}
"""What a broker says before it hangs up (RFC 8446, section 6.2), by OpenSSL's name for it."""


_NETWORK: Mapping[int | None, str] = {
    errno.ECONNREFUSED: "nobody listens there (is the broker running, is the port right?)",
    errno.ENETUNREACH: "no way leads there (network cable, Wi-Fi? ip route)",
    errno.EHOSTUNREACH: "no way leads there (network cable, Wi-Fi? ip route)",
    errno.EPERM: "this service may not speak to it (IPAddressAllow= in its drop-in, a local firewall?)",
    errno.EACCES: "this service may not speak to it (IPAddressAllow= in its drop-in, a local firewall?)",
}


def no_context(error: Exception, options: Options, utc_s: float) -> str:
    """Our own files cannot be used."""
    found = [f"mqtt.{option}: {what}" for option, what in tls_files.faults(options, utc_s)]
    return f"{'; '.join(found) or f'TLS cannot be set up: {_plain(error)}'} (mend it, then: gatepost check)"


def no_connection(error: Exception, options: Options) -> str:
    """Nobody was reached, or TLS did not come about."""
    is_tls = isinstance(error, ssl.SSLError) or (options.tls and isinstance(error, ConnectionResetError))
    return f"{_where(options)}: {_tls(error, options) if is_tls else _network(error, options)}"


def _network(error: Exception, options: Options) -> str:
    match error:
        case socket.gaierror(errno=socket.EAI_AGAIN):
            return "no name server answers (network cable, DNS? resolvectl status)"
        case socket.gaierror():
            return f"nothing has this name (is host written right? getent hosts {options.host})"
        case TimeoutError():
            return f"no answer within {options.connect_timeout_s:g} s (network, firewall, host?)"
        case OSError(errno=number) if number in _NETWORK:
            return _NETWORK[number]
    return _plain(error)


def _tls(error: Exception, options: Options) -> str:
    reason = getattr(error, "reason", None) or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {_unaccepted(error, options)}"
    if reason in _ALERTS:
        return _ALERTS[reason]
    if isinstance(error, ConnectionResetError | ssl.SSLEOFError) or reason in _NO_TLS:
        return "does not speak TLS (8883 is the usual port with TLS, 1883 the one in the clear: tls = false)"
    return f"TLS fails: {_plain(error)} (is this the TLS port? the broker's log may say more)"


def hung_up(reason: str, options: Options) -> str:
    """It was reached and hung up before it greeted us. `reason`: what OpenSSL makes of its last word, or ``."""
    if reason in _ALERTS:
        return f"{_where(options)}: {_ALERTS[reason]}"
    if not options.tls:
        guess = "does it want TLS? tls = true; or is it no MQTT broker?"
    elif options.cert_file is None:
        guess = "does it want a certificate? cert_file, key_file; its log says why"
    else:
        guess = f"does it not accept {options.cert_file}? its log says why"
    return f"{_where(options)}: hangs up on our greeting ({guess})"


def silent(options: Options) -> str:
    """It was reached, and says nothing."""
    guess = "" if options.tls else " does it want TLS?"
    return f"{_where(options)}: answers, but not as an MQTT broker (is the port right?{guess} is the broker stuck?)"


def unwanted(reason: str, options: Options) -> str:
    """It has greeted us with a no."""
    remedy = "the broker's log may say more"
    if reason in {"Not authorized", "Bad user name or password"}:
        remedy = (
            f"is {options.username} known to the broker, and the password right? username, password in [mqtt]"
            if options.username
            else "it wants a user: username, password in [mqtt]"
        )
    elif reason == "Client identifier not valid":
        remedy = "client_id in [mqtt]"
    return f"the broker refuses the connection: {reason} ({remedy})"


_ENDED: Mapping[str, str] = {
    "Session taken over": "another has this kiosk's client id: is there a second kiosk of this site and id?",
    "Not authorized": "a right that it does not grant: gatepost check --broker",
    "Quota exceeded": "its quota: queue, disk, rate",
    "Message rate too high": "its limit of messages for a client",
    "Packet too large": "its limit: max_packet_size",
    "Keep alive timeout": "keepalive_s in [mqtt], or a network that stands still",
    "Server busy": "it has too much to do",
    "Administrative action": "somebody there has ended it",
}
"""What a broker says as it ends a connection (MQTT 5, section 3.14.2.1), and what to look at."""


def ended(reason: str) -> str:
    """It has ended a connection that it had accepted."""
    remedy = _ENDED.get(reason)
    return f"the broker ended the connection: {reason}{f' ({remedy})' if remedy else ''}"


def _unaccepted(error: ssl.SSLCertVerificationError, options: Options) -> str:
    if error.verify_code in _OTHER_NAMES:
        return f"it is not for the name {options.host} (host must be a name that stands in the certificate)"
    if error.verify_code in _OTHER_AUTHORITIES:
        whose = f"the authority in {options.ca_file}" if options.ca_file else "an authority that this system knows"
        return f"it is not from {whose} (ca_file must be of the authority that signed it)"
    if error.verify_code == tls.NOT_YET_VALID:
        return f"it is not yet valid (is this kiosk's clock behind? it says {_today()}: timedatectl)"
    if error.verify_code == tls.ENDED:
        return f"it has expired (have it renewed; or is this kiosk's clock ahead? it says {_today()}: timedatectl)"
    return f"{error.verify_message} (ca_file, host, clock?)"


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def _where(options: Options) -> str:
    return f"{options.host}:{options.port}"


def _plain(error: Exception) -> str:
    """Without number and place in OpenSSL's source."""
    words = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return str(words).replace("_", " ").lower() if str(words).isupper() else str(words)
