r"""Whom this gate believes: pinned keys, each bound to an issuer and to the formats it may sign.

A keys file is TOML, one table per key:

    version = 1                     # rises with each change; an older copy is then noticed. May be left out
    [[key]]
    issuer = "demo-health"          # for Gatepost codes the `iss` claim, for SHC the issuer's URL, else a name
    formats = ["gatepost"]          # what the key may sign; gatepost alone when it is not said
    public = "MCowBQYDK2VwAyEA…"    # base64 of the DER SubjectPublicKeyInfo, or …
    certificate = "MIIC…"           # … base64 of a DER certificate: its key, with its validity and key usage
    from = 2026-01-01               # first and last day, where no certificate says them; may be left out
    until = 2027-12-31
    kid = "8f3a…"                   # hex; without it: the first 8 bytes of SHA-256 over `public` or `certificate`
    algorithm = "dsa-sha256"        # of rail tickets, whose keys do not tell it

Revoked health cards are told by the key that signed them, in the words of the issuer's own list (`rid`, or
`rid.seconds` for cards issued before then):

    [[revoked]]
    kid = "334b…"                   # hex, as in [[key]]
    rids = ["vwAjHdarZuc.1687450765"]

An issuer of opaque codes has one table too, and a status list of the same issuer beside it:

    [[opaque]]
    issuer = "suishenma"
    pattern = 'https://s\.sh\.gov\.cn/(?P<id>[0-9A-Za-z]{8,64})'
    adds = "travel"                 # optional: a travel record (行程卡), which joins a health code: green on the
                                    # status list is clear, any other colour a risk, a list too old is `old`

Who may *add* such keys from the central server is another matter: see `bundle`.
"""

from __future__ import annotations

import binascii
import functools
import math
import re
import tomllib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import UTC, date, datetime, time
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from agent.credentials.formats import format_files
from agent.credentials.lists import CodeLists, ListFile
from agent.crypto import signing
from agent.crypto.limits import NONE, Limits
from agent.crypto.refusal import CheckFailed
from agent.model import CodeStatus, InForce
from agent.model.lazy import dataclass
from agent.model.patterns import TextPattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.credentials.freshness import Age

_T = TypeVar("_T")
_K = TypeVar("_K")

_RID = re.compile(r"[A-Za-z0-9_-]{1,24}(\.[0-9]{1,12})?", re.ASCII)
MOST_TRIED = 64
"""Keys of one format whose codes name no key: each is tried, at a twentieth of a millisecond."""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """Which keys may sign a format. The file of each signed format says it in `KEYS`, by name."""

    kinds: tuple[str, ...] = ()
    """Kinds of keys, where it does not have all: another one was pinned by mistake. Empty: all."""
    has_authorities: bool = False
    """Whether an authority may be pinned, whose own key signs certificates alone, and is of any kind."""
    weak: str = ""
    """A kind that nobody should use any more, and beside which this format has nothing better."""


@functools.cache
def key_uses() -> dict[str, KeyUse]:
    """What pinned keys may sign."""
    return {name: use for file in format_files() for name, use in getattr(file, "KEYS", {}).items()}


