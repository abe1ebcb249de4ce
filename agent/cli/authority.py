"""`gatepost authority`: certificates for kiosks: invite, answer, confirm, list, revoke.

gatepost authority new --fleet city --root root.bundle --broker broker.example:8883 --broker-cert broker.crt
gatepost authority invite east-gate/k01 --key enrol.key --png k01.png
gatepost authority serve --cert authority.crt --cert-key authority.key
gatepost authority list
gatepost authority approve K7PX-2M9Q-H4TB east-gate/k02
gatepost authority revoke east-gate/k01
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import segno

from agent.cli import broker_login, given
from agent.cli.help import number
from agent.cli.key_files import server_key
from agent.credentials import bundle
from agent.crypto import signing
from agent.enrolment import authority, certificates, exchange_mqtt, invitation
from agent.enrolment.authority import Authority, AuthorityError, AuthoritySettings
from agent.enrolment.certificates import BadCertificate
from agent.enrolment.exchange_mqtt import ExchangeFailed
from agent.mqtt.options import broker_address
from agent.platform.files import replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence

_BROKER_CERT: dict[str, Any] = {
    "type": Path,
    "action": "append",
    "default": [],
    "help": "the broker's certificate, PEM: its key is pinned; again for the one that will follow it",
}
_SECRET = 0o600
_AGAIN_S = 5.0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `authority`."""
    parser = subparsers.add_parser("authority", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("authority"), help="its folder (default: authority)")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="make an authority")
    new.add_argument("--fleet", required=True, help="as in the root")
    new.add_argument("--root", type=Path, required=True, help="the root bundle; its role `enrol` signs invitations")
    new.add_argument("--broker", required=True, help="HOST or HOST:PORT, as kiosks reach it")
    new.add_argument("--broker-cert", **_BROKER_CERT)
    new.add_argument("--broker-ca", type=Path, help="PEM of the authority behind it, for kiosks")
    new.add_argument(
        "--enrol-port",
        type=number(1, 65_535, 8884),
        default=0,
        help="the broker's port for kiosks without a certificate",
    )
    new.add_argument("--days", type=number(1, 3660, 90), default=90, help="validity of a certificate (default: 90)")
    new.add_argument("--bundle", type=Path, action="append", default=[], help="a first bundle; may be repeated")
    new.add_argument("--settings", type=Path, help="folder of `gatepost config render`: first settings")
    new.add_argument(
        "--sign-command",
        nargs=argparse.REMAINDER,
        default=[],
        help="a program that signs in its place, with its words; put it last",
    )
    broker = actions.add_parser("broker", help="tell the authority the broker's new key or address")
    broker.add_argument("--broker", help="HOST or HOST:PORT, as kiosks reach it")
    broker.add_argument("--broker-cert", **_BROKER_CERT)
    invite = actions.add_parser("invite", help="invite a kiosk: a file, a QR picture or the terminal")
    invite.add_argument("name", help="SITE/KIOSK; SITE/ alone: a person confirms each kiosk and names it")
    invite.add_argument(
        "--key", type=Path, action="append", required=True, help="key of role enrol; may be repeated"
    )
    invite.add_argument(
        "--days",
        type=number(1, invitation.MAX_DAYS, 7),
        default=invitation.MAX_DAYS,
        help="valid for so many days (1 to 7; default: 7)",
    )
    invite.add_argument("--png", type=Path, help="write a QR picture")
    invite.add_argument("--out", type=Path, help="write a file: gatepost.invitation on a boot partition or stick")
    certificate = actions.add_parser("certificate", help="make NAME.key and NAME.crt for a program of your own")
    certificate.add_argument("name", metavar="NAME", help="its name at the broker: authority, server")
    serve = actions.add_parser("serve", help="answer kiosks over MQTT, until Ctrl-C")
    broker_login.add_arguments(serve)
    answer = actions.add_parser("answer", help="answer a request that came as a file")
    answer.add_argument("request", type=Path, help="the file that `gatepost enrol --request` wrote")
    answer.add_argument("--out", type=Path, required=True, help="file for the answer")
    actions.add_parser("list", help="kiosks, programs, invitations, and who waits to be confirmed")
    approve = actions.add_parser("approve", help="confirm a kiosk that waits, and name it")
    approve.add_argument("shown", help="the twelve characters that it shows")
    approve.add_argument("name", help="SITE/KIOSK")
    reject = actions.add_parser("reject", help="turn away a kiosk that waits")
    reject.add_argument("shown", help="the twelve characters that it shows")
    revoke = actions.add_parser("revoke", help="take back a kiosk's certificates and invitations, or a program's")
    revoke.add_argument("name", help="SITE/KIOSK; NAME of a program")


