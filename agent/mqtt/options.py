"""The broker, and how to speak with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from agent.model.bounds import Ge, Gt, Le
from agent.model.lazy import dataclass

_ADDRESS = re.compile(
    r"(?P<host>[^:/\s\[\]]+|\[[0-9a-fA-F:.]+\])"
    r"(?::(?P<port>[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]))?"
)
_TLS_PORT = 8883
_HOST = re.compile(r"[^\s/@]+")
_WITH_PORT = re.compile(r"[^:]+:\d+|\[.*\].*")


@dataclass(frozen=True, slots=True)
class Options:
    """The broker, and how to speak with it."""

    host: str = "localhost"
    """Name or address of the broker."""
    port: Annotated[int, Ge(1), Le(65535)] = 1883
    """1883 is usual in the clear, 8883 with TLS."""
    more_hosts: tuple[str, ...] = ()
    """Other addresses of the broker, or of nodes of its cluster, each with a port where it has another:
    ["broker-2", "broker-3:8884"]. The kiosks of a fleet begin with different addresses; a kiosk that gets no answer
    tries the next.
    """
    username: str = ""
    """Best `<site>/<kiosk>`, which the broker's access list can check. Empty: no user name is sent."""
    password: Annotated[str, "secret"] = ""
    """Password for the user name."""
    tls: bool = False
    """Encrypt (TLS 1.3) and check the broker's certificate and name."""
    ca_file: Path | None = None
    """PEM of the authority behind the broker: "/etc/gatepost/broker-ca.pem"; not set: those of the system."""
    cert_file: Path | None = None
    """PEM of this kiosk's certificate, for brokers that ask for one: "/etc/gatepost/kiosk.crt"."""
    key_file: Path | None = None
    """PEM of the key to it, without a passphrase; not set when it is in `cert_file`."""
    renewed_cert_file: Path = Path("/var/lib/gatepost/client.pem")
    """Key and certificate that came by the command `rotate`; they go before `cert_file` unless that is newer."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """`auto`: MQTT 5, and 3.1.1 only with a broker that does not know 5."""
    delivery: Literal["broker", "receipt"] = "broker"
    """What lets an event leave the disk: that the broker acknowledges it, or only the central server's signed
    receipt."""
    receipt_timeout_s: Annotated[float, Ge(1), Le(3600)] = 30.0
    """With `receipt`: after so long without one the oldest events are sent again; the wait grows to 10 minutes."""
    message_expiry_h: Annotated[float, Ge(0), Le(1000)] = 24.0
    """With `receipt` and MQTT 5: the broker drops an event that nobody fetched for so many hours; the kiosk still
    has it. 0: never. With delivery `broker` no event expires, because it would be lost."""
    client_id: str = ""
    """Empty: `gatepost-<site>-<kiosk>`. Two clients with one name disconnect each other."""
    max_inflight: Annotated[int, Ge(1), Le(1000)] = 20
    """Most events in flight; a smaller Receive Maximum of the broker overrides it."""
    keepalive_s: Annotated[int, Ge(3), Le(600)] = 7
    """An idle link that is dead is found after at most twice this, seconds. A broker may shorten it."""
    ack_timeout_s: Annotated[float, Ge(1), Le(300)] = 10.0
    """A link on which an event stays unacknowledged for so long counts as dead, seconds."""
    connect_timeout_s: Annotated[float, Gt(0), Le(60)] = 5.0
    """Limit for connecting, and again for the broker's answer to CONNECT, seconds."""
    reconnect_max_s: Annotated[float, Ge(1), Le(3600)] = 300.0
    """Longest wait between tries, seconds; each wait is random up to its limit, so that kiosks spread out."""
    fleet_size: Annotated[int, Ge(1), Le(10_000_000)] = 1
    """Kiosks that this broker has to take back after an outage. Beyond 500, they come back spread over a second
    for each 500, the last of them within `reconnect_max_s` if that is longer."""
    state_interval_s: Annotated[float, Ge(1), Le(3600)] = 60.0
    """The retained state is sent when it changes, and as often as this with fresh counts, seconds."""

    def __post_init__(self) -> None:
        """Refuse options that contradict each other, and a host that is more than one."""
        if not is_host(self.host):
            raise ValueError("host is a name or an address and nothing else; port and tls stand by themselves")
        for number, address in enumerate(self.more_hosts, 1):
            if not _ADDRESS.fullmatch(address):  # not repeated: a name and a password may stand in it
                raise ValueError(
                    f"more_hosts: address {number} is no NAME or NAME:PORT with a port from 1 to 65535, "
                    f'for example "broker-2:8883"'
                )
        if self.password and not self.username:
            raise ValueError("password needs a username")
        if self.key_file and not self.cert_file:
            raise ValueError("key_file needs a cert_file")
        if (self.ca_file or self.cert_file) and not self.tls:
            raise ValueError("ca_file and cert_file need tls = true")

    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each address of the broker, in the order of the settings."""
        parts = [found for address in self.more_hosts if (found := _ADDRESS.fullmatch(address))]
        more = [(each["host"].strip("[]"), int(each["port"] or self.port)) for each in parts]
        return [(self.host, self.port), *more]


def is_host(text: str) -> bool:
    """Whether it is a name or an address, and nothing else."""
    return _HOST.fullmatch(text) is not None and _WITH_PORT.fullmatch(text) is None


def broker_address(words: str) -> tuple[str, int]:
    """Host and port of `HOST`, `HOST:PORT` or `[IPv6]:PORT`. Raises ValueError with a sentence."""
    host, _, port = words.rpartition(":") if ":" in words.rpartition("]")[2] else (words, "", "")
    host = host.removeprefix("[").removesuffix("]")
    if not _HOST.fullmatch(host) or (
        port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16)
    ):
        raise ValueError(
            f"{words!r} is no broker; examples are broker.example, broker.example:8883, [2001:db8::1]:8883"
        )
    return host, int(port or _TLS_PORT)
