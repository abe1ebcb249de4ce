"""`gatepost demo --screens`: a picture of each cue, of the panel's size."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.cli.demo.screens import write_pictures
from agent.indicators import Cue
from agent.web.options import PanelOptions

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_a_picture_of_each_cue(browser: Browser, tmp_path: Path) -> None:
    panel = PanelOptions(width_px=640, height_px=400)
    with tempfile.TemporaryDirectory(prefix="gp-") as sockets:
        files = list(write_pictures(tmp_path, Path(sockets), panel))
    assert {file.stem for file in files} >= {str(cue) for cue in Cue if cue is not Cue.RETRY} | {"once_more"}
    pictures = [cv2.imread(str(file)) for file in files]
    assert {picture.shape for picture in pictures if picture is not None} == {(400, 640, 3)}
    different = {picture.tobytes() for picture in pictures if picture is not None}
    assert len(different) == len(files), "no two are the same, none is the one before the page has painted"
    assert all(np.ptp(picture) > 100 for picture in pictures if picture is not None)
