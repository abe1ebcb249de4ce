"""The camera as a scanner: real photographs, a real HTTP stream, plugs pulled, pictures broken."""

import contextlib
import itertools
import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from drivers.contract import BadReply, Departure, DeviceGone, Sighting
from drivers.scanners.camera import Driver, Options, lens_for
from drivers.simulators import qr
from drivers.simulators.camera import Scenery
from drivers.vision import decoders, opencv
from drivers.wire.frames import Frame, Turned
from tests.drivers.patience import opened

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"


needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the photographs are not on this machine")


@pytest.fixture
def watching(simulator):
    driver = opened(Driver(Options(simulator.url, away_s=0.3, stale_s=5.0)))
    yield driver
    driver.close()


def test_a_code_is_told_once_and_its_leaving(simulator, watching, items_of, fair_clock):
    began_s = fair_clock()
    simulator.world.show(b"GP1:one")
    first = items_of(watching, 60, enough=1)
    assert [item.payload for item in first] == [b"GP1:one"]
    assert first[0].simulated
    assert first[0].at_s - simulator.first_shown_s(b"GP1:one") > -1, "where two came at once, as of the one before"
    assert fair_clock() - began_s < 1
    assert items_of(watching, 0.5) == []

    simulator.world.hide()
    assert [type(item) for item in items_of(watching, 60, enough=1)] == [Departure]


def test_the_next_code_is_told_without_a_gap(simulator, watching, items_of):
    for payload in (b"one", b"two", b"one"):
        simulator.world.show(payload)
        assert [item.payload for item in items_of(watching, 60, enough=1)] == [payload]
        assert not items_of(watching, 1.5 * Options.away_s), "until the one before is forgotten"


def test_a_pulled_plug_is_noticed_and_the_camera_comes_back(simulator, watching, items_of):
    simulator.world.show(b"before")
    assert items_of(watching, 60, enough=1)
    simulator.unplug()
    with pytest.raises(DeviceGone):
        items_of(watching, 60)
    with pytest.raises(DeviceGone, match="not reachable"):
        watching.open()

    simulator.replug()
    simulator.world.show(b"after")
    opened(watching)
    assert [item.payload for item in items_of(watching, 60, enough=1)] == [b"after"]


def test_a_stream_that_hangs_is_given_up_and_taken_again(simulator, items_of, fair_clock):
    driver = opened(Driver(Options(simulator.url)))
    simulator.world.show(b"before")
    assert items_of(driver, 60, enough=1)
    simulator.hang()
    began_s = fair_clock()
    with pytest.raises(DeviceGone, match="sends no pictures"):
        items_of(driver, 60)
    assert fair_clock() - began_s < 4
    simulator.go_on()
    opened(driver)
    assert [item.payload for item in items_of(driver, 60, enough=1)] == [b"before"]
    driver.close()


