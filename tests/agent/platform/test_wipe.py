"""After a wipe nothing of what was there is left, neither under a name nor in the blocks that it had."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.platform.wipe import wipe, wipe_request

CANARY = b"canary: a key, a name, an event "


def test_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    (folder / "bundles").mkdir(parents=True)
    for name in ("client.pem", "outbox.db", "bundles/root.bundle", "empty"):
        (folder / name).write_bytes(CANARY * (0 if name == "empty" else 5000))
    outside = tmp_path / "outside"
    outside.write_bytes(CANARY)
    (folder / "link").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    second_name = tmp_path / "second-name"  # shows what became of the blocks
    second_name.hardlink_to(folder / "outbox.db")
    assert wipe([folder, tmp_path / "missing"]) == 6
    assert list(folder.iterdir()) == []
    assert CANARY not in second_name.read_bytes()
    assert outside.read_bytes() == CANARY, "links are not followed"
    assert wipe([folder]) == 0, "twice is fine"


def test_what_is_to_stay_stays(tmp_path: Path) -> None:
    for name in ("journal", "folder/journal", "key"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(CANARY)
    assert wipe([tmp_path], but=(tmp_path / "journal",)) == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "journal"]


def test_a_file_that_cannot_be_overwritten_holds_up_no_other_and_the_request_stays(tmp_path: Path) -> None:
    busy = tmp_path / "a" / "busy"
    busy.parent.mkdir()
    shutil.copy("/bin/sleep", busy)
    for name in ("key", "a/later", "z"):
        (tmp_path / name).write_bytes(CANARY)
    wipe_request(tmp_path).write_bytes(b"{}")
    with subprocess.Popen([busy, "300"]) as running:
        with pytest.raises(OSError, match="Text file busy"):
            wipe([tmp_path])
        running.kill()
    assert list(tmp_path.iterdir()) == [wipe_request(tmp_path)]
    assert wipe([tmp_path]) == 1


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").touch()
    (tmp_path / "lib").symlink_to(tmp_path / "real")
    assert wipe([tmp_path / "lib"]) == 0
    assert (tmp_path / "real/file").exists()
