"""Signature keys: load, verify, sign. The only file that knows `cryptography`; SM2 is in `sm2`, and Ed25519 is
verified in `ed25519`.

Algorithms by their COSE number (RFC 9053): ES256 -7, ES384 -35, ES512 -36 with any curve, PS256 -37, EdDSA -8.
ES* signatures are r and s side by side, each as long as the curve's order. Rail tickets have DSA too, some with
SHA-1: a weak key (`PublicKey.is_weak`) may sign only the formats that have no better one
(`agent/credentials/trust.py`).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import field
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from agent.crypto import ed25519, limits, sm2
from agent.crypto.der import mended, signed_part
from agent.crypto.iso9796 import RsaKey
from agent.crypto.limits import Limits
from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from cryptography import x509

EDDSA, ES256, ES384, ES512, PS256 = -8, -7, -35, -36, -37
SM2 = sm2.ALGORITHM
DSA_SHA1, DSA_SHA224, DSA_SHA256, RSA_PKCS1 = -70_001, -70_002, -70_003, -70_011
NOT_IN_COSE = frozenset({DSA_SHA1, DSA_SHA224, DSA_SHA256, RSA_PKCS1})
"""Numbers of our own: a COSE message cannot ask for what is weak, or for PKCS #1 v1.5."""
NAMES = {
    "es256": ES256, "es384": ES384, "es512": ES512,
    "dsa-sha1": DSA_SHA1, "dsa-sha224": DSA_SHA224, "dsa-sha256": DSA_SHA256,
}  # fmt: skip
"""What a keys file calls an algorithm that its key alone does not tell."""

_ECDSA = {
    ES256: ec.ECDSA(hashes.SHA256()),
    ES384: ec.ECDSA(hashes.SHA384()),
    ES512: ec.ECDSA(hashes.SHA512()),
}
_DSA: dict[int, hashes.HashAlgorithm] = {
    DSA_SHA1: hashes.SHA1(),  # noqa: S303 - the old tickets have nothing else
    DSA_SHA224: hashes.SHA224(),
    DSA_SHA256: hashes.SHA256(),
}
_BY_CURVE = {32: ES256, 48: ES384, 66: ES512}
_CURVE_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_WEAK_RSA_BITS = 2048
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)

_DER = serialization.Encoding.DER
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
_RSA: dict[int, padding.AsymmetricPadding] = {PS256: _PSS, RSA_PKCS1: padding.PKCS1v15()}
_DOCUMENT_TYPES = "2.23.136.1.1.6.2"
_SM2_PEM, _SM2_PEM_END = b"-----BEGIN SM2 PRIVATE KEY-----\n", b"\n-----END SM2 PRIVATE KEY-----\n"

Verifier = Callable[[bytes, bytes, int], bool]
"""(signature, message, COSE algorithm) → does it hold."""


class BadKey(ValueError):
    """A key or certificate that cannot be used; `str()` is one sentence."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that can verify, with its DER SubjectPublicKeyInfo."""

    spki: bytes
    name: str
    """What it is, in words: `Ed25519`, `P-256`, `RSA 2048`."""
    verify: Verifier = field(compare=False, repr=False)
    half: int = field(default=0, compare=False, repr=False)
    """Bytes of r and of s in its signatures; 0: they are of another kind."""
    algorithm: int | None = field(default=None, compare=False, repr=False)
    """The algorithm that goes with it where nobody names another."""
    is_weak: bool = field(default=False, compare=False, repr=False)
    """DSA, or RSA of less than 2048 bits."""

    @property
    def kid(self) -> bytes:
        """Key id where the issuer gives none: the first 8 bytes of SHA-256 over the SubjectPublicKeyInfo."""
        return sha256(self.spki).digest()[:8]


