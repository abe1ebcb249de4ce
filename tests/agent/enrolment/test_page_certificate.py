"""The certificate of the guards' pages."""

from __future__ import annotations

import os
from pathlib import Path

from agent.enrolment import page_certificate
from agent.web.options import Options

NOW = 1_800_000_000.0
DAY_S = 86_400.0
NAMES = ("kiosk.example",)


def test_the_kiosks_own_pair_is_made_again_thirty_days_before_its_end(tmp_path: Path) -> None:
    first = page_certificate.own_pair(tmp_path, NAMES, NOW)
    ends_utc = NOW + page_certificate.DAYS * DAY_S
    assert page_certificate.own_pair(tmp_path, NAMES, ends_utc - 31 * DAY_S) == first
    assert page_certificate.own_pair(tmp_path, NAMES, ends_utc - 29 * DAY_S) != first


def test_a_pipe_in_place_of_a_configured_certificate_holds_nothing_up(tmp_path: Path) -> None:
    for name in ("pages.crt", "pages.key"):
        os.mkfifo(tmp_path / name)
    options = Options(
        listen="0.0.0.0:8443", names=NAMES, certificate=tmp_path / "pages.crt", key=tmp_path / "pages.key"
    )
    assert page_certificate.for_pages(options, tmp_path, NOW) == {"listen": ""}
