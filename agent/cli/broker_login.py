"""The arguments by which a command for the central server connects to a broker, and the connection."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from agent.cli import given
from agent.mqtt import LinkLost, Options, ShortConnection
from agent.mqtt.options import broker_address
from agent.platform import access

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


_ARGUMENTS = {
    "mqtt.": "",
    "ca_file": "--ca",
    "cert_file": "--cert",
    "key_file": "--cert-key",
    "tls = false": "--plain",
    "tls = true": "leave out --plain",
    "username, password in [mqtt]": "--username, --password-file",
    "this kiosk's": "our",
    " (mend it, then: gatepost check)": "",
}
"""A setting of [mqtt], and what it is here."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How to log in; where the broker is, the caller asks itself."""
    parser.add_argument("--ca", type=Path, help="PEM of the authority behind the broker; else the system's")
    parser.add_argument("--cert", type=Path, help="our certificate for the broker")
    parser.add_argument("--cert-key", type=Path, help="the key to it")
    parser.add_argument("--username", default="", help="our name at the broker")
    parser.add_argument("--password-file", type=Path, help="a file with the password")
    parser.add_argument("--plain", action="store_true", help="without TLS: for trials")


def options(args: argparse.Namespace, host: str, port: int) -> Options:
    """As `agent.mqtt` wants them. Raises ValueError."""
    try:
        password = given.text(args.password_file).strip() if args.password_file else ""
    except OSError as error:
        raise ValueError(f"--password-file: {access.why(error)}") from None
    return Options(
        host=host, port=port, tls=not args.plain, ca_file=args.ca, cert_file=args.cert, key_file=args.cert_key,
        username=args.username, password=password,
    )  # fmt: skip


@contextmanager
def connect(args: argparse.Namespace, protocol: Literal["auto", "3.1.1"] = "auto") -> Iterator[ShortConnection]:
    """To the broker that `broker` names, for this command. `protocol`: 3.1.1 costs less for each message, and says
    less of a refusal. Raises LinkLost, OSError, ValueError.
    """
    host, port = broker_address(args.broker)
    found = replace(options(args, host, port), protocol=protocol)
    with ExitStack() as stack:
        try:
            made = ShortConnection(found, f"gatepost-{args.name}-{uuid4().hex[:8]}")
            connection = stack.enter_context(made)
        except LinkLost as lost:
            raise LinkLost(_as_arguments(str(lost).removeprefix(f"{host}:{port}: "))) from None
        yield connection


def _as_arguments(why: str) -> str:
    """What is said of a kiosk's settings, said of ours."""
    for setting, argument in _ARGUMENTS.items():
        why = why.replace(setting, argument)
    return why