def public_key(spki: bytes) -> PublicKey:
    """Key from DER SubjectPublicKeyInfo. Raises BadKey."""
    if sm2.is_key(spki):
        return PublicKey(spki, "SM2", _sm2(spki))
    try:
        key = serialization.load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey("not a public key in DER SubjectPublicKeyInfo form") from None
    if isinstance(key, Ed25519PublicKey):
        return PublicKey(spki, "Ed25519", _ed25519(key.public_bytes_raw()))
    if isinstance(key, ec.EllipticCurvePublicKey):
        half = (key.curve.key_size + 7) // 8
        name = _CURVE_NAMES.get(key.curve.name, key.curve.name)
        return PublicKey(spki, name, _ecdsa(key), half, _BY_CURVE.get(half))
    if isinstance(key, rsa.RSAPublicKey):
        return PublicKey(spki, f"RSA {key.key_size}", _rsa(key), is_weak=key.key_size < _WEAK_RSA_BITS)
    if isinstance(key, dsa.DSAPublicKey):
        half = (key.parameters().parameter_numbers().q.bit_length() + 7) // 8
        return PublicKey(spki, f"DSA {key.key_size}", _dsa(key), half, is_weak=True)
    raise BadKey("neither an Ed25519, an elliptic-curve, an RSA nor a DSA key")


def certificate_key(der: bytes) -> PublicKey:
    """Key of an X.509 certificate; its chain is not looked at: it is pinned. Raises BadKey."""
    try:
        key = _certificate(der).public_key()
        spki = key.public_bytes(_DER, _SPKI)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey("not an X.509 certificate in DER form") from None
    return public_key(spki)


def certificate_period(der: bytes) -> tuple[float, float]:
    """POSIX seconds between which a certificate is valid. Raises BadKey."""
    certificate = _certificate(der)
    return certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


def certificate_limits(der: bytes) -> Limits:
    """What a certificate says that its key may be used for, and when. Raises BadKey."""
    from cryptography import x509  # noqa: PLC0415 - the same

    certificate, may_vouch, documents, unknown = _certificate(der), True, None, ""
    try:
        for extension in certificate.extensions:
            value = extension.value
            if isinstance(value, x509.BasicConstraints):
                may_vouch = may_vouch and value.ca
            elif isinstance(value, x509.KeyUsage):
                may_vouch = may_vouch and value.key_cert_sign
            elif isinstance(value, x509.UnrecognizedExtension):
                if extension.oid.dotted_string == _DOCUMENT_TYPES:
                    documents = value.value
                elif extension.critical:
                    unknown = extension.oid.dotted_string
    except ValueError:
        may_vouch = False  # extensions that cannot be read: what they forbid is not known
    if unknown:  # RFC 5280, 4.2: then the certificate must not be used
        raise BadKey(f"a certificate with a critical extension that is not known here: {unknown}")
    starts, expires = certificate_period(der)
    return Limits(starts, expires, limits.kinds_of(der, documents), may_vouch)


def is_authority(der: bytes) -> bool:
    """Whether a certificate says itself that it may vouch for others. Raises BadKey."""
    from cryptography import x509  # noqa: PLC0415 - the same

    try:
        constraints = _certificate(der).extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.ca and certificate_limits(der).may_vouch


def certificate_name(der: bytes) -> str:
    """Country and organisation or common name of a certificate's subject. Raises BadKey."""
    from cryptography import x509  # noqa: PLC0415 - slow to load, and only some issuers have certificates

    subject = _certificate(der).subject
    oids = (x509.NameOID.COUNTRY_NAME, x509.NameOID.ORGANIZATION_NAME, x509.NameOID.COMMON_NAME)
    names = [str(found[0].value) for oid in oids if (found := subject.get_attributes_for_oid(oid))]
    return " ".join(names[:2])