def test_silence_within_the_limit_is_none(watching, fair_clock):
    began_s, fair_s = time.monotonic(), fair_clock()
    assert watching.read(0.2) is None
    assert time.monotonic() - began_s >= 0.15
    assert fair_clock() - fair_s < 1.5


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        (("half", "histgram"), "no step 'histgram'; did you mean 'histogram'"),
        (("half", "erode", "half"), "'half' stands twice"),
        ((), "name at least 'half'"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(steps, says):
    with pytest.raises(ValueError, match=says):
        Options("test", steps=steps)


class Lens:
    """A live lens that shows what a test tells it to."""

    name = "test lens"
    live = True
    ended = False
    simulated = False

    def __init__(self, show):
        self._show = show
        self._pause = threading.Event()

    def open(self):
        self._pause.clear()

    def next(self, limit_s):
        self._pause.wait(0.02)
        return self._show()

    def close(self):
        self._pause.set()


def noisy(level=120):
    return np.random.default_rng().integers(level - 5, level + 5, (120, 160)).astype(np.uint8)


@pytest.mark.parametrize(
    ("show", "error", "says"),
    [
        (lambda: None, DeviceGone, "no pictures"),
        (lambda: Frame(time.monotonic(), picture=np.full((120, 160), 90, np.uint8)), DeviceGone, "frozen"),
        (lambda: Frame(time.monotonic(), picture=np.full((120, 160), 3, np.uint8)), DeviceGone, "black"),
        (lambda: Frame(time.monotonic(), jpeg=os.urandom(300)), BadReply, "broken pictures"),
        (lambda: Frame(time.monotonic() - 9, picture=noisy()), DeviceGone, "no pictures"),
        (lambda: 1 / 0, DeviceGone, "ZeroDivisionError"),
    ],
)
def test_a_camera_that_only_seems_alive_is_given_up(show, error, says, items_of):
    driver = Driver(Options("test", stale_s=0.5), wire=Lens(show))
    driver.open()
    with pytest.raises(error, match=says):
        items_of(driver, 60)
    driver.close()


class Clock:
    """One that goes on only when it is looked at: a machine that is slow does not make it run."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        self.now_s += 0.01
        return self.now_s


def test_a_dark_room_is_no_black_picture():
    """Its noise averages out in the small picture that idle frames are judged by."""
    random = np.random.default_rng(3)
    rooms = [
        opencv.to_jpeg(np.clip(random.normal(8, 2, (480, 640)), 0, 255).astype(np.uint8), 95) for _ in range(8)
    ]
    assert np.ptp(Frame(0.0, jpeg=rooms[0]).small()) < 3
    frames = itertools.count()
    clock = Clock()
    lens = Lens(lambda: Frame(clock.now_s, jpeg=rooms[next(frames) % 8]))
    driver = Driver(Options("test", stale_s=0.4), wire=lens, clock=clock)
    driver.open()
    while clock.now_s < 2.0:
        assert driver.read(0.1) is None
    driver.close()


def test_what_moves_in_is_read_on_its_first_frame(items_of):
    random = np.random.default_rng(4)
    code = qr.drawn(b"at once", 6)
    walls, phones = [], []
    for pictures, shown in ((walls, False), (phones, True)):
        for _ in range(4):
            picture = random.normal(90, 2, (480, 640))
            if shown:
                picture[100 : 100 + len(code), 200 : 200 + len(code)] = code
            pictures.append(opencv.to_jpeg(np.clip(picture, 0, 255).astype(np.uint8)))
    frames = iter(range(10_000))
    first_s = []

    def show():
        number = next(frames)
        frame = Frame(time.monotonic(), jpeg=(phones if number >= 40 else walls)[number % 4])
        if number == 40:
            first_s.append(frame.at_s)
        return frame

    lens = Lens(show)
    lens.live = False  # no frame is passed over
    driver = Driver(Options("test"), wire=lens)
    driver.open()
    (item,) = items_of(driver, 60, enough=1)
    assert item.at_s == first_s[0]
    driver.close()


class Counted(Frame):
    """One that counts how many of its kind were looked at."""

    looked_at = 0

    def small(self):
        Counted.looked_at += 1
        return super().small()


def test_most_frames_of_an_idle_scene_are_not_decoded(items_of):
    """Also where those that are decoded happen to be alike, as one in four of four that are shown in turn."""
    scenery, shown, code = Scenery(640, 480), itertools.count(), []

    def show():
        return Counted(time.monotonic(), jpeg=scenery.jpeg(code[0] if code else None, next(shown)))

    driver = Driver(Options("test", stale_s=30.0), wire=Lens(show))
    driver.open()
    end_s = time.monotonic() + 90.0
    while Counted.looked_at < 10 and time.monotonic() < end_s:  # a busy machine takes long over the first frames
        assert items_of(driver, 0.2) == []
    before, seen_before = Counted.looked_at, next(shown)
    while next(shown) < seen_before + 60 and time.monotonic() < end_s:
        assert items_of(driver, 0.2) == []
    assert Counted.looked_at - before < 0.6 * (next(shown) - seen_before)
    code.append(b"then somebody comes")
    assert [item.payload for item in items_of(driver, 60, enough=1)] == [b"then somebody comes"]
    driver.close()


def test_a_living_picture_without_a_code_is_healthy():
    clock = Clock()
    lens = Lens(lambda: Frame(clock.now_s, picture=noisy()))
    driver = Driver(Options("test", stale_s=0.4), wire=lens, clock=clock)
    driver.open()
    while clock.now_s < 1.2:
        assert driver.read(0.1) is None
    driver.close()


def test_a_broken_frame_among_good_ones_costs_nothing(items_of):
    code = qr.drawn(b"still here", 5)
    frames = iter(range(10_000))

    def show():
        number = next(frames)
        picture = np.clip(code.astype(int) + number % 7, 0, 255).astype(np.uint8)
        jpeg = opencv.to_jpeg(picture)
        return Frame(time.monotonic(), jpeg=jpeg[: len(jpeg) // 3] if number % 2 else jpeg)

    driver = Driver(Options("test", stale_s=30.0), wire=Lens(show))
    driver.open()
    assert [item.payload for item in items_of(driver, 60, enough=1)] == [b"still here"]
    assert items_of(driver, 0.5) == []
    driver.close()


@pytest.mark.parametrize("name", ["/dev/video77", "no/such/folder", "http://127.0.0.1:1/stream"])
def test_a_camera_that_is_not_there_is_one_sentence(name):
    driver = Driver(Options(name))
    with pytest.raises(DeviceGone) as caught:
        driver.open()
    assert caught.value.remedy
    driver.close()
    driver.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_says_which_group(tmp_path):
    film = tmp_path / "film.mp4"
    film.touch(mode=0o000)
    with pytest.raises(DeviceGone, match="permission denied"):
        Driver(Options(str(film))).open()


def test_a_file_that_is_no_video_is_refused(tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"not a video")
    with pytest.raises(DeviceGone, match="no video"):
        Driver(Options(str(film))).open()


def test_a_server_that_is_no_camera_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            caller, _ = server.accept()
            with caller:
                caller.recv(1000)
                caller.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<p>hello")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(BadReply, match="text/html"):
            Driver(Options(f"http://127.0.0.1:{server.getsockname()[1]}/")).open()


def test_a_stream_without_lengths_is_read_up_to_its_boundaries(items_of):
    picture = opencv.to_jpeg(qr.drawn(b"no length told", 5))
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            caller, _ = server.accept()
            with contextlib.suppress(OSError), caller:  # a process that ends resets the line
                caller.recv(1000)
                caller.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=--cut\r\n\r\n")
                for _ in range(3):
                    caller.sendall(b"--cut\r\nContent-Type: image/jpeg\r\n\r\n" + picture + b"\r\n")

        threading.Thread(target=serve, daemon=True).start()
        driver = Driver(Options(f"http://127.0.0.1:{server.getsockname()[1]}/"))
        driver.open()
        assert [item.payload for item in items_of(driver, 60, enough=1)] == [b"no length told"]
        driver.close()


def test_a_stream_of_nothing_but_headers_is_refused(items_of):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            caller, _ = server.accept()
            with contextlib.suppress(OSError), caller:  # a process that ends resets the line
                caller.recv(1000)
                caller.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=cut\r\n\r\n")
                caller.sendall(b"--cut\r\n" + 1000 * b"X-More: of it\r\n")
                caller.recv(1000)

        threading.Thread(target=serve, daemon=True).start()
        driver = Driver(Options(f"http://127.0.0.1:{server.getsockname()[1]}/"))
        driver.open()
        with pytest.raises(BadReply, match="nothing but headers"):
            items_of(driver, 60)
        driver.close()


def test_a_folder_shows_each_picture_and_passes_over_what_is_none(tmp_path, items_of):
    for number, payload in enumerate([b"first", b"second"]):
        (tmp_path / f"{number}.png").write_bytes(opencv.to_png(qr.drawn(payload, 4)))
    (tmp_path / "0b.png").write_bytes(b"broken")
    (tmp_path / "1b.jpg").write_bytes(opencv.to_jpeg(np.full((1, 1), 7, np.uint8)))
    (tmp_path / "notes.txt").write_text("no picture")
    os.mkfifo(tmp_path / "2.png")
    with (tmp_path / "3.png").open("wb") as huge:
        huge.truncate(10**12)
    driver = Driver(Options(str(tmp_path), fps=200, each_s=0.0, away_s=0.1))
    driver.open()

    items = items_of(driver, 1.0)
    assert [item.payload for item in items if isinstance(item, Sighting)] == [b"first", b"second"]
    assert isinstance(items[-1], Departure)
    assert all(item.simulated for item in items)
    driver.close()


@needs_shared
def test_the_member_states_own_codes_are_all_read(tmp_path, items_of):
    pictures = sorted((SHARED / "codes" / "qa").iterdir())
    driver = Driver(Options(str(SHARED / "codes" / "qa"), fps=240, each_s=0.05))
    driver.open()
    sighted = {item.payload for item in items_of(driver, 60, enough=len(pictures)) if isinstance(item, Sighting)}
    driver.close()

    assert len(sighted) >= 0.95 * len(pictures)
    assert all(payload.startswith(b"HC1:") for payload in sighted)


@pytest.mark.parametrize(("degrees", "mirror"), [(90, False), (180, False), (270, True), (0, True)])
def test_a_camera_on_its_side_or_before_a_mirror_shows_the_picture_upright(tmp_path, degrees, mirror):
    upright = np.tile(np.arange(160, dtype=np.uint8), (120, 1))
    upright[:10] = 255
    seen = np.rot90(upright, degrees // 90)  # counter-clockwise, as a camera turned clockwise sees it
    (tmp_path / "a.png").write_bytes(opencv.to_png(seen[:, ::-1] if mirror else seen))
    lens = lens_for(Options(str(tmp_path), rotate=degrees, mirror=mirror))
    lens.open()
    frame = lens.next(1)
    assert frame is not None
    assert (frame.gray() == upright).all()
    assert (frame.small() == upright).all()


def test_a_turned_jpeg_is_turned_small_and_large():
    upright = np.zeros((240, 320), np.uint8)
    upright[:80, :80] = 255

    class Sideways(Lens):
        def next(self, limit_s):
            return Frame(0.0, jpeg=opencv.to_jpeg(np.rot90(upright)))

    frame = Turned(Sideways(None), 90, mirrored=False).next(1)
    assert frame.small().shape == (30, 40)
    assert frame.small()[2, 2] > 250
    assert frame.small()[2, 37] < 5
    assert frame.gray().shape == (240, 320)
    assert frame.gray()[10, 10] > 250


def test_the_region_is_of_the_turned_picture(tmp_path, items_of):
    upright = np.full((900, 600), 120, np.uint8)
    for top, payload in ((40, b"above"), (500, b"below")):
        code = qr.drawn(payload, 10)
        upright[top : top + len(code), 100 : 100 + len(code)] = code
    (tmp_path / "a.png").write_bytes(opencv.to_png(np.rot90(upright)))
    driver = Driver(Options(str(tmp_path), rotate=90, region=(0.0, 0.5, 1.0, 1.0), each_s=0.2))
    driver.open()
    assert [item.payload for item in items_of(driver, 2) if isinstance(item, Sighting)] == [b"below"]
    driver.close()


def test_a_mirrored_code_is_read():
    code = np.pad(qr.drawn(b"in the mirror", 6), 40, constant_values=120)
    assert [each.payload for each in decoders.first(code[:, ::-1], wide=True)] == [b"in the mirror"]
