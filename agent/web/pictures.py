"""What a picture is made of: sign, lines, arrow and rhythm. Pure; for the live page and for baked files."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import segno

from agent.indicators import PATTERNS
from agent.model.effects import Cue
from agent.texts import CATALOGUE
from agent.web.options import PanelOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

LANG_TAGS = {"en": "en", "zh": "zh-Hans"}
"""Language → its tag on the page: without the script a browser may take Japanese forms of the letters."""
STAFF = "fault"
"""The picture of everything that is not known: please see the staff."""
_FINGERPRINT_BEGINS = 23
"""Eight bytes with colons between them: enough to compare."""
_QUIET = 4
"""Modules of white around a QR code that its standard asks for."""
_CUES = {
    "another_card": Cue.RETRY, "full": Cue.REFER, "once_more": Cue.RETRY, "pair": Cue.READY, "rest": Cue.REFER,
}  # fmt: skip
"""Of pictures that are no cue of their own."""
_STEADY_S = 1.2
"""One pass of the arrow where the lamp is steady."""
_WITH_HINT = (Cue.ADMIT, Cue.ADMIT_WITH_NOTICE, Cue.REFER, Cue.REFUSE)
_REST_S = 598
_PAIRING = ("https://gate-1.local:8471/guard#pair=0123456789abcdef012345", "042137", "3F:A2:91:BC:07:D1:55:E0")
"""Of the picture of everything: a count-down, and a code for a tablet."""


def compose(shown: Mapping[str, Any], panel: PanelOptions) -> dict[str, Any]:
    """The picture as the page draws it. `shown`: a line of the watch door; what it does not know is `STAFF`."""
    picture, hint = shown.get("picture", STAFF), shown.get("hint", "")
    subject = next((each for each in ("picture", "cue") if picture in CATALOGUE[each]), "")
    if not subject:
        picture, subject, hint = STAFF, "cue", ""
    cue = _cue(picture)
    spoken = [CATALOGUE[subject][picture]]
    if hint in CATALOGUE["hint"]:
        spoken.append(CATALOGUE["hint"][hint])
    return {
        "number": shown.get("number", 0),
        "sign": picture,
        "tone": str(cue),
        "lines": {tag: [getattr(text, language) for text in spoken] for language, tag in LANG_TAGS.items()},
        "arrow": _arrow(cue, panel),
        "rhythm_ms": [round(1000 * each) for each in _rhythm(cue)],
        "for_ms": shown.get("for_ms", 0),
        "figure": _figure(shown),
        "rest_s": shown.get("rest_s", 0),
        "code": _qr(shown["pairing"][0]) if "pairing" in shown else None,
        "font_px": panel.font_px,
        "panel_px": [panel.width_px, panel.height_px],
    }


def _figure(shown: Mapping[str, Any]) -> list[str]:
    """What stands beside the code for a tablet: the number to type, and the fingerprint's first bytes."""
    if "pairing" not in shown:
        return []
    _, number, fingerprint = shown["pairing"]
    begins = fingerprint[:_FINGERPRINT_BEGINS].replace(":", " ")
    return [f"{number[:3]} {number[3:]}", *([f"SHA-256 {begins} …"] if begins else [])]


def _qr(link: str) -> dict[str, Any]:
    """A QR code as the path of a picture: one unit a module, with its quiet zone."""
    made = segno.make_qr(link, error="m")
    rows = list(made.matrix_iter(border=_QUIET))
    dark = [f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, module in enumerate(row) if module]
    return {"size": len(rows), "path": "".join(dark)}


def _cue(picture: str) -> Cue:
    """The cue whose colours and rhythm the picture has."""
    if picture in _CUES:
        return _CUES[picture]
    return Cue(picture) if picture in set(Cue) else Cue.FAULT


def _arrow(cue: Cue, panel: PanelOptions) -> str:
    if cue in (Cue.ADMIT, Cue.ADMIT_WITH_NOTICE):
        return str(panel.gate)
    return str(panel.thermometer) if cue is Cue.MEASURE else ""


def _rhythm(cue: Cue) -> tuple[float, ...]:
    rhythm = PATTERNS[cue].rhythm
    return rhythm if all(map(math.isfinite, rhythm)) else (_STEADY_S, 0.0)


def shown_pictures() -> dict[str, dict[str, Any]]:
    """Name → line of the watch door, for everything that a lane can show."""
    cues = [str(cue) for cue in Cue if cue is not Cue.RETRY]
    more: dict[str, dict[str, Any]] = {"rest": {"rest_s": _REST_S}, "pair": {"pairing": _PAIRING}}
    plain = {name: {"picture": name, **more.get(name, {})} for name in (*cues, *CATALOGUE["picture"])}
    answers = [(str(cue), hint) for cue in _WITH_HINT for hint in CATALOGUE["hint"]]
    return {**plain, **{f"{cue}.{hint}": {"picture": cue, "hint": hint} for cue, hint in answers}}