class BadTrustStore(ValueError):
    """A keys file that cannot be used; `str()` says which key and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class OpaqueIssuer:
    """An issuer whose codes say nothing by themselves: a pattern finds the id, a status list knows its colour."""

    issuer: str
    pattern: TextPattern
    """Matches the whole code; its group `id` is what the status list is keyed on."""
    adds: str = ""
    """`travel`: it joins a health code; empty: it is one."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """One pinned key."""

    issuer: str
    kid: bytes
    formats: frozenset[str]
    public: signing.PublicKey
    limits: Limits = NONE
    """What its certificate allows; a key that was pinned without one has no limits."""
    certificate: bytes = field(default=b"", repr=False)
    """DER, where it was pinned with one."""
    algorithm: int | None = None
    """COSE number, where its codes do not name one and the key alone does not tell."""

    def __post_init__(self) -> None:
        """Raise BadKey for a weak key, unless its formats have nothing better."""
        if not self.public.is_weak:
            return
        kind = self.public.name.split()[0]
        allowed = sorted(name for name, use in key_uses().items() if use.weak == kind)
        if not self.formats <= set(allowed):
            raise signing.BadKey(
                f"{self.public.name} is weak: it may sign {', '.join(allowed)} alone, as there is no better key"
            )


@dataclass(frozen=True, slots=True)
class TrustStore:
    """The keys, by key id. Immutable: a new one takes the place of the old."""

    keys: Mapping[bytes, tuple[TrustedKey, ...]] = field(default_factory=dict)
    """Several issuers may share an id by accident."""
    revoked: Mapping[tuple[bytes, str], float] = field(default_factory=dict)
    """SHC's own revocation: (key id, revocation id) → cards issued before that time; infinite for all."""

    opaque: tuple[OpaqueIssuer, ...] = ()
    lists: CodeLists = field(default_factory=CodeLists)
    ages: tuple[Age, ...] = ()
    """How old the lists and keys are, and how old they may become."""
    in_force: tuple[InForce, ...] = ()
    """Versions of the keys and of each list."""
    of_age_years: int = 18
    """From how many years on a holder counts as of age."""
    ages_apart: frozenset[str] = field(init=False, repr=False, compare=False)
    """Names of lists whose age concerns those only who show that code: travel records."""
    by_format: Mapping[str, tuple[TrustedKey, ...]] = field(init=False, repr=False, compare=False)
    list_files: tuple[ListFile, ...] = field(init=False, repr=False, compare=False)
    """Of all lists: bases and changes."""

    def __post_init__(self) -> None:
        """Sort the keys by what they may sign."""
        by_format: dict[str, tuple[TrustedKey, ...]] = {}
        for key in (key for keys in self.keys.values() for key in keys):
            for name in key.formats:
                by_format[name] = (*by_format.get(name, ()), key)
        object.__setattr__(self, "by_format", by_format)
        object.__setattr__(self, "list_files", tuple(file for each in self.lists for file in each.files))
        status = self.lists.status
        apart = (status[each.issuer].age.name for each in self.opaque if each.adds and each.issuer in status)
        object.__setattr__(self, "ages_apart", frozenset(apart))

    def revoked_before(self, kid: bytes, rid: str) -> float:
        """Cards with this revocation id are revoked if they were issued before this; POSIX seconds."""
        return self.revoked.get((kid, rid), 0.0)

    def pinned(self, code_format: str, kid: bytes) -> list[TrustedKey]:
        """The keys of that id that may sign codes of the format."""
        return [key for key in self.keys.get(kid, ()) if code_format in key.formats]

    def signer(self, code_format: str, kid: bytes, signature: bytes, signed: bytes, algorithm: int) -> TrustedKey:
        """The key whose signature this is. Raises CheckFailed when there is none."""
        missing = f"its key {kid[:16].hex() or '(unnamed)'} is not pinned here"
        return find_signer(
            self.pinned(code_format, kid), lambda key: key.public.verify(signature, signed, algorithm), missing
        )

    def signer_among(
        self, code_format: str, signature: bytes, signed: bytes, algorithm: int, issuer: str = ""
    ) -> TrustedKey:
        """As `signer`, for codes that name no key: each of the format, or of this issuer, is tried."""
        keys = [key for key in self.by_format.get(code_format, ()) if issuer in ("", key.issuer)]
        return find_signer(
            keys[:MOST_TRIED],
            lambda key: key.public.verify(signature, signed, algorithm),
            "no key of its issuer is pinned here",
        )


def find_signer(keys: Iterable[TrustedKey], has_signed: Callable[[TrustedKey], bool], missing: str) -> TrustedKey:
    """The first of the keys that has signed. Raises CheckFailed; `missing`: what to say without any key."""
    issuers = []
    for key in keys:
        if has_signed(key):
            return key
        issuers.append(key.issuer)
    if not issuers:
        raise CheckFailed(CodeStatus.UNKNOWN_ISSUER, missing)
    issuer = issuers[-1] if len(set(issuers)) == 1 else ""
    raise CheckFailed(CodeStatus.BAD_SIGNATURE, "the signature does not hold", issuer=issuer)


def parse_trust_store(keys: Iterable[TrustedKey]) -> TrustStore:
    """Trust in exactly these keys."""
    return TrustStore(_by_kid(keys))


def _by_kid(keys: Iterable[TrustedKey]) -> dict[bytes, tuple[TrustedKey, ...]]:
    by_kid: dict[bytes, tuple[TrustedKey, ...]] = {}
    for key in keys:
        by_kid[key.kid] = (*by_kid.get(key.kid, ()), key)
    return by_kid


