"""What the kiosk keeps on disk of its thermometers: the site's calibration, and the baseline of each lane.

`agent/screening/` says what they mean; it does no input or output.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from agent.platform import access
from agent.platform.files import read_text, replace_file
from agent.platform.kept_json import KeptJson
from agent.ruleset.hand_kept import version_of
from agent.screening import baseline, calibration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agent.screening import Baseline, Options, ThermometerSite

log = logging.getLogger(__name__)

EVERY_S = 60.0


def load_sites(path: Path | None) -> dict[str, ThermometerSite]:
    """Lane → calibration; none when no file is configured. Raises BadCalibration."""
    if path is None:
        return {}
    try:
        return calibration.parse(read_text(path), str(path))
    except OSError as error:
        raise calibration.BadCalibration(f"{access.why(error, path)}; `gatepost calibrate` makes it") from None
    except UnicodeDecodeError:
        raise calibration.BadCalibration(f"{path}: not UTF-8 text") from None


def save_sites(path: Path, sites: Mapping[str, ThermometerSite]) -> None:
    """Replace the file whole, by a newer version than any before: the milliseconds of now. Raises OSError."""
    try:
        before = version_of(read_text(path))
    except (OSError, ValueError, RecursionError):
        before = 0
    _replace(path, calibration.to_text(sites, max(before + 1, time.time_ns() // 1_000_000)))


def load_baselines(path: Path, options: Options) -> dict[str, Baseline]:
    """Lane → baseline as it was kept. What cannot be read, or cannot have been learnt under these options, begins
    again: nothing is lost but some patience.
    """
    try:
        plain = KeptJson(path).read() or {}
        baselines = {lane: baseline.from_plain(table) for lane, table in plain.items()}
    except Exception as error:  # noqa: BLE001 - whatever a card has made of it
        log.warning("the baseline's file is not used: %s", error)
        return {}
    believed = {lane: one for lane, one in baselines.items() if one.is_plausible(options)}
    for lane in baselines.keys() - believed.keys():
        told = "the baseline's file is not used for lane %s: its limit is not within %.1f to %.1f °C"
        log.warning(told, lane, options.floor_c, options.ceiling_c)
    return believed


class BaselineSaver:
    """Writes the baselines down at most once a minute, and at the end; a power cut costs a minute's people."""

    def __init__(self, path: Path, baselines: Callable[[], Mapping[str, Baseline]]) -> None:
        """`baselines` gives what is to be kept."""
        self._file = KeptJson(path)
        self._baselines = baselines
        self._kept: dict[str, Baseline] = dict(baselines())
        self._fault = ""

    def save_if_changed(self) -> None:
        """Write if anything changed; that it cannot be done is said once."""
        baselines = dict(self._baselines())
        if baselines == self._kept:
            return
        try:
            plain = {lane: baseline.to_plain(one) for lane, one in baselines.items()}
            self._file.write(plain)
            self._kept, self._fault = baselines, ""
        except OSError as error:
            if str(error) != self._fault:
                self._fault = str(error)
                log.warning("the baseline cannot be kept: %s", error)


def _replace(path: Path, text: str) -> None:
    replace_file(path, (text.encode(),))
