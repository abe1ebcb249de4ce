"""The files of TLS to the broker, checked one by one: OpenSSL does not say which one is wrong, or what to do."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from agent.mqtt import tls
from agent.mqtt.client_certificate import ClientCertificates
from agent.platform import access
from agent.platform.files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.mqtt.options import Options

_DAY_S = 86_400.0
_CLOCK = "or is the clock wrong? timedatectl"
_FROM_DER = "has it another form? openssl x509 -inform der -in"
_MISMATCH = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH")
"""OpenSSL's X509_R_… reasons (openssl/x509err.h)."""


def faults(options: Options, utc_s: float) -> Iterator[tuple[str, str]]:
    """(option, sentence) for each file with which no connection can be made at this time.

    Whether the authority of `ca_file` has signed our own certificate is not asked: the broker may ask another.
    """
    if not options.tls:
        return
    if options.ca_file:
        yield from (("ca_file", what) for what in _authority(options.ca_file, utc_s))
    try:
        shown = ClientCertificates(options, "").with_certificate()
    except OSError as error:
        yield "renewed_cert_file", access.why(error, options.renewed_cert_file)
        return
    if shown.cert_file:
        renewed = shown.cert_file != options.cert_file
        for option, what in _pair(shown.cert_file, shown.key_file, utc_s):
            yield "renewed_cert_file" if renewed else option, what


def _authority(file: Path, utc_s: float) -> Iterator[str]:
    trouble, periods = _certificates(file)
    if trouble:
        yield trouble
    elif (end := max(end for _, end in periods)) < utc_s:
        yield f"{file} has ended {_days(utc_s, end)} ago (take the broker's new one, {_CLOCK})"


def _pair(cert_file: Path, key_file: Path | None, utc_s: float) -> Iterator[tuple[str, str]]:
    trouble, periods = _certificates(cert_file)
    if trouble:
        yield "cert_file", trouble
    else:
        begin, end = periods[0]
        if end < utc_s:
            yield "cert_file", f"{cert_file} has ended {_days(utc_s, end)} ago (have it renewed, {_CLOCK})"
        elif begin > utc_s:
            yield "cert_file", f"{cert_file} is valid only in {_days(begin, utc_s)} ({_CLOCK})"
    if key_file and (unreadable := access.unreadable(key_file)):
        yield "key_file", unreadable
    elif not trouble and cert_file.exists() and (what := _unfit(cert_file, key_file)):
        yield "key_file" if key_file else "cert_file", what


def _certificates(file: Path) -> tuple[str, list[tuple[float, float]]]:
    """What is wrong with a file of certificates; when each is valid, POSIX seconds."""
    if unreadable := access.unreadable(file):
        return unreadable, []
    if not file.exists():
        return "", []  # systemd brings it
    text = read_text(file, "replace")
    try:
        periods = tls.periods(text)
    except ValueError:
        periods = []
    if periods:
        return "", periods
    holds = "a private key" if "PRIVATE KEY-----" in text else "no certificate in PEM form"
    return f"{file} holds {holds}; it must begin with {ssl.PEM_HEADER} ({_FROM_DER} {file})", []


def _unfit(cert_file: Path, key_file: Path | None) -> str:
    """Why a certificate and a key cannot be shown together; empty when they can."""
    key, asked = key_file or cert_file, []

    def passphrase() -> str:
        asked.append(True)
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert_file, key_file, passphrase)
    except ssl.SSLError as error:
        if error.reason in _MISMATCH:
            return f"{key} is not the key to the certificate in {cert_file} (take the two that were made together)"
        if asked:
            return f"{key} is locked by a passphrase, which nobody types here (openssl pkey -in {key} -out NEW)"
        if "PRIVATE KEY-----" not in read_text(key, "replace"):
            return f"{key} holds no private key in PEM form (name it as key_file, if it is in another)"
        return f"{key} cannot be used with {cert_file}: {error.reason or error} (have both made again)"
    except OSError as error:
        return access.why(error, key)
    return ""


def _days(later_s: float, earlier_s: float) -> str:
    days = round((later_s - earlier_s) / _DAY_S)
    return f"{days} days" if days > 1 else "a day"
