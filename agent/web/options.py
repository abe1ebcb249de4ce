"""Settings of the screens, and whether a panel can be read from where people stand. Pure."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from agent.model.bounds import Ge, Gt, Le
from agent.model.lazy import dataclass
from agent.texts import CATALOGUE, LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LETTER_DEG = 0.7
"""Least height of a capital H at the stated distance (EN 301 549, 5.1.4)."""
H_OF_FONT = 0.69
"""Height of an H, of the font size: Noto Sans has 0.714, of which hinting takes up to a pixel."""
_WIDTH_OF_FONT = {"en": 0.58, "zh": 1.0}
"""Mean advance of a letter, of the font size."""
LINE_HEIGHT = 1.2
TEXT_SHARE = 0.54
"""Of the height of a panel that is text; the rest is the sign."""
_MARGIN = 0.94
_WITH_HINT = ("admit", "admit_with_notice", "refer", "refuse")
"""Cues of a decision: a hint may stand below."""


_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,39}")
PORTS = range(1, 65536)
"""That a listener may have."""


def address_of(listen: str) -> tuple[str, int]:
    """Address and port of `listen`. Raises ValueError."""
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        ip_address(host)
    except ValueError:
        host = ""
    if not (host and colon and port.isascii() and port.isdigit() and int(port) in PORTS):
        raise ValueError(f"listen {listen!r} is no address with a port (1 to 65535), for example 0.0.0.0:8471")
    return host, int(port)


LOCAL_PORT = 8470
"""Where the pages are for a browser on this kiosk, unless `gatepost screen --port` says another."""


def guard_address(pages: Mapping[str, Any]) -> str:
    """The address under which tablets find the guard's page. `pages`: `listen` and `names` as in the settings, and
    the `local_port` that serves a browser on this machine.
    """
    if not pages.get("listen"):
        return f"http://127.0.0.1:{pages.get('local_port', LOCAL_PORT)}"
    name, (_, port) = pages["names"][0], address_of(pages["listen"])
    return f"https://[{name}]:{port}" if ":" in name else f"https://{name}:{port}"


class PublicDetail(StrEnum):
    """What lamp, buzzer and screen tell the queue."""

    DISCREET = "discreet"
    """Refused looks like referred: please wait for the staff."""
    OPEN = "open"
    """Refused is shown as refused."""


class Side(StrEnum):
    """Where something is, seen from before the screen."""

    UP = "up"
    RIGHT = "right"
    DOWN = "down"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Options:
    """Screens and pages: what they may show, and whether there is a page for staff on the network."""

    public: PublicDetail = PublicDetail.DISCREET
    """`discreet`: lamp, buzzer and screen show a refused person what everybody sees who waits for staff; `open`:
    they show a refusal."""
    directory: Path = Path("/run/gatepost-web")
    """Folder of the sockets for the process of the screens; should be in memory (tmpfs)."""
    listen: str = ""
    """Address and port for the tablets of guards, for example `0.0.0.0:8471`, by TLS; empty: this machine only."""
    names: tuple[str, ...] = ()
    """Names and addresses by which tablets reach the kiosk, for example ["gate-1.local", "192.168.1.20"]: requests
    for another name are refused. The first stands in the code that a tablet scans."""
    certificate: Path | None = None
    """Certificate chain for them, PEM; none: one is made here, and its fingerprint stands on the screen."""
    key: Path | None = None
    """Private key of the certificate, PEM."""
    second_person: bool = True
    """Whether somebody who is let in against the table's advice, or a gate opened by hand, needs a second person's
    PIN or badge."""

    def __post_init__(self) -> None:
        if self.listen:
            address_of(self.listen)
        if self.listen and not self.names:
            raise ValueError('listen needs names: by which tablets reach the kiosk, for example ["gate-1.local"]')
        if bad := next((name for name in self.names if not _NAME.fullmatch(name)), None):
            raise ValueError(f"names: {bad!r} is no name or address, for example gate-1.local or 192.168.1.20")
        if (self.certificate is None) is not (self.key is None):
            raise ValueError("certificate and key belong together: give both, or neither")


@dataclass(frozen=True, slots=True)
class PanelOptions:
    """The screen of a lane: its monitor, and where things are from there."""

    width_mm: Annotated[float, Gt(0), Le(2000)] = 217.0
    """Width of the visible picture, mm. The default is a 10.1 inch panel in landscape."""
    height_mm: Annotated[float, Gt(0), Le(2000)] = 136.0
    """Height of the visible picture, mm."""
    width_px: Annotated[int, Ge(320), Le(7680)] = 1280
    """Pixels across."""
    height_px: Annotated[int, Ge(240), Le(7680)] = 800
    """Pixels down."""
    distance_mm: Annotated[float, Gt(0), Le(5000)] = 600.0
    """From where the person reads it, mm. `gatepost check` computes from it whether the texts are large enough."""
    gate: Side = Side.UP
    """Where the gate is, for a person who looks at the screen: up (straight on), right, down or left."""
    thermometer: Side = Side.UP
    """Where the thermometer is."""

    @property
    def font_px(self) -> int:
        """Least font size: its capital letters have 0.7 degrees at the distance."""
        letter_mm = 2 * self.distance_mm * math.tan(math.radians(LETTER_DEG / 2))
        mm_a_px = max(self.width_mm / self.width_px, self.height_mm / self.height_px)
        return math.ceil(letter_mm / mm_a_px / H_OF_FONT)

    @property
    def text_px(self) -> tuple[float, float]:
        """Width and height of the field for text."""
        width, height = float(self.width_px), self.height_px * TEXT_SHARE
        return width * _MARGIN, height * _MARGIN

    def faults(self) -> Iterator[str]:
        """What cannot be read on this panel, one sentence each."""
        width_px, height_px = self.text_px
        for subject in ("cue", "picture"):
            for code in CATALOGUE[subject]:
                hints = ("", *CATALOGUE["hint"]) if code in _WITH_HINT else ("",)
                needed_px = max(self._height_px(subject, code, hint, width_px) for hint in hints)
                if needed_px > height_px:
                    yield (
                        f"the text of “{code}” cannot have letters of {LETTER_DEG}° at {self.distance_mm:.0f} mm:"
                        f" it needs {needed_px:.0f} px of height at a font of {self.font_px} px, and there are"
                        f" {height_px:.0f} px (a larger panel, or people who stand nearer: smaller distance_mm)"
                    )
                    return

    def _height_px(self, subject: str, code: str, hint: str, width_px: float) -> float:
        spoken = [CATALOGUE[subject][code], *([CATALOGUE["hint"][hint]] if hint else [])]
        lines = sum(
            math.ceil(len(getattr(text, language)) * _WIDTH_OF_FONT[language] * self.font_px / width_px)
            for language in LANGUAGES
            for text in spoken
        )
        return lines * self.font_px * LINE_HEIGHT
