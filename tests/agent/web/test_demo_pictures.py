"""`gatepost demo --screens`: a picture of everything that a screen can show, of each panel's size."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.cli.demo.screens import PANELS, write_pictures
from agent.model.effects import Cue
from agent.texts import CATALOGUE
from agent.web.options import PanelOptions

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_a_picture_of_all_that_is_shown(browser: Browser, tmp_path: Path) -> None:
    panel = PanelOptions(width_px=640, height_px=400)
    with tempfile.TemporaryDirectory(prefix="gp-") as sockets:
        files = list(write_pictures(tmp_path, Path(sockets), {"small": panel}))
    cues = {str(cue) for cue in Cue if cue is not Cue.RETRY}
    assert {file.stem for file in files} >= cues | set(CATALOGUE["picture"]) - {"starting"}
    pictures = [cv2.imread(str(file)) for file in files]
    assert {picture.shape for picture in pictures if picture is not None} == {(400, 640, 3)}
    different = {picture.tobytes() for picture in pictures if picture is not None}
    assert len(different) == len(files), "no two are the same, none is the one before the page has painted"
    assert all(np.ptp(picture) > 100 for picture in pictures if picture is not None)


def test_each_panel_can_be_read_from_where_people_stand() -> None:
    assert not [fault for panel in PANELS.values() for fault in panel.faults()]
