"""The authority for kiosks: invites, issues, remembers, revokes. Its memory is a folder of small files.

| file | content |
|---|---|
| authority.json | fleet, root, broker, days of a certificate; paths start from the folder |
| ca.pem, ca.key | the authority's certificate and key, where it signs itself |
| invitations/ID.json | names, token, end, who has used it |
| kiosks/SITE/KIOSK.json | what was issued to a kiosk |
| programs/NAME.json | what was made for a program of yours |
| pending/FINGERPRINT.json | who asks without a token, and what a person has said |
| revoked.crl | for the broker's `crlfile` |

Each file is replaced whole. An invitation is marked as used before the certificate is made, with the key that used
it: a request that is repeated gets its own certificate again, and no other key gets any.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import secrets
import subprocess
from base64 import b64decode
from binascii import Error as BadBase64
from dataclasses import asdict, dataclass, field, replace
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from agent.credentials import bundle
from agent.enrolment import certificates, exchange, invitation
from agent.enrolment.certificates import BadCertificate
from agent.enrolment.exchange import Answer, CertificateRequest
from agent.enrolment.invitation import Invitation
from agent.model import ClockState, TimeBounds
from agent.model.bounds import NAME
from agent.platform.files import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agent.crypto.signing import PrivateKey

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger(__name__)

_SECRET = 0o600
_NAME = re.compile(NAME)
_ID = re.compile(r"[0-9a-f]{32}")
_DAY_S = 86_400
_SIGN_S = 60.0
MOST_PENDING = 1000
"""Strangers may ask; they must not fill the disk. The oldest that nobody has answered gives way: it asks again."""
MOST_CERTIFICATES = 12
"""Valid ones of one kiosk: one that asks again and again must not fill the disk either."""


class AuthorityError(Exception):
    """What was asked of the authority cannot be done; `str()` is one sentence."""


@dataclass(frozen=True, slots=True)
class AuthoritySettings:
    """authority.json."""

    fleet: str
    host: str
    port: int
    pins: tuple[str, ...]
    """SHA-256 of the broker's public key, base64url."""
    root: str
    """Path of the root bundle."""
    broker_ca: str = ""
    """Path of the PEM of the authority behind the broker, for kiosks to check it with; empty: the system's."""
    enrol_port: int = 0
    """Where the broker takes those without a certificate; 0: `port`."""
    days: int = 90
    sign_command: tuple[str, ...] = ()
    """A program of another authority: request (PEM) by its input, certificate by its output, {name} and {days} in
    its words. Empty: ca.key signs."""
    bundles: tuple[str, ...] = ()
    """Paths of first bundles."""
    fleet_folder: str = ""
    """Where `gatepost config render` wrote; empty: kiosks bring their settings."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One that was issued."""

    serial: int
    not_after_utc: float
    pem: str
    revoked_utc: float = 0.0


@dataclass(frozen=True, slots=True)
class EnrolledKiosk:
    """What was issued to one name; by the key's fingerprint."""

    site: str
    """Empty for a program of yours."""
    kiosk: str
    issued: dict[str, Certificate] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the certificate says."""
        return f"{self.site}/{self.kiosk}" if self.site else self.kiosk


@dataclass(frozen=True, slots=True)
class Pending:
    """Somebody who asks without a token."""

    fingerprint: str
    csr: str
    release: str
    serial: str
    at_utc: float
    approved: str = ""
    """SITE/KIOSK that a person has given him."""
    rejected: bool = False


def _alone(action: Callable[Concatenate[Authority, P], R]) -> Callable[Concatenate[Authority, P], R]:
    """One at a time, in all processes: `serve` issues while a person revokes, and neither may undo the other.

    The folder itself is locked: a file of root's would lock out a `serve` that runs as another user.
    """

    @wraps(action)
    def locked(self: Authority, /, *words: P.args, **named: P.kwargs) -> R:
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            return action(self, *words, **named)
        finally:
            os.close(folder)

    return locked


class _UnsignedError(Exception):
    """A certificate for this name is to be signed, and then all to be decided once more."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class _DatedRequest:
    """A request, and when it came."""

    asked: CertificateRequest
    fingerprint: str
    """Of its key."""
    now_utc: float
    pem: str = ""
    """The certificate, signed, which counts if all still holds; empty: none is signed yet."""


