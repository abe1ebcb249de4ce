"""The kiosk's key and certificate for the link, and how the central server renews them by command.

The kiosk makes the new key itself and hands out a certificate request. What comes back is checked, laid beside the
pair in use as one file, and tried: once the broker greets us with it, it takes the other's place in one step; a
broker that will not have it gets the old pair again.

| file | content |
|---|---|
| `renewed_cert_file` | key and certificates in use, PEM; the newer of it and the configured pair counts |
| `renewed_cert_file`.trial | the same, not greeted yet |
| `renewed_cert_file`.key | the new key, until the broker has greeted us with it: asked again, we ask for the same |
"""

from __future__ import annotations

import ssl
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.platform.files import MOST_TEXT_BYTES, read_bytes, replace_file, sync_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from agent.model import TimeBounds
    from agent.mqtt.options import Options

TRIES = 3
"""Connections that the broker ends before it greets us, until the new pair is given up."""


class BadClientCertificate(ValueError):
    """A certificate that is not taken; `str()` says why."""


def forget_renewal(pair: Path) -> None:
    """Remove what a renewal of `pair` has begun: another takes its place. Raises OSError."""
    for path in (_trial_of(pair), _key_of(pair)):
        path.unlink(missing_ok=True)


class ClientCertificates:
    """The link's thread asks which pair to show and says what came of it; commands come from another."""

    def __init__(self, options: Options, name: str) -> None:
        """`name`: who asks for the first certificate, where there is none yet."""
        self._options, self._name = options, name
        self._file = options.renewed_cert_file
        self._trial = _trial_of(self._file)
        self._key = _key_of(self._file)
        self._failures = 0
        self._shown_on_trial = False
        self.decided = threading.Event()
        """Set when the pair that was installed last was greeted, or given up."""
        self.greeted_new = False
        """Which of both."""

    # -- the link's side

    def with_certificate(self) -> Options:
        """The options with the pair to show now."""
        self._shown_on_trial = self._trial.exists()
        shown = self._trial if self._shown_on_trial else self._newest()
        return self._options if shown is None else replace(self._options, cert_file=shown, key_file=None)

    def in_use(self) -> Options:
        """The options with the pair in use, whatever is on trial. Any thread."""
        shown = self._newest()
        return self._options if shown is None else replace(self._options, cert_file=shown, key_file=None)

    def connected(self) -> None:
        """The broker took what was shown: a pair on trial is kept, in one step. Never raises."""
        if self._shown_on_trial:
            self._decide(greeted=True)

    def rejected(self) -> None:
        """The broker, or our own files, would not have what was shown."""
        self._failures += self._shown_on_trial
        if self._failures >= TRIES:
            self._decide(greeted=False)

    def _decide(self, *, greeted: bool) -> None:
        try:
            if greeted:
                self._trial.replace(self._file)
                sync_folder(self._file.parent)
                with suppress(OSError):  # that of the pair in use is asked for no more
                    self._key.unlink()
            else:
                self._trial.unlink(missing_ok=True)
        except OSError:
            return  # it stays on trial, and works; or is tried again
        self._shown_on_trial, self._failures = False, 0
        self.greeted_new = greeted
        self.decided.set()

    def _newest(self) -> Path | None:
        """The renewed pair, unless the configured one was issued later; None: the configured one."""
        renewed, configured = _certificates(self._file), _certificates(self._options.cert_file)
        if (
            not renewed
            or not _fits(self._file)
            or (configured and configured[0].not_valid_before_utc > renewed[0].not_valid_before_utc)
        ):
            return None
        return self._file

    # -- the central server's side

    def request(self) -> str:
        """Ask for a certificate for a new key, made and kept once: PKCS #10, PEM. An authority gives what it has
        issued for this key again, however often its answer is lost, or the broker does not take it. Raises OSError.
        """
        from cryptography import x509  # noqa: PLC0415 - slow to load, and a link without TLS has no certificates

        current = self._current()
        key = self._awaited_key(current)
        if key is None:
            key = ec.generate_private_key(ec.SECP256R1())
            _write_secret(self._key, _pem(key))
        name = current[0].subject if current else _named(self._name)
        asked = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        return asked.public_bytes(serialization.Encoding.PEM).decode()

    def _awaited_key(self, current: Sequence[x509.Certificate]) -> ec.EllipticCurvePrivateKey | None:
        """The new key that was made before; None where there is none, or that in use (a power cut has left it)."""
        try:
            key = serialization.load_pem_private_key(read_bytes(self._key, MOST_TEXT_BYTES), None)
        except (OSError, ValueError, TypeError):
            return None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            return None
        in_use = [certificate.public_key().public_bytes(*_SPKI) for certificate in current[:1]]
        return None if key.public_key().public_bytes(*_SPKI) in in_use else key

    def install(self, pem: str, now: TimeBounds) -> str:
        """Put a certificate (its chain after it) on trial with the key made for it; until when it is valid.

        Raises BadClientCertificate, OSError.
        """
        from cryptography import x509  # noqa: PLC0415 - the same

        try:
            chain = x509.load_pem_x509_certificates(pem.encode())
            key = serialization.load_pem_private_key(read_bytes(self._key, MOST_TEXT_BYTES), None)
        except FileNotFoundError:
            raise BadClientCertificate("no key was made for it: ask for a request first") from None
        except (ValueError, TypeError, x509.InvalidVersion):
            raise BadClientCertificate("it is not a certificate in PEM form") from None
        self._demand(chain, key.public_key().public_bytes(*_SPKI), now)
        self.decided.clear()
        _write_secret(
            self._trial, _pem(key) + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)
        )
        return chain[0].not_valid_after_utc.isoformat()

    def _demand(self, chain: Sequence[x509.Certificate], spki: bytes, now: TimeBounds) -> None:
        """Key, holder, time and authority must be right. Raises BadClientCertificate."""
        own, current = chain[0], self._current()
        if own.public_key().public_bytes(*_SPKI) != spki:
            raise BadClientCertificate("it is for another key")
        if current and _common_name(own) != _common_name(current[0]):
            raise BadClientCertificate("it is for somebody else")
        if own.not_valid_before_utc > _utc(now.latest_utc) or own.not_valid_after_utc < _utc(now.latest_utc):
            raise BadClientCertificate("it is not valid now")
        authorities = _certificates(self._options.ca_file)
        asked = not current or _is_vouched(current, authorities)  # clients may have an authority of their own
        if authorities and asked and not _is_vouched(chain, authorities):
            raise BadClientCertificate("it is not from the authority of ca_file")

    def _current(self) -> list[x509.Certificate]:
        shown = self._newest()
        return _certificates(shown or self._options.cert_file)


