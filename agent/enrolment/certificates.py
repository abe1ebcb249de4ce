"""Keys, certificate requests and certificates of kiosks: PKCS #10, X.509, P-256. No input or output."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

_PEM, _DER = serialization.Encoding.PEM, serialization.Encoding.DER
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
_SLACK = timedelta(hours=1)
"""A kiosk's clock may be a little behind."""
_BEFORE_S, _BEFORE_SHARE = 30 * 86_400.0, 1 / 3
"""So long before its end a certificate is renewed, or when so much of its life is left."""
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""For people who read a fingerprint aloud: 32 signs, none like another."""
_SPOKEN, _GROUP = 12, 4


class BadCertificate(ValueError):
    """A key, request or certificate that is not taken; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Issued:
    """What there is to know of a certificate."""

    name: str
    serial: int
    not_after_utc: float
    fingerprint: str
    """Of its key."""


def new_key() -> str:
    """A private key, PEM."""
    return _key_pem(ec.generate_private_key(ec.SECP256R1()))


def request_for(key_pem: str, name: str) -> str:
    """Ask for a certificate for a key: PKCS #10, PEM."""
    key = _private(key_pem)
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_named(name))
        .sign(key, hashes.SHA256())
        .public_bytes(_PEM)
        .decode()
    )


def fingerprint_of_request(csr_pem: str) -> str:
    """Of the key that asks, hexadecimal; its own signature must hold. Raises BadCertificate."""
    try:
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        key = csr.public_key()
        if (
            csr.is_signature_valid
            and isinstance(key, ec.EllipticCurvePublicKey)
            and isinstance(key.curve, ec.SECP256R1)
        ):
            return _fingerprint(key)
    except ValueError:
        pass
    raise BadCertificate("it is no certificate request of a P-256 key, signed by it")


def fingerprint_of_key(key_pem: str) -> str:
    """Of a private key's public half, hexadecimal. Raises BadCertificate."""
    return _fingerprint(_private(key_pem).public_key())


def spoken(fingerprint: str) -> str:
    """Twelve signs of a fingerprint, for a person to compare: of 60 bits nobody finds another key in time."""
    number = int(fingerprint[:16], 16)
    signs = [_ALPHABET[number >> 5 * place & 31] for place in range(_SPOKEN)]
    return "-".join("".join(signs[at : at + _GROUP]) for at in range(0, _SPOKEN, _GROUP))


def is_spoken(said: str, fingerprint: str) -> bool:
    """Whether these are the signs of a fingerprint, or it is the whole of it."""
    whole = (fingerprint, spoken(fingerprint))
    return _bare(said) in map(_bare, whole)


def _bare(said: str) -> str:
    return "".join(said.replace("-", "").split()).upper()


