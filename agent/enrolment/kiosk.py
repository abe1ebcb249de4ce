"""The kiosk's steps to an identity. Each replaces one file; a power cut repeats the last one.

| file | content | until |
|---|---|---|
| enrolment/key.pem | the kiosk's own key, made here | it has an identity |
| enrolment/invitation | what it was shown | it has an identity |
| broker-ca.pem | the authority behind the broker | |
| bundles/ | the root, the first bundles | |
| client.pem | key and certificate (`[mqtt] renewed_cert_file`) | renewed |
| identity.toml | names, broker, first settings; `agent.toml` goes before it | |

`identity.toml` is written last: with it the kiosk is a member, without it every step is repeated.
"""

from __future__ import annotations

import os
import shutil
import tomllib
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agent.config import KioskOptions
from agent.config.overlay import laid_over
from agent.config.toml_text import toml_text
from agent.credentials import bundle
from agent.credentials.bundle import BadBundle
from agent.enrolment import certificates, exchange, invitation
from agent.enrolment.certificates import BadCertificate
from agent.enrolment.exchange import Answer
from agent.enrolment.invitation import BadInvitation, Invitation
from agent.model import ClockState, TimeBounds
from agent.mqtt.client_certificate import forget_renewal
from agent.mqtt.options import is_host
from agent.platform.files import MOST_TEXT_BYTES, read_bytes, read_text, replace_file, sync_folder
from agent.ruleset.bundle_store import BundleStore

if TYPE_CHECKING:
    from pathlib import Path

    from agent.credentials.bundle import Root

_SECRET = 0o600
_ANY_TIME = TimeBounds(0.0, 4e9, ClockState.FLOOR)
"""A new kiosk's clock may be anywhere: what is dated is the authority's to judge."""
IDENTITY = "identity.toml"


class EnrolmentError(Exception):
    """An answer that is not taken; `str()` says why. What was there stays."""