class Authority:
    """One folder."""

    def __init__(self, folder: Path) -> None:
        """Raises AuthorityError when there is no authority in it."""
        self.folder = folder
        try:
            plain = json.loads((folder / "authority.json").read_text())
            lists = {name: tuple(plain.get(name, ())) for name in ("pins", "sign_command", "bundles")}
            self.settings = AuthoritySettings(**{**plain, **lists})
        except FileNotFoundError:
            raise AuthorityError(f"there is no authority in {folder}: gatepost authority new makes one") from None
        except (OSError, ValueError, TypeError) as error:
            raise AuthorityError(f"{folder / 'authority.json'} cannot be used: {error}") from None

    # -- what people ask for

    @_alone
    def change_settings(self, settings: AuthoritySettings) -> None:
        """Work by these from now on. Raises OSError."""
        self.settings = settings
        _write_settings(self.folder, settings)

    @_alone
    def invite(
        self, site: str, kiosk: str, days: int, keys: list[PrivateKey], now_utc: float
    ) -> tuple[Invitation, bytes]:
        """A new invitation and its signed envelope; without a kiosk's name a person is to confirm. Raises
        AuthorityError, OSError.
        """
        if not _NAME.fullmatch(site) or (kiosk and not _NAME.fullmatch(kiosk)):
            raise AuthorityError(
                f"{site}/{kiosk} is no name: letters, digits, `.`, `_`, `-`, for example east-gate/k01"
            )
        if not 1 <= days <= invitation.MAX_DAYS:
            raise AuthorityError(f"an invitation is valid for 1 to {invitation.MAX_DAYS} days, not {days}")
        settings = self.settings
        if not kiosk and not settings.pins:
            raise AuthorityError(
                "without a token the broker's key must tell who answers, and this authority knows none: "
                f"name a kiosk, for example {site}/k01, or make the authority with --broker-cert"
            )
        made = Invitation(
            settings.fleet, self._root_hash(), tuple(map(invitation.decoded, settings.pins)), settings.host,
            settings.enrol_port or settings.port, site, kiosk,
            secrets.token_bytes(invitation.TOKEN_BYTES) if kiosk else b"", int(now_utc) + days * _DAY_S,
        )  # fmt: skip
        envelope = bundle.sign(invitation.members(made), keys, "enrol")
        self._demand_counts(envelope, now_utc)
        if kiosk:
            self._write(self._invitation(made.id), {**invitation.members(made), "used": "", "revoked": False})
        return made, envelope

    def _demand_counts(self, envelope: bytes, now_utc: float) -> None:
        """A kiosk would find no way to believe what other keys have signed. Raises AuthorityError, OSError."""
        try:
            root = bundle.first_root((self.folder / self.settings.root).read_bytes())
            bundle.verify_statement(envelope, root, "enrol", TimeBounds(now_utc, now_utc, ClockState.SYNCED))
        except bundle.BadBundle as error:
            raise AuthorityError(
                f"{error}: invitations are signed by the keys of the role enrol in {self.settings.root}"
            ) from None

    @_alone
    def certificate(self, name: str, now_utc: float) -> tuple[str, str]:
        """A key and a certificate for a program of yours, PEM. Raises AuthorityError, BadCertificate."""
        if not _NAME.fullmatch(name):
            raise AuthorityError(
                f"{name!r} is no name of a program: up to 64 letters, digits and . _ -, for example server"
            )
        key = certificates.new_key()
        pem = self._sign(certificates.request_for(key, name), name, now_utc)
        about = certificates.about(pem)
        known = self.kiosk("", name) or EnrolledKiosk("", name)
        made = {about.fingerprint: Certificate(about.serial, about.not_after_utc, pem)}
        self._save(replace(known, issued=known.issued | made))
        return key, pem

    def renewed_pair(self, certificate: str, now_utc: float) -> tuple[str, str] | None:
        """A new key and certificate for the program that has this one, PEM; None unless it was made here, is not
        revoked and ends soon. Raises BadCertificate, OSError.
        """
        about = certificates.about(certificate)
        known = self.kiosk("", about.name)
        mine = None if known is None else known.issued.get(about.fingerprint)
        if mine is None or mine.revoked_utc or not certificates.is_due(certificate, now_utc):
            return None
        return self.certificate(about.name, now_utc)

    @_alone
    def approve(self, said: str, name: str) -> Pending:
        """Give a pending key a name; `said`: the signs it shows, or its fingerprint. Raises AuthorityError."""
        site, _, kiosk = name.partition("/")
        if name and not (_NAME.fullmatch(site) and _NAME.fullmatch(kiosk)):
            raise AuthorityError(f"{name} is no name of a kiosk, for example east-gate/k01")
        known = self.kiosk(site, kiosk) or EnrolledKiosk(site, kiosk)
        valid = {key for key, each in known.issued.items() if not each.revoked_utc}
        found = [each for each in self.pending() if certificates.is_spoken(said, each.fingerprint)]
        if len(found) != 1:
            raise AuthorityError(
                f"{len(found)} kiosks that wait show {said}: gatepost authority list shows who waits"
            )
        if valid - {found[0].fingerprint}:
            raise AuthorityError(
                f"{name} is a member already: choose another name, or first: gatepost authority revoke {name}"
            )
        decided = replace(found[0], approved=name, rejected=not name)
        self._write(self._pending(decided.fingerprint), asdict(decided))
        return decided

    @_alone
    def revoke(self, name: str, now_utc: float) -> int:
        """Take back all of a kiosk's certificates, invitations and approvals, or all of a program's; how many
        certificates. Raises AuthorityError, OSError.
        """
        site, kiosk = name.split("/", 1) if "/" in name else ("", name)
        known = self.kiosk(site, kiosk)
        open_ = [path for path, plain in self._invitations() if (plain["site"], plain["kiosk"]) == (site, kiosk)]
        approved = [each for each in self.pending() if each.approved == name]
        if known is None and not (open_ or approved):
            raise AuthorityError(f"nothing was issued to {name}, and nobody invited by that name")
        for path in open_:
            self._write(path, {**_read(path), "revoked": True})
        for each in approved:
            self._write(self._pending(each.fingerprint), asdict(replace(each, rejected=True)))
        return self._revoke(known, now_utc) if known is not None else 0

    def _revoke(self, known: EnrolledKiosk, now_utc: float) -> int:
        issued = _revoke_all(known.issued, now_utc)
        changed = sum(issued[key] != each for key, each in known.issued.items())
        if changed:
            self._save(replace(known, issued=issued))
            self._write_revocations(now_utc)
        return changed

    @_alone
    def write_revocations(self, now_utc: float) -> Path | None:
        """Write revoked.crl again; None where another authority signs. Raises OSError."""
        return self._write_revocations(now_utc)

    def _write_revocations(self, now_utc: float) -> Path | None:
        if self.settings.sign_command:
            return None
        serials = {
            each.serial: each.revoked_utc
            for known in (*self.kiosks(), *self.programs())
            for each in known.issued.values()
            if each.revoked_utc
        }
        path = self.folder / "revoked.crl"
        replace_file(path, (certificates.revocations(serials, self._authority(), now_utc).encode(),))
        return path

    def kiosks(self) -> Iterator[EnrolledKiosk]:
        """All to whom anything was issued, by name."""
        for path in sorted(self.folder.glob("kiosks/*/*.json")):
            found = self.kiosk(path.parent.name, path.stem)
            if found is not None:
                yield found

    def programs(self) -> Iterator[EnrolledKiosk]:
        """Your programs, by name."""
        for path in sorted(self.folder.glob("programs/*.json")):
            found = self.kiosk("", path.stem)
            if found is not None:
                yield found

    def kiosk(self, site: str, kiosk: str) -> EnrolledKiosk | None:
        """What was issued to a name; `site` is empty for a program of yours."""
        if (site and not _NAME.fullmatch(site)) or not _NAME.fullmatch(kiosk):
            return None
        try:
            plain = _read(self._place(site, kiosk))
        except FileNotFoundError:
            return None
        issued = {key: Certificate(**each) for key, each in plain["issued"].items()}
        return EnrolledKiosk(plain["site"], plain["kiosk"], issued)

    def pending(self) -> Iterator[Pending]:
        """Those who ask without a token."""
        for path in sorted(self.folder.glob("pending/*.json")):
            yield Pending(**_read(path))

    def invitations(self) -> Iterator[dict[str, Any]]:
        """All that were made, without their tokens."""
        for _, plain in self._invitations():
            yield {key: value for key, value in plain.items() if key != "token"}

    # -- what kiosks ask for

    def handle(self, data: bytes, now_utc: float) -> tuple[str, bytes] | None:
        """(fingerprint of the key that asks, answer); None for what gets no answer. Never raises: a file that is
        damaged, or a disk that is full, is logged, and fails the one who asks.

        Another authority's program signs while nothing is locked: nobody who revokes meanwhile waits for it. Then
        all is decided once more, and what was revoked meanwhile gets no certificate.
        """
        try:
            asked = exchange.parse_request(data)
            fingerprint = certificates.fingerprint_of_request(asked.csr)
        except (exchange.BadExchange, BadCertificate):
            return None
        case = _DatedRequest(asked, fingerprint, now_utc)
        try:
            try:
                found, token = self._decide(case)
            except _UnsignedError as unsigned:
                pem = self._sign(asked.csr, unsigned.name, now_utc)
                found, token = self._decide(replace(case, pem=pem))
        except (OSError, ValueError, TypeError, KeyError, BadCertificate, subprocess.SubprocessError) as error:
            log.warning(
                "%s asks, and what is known here cannot be used: %s", certificates.spoken(fingerprint), error
            )
            found, token = Answer("refused", "authority_failed"), self._token(asked.id)
        return fingerprint, exchange.answer(found, data, token)

    @_alone
    def _decide(self, case: _DatedRequest) -> tuple[Answer, bytes]:
        """The answer, and the token that proves it. Raises _UnsignedError when a certificate is to be signed first;
        OSError; ValueError, TypeError, KeyError for a damaged file.
        """
        if case.asked.certificate:
            return self._renew(case), b""
        if case.asked.id:
            return self._enrol(case)
        return self._wait(case), b""

    def _enrol(self, case: _DatedRequest) -> tuple[Answer, bytes]:
        asked = case.asked
        path = self._invitation(asked.id) if _ID.fullmatch(asked.id) else None
        try:
            plain = {} if path is None else _read(path)
        except FileNotFoundError:
            plain = {}
        if path is None or not plain:
            return Answer("refused", "unknown_invitation"), b""
        used = plain["used"]
        found = _parsed(plain)
        if not exchange.holds_token(asked, found.token):
            return Answer("refused", "bad_proof"), found.token
        if reason := _why_not(plain, found, case.fingerprint, self._root_hash(), case.now_utc):
            return Answer("refused", reason), found.token
        if not used:
            self._write(path, {**plain, "used": case.fingerprint})
        return self._issue(case, found.site, found.kiosk), found.token

    def _token(self, id_: str) -> bytes:
        """By which the kiosk knows who refuses it, though something failed; empty when that cannot be read either.
        Not checked against the request: it proves our own word.
        """
        try:
            return _parsed(_read(self._invitation(id_))).token if _ID.fullmatch(id_) else b""
        except (OSError, ValueError, TypeError, KeyError):
            return b""

    def _renew(self, case: _DatedRequest) -> Answer:
        asked = case.asked
        try:
            present = certificates.about(asked.certificate)
            site, _, kiosk = present.name.partition("/")
            known = self.kiosk(site, kiosk)
            mine = None if known is None else known.issued.get(present.fingerprint)
            if known is None or mine is None or mine.serial != present.serial:
                return Answer("refused", "not_ours")
            if not self.settings.sign_command:
                certificates.demand_issued_by(asked.certificate, self._authority()[1])
            message = exchange.renewal_message(asked.csr)
            certificates.demand_signed(asked.certificate, b64decode(asked.proof), message)
        except (BadCertificate, BadBase64, ValueError):
            return Answer("refused", "bad_proof")
        if mine.revoked_utc:
            return Answer("refused", "revoked")
        if present.not_after_utc < case.now_utc:
            return Answer("refused", "expired")
        return self._issue(case, site, kiosk, renewed=True)

    def _wait(self, case: _DatedRequest) -> Answer:
        asked, path = case.asked, self._pending(case.fingerprint)
        try:
            found = Pending(**_read(path))
        except FileNotFoundError:
            self._make_room()
            waiting = Pending(case.fingerprint, asked.csr, asked.release, asked.serial, case.now_utc)
            self._write(path, asdict(waiting))
            return Answer("pending")
        if found.rejected:
            return Answer("refused", "revoked")
        if not found.approved:
            return Answer("pending")
        site, _, kiosk = found.approved.partition("/")
        return self._issue(case, site, kiosk)

    def _make_room(self) -> None:
        """For one more who waits. Files are read only when there are many: a stranger's request must be cheap."""
        if sum(1 for _ in self.folder.glob("pending/*.json")) < MOST_PENDING:
            return
        undecided = [each for each in self.pending() if not (each.approved or each.rejected)]
        if len(undecided) >= MOST_PENDING:
            oldest = min(undecided, key=lambda each: each.at_utc)
            self._pending(oldest.fingerprint).unlink(missing_ok=True)

    def _issue(self, case: _DatedRequest, site: str, kiosk: str, *, renewed: bool = False) -> Answer:
        """The certificate for this key, made once. A new key for an old name revokes what the name had before; that
        key, when it asks again, revokes nothing: it may be an old request, and the kiosk has renewed since. Raises
        _UnsignedError when it is to be signed first.
        """
        known = self.kiosk(site, kiosk) or EnrolledKiosk(site, kiosk)
        fingerprint, now_utc = case.fingerprint, case.now_utc
        certificate = known.issued.get(fingerprint)
        if certificate is not None and certificate.revoked_utc:
            return Answer("refused", "revoked")
        has_ended = certificate is not None and certificate.not_after_utc < now_utc
        if has_ended and not renewed:
            return Answer("refused", "expired")
        if certificate is None or has_ended:
            valid = sum(not each.revoked_utc and each.not_after_utc > now_utc for each in known.issued.values())
            if renewed and valid >= MOST_CERTIFICATES:
                return Answer("refused", "too_many")
            if not case.pem:
                raise _UnsignedError(known.name)
            found = certificates.about(case.pem)
            if found.fingerprint != fingerprint or found.name != known.name:
                log.warning("the certificate that was signed for %s is of another key or name", known.name)
                return Answer("refused", "authority_failed")
            certificate = Certificate(found.serial, found.not_after_utc, case.pem)
            before = known.issued if renewed else _revoke_all(known.issued, now_utc)
            self._save(replace(known, issued={**before, fingerprint: certificate}))
        if renewed:
            return Answer("issued", certificate=certificate.pem)
        if known.issued.keys() - {fingerprint}:
            self._write_revocations(now_utc)
        return self._welcome(known, certificate.pem)

    def _welcome(self, known: EnrolledKiosk, pem: str) -> Answer:
        settings, folder = self.settings, self.folder
        table = folder / settings.fleet_folder / known.site / known.kiosk / "agent.toml"
        return Answer(
            "issued", "", pem, (folder / settings.broker_ca).read_text() if settings.broker_ca else "",
            (folder / settings.root).read_text(), tuple((folder / path).read_text() for path in settings.bundles),
            known.site, known.kiosk, settings.host, settings.port,
            table.read_text() if settings.fleet_folder and table.exists() else "",
        )  # fmt: skip

    def _sign(self, csr: str, name: str, now_utc: float) -> str:
        settings = self.settings
        if not settings.sign_command:
            return certificates.issue(csr, name, self._authority(), settings.days, now_utc)
        words = [
            word.replace("{name}", name).replace("{days}", str(settings.days)) for word in settings.sign_command
        ]
        done = subprocess.run(  # noqa: S603 - the owner's own words; names are of letters and digits
            words, input=csr, capture_output=True, text=True, errors="backslashreplace", check=True, timeout=_SIGN_S
        )
        return done.stdout

    # -- files

    def _root_hash(self) -> bytes:
        return sha256((self.folder / self.settings.root).read_bytes()).digest()

    def _authority(self) -> tuple[str, str]:
        return (self.folder / "ca.key").read_text(), (self.folder / "ca.pem").read_text()

    def _invitations(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for path in sorted(self.folder.glob("invitations/*.json")):
            yield path, _read(path)

    def _invitation(self, id_: str) -> Path:
        return self.folder / "invitations" / f"{id_}.json"

    def _pending(self, fingerprint: str) -> Path:
        return self.folder / "pending" / f"{fingerprint}.json"

    def _save(self, known: EnrolledKiosk) -> None:
        self._write(self._place(known.site, known.kiosk), asdict(known))

    def _place(self, site: str, kiosk: str) -> Path:
        return self.folder / (f"kiosks/{site}" if site else "programs") / f"{kiosk}.json"

    def _write(self, path: Path, plain: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, (json.dumps(plain, indent=1).encode(),), _SECRET)


def create(folder: Path, settings: AuthoritySettings, now_utc: float) -> None:
    """Make an authority, with a key of its own unless another signs. Raises AuthorityError when there is one."""
    if (folder / "authority.json").exists():
        raise AuthorityError(f"there is an authority in {folder} already")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not settings.sign_command:
        key, certificate = certificates.new_authority(f"{settings.fleet} kiosks", 3650, now_utc)
        replace_file(folder / "ca.key", (key.encode(),), _SECRET)
        replace_file(folder / "ca.pem", (certificate.encode(),))
    _write_settings(folder, settings)


def _write_settings(folder: Path, settings: AuthoritySettings) -> None:
    replace_file(folder / "authority.json", (json.dumps(asdict(settings), indent=1).encode(),), _SECRET)


def _revoke_all(issued: Mapping[str, Certificate], now_utc: float) -> dict[str, Certificate]:
    """With all that were not revoked before revoked now."""
    return {key: each if each.revoked_utc else replace(each, revoked_utc=now_utc) for key, each in issued.items()}


def _parsed(plain: Mapping[str, Any]) -> Invitation:
    """What was made, of a file of it. Raises ValueError, TypeError, KeyError."""
    return invitation.parse({key: value for key, value in plain.items() if key not in ("used", "revoked")})


def _why_not(plain: dict[str, Any], found: Invitation, fingerprint: str, root: bytes, now_utc: float) -> str:
    """Why an invitation does not count for this key; empty when it does."""
    if plain["revoked"]:
        return "revoked"
    if plain["used"]:
        return "" if plain["used"] == fingerprint else "used"
    if found.expires_utc < now_utc:
        return "expired"
    return "" if found.root == root else "root_changed"


def _read(path: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(path.read_text())
    return plain