def parse_keys(text: str, name: str) -> TrustStore:
    """Trust in the keys of a TOML text. Raises BadTrustStore."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadTrustStore(f"keys file {name}: not TOML: {error}") from None
    keys = _each(document.pop("key", []), _key, f"keys file {name}: key")
    opaque = _each(document.pop("opaque", []), _opaque, f"keys file {name}: opaque")
    revoked = _each(document.pop("revoked", []), _revoked, f"keys file {name}: revoked")
    version = document.pop("version", 1)
    if type(version) is not int or version < 1:
        raise BadTrustStore(f"keys file {name}: version = {version!r} is no number: 1, and higher with each change")
    if document:
        raise BadTrustStore(
            f"keys file {name}: only version, [[key]], [[revoked]] and [[opaque]] tables are expected"
        )
    return TrustStore(_by_kid(keys), _strictest(revoked), tuple(opaque))


def _each(entries: object, read: Callable[[Mapping[str, Any]], _T], where: str) -> list[_T]:
    """All entries, read. Raises BadTrustStore that says which one is wrong."""
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadTrustStore(f"{where}: a list of tables is expected")
    found = []
    for number, entry in enumerate(entries, 1):
        try:
            found.append(read(entry))
        except ValueError as error:
            raise BadTrustStore(f"{where} {number}: {error}") from None
    return found


def _revoked(entry: Mapping[str, Any]) -> dict[tuple[bytes, str], float]:
    """One [[revoked]] table. Raises ValueError with one phrase."""
    rids = entry.get("rids")
    if set(entry) != {"kid", "rids"} or not isinstance(rids, list) or not all(isinstance(rid, str) for rid in rids):
        raise ValueError("kid and a list of rids are needed, and nothing else")
    wrong = next((rid for rid in rids if not _RID.fullmatch(rid)), None)
    if wrong is not None:
        raise ValueError(f"{wrong[:40]!r} is no rid: no card has it; as in vwAjHdarZuc or vwAjHdarZuc.1687450765")
    return revocations([_hex(entry["kid"])], rids)


def revocations(kids: Iterable[bytes], rids: Iterable[str]) -> dict[tuple[bytes, str], float]:
    """`rid` revokes for good, `rid.seconds` the cards that were issued before then; for these keys."""
    limits = []
    for text in rids:
        rid, _, seconds = text.partition(".")
        limits.append({rid: float(seconds) if seconds.isdecimal() and seconds.isascii() else math.inf})
    return {(kid, rid): limit for kid in kids for rid, limit in _strictest(limits).items()}


def _strictest(revoked: Iterable[Mapping[_K, float]]) -> dict[_K, float]:
    """Of what is revoked more than once, the latest time counts, wherever it stands."""
    found: dict[_K, float] = {}
    for each in revoked:
        for key, limit in each.items():
            found[key] = max(limit, found.get(key, 0.0))
    return found


def _opaque(entry: Mapping[str, Any]) -> OpaqueIssuer:
    """One [[opaque]] table. Raises ValueError with one phrase."""
    issuer, pattern, adds = entry.get("issuer"), entry.get("pattern"), entry.get("adds", "")
    known = {"issuer", "pattern", "adds"}
    if set(entry) - known or not isinstance(issuer, str) or not isinstance(pattern, str):
        raise ValueError("issuer and pattern are needed; there may be adds, and nothing else")
    if adds not in ("", "travel"):
        raise ValueError(f'adds is "travel" or left out, not {adds!r}')
    try:
        compiled = TextPattern(pattern, ascii_only=True)
        groups = compiled.groups
    except ValueError as error:
        raise ValueError(f"pattern: {error}") from None
    if "id" not in groups:
        raise ValueError("the pattern needs a group (?P<id>…)")
    return OpaqueIssuer(issuer, compiled, adds)


def _key(entry: Mapping[str, Any]) -> TrustedKey:
    """One [[key]] table. Raises ValueError with one phrase."""
    unknown = set(entry) - {"issuer", "formats", "public", "certificate", "kid", "from", "until", "algorithm"}
    if unknown:
        raise ValueError(f"unknown setting {min(unknown)!r}")
    issuer, formats = entry.get("issuer"), entry.get("formats", ["gatepost"])
    if not isinstance(issuer, str) or not issuer or not issuer.isprintable():
        raise ValueError("issuer is missing, or not a name in print")
    issuer = issuer_name(issuer)
    known = sorted(key_uses())
    if not isinstance(formats, list) or not formats or not all(each in known for each in formats):
        raise ValueError(f"formats must be some of {', '.join(known)}")
    if ("public" in entry) == ("certificate" in entry):
        raise ValueError("give either public or certificate")
    der = _base64(entry.get("public", entry.get("certificate")))
    key = _public(der, formats, is_certificate="certificate" in entry)
    kid = _hex(entry["kid"]) if "kid" in entry else b""
    algorithm = _algorithm(entry)
    if "certificate" in entry:
        if "from" in entry or "until" in entry:
            raise ValueError("a certificate says itself from when until when it counts: leave out from and until")
        return replace(certified(der, formats, issuer=issuer, kid=kid), algorithm=algorithm)
    return TrustedKey(issuer, kid or short_hash(der), frozenset(formats), key, _days(entry), algorithm=algorithm)


def _public(der: bytes, formats: Iterable[str], *, is_certificate: bool) -> signing.PublicKey:
    """The key, of a kind that each of the formats has. Raises ValueError with one phrase."""
    key = signing.certificate_key(der) if is_certificate else signing.public_key(der)
    kind = key.name.split()[0]
    vouches = is_certificate and signing.is_authority(der)
    for name in formats:
        use = key_uses()[name]
        kinds = use.kinds
        if kinds and kind not in kinds and not (use.has_authorities and vouches):
            raise ValueError(f'this key is {kind}; keys of "{name}" are {" or ".join(kinds)}')
    return key


def _algorithm(entry: Mapping[str, Any]) -> int | None:
    """COSE number of the algorithm that is named. Raises ValueError with one phrase."""
    name = entry.get("algorithm")
    if name is None:
        return None
    if not isinstance(name, str) or name not in signing.NAMES:
        raise ValueError(f"algorithm = {name!r} must be one of {', '.join(signing.NAMES)}")
    return signing.NAMES[name]


def _days(entry: Mapping[str, Any]) -> Limits:
    """First and last day of a key that has no certificate, UTC. Raises ValueError with one phrase."""
    first, last = entry.get("from"), entry.get("until")
    if any(day is not None and type(day) is not date for day in (first, last)):
        raise ValueError("from and until are days, without quotes: until = 2027-12-31")
    starts = -math.inf if first is None else datetime.combine(first, time(), UTC).timestamp()
    ends = math.inf if last is None else datetime.combine(last, time(), UTC).timestamp() + 86_400
    if starts >= ends:
        raise ValueError(f"until = {last} is before from = {first}")
    return Limits(starts, ends)


def certified(
    der: bytes, formats: Iterable[str] | None = None, *, issuer: str = "", kid: bytes = b""
) -> TrustedKey:
    """The key of a certificate, within what the certificate allows; named by it unless `issuer` is given. Without
    `formats` it may sign all. Raises BadKey.
    """
    return TrustedKey(
        issuer or signing.certificate_name(der),
        kid or short_hash(der),
        frozenset(key_uses() if formats is None else formats),
        signing.certificate_key(der),
        signing.certificate_limits(der),
        der,
    )


def issuer_name(text: str) -> str:
    """The name of an issuer as its codes have it: an https address without the slash at its end, without the port
    that every https address has, and without the path at which its key set lies.
    """
    name = text.strip()
    if name.lower().startswith("https://"):
        host, slash, path = name[8:].partition("/")
        name = f"https://{host.lower().removesuffix(':443')}{slash}{path}".removesuffix(
            "/.well-known/jwks.json"
        ).rstrip("/")
    return name


def short_hash(der: bytes) -> bytes:
    """Key id of a key or certificate: as DCC has it, the first 8 bytes of SHA-256."""
    return sha256(der).digest()[:8]


def _base64(text: object) -> bytes:
    try:
        return b64decode(text if isinstance(text, str) else "!", validate=True)
    except binascii.Error:
        raise ValueError("public and certificate are base64 text") from None


def _hex(text: object) -> bytes:
    try:
        return bytes.fromhex(text if isinstance(text, str) else "!")
    except ValueError:
        raise ValueError("kid is hexadecimal text") from None