def _trial_of(pair: Path) -> Path:
    return pair.with_name(f"{pair.name}.trial")


def _key_of(pair: Path) -> Path:
    return pair.with_name(f"{pair.name}.key")


_SPKI = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _certificates(file: Path | None) -> list[x509.Certificate]:
    """Those in a PEM file, the holder's first; none when it cannot be read."""
    try:
        pem = b"" if file is None else read_bytes(file, MOST_TEXT_BYTES)
    except OSError:
        return []
    if not pem:
        return []
    from cryptography import x509  # noqa: PLC0415 - the same

    try:
        return x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion):
        return []


def _fits(file: Path) -> bool:
    """Whether key and certificate in it can be shown together: a card may have spoilt either."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(file)
    except OSError:
        return False
    return True


def _is_vouched(chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]) -> bool:
    """Whether an authority has signed the first, or one that has signed it, and so on."""
    certificate = chain[0]
    for _ in chain:
        if any(_has_signed(authority, certificate) for authority in authorities):
            return True
        above = next((one for one in chain[1:] if _is_authority(one) and _has_signed(one, certificate)), None)
        if above is None:
            return False
        certificate = above
    return False


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    from cryptography import x509  # noqa: PLC0415 - the same

    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _common_name(certificate: x509.Certificate) -> list[str | bytes]:
    from cryptography.x509.oid import NameOID  # noqa: PLC0415 - the same

    return [entry.value for entry in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _named(name: str) -> x509.Name:
    from cryptography import x509  # noqa: PLC0415 - the same
    from cryptography.x509.oid import NameOID  # noqa: PLC0415 - the same

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _utc(posix_s: float) -> datetime:
    return datetime.fromtimestamp(posix_s, UTC)


def _pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_secret(file: Path, content: bytes) -> None:
    """Write a secret, whole and durably, for our eyes only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, (content,), 0o600)