def new_authority(name: str, days: int, now_utc: float) -> tuple[str, str]:
    """Key and certificate of an authority for kiosks, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.fromtimestamp(now_utc, UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _key_pem(key), made.public_bytes(_PEM).decode()


def issue(csr_pem: str, name: str, authority: tuple[str, str], days: int, now_utc: float) -> str:
    """A client's certificate for the key of a request, under the authority's (key, certificate); PEM. The name is
    ours: what the request says of itself counts for nothing. Raises BadCertificate.
    """
    fingerprint_of_request(csr_pem)
    key, above = _private(authority[0]), load(authority[1])
    csr, now = x509.load_pem_x509_csr(csr_pem.encode()), datetime.fromtimestamp(now_utc, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(above.subject)
        .public_key(csr.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - _SLACK, above.not_valid_before_utc))
        .not_valid_after(min(now + timedelta(days=days), above.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(_PEM)
        .decode()
    )


def for_pages(names: Sequence[str], days: int, now_utc: float) -> tuple[str, str]:
    """Key and certificate of the pages of this kiosk, signed by itself, PEM; `names`: host names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.fromtimestamp(now_utc, UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(_named(names[0]))
        .issuer_name(_named(names[0]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _key_pem(key), made.public_bytes(_PEM).decode()


def names_of(certificate_pem: str) -> tuple[str, ...]:
    """Host names and addresses of a certificate. Raises BadCertificate."""
    try:
        names = load(certificate_pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    found: list[object] = [*names.get_values_for_type(x509.DNSName), *names.get_values_for_type(x509.IPAddress)]
    return tuple(map(str, found))


def whole_fingerprint(certificate_pem: str) -> str:
    """SHA-256 of the certificate, as browsers show it. Raises BadCertificate."""
    return load(certificate_pem).fingerprint(hashes.SHA256()).hex(":").upper()


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def about(certificate_pem: str) -> Issued:
    """What the first certificate of a PEM text says. Raises BadCertificate."""
    found = load(certificate_pem)
    names = [str(entry.value) for entry in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return Issued(
        names[0] if names else "", found.serial_number, found.not_valid_after_utc.timestamp(),
        _fingerprint(found.public_key()),
    )  # fmt: skip


def is_due(certificate_pem: str, now_utc: float) -> bool:
    """Whether it is time to renew the first certificate of a PEM text. Raises BadCertificate."""
    found = load(certificate_pem)
    begin_utc, end_utc = found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
    return end_utc - now_utc <= min(_BEFORE_S, _BEFORE_SHARE * (end_utc - begin_utc))


def demand_issued_by(certificate_pem: str, authority_pem: str) -> None:
    """Raise BadCertificate unless this authority has signed it."""
    try:
        load(certificate_pem).verify_directly_issued_by(load(authority_pem))
    except (InvalidSignature, ValueError, TypeError):
        raise BadCertificate("it was not issued here") from None


def signature(key_pem: str, message: bytes) -> str:
    """ECDSA over a message, base64."""
    return b64encode(_private(key_pem).sign(message, ec.ECDSA(hashes.SHA256()))).decode()


def demand_signed(certificate_pem: str, signature: bytes, message: bytes) -> None:
    """Raise BadCertificate unless the certificate's key has signed the message."""
    key = load(certificate_pem).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadCertificate("its key is of another kind")
    try:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise BadCertificate("its key has not signed this") from None


def revocations(serials: dict[int, float], authority: tuple[str, str], now_utc: float) -> str:
    """The list of what is revoked (serial → when), for the broker's `crlfile`; PEM. It is valid as long as the
    authority itself: a person brings it to the broker, which turns all away once the list has ended, and before it
    begins. So it does not begin by the clock of today, which may be years ahead until the network sets it.
    """
    above, now = load(authority[1]), datetime.fromtimestamp(now_utc, UTC)
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(above.subject)
        .last_update(above.not_valid_before_utc)
        .next_update(max(above.not_valid_after_utc, now))
    )
    for serial, at_utc in sorted(serials.items()):
        entry = x509.RevokedCertificateBuilder().serial_number(serial)
        made = made.add_revoked_certificate(entry.revocation_date(datetime.fromtimestamp(at_utc, UTC)).build())
    return made.sign(_private(authority[0]), hashes.SHA256()).public_bytes(_PEM).decode()


def pin_of(certificate: bytes) -> bytes:
    """SHA-256 of a certificate's public key; DER or PEM. Raises BadCertificate."""
    try:
        found = x509.load_der_x509_certificate(certificate)
    except (ValueError, x509.InvalidVersion):
        found = load(certificate.decode("ascii", "replace"))
    return sha256(found.public_key().public_bytes(_DER, _SPKI)).digest()


def load(pem: str) -> x509.Certificate:
    """The first certificate of a PEM text. Raises BadCertificate."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())[0]
    except (ValueError, IndexError, x509.InvalidVersion):
        raise BadCertificate("it is no certificate in PEM form") from None


def _private(pem: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        raise BadCertificate("it is no private key in PEM form without a passphrase") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadCertificate("the key is of another kind than P-256")
    return key


def _fingerprint(key: object) -> str:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadCertificate("the key is of another kind than P-256")
    return sha256(key.public_bytes(_DER, _SPKI)).hexdigest()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(_PEM, form, secret).decode()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
