"""An HTTP camera that sends anything: memory has a bound."""

import socket
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from drivers.contract import BadReply, DeviceGone
from drivers.scanners.camera import Driver, Options
from drivers.wire import mjpeg

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=cut\r\n\r\n"
NO_LENGTH = b"--cut\r\nContent-Type: image/jpeg\r\n\r\n"


@pytest.fixture
def sends():
    """A camera that sends a head, and then the same bytes for ever."""
    listeners = []

    def start(first, again):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve():
            try:
                caller, _ = listener.accept()
                with caller:
                    caller.recv(1000)
                    caller.sendall(HEAD + first)
                    while again:
                        caller.sendall(again)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    for listener in listeners:
        listener.close()


def read_on(source):
    for _ in range(20):
        source(0.25)


@pytest.mark.parametrize("line", [b"x\r\n", b"\n", b"x" * 65_535 + b"\n", b"x" * 65_536], ids=len)
def test_a_part_without_an_end_costs_no_more_than_the_largest_picture(sends, line, monkeypatch):
    monkeypatch.setattr(mjpeg, "LARGEST_BYTES", 1_000_000)
    lens = mjpeg.Mjpeg(sends(NO_LENGTH, line * (65_536 // len(line))))
    lens.open()
    tracemalloc.start()
    try:
        with pytest.raises(BadReply, match="has no end"):
            lens.next(1)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
        lens.close()


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b"\r\n" * 1000),
        (b"--cut\r\n", b"a: b\r\n" * 1000),
        (b"--cut\r\nContent-Length: 99999999999\r\n\r\n", b""),
    ],
)
def test_what_is_no_part_is_refused(sends, first, again):
    lens = mjpeg.Mjpeg(sends(first, again))
    lens.open()
    with pytest.raises((BadReply, DeviceGone)):
        read_on(lens.next)
    lens.close()


def test_pictures_that_waited_are_as_old_as_they_may_be():
    """The reader is held up while the camera goes on: no picture of then counts as one of now."""
    part = b"--cut\r\nContent-Length: 20000\r\n\r\n" + bytes(20_000) + b"\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lens = mjpeg.Mjpeg(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        opening = threading.Thread(target=lens.open)
        opening.start()
        camera, _ = listener.accept()
        with camera:
            camera.recv(1000)
            camera.sendall(HEAD)
            opening.join()
            seen = [awaited(lens, camera, part) for _ in range(2)]
            camera.sendall(5 * part)
            until_all_is_there(lens, 5 * len(part))
            read_again_s = time.monotonic()
            late = [lens.next(1).at_s for _ in range(5)]
            assert max(late) < read_again_s
            assert min(late) >= seen[-1]
            assert awaited(lens, camera, part) >= read_again_s
            together_s = awaited(lens, camera, 3 * part)
            assert all(lens.next(1).at_s >= together_s for _ in range(2)), "a network may send by fits"
    lens.close()


PLAIN, TELLING = 20_000, 30_000
"""Bytes of a picture that need not be looked at, and of one that must be."""


@pytest.fixture
def calm():
    """(lens, camera, what was dropped): it has seen pictures of an unchanged scene."""
    dropped = []

    def may_drop(length, at_s):
        if length == PLAIN:
            dropped.append(at_s)
        return length == PLAIN

    with socket.create_server(("127.0.0.1", 0)) as listener:
        lens = mjpeg.Mjpeg(f"http://127.0.0.1:{listener.getsockname()[1]}/", may_drop=may_drop)
        opening = threading.Thread(target=lens.open)
        opening.start()
        camera, _ = listener.accept()
        with camera:
            camera.recv(1000)
            camera.sendall(HEAD + picture(PLAIN))
            opening.join()
            assert lens.next(0) is None
            yield lens, camera, dropped
    lens.close()


def picture(length):
    return b"--cut\r\nContent-Length: %d\r\n\r\n" % length + bytes(length) + b"\r\n"


def test_pictures_of_an_unchanged_scene_are_taken_two_at_a_time(calm, monkeypatch):
    monkeypatch.setattr(mjpeg, "PAIR_S", 60.0)
    lens, camera, dropped = calm
    begun_s, frames = time.monotonic(), []
    reading = threading.Thread(target=lambda: frames.append(lens.next(0)))
    reading.start()
    camera.sendall(picture(PLAIN))
    until_all_is_there(lens, len(picture(PLAIN)))
    while not is_waiting(reading):
        pass
    second_s = time.monotonic()
    camera.sendall(picture(PLAIN))
    reading.join()
    _, first_at_s, second_at_s = dropped
    assert first_at_s <= begun_s, "it may have come at once"
    assert second_at_s >= second_s
    assert frames == [None]


def test_a_picture_that_tells_waits_a_moment_for_the_next_one(calm):
    lens, camera, _ = calm
    for _ in range(2):
        camera.sendall(picture(PLAIN))
        assert lens.next(0) is None
        camera.sendall(picture(TELLING))
        assert lens.next(0).length == TELLING


def test_a_picture_that_tells_is_handed_out_before_the_one_that_came_with_it(calm, monkeypatch):
    monkeypatch.setattr(mjpeg, "PAIR_S", 60.0)
    lens, camera, _ = calm
    camera.sendall(picture(TELLING) + picture(PLAIN))
    assert lens.next(0).length == TELLING


def awaited(lens, camera, part):
    """When a picture came, by the lens, that was sent while the lens waited for it."""
    began_s = time.monotonic()
    frames = []
    reading = threading.Thread(target=lambda: frames.append(lens.next(1)))
    reading.start()
    while not is_waiting(reading):
        pass
    camera.sendall(part)
    reading.join()
    assert frames[0].at_s >= began_s
    return frames[0].at_s


def is_waiting(thread):
    """Whether it sleeps, by the kernel."""
    fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
    return fields[0] == "S"


def until_all_is_there(lens, count):
    while mjpeg.bytes_waiting(lens._response.fileno()) < count:
        pass


@pytest.mark.parametrize("device", ["http://camera/", "HTTPS://camera/", "rtsp://camera/", "csi:0", "/dev/video0"])
def test_a_camera_that_may_send_anything_has_a_process_of_its_own(device):
    assert Driver(Options(device))._apart is not None


def test_a_process_that_grows_is_ended(simulator, monkeypatch):
    driver = Driver(Options(simulator.url))
    driver.open()
    monkeypatch.setattr("drivers.wire.isolated.MOST_MB", 1)
    with pytest.raises(DeviceGone, match="more than 1 MB of memory"):
        read_on(driver.read)
    assert driver._apart.pid is None