def certificate_addresses(der: bytes) -> list[str]:
    """URLs that a certificate names as its subject's. Raises BadKey."""
    from cryptography import x509  # noqa: PLC0415 - the same

    try:
        names = _certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def is_signed_by(der: bytes, authority: PublicKey) -> bool:
    """Whether this authority signed the certificate; False also when it is broken."""
    key = serialization.load_der_public_key(authority.spki)
    try:
        certificate = _certificate(der)
        parameters = certificate.signature_algorithm_parameters
        if isinstance(certificate.signature_hash_algorithm, hashes.SHA1 | hashes.MD5):
            return False  # another certificate can be made to fit such a signature
        content, signature = signed_part(der), certificate.signature
        if isinstance(key, rsa.RSAPublicKey) and isinstance(parameters, padding.AsymmetricPadding):
            key.verify(signature, content, parameters, certificate.signature_hash_algorithm or hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
            key.verify(signature, content, parameters)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, BadKey, ValueError):
        return False
    return True


def _certificate(der: bytes) -> x509.Certificate:
    from cryptography import x509  # noqa: PLC0415 - the same

    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        pass
    try:
        return x509.load_der_x509_certificate(mended(der))
    except (ValueError, x509.InvalidVersion):
        raise BadKey("not an X.509 certificate in DER form") from None


def rsa_key(numbers: RsaKey) -> PublicKey:
    """Key from modulus and exponent. Raises BadKey."""
    try:
        key = rsa.RSAPublicNumbers(numbers.e, numbers.n).public_key()
    except ValueError:
        raise BadKey("not an RSA key") from None
    return public_key(key.public_bytes(_DER, _SPKI))


@lru_cache(maxsize=64)
def rsa_numbers(key: PublicKey) -> RsaKey:
    """Modulus and exponent. Raises BadKey."""
    loaded = serialization.load_der_public_key(key.spki)
    if not isinstance(loaded, rsa.RSAPublicKey):
        raise BadKey("not an RSA key")
    numbers = loaded.public_numbers()
    return RsaKey(numbers.n, numbers.e)


def point_key(curve: str, x: int, y: int) -> PublicKey:
    """Key from a point of `P-256`, `P-384` or `P-521`. Raises BadKey."""
    curves: dict[str, ec.EllipticCurve] = {
        "P-256": ec.SECP256R1(),
        "P-384": ec.SECP384R1(),
        "P-521": ec.SECP521R1(),
    }
    if curve not in curves:
        raise BadKey("a curve other than P-256, P-384 and P-521")
    try:
        key = ec.EllipticCurvePublicNumbers(x, y, curves[curve]).public_key()
    except ValueError:
        raise BadKey("a point that is not on its curve") from None
    return public_key(key.public_bytes(_DER, _SPKI))


def encoded_point_key(curve: str, point: bytes) -> PublicKey:
    """Key from a point of `P-256`, `P-384` or `P-521`, compressed or not (X9.62). Raises BadKey."""
    curves: dict[str, ec.EllipticCurve] = {
        "P-256": ec.SECP256R1(),
        "P-384": ec.SECP384R1(),
        "P-521": ec.SECP521R1(),
    }
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(curves[curve], point)
    except (KeyError, ValueError):
        raise BadKey("not a point of a curve that is known here") from None
    return public_key(key.public_bytes(_DER, _SPKI))


def split_signature(der: bytes) -> tuple[int, int]:
    """R and s of a signature in DER, with zeros after it as some tickets have. Raises BadKey."""
    try:
        r, s = decode_dss_signature(der[: 2 + der[1]])
    except (ValueError, IndexError):
        raise BadKey("not a signature in DER form") from None
    if encode_dss_signature(r, s) != der[: 2 + der[1]] or any(der[2 + der[1] :]):
        raise BadKey("a signature with something after it")
    return r, s


def ed25519_key(raw: bytes) -> PublicKey:
    """Key from its 32 bytes. Raises BadKey."""
    try:
        spki = Ed25519PublicKey.from_public_bytes(raw).public_bytes(_DER, _SPKI)
    except ValueError:
        raise BadKey("not the 32 bytes of an Ed25519 key") from None
    return public_key(spki)


def _ed25519(raw: bytes) -> Verifier:
    try:
        holds = ed25519.verifier(raw)
    except ValueError as error:
        raise BadKey(str(error)) from None

    def verify(signature: bytes, message: bytes, algorithm: int) -> bool:
        return algorithm == EDDSA and holds(signature, message)

    return verify


