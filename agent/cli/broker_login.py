"""Arguments with which a command of the central server's side logs in at a broker, and the connection."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from agent.mqtt import Options, ShortConnection
from agent.mqtt.options import broker_address

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How to log in; where the broker is, the caller asks itself."""
    parser.add_argument("--ca", type=Path, help="PEM of the authority behind the broker; else the system's")
    parser.add_argument("--cert", type=Path, help="our certificate for the broker")
    parser.add_argument("--cert-key", type=Path, help="the key to it")
    parser.add_argument("--username", default="", help="our name at the broker")
    parser.add_argument("--password-file", type=Path, help="a file with the password")
    parser.add_argument("--plain", action="store_true", help="without TLS: for trials")


def options(args: argparse.Namespace, host: str, port: int) -> Options:
    """As `agent.mqtt` wants them. Raises OSError, ValueError."""
    password = args.password_file.read_text().strip() if args.password_file else ""
    return Options(
        host=host, port=port, tls=not args.plain, ca_file=args.ca, cert_file=args.cert, key_file=args.cert_key,
        username=args.username, password=password,
    )  # fmt: skip


def connect(args: argparse.Namespace, protocol: Literal["auto", "3.1.1"] = "auto") -> ShortConnection:
    """To the broker that `broker` names, for this command; to be entered. `protocol`: 3.1.1 costs less for each
    message, and says less of a refusal. Raises OSError, ValueError.
    """
    host, port = broker_address(args.broker)
    found = replace(options(args, host, port), protocol=protocol)
    return ShortConnection(found, f"gatepost-{args.name}-{uuid4().hex[:8]}")
