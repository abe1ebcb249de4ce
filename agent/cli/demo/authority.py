"""The demonstration's own central server: a root, and bundles and commands that a kiosk under this root obeys."""

from __future__ import annotations

import time
from base64 import b64encode
from typing import TYPE_CHECKING

from agent.cli.command import members_of
from agent.credentials import bundle, lists
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.ruleset import load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.model import Colour

_DAY_S = 86_400


class DemoAuthority:
    """Signs with one key, which holds every role."""

    def __init__(self, fleet: str = "demo") -> None:
        self._fleet = fleet
        self._key = signing.new_private_key()
        self._versions = 0

    def pem(self) -> bytes:
        """The private key, for programs that sign by themselves."""
        return self._key.pem()

    def root(self) -> bytes:
        """The first root, for `install`."""
        public = self._key.public
        role = {"threshold": 1, "keyids": [public.kid.hex()]}
        content = {
            "keys": {public.kid.hex(): b64encode(public.spki).decode()},
            "roles": dict.fromkeys((*bundle.TYPES, *bundle.STATEMENT_TYPES), role),
        }
        return self.bundle("root", content, version=1)

    def install(self, folder: Path) -> None:
        """Put the first root into a kiosk's folder of bundles."""
        load.BundleStore(folder).install(self.root())

    def bundle(self, kind: str, content: object, name: str = "", version: int = 0) -> bytes:
        """A bundle of today; its version is one more than the one before, unless it is given."""
        self._versions = version or self._versions + 1
        now = int(time.time())
        signed = {
            "type": kind,
            "name": name,
            "fleet": self._fleet,
            "version": self._versions,
            "issued_at": now,
            "expires_at": now + 30 * _DAY_S,
            "warn_age_s": _DAY_S,
            "max_age_s": 3 * _DAY_S,
            "content": content,
        }
        return bundle.sign(signed, [self._key])

    def empty_list(self, file: Path, issuer: str) -> None:
        """A status list of nobody, as the base that changes are signed on."""
        head = lists.ListHeader("status", issuer, 1, time.time(), warn_age_s=_DAY_S, max_age_s=3 * _DAY_S)
        load.write_list(file, head, b"", b"")

    def colours(self, file: Path, issuer: str, holders: Mapping[str, Colour]) -> bytes:
        """A bundle that gives these holders of Gatepost codes other colours than their codes say."""
        base = load.open_list(file).base.head
        changes = {gatepost.subject_key(issuer, holder): lists.VALUES[colour] for holder, colour in holders.items()}
        return self.bundle("list", load.word_content(base, changes), file.stem)

    def command(self, target: str, command: str, **arguments: str) -> bytes:
        """A fresh command."""
        return bundle.sign(members_of(command, arguments, target=target, fleet=self._fleet), [self._key], "command")
