"""Certificate and key of the guards' pages: those that are configured, else a pair that the kiosk makes itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from agent.enrolment import certificates
from agent.enrolment.certificates import BadCertificate
from agent.platform.files import read_text, replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.web.options import Options

log = logging.getLogger(__name__)

NAME = "pages.pem"
DAYS = 825
"""Browsers take no longer ones."""


def own_pair(folder: Path, names: Sequence[str], now_utc: float) -> tuple[str, str]:
    """Key and certificate, PEM; made again when the names have changed or it ends soon. Raises OSError."""
    path = folder / NAME
    try:
        text = read_text(path)
        if set(certificates.names_of(text)) == set(names) and not certificates.is_due(text, now_utc):
            certificates.fingerprint_of_key(text)
            return text, text
    except (FileNotFoundError, UnicodeError, BadCertificate):
        pass
    key, certificate = certificates.for_pages(names, DAYS, now_utc)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(path, (key.encode(), certificate.encode()), 0o600)
    return key + certificate, key + certificate


def configured_pair(certificate: Path, key: Path) -> tuple[str, str]:
    """Key and certificate, PEM. Raises OSError, BadCertificate."""
    pair = read_text(key), read_text(certificate)
    certificates.about(pair[1])
    return pair


def for_pages(options: Options, folder: Path, now_utc: float) -> dict[str, Any]:
    """Where the pages are served on the network, and by which certificate; nowhere if that cannot be."""
    try:
        key, certificate = (
            own_pair(folder, options.names, now_utc)
            if options.certificate is None or options.key is None
            else configured_pair(options.certificate, options.key)
        )
        fingerprint = certificates.whole_fingerprint(certificate)
    except (OSError, BadCertificate) as error:
        log.warning("the pages are not served on the network: %s", error)
        return {"listen": ""}
    return {
        "listen": options.listen, "names": options.names, "certificate": certificate, "key": key,
        "fingerprint": fingerprint,
    }  # fmt: skip