def run(args: argparse.Namespace) -> int:
    """0 when it is done; 1 with one sentence on standard error."""
    try:
        return _ACTIONS[args.action](args)
    except (AuthorityError, BadCertificate, ExchangeFailed, signing.BadKey, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


def _new(args: argparse.Namespace) -> int:
    host, port = broker_address(args.broker)
    root = _checked_root(args)
    for file in args.bundle:
        _demand_bundle(file, root)
    if args.settings and not args.settings.is_dir():
        raise ValueError(f"--settings {args.settings}: no folder, as `gatepost config render` writes it")
    if args.broker_ca:
        _pin_of(args.broker_ca)
    pins = _pins_of(args.broker_cert)
    settings = AuthoritySettings(
        args.fleet, host, port, pins, str(args.root.absolute()),
        str(args.broker_ca.absolute()) if args.broker_ca else "", args.enrol_port, args.days,
        tuple(args.sign_command), tuple(str(path.absolute()) for path in args.bundle),
        str(args.settings.absolute()) if args.settings else "",
    )  # fmt: skip
    authority.create(args.folder, settings, time.time())
    if not pins:
        print(
            "Without --broker-cert kiosks ask without TLS, and their settings and events can be read on the way"
            + (" until they know the --broker-ca" if args.broker_ca else ""),
            file=sys.stderr,
        )
    made = Authority(args.folder)
    revoked = made.write_revocations(time.time())
    print(
        f"Made {args.folder}. For the broker: cafile {args.folder / 'ca.pem'}, crlfile {revoked}"
        if revoked
        else "Made"
    )
    return 0


def _checked_root(args: argparse.Namespace) -> bundle.Root:
    """The root that kiosks of this fleet begin with, and who signs invitations. Raises ValueError."""
    try:
        root = bundle.first_root(given.data(args.root))
    except bundle.BadBundle as error:
        raise ValueError(f"--root {args.root}: {error}: give what `keys sign --type root` has printed") from None
    if root.bundle.fleet != args.fleet:
        raise ValueError(f"--fleet {args.fleet}: {args.root} is of the fleet {root.bundle.fleet}")
    if "enrol" not in root.roles:
        raise ValueError(f"--root {args.root}: nobody may sign invitations: its content needs the role enrol")
    return root


def _demand_bundle(file: Path, root: bundle.Root) -> None:
    data = given.data(file)
    try:
        claimed = bundle.unverified_header(data)
        bundle.verify_stored(data, root, kind=claimed.type, name=claimed.name)
    except bundle.BadBundle as error:
        raise ValueError(f"--bundle {file}: {error}") from None


def _broker(args: argparse.Namespace) -> int:
    office = Authority(args.folder)
    settings = office.settings
    if not args.broker and not args.broker_cert:
        raise ValueError("--broker or --broker-cert: give what has changed")
    if args.broker:
        host, port = broker_address(args.broker)
        settings = replace(settings, host=host, port=port)
    office.change_settings(replace(settings, pins=_pins_of(args.broker_cert) or settings.pins))
    print("Invitations name it from now on; those of before do not: make them again. `serve` must be started again")
    return 0


def _pins_of(files: Sequence[Path]) -> tuple[str, ...]:
    return tuple(invitation.encoded(_pin_of(file)) for file in files)


def _pin_of(file: Path) -> bytes:
    try:
        return certificates.pin_of(given.data(file))
    except BadCertificate as error:
        raise BadCertificate(f"{file}: {error}") from None


def _invite(args: argparse.Namespace) -> int:
    if args.out:
        given.demand_own(args.out, b'{"payloadType"', "invitation")
    if args.png:
        given.demand_picture(args.png)
    site, _, kiosk = args.name.partition("/")
    keys = [server_key(path) for path in args.key]
    made, envelope = Authority(args.folder).invite(site, kiosk, args.days, keys, time.time())
    if args.out:
        replace_file(args.out, (envelope + b"\n",), _SECRET)
    if args.png:
        segno.make(envelope, error="l", boost_error=False).save(drawn := io.BytesIO(), "png", scale=8, border=4)
        replace_file(args.png, (drawn.getvalue(),), _SECRET)  # who reads the token first has the kiosk's place
    if not args.out and not args.png:
        sys.stdout.write(envelope.decode() + "\n")
    ends = datetime.fromtimestamp(made.expires_utc, UTC).isoformat(timespec="minutes")
    print(f"{args.name} may enrol until {ends}, once." if kiosk else f"Kiosks of {site} may ask.", file=sys.stderr)
    return 0


def _certificate(args: argparse.Namespace) -> int:
    key_file, certificate_file = Path(f"{args.name}.key"), Path(f"{args.name}.crt")
    if key_file.exists():
        raise ValueError(f"{key_file} is there already: remove it first, or choose another name")
    key, certificate = Authority(args.folder).certificate(args.name, time.time())
    replace_file(key_file, (key.encode(),), _SECRET)
    replace_file(certificate_file, (certificate.encode(),))
    ends = datetime.fromtimestamp(certificates.about(certificate).not_after_utc, UTC).date()
    print(f"{key_file}, {certificate_file}: {args.name} at the broker, until {ends}.")
    return 0


def _serve(args: argparse.Namespace) -> int:
    office = Authority(args.folder)
    options = broker_login.options(args, office.settings.host, office.settings.port)
    office.write_revocations(time.time())  # one of an older release ends after thirty days

    def handle(data: bytes) -> tuple[str, bytes] | None:
        answered = office.handle(data, time.time())
        if answered is not None:
            print(f"{certificates.spoken(answered[0])} has asked", flush=True)
        return answered

    while True:
        _renew_own(office, args.cert, args.cert_key, time.time())
        try:
            exchange_mqtt.serve(options, handle, lambda: False, lambda: print("Listening.", flush=True))
        except ExchangeFailed as error:
            print(f"{error}; again in {_AGAIN_S:.0f} s", file=sys.stderr, flush=True)
            time.sleep(_AGAIN_S)


def _renew_own(office: Authority, certificate: Path | None, key: Path | None, now_utc: float) -> None:
    """Replace our own pair when it ends soon: nobody else would, and then no kiosk could renew. Key first: after a
    power cut between them the certificate is still the old one, and both are replaced again.
    """
    if certificate is None:
        return
    try:
        made = office.renewed_pair(certificate.read_text(), now_utc)
        if made is None:
            return
        own_key, pem = made
        if key is not None:
            replace_file(key, (own_key.encode(),), _SECRET)
            replace_file(certificate, (pem.encode(),))
        else:
            replace_file(certificate, (own_key.encode(), pem.encode()), _SECRET)
    except (OSError, UnicodeDecodeError, BadCertificate) as error:
        print(f"{certificate} cannot be renewed: {error}", file=sys.stderr, flush=True)
        return
    ends = datetime.fromtimestamp(certificates.about(pem).not_after_utc, UTC).date()
    print(f"{certificate} is renewed, until {ends}.", flush=True)


def _answer(args: argparse.Namespace) -> int:
    given.demand_own(args.out, b"{", "answer")
    answered = Authority(args.folder).handle(given.data(args.request), time.time())
    if answered is None:
        raise AuthorityError(f"{args.request} is no request of a kiosk")
    replace_file(args.out, (answered[1],), _SECRET)
    print(f"Wrote {args.out} for {certificates.spoken(answered[0])}: gatepost enrol --answer on the kiosk.")
    return 0


def _list(args: argparse.Namespace) -> int:
    office, now_utc = Authority(args.folder), time.time()
    for known in (*office.kiosks(), *office.programs()):
        kind = "kiosk" if known.site else "program"
        for each in known.issued.values():
            days = (each.not_after_utc - now_utc) / 86_400
            state = "revoked" if each.revoked_utc else f"{days:.0f} days left" if days > 0 else "ended"
            print(f"{kind:<10}  {known.name}  {state}  serial {each.serial:x}")
    for plain in office.invitations():
        state = "revoked" if plain["revoked"] else "used" if plain["used"] else "open"
        state = "expired" if state == "open" and plain["expires_at"] < now_utc else state
        print(f"invitation  {plain['site']}/{plain['kiosk']}  {state}")
    for waiting in office.pending():
        state = "rejected" if waiting.rejected else waiting.approved or "waits"
        print(
            f"asks        {certificates.spoken(waiting.fingerprint)}  {state}  {waiting.serial}  {waiting.release}"
        )
    return 0


def _approve(args: argparse.Namespace) -> int:
    Authority(args.folder).approve(args.shown, args.name)
    print(f"{args.shown} is {args.name}: it has its certificate when it asks again.")
    return 0


def _reject(args: argparse.Namespace) -> int:
    Authority(args.folder).approve(args.shown, "")
    print(f"{args.shown} is turned away.")
    return 0


def _revoke(args: argparse.Namespace) -> int:
    count = Authority(args.folder).revoke(args.name, time.time())
    print(
        f"{count} certificates of {args.name} are revoked; let the broker read {args.folder / 'revoked.crl'} again."
    )
    return 0


_ACTIONS = {
    "new": _new, "broker": _broker, "invite": _invite, "certificate": _certificate,
    "serve": _serve, "answer": _answer, "list": _list, "approve": _approve,
    "reject": _reject, "revoke": _revoke,
}  # fmt: skip