class Enrolment:
    """Of one kiosk; `folder` is where the agent keeps what it writes."""

    def __init__(self, folder: Path, renewed_cert_file: Path | None = None) -> None:
        self._folder = folder
        self._pair_file = renewed_cert_file or folder / "client.pem"
        self._work = folder / "enrolment"
        self.identity = folder / IDENTITY
        """There is one when the kiosk is a member."""

    # -- what it was shown

    def follow(self, data: bytes) -> Invitation:
        """Keep an invitation. Raises BadInvitation, OSError."""
        found = invitation.unverified(data)
        _make(self._work)
        if self.shown() != data.strip():
            replace_file(self._work / "invitation", (data.strip(),), _SECRET)
        return found

    def invitation(self) -> Invitation | None:
        """The one that was shown last; None before that."""
        data = self.shown()
        try:
            return invitation.unverified(data) if data else None
        except BadInvitation:
            return None

    def shown(self) -> bytes:
        """The invitation that was kept last, as it was shown; empty before that."""
        try:
            return read_bytes(self._work / "invitation", MOST_TEXT_BYTES)
        except OSError:
            return b""

    # -- the request

    def key(self) -> str:
        """The kiosk's own key, made once. Raises OSError."""
        path = self._work / "key.pem"
        kept = _text(path)
        try:
            certificates.fingerprint_of_key(kept)
        except BadCertificate:
            _make(self._work)
            kept = certificates.new_key()
            replace_file(path, (kept.encode(),), _SECRET)
        return kept

    @property
    def fingerprint(self) -> str:
        """Of the key. Raises OSError."""
        return certificates.fingerprint_of_key(self.key())

    def request(self, release: str, serial: str) -> bytes:
        """What to send: the same until the key or the invitation changes. Raises OSError, BadInvitation without an
        invitation.
        """
        invited = self.invitation()
        if invited is None:
            raise BadInvitation("no invitation was shown yet")
        path, key = self._work / "request.pem", self.key()
        csr = _text(path)
        if not _is_request_for(csr, key):
            csr = certificates.request_for(key, f"{invited.site}/{invited.kiosk or 'new'}")
            replace_file(path, (csr.encode(),), _SECRET)
        return exchange.request(csr, invited.token, invited.id, release, serial)

    # -- the answer

    def install(self, found: Answer) -> None:
        """Take what was issued, step by step. Raises EnrolmentError, OSError."""
        invited = self.invitation()
        if invited is None:
            raise EnrolmentError("no invitation was shown yet")
        root = self._demand(found, invited)
        settings = self._settings(found, invited)
        _make(self._folder)
        if self.identity.exists():  # it enrols again: a member of neither, until all is of the new one
            self.identity.unlink()
            sync_folder(self._folder)
        if found.broker_ca:
            replace_file(self._folder / "broker-ca.pem", (found.broker_ca.encode(),))
        self._install_bundles(found, root)
        forget_renewal(self._pair_file)
        replace_file(self._pair_file, (self.key().encode(), found.certificate.encode()), _SECRET)
        replace_file(self.identity, (settings.encode(),), _SECRET)
        shutil.rmtree(self._work, ignore_errors=True)

    def finish(self) -> None:
        """Remove what an enrolment that was cut off at its very end left. Raises OSError."""
        if self.identity.exists() and self._work.exists():
            shutil.rmtree(self._work)

    def _demand(self, found: Answer, invited: Invitation) -> Root:
        """Everything in an answer must fit what was invited, and our key. Raises EnrolmentError."""
        try:
            about = certificates.about(found.certificate)
            if about.fingerprint != self.fingerprint:
                raise EnrolmentError("the certificate is for another key")
            if found.broker_ca:
                certificates.load(found.broker_ca)
        except BadCertificate as error:
            raise EnrolmentError(str(error)) from None
        wanted = f"{invited.site}/{invited.kiosk}" if invited.kiosk else f"{found.site}/{found.kiosk}"
        if {about.name, f"{found.site}/{found.kiosk}"} != {wanted} or found.site != invited.site:
            raise EnrolmentError(f"it is for {about.name}, and {wanted} was invited")
        data = found.root.encode()
        if sha256(data).digest() != invited.root:
            raise EnrolmentError("its root is not the one that was invited")
        try:
            root = bundle.first_root(data)
            bundle.verify_statement(self.shown(), root, "enrol", _ANY_TIME)
        except BadBundle as error:
            raise EnrolmentError(f"the root does not stand by the invitation: {error}") from None
        if root.bundle.fleet != invited.fleet:
            raise EnrolmentError(f"its root is of the fleet {root.bundle.fleet}, not {invited.fleet}")
        if not 0 < found.port < 1 << 16 or not is_host(found.host):
            raise EnrolmentError("it names no broker")
        return root

    def _install_bundles(self, found: Answer, root: Root) -> None:
        folder = self._folder / "bundles"
        store = BundleStore(folder)
        try:
            if store.root().bundle.fleet != root.bundle.fleet:
                shutil.rmtree(folder)  # of another fleet, which this kiosk leaves
        except BadBundle:
            shutil.rmtree(folder)
        except OSError:
            pass
        _make(folder)
        targets = _targets(found)
        try:
            store.install(found.root.encode())
        except FileExistsError:
            pass
        except BadBundle as error:
            raise EnrolmentError(str(error)) from None
        for text in found.bundles:
            try:
                store.accept(text.encode(), _ANY_TIME, targets)
            except BadBundle:
                continue  # the retained copies come with the first connection

    def _settings(self, found: Answer, invited: Invitation) -> str:
        """The text of identity.toml."""
        try:
            first: dict[str, Any] = tomllib.loads(found.config)
        except ValueError as error:
            raise EnrolmentError(f"its settings are no TOML: {error}") from None
        mqtt: dict[str, Any] = {"host": found.host, "port": found.port}
        if invited.pins or found.broker_ca:
            mqtt |= {"tls": True, "renewed_cert_file": str(self._pair_file)}
        if found.broker_ca:  # else the system's authorities are meant
            mqtt["ca_file"] = str(self._folder / "broker-ca.pem")
        own: dict[str, Any] = {
            "kiosk": {"site": found.site, "id": found.kiosk},
            "mqtt": mqtt,
            "codes": {"bundles": str(self._folder / "bundles")},
        }
        return "# Written by the enrolment of this kiosk. agent.toml goes before it.\n" + toml_text(
            laid_over(first, own)
        )


def _targets(found: Answer) -> tuple[str, ...]:
    """Whom a first bundle may be for; one for a group that only the kiosk's own file names comes again with the
    first connection. Raises EnrolmentError.
    """
    try:
        groups = tomllib.loads(found.config).get("kiosk", {}).get("groups", [])
        return KioskOptions(found.kiosk, found.site, tuple(map(str, groups))).targets
    except (AttributeError, TypeError, ValueError) as error:
        raise EnrolmentError(f"its settings cannot be used: {error}") from None


def _make(folder: Path) -> None:
    """Make a folder of the service's own: what root makes belongs to the owner of the folder above."""
    if folder.is_dir():
        return
    folder.mkdir(mode=0o700, parents=True)
    if os.geteuid() == 0:
        owner = folder.parent.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)


def _text(path: Path) -> str:
    """What a file of ours holds; empty when it cannot be read."""
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError):
        return ""


def _is_request_for(csr: str, key: str) -> bool:
    """Whether a kept request is of this key."""
    try:
        return certificates.fingerprint_of_request(csr) == certificates.fingerprint_of_key(key)
    except BadCertificate:
        return False