def _ecdsa(key: ec.EllipticCurvePublicKey) -> Verifier:
    width = (key.curve.key_size + 7) // 8

    def verify(signature: bytes, message: bytes, algorithm: int) -> bool:
        if algorithm not in _ECDSA or len(signature) != 2 * width:
            return False
        r, s = int.from_bytes(signature[:width]), int.from_bytes(signature[width:])
        try:
            key.verify(encode_dss_signature(r, s), message, _ECDSA[algorithm])
        except InvalidSignature:
            return False
        return True

    return verify


def _dsa(key: dsa.DSAPublicKey) -> Verifier:
    def verify(signature: bytes, message: bytes, algorithm: int) -> bool:
        if algorithm not in _DSA or len(signature) % 2:
            return False
        half = len(signature) // 2
        r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
        try:
            key.verify(encode_dss_signature(r, s), message, _DSA[algorithm])
        except InvalidSignature:
            return False
        return True

    return verify


def _sm2(spki: bytes) -> Verifier:
    try:
        key = sm2.NativePublicKey(spki)
    except (ValueError, sm2.NoSM2) as error:
        raise BadKey(str(error)) from None

    def verify(signature: bytes, message: bytes, algorithm: int) -> bool:
        return algorithm == sm2.ALGORITHM and key.verify(signature, message)

    return verify


def _rsa(key: rsa.RSAPublicKey) -> Verifier:
    def verify(signature: bytes, message: bytes, algorithm: int) -> bool:
        if algorithm not in _RSA:
            return False
        try:
            key.verify(signature, message, _RSA[algorithm], hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    return verify


class PrivateKey(Protocol):
    """A key that signs, for issuers."""

    @property
    def algorithm(self) -> int:
        """COSE number of what `sign` makes."""

    @property
    def public(self) -> PublicKey:
        """The other half."""

    def sign(self, message: bytes) -> bytes:
        """Signature over a message."""

    def pem(self) -> bytes:
        """The key without a passphrase: keep the file to yourself."""


class Ed25519Key:
    """An Ed25519 private key; signatures are 64 bytes and deterministic (RFC 8032)."""

    algorithm = EDDSA

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = public_key(key.public_key().public_bytes(_DER, _SPKI))

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)

    def pem(self) -> bytes:
        """PKCS #8."""
        form = serialization.PrivateFormat.PKCS8
        return self._key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


class SM2Key:
    """An SM2 private key; signatures are DER."""

    algorithm = sm2.ALGORITHM

    def __init__(self, key: sm2.NativePrivateKey) -> None:
        self._key = key
        self.public = public_key(key.spki())

    def sign(self, message: bytes) -> bytes:
        """About 71 bytes."""
        return self._key.sign(message)

    def pem(self) -> bytes:
        """SEC 1."""
        return _SM2_PEM + b64encode(self._key.der()) + _SM2_PEM_END


def new_private_key(kind: str = "ed25519") -> PrivateKey:
    """A fresh key, `ed25519` or `sm2`, from the system's randomness. Raises BadKey."""
    if kind == "ed25519":
        return Ed25519Key(Ed25519PrivateKey.generate())
    try:
        return SM2Key(sm2.new_private_key())
    except sm2.NoSM2 as error:
        raise BadKey(str(error)) from None


def private_key(pem: bytes) -> PrivateKey:
    """Key from `PrivateKey.pem`. Raises BadKey."""
    try:
        if pem.startswith(_SM2_PEM):
            return SM2Key(sm2.NativePrivateKey(b64decode(pem[len(_SM2_PEM) :].split(b"\n")[0])))
        key = serialization.load_pem_private_key(pem, None)
    except sm2.NoSM2 as error:
        raise BadKey(str(error)) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey("not a private key in PEM form without passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey("neither an Ed25519 nor an SM2 private key")
    return Ed25519Key(key)
